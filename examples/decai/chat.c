/* chat.c - decai chat: a conversation with a model in a terminal.
 *
 * The whole conversation goes through the chat template each turn; what of its
 * tokens the session holds already is not computed again. A session cannot take
 * tokens back, so where the template rewrites what was said (models whose template
 * drops earlier reasoning, /retry, /undo), the conversation is read anew.
 *
 * Ctrl-C ends the answer, never the program. SIGINT is blocked in every thread but
 * one that waits for it: it raises a flag, which the answer looks at between tokens,
 * and cancels the session while a prompt is being read, which takes longest. */
#include "cli.h"
#include "line.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct arguments {
    bool allow_special;
    const char *template, *system, *backend, *threads, *temperature, *top_p, *top_k, *seed, *max_tokens, *context, *kv_type,
        *history;
} arguments;

typedef struct message { char role[10]; text content; } message;

typedef struct chat {
    decai_context *ctx;
    decai_model *model;
    decai_tokenizer *tok;
    decai_template *template;        /* NULL: a model without one; each prompt stands alone */
    guard *guard;                    /* control tokens that nobody may spell; NULL: one may */
    decai_engine *engine;
    decai_session *session;
    message *messages;
    size_t count;
    text tokens;                     /* int32_t: what the session holds */
    colours c;
    bool terminal;
    uint64_t seed;
} chat;

/* ---- Ctrl-C ----------------------------------------------------------------------- */

enum { LOADING, WAITING, EDITING, ANSWERING };  /* WAITING for a pipe's next line; both first ones can end at once */

static atomic_int doing;
static atomic_bool stopped;
static _Atomic(decai_session *) reading;      /* cancelled by Ctrl-C while it reads a prompt */

static void *
watch(void *set)
{
    for (int s; !sigwait(set, &s);) {
        decai_session *session = atomic_load(&reading);
        if (atomic_load(&doing) < EDITING) _exit(130);
        atomic_store(&stopped, true);
        if (session) (void)decai_session_cancel(session);
    }
    return NULL;
}

/* Before any other thread is made: they all inherit the block. */
static void
watch_start(void)
{
    static sigset_t set;
    pthread_t thread;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) || pthread_create(&thread, NULL, watch, &set))
        die(EXIT_FAILED, "no thread for Ctrl-C");
    pthread_detach(thread);
}

/* ---- the conversation ---------------------------------------------------------------- */

static void
say(chat *c, const char *role, const char *data, size_t len)
{
    message *wider = realloc(c->messages, (c->count + 1) * sizeof *wider);
    if (!wider) die(EXIT_FAILED, "out of memory");
    c->messages = wider;
    c->messages[c->count] = (message){{0}, {0}};
    snprintf(c->messages[c->count].role, sizeof c->messages->role, "%s", role);
    text_reserve(&c->messages[c->count].content, 0);
    text_add(&c->messages[c->count++].content, data, len);
}

static void
unsay(chat *c, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++) text_free(&c->messages[i].content);
    memmove(c->messages + from, c->messages + from + n, (c->count - from - n) * sizeof *c->messages);
    c->count -= n;
}

static size_t
first_turn(const chat *c)
{
    return c->count && !strcmp(c->messages[0].role, "system");
}

static void
conversation_json(const chat *c, text *json)
{
    text_printf(json, "{\"messages\":[");
    for (size_t i = 0; i < c->count; i++) {
        text_printf(json, "%s{\"role\":\"%s\",\"content\":", i ? "," : "", c->messages[i].role);
        text_json(json, c->messages[i].content.data, c->messages[i].content.len);
        text_add(json, "}", 1);
    }
    text_printf(json, "],\"tools\":null,\"documents\":null,\"add_generation_prompt\":true}");
}

