/* support_gguf.c - the GGUF writer of the tests. See support_gguf.h.
 * Out of memory ends the test run: there is nothing better to do here. */
#include "support_gguf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- bytes ------------------------------------------------------------- */

static void *must(void *p)
{
    if (!p) abort();
    return p;
}

void gguf_put(gguf_bytes *b, const void *data, size_t len)
{
    if (b->len + len > b->cap) {
        b->cap = (b->len + len) * 2 + 64;
        b->data = must(realloc(b->data, b->cap));
    }
    if (len) memcpy(b->data + b->len, data, len);
    b->len += len;
}

void gguf_put_u32(gguf_bytes *b, uint32_t v) { gguf_put(b, &v, 4); }
void gguf_put_u64(gguf_bytes *b, uint64_t v) { gguf_put(b, &v, 8); }

void gguf_put_str(gguf_bytes *b, const void *text, size_t len)
{
    gguf_put_u64(b, len);
    gguf_put(b, text, len);
}

static void put_zeros(gguf_bytes *b, size_t len)
{
    static const uint8_t zeros[256];
    for (; len > sizeof zeros; len -= sizeof zeros) gguf_put(b, zeros, sizeof zeros);
    gguf_put(b, zeros, len);
}

static size_t gap(size_t pos, size_t alignment) { return (alignment - pos % alignment) % alignment; }

/* ---- file -------------------------------------------------------------- */

void gguf_begin(gguf_writer *w, uint32_t alignment)
{
    memset(w, 0, sizeof *w);
    w->version = 3;
    w->alignment = alignment ? alignment : 32;
}

static void put_key(gguf_writer *w, const char *key, uint32_t type)
{
    gguf_put_str(&w->metadata, key, strlen(key));
    gguf_put_u32(&w->metadata, type);
    w->metadata_count++;
}

void gguf_raw(gguf_writer *w, const char *key, uint32_t type, const void *value, size_t len)
{
    put_key(w, key, type);
    gguf_put(&w->metadata, value, len);
}

void gguf_u32(gguf_writer *w, const char *key, uint32_t v) { gguf_raw(w, key, 4, &v, 4); }
void gguf_i32(gguf_writer *w, const char *key, int32_t v) { gguf_raw(w, key, 5, &v, 4); }
void gguf_u64(gguf_writer *w, const char *key, uint64_t v) { gguf_raw(w, key, 10, &v, 8); }
void gguf_f32(gguf_writer *w, const char *key, float v) { gguf_raw(w, key, 6, &v, 4); }

void gguf_bool(gguf_writer *w, const char *key, int v)
{
    uint8_t byte = v ? 1 : 0;
    gguf_raw(w, key, 7, &byte, 1);
}

void gguf_str_n(gguf_writer *w, const char *key, const void *text, size_t len)
{
    put_key(w, key, 8);
    gguf_put_str(&w->metadata, text, len);
}

void gguf_str(gguf_writer *w, const char *key, const char *text)
{
    gguf_str_n(w, key, text, strlen(text));
}

static void put_array(gguf_writer *w, const char *key, uint32_t item_type, size_t count)
{
    put_key(w, key, 9);
    gguf_put_u32(&w->metadata, item_type);
    gguf_put_u64(&w->metadata, count);
}

void gguf_strs(gguf_writer *w, const char *key, const char *const *texts, size_t count)
{
    put_array(w, key, 8, count);
    for (size_t i = 0; i < count; i++) gguf_put_str(&w->metadata, texts[i], strlen(texts[i]));
}

void gguf_i32s(gguf_writer *w, const char *key, const int32_t *v, size_t count)
{
    put_array(w, key, 5, count);
    gguf_put(&w->metadata, v, count * 4);
}

void gguf_f32s(gguf_writer *w, const char *key, const float *v, size_t count)
{
    put_array(w, key, 6, count);
    gguf_put(&w->metadata, v, count * 4);
}

void gguf_tensor_info(gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
    const uint64_t *dims, uint64_t offset)
{
    gguf_put_str(&w->infos, name, strlen(name));
    gguf_put_u32(&w->infos, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) gguf_put_u64(&w->infos, dims[i]);
    gguf_put_u32(&w->infos, type);
    gguf_put_u64(&w->infos, offset);
    w->tensor_count++;
}

