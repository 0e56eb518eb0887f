/* wallet_api_test.c - the way to a signature, and every way beside it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decai.h"

#define CHAIN 31337

typedef struct fixture {
    int64_t mono_ns, wall_ms;
    uint64_t seed;
    int dead;                                   /* the random source fails */
    decai_context *ctx;
    decai_key *key;
    decai_wallet *wallet;
} fixture;

static int64_t mono(void *user) { return ((fixture *)user)->mono_ns; }
static int64_t wall(void *user) { return ((fixture *)user)->wall_ms; }

static int32_t
fill(void *user, uint8_t *out, size_t len)
{
    fixture *f = user;
    if (f->dead) return -1;
    for (size_t i = 0; i < len; i++) {
        uint64_t z = (f->seed += 0x9E3779B97F4A7C15u);
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        out[i] = (uint8_t)(z >> 40);
    }
    return 0;
}

static decai_wallet *
wallet_of(fixture *f, const char *policy)
{
    decai_options *o = NULL;
    decai_wallet *w = NULL;
    assert_int_equal(decai_options_create(&o, f->ctx), 0);
    assert_int_equal(decai_options_set_str(o, "wallet.policy", policy), 0);
    assert_int_equal(decai_wallet_create(&w, f->key, o), 0);
    decai_destroy(o);
    return w;
}

#define POLICY "{\"chain_id\":31337,\"asset\":\"credit\",\"price_max\":\"1000\",\"total_max\":\"2500\"," \
    "\"window_ms\":60000,\"horizon_ms\":100000,\"receipts\":true}"

static int
setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    decai_options *o = NULL;
    f->wall_ms = 1800000000000;
    f->mono_ns = 5;
    assert_int_equal(decai_options_create(&o, NULL), 0);
    assert_int_equal(decai_options_set_fn(o, "seam.clock.mono_ns", (decai_fn)mono, f), 0);
    assert_int_equal(decai_options_set_fn(o, "seam.clock.wall_ms", (decai_fn)wall, f), 0);
    assert_int_equal(decai_options_set_fn(o, "seam.random.fill", (decai_fn)fill, f), 0);
    assert_int_equal(decai_context_create(&f->ctx, o), 0);
    decai_destroy(o);
    assert_int_equal(decai_key_create(&f->key, f->ctx, NULL), 0);
    f->wallet = wallet_of(f, POLICY);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    fixture *f = *state;
    /* the order does not matter */
    decai_destroy(f->ctx);
    decai_destroy(f->key);
    decai_destroy(f->wallet);
    free(f);
    return 0;
}

static size_t
order(fixture *f, char *out, size_t cap, const char *price, uint64_t redundancy)
{
    uint8_t root[32] = {1}, prompt[32] = {2}, salt[32] = {3};
    size_t len = 0;
    assert_int_equal(decai_order_encode(f->ctx, out, cap, &len, root, 32, prompt, 32, price, "credit", redundancy,
        (uint64_t)f->wall_ms + 50000, salt, 32, CHAIN), 0);
    return len;
}

static decai_intent *
parse(fixture *f, const char *text, size_t len)
{
    decai_intent *intent = NULL;
    assert_int_equal(decai_intent_parse(&intent, f->wallet, DECAI_INTENT_ORDER, (const uint8_t *)text, len), 0);
    return intent;
}

