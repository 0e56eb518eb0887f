/* norm.h - what a tokenizer.json asks to be done to a text first.
 *
 * A list of steps, each from the text that the step before it left. Beside the
 * bytes goes, for each place in them, how much of the original text stands before
 * it, so that tokens keep their places. */
#ifndef DECAI__TOK_NORM_H
#define DECAI__TOK_NORM_H

#include "tok/unicode.h"

#define DECAI__NORM_STEP_MAX 16      /* steps of a tokenizer */
#define DECAI__NORM_TEXT_MAX 64      /* bytes of what a step looks for or puts */
#define DECAI__NORM_GROWTH_MAX 16    /* times the text's length, and 64 KiB: what the steps may make of it */

/* Bit 0: composed; bit 1: compatible. */
enum decai__form { DECAI__NFD, DECAI__NFC, DECAI__NFKD, DECAI__NFKC };

enum decai__norm_kind {
    DECAI__NORM_FORM, DECAI__NORM_LOWER, DECAI__NORM_ACCENTS, DECAI__NORM_STRIP, DECAI__NORM_REPLACE, DECAI__NORM_SPACES,
    DECAI__NORM_PREPEND
};

typedef struct decai__norm_step {
    uint8_t kind;                    /* enum decai__norm_kind */
    uint8_t form;                    /* FORM: which */
    uint8_t least;                   /* SPACES: runs of so many spaces or more, 0: white space of any kind */
    bool left, right;                /* STRIP: of which ends */
    uint8_t from_len, to_len;
    uint8_t from[DECAI__NORM_TEXT_MAX], to[DECAI__NORM_TEXT_MAX];    /* REPLACE; SPACES and PREPEND: to */
} decai__norm_step;

typedef struct decai__norm { uint32_t count; decai__norm_step steps[DECAI__NORM_STEP_MAX]; } decai__norm;

/* A text on its way: ends[i] is where bytes[0, i) end in the original; NULL when
 * nobody asks. `owned`: not the original any more. */
typedef struct decai__normed {
    decai_context *ctx;
    const uint8_t *bytes;
    const uint32_t *ends;
    size_t len;
    bool owned, places;
} decai__normed;

/* All steps; *out is to be freed whatever comes back. */
int32_t decai__norm_text(decai_context *ctx, const decai__norm *norm, const uint8_t *text, size_t len, bool places,
    decai__normed *out);
void decai__norm_free(decai__normed *text);
/* How many bytes at the start are surely in a form already and do not touch what follows. */
size_t decai__norm_span(enum decai__form form, const uint8_t *text, size_t len);

/* ---- norm_data.c, generated ---- */

/* flags: bit f: a text of form f can be cut before it; bit 4 + f: it is in form f. */
typedef struct decai__norm_prop { uint8_t ccc, flags; } decai__norm_prop;
extern const uint8_t decai__norm_index[4352];
extern const uint8_t decai__norm_block[][256];
extern const decai__norm_prop decai__norm_props[];
/* The full decomposition: its length, 0 if it is c itself. */
size_t decai__norm_split(uint32_t c, bool compatible, const uint32_t **out);
/* What two code points compose to, or 0. Hangul apart. */
uint32_t decai__norm_join(uint32_t first, uint32_t second);

#endif /* DECAI__TOK_NORM_H */
