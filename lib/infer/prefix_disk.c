/* prefix_disk.c - pages of caches on disk, under infer.prefix_dir and nowhere else.
 *
 * A file is one page of one model under one contract number behind one beginning, and
 * its name says so; so machines, backends and runs may share a folder's files:
 *
 *     key     H("decai.prefix.page.1", model root, contract u64, the parent's key, 64 tokens u64)
 *     file    0   16   magic, with the format's version
 *             16  32   digest
 *             48   8   1: token roots follow the rows; u64 little-endian
 *             56  ..   rows as the contract's caches keep them: [layer][k, v][position][head]
 *             ..  2048 token roots of its 64 positions, or nothing
 *     digest  H("decai.prefix.data.1", key, layers u64, Keccak-256 of each layer's rows, roots)
 *
 * The folder is made 0700 and must belong to this user with no access for others: who
 * can write there can choose what a model remembers. A file that is not as long as it
 * must be, does not fit its digest, or holds what no cache can hold is not used, and the
 * log says so. Nothing here is an error to the caller: what is not there is computed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "infer/prefix.h"

#define HEAD 56
#define ROOTS ((size_t)32 * DECAI__KV_PAGE)
#define NAME_LEN 64
#define ENDING ".kv"
static const char MAGIC[16] = "decai-prefix-1";

/* ---- names and digests ------------------------------------------------------------------------ */

void
decai__prefix_key(uint8_t out[32], const decai__prefix_disk *d, const uint8_t *parent, const int32_t *tokens)
{
    static const uint8_t none[32];
    decai__keccak k;

    decai__keccak_init(&k);
    decai__hash_domain(&k, DECAI__DOMAIN_PREFIX_PAGE);
    decai__keccak_update(&k, d->root, 32);
    decai__hash_u64(&k, (uint64_t)d->contract);
    decai__keccak_update(&k, parent ? parent : none, 32);
    for (size_t i = 0; i < DECAI__KV_PAGE; i++) decai__hash_u64(&k, (uint64_t)(uint32_t)tokens[i]);
    decai__keccak_final(&k, out);
}

static void
digest_of(uint8_t out[32], const uint8_t key[32], const uint8_t *rows, size_t len, size_t layers, const uint8_t *roots)
{
    decai__keccak k;
    size_t each = len / layers;

    decai__keccak_init(&k);
    decai__hash_domain(&k, DECAI__DOMAIN_PREFIX_DATA);
    decai__keccak_update(&k, key, 32);
    decai__hash_u64(&k, layers);
    for (size_t l = 0; l < layers; l += 8) {
        uint8_t made[8][32];
        const void *data[8];
        size_t n = DECAI__MIN((size_t)8, layers - l);
        for (size_t i = 0; i < n; i++) data[i] = rows + (l + i) * each;
        decai__keccak256_many(made, data, each, n);
        decai__keccak_update(&k, made, 32 * n);
    }
    if (roots) decai__keccak_update(&k, roots, ROOTS);
    decai__keccak_final(&k, out);
}

/* ---- the folder ---------------------------------------------------------------------------------- */

/* Bytes of our files. */
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
        size_t len = strlen(e->d_name), end = sizeof ENDING - 1;
        if (len != NAME_LEN + end || strcmp(e->d_name + NAME_LEN, ENDING)) continue;
        if (!fstatat(at, e->d_name, &st, AT_SYMLINK_NOFOLLOW) && st.st_size > 0) total += (uint64_t)st.st_size;
    }
    closedir(d);
    return total;
}

int32_t
decai__prefix_disk_open(decai__prefix_disk *d, decai_context *ctx, const char *dir, uint64_t most, const uint8_t *root,
    int32_t contract)
{
    struct stat st;

    *d = (decai__prefix_disk){ .ctx = ctx, .dir = -1, .most = most, .contract = contract };
    if (!*dir) return 0;
    if (!root) return decai__fail(DECAI_E_STATE, "infer.prefix_dir: the model has no root, it was opened with model.hash 0");
    memcpy(d->root, root, 32);
    (void)mkdir(dir, 0700);
    d->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (d->dir < 0) return decai__fail(DECAI_E_IO, "infer.prefix_dir: \"%.200s\" cannot be opened", dir);
    if (fstat(d->dir, &st) || st.st_uid != geteuid() || (st.st_mode & 077)) {
        decai__prefix_disk_close(d);
        return decai__fail(DECAI_E_DENIED, "infer.prefix_dir: \"%.200s\" is not this user's alone", dir);
    }
    d->used = used(d->dir);
    return 0;
}