static void
test_life(void **state)
{
    fixture *f = *state;
    char text[4096], effects[8192];
    uint8_t sig[65], address[20], signer[20], digest[32];
    size_t len = order(f, text, sizeof(text), "400", 2), n = 0;
    decai_intent *intent = parse(f, text, len);
    decai_permit *permit = NULL;

    assert_int_equal(decai_intent_format(intent, effects, sizeof(effects) - 1, &n), 0);
    effects[n] = 0;
    assert_non_null(strstr(effects, "pay at most 800 credit (2 x 400) on chain 31337"));
    assert_non_null(strstr(effects, "\"cost_max\":\"800\""));
    assert_non_null(strstr(effects, "2027-01-15T08:00:50.000Z"));
    assert_int_equal(decai_json_verify(f->ctx, effects, n), 0);
    assert_int_equal(decai_intent_digest_get(intent, digest, 32), 0);

    assert_int_equal(decai_permit_create(&permit, f->wallet, intent), 0);
    assert_int_equal(decai_wallet_sign(f->wallet, sig, 65, intent, permit), 0);
    assert_int_equal(decai_key_address_get(f->key, address, 20), 0);
    assert_int_equal(decai_signature_verify(f->ctx, sig, 65, digest, 32, address, 20), 0);
    assert_int_equal(decai_intent_recover(f->ctx, signer, 20, DECAI_INTENT_ORDER, (uint8_t *)text, len, sig, 65, CHAIN), 0);
    assert_memory_equal(signer, address, 20);
    assert_int_equal(decai_intent_verify(f->ctx, DECAI_INTENT_ORDER, (uint8_t *)text, len, sig, 65, address, 20, CHAIN), 0);
    assert_int_equal(decai_intent_verify(f->ctx, DECAI_INTENT_ORDER, (uint8_t *)text, len, sig, 65, address, 20, 1),
        DECAI_E_UNSUPPORTED);

    /* one permit, one signature */
    assert_int_equal(decai_wallet_sign(f->wallet, sig, 65, intent, permit), DECAI_E_STATE);
    for (size_t i = 0; i < 65; i++) assert_int_equal(sig[i], 0);
    decai_destroy(permit);
    decai_destroy(intent);
}

static void
test_permit_is_bound(void **state)
{
    fixture *f = *state;
    char a[4096], b[4096];
    uint8_t sig[65];
    size_t a_len = order(f, a, sizeof(a), "400", 1), b_len = order(f, b, sizeof(b), "401", 1);
    decai_intent *ia = parse(f, a, a_len), *ib = parse(f, b, b_len), *foreign = NULL;
    decai_permit *permit = NULL, *none = NULL;
    decai_wallet *other = wallet_of(f, POLICY);

    assert_int_equal(decai_permit_create(&permit, f->wallet, ia), 0);
    assert_int_equal(decai_wallet_sign(f->wallet, sig, 65, ib, permit), DECAI_E_CONFLICT);     /* other bytes */
    assert_int_equal(decai_wallet_sign(other, sig, 65, ia, permit), DECAI_E_CONFLICT);         /* other wallet */
    assert_int_equal(decai_intent_parse(&foreign, other, DECAI_INTENT_ORDER, (uint8_t *)a, a_len), 0);
    assert_int_equal(decai_wallet_sign(f->wallet, sig, 65, foreign, permit), DECAI_E_CONFLICT);
    assert_int_equal(decai_permit_create(&none, f->wallet, foreign), DECAI_E_CONFLICT);
    assert_null(none);
    /* the same bytes parsed again are the same bytes */
    decai_intent *again = parse(f, a, a_len);
    assert_int_equal(decai_wallet_sign(f->wallet, sig, 65, again, permit), 0);
    decai_destroy(again);
    decai_destroy(foreign);
    decai_destroy(ia);
    decai_destroy(ib);
    decai_destroy(permit);
    decai_destroy(other);
}

static void
test_denied(void **state)
{
    fixture *f = *state;
    char text[4096];
    decai_permit *permit = NULL;
    decai_intent *intent;

    intent = parse(f, text, order(f, text, sizeof(text), "1001", 1));
    assert_int_equal(decai_permit_create(&permit, f->wallet, intent), DECAI_E_DENIED);
    assert_non_null(strstr(decai_error_detail(), "price_max"));
    decai_destroy(intent);
    intent = parse(f, text, order(f, text, sizeof(text), "501", 2));     /* 1002 in all */
    assert_int_equal(decai_permit_create(&permit, f->wallet, intent), DECAI_E_DENIED);
    decai_destroy(intent);

    /* the window: 1000 + 1000 + 500 fit, one more does not, used or unused */
    static const char *const prices[] = {"1000", "1000", "500"};
    for (int i = 0; i < 3; i++) {
        intent = parse(f, text, order(f, text, sizeof(text), prices[i], 1));
        assert_int_equal(decai_permit_create(&permit, f->wallet, intent), 0);
        decai_destroy(permit);                                            /* never used */
        decai_destroy(intent);
        f->mono_ns += 1000000000;
    }
    intent = parse(f, text, order(f, text, sizeof(text), "1", 1));
    assert_int_equal(decai_permit_create(&permit, f->wallet, intent), DECAI_E_DENIED);
    assert_non_null(strstr(decai_error_detail(), "total_max"));
    decai_destroy(intent);

    /* a day's jump of the wall clock resets nothing */
    f->wall_ms += 86400000;
    intent = parse(f, text, order(f, text, sizeof(text), "1", 1));
    assert_int_equal(decai_permit_create(&permit, f->wallet, intent), DECAI_E_DENIED);
    f->mono_ns -= 4000000000;                                             /* nor a monotonic clock that lies */
    assert_int_equal(decai_permit_create(&permit, f->wallet, intent), DECAI_E_DENIED);
    f->mono_ns += 4000000000 + 57000000000;                               /* a lived minute does */
    assert_int_equal(decai_permit_create(&permit, f->wallet, intent), 0);
    decai_destroy(permit);
    decai_destroy(intent);
}

