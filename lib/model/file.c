/* file.c - a file's bytes, read or mapped.
 *
 * A refusal must be cheap: the header is checked on the front of the file, 1
 * MiB at first and twice as much each time the parser asks, before memory for
 * the whole is taken. What is used afterwards is parsed once more from the
 * bytes that stay: the file may have changed in between.
 *
 * A mapped file is not read at all until somebody looks at a tensor: opening
 * takes milliseconds whatever the size, and a tensor that was copied elsewhere
 * (repacked) gives its pages back with decai__tensor_drop. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/internal.h"

#define FRONT_MIN (1u << 20)
#define STEP      (4u << 20)         /* read at once, between looks at the task */
#define LINE      64                 /* data is placed on cache lines */
#define SNIFF     16                 /* bytes that tell formats apart */

static int32_t
io_fail(const char *path, const char *what)
{
    return decai__fail(DECAI_E_IO, "%s: %s failed, errno %d", path, what, errno);
}

static int32_t
open_regular(const char *path, int *fd, uint64_t *len)
{
    struct stat st;
    int32_t r = 0;
    /* O_NONBLOCK: a FIFO must be refused, not waited for. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) return io_fail(path, "open");
    if (fstat(*fd, &st)) r = io_fail(path, "stat");
    else if (!S_ISREG(st.st_mode)) r = decai__fail(DECAI_E_INVALID, "%s: not a regular file", path);
    else if (st.st_size <= 0) r = decai__fail(DECAI_E_CORRUPT, "magic: the file is empty");
    else if ((uint64_t)st.st_size > SIZE_MAX - LINE)
        r = decai__fail(DECAI_E_LIMIT, "%s: %lld bytes are too many for this machine", path, (long long)st.st_size);
    if (r) close(*fd);
    else *len = (uint64_t)st.st_size;
    return r;
}

/* Bytes [*got, len) of the file; *got moves. */
static int32_t
read_up_to(decai__loader *l, int fd, const char *path, uint8_t *out, size_t *got, size_t len)
{
    while (*got < len) {
        if (decai__task_stopped(l->task)) return decai__fail(DECAI_E_CANCELLED, "%s: cancelled", path);
        ssize_t n = pread(fd, out + *got, DECAI__MIN(len - *got, STEP), (off_t)*got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return io_fail(path, "read");
        if (!n) return decai__fail(DECAI_E_CORRUPT, "%s: the file shrank while it was read", path);
        *got += (size_t)n;
        decai__task_report(l->task, "read", l->done + *got, DECAI__MAX(l->total, l->done + len));
    }
    return 0;
}

static int32_t
keep_path(decai_context *ctx, decai__file *f, const char *path)
{
    size_t len = strlen(path) + 1;
    f->path = decai__alloc(ctx, len);
    if (!f->path) return decai__fail(DECAI_E_NOMEM, "%s: no memory for the path", path);
    memcpy(f->path, path, len);
    return 0;
}

/* ---- what is it? ----------------------------------------------------------- */

/* A safetensors file begins with the length of a JSON object and that object; an
 * index is a JSON object. Everything else has to explain itself as a GGUF. */
static int32_t
kind_of(const uint8_t *p, size_t n, uint64_t len)
{
    if (n >= 4 && !memcmp(p, "GGUF", 4)) return DECAI__KIND_GGUF;
    if (n > 8 && p[8] == '{' && decai__load_le64(p) <= len - 8) return DECAI__KIND_SAFETENSORS;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '{') return DECAI__KIND_INDEX;
        if (p[i] != ' ' && p[i] != '\n' && p[i] != '\r' && p[i] != '\t') break;
    }
    return DECAI__KIND_GGUF;
}

int32_t
decai__file_kind(const char *path, int32_t *kind, uint64_t *len)
{
    decai__loader quiet = { 0 };
    uint8_t front[SNIFF];
    size_t got = 0;
    int fd;
    int32_t r = open_regular(path, &fd, len);
    if (r) return r;
    size_t n = (size_t)DECAI__MIN(*len, (uint64_t)SNIFF);
    r = read_up_to(&quiet, fd, path, front, &got, n);
    close(fd);
    if (!r) *kind = kind_of(front, n, *len);
    return r;
}

/* ---- fronts, whole files, small files ---------------------------------------- */

int32_t
decai__file_front(decai__loader *l, decai__file *f, const char *path, decai__front_fn *check, void *user)
{
    decai_context *ctx = l->model->h.context;
    uint8_t *front = NULL;
    size_t got = 0, cap = 0;
    int fd;
    int32_t r = open_regular(path, &fd, &f->len);
    if (r) return r;
    for (r = DECAI__MORE; r == DECAI__MORE;) {
        size_t want = (size_t)DECAI__MIN(cap ? (uint64_t)cap * 2 : FRONT_MIN, f->len);
        uint8_t *grown = decai__realloc(ctx, front, cap, want);
        if (!grown) {
            r = decai__fail(DECAI_E_NOMEM, "%s: no memory for a header of %zu bytes", path, want);
            break;
        }
        front = grown;
        cap = want;
        r = read_up_to(l, fd, path, front, &got, want);
        if (!r) r = check(user, front, got, f->len);
    }
    close(fd);
    f->block = front;
    f->data = front;
    f->have = got;
    return r ? r : keep_path(ctx, f, path);
}

