/* cli.c - see cli.h. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Is a progress bar on the line? One terminal, so one flag. */
static bool bar_drawn;

/* ---- errors ---------------------------------------------------------------- */

void
die(int code, const char *format, ...)
{
    va_list args;
    fflush(stdout);
    if (bar_drawn) fprintf(stderr, "\r%60s\r", "");
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
    const char *detail = decai_error_detail();
    if (r < 0) die(EXIT_FAILED, "%s: %s%s%s", what, decai_error_name(r), detail[0] ? ": " : "", detail);
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
    size_t plain = 0;                /* not yet copied */
    text_add(t, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) continue;
        text_add(t, data + plain, i - plain);
        plain = i + 1;
        if (c == '"' || c == '\\') text_printf(t, "\\%c", c);
        else text_printf(t, "\\u%04x", c);
    }
    text_add(t, data + plain, len - plain);
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

bool
json_field(text *out, const char *json, const char *name)
{
    text quoted = {0};
    text_printf(&quoted, "\"%s\":", name);
    const char *at = strstr(json, quoted.data);
    text_reserve(out, 0);
    if (at) {
        at += quoted.len;
        at += strspn(at, " ");
        bool string = *at == '"';
        const char *end = at += string;
        while (*end && !(string ? *end == '"' : strchr(",}]\n", *end) != NULL)) end += 1 + (*end == '\\' && end[1]);
        text_add(out, at, (size_t)(end - at));
    }
    text_free(&quoted);
    return at != NULL;
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
    if (ferror(f)) die(EXIT_FAILED, "%s: %s", path, strerror(errno));
    fclose(f);
    text_reserve(t, t->len);
}

void
file_write(const char *path, const void *data, size_t len)
{
    text temporary = {0};
    text_printf(&temporary, "%s.new", path);
    FILE *f = fopen(temporary.data, "wb");
    if (!f) die(EXIT_FAILED, "%s: %s", temporary.data, strerror(errno));
    int error = (len && fwrite(data, 1, len, f) != len) || fflush(f) || fsync(fileno(f)) ? errno : 0;
    if (fclose(f) && !error) error = errno;
    if (!error && rename(temporary.data, path)) error = errno;
    if (error) {
        remove(temporary.data);      /* nobody shall find half a file */
        die(EXIT_FAILED, "%s: %s", path, strerror(error));
    }
    text_free(&temporary);
}

const char *
model_shipped(void)
{
    static char found[4200];
    static const char *const beside[] = {
        "/../share/decai/model.gguf", "/../../examples/model/decai-actions.q8_0.gguf"};
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
    return NULL;
}

const char *
model_path(const char *given)
{
    const char *path = given ? given : model_shipped();
    if (!path) die(EXIT_USAGE, "the shipped model is not beside this program: name one with --model FILE");
    return path;
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
    p->drawn = bar_drawn = true;
}

void
progress_end(progress *p)
{
    if (p->drawn) fprintf(stderr, "\r%60s\r", "");
    p->drawn = bar_drawn = false;
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
    printf("  %-22s %s\n", "--help", "this text");
}

int
flags_read(int argc, char **argv, const flag *flags, size_t count, const char *usage)
{
    const char *command = argv[0];   /* the positionals take its place */
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
        size_t f = 0, named = strcspn(a, "=");     /* --name value, or --name=value */
        while (f < count && (strlen(flags[f].name) != named || memcmp(a, flags[f].name, named))) f++;
        if (f == count) die(EXIT_USAGE, "%s: unknown option; see decai %s --help", a, command);
        if (flags[f].set) *flags[f].set = true;
        if (!flags[f].placeholder) {
            if (a[named]) die(EXIT_USAGE, "%s: takes no value", flags[f].name);
            continue;
        }
        if (!a[named] && ++i == argc) die(EXIT_USAGE, "%s: needs its value %s", a, flags[f].placeholder);
        const char **value = flags[f].value;
        while (strstr(flags[f].placeholder, "...") && *value) value++;
        if (value - flags[f].value == FLAG_MANY_MAX) die(EXIT_USAGE, "%s: more than %d", flags[f].name, FLAG_MANY_MAX);
        *value = a[named] ? a + named + 1 : argv[i];
    }
    return kept;
}

int64_t
number_of(const char *given, const char *name, int64_t min, int64_t max)
{
    char *end;
    errno = 0;
    long long v = strtoll(given, &end, 10);
    bool digits = (given[0] >= '0' && given[0] <= '9') || given[0] == '-';
    if (errno || !digits || *end || v < min || v > max)
        die(EXIT_USAGE, "%s: \"%s\" is not a whole number from %lld to %lld", name, given, (long long)min, (long long)max);
    return v;
}

int64_t
bytes_of(const char *given, const char *name)
{
    static const char units[] = "KMGT";
    size_t n = strspn(given, "0123456789");
    const char *unit = given[n] ? strchr(units, given[n]) : NULL;
    int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    errno = 0;
    long long v = strtoll(given, NULL, 10);
    if (errno || !n || (given[n] && (!unit || given[n + 1])) || v > INT64_MAX >> shift)
        die(EXIT_USAGE, "%s: \"%s\" is not a number of bytes, such as 6G or 512M", name, given);
    return v << shift;
}

double
real_of(const char *given, const char *name, double min, double max)
{
    char *end;
    double v = strtod(given, &end);
    /* Not a number fails both comparisons. */
    if (!*given || *end || !(v >= min && v <= max))
        die(EXIT_USAGE, "%s: \"%s\" is not a number from %g to %g", name, given, min, max);
    return v;
}

