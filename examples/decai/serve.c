/* serve.c - decai serve: a model behind OpenAI's HTTP interface.
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

typedef struct arguments {
    const char *model, *draft, *name, *host, *port, *template, *backend, *threads, *context, *kv_type, *keys, *cors, *cert, *key, *body, *connections,
        *queue, *slots, *timeout, *drain;
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
    s->loopback = !strcmp(a->host, "localhost") || !strncmp(a->host, "127.", 4) || !strcmp(a->host, "::1");
    if (!a->cert != !a->key) die(EXIT_USAGE, "--cert and --key go together");
    /* A connection is a descriptor; the soft limit is often 1024. */
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* ---- the model --------------------------------------------------------------------------- */

static void
template_open(server *s, const char *path)
{
    text source = {0};
    size_t len = 0;
    if (path) file_read(&source, path);
    int32_t r = decai_template_create(&s->chat, s->ctx, s->model, path ? (source.data ? source.data : "") : NULL, source.len, NULL);
    if (r != DECAI_E_NOT_FOUND || path) check(r, path ? path : "chat template");
    if (s->chat && decai_template_calls_get(s->chat, NULL, 0, &len) == DECAI_E_SPACE)
        check(decai_template_calls_get(s->chat, (uint8_t *)text_reserve(&s->call_form, len), len, &len), "chat template");
    text_free(&source);
}

static void
engine_begin(server *s, const arguments *a, progress *p)
{
    decai_options *o = NULL;
    check(decai_options_create(&o, s->ctx), "options");
    check(decai_options_set_str(o, "compute.backend", a->backend), "--backend");
    cache_use(o, a->backend);
    if (a->context) check(decai_options_set_i64(o, "infer.context", number_of(a->context, "--context", 1, 131072)), "--context");
    check(decai_options_set_str(o, "infer.kv_type", a->kv_type), "--kv-type");
    s->engine = engine_open(s->model, o, p);
    if (a->draft) {                                           /* the engine keeps its model */
        decai_model *m = model_open(s->ctx, a->draft, p);
        s->draft = engine_open(m, o, p);
        decai_destroy(m);
    }
    decai_destroy(o);
}

/* What the model is called, and what else the answers say of it. */
static void
describe(server *s, const char *path, const char *name)
{
    text about = {0}, value = {0};
    uint8_t root[32];
    struct stat st;
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t n = strlen(name ? name : base);
    if (!name && n > 5 && !strcmp(base + n - 5, ".gguf")) n -= 5;
    text_add(&s->name, name ? name : base, n);
    check(decai_model_root_get(s->model, root, sizeof root), path);
    text_hex(&s->root, root, sizeof root);
    FETCH(&about, "engine", decai_engine_format(s->engine, out, cap, &len));
    json_field(&value, about.data, "context");
    s->context = strtoull(value.data, NULL, 10);
    json_field(&value, about.data, "contract");
    text_printf(&s->fingerprint, "decai-%s-%.16s", value.data, s->root.data + 2);
    s->created = stat(path, &st) ? 0 : (int64_t)st.st_mtime;
    text_free(&about);
    text_free(&value);
}

static void
vocabulary_open(server *s, const char *path)
{
    static const char between[] = "<|sep|>";
    decai_session *tried = NULL;
    check(decai_tokenizer_create(&s->tok, s->model, NULL), path);
    check(decai_tokenizer_count(s->tok, &s->vocabulary), path);
    if (decai_tokenizer_special_get(s->tok, &s->separator, "separator") &&
        decai_tokenizer_id_get(s->tok, &s->separator, (const uint8_t *)between, sizeof between - 1))
        s->separator = -1;
    s->encoder = decai_session_create(&tried, s->engine, NULL) == DECAI_E_UNSUPPORTED;
    decai_destroy(tried);
}

static void
server_open(server *s, const arguments *a)
{
    progress p;
    const char *path = model_path(a->model);
    progress_init(&p, false);
    s->ctx = context_make(a->threads ? number_of(a->threads, "--threads", 1, 256) - 1 : -1, false);
    s->model = model_open(s->ctx, path, &p);
    engine_begin(s, a, &p);
    vocabulary_open(s, path);
    if (!s->encoder) template_open(s, a->template);
    else if (s->draft) die(EXIT_USAGE, "--draft: %s gives vectors, no tokens to guess", path);
    describe(s, path, a->name);
    routes_policy(s);
    s->metrics = metrics_open();
    pthread_mutex_init(&s->list_lock, NULL);
    atomic_init(&s->ids, (uint64_t)(cpu_seconds(CLOCK_REALTIME) * 1e6));
    s->runner = engine_thread_start(s);
    worker_start(&s->reader, s, http_watch);
    worker_start(&s->checker, s, NULL);
}