uint64_t gguf_tensor(gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
    const uint64_t *dims, const void *data, size_t size)
{
    put_zeros(&w->data, gap(w->data.len, w->alignment));
    uint64_t offset = w->data.len;
    gguf_tensor_info(w, name, type, n_dims, dims, offset);
    gguf_put(&w->data, data, size);
    return offset;
}

void gguf_end(gguf_writer *w, uint8_t **out, size_t *len)
{
    gguf_bytes file = { 0 };
    gguf_put(&file, "GGUF", 4);
    gguf_put_u32(&file, w->version);
    gguf_put_u64(&file, w->tensor_count);
    gguf_put_u64(&file, w->metadata_count);
    gguf_put(&file, w->metadata.data, w->metadata.len);
    gguf_put(&file, w->infos.data, w->infos.len);
    if (w->data.len) {
        put_zeros(&file, gap(file.len, w->alignment));
        gguf_put(&file, w->data.data, w->data.len);
        put_zeros(&file, gap(w->data.len, w->alignment));
    }
    free(w->metadata.data);
    free(w->infos.data);
    free(w->data.data);
    memset(w, 0, sizeof *w);
    *out = file.data;
    *len = file.len;
}

int support_gguf_save(const char *path, const uint8_t *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    if (!f) return -1;
    size_t written = fwrite(data, 1, len, f);
    return fclose(f) == 0 && written == len ? 0 : -1;
}

