/* spend.c - the rolling sum of what was reserved.
 *
 * A row is (time, amount); the sum of the rows younger than the window plus a
 * new amount must not pass total_max. Rows are never taken back: an unused
 * permit counts until its window has run out, which is the safe side.
 *
 * Encoded: CBOR [1, owner bstr(20), now, [[at, amount bstr(32)], ...]], at
 * ascending and at most now.
 */
#include <string.h>

#include "codec/codec.h"
#include "num/num.h"
#include "wallet/wallet.h"

#define NS_PER_MS 1000000

void
decai__spends_tick(decai__spends *s, int64_t mono_ns)
{
    if (mono_ns <= s->mono_ns) return;      /* going back counts as standing still */
    uint64_t ns = (uint64_t)mono_ns - (uint64_t)s->mono_ns + (uint64_t)s->rest_ns;
    int64_t ms = (int64_t)(ns / NS_PER_MS);
    s->mono_ns = mono_ns;
    s->rest_ns = (int64_t)(ns % NS_PER_MS);
    s->now_ms = s->now_ms > INT64_MAX - ms ? INT64_MAX : s->now_ms + ms;
}

static void
drop_old(decai__spends *s, int64_t window_ms)
{
    size_t old = 0;
    while (old < s->count && s->now_ms - s->rows[old].at_ms >= window_ms) old++;
    s->count -= old;
    if (old && s->count) memmove(s->rows, s->rows + old, s->count * sizeof(*s->rows));
}

static int32_t
make_room(decai_context *ctx, decai__spends *s)
{
    if (s->count < s->cap) return 0;
    if (s->count >= DECAI_WALLET_SPENDS_MAX)
        return decai__fail(DECAI_E_LIMIT, "wallet: DECAI_WALLET_SPENDS_MAX reservations in one window");
    size_t cap = s->cap ? 2 * s->cap : 16;
    decai__spend *rows = decai__realloc(ctx, s->rows, s->cap * sizeof(*rows), cap * sizeof(*rows));
    if (!rows) return DECAI_E_NOMEM;
    s->rows = rows;
    s->cap = cap;
    return 0;
}

int32_t
decai__spends_reserve(decai_context *ctx, decai__spends *s, const decai__policy *p, const uint8_t amount[32])
{
    decai__u256 sum = decai__u256_from_be(amount), max = decai__u256_from_be(p->total_max);
    char have[DECAI__U256_TEXT_MAX + 1], want[DECAI__U256_TEXT_MAX + 1];
    bool fits = true;

    drop_old(s, p->window_ms);
    for (size_t i = 0; i < s->count && fits; i++) {
        decai__u256 v = decai__u256_from_be(s->rows[i].amount);
        fits = decai__u256_add(&sum, &sum, &v);
    }
    if (!fits || decai__u256_cmp(&sum, &max) > 0) {
        decai__u256_format(have, &sum);
        decai__u256_format(want, &max);
        return decai__fail(DECAI_E_DENIED, "total_max: %s%s in the window, %s allowed", fits ? "" : "more than ", have, want);
    }
    int32_t r = make_room(ctx, s);
    if (r) return r;
    s->rows[s->count].at_ms = s->now_ms;
    memcpy(s->rows[s->count].amount, amount, 32);
    s->count++;
    return 0;
}

int32_t
decai__spends_encode(decai__buf *b, const decai__spends *s, const uint8_t owner[DECAI_ADDRESS_BYTES])
{
    decai__cbor_writer w;

    decai__cbor_writer_init(&w, b);
    decai__cbor_put_array(&w, 4);
    decai__cbor_put_uint(&w, 1);
    decai__cbor_put_bytes(&w, owner, DECAI_ADDRESS_BYTES);
    decai__cbor_put_uint(&w, (uint64_t)s->now_ms);
    decai__cbor_put_array(&w, s->count);
    for (size_t i = 0; i < s->count; i++) {
        decai__cbor_put_array(&w, 2);
        decai__cbor_put_uint(&w, (uint64_t)s->rows[i].at_ms);
        decai__cbor_put_bytes(&w, s->rows[i].amount, 32);
    }
    return decai__cbor_writer_end(&w);
}

static int32_t
read_rows(decai__cbor_reader *r, decai__spend *rows, uint64_t count, uint64_t now)
{
    uint64_t at = 0, last = 0, two = 0;
    int32_t e = 0;

    for (uint64_t i = 0; i < count; i++, last = at) {
        e = decai__cbor_get_array(r, &two);
        if (!e && two != 2) e = decai__fail(DECAI_E_CORRUPT, "state: row %llu is no pair", (unsigned long long)i);
        if (!e) e = decai__cbor_get_uint(r, &at);
        if (!e) e = decai__cbor_get_fixed(r, rows[i].amount, 32);
        if (!e && (at < last || at > now))
            e = decai__fail(DECAI_E_CORRUPT, "state: row %llu is out of order", (unsigned long long)i);
        if (e) return e;
        rows[i].at_ms = (int64_t)at;
    }
    return decai__cbor_reader_end(r);
}

static int32_t
read_head(decai__cbor_reader *r, const uint8_t owner[DECAI_ADDRESS_BYTES], uint64_t *now, uint64_t *count)
{
    uint64_t four = 0, version = 0;
    uint8_t who[DECAI_ADDRESS_BYTES];

    int32_t e = decai__cbor_get_array(r, &four);
    if (!e && four != 4) e = decai__fail(DECAI_E_CORRUPT, "state: not 4 items");
    if (!e) e = decai__cbor_get_uint(r, &version);
    if (!e && version != 1)
        e = decai__fail(DECAI_E_UNSUPPORTED, "state: version %llu", (unsigned long long)version);
    if (!e) e = decai__cbor_get_fixed(r, who, sizeof(who));
    if (!e && memcmp(who, owner, sizeof(who)) != 0) e = decai__fail(DECAI_E_CORRUPT, "state: of another key");
    if (!e) e = decai__cbor_get_uint(r, now);
    if (!e && *now > INT64_MAX) e = decai__fail(DECAI_E_CORRUPT, "state: now is above 2^63-1");
    if (!e) e = decai__cbor_get_array(r, count);
    if (!e && *count > DECAI_WALLET_SPENDS_MAX)
        e = decai__fail(DECAI_E_LIMIT, "state: more than DECAI_WALLET_SPENDS_MAX rows");
    return e;
}

int32_t
decai__spends_decode(decai_context *ctx, decai__spends *s, const uint8_t *bytes, size_t len,
    const uint8_t owner[DECAI_ADDRESS_BYTES])
{
    decai__cbor_reader reader;
    uint64_t now = 0, count = 0;
    decai__spend *rows = NULL;

    if (len > DECAI_WALLET_STATE_MAX)
        return decai__fail(DECAI_E_LIMIT, "state: %zu bytes, more than DECAI_WALLET_STATE_MAX", len);
    int32_t r = decai__cbor_reader_init(&reader, bytes, len, "state");
    if (!r) r = read_head(&reader, owner, &now, &count);
    if (r) return r;
    rows = decai__calloc(ctx, count ? (size_t)count : 1, sizeof(*rows));
    if (!rows) return DECAI_E_NOMEM;
    r = read_rows(&reader, rows, count, now);
    if (r) {
        decai__free(ctx, rows);
        return r;
    }
    decai__free(ctx, s->rows);
    s->rows = rows;
    s->count = (size_t)count;
    s->cap = count ? (size_t)count : 1;
    s->now_ms = (int64_t)now;
    return 0;
}