static void
test_expires_between(void **state)
{
    fixture *f = *state;
    char text[4096];
    uint8_t sig[65];
    decai_intent *intent = parse(f, text, order(f, text, sizeof(text), "1", 1));
    decai_permit *permit = NULL;
    assert_int_equal(decai_permit_create(&permit, f->wallet, intent), 0);
    f->wall_ms += 50000;
    assert_int_equal(decai_wallet_sign(f->wallet, sig, 65, intent, permit), DECAI_E_DENIED);
    f->wall_ms -= 1;                                                      /* still good: it was not consumed */
    assert_int_equal(decai_wallet_sign(f->wallet, sig, 65, intent, permit), 0);
    decai_destroy(permit);
    decai_destroy(intent);
}

static void
test_no_entropy(void **state)
{
    fixture *f = *state;
    char text[4096];
    uint8_t sig[65];
    decai_intent *intent = parse(f, text, order(f, text, sizeof(text), "1", 1));
    decai_permit *permit = NULL;
    assert_int_equal(decai_permit_create(&permit, f->wallet, intent), 0);
    f->dead = 1;
    assert_int_equal(decai_wallet_sign(f->wallet, sig, 65, intent, permit), DECAI_E_IO);
    f->dead = 0;
    assert_int_equal(decai_wallet_sign(f->wallet, sig, 65, intent, permit), 0);
    decai_destroy(permit);
    decai_destroy(intent);
}

/* A wallet without options allows nothing; it can still read. */
static void
test_default_denies(void **state)
{
    fixture *f = *state;
    decai_options *o = NULL;
    decai_wallet *w = NULL;
    decai_intent *intent = NULL;
    decai_permit *permit = NULL;
    char text[4096];
    /* receipt: {3: 32 zero bytes, 15: expiry} */
    uint8_t receipt[64] = {0xa2, 0x03, 0x58, 0x20, [36] = 0x0f, 0x1b};
    uint64_t soon = (uint64_t)f->wall_ms + 1000;
    for (int i = 0; i < 8; i++) receipt[38 + i] = (uint8_t)(soon >> (56 - 8 * i));
    size_t len = order(f, text, sizeof(text), "0", 1);

    assert_int_equal(decai_wallet_create(&w, f->key, NULL), DECAI_E_INVALID);           /* no chain */
    assert_int_equal(decai_options_create(&o, f->ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "wallet.chain_id", CHAIN), 0);
    assert_int_equal(decai_wallet_create(&w, f->key, o), 0);
    assert_int_equal(decai_intent_parse(&intent, w, DECAI_INTENT_ORDER, (uint8_t *)text, len), 0);
    assert_int_equal(decai_permit_create(&permit, w, intent), DECAI_E_DENIED);
    decai_destroy(intent);
    assert_int_equal(decai_intent_parse(&intent, w, DECAI_INTENT_RECEIPT, receipt, 46), 0);
    assert_int_equal(decai_permit_create(&permit, w, intent), DECAI_E_DENIED);
    assert_non_null(strstr(decai_error_detail(), "receipts"));
    decai_destroy(intent);
    /* the wallet that may sign receipts signs it, at no cost */
    uint8_t sig[65], me[20];
    assert_int_equal(decai_intent_parse(&intent, f->wallet, DECAI_INTENT_RECEIPT, receipt, 46), 0);
    assert_int_equal(decai_permit_create(&permit, f->wallet, intent), 0);
    assert_int_equal(decai_wallet_sign(f->wallet, sig, 65, intent, permit), 0);
    assert_int_equal(decai_key_address_get(f->key, me, 20), 0);
    assert_int_equal(decai_intent_verify(f->ctx, DECAI_INTENT_RECEIPT, receipt, 46, sig, 65, me, 20, CHAIN), 0);
    assert_int_equal(decai_intent_verify(f->ctx, DECAI_INTENT_RECEIPT, receipt, 46, sig, 65, me, 20, 1), DECAI_E_INTEGRITY);
    decai_destroy(intent);
    decai_destroy(permit);
    decai_destroy(w);
    decai_destroy(o);
}