/* ---- numbers ----------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood 2014): any seed is a good seed. */
uint64_t support_rand(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static float uniform(uint64_t *state, float range)
{
    double u = (double)(support_rand(state) >> 11) / 9007199254740992.0;   /* 2^53 */
    return (float)((2.0 * u - 1.0) * (double)range);
}

uint16_t support_f16(float f)
{
    uint32_t x;
    memcpy(&x, &f, 4);
    uint32_t sign = x >> 16 & 0x8000, mag = x & 0x7fffffff;
    if (mag >= 0x7f800000) return (uint16_t)(sign | 0x7c00 | (mag > 0x7f800000 ? 0x200 : 0));
    if (mag >= 0x477ff000) return (uint16_t)(sign | 0x7c00);       /* rounds to 65536 or more */
    if (mag < 0x38800000) {                                        /* subnormal: units of 2^-24 */
        float m;
        memcpy(&m, &mag, 4);
        return (uint16_t)(sign | (uint32_t)nearbyintf(m * 16777216.0f));
    }
    uint32_t odd = mag >> 13 & 1;
    return (uint16_t)(sign | ((mag - 0x38000000 + 0xfff + odd) >> 13));
}

static uint16_t bf16(float f)
{
    uint32_t x;
    memcpy(&x, &f, 4);
    return (uint16_t)((x + 0x7fff + (x >> 16 & 1)) >> 16);
}

static float f16_value(uint16_t h)
{
    int e = h >> 10 & 31, m = h & 1023;
    float v = e ? ldexpf((float)(m + 1024), e - 25) : ldexpf((float)m, -24);
    return h & 0x8000 ? -v : v;
}

size_t support_type_size(uint32_t type, size_t n)
{
    switch (type) {
    case 0: return n * 4;
    case 1: case 30: return n * 2;
    case 2: return n / 32 * 18;
    case 8: return n / 32 * 34;
    default: abort();
    }
}

static void put_f16(uint8_t *out, float f)
{
    uint16_t h = support_f16(f);
    memcpy(out, &h, 2);
}

/* A block of 32: d = amax / 127, q = x / d to nearest. */
static void block_q8_0(const float *x, uint8_t *out)
{
    float amax = 0;
    for (int i = 0; i < 32; i++) amax = fmaxf(amax, fabsf(x[i]));
    put_f16(out, amax / 127.0f);
    float d = f16_value(support_f16(amax / 127.0f));
    for (int i = 0; i < 32; i++) {
        float q = d > 0 ? nearbyintf(x[i] / d) : 0;
        out[2 + i] = (uint8_t)(int8_t)fmaxf(-127.0f, fminf(127.0f, q));
    }
}

/* A block of 32: the largest magnitude maps to -8; low nibbles are 0..15. */
static void block_q4_0(const float *x, uint8_t *out)
{
    float peak = 0;
    for (int i = 0; i < 32; i++) if (fabsf(x[i]) > fabsf(peak)) peak = x[i];
    put_f16(out, peak / -8.0f);
    float d = f16_value(support_f16(peak / -8.0f));
    uint8_t q[32];
    for (int i = 0; i < 32; i++) {
        float v = d != 0 ? nearbyintf(x[i] / d) + 8 : 8;
        q[i] = (uint8_t)fmaxf(0.0f, fminf(15.0f, v));
    }
    for (int i = 0; i < 16; i++) out[2 + i] = (uint8_t)(q[i] | q[i + 16] << 4);
}

void support_quantise(uint32_t type, const float *x, size_t n, uint8_t *out)
{
    uint16_t h;
    switch (type) {
    case 0: memcpy(out, x, n * 4); break;
    case 1: for (size_t i = 0; i < n; i++) h = support_f16(x[i]), memcpy(out + 2 * i, &h, 2); break;
    case 30: for (size_t i = 0; i < n; i++) h = bf16(x[i]), memcpy(out + 2 * i, &h, 2); break;
    case 2: for (size_t i = 0; i < n / 32; i++) block_q4_0(x + 32 * i, out + 18 * i); break;
    case 8: for (size_t i = 0; i < n / 32; i++) block_q8_0(x + 32 * i, out + 34 * i); break;
    default: abort();
    }
}

/* ---- vocabulary -------------------------------------------------------- */

/* GPT-2's byte alphabet as UTF-8: printable Latin-1 stands for itself, the
 * other 68 bytes are U+0100, U+0101, ... in order. Returns bytes written. */
static size_t put_byte_char(char *out, int byte)
{
    int c = byte, next = 256;
    for (int b = 0; b <= byte; b++) {
        int plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if (!plain && b == byte) c = next;
        if (!plain) next++;
    }
    if (c < 128) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = (char)(0xc0 | c >> 6);
    out[1] = (char)(0x80 | (c & 63));
    return 2;
}

/* Pairs in rank order; \304\240 is U+0120, the letter for a space. */
#define SP "\304\240"
static const char *const MERGES[] = {
    "t h", "th e", SP " t", SP " the", "i n", "e r", SP " a", "o n", "in g", "r e", "a n", "an d",
    SP " and", "l l", "o u", SP " s", SP " w", "e n", SP " o", SP "o f", "t o", SP "t o", "h e",
    "he ll", "hell o", SP " hell", "o r", "w or", "wor l", "worl d", SP "w or",
};

void support_gguf_vocab(gguf_writer *w, uint32_t n_vocab)
{
    size_t merge_count = sizeof MERGES / sizeof *MERGES;
    if (n_vocab < SUPPORT_VOCAB_MIN) abort();
    char (*text)[32] = must(calloc(n_vocab, 32));
    const char **texts = must(calloc(n_vocab, sizeof *texts));
    int32_t *kinds = must(calloc(n_vocab, sizeof *kinds));
    for (uint32_t i = 0; i < n_vocab; i++) {
        texts[i] = text[i];
        kinds[i] = 1;
        if (i < 256) put_byte_char(text[i], (int)i);
        else if (i < 256 + merge_count) {
            const char *space = strchr(MERGES[i - 256], ' ');
            snprintf(text[i], 32, "%.*s%s", (int)(space - MERGES[i - 256]), MERGES[i - 256], space + 1);
        } else {
            snprintf(text[i], 32, "<unused%u>", i);
            kinds[i] = 5;
        }
    }
    snprintf(text[n_vocab - 2], 32, "<|begin|>");
    snprintf(text[n_vocab - 1], 32, "<|end|>");
    kinds[n_vocab - 2] = kinds[n_vocab - 1] = 3;
    gguf_str(w, "tokenizer.ggml.model", "gpt2");
    gguf_str(w, "tokenizer.ggml.pre", "gpt-2");
    gguf_strs(w, "tokenizer.ggml.tokens", texts, n_vocab);
    gguf_i32s(w, "tokenizer.ggml.token_type", kinds, n_vocab);
    gguf_strs(w, "tokenizer.ggml.merges", MERGES, merge_count);
    gguf_u32(w, "tokenizer.ggml.bos_token_id", n_vocab - 2);
    gguf_u32(w, "tokenizer.ggml.eos_token_id", n_vocab - 1);
    gguf_bool(w, "tokenizer.ggml.add_bos_token", 1);
    free(text);
    free(texts);
    free(kinds);
}

/* ---- model ------------------------------------------------------------- */

/* rows x cols seeded floats; norms sit around 1, matrices keep their input's
 * scale: uniform in +-sqrt(3 / cols) has variance 1 / cols. */
static void put_weights(gguf_writer *w, const support_llama *m, uint64_t *state, const char *name,
    uint32_t type, uint64_t cols, uint64_t rows)
{
    size_t size = support_type_size(type, cols);
    float *row = must(malloc(cols * sizeof *row));
    uint8_t *data = must(malloc(size * (rows ? rows : 1)));
    for (uint64_t r = 0; r < (rows ? rows : 1); r++) {
        for (uint64_t c = 0; c < cols; c++)
            row[c] = rows ? uniform(state, sqrtf(3.0f / (float)cols)) : 1.0f + uniform(state, 0.1f);
        support_quantise(type, row, cols, data + r * size);
    }
    size *= rows ? rows : 1;
    if (m->tamper) m->tamper(m->user, name, data, size);
    uint64_t dims[2] = { cols, rows };
    gguf_tensor(w, name, type, rows ? 2 : 1, dims, data, size);
    free(row);
    free(data);
}

static void put_layer(gguf_writer *w, const support_llama *m, uint64_t *state, uint32_t layer)
{
    uint32_t head = m->n_embd / m->n_head, kv = head * m->n_head_kv;
    struct { const char *what; uint32_t type; uint64_t cols, rows; } part[] = {
        { "attn_norm", 0, m->n_embd, 0 },
        { "attn_q", m->type, m->n_embd, m->n_embd },
        { "attn_k", m->type, m->n_embd, kv },
        { "attn_v", m->type, m->n_embd, kv },
        { "attn_output", m->type, m->n_embd, m->n_embd },
        { "ffn_norm", 0, m->n_embd, 0 },
        { "ffn_gate", m->type, m->n_embd, m->n_ff },
        { "ffn_up", m->type, m->n_embd, m->n_ff },
        { "ffn_down", m->type, m->n_ff, m->n_embd },
    };
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%u.%s.weight", layer, part[i].what);
        put_weights(w, m, state, name, part[i].type, part[i].cols, part[i].rows);
    }
}

