/* proof_receipt_test.c - receipts and openings: one encoding, pinned ids, and
 * nothing accepted that was not written so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "hash/hash.h"
#include "proof/proof.h"
#include "support_proof.h"

static struct {
    decai_context *ctx;
    support_run run;
    uint8_t bytes[4096];
    size_t len;
} t;

static int
setup(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t len;
    assert_int_equal(decai_context_create(&t.ctx, NULL), 0);
    support_model(&bytes, &len, NULL, NULL);
    assert_int_equal(support_run_make(&t.run, t.ctx, bytes, len, 1), 0);
    free(bytes);
    assert_int_equal(decai_receipt_encode(t.run.receipt, t.bytes, sizeof t.bytes, &t.len), 0);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    support_run_free(&t.run);
    decai_destroy(t.ctx);
    return 0;
}

/* Fields with fixed values: what golden values are made of. */
static void
golden_fields(decai__fields *f)
{
    *f = (decai__fields){0};
    for (int32_t k = 0; k < DECAI__R_COUNT; k++) {
        uint8_t hash[32];
        memset(hash, 0x40 + k, sizeof hash);
        switch (k) {
        case DECAI__R_VERSION: decai__fields_set_number(f, k, DECAI_RECEIPT_VERSION); break;
        case DECAI__R_CONTRACT: decai__fields_set_number(f, k, 1); break;
        case 2: break;
        case DECAI__R_SAMPLER:
            f->sampler = (decai__sampler_fields){.temperature = 700, .top_k = 40, .top_p = 60000, .max_tokens = 96, .seed = 7};
            f->present |= 1ull << k;
            break;
        case DECAI__R_PROMPT_COUNT: case DECAI__R_OUTPUT_COUNT: case DECAI__R_CHAIN: case DECAI__R_EXPIRY:
        case DECAI__R_STARTED: case DECAI__R_FINISHED: case DECAI__R_COVERAGE:
            decai__fields_set_number(f, k, 1000000007ull * (uint64_t)k);
            break;
        case DECAI__R_TEST: break;
        default: decai__fields_set_hash(f, k, hash);
        }
    }
}

static void
assert_hex(const void *data, size_t len, const char *golden)
{
    char *text = malloc(2 * len + 1);
    decai__hex_encode(text, data, len);
    text[2 * len] = 0;
    assert_string_equal(text, golden);
    free(text);
}

/* A sampler with every step on; mirostat stands beside cuts here, which no session allows. */
static decai__sampler
every_step(void)
{
    static const decai__bias bias[] = {{3, 250}, {17, DECAI__BIAS_BAN}, {50256, -100000}};
    static const int32_t breakers[] = {2, 13, 198};
    return (decai__sampler){.temperature_milli = 700, .top_k = 40, .top_p_65536 = 60000, .seed = 7, .min_p_65536 = 3277,
        .typical_65536 = 58982, .sigma_milli = 1500, .repeat_milli = 1100, .presence_milli = -500, .frequency_milli = 250,
        .penalty_last_n = -1, .penalty_own = 1, .dry_multiplier_milli = 800, .dry_base_milli = 1750, .dry_allowed = 2,
        .dry_last_n = 512, .xtc_probability_65536 = 32768, .xtc_threshold_65536 = 6554, .tau_65536 = 327680,
        .eta_65536 = 6554, .bias = bias, .bias_count = 3, .breakers = breakers, .breaker_count = 3};
}

static void
payload_is_pinned(void **state)
{
    (void)state;
    FILE *file = fopen("tests/golden/receipt.txt", "r");
    assert_non_null(file);
    for (int steps = 0; steps < 2; steps++) {
        decai__fields f, back;
        decai__buf b;
        uint8_t id[32];
        char golden[8192];
        decai__sampler s = every_step();
        golden_fields(&f);
        if (steps) decai__sampler_fields_set(&f.sampler, &s, 96);
        decai__buf_init(&b, t.ctx, 65536, "test");
        assert_int_equal(decai__fields_encode(&b, &f), 0);
        assert_int_equal(decai__fields_decode(&back, DECAI_PROFILE_MARKET, b.data, b.len), 0);
        assert_memory_equal(&back, &f, sizeof f);
        decai__receipt_id(id, b.data, b.len);
        assert_non_null(fgets(golden, sizeof golden, file));
        golden[strcspn(golden, "\n")] = 0;
        assert_hex(b.data, b.len, golden);
        assert_non_null(fgets(golden, sizeof golden, file));
        golden[strcspn(golden, "\n")] = 0;
        assert_hex(id, 32, golden);
        decai__buf_free(&b);
    }
    fclose(file);
}

