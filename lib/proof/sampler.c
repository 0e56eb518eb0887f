/* sampler.c - a run's sampler in a receipt: CBOR, JSON, session options, and what a
 * draw reads, all from one table.
 *
 *   key                   when absent   what
 *    0 .. 4               never         temperature 1/1000, top_k, top_p 1/65536, max_tokens, seed
 *    5 .. 16, 18 .. 21    0             steps of lib/infer/SAMPLING.md, in its units
 *   17, 22                no list       the digest of the list, which the opening carries
 *   23                    none          the digest of the grammar, whose text the opening carries
 *
 * A step that is off is absent with all that belongs to it; a 0 that is written, or a
 * part whose step is off, is refused: one run, one receipt. */
#include <stddef.h>
#include <string.h>

#include "codec/codec.h"
#include "proof/proof.h"

#define FIRST 5
#define AT(field) offsetof(decai__sampler, field)
#define KEY(k) (1u << (k))

enum unit { MILLI, SHARE, COUNT, LIST };

typedef struct row {
    const char *name, *option;
    enum unit unit;
    bool negative;                   /* below 0 is a value too */
    size_t at;                       /* u32, or i32 with negative; LIST: the hash in the fields */
    uint32_t of;                     /* keys of the steps it belongs to; 0: it is one itself */
} row;

#define PENALTIES (KEY(8) | KEY(9) | KEY(10))

static const row rows[DECAI__SAMPLER_KEYS] = {
    [5] = {"min_p_65536", "infer.min_p", SHARE, false, AT(min_p_65536), 0},
    [6] = {"typical_p_65536", "infer.typical_p", SHARE, false, AT(typical_65536), 0},
    [7] = {"top_n_sigma", "infer.top_n_sigma", MILLI, false, AT(sigma_milli), 0},
    [8] = {"repeat_penalty", "infer.repeat_penalty", MILLI, false, AT(repeat_milli), 0},
    [9] = {"presence_penalty", "infer.presence_penalty", MILLI, true, AT(presence_milli), 0},
    [10] = {"frequency_penalty", "infer.frequency_penalty", MILLI, true, AT(frequency_milli), 0},
    [11] = {"penalty_last_n", "infer.penalty_last_n", COUNT, true, AT(penalty_last_n), PENALTIES},
    [12] = {"penalty_own", NULL, COUNT, false, AT(penalty_own), PENALTIES},
    [13] = {"dry_multiplier", "infer.dry_multiplier", MILLI, false, AT(dry_multiplier_milli), 0},
    [14] = {"dry_base", "infer.dry_base", MILLI, false, AT(dry_base_milli), KEY(13)},
    [15] = {"dry_allowed_length", "infer.dry_allowed_length", COUNT, false, AT(dry_allowed), KEY(13)},
    [16] = {"dry_last_n", "infer.dry_last_n", COUNT, true, AT(dry_last_n), KEY(13)},
    [17] = {"dry_breakers", "infer.dry_breakers", LIST, false, offsetof(decai__sampler_fields, breakers), KEY(13)},
    [18] = {"xtc_probability_65536", "infer.xtc_probability", SHARE, false, AT(xtc_probability_65536), 0},
    [19] = {"xtc_threshold_65536", "infer.xtc_threshold", SHARE, false, AT(xtc_threshold_65536), KEY(18)},
    [20] = {"mirostat_tau_65536", "infer.mirostat_tau", SHARE, false, AT(tau_65536), 0},
    [21] = {"mirostat_eta_65536", "infer.mirostat_eta", SHARE, false, AT(eta_65536), KEY(20)},
    [22] = {"logit_bias", "infer.logit_bias", LIST, false, offsetof(decai__sampler_fields, bias), 0},
    [23] = {"grammar", NULL, LIST, false, offsetof(decai__sampler_fields, grammar), 0},
};

static uint64_t *
needed(decai__sampler_fields *s, uint64_t key)
{
    uint64_t *const at[FIRST] = {&s->temperature, &s->top_k, &s->top_p, &s->max_tokens, &s->seed};
    return at[key];
}

static uint8_t *
list_hash(decai__sampler_fields *s, const row *r)
{
    return (uint8_t *)s + r->at;
}

static bool
has(const decai__sampler_fields *s, uint32_t key)
{
    return s->present >> key & 1;
}

/* ---- a session's sampler ---------------------------------------------------------- */

void
decai__sampler_fields_set(decai__sampler_fields *f, const decai__sampler *s, uint32_t max_tokens)
{
    *f = (decai__sampler_fields){.temperature = s->temperature_milli, .top_k = s->top_k, .top_p = s->top_p_65536,
        .max_tokens = max_tokens, .seed = s->seed};
    for (uint32_t k = FIRST; k < DECAI__SAMPLER_KEYS; k++) {
        if (rows[k].unit == LIST) continue;
        uint32_t v;
        memcpy(&v, (const uint8_t *)s + rows[k].at, sizeof v);
        f->value[k] = rows[k].negative ? (int64_t)(int32_t)v : (int64_t)v;
        if (v) f->present |= KEY(k);
    }
    if (s->breaker_count) {
        f->present |= KEY(DECAI__S_BREAKERS);
        decai__breakers_digest(f->breakers, s->breakers, s->breaker_count);
    }
    if (s->bias_count) {
        f->present |= KEY(DECAI__S_BIAS);
        decai__bias_digest(f->bias, s->bias, s->bias_count);
    }
}

