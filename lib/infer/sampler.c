/* sampler.c - options infer.* into a sampler: units, lists, one form.
 *
 * Receipts carry these numbers, and equal behaviour shall be equal bytes: what is off
 * is 0 together with all that belongs to it, and lists are in ascending order.
 *
 *     logit_bias    id:value,id:value   value: at most three decimals, -1000 to 1000,
 *                                       or -inf
 *     dry_breakers  id,id
 */
#include "infer/infer.h"

#include <string.h>

#define BIAS_MILLI_MAX 1000000

/* ---- numbers -------------------------------------------------------------------------- */

/* Halves up. */
static int32_t
rounded(const decai_options *o, const char *key, double unit)
{
    double t = decai__opt_f64(o, key) * unit + 0.5;
    int32_t i = (int32_t)t;
    return t < (double)i ? i - 1 : i;
}

static int32_t milli(const decai_options *o, const char *key) { return rounded(o, key, 1000.0); }
static uint32_t share(const decai_options *o, const char *key) { return (uint32_t)rounded(o, key, 65536.0); }

static void
read_penalties(decai__sampler *s, const decai_options *o)
{
    int32_t repeat = milli(o, "infer.repeat_penalty");
    int32_t last_n = (int32_t)decai__opt_i64(o, "infer.penalty_last_n");

    if (!last_n) return;
    s->repeat_milli = repeat == 1000 ? 0 : (uint32_t)repeat;
    s->presence_milli = milli(o, "infer.presence_penalty");
    s->frequency_milli = milli(o, "infer.frequency_penalty");
    if (!s->repeat_milli && !s->presence_milli && !s->frequency_milli) return;
    s->penalty_last_n = last_n;
    s->penalty_own = !decai__opt_i64(o, "infer.penalty_prompt");
}

static void
read_dry(decai__sampler *s, const decai_options *o)
{
    int32_t multiplier = milli(o, "infer.dry_multiplier"), last_n = (int32_t)decai__opt_i64(o, "infer.dry_last_n");

    if (!multiplier || !last_n) return;
    s->dry_multiplier_milli = (uint32_t)multiplier;
    s->dry_base_milli = (uint32_t)milli(o, "infer.dry_base");
    s->dry_allowed = (uint32_t)decai__opt_i64(o, "infer.dry_allowed_length");
    s->dry_last_n = last_n;
}

/* Mirostat stands for the cuts. */
static int32_t
read_mirostat(decai__sampler *s, const decai_options *o)
{
    int64_t version = decai__opt_i64(o, "infer.mirostat");
    const char *other = s->top_k ? "infer.top_k" : s->top_p_65536 < 65536 ? "infer.top_p" : s->min_p_65536 ? "infer.min_p"
        : s->typical_65536 ? "infer.typical_p" : s->xtc_probability_65536 ? "infer.xtc_probability" : NULL;

    if (!version) return 0;
    if (version == 1) return decai__fail(DECAI_E_UNSUPPORTED, "infer.mirostat: 1; only version 2 is built");
    if (other) return decai__fail(DECAI_E_INVALID, "infer.mirostat: 2 stands for the cuts, but %s is set", other);
    s->tau_65536 = share(o, "infer.mirostat_tau");
    s->eta_65536 = share(o, "infer.mirostat_eta");
    return 0;
}

/* ---- lists ------------------------------------------------------------------------------ */

/* What is read of a text: id by id. */
typedef struct reader { const char *key, *at; size_t item; } reader;

static int32_t
bad(const reader *r, const char *what)
{
    return decai__fail(DECAI_E_INVALID, "%s: item %zu: %s", r->key, r->item, what);
}

/* Digits up to `max`, at least one. */
static int32_t
digits(reader *r, int64_t *out, int64_t max)
{
    int64_t v = 0;
    const char *start = r->at;

    for (; *r->at >= '0' && *r->at <= '9'; r->at++)
        if ((v = v * 10 + (*r->at - '0')) > max) return bad(r, "a number is too large");
    if (r->at == start) return bad(r, "a number is missing");
    *out = v;
    return 0;
}

static int32_t
bias_value(reader *r, int32_t *out)
{
    int64_t whole = 0, part = 0;
    bool minus = *r->at == '-';

    if (!strncmp(r->at, "-inf", 4)) {
        r->at += 4;
        *out = DECAI__BIAS_BAN;
        return 0;
    }
    if (minus || *r->at == '+') r->at++;
    int32_t e = digits(r, &whole, BIAS_MILLI_MAX / 1000);
    if (e) return e;
    if (*r->at == '.') {
        const char *start = ++r->at;
        if ((e = digits(r, &part, 999999999))) return e;
        if (r->at - start > 3) return bad(r, "more than three decimals");
        for (ptrdiff_t n = r->at - start; n < 3; n++) part *= 10;
    }
    if (whole * 1000 + part > BIAS_MILLI_MAX) return bad(r, "a number is too large");
    *out = (int32_t)(minus ? -(whole * 1000 + part) : whole * 1000 + part);
    return 0;
}

/* Put it where it belongs; the list has room for it. */
static bool
bias_insert(decai__bias *list, size_t count, decai__bias b)
{
    size_t at = count;
    for (; at && list[at - 1].token > b.token; at--) list[at] = list[at - 1];
    list[at] = b;
    return !at || list[at - 1].token != b.token;
}