/* ---- the sampler's map --------------------------------------------------------------- */

static int32_t
sampler_again(decai__sampler_fields *back, const decai__sampler_fields *f)
{
    decai__fields all, read;
    decai__buf b;
    golden_fields(&all);
    all.sampler = *f;
    decai__buf_init(&b, t.ctx, 65536, "test");
    assert_int_equal(decai__fields_encode(&b, &all), 0);
    int32_t r = decai__fields_decode(&read, DECAI_PROFILE_MARKET, b.data, b.len);
    if (back) *back = read.sampler;
    decai__buf_free(&b);
    return r;
}

/* One run, one receipt: what is off is not there, and no part of a step without it. */
static void
sampler_has_one_form(void **state)
{
    (void)state;
    decai__sampler s = every_step(), bare = {.top_p_65536 = 65536}, read;
    decai__sampler_fields f, back;
    decai__sampler_fields_set(&f, &bare, 0);
    assert_int_equal(f.present, 0);
    decai__sampler_fields_set(&f, &s, 96);
    assert_int_equal(f.present, (UINT64_C(1) << DECAI__S_GRAMMAR) - 32);     /* a grammar is the session's, no step */
    decai__opening lists = {.bias = (decai__bias *)(uintptr_t)s.bias, .bias_count = 3, .breakers = (int32_t *)(uintptr_t)s.breakers,
        .breaker_count = 3};
    decai__sampler_of(&read, &f, &lists);
    decai__sampler_fields_set(&back, &read, 96);
    assert_memory_equal(&back, &f, sizeof f);
    /* Without one key: a step takes its parts with it, a part may be 0. */
    static const struct { uint32_t key; int32_t error; } without[] = {{5, 0}, {8, 0}, {13, DECAI_E_CORRUPT}, {14, 0}, {17, 0},
        {18, DECAI_E_CORRUPT}, {19, 0}, {20, DECAI_E_CORRUPT}, {21, 0}, {22, 0}};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        decai__sampler_fields g = f;
        g.present &= ~(UINT64_C(1) << without[i].key);
        assert_int_equal(sampler_again(NULL, &g), without[i].error);
        if (without[i].error) assert_non_null(strstr(decai_error_detail(), "its step is off"));
    }
    for (uint32_t k = 8; k <= 10; k++) f.present &= ~(UINT64_C(1) << k);
    assert_int_equal(sampler_again(NULL, &f), DECAI_E_CORRUPT);
    assert_non_null(strstr(decai_error_detail(), "penalty_last_n"));
    /* A 0 that is written, and values at their bounds. */
    decai__sampler_fields_set(&f, &s, 96);
    f.value[9] = 0;
    assert_int_equal(sampler_again(NULL, &f), DECAI_E_CORRUPT);
    assert_non_null(strstr(decai_error_detail(), "presence_penalty"));
    static const int64_t edge[] = {INT32_MIN, INT32_MIN + 1LL, INT32_MAX, INT32_MAX + 1LL};
    for (size_t i = 0; i < 4; i++) {
        f.value[9] = edge[i];
        assert_int_equal(sampler_again(&back, &f), i == 0 || i == 3 ? DECAI_E_LIMIT : 0);
        if (i == 1 || i == 2) assert_memory_equal(&back, &f, sizeof f);
    }
    f.value[9] = -1;
    f.value[5] = -1;
    assert_int_equal(sampler_again(NULL, &f), DECAI_E_LIMIT);
}

/* Keys that this version does not know are refused, wherever they stand. */
static void
unknown_keys_are_refused(void **state)
{
    (void)state;
    decai__buf b;
    decai__cbor_writer w;
    decai__sampler_fields f = {.top_p = 65536};
    decai__buf_init(&b, t.ctx, 4096, "test");
    decai__cbor_writer_init(&w, &b);
    decai__cbor_put_map(&w, 6);
    for (uint64_t k = 0; k < 5; k++) decai__cbor_put_key_uint(&w, k, 1);
    decai__cbor_put_key_uint(&w, DECAI__SAMPLER_KEYS, 1);
    assert_int_equal(decai__cbor_writer_end(&w), 0);
    decai__cbor_reader r;
    assert_int_equal(decai__cbor_reader_init(&r, b.data, b.len, "receipt"), 0);
    assert_int_equal(decai__sampler_get(&r, &f), DECAI_E_UNSUPPORTED);
    assert_non_null(strstr(decai_error_detail(), "receipt.sampler: key 24"));
    decai__buf_free(&b);
}

