/* verify.c - the known-answer test: every op on a small fixed input, the output's
 * hash against a constant that scalar C gave when the contract was written.
 *
 * Inputs hold subnormals, negative zeros, values many binades apart, short last
 * leaves and blocks, more than one KV page: a device that flushes, contracts,
 * reorders, or rounds another way misses at least one constant. The hash is
 * FNV-1a over 64-bit words of two floats: a checksum, not a commitment. */
#include <string.h>

#include "compute/backend.h"
#include "compute/leaf.h"

#define DIM 288                      /* one full leaf and one short */
#define WIDE 768                     /* for types of 256-blocks */
#define ROWS 11
#define TOKENS 3
#define HEAD 40                      /* a whole block of a Q8_0 cache and a short one */
#define POSITIONS 131                /* two full pages and a short one */
#define FLOATS (POSITIONS * 2 * HEAD)
#define ROOM DECAI__MAX((size_t)FLOATS * 4, (size_t)ROWS * WIDE * 4)

typedef struct kat {
    decai__compute *c;
    decai__tbuf *a, *b, *out, *act;
    decai__matrix *m;
    decai__kv *kv;
    uint8_t *host, *raw;             /* raw: a matrix's bytes, which may be read while it lives */
    uint64_t hash;
} kat;

/* arg: whatever a step varies by (type, form, kind). */
typedef struct kat_step {
    const char *op;
    int32_t (*run)(kat *k, int32_t arg, size_t *out_bytes);
    int32_t arg;
    uint64_t golden;
} kat_step;

/* A fixed sequence (Knuth's MMIX constants); any bits would do. */
static uint32_t
next(uint64_t *s)
{
    *s = *s * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*s >> 32);
}

/* Floats of both signs over `binades` binades below 2^top; every 17th subnormal or zero. */
static void
fill(float *x, size_t count, uint64_t seed, uint32_t binades, int32_t top)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t u = next(&seed), e = (uint32_t)(top + 127) - u % binades;
        if (i % 17 == 16) e = 0;
        x[i] = f32_from((next(&seed) & 0x807fffffu & (i % 34 == 33 ? 0x80000000u : ~0u)) | e << 23);
    }
}

static int32_t
put(kat *k, decai__tbuf *b, size_t count, uint64_t seed, uint32_t binades, int32_t top)
{
    fill((float *)k->host, count, seed, binades, top);
    return decai__tbuf_write(b, 0, k->host, count * 4);
}

/* Scales of every block that are finite and a few binades apart. */
static void
tame(uint8_t *data, size_t len, int32_t type)
{
    size_t block = decai__type_block_bytes(type);
    for (size_t i = 0; i < len; i += block) switch (type) {
        case DECAI__F16: data[i + 1] &= 0xbb; break;
        case DECAI__BF16: data[i + 1] &= 0xbf; break;
        case DECAI__MXFP4: data[i] = (uint8_t)(112 + data[i] % 14); break;
        case DECAI__Q6_K: case DECAI__Q3_K: data[i + block - 1] = (uint8_t)(0x04 | (data[i + block - 1] & 0x9b)); break;
        case DECAI__Q2_K:
            data[i + 81] = (uint8_t)(0x04 | (data[i + 81] & 0x9b));
            data[i + 83] = (uint8_t)(0x04 | (data[i + 83] & 0x9b));
            break;
        default:
            data[i + 1] = (uint8_t)(0x04 | (data[i + 1] & 0x9b));        /* 2^-14 to 2^-7 */
            if (type == DECAI__Q4_1 || type == DECAI__Q5_1 || type == DECAI__Q4_K || type == DECAI__Q5_K)
                data[i + 3] = (uint8_t)(0x04 | (data[i + 3] & 0x9b));
        }
}

static size_t
cols_of(int32_t type)
{
    return decai__type_block(type) == 256 ? WIDE : DIM;
}

/* experts * ROWS rows of random bytes in k->raw. */
static size_t
weights(kat *k, int32_t type, size_t experts)
{
    size_t len = experts * ROWS * decai__row_size(type, cols_of(type));
    uint64_t seed = 2 + (uint64_t)type;
    for (size_t i = 0; i < len; i++) k->raw[i] = (uint8_t)next(&seed);
    if (type == DECAI__F32) fill((float *)k->raw, len / 4, seed, 40, 4);
    else tame(k->raw, len, type);
    return len;
}

