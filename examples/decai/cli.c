/* cli.c - see cli.h. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- errors ---------------------------------------------------------------- */

void
die(int code, const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fputs("decai: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(code);
}

int32_t
check(int32_t r, const char *what)
{
    if (r < 0) die(EXIT_FAILED, "%s: %s: %s", what, decai_error_name(r), decai_error_detail());
    return r;
}

/* ---- text -------------------------------------------------------------------- */

char *
text_reserve(text *t, size_t len)
{
    if (len + 1 > t->cap) {
        size_t cap = t->cap ? t->cap : 256;
        while (cap < len + 1) cap *= 2;
        t->data = realloc(t->data, cap);
        if (!t->data) die(EXIT_FAILED, "out of memory: %zu bytes", cap);
        t->cap = cap;
    }
    t->len = len;
    t->data[len] = 0;
    return t->data;
}

void
text_add(text *t, const char *data, size_t len)
{
    size_t at = t->len;
    text_reserve(t, at + len);
    if (len) memcpy(t->data + at, data, len);
}

void
text_printf(text *t, const char *format, ...)
{
    char small[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n < (int)sizeof small) {
        text_add(t, small, (size_t)n);
        return;
    }
    size_t at = t->len;
    text_reserve(t, at + (size_t)n);
    va_start(args, format);
    vsnprintf(t->data + at, (size_t)n + 1, format, args);
    va_end(args);
}

void
text_json(text *t, const char *data, size_t len)
{
    text_add(t, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c == '"' || c == '\\') text_printf(t, "\\%c", c);
        else if (c < 0x20 || c == 0x7f) text_printf(t, "\\u%04x", c);
        else text_add(t, data + i, 1);
    }
    text_add(t, "\"", 1);
}

void
text_hex(text *t, const uint8_t *data, size_t len)
{
    text_add(t, "0x", 2);
    for (size_t i = 0; i < len; i++) text_printf(t, "%02x", data[i]);
}

void
text_free(text *t)
{
    free(t->data);
    *t = (text){0};
}

/* ---- files -------------------------------------------------------------------- */

bool
file_exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0;
}

void
file_read(text *t, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) die(EXIT_FAILED, "%s: %s", path, strerror(errno));
    char block[65536];
    size_t n;
    t->len = 0;
    while ((n = fread(block, 1, sizeof block, f)) > 0) text_add(t, block, n);
    bool bad = ferror(f) != 0;
    fclose(f);
    if (bad) die(EXIT_FAILED, "%s: cannot be read", path);
    text_reserve(t, t->len);
}

void
file_write(const char *path, const void *data, size_t len)
{
    text temporary = {0};
    text_printf(&temporary, "%s.new", path);
    FILE *f = fopen(temporary.data, "wb");
    if (!f) die(EXIT_FAILED, "%s: %s", temporary.data, strerror(errno));
    bool bad = (len && fwrite(data, 1, len, f) != len) || fflush(f) || fsync(fileno(f));
    bad |= fclose(f) != 0;
    if (bad || rename(temporary.data, path)) {
        remove(temporary.data);
        die(EXIT_FAILED, "%s: %s", path, strerror(errno));
    }
    text_free(&temporary);
}

const char *
model_path(const char *given)
{
    static char found[4200];
    static const char *const beside[] = {
        "/../share/decai/model.gguf", "/../../examples/model/decai-actions.q8_0.gguf"};
    if (given) return given;
    char self[4000];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = 0;
        *strrchr(self, '/') = 0;
        for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
            snprintf(found, sizeof found, "%s%s", self, beside[i]);
            if (file_exists(found)) return found;
        }
    }
    die(EXIT_USAGE, "the shipped model is not beside this program: name one with --model FILE");
}

/* ---- progress ------------------------------------------------------------------ */

