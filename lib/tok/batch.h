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

/* ids as int32_t, ends (or NULL) and rows as uint64_t. */
int32_t decai__tok_batch(const decai_tokenizer *t, decai__buf *ids, decai__buf *ends, decai__buf *rows, const decai__texts *in);

#endif /* DECAI__TOK_BATCH_H */