static int32_t
matrix(kat *k, int32_t type, size_t experts)
{
    decai__matrix_destroy(k->m);
    size_t len = weights(k, type, experts);
    return decai__matrix_create_experts(&k->m, k->c, "known-answer", type, experts, ROWS, cols_of(type), k->raw, len, NULL);
}

static int32_t
step_quant(kat *k, int32_t form, size_t *bytes)
{
    size_t dim = form == DECAI__ACT_32 ? DIM : WIDE;
    int32_t r = put(k, k->a, TOKENS * dim, 1, 30, 3);
    *bytes = TOKENS * decai__act_stride(form, dim);
    return r ? r : decai__op_quant(k->c, DECAI__REF(k->out), DECAI__REF(k->a), form, TOKENS, dim, "known-answer");
}

static int32_t
input(kat *k, size_t n, decai__ref *in)
{
    size_t cols = k->m->cols;
    int32_t r = put(k, k->a, n * cols, 1, 30, 3);
    *in = DECAI__REF(k->m->act >= 0 ? k->act : k->a);
    return r || k->m->act < 0 ? r : decai__op_quant(k->c, *in, DECAI__REF(k->a), k->m->act, n, cols, "known-answer");
}

/* With the activation scales asked for, whatever the engine runs with. */
static int32_t
product(kat *k, int32_t type, size_t n, bool two_level, size_t *bytes)
{
    decai__ref in;
    bool was = k->c->two_level;
    k->c->two_level = two_level;
    int32_t r = matrix(k, type, 1);
    k->c->two_level = was;
    if (!r) r = input(k, n, &in);
    *bytes = n * ROWS * 4;
    return r ? r : decai__op_matmul(k->c, DECAI__REF(k->out), k->m, in, n);
}

static int32_t step_matmul(kat *k, int32_t type, size_t *bytes) { return product(k, type, TOKENS, false, bytes); }
static int32_t step_matmul_one(kat *k, int32_t type, size_t *bytes) { return product(k, type, 1, false, bytes); }
static int32_t step_two_level(kat *k, int32_t type, size_t *bytes) { return product(k, type, TOKENS, true, bytes); }

/* Everything below the normal range: what flushes, in or out, shows here. */
static int32_t
step_tiny(kat *k, int32_t arg, size_t *bytes)
{
    size_t len = ROWS * DIM * 4;
    (void)arg;
    decai__matrix_destroy(k->m);
    fill((float *)k->raw, ROWS * DIM, 21, 6, -2);
    int32_t r = decai__matrix_create(&k->m, k->c, "known-answer", DECAI__F32, ROWS, DIM, k->raw, len, NULL);
    if (!r) r = put(k, k->a, TOKENS * DIM, 22, 3, -125);
    *bytes = TOKENS * ROWS * 4;
    return r ? r : decai__op_matmul(k->c, DECAI__REF(k->out), k->m, DECAI__REF(k->a), TOKENS);
}

static int32_t
step_embed(kat *k, int32_t type, size_t *bytes)
{
    static const uint32_t ids[TOKENS] = { 9, 0, 4 };
    size_t cols = cols_of(type);
    decai__matrix_destroy(k->m);
    k->m = NULL;
    (void)weights(k, type, 1);
    const decai__rows t = { "known-answer", type, ROWS, cols, k->raw, decai__row_size(type, cols) };
    *bytes = TOKENS * cols * 4;
    int32_t r = decai__op_embed(k->c, DECAI__REF(k->out), &t, ids, TOKENS, 1.0f);
    if (!r) r = decai__op_embed_add(k->c, DECAI__REF(k->out), &t, ids + 1, TOKENS - 1);
    return r ? r : decai__op_embed(k->c, (decai__ref){ k->out, (TOKENS - 1) * cols * 4 }, &t, ids, 1, 45.25f);
}