static void
test_state(void **state)
{
    fixture *f = *state;
    char text[4096];
    uint8_t saved[4096];
    size_t n = 0, len = order(f, text, sizeof(text), "1000", 1);
    decai_intent *intent = parse(f, text, len), *later = NULL;
    decai_permit *permit = NULL;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(decai_permit_create(&permit, f->wallet, intent), 0);
        decai_destroy(permit);
    }
    assert_int_equal(decai_wallet_state_encode(f->wallet, NULL, 0, &n), DECAI_E_SPACE);
    assert_int_equal(decai_wallet_state_encode(f->wallet, saved, sizeof(saved), &n), 0);
    assert_int_equal(decai_wallet_state_decode(f->wallet, saved, n), DECAI_E_STATE);    /* it gave permits */

    /* a restart a year later: what was spent is spent until the wallet has lived on */
    f->wall_ms += 31536000000;
    f->mono_ns += 31536000000000000;
    decai_wallet *w = wallet_of(f, POLICY);
    assert_int_equal(decai_wallet_state_decode(w, saved, n - 1), DECAI_E_CORRUPT);
    assert_int_equal(decai_wallet_state_decode(w, saved, n), 0);
    len = order(f, text, sizeof(text), "600", 1);
    assert_int_equal(decai_intent_parse(&later, w, DECAI_INTENT_ORDER, (uint8_t *)text, len), 0);
    assert_int_equal(decai_permit_create(&permit, w, later), DECAI_E_DENIED);
    f->mono_ns += 60000000000;
    assert_int_equal(decai_permit_create(&permit, w, later), 0);
    decai_destroy(permit);
    decai_destroy(later);
    decai_destroy(intent);
    decai_destroy(w);
}

static void
test_policy_format(void **state)
{
    fixture *f = *state;
    char out[1024];
    size_t n = 0;
    assert_int_equal(decai_wallet_policy_format(f->wallet, out, 10, &n), DECAI_E_SPACE);
    assert_int_equal(decai_wallet_policy_format(f->wallet, out, sizeof(out) - 1, &n), 0);
    out[n] = 0;
    assert_string_equal(out, "{\"chain_id\":31337,\"asset\":\"credit\",\"price_max\":\"1000\",\"total_max\":\"2500\","
        "\"window_ms\":60000,\"horizon_ms\":100000,\"receipts\":true,\"manifests\":false,\"models\":[]}");
}