static int32_t
read_whole(decai__loader *l, decai__file *f, int fd, const char *path)
{
    size_t got = 0, len = (size_t)f->len;
    f->block = decai__alloc(l->model->h.context, len + LINE);
    if (!f->block) return decai__fail(DECAI_E_NOMEM, "%s: no memory for %zu bytes", path, len);
    uint8_t *data = (uint8_t *)f->block + (LINE - (uintptr_t)f->block % LINE) % LINE;
    int32_t r = read_up_to(l, fd, path, data, &got, len);
    f->data = data;
    f->have = got;
    l->done += got;
    return r;
}

static int32_t
map_whole(decai__file *f, int fd, const char *path)
{
    void *p = mmap(NULL, (size_t)f->len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) return io_fail(path, "mmap");
    f->block = p;
    f->map_len = f->have = (size_t)f->len;
    f->data = p;
    return 0;
}

int32_t
decai__file_whole(decai__loader *l, decai__file *f, const char *path)
{
    int fd;
    int32_t r = open_regular(path, &fd, &f->len);
    if (r) return r;
    r = l->map ? map_whole(f, fd, path) : read_whole(l, f, fd, path);
    close(fd);
    return r ? r : keep_path(l->model->h.context, f, path);
}

int32_t
decai__file_text(const char *path, decai__buf *out)
{
    uint8_t step[4096];
    uint64_t len, at = 0;
    int fd;
    int32_t r = open_regular(path, &fd, &len);
    if (r) return r;
    if (len > out->max - out->len)
        r = decai__fail(DECAI_E_LIMIT, "%s: %llu bytes are above %zu", path, (unsigned long long)len, out->max);
    while (!r && at < len) {
        ssize_t n = pread(fd, step, (size_t)DECAI__MIN(len - at, (uint64_t)sizeof step), (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) r = io_fail(path, "read");
        else if (!n) r = decai__fail(DECAI_E_CORRUPT, "%s: the file shrank while it was read", path);
        else r = decai__buf_add(out, step, (size_t)n), at += (uint64_t)n;
    }
    close(fd);
    return r;
}

void
decai__file_close(decai_context *ctx, decai__file *f)
{
    if (f->map_len) munmap(f->block, f->map_len);
    else decai__free(ctx, f->block);
    decai__free(ctx, f->path);
    memset(f, 0, sizeof *f);
}

int32_t
decai__files_reset(decai_model *m, size_t count)
{
    decai_context *ctx = m->h.context;
    for (size_t i = 0; i < m->file_count; i++) decai__file_close(ctx, &m->files[i]);
    decai__free(ctx, m->files);
    m->files = NULL;
    m->file_count = 0;
    if (!count) return 0;
    m->files = decai__calloc(ctx, count, sizeof *m->files);
    if (!m->files) return decai__fail(DECAI_E_NOMEM, "model: no memory for %zu files", count);
    m->file_count = count;
    return 0;
}

int32_t
decai__model_read(decai__loader *l, const char *path)
{
    int32_t kind, r = decai__file_kind(path, &kind, &l->total);
    if (r) return r;
    l->model->format = kind == DECAI__KIND_GGUF ? "gguf" : "safetensors";
    if (kind == DECAI__KIND_GGUF) return decai__gguf_load(l, path);
    return decai__safetensors_load(l, path, kind == DECAI__KIND_INDEX);
}

/* ---- pages -------------------------------------------------------------------- */

/* The mapped file that holds the tensor; NULL when it was read or made. */
static const decai__file *
mapping_of(const decai_model *m, const decai__tensor *t)
{
    for (size_t i = 0; i < m->file_count; i++) {
        const decai__file *f = &m->files[i];
        if (f->map_len && t->data >= f->data && t->data < f->data + f->have) return f;
    }
    return NULL;
}

/* The pages that lie inside the tensor (whole), or that it touches. */
static size_t
pages_of(const decai__tensor *t, bool whole, uint8_t **start)
{
    long size = sysconf(_SC_PAGESIZE);
    size_t page = size > 0 ? (size_t)size : 4096, first = (uintptr_t)t->data, last = first + t->size;
    first = (whole ? first + page - 1 : first) / page * page;
    last = last / page * page;
    *start = (uint8_t *)(uintptr_t)t->data + (first - (uintptr_t)t->data);
    return last > first ? last - first : 0;
}

void
decai__tensor_drop(const decai_model *m, const decai__tensor *t)
{
    uint8_t *start;
    size_t len;
    if (!mapping_of(m, t) || !(len = pages_of(t, true, &start))) return;
    /* A private mapping that nobody wrote to: the pages come back from the file
     * when somebody looks again. Advice may be refused; nothing depends on it. */
    (void)madvise(start, len, MADV_DONTNEED);
}

void
decai__tensor_prefetch(const decai_model *m, const decai__tensor *t)
{
    uint8_t *start;
    size_t len;
    if (!mapping_of(m, t) || !(len = pages_of(t, false, &start))) return;
    (void)madvise(start, len, MADV_WILLNEED);
}
