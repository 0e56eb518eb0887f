/* serve.h - decai serve: what its files share.
 *
 * A *call* is one HTTP request that is being answered. It goes through three threads:
 *
 *     HTTP     one thread of libmicrohttpd: reads requests, writes what is in `out`
 *     reader   parses a body, renders the template, makes token ids (serve_read.c)
 *     engine   one thread a model runs it for all its calls in turn (serve_engine.c)
 *
 * A call of the API has one or more *choices*, each with a session of its own; a
 * *form* (one a route) turns their tokens into JSON or events. Between the threads
 * are queues with a bound: too many calls are refused, and what comes for a slow
 * reader is held back until it has caught up, while the others go on. While the HTTP
 * thread has nothing to write for a call its connection is suspended; whoever adds
 * bytes resumes it.
 *
 * Everything per call is checked and refused, nothing of it ends the program; only
 * a failing malloc does (cli.c). */
#ifndef DECAI_CLI_SERVE_H
#define DECAI_CLI_SERVE_H

#include <pthread.h>
#include <stdatomic.h>

#include "cli.h"

#define SERVE_STOPS_MAX     16       /* stop texts of a call */
#define SERVE_CHOICES_MAX   128      /* choices of a call: n times prompts */
#define SERVE_TOP_MAX       20       /* top_logprobs */
#define SERVE_INPUTS_MAX    2048     /* texts of one embeddings call */
#define SERVE_OUT_MAX       262144   /* bytes waiting for a reader, beyond which nothing is added before the end */
#define SERVE_KEYS_MAX      64       /* API keys */
#define SERVE_BODIES_MAX    64       /* times --body-max: bytes of all bodies that are there at once */
#define SERVE_GRAMMARS_MAX  32       /* grammars kept for further requests, with what their masks cost */
#define SERVE_ORIGINS_MAX   16       /* --cors */
#define SERVE_MODELS_MAX    32       /* --model */
#define SERVE_TURN_S        2        /* for which a busy model keeps its engine, whoever waits for memory */

typedef struct server server;
typedef struct served served;
typedef struct call call;
typedef struct choice choice;

/* ---- measurements (serve_metrics.c) ------------------------------------------------ */

enum { OPERATION_CHAT, OPERATION_TEXT, OPERATION_EMBEDDINGS, OPERATION_COUNT };
enum { SERIES_DURATION, SERIES_FIRST_TOKEN, SERIES_OUTPUT_TOKEN, SERIES_INPUT, SERIES_OUTPUT, SERIES_COUNT };

typedef struct metrics metrics;
metrics *metrics_open(size_t models);
void metrics_close(metrics *m);
void metrics_observe(const served *m, int operation, int series, double value);
void metrics_status(metrics *m, int status);                  /* one HTTP answer */
void metrics_cancelled(metrics *m);
void metrics_print(server *s, text *out);
double seconds_now(void);                                     /* monotonic */
double cpu_seconds(clockid_t clock);

/* ---- how tokens are drawn and how an answer is asked for (serve_sample.c) ------------- */

typedef struct params {
    call *call;
    decai_json *json;
    double temperature, top_p, min_p, typical_p, presence, frequency, repetition;
    int64_t top_k, seed, max_tokens, n, top;                  /* top < 0: no log-probabilities */
    bool seeded, stream, usage, receipt, ignore_end;
    text bias;                                                /* infer.logit_bias */
    decai_grammar *grammar;                                   /* NULL: any text */
    text stops[SERVE_STOPS_MAX];
    size_t stop_count;
    int32_t input;                                            /* the value messages, prompt or input */
    int32_t tools, choice, strict, single, metadata, format;  /* values, or -1; choice: of tools; single: parallel_tool_calls false */
    text instructions, variables;                             /* variables: of the template, each with a comma before it */
    bool logprobs, base64, flat, no_tools, formatted;         /* formatted: the whole answer is JSON of a response_format */
    bool forced;                                              /* a tool must be called, */
    text wanted;                                              /* this one, or any */
} params;

