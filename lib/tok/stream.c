/* stream.c - text that is valid UTF-8 at every step, from tokens that are not.
 *
 * A token may end in the middle of a character. The stream holds back the bytes
 * of a character that has begun, at most three, until it is whole. What can
 * become no character is replaced: one U+FFFD for each longest run of bytes that
 * begins a valid character (Unicode 3.9, "substitution of maximal subparts"; the
 * same text as the WHATWG decoder gives).
 *
 *     first byte   characters to come   second byte
 *     C2..DF       1                    80..BF
 *     E0           2                    A0..BF
 *     E1..EC EE EF 2                    80..BF
 *     ED           2                    80..9F
 *     F0           3                    90..BF
 *     F1..F3       3                    80..BF
 *     F4           3                    80..8F
 *
 * Stop texts (stop.c) are looked for in that text, so a border of tokens or a broken
 * character never hides one:
 *
 *     bytes of tokens -> characters -> [ may begin a stop text ] -> out
 */
#include <string.h>

#include "tok/internal.h"
#include "tok/stop.h"

/* What is held: `have` bytes of a character that needs `need` in all. */
typedef struct held { uint8_t bytes[4]; uint32_t have, need; uint8_t low, high; } held;

struct decai_token_stream {
    decai__handle h;
    const decai_tokenizer *tokenizer;
    int32_t flags;
    bool lead;                       /* a space before the first text is taken away */
    held held;
    bool begun;                      /* a token was added */
    decai__stops stops;
    decai__stop_state stop;          /* hit >= 0: nothing more is given */
};

/* Where text goes. Measuring (out NULL) steps the stop texts and ends where one is
 * complete; writing takes at most room bytes. */
typedef struct sink {
    uint8_t *out;
    size_t len, room;
    const decai__stops *stops;
    decai__stop_state *stop;
} sink;

static void
put(sink *s, const void *bytes, size_t len)
{
    if (s->out) {
        len = DECAI__MIN(len, s->room - s->len);
        memcpy(s->out + s->len, bytes, len);
        s->len += len;
        return;
    }
    for (size_t i = 0; i < len && s->stop->hit < 0; i++) {
        if (s->stops->count) decai__stops_step(s->stops, s->stop, ((const uint8_t *)bytes)[i]);
        s->len++;
    }
}

static void
put_replacement(sink *s, held *h)
{
    put(s, "\xef\xbf\xbd", 3);
    h->have = 0;
}

static void
put_first(sink *s, held *h, uint8_t b)
{
    if (b < 0x80) {
        put(s, &b, 1);
        return;
    }
    h->bytes[0] = b;
    if (b < 0xc2 || b > 0xf4) {
        put_replacement(s, h);
        return;
    }
    h->have = 1;
    h->need = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2;
    h->low = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
    h->high = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
}

static void
put_byte(sink *s, held *h, uint8_t b)
{
    if (h->have && (b < h->low || b > h->high)) put_replacement(s, h);
    if (!h->have) {
        put_first(s, h, b);
        return;
    }
    h->bytes[h->have++] = b;
    h->low = 0x80;
    h->high = 0xbf;
    if (h->have < h->need) return;
    put(s, h->bytes, h->need);
    h->have = 0;
}

static held
run(sink *s, held h, const uint8_t *bytes, size_t len, bool end)
{
    for (size_t i = 0; i < len; i++) put_byte(s, &h, bytes[i]);
    if (end && h.have) put_replacement(s, &h);
    return h;
}

static void
stream_destroy(void *self)
{
    decai_token_stream *s = self;
    decai__stops_free(&s->stops, s->h.context);
    decai__destroy((void *)(uintptr_t)s->tokenizer);
}

int32_t
decai__token_stream_create(decai_token_stream **out, const decai_tokenizer *tokenizer, int32_t flags)
{
    decai_token_stream *s = decai__handle_create(decai__context_of(tokenizer), DECAI__TOKEN_STREAM, sizeof *s, stream_destroy);
    *out = NULL;
    if (!s) return decai__fail(DECAI_E_NOMEM, "token stream: no memory for the handle");
    int32_t r = decai__retain((void *)(uintptr_t)tokenizer);
    if (r) {
        decai__destroy(s);
        return r;
    }
    s->tokenizer = tokenizer;
    s->flags = flags;
    s->stop.hit = -1;
    s->lead = !(flags & DECAI_DECODE_CONTINUE) && decai__tok_leads(tokenizer);
    *out = s;
    return 0;
}

int32_t
decai__token_stream_stop_add(decai_token_stream *s, const uint8_t *text, size_t len)
{
    if (s->begun) return decai__fail(DECAI_E_STATE, "stream: a stop text comes before the first token");
    return decai__stops_add(&s->stops, s->h.context, text, len);
}

int32_t
decai__token_stream_stop(const decai_token_stream *s, int32_t *index)
{
    if (s->stop.hit < 0) return 0;
    *index = s->stop.hit;
    return 1;
}

/* The text of one token, or of what is held at the end. */
static int32_t
give(decai_token_stream *s, uint8_t *out, size_t cap, size_t *len, const uint8_t *bytes, size_t n, bool end)
{
    const uint8_t *kept = NULL, *unused;
    size_t before = decai__stops_held(&s->stops, &s->stop, &kept);
    decai__stop_state stop = s->stop;
    sink measure = { .stops = &s->stops, .stop = &stop };

    /* Measure first: a token that does not fit must not be half added. */
    held after = run(&measure, s->held, bytes, n, end);
    size_t all = before + measure.len;
    size_t back = stop.hit >= 0 ? s->stops.list[stop.hit].len : end ? 0 : decai__stops_held(&s->stops, &stop, &unused);
    *len = all - back;
    decai__assert(*len <= DECAI_TOKEN_STREAM_MAX + (s->stops.count ? DECAI_STOP_BYTES_MAX : 0));
    if (*len > cap) return decai__fail(DECAI_E_SPACE, "out: %zu bytes needed, %zu given", *len, cap);
    if (*len) {
        size_t first = DECAI__MIN(before, *len);
        if (first) memcpy(out, kept, first);
        sink write = { .out = out + first, .room = *len - first };
        run(&write, s->held, bytes, n, end);
    }
    s->held = after;
    s->stop = stop;
    if (end) memset(s->stop.matched, 0, sizeof s->stop.matched);
    return stop.hit >= 0;
}

int32_t
decai__token_stream_add(decai_token_stream *s, uint8_t *out, size_t cap, size_t *len, int32_t token)
{
    size_t n = 0;
    const uint8_t *bytes = NULL;
    bool end = token == DECAI_TOKEN_END, text = !end && decai__tok_is_text(s->tokenizer, token);
    if (s->stop.hit >= 0) return 1;
    if (!end) {
        bytes = decai__tok_bytes(s->tokenizer, token, &n);
        if (!bytes)
            return decai__fail(DECAI_E_NOT_FOUND, "token: %d is not in 0..%u", token, decai__tok_count(s->tokenizer) - 1);
        if (!(s->flags & DECAI_DECODE_SPECIAL) && !text) n = 0;
        if (s->lead && text && *bytes == ' ') bytes++, n--;
    }
    int32_t r = give(s, out, cap, len, bytes, n, end);
    if (r < 0) return r;
    s->lead = s->lead && !text;
    s->begun = true;
    return r;
}