void
decai__prefix_disk_close(decai__prefix_disk *d)
{
    if (d->dir >= 0) close(d->dir);
    d->dir = -1;
}

/* ---- files ------------------------------------------------------------------------------------------ */

/* The whole file into room of HEAD + rows + ROOTS bytes; false: there is none, or it is
 * not one of ours. */
static bool
read_file(const decai__prefix_disk *d, const char *name, uint8_t *file, size_t rows, bool *roots)
{
    struct stat st;
    int fd = openat(d->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0) return false;
    bool good = !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() && decai__read_all(fd, file, HEAD)
        && !memcmp(file, MAGIC, sizeof MAGIC) && decai__load_le64(file + 48) <= 1;
    *roots = good && decai__load_le64(file + 48) == 1;
    size_t len = rows + (*roots ? ROOTS : 0);
    good = good && (uint64_t)st.st_size == HEAD + (uint64_t)len && decai__read_all(fd, file + HEAD, len);
    close(fd);
    if (!good) decai__log(d->ctx, DECAI_LOG_WARN, "infer: prefix file %.16s is not used: it is not one of ours", name);
    return good;
}

int32_t
decai__prefix_disk_load(decai__prefix_disk *d, const uint8_t key[32], decai_session *s, size_t page, uint8_t **roots)
{
    char name[NAME_LEN + 8];
    size_t rows = decai__kv_page_size(s->kv);
    uint8_t digest[32], *file;
    bool with_roots = false;
    int32_t r = 0;

    *roots = NULL;
    if (d->dir < 0) return 0;
    decai__digest_name(name, key, ENDING);
    if (faccessat(d->dir, name, F_OK, AT_SYMLINK_NOFOLLOW)) return 0;
    file = decai__alloc(d->ctx, HEAD + rows + ROOTS);
    if (!file) return 0;
    bool good = read_file(d, name, file, rows, &with_roots) && (with_roots || !s->tree);
    if (good) {
        digest_of(digest, key, file + HEAD, rows, s->engine->program->shape.layers, with_roots ? file + HEAD + rows : NULL);
        if (!memcmp(digest, file + 16, 32)) r = decai__kv_page_import(s->kv, page, file + HEAD);
        else r = decai__fail(DECAI_E_INTEGRITY, "prefix file %.16s: its bytes are not those of its digest", name);
        if (r) decai__log(d->ctx, DECAI_LOG_WARN, "infer: %s: not used", decai__error_detail());
    }
    if (good && !r && with_roots) *roots = decai__memdup(d->ctx, file + HEAD + rows, ROOTS);
    good = good && (!s->tree || *roots);
    decai__free(d->ctx, file);
    if (r == DECAI_E_DEVICE) return r;
    if (!r && good) d->loaded += HEAD + rows;
    return !r && good;
}

void
decai__prefix_disk_save(decai__prefix_disk *d, const uint8_t key[32], decai_session *s, size_t page, const uint8_t *roots)
{
    char name[NAME_LEN + 8], beside[NAME_LEN + 8];
    size_t rows = decai__kv_page_size(s->kv), len = HEAD + rows + (roots ? ROOTS : 0);
    uint8_t *file;

    if (d->dir < 0 || d->used + len > d->most) return;
    decai__digest_name(name, key, ENDING);
    decai__digest_name(beside, key, ".new");
    if (!faccessat(d->dir, name, F_OK, AT_SYMLINK_NOFOLLOW)) return;
    file = decai__alloc(d->ctx, len);
    if (!file) return;
    bool good = !decai__kv_page_export(s->kv, page, file + HEAD);
    if (roots) memcpy(file + HEAD + rows, roots, ROOTS);
    memcpy(file, MAGIC, sizeof MAGIC);
    decai__store_le64(file + 48, roots != NULL);
    if (good) digest_of(file + 16, key, file + HEAD, rows, s->engine->program->shape.layers, roots);
    int fd = good ? openat(d->dir, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    good = fd >= 0 && decai__write_all(fd, file, len);
    if (fd >= 0) good = !close(fd) && good;
    if (good) good = !renameat(d->dir, beside, d->dir, name);
    if (!good) {
        (void)unlinkat(d->dir, beside, 0);
        decai__log(d->ctx, DECAI_LOG_WARN, "infer: prefix file %.16s cannot be written", name);
    }
    if (good) d->used += len, d->saved += len;
    decai__free(d->ctx, file);
}