/* Items of a text: one more than its commas, none of an empty one. */
static size_t
items(const char *text)
{
    size_t n = *text != 0;
    for (; *text; text++) n += *text == ',';
    return n;
}

/* A bias list; with plain ids the values are 0. */
static int32_t
read_list(decai__bias **out, size_t *count, decai_context *ctx, const decai_options *o, const char *key, size_t most, bool values)
{
    reader r = { .key = key, .at = decai__opt_str(o, key) };
    size_t n = items(r.at);

    if (!n) return 0;
    if (n > most) return decai__fail(DECAI_E_LIMIT, "%s: %zu items, most are %zu", key, n, most);
    decai__bias *list = *out = decai__alloc(ctx, n * sizeof *list);
    if (!list) return decai__fail(DECAI_E_NOMEM, "%s: %zu items", key, n);
    for (; r.item < n; r.item++) {
        decai__bias b = { 0, 0 };
        int64_t id = 0;
        int32_t e = digits(&r, &id, DECAI_VOCAB_MAX - 1);
        b.token = (int32_t)id;
        if (!e && values) e = *r.at++ == ':' ? bias_value(&r, &b.milli) : bad(&r, "no colon after the id");
        if (!e && *r.at != (r.item + 1 < n ? ',' : 0)) e = bad(&r, "what follows it is no comma");
        if (!e && !bias_insert(list, r.item, b)) e = bad(&r, "the id stands there twice");
        if (e) return e;
        r.at++;
    }
    *count = n;
    return 0;
}

static int32_t
read_lists(decai__sampler *s, decai_context *ctx, const decai_options *o)
{
    decai__bias *bias = NULL, *ids = NULL;
    int32_t *breakers = NULL;
    size_t count = 0;

    int32_t e = read_list(&bias, &s->bias_count, ctx, o, "infer.logit_bias", DECAI_LOGIT_BIAS_MAX, true);
    s->bias = bias;
    if (!e && s->dry_multiplier_milli) e = read_list(&ids, &count, ctx, o, "infer.dry_breakers", DECAI_DRY_BREAKERS_MAX, false);
    if (!e && count) {
        s->breakers = breakers = decai__alloc(ctx, count * sizeof *breakers);
        if (!breakers) e = decai__fail(DECAI_E_NOMEM, "infer.dry_breakers: %zu ids", count);
        else s->breaker_count = count;
        for (size_t i = 0; i < s->breaker_count; i++) breakers[i] = ids[i].token;
    }
    decai__free(ctx, ids);
    return e;
}

/* ---- the whole ----------------------------------------------------------------------------- */

int32_t
decai__sampler_read(decai__sampler *out, decai_context *ctx, const decai_options *o)
{
    decai__sampler *s = out;

    *s = (decai__sampler){ .temperature_milli = (uint32_t)milli(o, "infer.temperature"),
        .top_k = (uint32_t)decai__opt_i64(o, "infer.top_k"), .top_p_65536 = share(o, "infer.top_p"),
        .seed = (uint64_t)decai__opt_i64(o, "infer.seed"), .min_p_65536 = share(o, "infer.min_p"),
        .typical_65536 = share(o, "infer.typical_p") % 65536, .sigma_milli = (uint32_t)milli(o, "infer.top_n_sigma"),
        .xtc_probability_65536 = share(o, "infer.xtc_probability") };
    if (s->xtc_probability_65536) s->xtc_threshold_65536 = share(o, "infer.xtc_threshold");
    read_penalties(s, o);
    read_dry(s, o);
    int32_t e = read_mirostat(s, o);
    if (!e) e = read_lists(s, ctx, o);
    if (e) decai__sampler_free(ctx, s);
    return e;
}

void
decai__sampler_free(decai_context *ctx, decai__sampler *s)
{
    decai__free(ctx, (void *)(uintptr_t)s->bias);
    decai__free(ctx, (void *)(uintptr_t)s->breakers);
    s->bias = NULL;
    s->breakers = NULL;
    s->bias_count = s->breaker_count = 0;
}

/* ---- digests ------------------------------------------------------------------------------- */

void
decai__bias_digest(uint8_t out[32], const decai__bias *bias, size_t count)
{
    decai__keccak k;

    decai__keccak_init(&k);
    decai__hash_domain(&k, DECAI__DOMAIN_BIAS);
    decai__hash_u64(&k, count);
    for (size_t i = 0; i < count; i++) {
        decai__hash_u64(&k, (uint64_t)bias[i].token);
        decai__hash_u64(&k, (uint64_t)(int64_t)bias[i].milli);
    }
    decai__keccak_final(&k, out);
}

void
decai__breakers_digest(uint8_t out[32], const int32_t *tokens, size_t count)
{
    decai__keccak k;

    decai__keccak_init(&k);
    decai__hash_domain(&k, DECAI__DOMAIN_BREAKERS);
    decai__hash_u64(&k, count);
    for (size_t i = 0; i < count; i++) decai__hash_u64(&k, (uint64_t)tokens[i]);
    decai__keccak_final(&k, out);
}
