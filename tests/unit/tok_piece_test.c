/* tok_piece_test.c - the quick ways to a piece's ids against the rule as it is
 * written: pieces seen before, several side by side, characters in place of bytes,
 * parts of pieces. Vocabularies are random and mostly such as no training gives:
 * merges across the borders of characters, wholes before their parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_gguf.h"
#include "support_heap.h"
#include "tok/internal.h"

#define TOKENS 400u
#define TEXT_MAX 6000u

static decai_context *ctx;

static const char *const CHARACTER[] = { "a", "b", "\xd0\xb6", "\xd1\x88", "\xd0\xb0", "\xe6\xbc\xa2", "\xe5\xad\x97", "\xe6\xad\xa2", "\xc3\xa9",
    "\xf0\x9f\x98\x80", "\xff", "\xe6" };

/* A byte as GPT-2's alphabet writes it. */
static size_t letter(char *out, uint8_t b)
{
    uint32_t c = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae ? b : b < 0x21 ? 0x100u + b : b < 0xa1 ? 0x100u + 33 + b - 0x7f : 0x143;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = (char)(0xc0 | c >> 6);
    out[1] = (char)(0x80 | (c & 0x3f));
    return 2;
}

typedef struct vocab { uint8_t bytes[TOKENS][24]; uint8_t len[TOKENS]; uint32_t count; char merge[TOKENS][160]; uint32_t merges; } vocab;

static size_t spell(char *out, const uint8_t *p, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) n += letter(out + n, p[i]);
    out[n] = 0;
    return n;
}

/* A merge of two tokens, unless it was there or is too long. */
static void add_merge(vocab *v, uint32_t l, uint32_t r)
{
    uint8_t both[48];
    char text[160];
    size_t n = (size_t)v->len[l] + v->len[r], at;
    if (n > 16 || v->count == TOKENS || v->merges == TOKENS) return;
    at = spell(text, v->bytes[l], v->len[l]);
    text[at++] = ' ';
    spell(text + at, v->bytes[r], v->len[r]);
    for (uint32_t i = 0; i < v->merges; i++)
        if (!strcmp(v->merge[i], text)) return;
    memcpy(v->merge[v->merges++], text, sizeof text);
    memcpy(both, v->bytes[l], v->len[l]);
    memcpy(both + v->len[l], v->bytes[r], v->len[r]);
    for (uint32_t i = 0; i < v->count; i++)
        if (v->len[i] == n && !memcmp(v->bytes[i], both, n)) return;
    memcpy(v->bytes[v->count], both, n);
    v->len[v->count++] = (uint8_t)n;
}

/* Some token that stands in texts: a byte of a character, or one that was made. */
static uint32_t some_token(const vocab *v, uint64_t *seed)
{
    if (v->count > 256 && support_rand(seed) % 3) return 256 + (uint32_t)(support_rand(seed) % (v->count - 256));
    const char *c = CHARACTER[support_rand(seed) % DECAI__COUNT(CHARACTER)];
    return (uint8_t)(support_rand(seed) % 9 ? c[support_rand(seed) % strlen(c)] : ' ');
}

static void add_bytes(vocab *v)
{
    v->count = 256;
    v->merges = 0;
    for (uint32_t i = 0; i < 256; i++) v->bytes[i][0] = (uint8_t)i, v->len[i] = 1;
}

static decai_tokenizer *built(const vocab *v, const char *const *merges, const char *pre)
{
    static char text[TOKENS][64];
    const char *texts[TOKENS];
    for (uint32_t i = 0; i < v->count; i++) spell(text[i], v->bytes[i], v->len[i]), texts[i] = text[i];
    gguf_writer w;
    uint8_t *bytes;
    size_t len;
    decai_model *m;
    decai_tokenizer *t;
    gguf_begin(&w, 0);
    gguf_str(&w, "tokenizer.ggml.model", "gpt2");
    gguf_str(&w, "tokenizer.ggml.pre", pre);
    gguf_bool(&w, "tokenizer.ggml.add_bos_token", 0);
    gguf_strs(&w, "tokenizer.ggml.tokens", texts, v->count);
    gguf_strs(&w, "tokenizer.ggml.merges", merges, v->merges);
    gguf_end(&w, &bytes, &len);
    if (decai_model_open(&m, ctx, bytes, len, NULL) || decai_tokenizer_create(&t, m, NULL)) fail_msg("%s", decai_error_detail());
    decai_destroy(m);
    free(bytes);
    return t;
}