/* The conversation as the model wants it. False: its template refuses; said. */
static bool
conversation_ids(const chat *c, text *ids)
{
    text json = {0}, rendered = {0};
    size_t len = 0;
    if (!c->template) {
        prompt_encode(c->tok, ids, c->messages[c->count - 1].content.data, false);
        return true;
    }
    const char *mark = NULL;
    conversation_json(c, &json);
    check(guard_mark(c->guard, c->ctx, &json, &mark), "conversation");
    int32_t r = decai_template_format(c->template, NULL, 0, &len, json.data, json.len);
    if (r == DECAI_E_SPACE) {
        text_reserve(&rendered, len);
        r = decai_template_format(c->template, (uint8_t *)rendered.data, len, &len, json.data, json.len);
    }
    const char *data = rendered.data ? rendered.data : "";
    if (!r && mark) check(guard_encode(c->guard, ids, data, len, mark), "conversation");
    else if (!r) text_encode(c->tok, ids, data, len, DECAI_ENCODE_SPECIAL);
    else fprintf(stderr, "%sthe chat template refuses: %s%s\n", c->c.red, decai_error_detail(), c->c.reset);
    text_free(&json);
    text_free(&rendered);
    return !r;
}

/* ---- the session ------------------------------------------------------------------------ */

static void
forget(chat *c)
{
    check(decai_session_start(c->session), "session");
    text_reserve(&c->tokens, 0);
}

/* Make the session hold exactly these tokens. */
static int32_t
read_tokens(chat *c, const text *ids)
{
    size_t held = c->tokens.len;
    if (!held || held >= ids->len || memcmp(ids->data, c->tokens.data, held)) {
        forget(c);
        held = 0;
    }
    atomic_store(&reading, c->session);
    if (atomic_load(&stopped)) (void)decai_session_cancel(c->session);
    int32_t r = decai_session_add(c->session, (const int32_t *)(const void *)(ids->data + held), (ids->len - held) / sizeof(int32_t));
    atomic_store(&reading, NULL);
    text_reserve(&c->tokens, 0);
    if (!r) text_add(&c->tokens, ids->data, ids->len);
    return r;
}

/* Read the conversation; what is oldest leaves while it does not fit. */
static int32_t
read_conversation(chat *c)
{
    for (;;) {
        text ids = {0};
        size_t first = first_turn(c);
        int32_t r = conversation_ids(c, &ids) ? read_tokens(c, &ids) : DECAI_E_TEMPLATE;
        text_free(&ids);
        if (r != DECAI_E_LIMIT || !c->template || c->count < first + 3) return r;
        unsay(c, first, 2);
        fprintf(stderr, "%s(the context is full: the oldest exchange is left out)%s\n", c->c.dim, c->c.reset);
    }
}

/* ---- the answer -------------------------------------------------------------------------- */

/* Where the text of an answer stands: reasoning is drawn dim. */
typedef struct printer {
    const chat *c;
    text all;
    size_t printed;
    bool dim;
} printer;

static void
print_part(printer *p, size_t to)
{
    if (to > p->printed) fwrite(p->all.data + p->printed, 1, to - p->printed, stdout);
    p->printed = to > p->printed ? to : p->printed;
}

/* "<think>" first turns dim on, the first "</think>" off; a mark that may be coming
 * is held back. */
static void
print_more(printer *p, bool last)
{
    const char *mark = p->dim ? "</think>" : "<think>", *found = NULL;
    size_t n = strlen(mark);
    if (p->c->terminal && (p->dim || !p->printed)) {
        found = p->all.data ? strstr(p->all.data + p->printed, mark) : NULL;
        if (found && (p->dim || strspn(p->all.data, " \r\n\t") == (size_t)(found - p->all.data))) {
            if (!p->dim) fputs(p->c->c.dim, stdout);
            print_part(p, (size_t)(found - p->all.data) + n);
            if (p->dim) fputs(p->c->c.reset, stdout);
            p->dim = !p->dim;
        } else if (!last) {
            size_t keep = 0;
            for (size_t k = 1; k < n && k <= p->all.len - p->printed; k++)
                if (!memcmp(p->all.data + p->all.len - k, mark, k)) keep = k;
            print_part(p, p->all.len - keep);
            fflush(stdout);
            return;
        }
    }
    print_part(p, p->all.len);
    fflush(stdout);
}