void support_gguf_llama(const support_llama *m, uint8_t **out, size_t *len)
{
    gguf_writer w;
    uint64_t state = m->seed;
    gguf_begin(&w, m->alignment);
    gguf_str(&w, "general.architecture", "llama");
    gguf_str(&w, "general.name", "synthetic");
    gguf_u32(&w, "general.quantization_version", 2);
    if (m->alignment) gguf_u32(&w, "general.alignment", m->alignment);
    gguf_u32(&w, "llama.context_length", m->n_ctx);
    gguf_u32(&w, "llama.embedding_length", m->n_embd);
    gguf_u32(&w, "llama.block_count", m->n_layer);
    gguf_u32(&w, "llama.feed_forward_length", m->n_ff);
    gguf_u32(&w, "llama.attention.head_count", m->n_head);
    gguf_u32(&w, "llama.attention.head_count_kv", m->n_head_kv);
    gguf_f32(&w, "llama.attention.layer_norm_rms_epsilon", m->rms_eps > 0 ? m->rms_eps : 1e-5f);
    gguf_u32(&w, "llama.rope.dimension_count", m->n_embd / m->n_head);
    gguf_f32(&w, "llama.rope.freq_base", m->rope_freq_base > 0 ? m->rope_freq_base : 10000.0f);
    gguf_u32(&w, "llama.vocab_size", m->n_vocab);
    if (m->vocab) support_gguf_vocab(&w, m->n_vocab);
    put_weights(&w, m, &state, "token_embd.weight", m->type, m->n_embd, m->n_vocab);
    for (uint32_t i = 0; i < m->n_layer; i++) put_layer(&w, m, &state, i);
    put_weights(&w, m, &state, "output_norm.weight", 0, m->n_embd, 0);
    if (!m->tied) put_weights(&w, m, &state, "output.weight", m->type, m->n_embd, m->n_vocab);
    gguf_end(&w, out, len);
}
