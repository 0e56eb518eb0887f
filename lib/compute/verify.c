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
#define ROWS 11
#define TOKENS 3
#define HEAD 32
#define POSITIONS 131                /* two full pages and a short one */
#define FLOATS (POSITIONS * 2 * HEAD)

typedef struct kat {
    decai__compute *c;
    decai__tbuf *a, *b, *out, *act;
    decai__matrix *m;
    uint8_t *host;
    uint64_t hash;
} kat;

typedef struct kat_step {
    const char *op;
    int32_t (*run)(kat *k, size_t *out_bytes);
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

static int32_t
matrix(kat *k, int32_t type, uint64_t seed)
{
    size_t row = decai__row_size(type, DIM), len = row * ROWS;
    for (size_t i = 0; i < len; i++) k->host[i] = (uint8_t)next(&seed);
    size_t block = type == DECAI__Q8_0 ? 34 : 18;
    for (size_t i = 0; decai__type_quantised(type) && i < len; i += block)
        k->host[i + 1] = (uint8_t)(0x04 | (k->host[i + 1] & 0x9b));          /* 2^-14 to 2^-7: finite */
    for (size_t i = 0; type == DECAI__F16 && i < len; i += 2) k->host[i + 1] &= 0xbb;
    for (size_t i = 0; type == DECAI__BF16 && i < len; i += 2) k->host[i + 1] &= 0xbf;
    if (type == DECAI__F32) fill((float *)k->host, len / 4, seed, 40, 4);
    decai__matrix_destroy(k->m);
    return decai__matrix_create(&k->m, k->c, "known-answer", type, ROWS, DIM, k->host, len, NULL);
}

static int32_t
step_quant(kat *k, size_t *bytes)
{
    int32_t r = put(k, k->a, TOKENS * DIM, 1, 30, 3);
    *bytes = TOKENS * decai__act_stride(DIM);
    return r ? r : decai__op_quant(k->c, DECAI__REF(k->out), DECAI__REF(k->a), TOKENS, DIM, "known-answer");
}

static int32_t
product(kat *k, size_t *bytes, int32_t type, size_t n)
{
    int32_t r = matrix(k, type, 2 + (uint64_t)type);
    if (!r) r = put(k, k->a, n * DIM, 1, 30, 3);
    *bytes = n * ROWS * 4;
    bool quantised = decai__type_quantised(type);
    if (!r && quantised) r = decai__op_quant(k->c, DECAI__REF(k->act), DECAI__REF(k->a), n, DIM, "known-answer");
    return r ? r : decai__op_matmul(k->c, DECAI__REF(k->out), k->m, DECAI__REF(quantised ? k->act : k->a), n);
}

static int32_t step_q8(kat *k, size_t *bytes) { return product(k, bytes, DECAI__Q8_0, TOKENS); }
static int32_t step_q8_one(kat *k, size_t *bytes) { return product(k, bytes, DECAI__Q8_0, 1); }
static int32_t step_q4(kat *k, size_t *bytes) { return product(k, bytes, DECAI__Q4_0, TOKENS); }
static int32_t step_q4_one(kat *k, size_t *bytes) { return product(k, bytes, DECAI__Q4_0, 1); }
static int32_t step_f16(kat *k, size_t *bytes) { return product(k, bytes, DECAI__F16, TOKENS); }
static int32_t step_bf16(kat *k, size_t *bytes) { return product(k, bytes, DECAI__BF16, TOKENS); }
static int32_t step_f32(kat *k, size_t *bytes) { return product(k, bytes, DECAI__F32, TOKENS); }

/* Everything below the normal range: what flushes, in or out, shows here. */
static int32_t
step_tiny(kat *k, size_t *bytes)
{
    size_t len = ROWS * DIM * 4;
    fill((float *)k->host, ROWS * DIM, 21, 6, -2);
    decai__matrix_destroy(k->m);
    int32_t r = decai__matrix_create(&k->m, k->c, "known-answer", DECAI__F32, ROWS, DIM, k->host, len, NULL);
    if (!r) r = put(k, k->a, TOKENS * DIM, 22, 3, -125);
    *bytes = TOKENS * ROWS * 4;
    return r ? r : decai__op_matmul(k->c, DECAI__REF(k->out), k->m, DECAI__REF(k->a), TOKENS);
}

static int32_t
embed(kat *k, size_t *bytes, int32_t type)
{
    static const uint32_t ids[TOKENS] = { 7, 0, 10 };
    int32_t r = matrix(k, type, 40 + (uint64_t)type);
    *bytes = TOKENS * DIM * 4;
    return r ? r : decai__op_embed(k->c, DECAI__REF(k->out), k->m, ids, TOKENS);
}

static int32_t step_embed_q8(kat *k, size_t *bytes) { return embed(k, bytes, DECAI__Q8_0); }
static int32_t step_embed_q4(kat *k, size_t *bytes) { return embed(k, bytes, DECAI__Q4_0); }
static int32_t step_embed_f16(kat *k, size_t *bytes) { return embed(k, bytes, DECAI__F16); }

static int32_t
step_norm(kat *k, size_t *bytes)
{
    int32_t r = put(k, k->a, TOKENS * DIM, 3, 12, 2);
    if (!r) r = put(k, k->b, DIM, 4, 4, 0);
    *bytes = TOKENS * DIM * 4;
    return r ? r : decai__op_norm(k->c, DECAI__REF(k->out), DECAI__REF(k->a), DECAI__REF(k->b), TOKENS, DIM,
                                  1e-5f, "known-answer");
}

static int32_t
rope(kat *k, size_t *bytes, bool neox)
{
    decai__tbuf *table = NULL;
    const decai__rope p = { TOKENS, 4, HEAD, HEAD - 8, 5, neox };
    int32_t r = put(k, k->out, TOKENS * 4 * HEAD, 5, 12, 2);
    if (!r) r = decai__rope_table_create(&table, k->c, 5 + TOKENS, HEAD - 8, 10000.0);
    if (!r) r = decai__op_rope(k->c, DECAI__REF(k->out), table, &p);
    if (!r) r = decai__compute_sync(k->c);
    decai__tbuf_destroy(table);
    *bytes = TOKENS * 4 * HEAD * 4;
    return r;
}

static int32_t step_rope(kat *k, size_t *bytes) { return rope(k, bytes, false); }
static int32_t step_rope_neox(kat *k, size_t *bytes) { return rope(k, bytes, true); }

static int32_t
step_attention(kat *k, size_t *bytes)
{
    const decai__attn p = { 2, 4, 2, HEAD, POSITIONS - 2, 0.1767767f };
    decai__ref q = { k->act, 0 };
    int32_t r = put(k, k->a, FLOATS, 6, 6, 1);
    if (!r) r = put(k, k->b, FLOATS, 7, 9, 1);
    if (!r) r = put(k, k->act, 2 * 4 * HEAD, 8, 5, 1);
    *bytes = 2 * 4 * HEAD * 4;
    return r ? r : decai__op_attention(k->c, DECAI__REF(k->out), q, DECAI__REF(k->a), DECAI__REF(k->b), &p, "known-answer");
}

static int32_t
step_silu(kat *k, size_t *bytes)
{
    int32_t r = put(k, k->a, 1024, 9, 12, 6);
    if (!r) r = put(k, k->b, 1024, 10, 9, 1);
    *bytes = 1024 * 4;
    return r ? r : decai__op_silu_mul(k->c, DECAI__REF(k->out), DECAI__REF(k->a), DECAI__REF(k->b), 1024);
}

static int32_t
step_add(kat *k, size_t *bytes)
{
    int32_t r = put(k, k->a, 1024, 11, 140, 12);
    if (!r) r = put(k, k->b, 1024, 12, 140, 12);
    *bytes = 1024 * 4;
    return r ? r : decai__op_add(k->c, DECAI__REF(k->out), DECAI__REF(k->a), DECAI__REF(k->b), 1024);
}

static const kat_step steps[] = {
    { "quant", step_quant, 0xaf0f2740db19a453ULL },
    { "matmul Q8_0", step_q8, 0x9014523c0dfb5cc4ULL },
    { "matmul Q8_0, one token", step_q8_one, 0xdd9d751ae89ee45cULL },
    { "matmul Q4_0", step_q4, 0x1dd9ca84b074a4eeULL },
    { "matmul Q4_0, one token", step_q4_one, 0xef8ba00986eec6a6ULL },
    { "matmul F16", step_f16, 0xa60f4ed8cb3d43f7ULL },
    { "matmul BF16", step_bf16, 0xdcef1ca31d8cc8c6ULL },
    { "matmul F32", step_f32, 0xeaae133f13e2b1f4ULL },
    { "matmul F32, subnormal", step_tiny, 0x2cc77a6184f80a0bULL },
    { "embed Q8_0", step_embed_q8, 0x07c2f2dd3bdcca65ULL },
    { "embed Q4_0", step_embed_q4, 0x55535c97ded920e5ULL },
    { "embed F16", step_embed_f16, 0x6baa62ba1608d4e5ULL },
    { "norm", step_norm, 0x79b5412dd91f7ee3ULL },
    { "rope", step_rope, 0xcdcc1290e96cf797ULL },
    { "rope neox", step_rope_neox, 0x925e582013dfdd52ULL },
    { "attention", step_attention, 0xe65eba2c9ac82228ULL },
    { "silu_mul", step_silu, 0x003c57454fa0917fULL },
    { "add", step_add, 0x2e3ce1d9a0020d74ULL },
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
    *k = (kat){ .c = c, .host = decai__alloc(c->ctx, FLOATS * 4) };
    if (!k->host) return DECAI_E_NOMEM;
    int32_t r = decai__tbuf_create(&k->a, c, FLOATS * 4);
    if (!r) r = decai__tbuf_create(&k->b, c, FLOATS * 4);
    if (!r) r = decai__tbuf_create(&k->out, c, FLOATS * 4);
    if (!r) r = decai__tbuf_create(&k->act, c, FLOATS * 4);
    return r;
}

static void
kat_close(kat *k)
{
    decai__matrix_destroy(k->m);
    decai__tbuf_destroy(k->a);
    decai__tbuf_destroy(k->b);
    decai__tbuf_destroy(k->out);
    decai__tbuf_destroy(k->act);
    decai__free(k->c->ctx, k->host);
}

static int32_t
kat_step_run(kat *k, const kat_step *s)
{
    size_t bytes = 0;
    int32_t r = s->run(k, &bytes);
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

int32_t
decai__compute_verify(decai__compute *c)
{
    kat k;
    int32_t r = kat_open(&k, c);
    for (size_t i = 0; !r && i < DECAI__COUNT(steps); i++) {
        r = kat_step_run(&k, &steps[i]);
        if (!r && k.hash != steps[i].golden)
            r = decai__fail(DECAI_E_DEVICE, "%s \"%s\" computes %s wrongly: known answer %016llx, got %016llx",
                c->table->name, c->device, steps[i].op, (unsigned long long)steps[i].golden, (unsigned long long)k.hash);
    }
    kat_close(&k);
    return r;
}