void
decai__sampler_of(decai__sampler *out, const decai__sampler_fields *f, const decai__opening *o)
{
    *out = (decai__sampler){.temperature_milli = (uint32_t)f->temperature, .top_k = (uint32_t)f->top_k,
        .top_p_65536 = (uint32_t)f->top_p, .seed = f->seed, .bias = o->bias, .bias_count = o->bias_count,
        .breakers = o->breakers, .breaker_count = o->breaker_count};
    for (uint32_t k = FIRST; k < DECAI__SAMPLER_KEYS; k++) {
        uint32_t v = (uint32_t)f->value[k];
        if (rows[k].unit != LIST) memcpy((uint8_t *)out + rows[k].at, &v, sizeof v);
    }
}

int32_t
decai__sampler_lists_check(const decai__sampler_fields *f, const decai__opening *o)
{
    uint8_t bias[32], breakers[32];
    decai__bias_digest(bias, o->bias, o->bias_count);
    decai__breakers_digest(breakers, o->breakers, o->breaker_count);
    if (has(f, DECAI__S_BIAS) != (o->bias_count != 0) || (o->bias_count && memcmp(bias, f->bias, 32)))
        return decai__fail(DECAI_E_INTEGRITY, "sampler.logit_bias: the opening has another list");
    if (has(f, DECAI__S_BREAKERS) != (o->breaker_count != 0) || (o->breaker_count && memcmp(breakers, f->breakers, 32)))
        return decai__fail(DECAI_E_INTEGRITY, "sampler.dry_breakers: the opening has another list");
    if (o->text) decai__grammar_digest_of(bias, o->kind, o->text, o->text_len);
    if (has(f, DECAI__S_GRAMMAR) != (o->text != NULL) || (o->text && memcmp(bias, f->grammar, 32)))
        return decai__fail(DECAI_E_INTEGRITY, "sampler.grammar: the opening has another one");
    return 0;
}

/* ---- CBOR --------------------------------------------------------------------------- */

void
decai__sampler_put(decai__cbor_writer *w, const decai__sampler_fields *f)
{
    decai__sampler_fields s = *f;
    decai__cbor_put_map(w, FIRST + (uint64_t)__builtin_popcount(s.present));
    for (uint32_t k = 0; k < DECAI__SAMPLER_KEYS; k++) {
        if (k >= FIRST && !has(&s, k)) continue;
        decai__cbor_put_uint(w, k);
        if (k < FIRST) decai__cbor_put_uint(w, *needed(&s, k));
        else if (rows[k].unit == LIST) decai__cbor_put_bytes(w, list_hash(&s, &rows[k]), 32);
        else decai__cbor_put_int(w, s.value[k]);
    }
}

static int32_t
value_get(decai__cbor_reader *r, decai__sampler_fields *s, uint32_t key)
{
    const row *is = &rows[key];
    int64_t low = is->negative ? INT32_MIN + 1 : 0, high = is->negative ? INT32_MAX : UINT32_MAX;
    s->present |= KEY(key);
    if (is->unit == LIST) return decai__cbor_get_fixed(r, list_hash(s, is), 32);
    int32_t e = decai__cbor_get_int(r, &s->value[key]);
    if (e) return e;
    if (s->value[key] < low || s->value[key] > high)
        return decai__fail(DECAI_E_LIMIT, "receipt.sampler: %s %lld", is->name, (long long)s->value[key]);
    if (!s->value[key]) return decai__fail(DECAI_E_CORRUPT, "receipt.sampler: %s is written, and 0", is->name);
    return 0;
}

int32_t
decai__sampler_get(decai__cbor_reader *r, decai__sampler_fields *s)
{
    uint64_t pairs, key, seen = 0;
    int32_t e = decai__cbor_get_map(r, &pairs);
    if (e) return e;
    while (pairs--) {
        if ((e = decai__cbor_get_key(r, &key))) return e;
        if (key >= DECAI__SAMPLER_KEYS) return decai__fail(DECAI_E_UNSUPPORTED, "receipt.sampler: key %llu", (unsigned long long)key);
        e = key < FIRST ? decai__cbor_get_uint(r, needed(s, key)) : value_get(r, s, (uint32_t)key);
        if (e) return e;
        seen |= 1ull << key;
    }
    if ((seen & (KEY(FIRST) - 1)) != KEY(FIRST) - 1) return decai__fail(DECAI_E_CORRUPT, "receipt.sampler: a key is missing");
    /* What is shown to people (receipt_format) is a signed number. */
    if (s->temperature > INT64_MAX) return decai__fail(DECAI_E_LIMIT, "receipt.sampler: temperature above 2^63-1");
    for (uint32_t k = FIRST; k < DECAI__SAMPLER_KEYS; k++)
        if (has(s, k) && rows[k].of && !(s->present & rows[k].of))
            return decai__fail(DECAI_E_CORRUPT, "receipt.sampler: %s, but its step is off", rows[k].name);
    return 0;
}