void
progress_init(progress *p, bool quiet)
{
    const char *term = getenv("TERM");
    *p = (progress){.on = !quiet && isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"))};
}

void
progress_show(progress *p, const char *phase, uint64_t done, uint64_t total)
{
    enum { WIDTH = 30 };
    if (!p->on || !phase[0]) return;
    int full = total ? (int)(done * WIDTH / total) : 0;
    fprintf(stderr, "\r  %-8s [", phase);
    for (int i = 0; i < WIDTH; i++) fputc(i < full ? '#' : '.', stderr);
    if (total) fprintf(stderr, "] %3d %%", (int)(done * 100 / total));
    else fprintf(stderr, "] %llu  ", (unsigned long long)done);
    fflush(stderr);
    p->drawn = true;
}

void
progress_end(progress *p)
{
    if (p->drawn) fprintf(stderr, "\r%60s\r", "");
    p->drawn = false;
}

int32_t
task_finish(decai_task *task, progress *p)
{
    int32_t r;
    /* Ten looks a second: enough for an eye, nothing for a processor. */
    while ((r = decai_task_wait(task, 100)) == DECAI_E_TIMEOUT) {
        const char *phase;
        uint64_t done, total;
        check(decai_task_progress(task, &phase, &done, &total), "progress");
        progress_show(p, phase, done, total);
    }
    progress_end(p);
    decai_destroy(task);
    return r;
}

colours
colours_for(FILE *f)
{
    const char *no = getenv("NO_COLOR");
    if (!isatty(fileno(f)) || (no && *no)) return (colours){"", "", "", "", ""};
    return (colours){"\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[0m"};
}

/* ---- arguments ------------------------------------------------------------------ */

static void
flags_help(const flag *flags, size_t count, const char *usage)
{
    printf("%s\n", usage);
    for (size_t i = 0; i < count; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", flags[i].name, flags[i].placeholder ? flags[i].placeholder : "");
        printf("  %-22s %s\n", left, flags[i].help);
    }
}

int
flags_read(int argc, char **argv, const flag *flags, size_t count, const char *usage)
{
    int kept = 0;
    bool only_names = false;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (only_names || a[0] != '-' || !a[1]) {
            argv[kept++] = argv[i];
            continue;
        }
        if (!strcmp(a, "--")) {
            only_names = true;
            continue;
        }
        if (!strcmp(a, "--help") || !strcmp(a, "-h")) {
            flags_help(flags, count, usage);
            exit(EXIT_OK);
        }
        size_t f = 0;
        while (f < count && strcmp(a, flags[f].name)) f++;
        if (f == count) die(EXIT_USAGE, "%s: unknown option; see decai %s --help", a, argv[0]);
        if (flags[f].set) *flags[f].set = true;
        if (!flags[f].placeholder) continue;
        if (++i == argc) die(EXIT_USAGE, "%s: needs a %s", a, flags[f].placeholder);
        *flags[f].value = argv[i];
    }
    return kept;
}

int64_t
number_of(const char *given, const char *name, int64_t min, int64_t max)
{
    char *end;
    errno = 0;
    long long v = strtoll(given, &end, 10);
    if (errno || !*given || *end || v < min || v > max)
        die(EXIT_USAGE, "%s: \"%s\" is not a whole number from %lld to %lld", name, given, (long long)min, (long long)max);
    return v;
}

/* ---- running a model --------------------------------------------------------------- */

decai_context *
context_make(int64_t threads)
{
    decai_options *o = NULL;
    decai_context *ctx = NULL;
    if (threads < 0) threads = sysconf(_SC_NPROCESSORS_ONLN) - 1;
    if (threads < 1) threads = 1;    /* a pool thread keeps the progress bar moving */
    check(decai_options_create(&o, NULL), "options");
    check(decai_options_set_i64(o, "base.threads", threads), "threads");
    check(decai_context_create(&ctx, o), "context");
    decai_destroy(o);
    return ctx;
}

decai_model *
model_open(decai_context *ctx, const char *path, progress *p)
{
    decai_task *task = NULL;
    decai_model *model = NULL;
    check(decai_model_load_start(&task, &model, ctx, path, NULL), path);
    check(task_finish(task, p), path);
    return model;
}

void
prompt_encode(decai_tokenizer *tok, text *ids, const char *prompt, bool raw)
{
    size_t n = 0;
    int32_t flags = raw ? 0 : DECAI_ENCODE_ADD;
    const uint8_t *bytes = (const uint8_t *)prompt;
    int32_t r = decai_tokenizer_encode(tok, NULL, 0, &n, bytes, strlen(prompt), flags);
    if (r != DECAI_E_SPACE) check(r, "prompt");
    text_reserve(ids, (n + 1) * sizeof(int32_t));
    if (n) check(decai_tokenizer_encode(tok, (int32_t *)(void *)ids->data, n, &n, bytes, strlen(prompt), flags), "prompt");
    int32_t separator;
    if (!raw && decai_tokenizer_special_get(tok, &separator, "separator") == 0)
        ((int32_t *)(void *)ids->data)[n++] = separator;
    ids->len = n * sizeof(int32_t);
}

int32_t
hash_of(uint8_t out[32], const void *data, size_t len)
{
    return check(decai_hash_keccak256(out, 32, data, len), "hash");
}
