/* stop.h - texts at which a stream ends, found across the borders of tokens. */
#ifndef DECAI__TOK_STOP_H
#define DECAI__TOK_STOP_H

#include "base/base.h"
#include "decai/tok.h"

/* fall[k]: the longest proper beginning of the text that its first k + 1 bytes end with. */
typedef struct decai__stop { uint8_t *text; uint16_t *fall; uint32_t len; } decai__stop;

typedef struct decai__stops {
    decai__stop list[DECAI_STOP_COUNT_MAX];
    uint32_t count;
} decai__stops;

/* How far each text is matched by the end of what was seen; which one is complete. */
typedef struct decai__stop_state { uint16_t matched[DECAI_STOP_COUNT_MAX]; int32_t hit; } decai__stop_state;

/* 0 | DECAI_E_INVALID (empty, not UTF-8) | DECAI_E_LIMIT | DECAI_E_NOMEM */
int32_t decai__stops_add(decai__stops *s, decai_context *ctx, const uint8_t *text, size_t len);
void decai__stops_free(decai__stops *s, decai_context *ctx);
/* One more byte: state->hit is the text that it completes, the longest of several, or -1. */
void decai__stops_step(const decai__stops *s, decai__stop_state *state, uint8_t byte);
/* The longest beginning of a text that what was seen ends with: its length, and the
 * bytes in *text. */
size_t decai__stops_held(const decai__stops *s, const decai__stop_state *state, const uint8_t **text);

#endif /* DECAI__TOK_STOP_H */
