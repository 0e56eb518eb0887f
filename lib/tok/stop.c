/* stop.c - texts at which a stream ends.
 *
 * Each text goes along the bytes by the method of Knuth, Morris and Pratt (1977): it
 * knows how long a beginning of it they end with, and what to fall back to where the
 * next byte does not fit, so a byte costs a constant number of steps a text on the
 * whole, whatever repeats. What such a beginning covers may yet belong to a stop text
 * and is held back; the bytes themselves need not be kept, as the text has them. */
#include "tok/stop.h"

#include <string.h>

#include "codec/codec.h"

static void
step(const decai__stop *s, uint16_t *matched, uint8_t byte)
{
    uint32_t k = *matched;
    while (k && (k == s->len || s->text[k] != byte)) k = s->fall[k - 1];
    *matched = (uint16_t)(k + (s->text[k] == byte));
}

int32_t
decai__stops_add(decai__stops *s, decai_context *ctx, const uint8_t *text, size_t len)
{
    if (!len) return decai__fail(DECAI_E_INVALID, "text: empty");
    if (len > DECAI_STOP_BYTES_MAX) return decai__fail(DECAI_E_LIMIT, "text: %zu bytes, most are %d", len, DECAI_STOP_BYTES_MAX);
    if (s->count == DECAI_STOP_COUNT_MAX) return decai__fail(DECAI_E_LIMIT, "stop texts: more than %d", DECAI_STOP_COUNT_MAX);
    size_t valid = decai__utf8_valid((const char *)text, len);
    if (valid != len) return decai__fail(DECAI_E_INVALID, "text: byte %zu is not UTF-8", valid);

    decai__stop made = { decai__memdup(ctx, text, len), decai__alloc(ctx, len * sizeof *made.fall), (uint32_t)len };
    if (!made.text || !made.fall) {
        decai__free(ctx, made.text);
        decai__free(ctx, made.fall);
        return decai__fail(DECAI_E_NOMEM, "text: %zu bytes", len);
    }
    made.fall[0] = 0;
    for (uint32_t k = 1; k < made.len; k++) {
        made.fall[k] = made.fall[k - 1];
        step(&made, &made.fall[k], text[k]);
    }
    s->list[s->count++] = made;
    return 0;
}

void
decai__stops_free(decai__stops *s, decai_context *ctx)
{
    for (uint32_t i = 0; i < s->count; i++) {
        decai__free(ctx, s->list[i].text);
        decai__free(ctx, s->list[i].fall);
    }
}

void
decai__stops_step(const decai__stops *s, decai__stop_state *state, uint8_t byte)
{
    for (uint32_t i = 0; i < s->count; i++) {
        step(&s->list[i], &state->matched[i], byte);
        if (state->matched[i] < s->list[i].len) continue;
        if (state->hit < 0 || s->list[i].len > s->list[state->hit].len) state->hit = (int32_t)i;
    }
}

size_t
decai__stops_held(const decai__stops *s, const decai__stop_state *state, const uint8_t **text)
{
    size_t held = 0;
    for (uint32_t i = 0; i < s->count; i++)
        if (state->matched[i] > held) {
            held = state->matched[i];
            *text = s->list[i].text;
        }
    return held;
}