static int32_t
step_norm(kat *k, int32_t kind, size_t *bytes)
{
    const decai__norm p = { TOKENS, 1, DIM, 1e-5f, kind };
    int32_t r = put(k, k->a, TOKENS * DIM, 3, 12, 2);
    if (!r) r = put(k, k->b, 2 * DIM, 4, 4, 0);
    decai__ref bias = kind == DECAI__NORM_LAYER ? (decai__ref){ k->b, DIM * 4 } : DECAI__NO_REF;
    *bytes = TOKENS * DIM * 4;
    return r ? r : decai__op_norm(k->c, DECAI__REF(k->out), DECAI__REF(k->a), DECAI__REF(k->b), bias, &p, "known-answer");
}

static int32_t
step_rope(kat *k, int32_t neox, size_t *bytes)
{
    decai__tbuf *table = NULL;
    const decai__rope p = { TOKENS, 4, HEAD, HEAD - 8, 5, neox != 0 };
    decai__rope_spec spec = { .rot_dim = HEAD - 8, .base = 10000.0 };
    if (neox) {
        spec.yarn.factor = 4.0;
        spec.yarn.original = 64.0;
        spec.yarn.beta_fast = 32.0;
        spec.yarn.beta_slow = spec.yarn.attn_factor = 1.0;
    }
    int32_t r = put(k, k->out, TOKENS * 4 * HEAD, 5, 12, 2);
    if (!r) r = decai__rope_table_create(&table, k->c, 5 + TOKENS, &spec);
    if (!r) r = decai__op_rope(k->c, DECAI__REF(k->out), table, &p);
    if (!r) r = decai__compute_sync(k->c);
    decai__tbuf_destroy(table);
    *bytes = TOKENS * 4 * HEAD * 4;
    return r;
}

/* arg: cache type, + 2 for a window, a cap and sinks, + 4 for values that f16 has
 * few bits for. */
static int32_t
step_attention(kat *k, int32_t arg, size_t *bytes)
{
    static const uint32_t window[1] = { 70 };
    const decai__kv_spec spec = { 1, 2, HEAD, arg & 1, POSITIONS, POSITIONS, arg & 2 ? window : NULL };
    decai__attn p = { 2, 4, 2, HEAD, POSITIONS - 2, 0.1767767f, 0.0f, DECAI__NO_REF };
    if (arg & 2) {
        p.softcap = 30.0f;
        p.sinks = DECAI__REF(k->b);
    }
    decai__kv_destroy(k->kv);
    int32_t r = decai__kv_create(&k->kv, k->c, &spec);
    int32_t top = arg & 4 ? -9 : 1;
    if (!r) r = put(k, k->a, FLOATS, 6, 6, top);
    if (!r) r = put(k, k->b, FLOATS, 7, 9, top);
    if (!r) r = put(k, k->act, 2 * 4 * HEAD, 8, 5, 1);
    if (!r) r = decai__op_kv_store(k->c, k->kv, 0, 0, DECAI__REF(k->a), DECAI__REF(k->b), POSITIONS, "known-answer");
    *bytes = 2 * 4 * HEAD * 4;
    return r ? r : decai__op_attention(k->c, DECAI__REF(k->out), DECAI__REF(k->act), k->kv, 0, &p, "known-answer");
}

static int32_t
step_attention_full(kat *k, int32_t arg, size_t *bytes)
{
    static const uint32_t starts[] = { 0, 3, 70, 71 };
    const decai__attn p = { .n = 71, .heads = 2, .kv_heads = 2, .head_dim = HEAD, .scale = 0.1767767f };
    (void)arg;
    int32_t r = put(k, k->a, FLOATS, 6, 6, 1);
    if (!r) r = put(k, k->b, FLOATS, 7, 9, 1);
    if (!r) r = put(k, k->act, 71 * 2 * HEAD, 8, 5, 1);
    *bytes = 71 * 2 * HEAD * 4;
    return r ? r : decai__op_attention_full(k->c, DECAI__REF(k->out), DECAI__REF(k->act), DECAI__REF(k->a), DECAI__REF(k->b),
        starts, 3, &p, "known-answer");
}

/* One token's way through its experts: route, product, bias, mix. Kind 2 is kind 0 of
 * a float type, which every backend has from the start. */