/* Samples of lib/hash/DOMAINS.md: bytes 00 01 .. 1f; salt of 32 bytes 2a, ids 1 2 3. */
static void
domains_are_pinned(void **state)
{
    (void)state;
    uint8_t sample[32], id[32], commitment[32];
    for (int i = 0; i < 32; i++) sample[i] = (uint8_t)i;
    decai__receipt_id(id, sample, sizeof sample);
    int32_t ids[3] = {1, 2, 3};
    decai__tokens tokens = {.ids = ids, .count = 3};
    memset(tokens.salt, 0x2a, 32);
    decai__tokens_commit(commitment, &tokens);
    char line[512];
    int seen = 0;
    FILE *f = fopen("lib/hash/DOMAINS.md", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        const uint8_t *want = !strncmp(line, "| `decai.receipt.v1`", 20) ? id
            : !strncmp(line, "| `decai.tokens.v1`", 19) ? commitment : NULL;
        if (!want) continue;
        char text[65];
        decai__hex_encode(text, want, 32);
        text[64] = 0;
        if (!strstr(line, text)) fail_msg("%.24s: %s here", line, text);
        seen++;
    }
    fclose(f);
    assert_int_equal(seen, 2);
}

static void
every_required_field_is_missed(void **state)
{
    (void)state;
    for (int32_t k = 0; k < DECAI__R_COUNT; k++) {
        decai__fields f, back;
        decai__buf b;
        golden_fields(&f);
        if (!decai__fields_has(&f, k)) continue;
        f.present &= ~(1ull << k);
        decai__buf_init(&b, t.ctx, 65536, "test");
        assert_int_equal(decai__fields_encode(&b, &f), 0);
        int32_t r = decai__fields_decode(&back, DECAI_PROFILE_MARKET, b.data, b.len);
        bool optional = k == DECAI__R_TEMPLATE || k == DECAI__R_STARTED || k == DECAI__R_FINISHED;
        assert_int_equal(r, optional ? 0 : DECAI_E_CORRUPT);
        if (r) assert_non_null(strstr(decai_error_detail(), decai__fields_name(k)));
        decai__buf_free(&b);
    }
}

static void
envelope_round_trip(void **state)
{
    (void)state;
    decai_receipt *r = NULL;
    uint8_t again[4096];
    size_t len = 0;
    assert_int_equal(decai_receipt_load(&r, t.ctx, t.bytes, t.len), 0);
    assert_int_equal(decai_receipt_encode(r, again, sizeof again, &len), 0);
    assert_int_equal(len, t.len);
    assert_memory_equal(again, t.bytes, len);
    assert_int_equal(decai_opening_get(r, again, sizeof again, &len), DECAI_E_NOT_FOUND);
    decai_destroy(r);
}

static void
signatures_have_a_limit(void **state)
{
    (void)state;
    decai_receipt *r = NULL;
    uint8_t key[20] = {0}, signature[65] = {0};
    assert_int_equal(decai_receipt_load(&r, t.ctx, t.bytes, t.len), 0);
    for (int i = 1; i <= DECAI_RECEIPT_SIGNATURES_MAX + 1; i++) {
        key[0] = (uint8_t)i;
        assert_int_equal(decai_receipt_add(r, DECAI_SIGNATURE_EIP712, key, 20, signature, 65),
            i > DECAI_RECEIPT_SIGNATURES_MAX ? DECAI_E_LIMIT : 0);
        if (i == 1) assert_int_equal(decai_receipt_add(r, DECAI_SIGNATURE_EIP712, key, 20, signature, 65), DECAI_E_EXISTS);
    }
    decai_destroy(r);
}

