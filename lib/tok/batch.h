/* batch.h - many texts at once; between api.c and batch.c. */
#ifndef DECAI__TOK_BATCH_H
#define DECAI__TOK_BATCH_H

#include <stdio.h>

#include "tok/internal.h"

typedef struct decai__texts {
    const uint8_t *texts;
    size_t len;
    const uint64_t *ends;            /* of each text in texts */
    size_t count;
    uint64_t row_max;
    int32_t flags;
} decai__texts;

/* What texts became: rows in chunks, each encoded by one thread. */
typedef struct decai__chunk {
    size_t first, count;             /* rows */
    decai__ids ids;
    int32_t result;
    char detail[160];
} decai__chunk;

typedef struct decai__batch {
    const decai_tokenizer *t;
    const decai__texts *in;
    decai__chunk *chunk;
    size_t chunks, len;              /* len: ids of all */
    uint64_t *rows;                  /* where each row's ids end */
    int32_t *out;
    uint64_t *out_ends;
    bool ends;                       /* places of ids are wanted */
} decai__batch;

int32_t decai__batch_encode(decai__batch *b);
/* To b->out and b->out_ends, as far as they are there. */
void decai__batch_give(decai__batch *b);
void decai__batch_free(decai__batch *b);

#endif /* DECAI__TOK_BATCH_H */