/* 0: it came to its end | 1: stopped | 2: the context or the answer's length is used up | error */
static int32_t
stream_answer(chat *c, printer *p)
{
    decai_token_stream *stream = NULL;
    uint8_t piece[DECAI_TOKEN_STREAM_MAX];
    size_t len = 0;
    int32_t token, r = 1;
    bool stop = false;
    check(decai_token_stream_create(&stream, c->tok, 0), "stream");
    while (!(stop = atomic_load(&stopped)) && (r = decai_session_next(c->session, &token)) == 1) {
        text_add(&c->tokens, (const char *)&token, sizeof token);
        check(decai_token_stream_add(stream, piece, sizeof piece, &len, token), "text");
        text_add(&p->all, (const char *)piece, len);
        print_more(p, false);
    }
    check(decai_token_stream_add(stream, piece, sizeof piece, &len, DECAI_TOKEN_END), "text");
    text_add(&p->all, (const char *)piece, len);
    print_more(p, true);
    decai_destroy(stream);
    return stop ? 1 : r == DECAI_E_LIMIT ? 2 : r;
}

/* Everything said goes to the model; its answer is printed and said. */
static void
answer(chat *c)
{
    printer p = {.c = c};
    atomic_store(&doing, ANSWERING);
    line_release();
    int32_t r = read_conversation(c);
    if (!r) r = stream_answer(c, &p);
    atomic_store(&doing, c->terminal ? EDITING : WAITING);
    if (p.dim) fputs(c->c.reset, stdout);
    printf("\n");
    if (r == 1 || r == DECAI_E_CANCELLED) fprintf(stderr, "%s(stopped)%s\n", c->c.dim, c->c.reset);
    if (r == 2) fprintf(stderr, "%s(the context is full)%s\n", c->c.dim, c->c.reset);
    if (r < 0) {
        if (r != DECAI_E_CANCELLED && r != DECAI_E_TEMPLATE) {
            const char *detail = decai_error_detail();
            fprintf(stderr, "%s%s: %s%s\n", c->c.red, decai_error_name(r), detail, c->c.reset);
        }
        forget(c);
    }
    if (p.all.len) say(c, "assistant", p.all.data, p.all.len);
    else unsay(c, c->count - 1, 1);  /* nothing was answered: the question is taken back */
    text_free(&p.all);
}

/* ---- commands ---------------------------------------------------------------------------- */

static void
command_help(chat *c, const char *rest)
{
    (void)c;
    (void)rest;
    printf("  /system TEXT   what the model is told first; empty: nothing\n"
           "  /retry         answer the last message again\n"
           "  /undo          take the last message and its answer back\n"
           "  /reset         begin anew; what /system said stays\n"
           "  /save FILE     the conversation as JSON\n"
           "  /stats         tokens, speed, seed\n"
           "  /quit          end (also Ctrl-D)\n"
           "  Ctrl-C stops an answer; Alt-Enter makes a new line; Up and Down go through what was typed\n");
}

static void
command_system(chat *c, const char *rest)
{
    if (first_turn(c)) unsay(c, 0, 1);
    if (*rest) {
        say(c, "system", rest, strlen(rest));
        message last = c->messages[c->count - 1];
        memmove(c->messages + 1, c->messages, (c->count - 1) * sizeof last);
        c->messages[0] = last;
    }
}

static void
command_undo(chat *c, const char *rest)
{
    (void)rest;
    if (c->count > first_turn(c)) unsay(c, c->count - 2, 2);
    else printf("nothing was said yet\n");
}

static void
command_retry(chat *c, const char *rest)
{
    (void)rest;
    if (c->count > first_turn(c)) {
        unsay(c, c->count - 1, 1);
        answer(c);
    } else {
        printf("nothing was said yet\n");
    }
}

static void
command_reset(chat *c, const char *rest)
{
    (void)rest;
    size_t first = first_turn(c);
    unsay(c, first, c->count - first);
    forget(c);
}

static void
command_save(chat *c, const char *rest)
{
    text json = {0};
    FILE *f = *rest ? fopen(rest, "wx") : NULL;
    if (!*rest) printf("/save takes a FILE\n");
    else if (!f) printf("%s: cannot be made (is it there already?)\n", rest);
    if (f) {
        conversation_json(c, &json);
        bool bad = fwrite(json.data, 1, json.len, f) != json.len;
        if (fclose(f) || bad) printf("%s: cannot be written\n", rest);
    }
    text_free(&json);
}