static int32_t
step_experts(kat *k, int32_t kind, size_t *bytes)
{
    const int32_t types[] = { DECAI__MXFP4, DECAI__Q8_0, DECAI__F16 };
    const decai__route p = { TOKENS, 4, 2, kind % 2 };
    const decai__ref route = { k->b, 4096 }, y = { k->out, TOKENS * 2 * 8 }, part = { k->a, 0 };
    decai__ref in;
    int32_t r = put(k, k->a, TOKENS * 4, 13, 6, 2);
    if (!r) r = put(k, k->b, 4 * ROWS, 14, 6, 2);
    if (!r) r = decai__op_route(k->c, route, DECAI__REF(k->a), &p, "known-answer");
    if (!r) r = matrix(k, types[kind], 4);
    if (!r) r = input(k, TOKENS, &in);
    if (!r && kind == 2) {                           /* the input's place is the product's */
        r = decai__tbuf_copy(k->act, 0, k->a, 0, TOKENS * DIM * 4);
        in = DECAI__REF(k->act);
    }
    for (size_t slot = 0; !r && slot < 2; slot++) {
        r = decai__op_matmul_expert(k->c, part, k->m, in, route, slot, 2, TOKENS);
        if (!r) r = decai__op_bias_expert(k->c, part, DECAI__REF(k->b), route, slot, 2, 4, TOKENS, ROWS);
        if (!r) r = decai__op_mix_expert(k->c, y, part, route, slot, 2, TOKENS, ROWS);
    }
    if (!r) r = decai__tbuf_copy(k->out, 0, k->b, 4096, TOKENS * 2 * 8);
    *bytes = TOKENS * 2 * 8 + TOKENS * ROWS * 4;
    return r ? r : decai__op_bias(k->c, y, DECAI__REF(k->b), TOKENS, ROWS);
}

static int32_t
step_glu(kat *k, int32_t kind, size_t *bytes)
{
    int32_t r = put(k, k->a, 1024, 9, 12, 6);
    if (!r) r = put(k, k->b, 1024, 10, 9, 1);
    *bytes = 1024 * 4;
    if (!r) r = decai__op_glu(k->c, DECAI__REF(k->out), DECAI__REF(k->a), DECAI__REF(k->b), kind, 768);
    return r ? r : decai__op_glu(k->c, (decai__ref){ k->out, 768 * 4 }, DECAI__REF(k->a), DECAI__NO_REF, kind, 256);
}

static int32_t
step_softcap(kat *k, int32_t arg, size_t *bytes)
{
    (void)arg;
    *bytes = 1024 * 4;
    int32_t r = put(k, k->out, 1024, 15, 12, 6);
    return r ? r : decai__op_softcap(k->c, DECAI__REF(k->out), 30.0f, 1024);
}

static int32_t
step_add(kat *k, int32_t arg, size_t *bytes)
{
    (void)arg;
    int32_t r = put(k, k->a, 1024, 11, 140, 12);
    if (!r) r = put(k, k->b, 1024, 12, 140, 12);
    *bytes = 1024 * 4;
    return r ? r : decai__op_add(k->c, DECAI__REF(k->out), DECAI__REF(k->a), DECAI__REF(k->b), 1024);
}

