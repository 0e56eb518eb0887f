/* effect.c - idempotency keys: "was this done already, and what was the answer?"
 *
 * A caller that lost a reply cannot know whether its request was carried out.
 * It repeats it under the same key. The key, the hash of the request and the
 * answer are one row, written by the very transaction that did the work, so
 * that either both are on the disk or neither is.
 *
 *     key unknown                  do it, write the row
 *     key known, same request      give the recorded answer, touch nothing
 *     key known, other request     DECAI_E_EXISTS: two different wishes
 *
 * Rows are kept for ever: a key that was forgotten could be paid again.
 */
#include <string.h>

#include "store/store.h"

int64_t
decai__store_now(const decai_store *s)
{
    int64_t now = decai__clock_wall_ms(decai__context_of(s));
    return now < 0 ? 0 : now;        /* differences of two times stay in range */
}

int32_t
decai__effect_key_check(const char *key)
{
    if (!key || !*key) return decai__fail(DECAI_E_INVALID, "key: empty");
    size_t n = 0;
    for (; key[n]; n++) {
        if (n == DECAI_KEY_MAX)
            return decai__fail(DECAI_E_LIMIT, "key: more than %d bytes", DECAI_KEY_MAX);
        if (key[n] < 0x21 || key[n] > 0x7e)
            return decai__fail(DECAI_E_INVALID, "key: byte %zu is not printable ASCII", n);
    }
    return 0;
}

/* 1 found and equal | 0 not there | error */
static int32_t
find(decai__effect *e)
{
    decai__query q;
    uint8_t request[32];
    char op[32];
    int32_t r = decai__query_one(&q, e->store, DECAI__SQL_EFFECT_FIND, "t", e->key);
    if (r != 1) return r;
    if ((r = decai__query_text(&q, 0, op, sizeof op)) == 0) r = decai__query_fixed(&q, 1, request, 32);
    if (r) goto done;
    if (strcmp(op, e->op) != 0 || memcmp(request, e->request, 32) != 0) {
        r = decai__fail(DECAI_E_EXISTS, "key: %.64s was used for another %s", e->key, op);
        goto done;
    }
    const void *p = decai__query_bytes(&q, 2, &e->result_len);
    if (e->result_len > sizeof e->result) {
        r = decai__fail(DECAI_E_CORRUPT, "store: %s: effect %.64s: result of %zu bytes", e->store->path,
                        e->key, e->result_len);
        goto done;
    }
    if (e->result_len) memcpy(e->result, p, e->result_len);
    r = 1;
done:
    decai__query_done(&q);
    return r;
}

int32_t
decai__effect_begin(decai__effect *e, decai_store *s, const char *key, const char *op,
    const uint8_t request[32])
{
    *e = (decai__effect){.store = s, .key = key, .op = op};
    memcpy(e->request, request, 32);
    e->time_ms = decai__store_now(s);
    int32_t r = decai__effect_key_check(key);
    if (r == 0) r = decai__tx_begin(s);
    if (r) return r;

    r = find(e);
    if (r == 0) return 0;
    return decai__tx_end(s, r);      /* found: an empty commit; else roll back */
}

int32_t
decai__effect_end(decai__effect *e, int32_t r)
{
    if (r >= 0) {
        int32_t w = decai__query_run(e->store, NULL, DECAI__SQL_EFFECT_ADD, "ttbBi", e->key, e->op, e->request,
                                     (const void *)e->result, e->result_len, e->time_ms);
        if (w < 0) r = w;
    }
    return decai__tx_end(e->store, r);
}