/* One member of a request's object. read NULL: taken and without effect. It returns
 * false after it refused the call. */
typedef struct field {
    const char *name;
    bool (*read)(params *p, int32_t value);
} field;

bool params_open(params *p, call *c);                         /* of the call's body; false: no JSON, and refused. Then params_free */
void params_free(params *p);
extern const field sample_fields[];                           /* of all routes that draw tokens; ends with a NULL */
/* Every member through one of two tables; an unknown one is refused by name. */
bool fields_read(params *p, const field *own, const field *shared);
/* Options of one choice's session; NULL after a refusal. */
decai_options *params_options(const params *p, size_t choice);

/* ---- reading values: false, and refused by the path of the value ------------------------ */

bool read_text(params *p, int32_t value, text *out);
bool read_bool(params *p, int32_t value, bool *out);
bool read_i64(params *p, int32_t value, int64_t min, int64_t max, int64_t *out);
bool read_f64(params *p, int32_t value, double min, double max, double *out);
bool read_type(params *p, int32_t value, int32_t type, const char *what);
int32_t value_type(const params *p, int32_t value);
size_t value_count(const params *p, int32_t value);
bool value_get(const params *p, int32_t *out, int32_t object, const char *key);   /* false: absent or null */
int32_t value_at(const params *p, int32_t array, size_t i);
void value_source(const params *p, int32_t value, text *out); /* as it was written, behind what is in out */
bool value_key(const params *p, int32_t value, text *out);     /* of an object's member */
bool value_is(const params *p, int32_t value, const char *word);                  /* a string that is this word */
/* A 400 that names a value, or a member that is not there (value < 0: name). */
bool refuse_value(params *p, int32_t value, const char *name, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A grammar for the answers; kind as decai_grammar_create has it, value names what is refused. */
bool read_grammar(params *p, int32_t value, const char *kind, const char *source, size_t len);
/* {"type": "text" | "json_object" | "json_schema"}; of the last, the schema in the member json_schema, or beside it. */
bool read_format(params *p, int32_t value, bool nested);
bool read_stream_options(params *p, int32_t value);
bool read_variables(params *p, int32_t value);                /* chat_template_kwargs */
bool read_effort(params *p, int32_t value);                   /* reasoning_effort: a variable, too */

/* ---- calls ------------------------------------------------------------------------------ */

/* How a route writes its answer. All of them run on the engine's thread; data goes
 * into call->out by call_write. */
typedef struct form {
    int operation;
    const char *prefix;                                       /* of the id: "chatcmpl-" */
    void (*begin)(call *c);                                   /* a stream begins */
    void (*piece)(choice *ch, const char *data, size_t len);  /* text and log-probabilities that came, streams only */
    void (*reasoning)(choice *ch, const char *data, size_t len);   /* of a call with tools; NULL: it is not shown */
    void (*tool)(choice *ch, size_t i);                       /* what a stream has not yet given of a tool call */
    void (*finish)(choice *ch);                               /* one choice has ended, streams only */
    void (*end)(call *c);                                     /* all have */
} form;

/* One token's log-probability, then `count` rows of the likeliest: mark with count 0. */
typedef struct mark {
    int32_t token;
    float logprob;
    uint32_t count;
} mark;

/* A call of a tool that the model wrote. */
typedef struct tool_call {
    text id, name, arguments;
    size_t shown;                                             /* bytes of its arguments that a stream has given */
    bool opened, closed;                                      /* in the stream */
    bool ended, cut;                                          /* by the model; within its arguments */
} tool_call;

struct choice {
    call *call;
    size_t index;
    text ids;                                                 /* int32_t: the prompt */
    decai_options *options;
    decai_session *session;
    decai_token_stream *stream;
    text answer;                                              /* all of its text */
    size_t answer_shown;                                      /* bytes of it that a stream has given */
    text marks;                                               /* struct mark: log-probabilities of each token */
    size_t marks_shown;                                       /* bytes of it that a stream has given */
    size_t offset;                                            /* completions: text_offset of the next token */
    choice *next;                                             /* in the engine's queue */
    uint64_t tokens;                                          /* handed out */
    decai_answer *parts;                                      /* a call with tools: what it writes, taken apart */
    text part, reasoning;                                     /* of it: scratch; all reasoning */
    size_t reasoning_shown;
    tool_call *tools;
    size_t tool_count, message_at;                            /* calls of tools before its first word */
    int32_t held;                                             /* of such a call, the last token, which may be an end; or -1 */
    const char *reason;                                       /* "stop", "length", "tool_calls"; NULL while it runs */
    int32_t stop;                                             /* which stop text ended it, or -1 */
    text receipt, opening, receipt_id;                        /* CBOR, CBOR, hex */
};

typedef struct route {
    const char *method, *path;
    bool open;                                                /* needs no API key */
    void (*now)(call *c);                                     /* answered at once, on the HTTP thread */
    void (*read)(call *c);                                    /* a body: on the reader's thread */
    bool slow;                                                /* read on the checker's thread instead */
} route;

struct call {
    server *s;
    served *model;                                            /* the first, until the reader knows better */
    const route *route;
    atomic_int owners;
    call *next;                                               /* in a worker's or the engine's queue */
    double began;

    /* HTTP thread only */
    struct MHD_Connection *connection;
    struct peer *peer;
    text body, path, origin;
    char method[8];
    size_t received, held;                                    /* bytes of the body, all and those that were kept */
    bool has_body;
    atomic_bool handed, submitted;                            /* to whoever answers it; to the engine */

    pthread_mutex_t lock;                                     /* of what follows */
    text out;
    size_t taken;                                             /* bytes of out that were written */
    int status;                                               /* 0: not yet known */
    const char *type;                                         /* of the content */
    text header;                                              /* X-Decai-Receipt, of an only choice */
    bool streaming, ready, done, suspended;
    atomic_bool gone;                                         /* nobody waits for it any more */

    /* the reader's, then the engine's */
    const form *form;
    char id[48];
    int64_t created;
    bool stream, usage, receipt, calls, forced;               /* calls: it has tools; forced: one must be called */
    bool thinks;                                              /* the answer begins inside the reasoning that the template began */
    int64_t top;                                              /* < 0: no log-probabilities */
    text stops[SERVE_STOPS_MAX];
    size_t stop_count;
    decai_grammar *grammar;
    choice *choices;
    size_t count, open;                                       /* open: choices that still run */
    bool begun;                                               /* under the engine's lock: one of them was taken in */
    uint64_t prompt_tokens, cached_tokens, output_tokens;     /* cached: of all choices' prompts, not computed anew */
    double first_token;                                       /* seconds_now(), 0: none yet */
    text head, event;                                         /* scratch of the form: what all its events begin with; one event */
    text tools;                                               /* JSON, as the chat template has them */
    text echo;                                                /* responses: members that the answer repeats */
    uint64_t sequence;                                        /* responses: of events */
    bool opened;                                              /* responses: its message has begun */
    /* embeddings */
    text ids, lengths, vectors;                               /* int32_t of all inputs, uint32_t, float */
    size_t embedded, embedded_ids;                            /* inputs and ids that have their vector */
    bool base64;
};

void call_name(call *c, const char *prefix);                  /* its id, which is a header of its answer */
void call_drop(call *c);                                      /* one owner less */
/* Append to out, and wake the HTTP thread where the call streams. */
void call_write(call *c, const char *data, size_t len);
void call_stream(call *c);                                    /* from now on out is written as it grows */
void call_end(call *c, int status, const char *type);         /* out is complete */
/* {"error":{...}} as OpenAI has it; in a stream an event. param and code may be NULL. */
void call_refuse(call *c, int status, const char *param, const char *code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The same with the last error of the library: 400 where the request is to blame. */
void call_fail(call *c, int32_t r, const char *param);
size_t call_waiting(call *c);                                 /* bytes that nobody has taken yet */
void choices_make(call *c, size_t count);
/* Hand a call with its choices to the engine, or refuse it. */
void call_run(call *c, const params *p);
void call_measure(const call *c);                             /* before its end is written */
/* Token ids of a text behind those in ids; false: refused. */
bool ids_add(params *p, int32_t value, text *ids, const char *data, size_t len, int32_t flags);
/* A log-probability's token as a JSON string, and its bytes as an array. */
void token_json(const served *m, text *out, int32_t token);
void token_bytes_json(const served *m, text *out, int32_t token);

/* ---- workers: a queue and a thread --------------------------------------------------------- */

typedef struct worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    call *first, **last;
    size_t waiting;
    bool stop;
    void (*idle)(server *s);                                  /* about ten times a second, where not NULL */
    server *s;
} worker;

void worker_start(worker *w, server *s, void (*idle)(server *));
bool worker_add(worker *w, call *c, size_t max);              /* false: it is full */
void worker_stop(worker *w);

/* ---- a model's thread, with its engine or without ---------------------------------------------- */

enum { ENGINE_ABSENT, ENGINE_WANTED, ENGINE_READY };

typedef struct engine_about {
    int state;
    bool giving;                                              /* it was asked to give its engine back */
    double seconds, idle_s, cpu;                              /* of this state; since it last worked; inside the library */
    size_t runs, waits;                                       /* choices */
    uint64_t tokens, loads, failures;
} engine_about;

typedef struct engine_thread engine_thread;
engine_thread *engine_thread_make(served *m, bool now);       /* now: with its engine; exits if it cannot be had */
void engine_thread_run(engine_thread *e);
void engine_thread_stop(engine_thread *e);                    /* what runs is cancelled */
bool engine_thread_add(engine_thread *e, call *c);            /* false: too many wait */
void engine_thread_cancel(engine_thread *e, call *c);         /* its client is gone */
void engine_thread_give(engine_thread *e);                    /* its engine is wanted back, once nothing runs */
void engine_thread_status(engine_thread *e, text *out);       /* elements of a JSON array */
void engine_thread_about(engine_thread *e, engine_about *out);

/* ---- the models (serve_models.c) ------------------------------------------------------------------ */

/* All but the last two lines is set before the first request. */
struct served {
    server *s;
    size_t index;
    const char *path;
    decai_model *weights;
    decai_tokenizer *tok;
    decai_template *chat;                                     /* NULL: a model without one */
    guard *guard;                                             /* what its users must not spell; NULL: they may */
    bool encoder;
    int32_t separator;                                        /* between prompt and answer, or -1 */
    uint64_t vocabulary, bytes;                               /* bytes: of its tensors and its draft's */
    size_t context;
    text name, root, draft;                                   /* draft: its name on the shelf, or empty */
    text call_form;                                           /* of tool calls that the template teaches */
    int64_t created;
    engine_thread *runner;
    text fingerprint, device;                                 /* the runner's */
    struct { uint8_t hash[32]; decai_grammar *grammar; } grammars[SERVE_GRAMMARS_MAX];    /* the reader's */
    size_t grammar_next;
};

/* The command line's; lists end with a NULL. */
typedef struct models_given {
    const char *const *files, *const *templates, *const *drafts;
    const char *name, *backend, *kv_type;
    bool allow_special;
    int64_t context;                                          /* 0: each model's own */
} models_given;

typedef struct asker asker;
void models_open(server *s, const models_given *g);           /* exits if one cannot be opened */
void models_close(server *s);
served *models_find(server *s, const char *name);             /* NULL: none of that name */
/* A model's engine, and its draft's where draft is not NULL, made if need be and waited
 * for as long as wanted() says so; DECAI_E_CANCELLED if it no longer does. */
int32_t models_lend(served *m, decai_engine **engine, decai_engine **draft, bool (*wanted)(void *), void *user);
void models_returned(server *s);                              /* an engine was given back */

/* ---- the server --------------------------------------------------------------------------------- */

struct server {
    const char *host, *cert, *key;
    int64_t port, body_max, connections, queue, slots, timeout_s, drain_s;
    const char *origins[SERVE_ORIGINS_MAX];
    size_t origin_count;
    uint8_t keys[SERVE_KEYS_MAX][32];                         /* Keccak-256 of each */
    size_t key_count;
    bool loopback, log;

    decai_context *ctx;
    served models[SERVE_MODELS_MAX];                          /* the first is the default */
    size_t model_count;
    int64_t memory;                                           /* bytes of weights at most, or 0 */
    decai_shelf *shelf;
    pthread_mutex_t line_lock;                                /* of who waits for an engine */
    pthread_cond_t line_moved;
    asker *line;
    text policy;                                              /* the page's Content-Security-Policy */

    struct MHD_Daemon *daemon;
    worker reader, checker;
    metrics *metrics;
    atomic_bool draining, stopping;
    atomic_size_t calls, open_connections, held, working;     /* working: calls that wait or run */
    pthread_mutex_t list_lock;
    struct peer *peers;                                       /* all open connections (serve_http.c) */
    atomic_uint_fast64_t ids;
};

bool http_start(server *s, uint16_t *port);                   /* false: it cannot listen */
void http_quiesce(server *s);                                 /* no new connections */
void http_stop(server *s);
void http_watch(server *s);                                   /* notices who went away while waiting */
void routes_models(call *c);
void routes_model(call *c);
void routes_health(call *c);
void routes_metrics(call *c);
void routes_page(call *c);
void routes_status(call *c);
void routes_policy(server *s);                                /* the page may run its own script and no other */
void verify_read(call *c);
void chat_read(call *c);
/* Messages as JSON objects with commas between them, behind what is in out. */
bool chat_messages(params *p, int32_t value, text *out);
bool chat_message(params *p, int32_t message, text *out);
void chat_arguments(server *s, const text *given, text *out); /* of a call: the object in the text, or the text */
bool chat_template(params *p, const text *messages, text *ids);
bool chat_alone(params *p, int32_t content, text *ids);
bool tools_read(params *p, int32_t value);
bool tool_choice_read(params *p, int32_t value);
bool parallel_read(params *p, int32_t value);
bool tools_check(params *p);                                  /* once all members are read */
bool tools_ready(params *p);                                  /* once there is a prompt */
bool tools_thinks(const char *prompt, size_t len);            /* it ends with the mark of reasoning */
/* Text of a choice that may call tools: the answer and its other parts, as far as they are certain. */
int32_t tools_take(choice *ch, const char *data, size_t len, bool last);
void tools_source(const params *p, text *out);
void tools_show(choice *ch);                                 /* to a stream: what it has not yet given, in order */
void tools_free(choice *ch);
void tools_json(const choice *ch, text *out);                 /* elements of tool_calls */
void marks_json(choice *ch, size_t from, text *out);          /* elements of logprobs.content */
/* ,"decai_receipt":{..} where asked for: in the answer if it has one choice, else among each choice's members. */
void receipt_json(const choice *ch, bool among, text *out);
size_t inputs_count(params *p, const char *name, size_t max, bool *single);
bool input_ids(params *p, int32_t value, text *ids, int32_t flags);
void completions_read(call *c);
void responses_read(call *c);
void embeddings_read(call *c);
void tokenize_read(call *c);
void detokenize_read(call *c);
bool embeddings_step(call *c, decai_engine *engine);                                /* on the engine's thread; true: it has ended */

/* ---- small things ---------------------------------------------------------------------------------- */

void text_json_any(text *out, const char *data, size_t len);  /* a JSON string; bytes that are not UTF-8 become U+FFFD */
void base64_add(text *out, const void *data, size_t len);
bool base64_read(text *out, const char *data, size_t len);
void text_number(text *out, double v);                        /* shortest that reads back as this float */
void usage_json(const call *c, text *out);                    /* {"prompt_tokens":..} */

#endif