static const kat_step steps[] = {
    { "quant ACT_32", step_quant, DECAI__ACT_32, 0x00e84bc2b750fcdaULL },
    { "quant ACT_256", step_quant, DECAI__ACT_256, 0x8b5bfe2e59816ca6ULL },
    { "quant ACT_2L", step_quant, DECAI__ACT_2L, 0xac7d22d0b121a386ULL },
    { "matmul Q4_0", step_matmul, DECAI__Q4_0, 0x1dd9ca84b074a4eeULL },
    { "matmul Q4_0, one token", step_matmul_one, DECAI__Q4_0, 0xef8ba00986eec6a6ULL },
    { "matmul Q4_1", step_matmul, DECAI__Q4_1, 0x80b4afd666d4a1abULL },
    { "matmul Q4_1, one token", step_matmul_one, DECAI__Q4_1, 0x5833324d7027bbebULL },
    { "matmul Q5_0", step_matmul, DECAI__Q5_0, 0xf88fff68f01b9a4aULL },
    { "matmul Q5_0, one token", step_matmul_one, DECAI__Q5_0, 0x4a2dcb0314bcc875ULL },
    { "matmul Q5_1", step_matmul, DECAI__Q5_1, 0xc2dae8296d48ab97ULL },
    { "matmul Q5_1, one token", step_matmul_one, DECAI__Q5_1, 0xc8c9b8f8430535aaULL },
    { "matmul Q8_0", step_matmul, DECAI__Q8_0, 0x9014523c0dfb5cc4ULL },
    { "matmul Q8_0, one token", step_matmul_one, DECAI__Q8_0, 0xdd9d751ae89ee45cULL },
    { "matmul Q2_K", step_matmul, DECAI__Q2_K, 0x46babbfc0a056c66ULL },
    { "matmul Q2_K, one token", step_matmul_one, DECAI__Q2_K, 0x807b9120b26f5662ULL },
    { "matmul Q3_K", step_matmul, DECAI__Q3_K, 0x4dce2328cb64c888ULL },
    { "matmul Q3_K, one token", step_matmul_one, DECAI__Q3_K, 0xfcac79eb79552694ULL },
    { "matmul Q4_K", step_matmul, DECAI__Q4_K, 0xe9e7bd85415117f4ULL },
    { "matmul Q4_K, one token", step_matmul_one, DECAI__Q4_K, 0x6d3d9630c1355db9ULL },
    { "matmul Q5_K", step_matmul, DECAI__Q5_K, 0x7d3798a51d88fcb5ULL },
    { "matmul Q5_K, one token", step_matmul_one, DECAI__Q5_K, 0x65209b9e8bd62925ULL },
    { "matmul Q6_K", step_matmul, DECAI__Q6_K, 0x5446e10c97d2cba9ULL },
    { "matmul Q6_K, one token", step_matmul_one, DECAI__Q6_K, 0x3ca30d85a9108935ULL },
    { "matmul IQ4_NL", step_matmul, DECAI__IQ4_NL, 0x7e317ebcd8e59d70ULL },
    { "matmul IQ4_NL, one token", step_matmul_one, DECAI__IQ4_NL, 0x590c06da3f42e764ULL },
    { "matmul IQ4_XS", step_matmul, DECAI__IQ4_XS, 0xb4c637e9420aa189ULL },
    { "matmul IQ4_XS, one token", step_matmul_one, DECAI__IQ4_XS, 0x5c4a1219615b9e48ULL },
    { "matmul MXFP4", step_matmul, DECAI__MXFP4, 0x92181e81d9827e25ULL },
    { "matmul MXFP4, one token", step_matmul_one, DECAI__MXFP4, 0xd7e5a57b0dafb85eULL },
    { "matmul F16", step_matmul, DECAI__F16, 0xa60f4ed8cb3d43f7ULL },
    { "matmul F16, one token", step_matmul_one, DECAI__F16, 0x3b327fcfe0d721abULL },
    { "matmul BF16", step_matmul, DECAI__BF16, 0xdcef1ca31d8cc8c6ULL },
    { "matmul BF16, one token", step_matmul_one, DECAI__BF16, 0x58b2a0e798a72f6bULL },
    { "matmul F32", step_matmul, DECAI__F32, 0xeaae133f13e2b1f4ULL },
    { "matmul F32, one token", step_matmul_one, DECAI__F32, 0x6aa88a7c07e7fc9cULL },
    { "matmul Q2_K, two-level scales", step_two_level, DECAI__Q2_K, 0x83855ab39e2011beULL },
    { "matmul Q3_K, two-level scales", step_two_level, DECAI__Q3_K, 0x71c7322d82916f4cULL },
    { "matmul Q4_K, two-level scales", step_two_level, DECAI__Q4_K, 0x2104b653c3b59ba9ULL },
    { "matmul Q5_K, two-level scales", step_two_level, DECAI__Q5_K, 0xbfc54ab7bbdc0b35ULL },
    { "matmul Q6_K, two-level scales", step_two_level, DECAI__Q6_K, 0x088ca8a015eb18afULL },
    { "matmul IQ4_XS, two-level scales", step_two_level, DECAI__IQ4_XS, 0x8a4c31a3ecd33263ULL },
    { "matmul F32, subnormal", step_tiny, 0, 0x2cc77a6184f80a0bULL },
    { "embed Q4_0", step_embed, DECAI__Q4_0, 0x3efc666aa79f81c5ULL },
    { "embed Q4_1", step_embed, DECAI__Q4_1, 0x833b2b347918828eULL },
    { "embed Q5_0", step_embed, DECAI__Q5_0, 0x563d411b100214d9ULL },
    { "embed Q5_1", step_embed, DECAI__Q5_1, 0x2f4e0b7f717ce914ULL },
    { "embed Q8_0", step_embed, DECAI__Q8_0, 0xa8133b33487f414cULL },
    { "embed Q2_K", step_embed, DECAI__Q2_K, 0xe14ca4866335e832ULL },
    { "embed Q3_K", step_embed, DECAI__Q3_K, 0xdee4a5e3be6cd7f3ULL },
    { "embed Q4_K", step_embed, DECAI__Q4_K, 0x3d9dad5044d236a6ULL },
    { "embed Q5_K", step_embed, DECAI__Q5_K, 0x4608b3f2ac19c1dfULL },
    { "embed Q6_K", step_embed, DECAI__Q6_K, 0xa3878c47da54e0f1ULL },
    { "embed IQ4_NL", step_embed, DECAI__IQ4_NL, 0x82091a35e32686fcULL },
    { "embed IQ4_XS", step_embed, DECAI__IQ4_XS, 0x6bbf715ba2351235ULL },
    { "embed MXFP4", step_embed, DECAI__MXFP4, 0xf59a413d20999be5ULL },
    { "embed F16", step_embed, DECAI__F16, 0xbaf476dad509e622ULL },
    { "embed BF16", step_embed, DECAI__BF16, 0x2502192c4f6b1b97ULL },
    { "embed F32", step_embed, DECAI__F32, 0x08e12b6ceefab5f4ULL },
    { "norm", step_norm, DECAI__NORM_RMS, 0x79b5412dd91f7ee3ULL },
    { "norm, layer", step_norm, DECAI__NORM_LAYER, 0x5d22cea0867caec6ULL },
    { "rope", step_rope, 0, 0x4eb1fa512317a5d1ULL },
    { "rope neox, YaRN", step_rope, 1, 0x704978ab0bad8d75ULL },
    { "attention", step_attention, 0, 0x1f06b7202279acf9ULL },
    { "attention, q8_0 cache", step_attention, 1, 0x60804f9c7372a6c4ULL },
    { "attention, window, cap, sinks", step_attention, 2, 0xe9a0867aace69f09ULL },
    { "attention, q8_0 cache, window, cap, sinks", step_attention, 3, 0x3496d59e87a947f1ULL },
    { "attention, small values", step_attention, 4, 0x861f31fa4c6ad841ULL },
    { "attention, q8_0 cache, small values", step_attention, 5, 0x58589cdd6869f591ULL },
    { "attention_full", step_attention_full, 0, 0x4ddd641c7185b3edULL },
    { "experts, selected", step_experts, DECAI__ROUTE_SELECTED, 0x7e21981611ff8ed2ULL },
    { "experts, all", step_experts, DECAI__ROUTE_ALL, 0x6b8884e4a05329b7ULL },
    { "experts, float", step_experts, 2, 0xe1c1bbcdd30a108cULL },
    { "glu silu", step_glu, DECAI__GLU_SILU, 0x0f1632b83f2377d1ULL },
    { "glu gelu tanh", step_glu, DECAI__GLU_GELU_TANH, 0x89ebc011ef48e4efULL },
    { "glu gelu erf", step_glu, DECAI__GLU_GELU_ERF, 0x4f8d4ab3ff11a1bcULL },
    { "glu oai", step_glu, DECAI__GLU_OAI, 0xf4eb35dadefe588dULL },
    { "softcap", step_softcap, 0, 0x6a83b3187bd911dbULL },
    { "add", step_add, 0, 0x2e3ce1d9a0020d74ULL },
};

