/* added.h - tokens of a tokenizer.json that are matched in its own way; between
 * json.c, json_write.c, files.c and encode.c. */
#ifndef DECAI__TOK_ADDED_H
#define DECAI__TOK_ADDED_H

#include "tok/internal.h"
#include "tok/norm.h"

/* What an added token asks for, by id in decai_tokenizer.asks. */
enum {
    DECAI__ASKS_LSTRIP = 1,          /* white space before it is part of it */
    DECAI__ASKS_RSTRIP = 2,          /* and behind it */
    DECAI__ASKS_WORD = 4,            /* no word character stands beside it */
    DECAI__ASKS_NORMALIZED = 8,      /* it is looked for in the normalized text, itself normalized */
    DECAI__ASKS_LITERAL = 16         /* the U+2581 in it stand for themselves */
};

/* Needed only where asks, steps or prefixes differ from what a GGUF says; t->added
 * stays NULL else. After tokens and rules are there. */
int32_t decai__added_make(decai_tokenizer *t);
void decai__added_free(decai_tokenizer *t);
/* The ids of a text of a tokenizer that has t->added; appended. */
int32_t decai__encode_added(decai__work *w, const uint8_t *text, size_t len, bool control);
/* encode.c: a stretch without added tokens. */
int32_t decai__encode_plain(decai__work *w, const uint8_t *text, size_t len, uint64_t base, bool first);

#endif /* DECAI__TOK_ADDED_H */