static void
sizes_have_a_limit(void **state)
{
    (void)state;
    uint8_t *big = calloc(1, DECAI_OPENING_BYTES_MAX + 1);
    decai_receipt *r = NULL;
    decai__opening o;
    for (size_t n = DECAI_RECEIPT_BYTES_MAX - 1; n <= DECAI_RECEIPT_BYTES_MAX + 1; n++)
        assert_int_equal(decai_receipt_load(&r, t.ctx, big, n), n > DECAI_RECEIPT_BYTES_MAX ? DECAI_E_LIMIT : DECAI_E_CORRUPT);
    for (size_t n = DECAI_OPENING_BYTES_MAX - 1; n <= DECAI_OPENING_BYTES_MAX + 1; n++) {
        int32_t e = decai__opening_decode(t.ctx, &o, big, n);
        assert_true(e == DECAI_E_LIMIT || (n <= DECAI_OPENING_BYTES_MAX && e == DECAI_E_CORRUPT));
    }
    free(big);
}

/* Each mutation is refused, or is another valid receipt with another id. */
static void
mutations(void **state)
{
    (void)state;
    int rounds = getenv("DECAI_DEEP") ? 120000 : 4000;
    uint64_t seed = 99;
    uint8_t id[32], other[32], bytes[4096 + 8], again[4096 + 8];
    assert_int_equal(decai_receipt_id_get(t.run.receipt, id, 32), 0);
    int refused = 0, named = 0;
    for (int i = 0; i < rounds; i++) {
        size_t len = t.len, at = support_rand(&seed) % t.len;
        memcpy(bytes, t.bytes, len);
        switch (support_rand(&seed) % 4) {
        case 0: bytes[at] ^= (uint8_t)(1u << support_rand(&seed) % 8); break;
        case 1: bytes[at] = (uint8_t)support_rand(&seed); break;
        case 2: len = at; break;
        default: memmove(bytes + at + 1, bytes + at, len - at); bytes[at] = (uint8_t)support_rand(&seed); len++;
        }
        if (len == t.len && !memcmp(bytes, t.bytes, len)) continue;
        decai_receipt *r = NULL;
        uint8_t *exact = malloc(len ? len : 1);
        memcpy(exact, bytes, len);
        (void)decai__fail(DECAI_E_INTERNAL, "%s", "");      /* nothing left of the round before */
        int32_t e = decai_receipt_load(&r, t.ctx, exact, len);
        free(exact);
        if (e) {
            refused++;
            assert_null(r);
            /* Every refusal names a field, or the byte or key where there is none. */
            const char *why = decai_error_detail();
            if (!strncmp(why, "receipt.", 8)) named++;
            else if (strncmp(why, "receipt: key ", 13) && strncmp(why, "receipt: byte ", 14)) fail_msg("names no field: %s", why);
            continue;
        }
        size_t n = 0;
        assert_int_equal(decai_receipt_encode(r, again, sizeof again, &n), 0);
        assert_int_equal(n, len);
        assert_memory_equal(again, bytes, n);
        assert_int_equal(decai_receipt_id_get(r, other, 32), 0);
        /* Only signatures and profile lie outside the payload, and there are no signatures. */
        if (r->profile == DECAI_PROFILE_MARKET) assert_memory_not_equal(id, other, 32);
        decai_destroy(r);
    }
    print_message("# %d of %d mutations refused, %d naming a field, the others are other receipts\n", refused, rounds, named);
    assert_true(refused > rounds / 4);
}

static void
opening_opens_one_receipt(void **state)
{
    (void)state;
    int32_t ids[64];
    size_t n = 0;
    support_run *r = &t.run;
    assert_int_equal(decai_opening_decode(r->receipt, ids, 64, &n, r->opening, r->opening_len, 0), 0);
    assert_int_equal(n, 5);
    assert_int_equal(ids[0], 'H');
    assert_int_equal(decai_opening_decode(r->receipt, ids, 64, &n, r->opening, r->opening_len, 1), 0);
    assert_int_equal(n, SUPPORT_OUTPUT);
    assert_int_equal(decai_opening_decode(r->receipt, ids, 2, &n, r->opening, r->opening_len, 1), DECAI_E_SPACE);
    assert_int_equal(n, SUPPORT_OUTPUT);
    /* Any byte of it changed opens nothing. */
    for (size_t i = 0; i < r->opening_len; i++) {
        r->opening[i] ^= 1;
        int32_t e = decai_opening_decode(r->receipt, ids, 64, &n, r->opening, r->opening_len, 0);
        if (!e) fail_msg("byte %zu changed and still opens", i);
        r->opening[i] ^= 1;
    }
}