static uint64_t
hash_of(const uint8_t *data, size_t len)
{
    uint64_t h = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i + 8 <= len; i += 8) h = (h ^ decai__load_le64(data + i)) * 0x100000001b3ULL;
    return h;
}

static int32_t
kat_open(kat *k, decai__compute *c)
{
    *k = (kat){ .c = c, .host = decai__alloc(c->ctx, ROOM), .raw = decai__alloc(c->ctx, ROOM) };
    if (!k->host || !k->raw) return DECAI_E_NOMEM;
    int32_t r = decai__tbuf_create(&k->a, c, ROOM);
    if (!r) r = decai__tbuf_create(&k->b, c, ROOM);
    if (!r) r = decai__tbuf_create(&k->out, c, ROOM);
    if (!r) r = decai__tbuf_create(&k->act, c, ROOM);
    return r;
}

static void
kat_close(kat *k)
{
    decai__matrix_destroy(k->m);
    decai__kv_destroy(k->kv);
    decai__tbuf_destroy(k->a);
    decai__tbuf_destroy(k->b);
    decai__tbuf_destroy(k->out);
    decai__tbuf_destroy(k->act);
    decai__free(k->c->ctx, k->host);
    decai__free(k->c->ctx, k->raw);
}

static int32_t
kat_step_run(kat *k, const kat_step *s)
{
    size_t bytes = 0;
    int32_t r = s->run(k, s->arg, &bytes);
    if (!r) r = decai__tbuf_read(k->out, 0, k->host, bytes);
    k->hash = r ? 0 : hash_of(k->host, bytes);
    return r;
}