static void
command_stats(chat *c, const char *rest)
{
    uint64_t prompt, generated, prompt_ns, generated_ns;
    text device = {0};
    (void)rest;
    check(decai_session_count(c->session, &prompt, &generated, &prompt_ns, &generated_ns), "count");
    engine_device(&device, c->engine, "auto");
    printf("%s; seed %llu; %llu tokens read (%.1f a second), %llu written (%.1f a second); %zu held\n", device.data,
        (unsigned long long)c->seed, (unsigned long long)prompt, (double)prompt * 1e9 / (double)(prompt_ns ? prompt_ns : 1),
        (unsigned long long)generated, (double)generated * 1e9 / (double)(generated_ns ? generated_ns : 1),
        c->tokens.len / sizeof(int32_t));
    text_free(&device);
}

/* False: the end. */
static bool
command(chat *c, const char *given)
{
    static const struct { const char *name; void (*run)(chat *, const char *); } known[] = {
        {"/help", command_help}, {"/system", command_system}, {"/undo", command_undo}, {"/retry", command_retry},
        {"/reset", command_reset}, {"/save", command_save}, {"/stats", command_stats},
    };
    size_t n = strcspn(given, " \n");
    const char *rest = given + n + strspn(given + n, " \n");
    if ((n == 5 && !memcmp(given, "/quit", 5)) || (n == 5 && !memcmp(given, "/exit", 5))) return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].name) == n && !memcmp(given, known[i].name, n)) {
            known[i].run(c, rest);
            return true;
        }
    printf("no command %.*s; /help lists them\n", (int)n, given);
    return true;
}

static void
converse(chat *c, line *l)
{
    text given = {0};
    bool asked = false;
    for (;;) {
        atomic_store(&doing, c->terminal ? EDITING : WAITING);
        int r = line_read(l, &given, c->terminal ? "> " : "");
        atomic_store(&stopped, false);
        if (r == LINE_END || (r == LINE_INTERRUPTED && asked)) break;
        asked = r == LINE_INTERRUPTED;
        if (asked) {
            printf("Ctrl-C again, Ctrl-D or /quit ends\n");
        } else if (given.data[0] == '/') {
            if (!command(c, given.data)) break;
        } else if (strspn(given.data, " \t\n") < given.len) {
            say(c, "user", given.data, given.len);
            answer(c);
        }
    }
    text_free(&given);
}

/* ---- beginning -------------------------------------------------------------------------------- */

static uint64_t
any_seed(void)
{
    uint64_t seed = 0;
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, &seed, sizeof seed) != sizeof seed) die(EXIT_FAILED, "/dev/urandom: name a --seed");
    close(fd);
    return seed >> 1;
}

static void
session_open(chat *c, const arguments *a)
{
    decai_options *o = NULL;
    c->seed = a->seed ? (uint64_t)number_of(a->seed, "--seed", 0, INT64_MAX) : any_seed();
    check(decai_options_create(&o, c->ctx), "options");
    check(decai_options_set_f64(o, "infer.temperature", real_of(a->temperature, "--temperature", 0, 100)), "--temperature");
    check(decai_options_set_f64(o, "infer.top_p", real_of(a->top_p, "--top-p", 0, 1)), "--top-p");
    check(decai_options_set_i64(o, "infer.top_k", number_of(a->top_k, "--top-k", 0, 1048576)), "--top-k");
    check(decai_options_set_i64(o, "infer.seed", (int64_t)c->seed), "--seed");
    check(decai_options_set_i64(o, "infer.max_tokens", number_of(a->max_tokens, "--max-tokens", 0, 131072)), "--max-tokens");
    check(decai_session_create(&c->session, c->engine, o), "session");
    decai_destroy(o);
}

static void
engine_start(chat *c, const arguments *a, progress *p)
{
    decai_options *o = NULL;
    check(decai_options_create(&o, c->ctx), "options");
    check(decai_options_set_str(o, "compute.backend", a->backend), "--backend");
    cache_use(o, a->backend);
    if (a->context) check(decai_options_set_i64(o, "infer.context", number_of(a->context, "--context", 1, 131072)), "--context");
    check(decai_options_set_str(o, "infer.kv_type", a->kv_type), "--kv-type");
    c->engine = engine_open(c->model, o, p);
    decai_destroy(o);
}

