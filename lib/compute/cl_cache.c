/* cl_cache.c - compiled programs on disk, under compute.cache_dir and nowhere else.
 *
 * The folder is made 0700 and must belong to this user with no access for others:
 * a driver runs what a binary says. A file is named after its key and holds
 *
 *     0   16  magic, with the format's version
 *     16  32  Keccak-256 of key and data
 *     48  ..  data
 *
 * written beside its name and moved over it. Nothing here is an error to the
 * caller: a cache that cannot be used is a build that takes longer, and the log
 * says why. Above CACHE_BYTES_MAX in the folder nothing more is kept. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compute/cl_backend.h"
#include "hash/hash.h"

#define CACHE_BYTES_MAX ((uint64_t)256 << 20)
#define HEAD 48
#define NAME_LEN 64                  /* hex of the key, without the ending */
static const char MAGIC[16] = "decai-program-1";

static int32_t
give_up(decai_context *ctx, const char *dir, const char *why)
{
    decai__log(ctx, DECAI_LOG_WARN, "compute: cache \"%.200s\" is not used: %s", dir, why);
    return -1;
}

/* The folder's descriptor, or -1. */
static int
open_dir(decai_context *ctx, const char *dir, bool make)
{
    struct stat st;
    if (make) (void)mkdir(dir, 0700);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return make ? give_up(ctx, dir, "it cannot be opened") : -1;
    if (!fstat(fd, &st) && st.st_uid == geteuid() && !(st.st_mode & 077)) return fd;
    close(fd);
    return give_up(ctx, dir, "it is not this user's alone");
}

static void
digest_of(uint8_t out[32], const decai__cl_key *key, const uint8_t *data, size_t len)
{
    decai__keccak k;
    decai__keccak_init(&k);
    decai__keccak_update(&k, key->bytes, sizeof key->bytes);
    decai__keccak_update(&k, data, len);
    decai__keccak_final(&k, out);
}

/* The file's data into out: 1 good | 0 not | DECAI_E_NOMEM. */
static int32_t
read_file(int fd, const decai__cl_key *key, decai__buf *out)
{
    struct stat st;
    uint8_t head[HEAD], digest[32];
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_size <= HEAD
        || (uint64_t)st.st_size - HEAD > out->max || !decai__read_all(fd, head, HEAD) || memcmp(head, MAGIC, sizeof MAGIC)) return 0;
    size_t len = (size_t)st.st_size - HEAD;
    uint8_t *data = decai__alloc(out->ctx, len);
    if (!data) return DECAI_E_NOMEM;
    int32_t r = 0;
    if (decai__read_all(fd, data, len)) {
        digest_of(digest, key, data, len);
        if (!memcmp(digest, head + 16, 32)) r = decai__buf_add(out, data, len) ? DECAI_E_NOMEM : 1;
    }
    decai__free(out->ctx, data);
    return r;
}

int32_t
decai__cl_cache_load(decai_context *ctx, const char *dir, const decai__cl_key *key, decai__buf *out)
{
    char name[NAME_LEN + 8];
    int at = open_dir(ctx, dir, false);
    if (at < 0) return 0;
    decai__digest_name(name, key->bytes, ".clbin");
    int fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int32_t r = fd < 0 ? 0 : read_file(fd, key, out);
    if (fd >= 0 && r == 0) decai__log(ctx, DECAI_LOG_WARN, "compute: cached program %.16s is damaged: built anew", name);
    if (fd >= 0) close(fd);
    close(at);
    return r;
}

/* Bytes of programs in the folder; others' files do not count. */
static uint64_t
used(int at)
{
    struct stat st;
    uint64_t total = 0;
    int copy = dup(at);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d) {
        if (copy >= 0) close(copy);
        return 0;
    }
    rewinddir(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        size_t len = strlen(e->d_name);
        if (len < 6 || strcmp(e->d_name + len - 6, ".clbin")) continue;
        if (!fstatat(at, e->d_name, &st, AT_SYMLINK_NOFOLLOW) && st.st_size > 0) total += (uint64_t)st.st_size;
    }
    closedir(d);
    return total;
}

void
decai__cl_cache_save(decai_context *ctx, const char *dir, const decai__cl_key *key, const uint8_t *data, size_t len)
{
    char name[NAME_LEN + 8], beside[NAME_LEN + 8];
    uint8_t head[HEAD];
    int at = open_dir(ctx, dir, true);
    if (at < 0) return;
    decai__digest_name(name, key->bytes, ".clbin");
    decai__digest_name(beside, key->bytes, ".new");
    if (used(at) + HEAD + len > CACHE_BYTES_MAX) {
        (void)give_up(ctx, dir, "it is full");
        close(at);
        return;
    }
    memcpy(head, MAGIC, sizeof MAGIC);
    digest_of(head + 16, key, data, len);
    int fd = openat(at, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = fd >= 0 && decai__write_all(fd, head, HEAD) && decai__write_all(fd, data, len);
    if (fd >= 0) good = !close(fd) && good;
    if (good) good = !renameat(at, beside, at, name);
    if (!good) {
        (void)unlinkat(at, beside, 0);
        (void)give_up(ctx, dir, "it cannot be written");
    }
    close(at);
}