int32_t
decai__compute_known_answer(decai__compute *c, const char **op, uint64_t *hash, uint64_t *golden, size_t index)
{
    kat k;
    if (index >= DECAI__COUNT(steps)) return 0;
    int32_t r = kat_open(&k, c);
    if (!r) r = kat_step_run(&k, &steps[index]);
    kat_close(&k);
    *op = steps[index].op;
    *hash = k.hash;
    *golden = steps[index].golden;
    return r ? r : 1;
}

static bool
any_step(const kat_step *s, int32_t type)
{
    (void)s; (void)type;
    return true;
}

/* The quantised type that a step needs a product of, or -1. */
static int32_t
product_of(const kat_step *s)
{
    if (s->run == step_experts) return s->arg == 2 ? -1 : s->arg ? DECAI__Q8_0 : DECAI__MXFP4;
    bool product = s->run == step_matmul || s->run == step_matmul_one || s->run == step_two_level;
    return product && decai__type_quantised(s->arg) ? s->arg : -1;
}

static bool
of_no_type(const kat_step *s, int32_t type)
{
    (void)type;
    return product_of(s) < 0;
}

static bool
of_type(const kat_step *s, int32_t type)
{
    return s->run != step_experts && product_of(s) == type;
}

static int32_t
verify(decai__compute *c, bool (*wanted)(const kat_step *, int32_t), int32_t type)
{
    kat k;
    int32_t r = kat_open(&k, c);
    for (size_t i = 0; !r && i < DECAI__COUNT(steps); i++) {
        if (!wanted(&steps[i], type)) continue;
        r = kat_step_run(&k, &steps[i]);
        if (!r && k.hash != steps[i].golden)
            r = decai__fail(DECAI_E_DEVICE, "%s \"%s\" computes %s wrongly: known answer %016llx, got %016llx",
                c->table->name, c->device, steps[i].op, (unsigned long long)steps[i].golden, (unsigned long long)k.hash);
    }
    kat_close(&k);
    return r;
}

int32_t decai__compute_verify(decai__compute *c) { return verify(c, any_step, -1); }

int32_t
decai__compute_verify_start(decai__compute *c)
{
    if (c->table != &decai__cl_backend) return decai__compute_verify(c);
    c->verify_types = true;
    return verify(c, of_no_type, -1);
}

int32_t decai__compute_verify_type(decai__compute *c, int32_t type) { return verify(c, of_type, type); }