static void
server_close(server *s)
{
    text *const texts[] = {&s->name, &s->root, &s->fingerprint, &s->policy, &s->call_form};
    worker_stop(&s->reader);
    worker_stop(&s->checker);
    engine_thread_stop(s->runner);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) text_free(texts[i]);
    for (size_t i = 0; i < SERVE_GRAMMARS_MAX; i++) decai_destroy(s->grammars[i].grammar);
    metrics_close(s->metrics);
    pthread_mutex_destroy(&s->list_lock);
    decai_destroy(s->draft);
    decai_destroy(s->engine);
    decai_destroy(s->chat);
    decai_destroy(s->tok);
    decai_destroy(s->model);
    decai_destroy(s->ctx);
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
serve(server *s, const sigset_t *set)
{
    uint16_t port = 0;
    bool bracket = strchr(s->host, ':') != NULL;
    if (!http_start(s, &port)) die(EXIT_FAILED, "%s port %lld: cannot listen (in use, not allowed, or a certificate that is none)", s->host, (long long)s->port);
    printf("decai: serving %s on %s://%s%s%s:%u\n", s->name.data, s->cert ? "https" : "http", bracket ? "[" : "", s->host, bracket ? "]" : "", port);
    fflush(stdout);
    if (!s->loopback && !s->key_count) fprintf(stderr, "decai: warning: everybody who reaches this address can use it; --api-keys FILE asks for a key\n");
    while (!signal_wait(set, 3600000)) continue;
    drain(s, set);
    http_stop(s);
}

int
serve_main(int argc, char **argv)
{
    arguments a = {.host = "127.0.0.1", .port = "8080", .backend = "auto", .kv_type = "f16", .body = "4194304", .connections = "4096",
        .queue = "512", .slots = "16", .timeout = "60", .drain = "30"};
    const flag flags[] = {
        {"--model", "M.gguf", "the model; default: the shipped one", &a.model, NULL},
        {"--draft", "D.gguf", "a smaller model of the same vocabulary that guesses ahead; the answers are the same", &a.draft, NULL},
        {"--name", "NAME", "what requests call it; default: the file's name", &a.name, NULL},
        {"--port", "P", "default 8080; 0: any that is free", &a.port, NULL},
        {"--host", "ADDRESS", "default 127.0.0.1: this machine alone", &a.host, NULL},
        {"--template", "T.jinja", "a chat template; default: the model's own", &a.template, NULL},
        {"--api-keys", "FILE", "a key a line; requests need one of them", &a.keys, NULL},
        {"--cors", "ORIGINS", "web pages that may ask, with commas between; * is all; default: none but its own", &a.cors, NULL},
        {"--cert", "FILE", "TLS: the certificate chain, PEM", &a.cert, NULL},
        {"--key", "FILE", "TLS: its key, PEM", &a.key, NULL},
        {"--slots", "N", "answers computed in turn at most; default 16", &a.slots, NULL},
        {"--queue", "N", "requests at work or waiting at most, then 429; default 512", &a.queue, NULL},
        {"--connections", "N", "open connections at most; default 4096", &a.connections, NULL},
        {"--body-max", "BYTES", "of a request at most; default 4194304", &a.body, NULL},
        {"--timeout", "SECONDS", "a connection on which nothing moves is closed; default 60", &a.timeout, NULL},
        {"--drain", "SECONDS", "after SIGTERM, for answers to come to their end; default 30", &a.drain, NULL},
        {"--context", "N", "tokens of a prompt and its answer; default: the model's own, at most 2048", &a.context, NULL},
        {"--kv-type", "NAME", "f16 (default), or q8_0: half the memory, another contract number", &a.kv_type, NULL},
        {"--backend", "NAME", "auto, scalar, native or opencl; the answers are the same on all", &a.backend, NULL},
        {"--threads", "N", "threads to compute with; default: all cores", &a.threads, NULL},
    };
    int n = flags_read(argc, argv, flags, sizeof flags / sizeof *flags,
        "usage: decai serve [--model M.gguf] [--port P] [options]\n\n"
        "A model behind OpenAI's HTTP interface: /v1/chat/completions, /v1/completions,\n"
        "/v1/responses, /v1/embeddings, /v1/models; /metrics, /health; a page at /.\n"
        "SIGTERM lets the answers come to their end.\n");
    if (n) die(EXIT_USAGE, "serve takes no \"%s\"", argv[0]);
    backend_check(a.backend);
    server s = {.host = a.host, .cert = a.cert, .key = a.key};
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
    server_open(&s, &a);
    serve(&s, &set);
    server_close(&s);
    text_free(&origins);
    return EXIT_OK;
}