void
backend_check(const char *name)
{
    static const char *const names[] = {"auto", "scalar", "native", "opencl"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) return;
    die(EXIT_USAGE, "--backend: \"%s\" is not auto, scalar, native or opencl", name);
}

/* ---- running a model --------------------------------------------------------------- */

static void
log_print(void *user, int32_t level, const char *message)
{
    (void)user;
    fprintf(stderr, "%sdecai: %s: %s\n", bar_drawn ? "\n" : "", level == DECAI_LOG_ERROR ? "error" : "warning", message);
}

decai_context *
context_make(int64_t threads, bool quiet)
{
    decai_options *o = NULL;
    decai_context *ctx = NULL;
    /* Where nobody asked: at least one pool thread, which keeps the progress bar moving. */
    if (threads < 0) threads = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? sysconf(_SC_NPROCESSORS_ONLN) - 1 : 1;
    check(decai_options_create(&o, NULL), "options");
    check(decai_options_set_i64(o, "base.threads", threads), "threads");
    if (!quiet) check(decai_options_set_fn(o, "base.log", (decai_fn)log_print, NULL), "log");
    check(decai_context_create(&ctx, o), "context");
    decai_destroy(o);
    return ctx;
}

decai_engine *
engine_open(decai_model *model, decai_options *o, progress *p)
{
    decai_engine *engine = NULL;
    decai_task *task = NULL;
    check(decai_engine_create_start(&task, &engine, model, o), "engine");
    check(task_finish(task, p), "engine");
    return engine;
}

decai_engine *
engine_make(decai_context *ctx, decai_model *model, const char *backend)
{
    decai_options *o = NULL;
    progress quiet = {0};
    check(decai_options_create(&o, ctx), "options");
    check(decai_options_set_str(o, "compute.backend", backend), "--backend");
    cache_use(o, backend);
    decai_engine *engine = engine_open(model, o, &quiet);
    decai_destroy(o);
    return engine;
}

int32_t
ids_encode(const decai_tokenizer *tok, text *ids, const char *data, size_t len, int32_t flags)
{
    size_t at = ids->len, n = 0, cap = len + 16;     /* rarely more ids than bytes: one pass */
    int32_t r = DECAI_E_SPACE;
    for (int tries = 0; r == DECAI_E_SPACE && tries < 2; tries++, cap = n) {
        text_reserve(ids, at + cap * sizeof(int32_t));
        r = decai_tokenizer_encode(tok, (int32_t *)(void *)(ids->data + at), cap, &n, (const uint8_t *)data, len, flags);
    }
    ids->len = at + (r ? 0 : n) * sizeof(int32_t);
    return r;
}

size_t
text_encode(decai_tokenizer *tok, text *ids, const char *data, size_t len, int32_t flags)
{
    ids->len = 0;
    check(ids_encode(tok, ids, data, len, flags), "text");
    return ids->len / sizeof(int32_t);
}

void
engine_device(text *t, decai_engine *engine, const char *wanted)
{
    text about = {0}, backend = {0}, device = {0};
    FETCH(&about, "engine", decai_engine_format(engine, out, cap, &len));
    json_field(&backend, about.data, "backend");
    json_field(&device, about.data, "device");
    text_printf(t, "%s: %s", backend.data, device.data);
    if (strcmp(wanted, "auto") && strcmp(wanted, backend.data)) text_printf(t, " (no %s device that works)", wanted);
    text_free(&about);
    text_free(&backend);
    text_free(&device);
}

/* Can nobody but the user change this? A file that is mapped and cut short by
 * somebody else would end the program. */
static bool
only_mine(const char *path, mode_t kind)
{
    struct stat st;
    return !lstat(path, &st) && (st.st_mode & S_IFMT) == kind && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

bool
model_mapped(const char *path)
{
    text folder = {0};
    const char *slash = strrchr(path, '/');
    if (slash) text_add(&folder, path, (size_t)(slash - path) + 1);
    else text_add(&folder, ".", 1);
    bool mine = only_mine(path, S_IFREG) && only_mine(folder.data, S_IFDIR);
    text_free(&folder);
    return mine;
}

decai_model *
model_open(decai_context *ctx, const char *path, progress *p)
{
    decai_task *task = NULL;
    decai_model *model = NULL;
    decai_options *o = NULL;
    check(decai_options_create(&o, ctx), "options");
    check(decai_options_set_i64(o, "model.map", model_mapped(path)), "model.map");
    check(decai_model_load_start(&task, &model, ctx, path, o), path);
    decai_destroy(o);
    check(task_finish(task, p), path);
    return model;
}

void
prompt_encode(decai_tokenizer *tok, text *ids, const char *prompt, bool raw)
{
    ids->len = 0;
    check(ids_encode(tok, ids, prompt, strlen(prompt), raw ? 0 : DECAI_ENCODE_ADD), "prompt");
    /* A model that was trained on request and answer with a token between them. */
    static const char between[] = "<|sep|>";
    int32_t separator;
    if (!raw && (decai_tokenizer_special_get(tok, &separator, "separator") == 0 ||
                    decai_tokenizer_id_get(tok, &separator, (const uint8_t *)between, sizeof between - 1) == 0))
        text_add(ids, (const char *)&separator, sizeof separator);
}

int32_t
hash_of(uint8_t out[32], const void *data, size_t len)
{
    return check(decai_hash_keccak256(out, 32, data, len), "hash");
}
