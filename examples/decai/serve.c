/* serve.c - decai serve: models behind OpenAI's HTTP interface.
 *
 * This file begins and ends it. SIGTERM and SIGINT are waited for by the main thread:
 * the first closes the door and lets the answers that are being given come to their
 * end, at most --drain seconds; the second ends them. */
#include "serve.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

typedef struct arguments {
    const char *models[FLAG_MANY_MAX + 1], *drafts[FLAG_MANY_MAX + 1], *templates[FLAG_MANY_MAX + 1];
    const char *memory, *name, *host, *port, *backend, *threads, *context, *kv_type, *keys, *cors, *cert, *key, *body, *connections,
        *queue, *slots, *timeout, *drain;
    bool allow_special;
} arguments;

/* ---- options ------------------------------------------------------------------------ */

/* A key a line; empty lines and those that begin with # are none. */
static void
keys_read(server *s, const char *path)
{
    text file = {0};
    char *rest = NULL;
    file_read(&file, path);
    for (char *line = strtok_r(file.data, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        if (!line[strspn(line, " \t")] || line[0] == '#') continue;
        if (s->key_count == SERVE_KEYS_MAX) die(EXIT_USAGE, "--api-keys: more than %d keys", SERVE_KEYS_MAX);
        hash_of(s->keys[s->key_count++], line, strlen(line));
    }
    if (!s->key_count) die(EXIT_USAGE, "--api-keys: %s has none", path);
    memset(file.data, 0, file.len);
    text_free(&file);
}

/* "https://a.example,https://b.example", or "*". The text stays. */
static void
origins_read(server *s, char *list)
{
    char *rest = NULL;
    for (char *one = strtok_r(list, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        if (s->origin_count == SERVE_ORIGINS_MAX) die(EXIT_USAGE, "--cors: more than %d origins", SERVE_ORIGINS_MAX);
        if (strcmp(one, "*") && !strstr(one, "://")) die(EXIT_USAGE, "--cors: \"%s\" is no origin, such as https://example.org", one);
        s->origins[s->origin_count++] = one;
    }
}

static void
limits_read(server *s, const arguments *a)
{
    s->port = number_of(a->port, "--port", 0, 65535);
    s->body_max = number_of(a->body, "--body-max", 1024, DECAI_JSON_TEXT_MAX);
    s->connections = number_of(a->connections, "--connections", 1, 65536);
    s->queue = number_of(a->queue, "--queue", 1, 65536);
    s->slots = number_of(a->slots, "--slots", 1, 256);
    s->timeout_s = number_of(a->timeout, "--timeout", 1, 86400);
    s->drain_s = number_of(a->drain, "--drain", 0, 86400);
    s->memory = bytes_of(a->memory, "--memory");
    s->loopback = !strcmp(a->host, "localhost") || !strncmp(a->host, "127.", 4) || !strcmp(a->host, "::1");
    if (!a->cert != !a->key) die(EXIT_USAGE, "--cert and --key go together");
    /* A connection is a descriptor; the soft limit is often 1024. */
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* ---- beginning and end ------------------------------------------------------------------ */

static void
server_open(server *s, const arguments *a)
{
    const models_given given = {a->models, a->templates, a->drafts, a->name, a->backend, a->kv_type, a->allow_special,
        a->context ? number_of(a->context, "--context", 1, 131072) : 0};
    s->ctx = context_make(a->threads ? number_of(a->threads, "--threads", 1, 256) - 1 : -1, false);
    pthread_mutex_init(&s->list_lock, NULL);
    pthread_mutex_init(&s->line_lock, NULL);
    pthread_cond_init(&s->line_moved, NULL);
    models_open(s, &given);
    routes_policy(s);
    s->metrics = metrics_open(s->model_count);
    atomic_init(&s->ids, (uint64_t)(cpu_seconds(CLOCK_REALTIME) * 1e6));
    /* The first model's engine now, so that what is wrong with it is seen at once. */
    for (size_t i = s->model_count; i-- > 0;) s->models[i].runner = engine_thread_make(&s->models[i], !i);
    for (size_t i = 0; i < s->model_count; i++) engine_thread_run(s->models[i].runner);
    worker_start(&s->reader, s, http_watch);
    worker_start(&s->checker, s, NULL);
}

static void
server_close(server *s)
{
    worker_stop(&s->reader);
    worker_stop(&s->checker);
    for (size_t i = 0; i < s->model_count; i++) engine_thread_stop(s->models[i].runner);
    models_close(s);
    text_free(&s->policy);
    metrics_close(s->metrics);
    pthread_mutex_destroy(&s->list_lock);
    pthread_mutex_destroy(&s->line_lock);
    pthread_cond_destroy(&s->line_moved);
    decai_destroy(s->ctx);
}

/* Making an engine cannot be broken off; its memory goes with the program. */
static void
leave_at_once(server *s)
{
    engine_about about;
    for (size_t i = 0; i < s->model_count; i++) {
        engine_thread_about(s->models[i].runner, &about);
        if (about.state != ENGINE_WANTED) continue;
        fflush(NULL);
        _exit(EXIT_OK);
    }
}

/* ---- signals --------------------------------------------------------------------------------- */

/* Wait up to so many milliseconds for one of the set; 0: none came. */
static int
signal_wait(const sigset_t *set, int64_t ms)
{
    const struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    int n = sigtimedwait(set, NULL, &t);
    return n > 0 ? n : 0;
}

static void
drain(server *s, const sigset_t *set)
{
    double until = seconds_now() + (double)s->drain_s;
    atomic_store(&s->draining, true);
    http_quiesce(s);
    while (atomic_load(&s->calls) && seconds_now() < until)
        if (signal_wait(set, 20)) break;
    size_t left = atomic_load(&s->calls);
    if (left) fprintf(stderr, "decai: %zu answers are cut off\n", left);
    atomic_store(&s->stopping, true);
}

static void
model_line(const served *m)
{
    engine_about about;
    engine_thread_about(m->runner, &about);
    printf("decai:   %s: %s, %.1f MiB of weights, context of %zu tokens, %s%s\n", m->name.data,
        m->encoder ? "embeds" : m->chat ? "chat template" : "no chat template", (double)m->bytes / 1048576, m->context,
        about.state == ENGINE_READY ? m->device.data : "loaded by its first request",
        model_mapped(m->path) ? "" : "; its file is in memory, too, because others may change it");
}

static void
serve(server *s, const sigset_t *set)
{
    uint16_t port = 0;
    bool bracket = strchr(s->host, ':') != NULL;
    text names = {0};
    for (size_t i = 0; i < s->model_count; i++) text_printf(&names, "%s%s", i ? ", " : "", s->models[i].name.data);
    if (!http_start(s, &port)) die(EXIT_FAILED, "%s port %lld: cannot listen (in use, not allowed, or a certificate that is none)", s->host, (long long)s->port);
    printf("decai: serving %s on %s://%s%s%s:%u\n", names.data, s->cert ? "https" : "http", bracket ? "[" : "", s->host, bracket ? "]" : "", port);
    for (size_t i = 0; i < s->model_count; i++) model_line(&s->models[i]);
    if (s->memory) printf("decai: memory for weights: %.1f MiB\n", (double)s->memory / 1048576);
    fflush(stdout);
    text_free(&names);
    if (!s->loopback && !s->key_count) fprintf(stderr, "decai: warning: everybody who reaches this address can use it; --api-keys FILE asks for a key\n");
    while (!signal_wait(set, 3600000)) continue;
    drain(s, set);
    http_stop(s);
}

int
serve_main(int argc, char **argv)
{
    arguments a = {.memory = "0", .host = "127.0.0.1", .port = "8080", .backend = "auto", .kv_type = "f16", .body = "4194304", .connections = "4096",
        .queue = "512", .slots = "16", .timeout = "60", .drain = "30"};
    server s = {0};
    const flag flags[] = {
        {"--model", "[NAME=]FILE...", "a model, and what requests call it; may be given again; default: the shipped one", a.models, NULL},
        {"--memory", "BYTES", "of weights at most, such as 6G; models come and go within it; default: no limit", &a.memory, NULL},
        {"--draft", "[NAME=]FILE...", "a smaller model that guesses ahead for the first, or for NAME; the answers are the same", a.drafts, NULL},
        {"--name", "NAME", "what requests call the first model; default: the file's name", &a.name, NULL},
        {"--port", "P", "default 8080; 0: any that is free", &a.port, NULL},
        {"--host", "ADDRESS", "default 127.0.0.1: this machine alone", &a.host, NULL},
        {"--template", "[NAME=]T...", "a chat template for the first model, or for NAME; default: its own", a.templates, NULL},
        {"--allow-special", NULL, "the text of control tokens in messages becomes those tokens; default: it stays text", NULL, &a.allow_special},
        {"--api-keys", "FILE", "a key a line; requests need one of them", &a.keys, NULL},
        {"--api-key-file", "FILE", "the same", &a.keys, NULL},
        {"--cors", "ORIGINS", "web pages that may ask, with commas between; * is all; default: none but its own", &a.cors, NULL},
        {"--cert", "FILE", "TLS: the certificate chain, PEM", &a.cert, NULL},
        {"--key", "FILE", "TLS: its key, PEM", &a.key, NULL},
        {"--slots", "N", "answers computed in turn at most; default 16", &a.slots, NULL},
        {"--queue", "N", "requests at work or waiting at most, then 429; default 512", &a.queue, NULL},
        {"--connections", "N", "open connections at most; default 4096", &a.connections, NULL},
        {"--body-max", "BYTES", "of a request at most; default 4194304", &a.body, NULL},
        {"--timeout", "SECONDS", "a connection on which nothing moves is closed; default 60", &a.timeout, NULL},
        {"--drain", "SECONDS", "after SIGTERM, for answers to come to their end; default 30", &a.drain, NULL},
        {"--log", NULL, "a line a request on standard error: time, id, path, status, seconds, model, tokens", NULL, &s.log},
        {"--context", "N", "tokens of a prompt and its answer, at most a model's own; default: that, at most 2048", &a.context, NULL},
        {"--kv-type", "NAME", "f16 (default), or q8_0: half the memory, another contract number", &a.kv_type, NULL},
        {"--backend", "NAME", "auto, scalar, native or opencl; the answers are the same on all", &a.backend, NULL},
        {"--threads", "N", "threads to compute with; default: all cores", &a.threads, NULL},
    };
    int n = flags_read(argc, argv, flags, sizeof flags / sizeof *flags,
        "usage: decai serve [--model [NAME=]M.gguf]... [--port P] [options]\n\n"
        "Models behind OpenAI's HTTP interface: /v1/chat/completions, /v1/completions,\n"
        "/v1/responses, /v1/embeddings, /v1/models; /tokenize, /detokenize; /metrics, /health;\n"
        "a page at /. SIGTERM lets the answers come to their end.\n");
    if (n) die(EXIT_USAGE, "serve takes no \"%s\"", argv[0]);
    backend_check(a.backend);
    s.host = a.host;
    s.cert = a.cert;
    s.key = a.key;
    text origins = {0};
    limits_read(&s, &a);
    if (a.keys) keys_read(&s, a.keys);
    if (a.cors) {
        text_add(&origins, a.cors, strlen(a.cors));
        origins_read(&s, origins.data);
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    /* Before any thread is made: they all inherit the block. */
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) || signal(SIGPIPE, SIG_IGN) == SIG_ERR) die(EXIT_FAILED, "signals");
#ifdef __GLIBC__
    /* glibc lets this grow with what is freed, and then keeps what an engine leaves; so
     * large blocks have their own pages, which go back to the system at once. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
    server_open(&s, &a);
    serve(&s, &set);
    leave_at_once(&s);
    server_close(&s);
    text_free(&origins);
    return EXIT_OK;
}