/* ---- what a receipt may be made of ------------------------------------------------ */

static int32_t
receipt_of(decai_session *s)
{
    decai_receipt *r = NULL;
    int32_t e = decai_receipt_create(&r, s, t.run.tok, NULL);
    assert_true((e == 0) == (r != NULL));
    decai_destroy(r);
    return e;
}

/* A replay runs one prompt and its answer: a receipt of anything else would be
 * found wrong although its maker was honest. */
static void
one_turn_only(void **state)
{
    (void)state;
    static const int32_t more[2] = {65, 66};
    decai_session *s = NULL;
    int32_t token;
    assert_int_equal(support_session(&s, t.ctx, t.run.engine), 0);
    assert_int_equal(receipt_of(s), DECAI_E_STATE);
    assert_int_equal(decai_session_next(s, &token), 1);
    assert_int_equal(receipt_of(s), 0);
    assert_int_equal(decai_session_add(s, more, 2), 0);
    assert_int_equal(receipt_of(s), DECAI_E_STATE);
    assert_int_equal(decai_session_next(s, &token), 1);
    assert_int_equal(receipt_of(s), DECAI_E_STATE);
    assert_non_null(strstr(decai_error_detail(), "one turn"));
    assert_int_equal(decai_session_start(s), 0);
    assert_int_equal(decai_session_add(s, more, 2), 0);
    assert_int_equal(decai_session_add(s, more, 2), 0);
    assert_int_equal(decai_session_next(s, &token), 1);
    assert_int_equal(receipt_of(s), 0);
    decai_destroy(s);
}

static void
not_of_all_logits(void **state)
{
    (void)state;
    static const int32_t prompt[2] = {65, 66};
    decai_session *s = NULL;
    decai_options *o = NULL;
    int32_t token;
    assert_int_equal(decai_options_create(&o, t.ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.activation_tree", 1), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.logits_all", 1), 0);
    assert_int_equal(decai_session_create(&s, t.run.engine, o), 0);
    assert_int_equal(decai_session_add(s, prompt, 2), 0);
    assert_int_equal(decai_session_next(s, &token), 1);
    assert_int_equal(receipt_of(s), DECAI_E_STATE);
    assert_non_null(strstr(decai_error_detail(), "infer.logits_all"));
    decai_destroy(o);
    decai_destroy(s);
}

/* Signers are listed as they were checked, not as they are now. */
static void
signers_are_those_that_were_checked(void **state)
{
    (void)state;
    decai_receipt *r = NULL;
    decai_verification *v = NULL;
    uint8_t key[20] = {1}, signature[65] = {2};
    char text[4096];
    size_t len;
    assert_int_equal(decai_receipt_load(&r, t.ctx, t.bytes, t.len), 0);
    assert_int_equal(decai_receipt_verify(&v, r, NULL, 0, NULL), 0);
    assert_int_equal(decai_receipt_add(r, DECAI_SIGNATURE_EIP712, key, sizeof key, signature, sizeof signature), 0);
    assert_int_equal(decai_verification_format(v, text, sizeof text - 1, &len), 0);
    text[len] = 0;
    assert_null(strstr(text, "0x01"));
    decai_destroy(v);
    assert_int_equal(decai_receipt_verify(&v, r, NULL, 0, NULL), 0);
    assert_int_equal(decai_verification_format(v, text, sizeof text - 1, &len), 0);
    text[len] = 0;
    assert_non_null(strstr(text, "0x01"));
    decai_destroy(v);
    decai_destroy(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payload_is_pinned),
        cmocka_unit_test(sampler_has_one_form),
        cmocka_unit_test(unknown_keys_are_refused),
        cmocka_unit_test(domains_are_pinned),
        cmocka_unit_test(every_required_field_is_missed),
        cmocka_unit_test(envelope_round_trip),
        cmocka_unit_test(signatures_have_a_limit),
        cmocka_unit_test(sizes_have_a_limit),
        cmocka_unit_test(mutations),
        cmocka_unit_test(opening_opens_one_receipt),
        cmocka_unit_test(one_turn_only),
        cmocka_unit_test(not_of_all_logits),
        cmocka_unit_test(signers_are_those_that_were_checked),
    };
    return cmocka_run_group_tests_name("proof_receipt", tests, setup, teardown);
}