/* kind 0: anything; 1: characters first, as training gives; 2: the same, some of it in another order. */
static decai_tokenizer *make(uint64_t *seed, const char *pre, int kind)
{
    bool trained = kind > 0;
    static vocab v;
    const char *merges[TOKENS];
    add_bytes(&v);
    for (size_t i = 0; trained && i < DECAI__COUNT(CHARACTER); i++) {
        const uint8_t *c = (const uint8_t *)CHARACTER[i];
        if (CHARACTER[i][1]) add_merge(&v, c[0], c[1]);
        if (CHARACTER[i][1] && CHARACTER[i][2] && !CHARACTER[i][3] && support_rand(seed) % 4) add_merge(&v, v.count - 1, c[2]);
    }
    for (int i = 0; i < 110; i++) {
        uint32_t l = some_token(&v, seed), r = some_token(&v, seed);
        bool whole = (v.bytes[l][0] & 0xc0) != 0x80 && (v.bytes[r][0] & 0xc0) != 0x80;
        if (!trained || whole || !(support_rand(seed) % 20)) add_merge(&v, l, r);
    }
    for (uint32_t i = 0; i < v.merges; i++) merges[i] = v.merge[i];
    for (uint32_t i = 0; kind == 2 && i < v.merges / 4; i++) {
        uint32_t a = (uint32_t)(support_rand(seed) % v.merges), b = (uint32_t)(support_rand(seed) % v.merges);
        const char *swap = merges[a];
        merges[a] = merges[b];
        merges[b] = swap;
    }
    return built(&v, merges, pre);
}

/* Merge the pair of least rank, leftmost first, until there is none. */
static size_t by_the_rule(const decai_tokenizer *t, const uint8_t *text, size_t len, int32_t *ids)
{
    size_t n = len;
    int32_t whole = t->rules.ignore_merges ? decai__piece_find(t, text, len) : -1;
    if (whole >= 0) {
        ids[0] = whole;
        return 1;
    }
    for (size_t i = 0; i < len; i++) ids[i] = t->byte_id[text[i]];
    for (;;) {
        uint32_t best = DECAI__NO_RANK;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            uint32_t rank = decai__merge_rank(t, (uint32_t)ids[i], (uint32_t)ids[i + 1]);
            if (rank < best) best = rank, at = i;
        }
        if (best == DECAI__NO_RANK) return n;
        ids[at] = (int32_t)t->merges[best].merged;
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof *ids);
        n--;
    }
}

static size_t whole_text(const decai_tokenizer *t, const uint8_t *text, size_t len, int32_t *ids)
{
    decai__scanner s;
    const uint8_t *piece;
    size_t n, count = 0;
    decai__scan_begin(&s, t->rules.pre, text, len);
    while (decai__scan_next(&s, &piece, &n)) count += by_the_rule(t, piece, n, ids + count);
    return count;
}

static size_t random_text(uint8_t *text, uint64_t *seed)
{
    size_t len = 0, want = support_rand(seed) % (TEXT_MAX - 300);
    uint32_t few = 2 + (uint32_t)(support_rand(seed) % DECAI__COUNT(CHARACTER));
    while (len < want) {
        size_t letters = support_rand(seed) % 8 ? 1 + support_rand(seed) % 9 : 1 + support_rand(seed) % 60;
        for (size_t i = 0; i < letters; i++) {
            const char *c = CHARACTER[(support_rand(seed) % few + want) % DECAI__COUNT(CHARACTER)];
            memcpy(text + len, c, strlen(c));
            len += strlen(c);
        }
        text[len++] = ' ';
    }
    return len;
}