/* The file's template, else the model's own, else none. */
static void
template_open(chat *c, const char *path)
{
    text source = {0};
    if (path) file_read(&source, path);
    int32_t r = decai_template_create(&c->template, c->ctx, c->model, path ? (source.data ? source.data : "") : NULL, source.len, NULL);
    if (r == DECAI_E_NOT_FOUND && !path)
        fprintf(stderr, "%sthis model has no chat template: each line stands alone (--template FILE gives one)%s\n", c->c.dim, c->c.reset);
    else check(r, path ? path : "chat template");
    text_free(&source);
}

static void
chat_open(chat *c, const arguments *a, const char *path)
{
    progress p;
    *c = (chat){.c = colours_for(stdout), .terminal = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO)};
    c->ctx = context_make(a->threads ? number_of(a->threads, "--threads", 1, 256) - 1 : -1, false);
    progress_init(&p, false);
    c->model = model_open(c->ctx, path, &p);
    check(decai_tokenizer_create(&c->tok, c->model, NULL), path);
    template_open(c, a->template);
    if (c->template && !a->allow_special) c->guard = guard_open(c->tok);
    engine_start(c, a, &p);
    session_open(c, a);
    if (a->system) say(c, "system", a->system, strlen(a->system));
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    if (c->terminal) printf("%s%s: /help lists commands, Ctrl-D ends%s\n", c->c.dim, name, c->c.reset);
}

static void
chat_close(chat *c)
{
    unsay(c, 0, c->count);
    free(c->messages);
    text_free(&c->tokens);
    decai_destroy(c->session);
    decai_destroy(c->engine);
    guard_close(c->guard);
    decai_destroy(c->template);
    decai_destroy(c->tok);
    decai_destroy(c->model);
    decai_destroy(c->ctx);
}

int
chat_main(int argc, char **argv)
{
    arguments a = {.backend = "auto", .temperature = "0.7", .top_p = "0.95", .top_k = "0", .max_tokens = "0", .kv_type = "f16"};
    const char *model = NULL;
    const flag flags[] = {
        {"--model", "M.gguf", "the model; default: the shipped one", &model, NULL},
        {"--template", "T.jinja", "a chat template; default: the model's own", &a.template, NULL},
        {"--system", "TEXT", "what the model is told first", &a.system, NULL},
        {"--temperature", "T", "0 takes the likeliest token each time; default 0.7", &a.temperature, NULL},
        {"--top-p", "P", "among the fewest tokens that hold this share; default 0.95", &a.top_p, NULL},
        {"--top-k", "K", "among the K likeliest tokens; default 0: all", &a.top_k, NULL},
        {"--seed", "N", "seed of the random numbers; default: another one each time", &a.seed, NULL},
        {"--max-tokens", "N", "tokens of an answer at most; default: what the context holds", &a.max_tokens, NULL},
        {"--context", "N", "tokens of the conversation; default: the model's own, at most 2048", &a.context, NULL},
        {"--kv-type", "NAME", "f16 (default), or q8_0: half the memory, another contract number", &a.kv_type, NULL},
        {"--backend", "NAME", "auto, scalar, native or opencl; the answers are the same on all", &a.backend, NULL},
        {"--threads", "N", "threads to compute with; default: all cores", &a.threads, NULL},
        {"--allow-special", NULL, "the text of control tokens becomes those tokens; default: it stays text", NULL, &a.allow_special},
        {"--history", "FILE", "keep what was typed in this file, for the next time", &a.history, NULL},
    };
    int n = flags_read(argc, argv, flags, sizeof flags / sizeof *flags,
        "usage: decai chat [--model M.gguf] [options]\n\nA conversation in the terminal; lines from elsewhere are answered one by one.\n");
    if (n == 1 && !model) model = argv[0];
    else if (n) die(EXIT_USAGE, "chat takes no \"%s\"", argv[0]);
    backend_check(a.backend);
    watch_start();
    chat c;
    chat_open(&c, &a, model_path(model));
    line *l = line_open(a.history);
    converse(&c, l);
    line_close(l);
    chat_close(&c);
    return EXIT_OK;
}