/* ---- JSON ----------------------------------------------------------------------------- */

void
decai__sampler_format(decai__json_writer *w, const decai__sampler_fields *f)
{
    decai__sampler_fields s = *f;
    decai__json_put_object(w, "sampler");
    decai__json_put_fixed(w, "temperature", (int64_t)s.temperature, 3);
    decai__json_put_u64(w, "top_k", s.top_k);
    decai__json_put_u64(w, "top_p_65536", s.top_p);
    decai__json_put_u64(w, "max_tokens", s.max_tokens);
    decai__json_put_u64(w, "seed", s.seed);
    for (uint32_t k = FIRST; k < DECAI__SAMPLER_KEYS; k++) {
        if (!has(&s, k)) continue;
        if (rows[k].unit == LIST) decai__json_put_hex(w, rows[k].name, list_hash(&s, &rows[k]), 32);
        else if (rows[k].unit == MILLI) decai__json_put_fixed(w, rows[k].name, s.value[k], 3);
        else decai__json_put_i64(w, rows[k].name, s.value[k]);
    }
    decai__json_put_end(w);
}

/* ---- a session's options ---------------------------------------------------------------- */

/* "id:-1.250,id:-inf": what infer.logit_bias reads. */
static int32_t
bias_option(decai_options *o, decai_context *ctx, const decai__bias *bias, size_t count)
{
    decai__buf b;
    decai__buf_init(&b, ctx, DECAI_OPTION_BYTES_MAX, "DECAI_OPTION_BYTES_MAX");
    for (size_t i = 0; i < count; i++) {
        int32_t milli = bias[i].milli, whole = milli < 0 ? -(milli / 1000) : milli / 1000;
        (void)decai__buf_printf(&b, "%s%d:", i ? "," : "", (int)bias[i].token);
        if (milli == DECAI__BIAS_BAN) (void)decai__buf_add_str(&b, "-inf");
        else (void)decai__buf_printf(&b, "%s%d.%03d", milli < 0 ? "-" : "", (int)whole, (int)(milli < 0 ? -(milli % 1000) : milli % 1000));
    }
    int32_t e = decai__buf_add_byte(&b, 0);
    if (!e) e = decai_options_set_str(o, rows[DECAI__S_BIAS].option, (const char *)b.data);
    decai__buf_free(&b);
    return e;
}

static int32_t
breakers_option(decai_options *o, decai_context *ctx, const int32_t *breakers, size_t count)
{
    decai__buf b;
    decai__buf_init(&b, ctx, DECAI_OPTION_BYTES_MAX, "DECAI_OPTION_BYTES_MAX");
    for (size_t i = 0; i < count; i++) (void)decai__buf_printf(&b, "%s%d", i ? "," : "", (int)breakers[i]);
    int32_t e = decai__buf_add_byte(&b, 0);
    if (!e) e = decai_options_set_str(o, rows[DECAI__S_BREAKERS].option, (const char *)b.data);
    decai__buf_free(&b);
    return e;
}

static int32_t
step_option(decai_options *o, const row *r, int64_t v)
{
    if (!r->option) return decai_options_set_i64(o, "infer.penalty_prompt", !v);
    if (r->unit == COUNT) return decai_options_set_i64(o, r->option, v);
    return decai_options_set_f64(o, r->option, (double)v / (r->unit == MILLI ? 1000 : 65536));
}

int32_t
decai__sampler_options(decai_options **out, decai_context *ctx, const decai__sampler_fields *s, const decai__opening *lists)
{
    int32_t e = decai_options_create(out, ctx);
    if (!e) e = decai_options_set_f64(*out, "infer.temperature", (double)s->temperature / 1000);
    if (!e) e = decai_options_set_i64(*out, "infer.top_k", (int64_t)s->top_k);
    if (!e) e = decai_options_set_f64(*out, "infer.top_p", (double)s->top_p / 65536);
    if (!e) e = decai_options_set_i64(*out, "infer.seed", (int64_t)s->seed);
    if (!e) e = decai_options_set_i64(*out, "infer.max_tokens", (int64_t)s->max_tokens);
    if (!e) e = decai_options_set_i64(*out, "infer.activation_tree", 1);
    /* A part of a step that is on may be 0 where its option's default is not. */
    for (uint32_t k = FIRST; k < DECAI__SAMPLER_KEYS && !e; k++)
        if (rows[k].unit != LIST && (has(s, k) || (s->present & rows[k].of))) e = step_option(*out, &rows[k], s->value[k]);
    if (!e && has(s, 20)) e = decai_options_set_i64(*out, "infer.mirostat", 2);
    if (!e && lists->bias_count) e = bias_option(*out, ctx, lists->bias, lists->bias_count);
    if (!e && lists->breaker_count) e = breakers_option(*out, ctx, lists->breakers, lists->breaker_count);
    return e;
}