static void check(decai_tokenizer *t, const uint8_t *text, size_t len)
{
    static int32_t want[TEXT_MAX], got[TEXT_MAX];
    static uint64_t ends[TEXT_MAX], rows[1];
    const uint64_t text_ends[] = { len };
    size_t n, m, k, expected = whole_text(t, text, len, want);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(decai_tokenizer_encode(t, got, TEXT_MAX, &n, text, len, 0), 0);
        assert_int_equal(n, expected);
        assert_memory_equal(got, want, n * sizeof *got);
    }
    assert_int_equal(decai_tokenizer_batch_encode(t, got, TEXT_MAX, &n, ends, TEXT_MAX, &m, rows, 1, &k, text, len, text_ends, 1, 0, 0), 0);
    assert_int_equal(n, expected);
    assert_memory_equal(got, want, n * sizeof *got);
    if (n) assert_int_equal(ends[n - 1], len);
}

static void all_ways(void **state)
{
    static const char *const PRE[] = { "llama-bpe", "qwen2", "gpt-2", "gpt-4o", "deepseek-v3" };
    static uint8_t text[TEXT_MAX];
    uint64_t seed = 11;
    int rounds = getenv("DECAI_DEEP") ? 4000 : 150;
    (void)state;
    for (int v = 0; v < rounds; v++) {
        decai_tokenizer *t = make(&seed, PRE[(size_t)v % DECAI__COUNT(PRE)], v % 3);
        for (int i = 0; i < 8; i++) check(t, text, random_text(text, &seed));
        decai_destroy(t);
    }
}

/* A part of a piece is not the same bytes alone, where tokens are taken whole: one
 * whole that no merges make. Nor is a part of seven bytes those and another. */
static void parts_alone(void **state)
{
    static const char text[] = "\xe6\xbc\xa2\xe5\xad\x97\n\xe6\xbc\xa2\xe5\xad\x97\xe6\xad\xa2\xe6\xad\xa2\xe6\xad\xa2\n"
        "\xe3\x80\x82\xe3\x80\x82!\xe3\x80\x82\xe3\x80\x82\xe3\x80\x82 a \xe3\x80\x82\xe3\x80\x82!\xe3\x80\x82\xe3\x80\x82\xe3\x80\x82\n"
        "\xe3\x80\x82\xe3\x80\x82!\xff a\n";
    static const char *const WHOLE[] = { "\xe6\xbc\xa2\xe5\xad\x97", "\xe3\x80\x82!" };
    static const char *const SIGN[] = { "\xe6\xbc\xa2", "\xe5\xad\x97", "\xe6\xad\xa2", "\xe3\x80\x82" };
    static vocab v;
    static uint8_t many[sizeof text * 20];
    const char *merges[TOKENS];
    (void)state;
    add_bytes(&v);
    for (size_t i = 0; i < DECAI__COUNT(SIGN); i++) {
        const uint8_t *c = (const uint8_t *)SIGN[i];
        add_merge(&v, c[0], c[1]);
        add_merge(&v, v.count - 1, c[2]);
    }
    add_merge(&v, v.count - 1, v.count - 1);
    for (size_t i = 0; i < DECAI__COUNT(WHOLE); i++) {
        v.len[v.count] = (uint8_t)strlen(WHOLE[i]);
        memcpy(v.bytes[v.count++], WHOLE[i], strlen(WHOLE[i]));
    }
    for (uint32_t i = 0; i < v.merges; i++) merges[i] = v.merge[i];
    decai_tokenizer *t = built(&v, merges, "llama-bpe");
    for (size_t i = 0; i < 20; i++) memcpy(many + i * (sizeof text - 1), text, sizeof text - 1);
    for (int i = 0; i < 3; i++) check(t, many, 20 * (sizeof text - 1));
    decai_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(all_ways), cmocka_unit_test(parts_alone) };
    if (decai_context_create(&ctx, NULL)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    decai_destroy(ctx);
    return failed;
}