static void
test_arguments(void **state)
{
    fixture *f = *state;
    char text[4096], out[4096];
    uint8_t sig[65], id[32] = {0};
    size_t n = 0, len = order(f, text, sizeof(text), "1", 1);
    decai_intent *intent = parse(f, text, len), *none = NULL;
    decai_permit *permit = NULL;

    assert_int_equal(decai_intent_parse(&none, f->wallet, DECAI_INTENT_ORDER, NULL, 1), DECAI_E_INVALID);
    assert_int_equal(decai_intent_parse(&none, f->wallet, DECAI_INTENT_ORDER, (uint8_t *)text, 0), DECAI_E_INVALID);
    assert_int_equal(decai_intent_parse(&none, f->wallet, 9, (uint8_t *)text, len), DECAI_E_UNSUPPORTED);
    assert_int_equal(decai_intent_parse(&none, f->wallet, DECAI_INTENT_RECEIPT, (uint8_t *)text, len), DECAI_E_CORRUPT);
    assert_int_equal(decai_intent_parse(&none, NULL, DECAI_INTENT_ORDER, (uint8_t *)text, len), DECAI_E_INVALID);
    assert_int_equal(decai_intent_parse(NULL, f->wallet, DECAI_INTENT_ORDER, (uint8_t *)text, len), DECAI_E_INVALID);
    assert_null(none);
    assert_int_equal(decai_intent_digest_get(intent, id, 31), DECAI_E_INVALID);
    assert_int_equal(decai_intent_format(intent, NULL, 1, &n), DECAI_E_INVALID);
    assert_int_equal(decai_permit_create(&permit, f->wallet, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_wallet_sign(f->wallet, sig, 64, intent, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_wallet_sign(f->wallet, sig, 65, intent, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_wallet_sign(f->wallet, sig, 65, intent, (decai_permit *)(void *)intent), DECAI_E_INVALID);
    assert_int_equal(decai_permit_create(&permit, f->wallet, intent), 0);   /* no flag was left behind */
    decai_destroy(permit);
    decai_destroy(intent);

    static const struct { const char *price, *asset; uint64_t redundancy, deadline, chain; int32_t want; } rows[] = {
        {"1", "a", 1, 1, 1, 0}, {"-1", "a", 1, 1, 1, -1}, {"1.5", "a", 1, 1, 1, -1}, {"", "a", 1, 1, 1, -1},
        {"115792089237316195423570985008687907853269984665640564039457584007913129639936", "a", 1, 1, 1, -1},
        {"1", "", 1, 1, 1, -1}, {"1", "a b", 1, 1, 1, -1}, {"1", "a", 0, 1, 1, -1}, {"1", "a", 1023, 1, 1, 0},
        {"1", "a", 1024, 1, 1, 0}, {"1", "a", 1025, 1, 1, -1}, {"1", "a", 1, INT64_MAX, 1, 0},
        {"1", "a", 1, (uint64_t)INT64_MAX + 1, 1, -1}, {"1", "a", 1, 1, 0, -1}, {"1", "a", 1, 1, INT64_MAX, 0},
        {"1", "a", 1, 1, (uint64_t)INT64_MAX + 1, -1}, {NULL, "a", 1, 1, 1, -1}, {"1", NULL, 1, 1, 1, -1}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(decai_order_encode(f->ctx, out, sizeof(out), &n, id, 32, id, 32, rows[i].price, rows[i].asset,
            rows[i].redundancy, rows[i].deadline, id, 32, rows[i].chain), rows[i].want);
    assert_int_equal(decai_order_encode(f->ctx, out, sizeof(out), &n, id, 31, id, 32, "1", "a", 1, 1, id, 32, 1), DECAI_E_INVALID);
    assert_int_equal(decai_order_encode(f->ctx, out, 10, &n, id, 32, id, 32, "1", "a", 1, 1, id, 32, 1), DECAI_E_SPACE);
    assert_true(n > 10);
}

/* Two threads at one wallet: BUSY, or one after the other; the window holds. */
static void *
hammer(void *user)
{
    fixture *f = user;
    char text[4096];
    uint8_t sig[65];
    size_t *signatures = calloc(1, sizeof(*signatures)), len = 0;
    uint8_t root[32] = {1};
    if (decai_order_encode(f->ctx, text, sizeof(text), &len, root, 32, root, 32, "1000", "credit", 1,
            (uint64_t)f->wall_ms + 50000, root, 32, CHAIN)) return signatures;
    for (int i = 0; i < 200; i++) {
        decai_intent *intent = NULL;
        decai_permit *permit = NULL;
        if (!decai_intent_parse(&intent, f->wallet, DECAI_INTENT_ORDER, (uint8_t *)text, len)
            && !decai_permit_create(&permit, f->wallet, intent))
            while (1) {
                int32_t r = decai_wallet_sign(f->wallet, sig, 65, intent, permit);
                if (r == DECAI_E_BUSY) continue;
                *signatures += r == 0;
                break;
            }
        decai_destroy(permit);
        decai_destroy(intent);
    }
    return signatures;
}

static void
test_threads(void **state)
{
    fixture *f = *state;
    pthread_t thread[2];
    size_t sum = 0;
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&thread[i], NULL, hammer, f), 0);
    for (int i = 0; i < 2; i++) {
        void *count = NULL;
        pthread_join(thread[i], &count);
        sum += *(size_t *)count;
        free(count);
    }
    assert_int_equal(sum, 2);                   /* 2500 allows two of 1000, whoever came first */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_permit_is_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_denied, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expires_between, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_entropy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_default_denies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_policy_format, setup, teardown),
        cmocka_unit_test_setup_teardown(test_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
