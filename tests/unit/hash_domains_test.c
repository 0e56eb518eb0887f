/* hash_domains_test.c - every row of lib/hash/DOMAINS.md has a golden value, and
 * those of kind hash and tree are recomputed here, whatever room they are of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hash/hash.h"

/* The cell between two bars, without spaces and back quotes at its ends. */
static char *cell(char **at)
{
    char *start = *at, *end = strchr(start, '|');
    assert_non_null(end);
    *at = end + 1;
    while (*start == ' ' || *start == '`') start++;
    while (end > start && (end[-1] == ' ' || end[-1] == '`')) end--;
    *end = 0;
    return start;
}

static void rows(void **state)
{
    char line[1024], kind[16], text[65];
    size_t count = 0, own = 0, ours = 0;
    (void)state;
    FILE *f = fopen("lib/hash/DOMAINS.md", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        uint8_t hash[32];
        if (strncmp(line, "| `", 3)) continue;
        char *at = line + 1;
        char *domain = cell(&at), *room = cell(&at), *preimage = cell(&at), *golden = cell(&at);
        assert_int_equal(decai__domain_check(domain), 0);
        if (strlen(golden) != 64 || strspn(golden, "0123456789abcdef") != 64)
            fail_msg("%s: golden value is no hash: %s", domain, golden);
        assert_int_equal(sscanf(preimage, "%15[a-z]:", kind), 1);
        count++;
        if (!strcmp(kind, "own")) {
            own++;
            continue;
        }
        ours += !strcmp(room, "hash");
        if (decai__domain_golden(hash, kind, domain)) fail_msg("%s: unknown kind %s", domain, kind);
        for (size_t i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", hash[i]);
        if (strcmp(text, golden)) fail_msg("%s: %s here, %s in DOMAINS.md", domain, text, golden);
    }
    fclose(f);
    assert_true(ours >= 2);
    printf("# %zu domains, %zu of them checked by their rooms\n", count, own);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(rows) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
