/* cli.h - what the subcommands share: checks, buffers, files, JSON, progress.
 *
 * The tool is an ordinary user of the library: it includes decai.h and nothing
 * else of it. Exit codes: 0 done; 1 something was checked and is wrong; 2 wrong
 * usage; 3 it could not be done. */
#ifndef DECAI_CLI_H
#define DECAI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "decai.h"

enum { EXIT_OK, EXIT_WRONG, EXIT_USAGE, EXIT_FAILED };

/* ---- errors: print and leave ------------------------------------------------ */

/* Leave with a message on stderr; a progress bar is taken off the line first. */
/* r < 0: "decai: what: DECAI_E_X: detail" and exit(EXIT_FAILED). Returns r. */
int32_t check(int32_t r, const char *what);
_Noreturn void die(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- growing text ------------------------------------------------------------ */

typedef struct text {
    char *data;                      /* NUL-terminated */
    size_t len, cap;
} text;

char *text_reserve(text *t, size_t len);     /* room for len bytes, and sets len */
void text_add(text *t, const char *data, size_t len);
void text_printf(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_json(text *t, const char *data, size_t len);   /* a JSON string, quotes included */
void text_hex(text *t, const uint8_t *data, size_t len); /* "0x..", no quotes */
void text_free(text *t);

/* The value of a field in JSON that the library made: a string without its quotes
 * (escapes kept), or the number as it stands. False, and out empty, if absent. */
bool json_field(text *out, const char *json, const char *name);

/* Ask the size, make room, fetch: `call` uses out, cap and &len. */
#define FETCH(t, what, call)                                                   \
    do {                                                                       \
        void *out = NULL;                                                      \
        size_t cap = 0, len = 0;                                               \
        int32_t r_ = (call);                                                   \
        if (r_ != DECAI_E_SPACE) check(r_, what);                              \
        out = text_reserve((t), len);                                          \
        cap = len;                                                             \
        if (cap) check((call), what);                                          \
    } while (0)

/* ---- files -------------------------------------------------------------------- */

void file_read(text *t, const char *path);               /* exits if it cannot */
bool file_exists(const char *path);
void file_write(const char *path, const void *data, size_t len);  /* whole or not at all */
/* The shipped model, beside the program or in its share; NULL if it is not there. */
const char *model_shipped(void);
/* The model of --model, else the shipped one; exits if there is none. */
const char *model_path(const char *given);

/* ---- progress on a terminal ----------------------------------------------------- */

typedef struct progress {
    bool on, drawn;
} progress;

void progress_init(progress *p, bool quiet);
void progress_show(progress *p, const char *phase, uint64_t done, uint64_t total);
void progress_end(progress *p);
/* Wait for a task, drawing its progress; returns its result. */
int32_t task_finish(decai_task *task, progress *p);

/* Colour where a terminal reads it and NO_COLOR is not set; "" otherwise. */
typedef struct colours {
    const char *bold, *dim, *red, *green, *reset;
} colours;
colours colours_for(FILE *f);

/* ---- arguments -------------------------------------------------------------------- */

#define FLAG_MANY_MAX 64

/* One row of a subcommand's options; value NULL: a flag. */
typedef struct flag {
    const char *name;                /* "--json" */
    const char *placeholder;         /* "FILE", or NULL for a flag; "FILE...": may be given again, value is an array
                                        of FLAG_MANY_MAX + 1, which ends with a NULL */
    const char *help;
    const char **value;              /* where the argument goes */
    bool *set;
} flag;

/* Takes known flags out of argv; the rest are positional. Exits with usage on an
 * unknown one; --help prints and exits 0. Returns how many positionals are left. */
int flags_read(int argc, char **argv, const flag *flags, size_t count, const char *usage);
int64_t number_of(const char *text, const char *name, int64_t min, int64_t max);
int64_t bytes_of(const char *text, const char *name);    /* "6G": K, M, G, T are powers of 1024 */
double real_of(const char *text, const char *name, double min, double max);
void backend_check(const char *name);        /* exits if it is none */

/* ---- running a model, as run and demo do it ----------------------------------------- */

/* threads < 0: all cores. Unless quiet, the library's warnings go to stderr. */
decai_context *context_make(int64_t threads, bool quiet);
/* compute.cache_dir in the user's cache folder, where backend is opencl. */
void cache_use(decai_options *o, const char *backend);
decai_engine *engine_open(decai_model *model, decai_options *o, progress *p);   /* weights as progress */
decai_engine *engine_make(decai_context *ctx, decai_model *model, const char *backend);
/* "opencl: name"; where that is another backend than the wanted one, it says so. */
void engine_device(text *t, decai_engine *engine, const char *wanted);
decai_model *model_open(decai_context *ctx, const char *path, progress *p);
bool model_mapped(const char *path);         /* does model_open map it? Otherwise all of it is read into memory */
/* The prompt as the model wants it: begin token, text, separator if it has one. */
void prompt_encode(decai_tokenizer *tok, text *ids, const char *prompt, bool raw);
/* Ids of a text, as int32_t, behind what is in ids already. */
int32_t ids_encode(const decai_tokenizer *tok, text *ids, const char *data, size_t len, int32_t flags);
/* Text as it is: ids as int32_t in the text's data, their number. */
size_t text_encode(decai_tokenizer *tok, text *ids, const char *data, size_t len, int32_t flags);
/* The prompt as one user's message, through the model's chat template. */
void chat_encode(decai_context *ctx, decai_model *model, decai_tokenizer *tok, text *ids, const char *prompt);
int32_t hash_of(uint8_t out[32], const void *data, size_t len);

/* ---- guard.c: what people say becomes no control tokens ------------------------------ */

typedef struct guard guard;
guard *guard_open(const decai_tokenizer *tok);           /* the tokenizer stays the caller's */
void guard_close(guard *g);
/* Before a template is given the JSON of a conversation: marks in its strings where they
 * spell a control token; *mark NULL where none does. g NULL: nothing is looked for.
 * DECAI_E_LIMIT: every character that could be the mark is in it. */
int32_t guard_mark(const guard *g, decai_context *ctx, text *json, const char **mark);
/* What it rendered as ids, behind those in ids. */
int32_t guard_encode(const guard *g, text *ids, const char *data, size_t len, const char *mark);

/* ---- subcommands ----------------------------------------------------------------------- */

int demo_main(int argc, char **argv);
int run_main(int argc, char **argv);
int chat_main(int argc, char **argv);
int serve_main(int argc, char **argv);
int verify_main(int argc, char **argv);
int inspect_main(int argc, char **argv);
int perplexity_main(int argc, char **argv);
int embed_main(int argc, char **argv);
int bench_main(int argc, char **argv);
int template_main(int argc, char **argv);
int devices_main(int argc, char **argv);
int cache_main(int argc, char **argv);
int tokenize_main(int argc, char **argv);
int detokenize_main(int argc, char **argv);
int tokenizer_main(int argc, char **argv);
int bench_tok_main(int argc, char **argv);   /* decai bench tok */

#endif
