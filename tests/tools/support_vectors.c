/* support_vectors.c - see support_vectors.h. */
#define _DEFAULT_SOURCE
#include "support_vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *
slurp(FILE *f, size_t *len)
{
    size_t cap = 1 << 16, used = 0, got;
    char *text = malloc(cap);
    while (text && (got = fread(text + used, 1, cap - used - 1, f)) > 0) {
        used += got;
        if (cap - used < 2) {
            char *more = realloc(text, cap *= 2);
            if (!more) free(text);
            text = more;
        }
    }
    if (text) text[used] = 0;
    *len = used;
    return text;
}

char *
support_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *text = slurp(f, len);
    fclose(f);
    return text;
}

char *
support_vector(const char *path, size_t *len)
{
    const char *root = getenv("DECAI_VECTORS");
    char full[1024], command[1100];
    size_t n = strlen(path);

    snprintf(full, sizeof(full), "%s/%s", root ? root : "../shared/vectors", path);
    FILE *f = fopen(full, "rb");
    if (!f) {
        printf("# %s is not there\n", full);
        return NULL;
    }
    if (n < 3 || strcmp(path + n - 3, ".gz") != 0) {
        char *text = slurp(f, len);
        fclose(f);
        return text;
    }
    fclose(f);
    snprintf(command, sizeof(command), "gzip -dc '%s'", full);
    f = popen(command, "r");
    if (!f) return NULL;
    char *text = slurp(f, len);
    return pclose(f) == 0 ? text : (free(text), NULL);
}
