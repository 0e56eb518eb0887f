/* file.c - a file's bytes, read or mapped.
 *
 * A refusal must be cheap: the header is checked on the front of the file, 1
 * MiB at first and twice as much each time the parser asks, before memory for
 * the whole is taken. What is used afterwards is parsed once more from the
 * bytes that stay: the file may have changed in between. */
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

static int32_t
io_fail(const char *path, const char *what)
{
    return decai__fail(DECAI_E_IO, "%s: %s failed, errno %d", path, what, errno);
}

/* Bytes [*got, len) of the file; *got moves. */
static int32_t
read_up_to(int fd, const char *path, uint8_t *out, size_t *got, size_t len, decai_task *task)
{
    while (*got < len) {
        if (decai__task_stopped(task)) return decai__fail(DECAI_E_CANCELLED, "%s: cancelled", path);
        ssize_t n = pread(fd, out + *got, DECAI__MIN(len - *got, STEP), (off_t)*got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return io_fail(path, "read");
        if (!n) return decai__fail(DECAI_E_CORRUPT, "%s: the file shrank while it was read", path);
        *got += (size_t)n;
        decai__task_report(task, "read", *got, len);
    }
    return 0;
}

/* Is the header good? Reads no more of the file than that takes. */
static int32_t
check_front(decai_context *ctx, int fd, const char *path, uint64_t file_len, decai_task *task)
{
    uint8_t *front = NULL;
    size_t got = 0, cap = 0;
    int32_t r = DECAI__MORE;
    while (r == DECAI__MORE) {
        size_t want = (size_t)DECAI__MIN(cap ? (uint64_t)cap * 2 : FRONT_MIN, file_len);
        uint8_t *grown = decai__realloc(ctx, front, cap, want);
        if (!grown) {
            r = decai__fail(DECAI_E_NOMEM, "%s: no memory for a header of %zu bytes", path, want);
            break;
        }
        front = grown;
        cap = want;
        r = read_up_to(fd, path, front, &got, want, task);
        if (r) break;
        decai__gguf g;
        r = decai__gguf_parse(ctx, &g, front, got, file_len);
        decai__gguf_free(ctx, &g);
    }
    decai__free(ctx, front);
    return r;
}

static int32_t
read_whole(decai_model *m, int fd, const char *path, size_t len, decai_task *task)
{
    size_t got = 0;
    int32_t r = check_front(m->h.context, fd, path, len, task);
    if (r) return r;
    m->block = decai__alloc(m->h.context, len + LINE);
    if (!m->block) return decai__fail(DECAI_E_NOMEM, "%s: no memory for %zu bytes", path, len);
    uint8_t *file = (uint8_t *)m->block + (LINE - (uintptr_t)m->block % LINE) % LINE;
    r = read_up_to(fd, path, file, &got, len, task);
    m->file = file;
    m->file_len = len;
    return r;
}

static int32_t
map_whole(decai_model *m, int fd, const char *path, size_t len)
{
    void *p = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) return io_fail(path, "mmap");
    m->block = p;
    m->map_len = len;
    m->file = p;
    m->file_len = len;
    return 0;
}

int32_t
decai__model_read(decai_model *m, const char *path, bool map, decai_task *task)
{
    struct stat st;
    /* O_NONBLOCK: a FIFO must be refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return io_fail(path, "open");
    int32_t r = 0;
    if (fstat(fd, &st)) r = io_fail(path, "stat");
    else if (!S_ISREG(st.st_mode)) r = decai__fail(DECAI_E_INVALID, "%s: not a regular file", path);
    else if (st.st_size <= 0) r = decai__fail(DECAI_E_CORRUPT, "magic: the file is empty");
    else if ((uint64_t)st.st_size > SIZE_MAX - LINE)
        r = decai__fail(DECAI_E_LIMIT, "%s: %lld bytes are too many for this machine", path, (long long)st.st_size);
    else if (map) r = map_whole(m, fd, path, (size_t)st.st_size);
    else r = read_whole(m, fd, path, (size_t)st.st_size, task);
    close(fd);
    if (r) return r;
    r = decai__gguf_parse(m->h.context, &m->gguf, m->file, m->file_len, m->file_len);
    decai__assert(r <= 0);
    return r;
}
