/* tok_test.c - the tokenizer against itself and against plain rewritings of its
 * rules: the byte alphabet, the scanners, BPE, special tokens, streams, hashes,
 * limits. Exactness on real vocabularies: tok_vectors_test.c. */
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

static decai_context *ctx;
static support_heap heap;

/* What w holds becomes a tokenizer; the result of making it. */
static int32_t make(gguf_writer *w, decai_tokenizer **out, const decai_options *opts)
{
    uint8_t *bytes;
    size_t len;
    decai_model *m;
    gguf_end(w, &bytes, &len);
    if (decai_model_open(&m, ctx, bytes, len, NULL)) fail_msg("%s", decai_error_detail());
    free(bytes);
    decai_tokenizer *t;
    int32_t r = decai_tokenizer_create(&t, m, opts);
    decai_destroy(m);
    if (out) *out = t;
    else decai_destroy(t);
    return r;
}

static decai_tokenizer *must(gguf_writer *w)
{
    decai_tokenizer *t;
    if (make(w, &t, NULL)) fail_msg("%s", decai_error_detail());
    return t;
}

static decai_tokenizer *small(void)
{
    gguf_writer w;
    gguf_begin(&w, 0);
    support_gguf_vocab(&w, SUPPORT_VOCAB_MIN);
    return must(&w);
}

/* ---- alphabet and scanners --------------------------------------------------- */

static void alphabet(void **state)
{
    (void)state;
    decai_tokenizer *t = small();
    /* The small vocabulary's first 256 tokens are the bytes in order. */
    for (int32_t b = 0; b < 256; b++) {
        size_t len;
        const uint8_t *p = decai__tok_bytes(t, b, &len);
        assert_true(len == 1 && *p == b);
        assert_int_equal(t->byte_id[b], b);
    }
    decai_destroy(t);
}

/* Pieces are written with | between them. */
static void splits(void **state)
{
    static const struct { enum decai__pre pre; const char *pieces; } CASE[] = {
        { DECAI__PRE_GPT2, "Hello| world|!" },
        { DECAI__PRE_GPT2, "I|'ve| 12|'s|'|S" },
        { DECAI__PRE_GPT2, "a|  | b" },
        { DECAI__PRE_GPT2, "x|\n\n|\n|y| 123|abc|\t|z|   " },
        { DECAI__PRE_GPT2, " '|s| '''|t|'re|'|r" },
        { DECAI__PRE_GPT2, "\xc3\xa4\xc3\xb6| \xe4\xb8\xad|\xc2\xa0|\xc2\xbd| \xc2\xbd" },
        { DECAI__PRE_DIGITS, "pay|  |1|2|.|5| usdc| |7|7" },
        { DECAI__PRE_DIGITS, "3|'s| |9|'|9" },
        { DECAI__PRE_DIGITS, "\xd9\xa3|\xd9\xa4|x" },             /* Arabic digits are numbers too */
        { DECAI__PRE_JAIS2, "a|    |  | b|     \n|    |  |\t" },
        { DECAI__PRE_JAIS2, "a|  | |7|'s| !?\n|it|'LL" },
        { DECAI__PRE_YOUTU, "\xec\x95\x88\xeb\x85\x95|\xe4\xbd\xa0\xe3\x81\x84|\xef\xbc\x81|Http|Server's|1|2" },
        { DECAI__PRE_EXAONE_MOE, "we walk and we talk| |1| two|   | !\n|\n\n| e\xcc\x81 e" },
        { DECAI__PRE_AFMOE, "a|1|234|567|b|89|\xe0\xb9\x80\xe4\xb8\xad|.x|!!\n" },
        { DECAI__PRE_SPARK, "a|  \n|1|2|3|4|.x|!!|\n|\n| b" },
        { DECAI__PRE_CHAMELEON, "<|sentinel|:|1|2|>|IMGIMGABZ|IMGIMGABCDEZ|<|sentinel|:|>|    |  | a|1|2|,|,|\t|\n" },
        { DECAI__PRE_TINY_AYA, "1|234| | |1|x|2|_| |12" },
        { DECAI__PRE_FALCON, "a|\xc2|\xb2|\xe4\xb8|\xb9|123|45" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        char text[128], got[256] = "";
        size_t n = 0;
        for (const char *p = CASE[i].pieces; *p; p++) if (*p != '|') text[n++] = *p;
        decai__scanner s;
        const uint8_t *piece;
        size_t len, at = 0;
        decai__scan_begin(&s, CASE[i].pre, (const uint8_t *)text, n);
        while (decai__scan_next(&s, &piece, &len)) {
            if (at) got[at++] = '|';
            memcpy(got + at, piece, len);
            got[at += len] = 0;
        }
        assert_string_equal(got, CASE[i].pieces);
    }
}

static void classes(void **state)
{
    (void)state;
    assert_int_equal(decai__unicode_class('a'), DECAI__LL);
    assert_int_equal(decai__unicode_class('5'), DECAI__ND);
    assert_int_equal(decai__unicode_class(0xbd), DECAI__NO);      /* one half */
    assert_int_equal(decai__unicode_class(0x3000), DECAI__SPACE);
    assert_int_equal(decai__unicode_class(0x200b), DECAI__CF);     /* zero width space is none */
    assert_int_equal(decai__unicode_class(0x1f999), DECAI__S);
    assert_int_equal(decai__unicode_class(0x10ffff), DECAI__CN);
    assert_int_equal(decai__unicode_class(0x110000), DECAI__CN);
    size_t letters = 0;
    for (uint32_t c = 0; c < 0x110000; c++) letters += DECAI__IN(decai__unicode_class(c), DECAI__SET_L) != 0;
    printf("# Unicode %s: %zu letters\n", decai__unicode_version(), letters);
    assert_in_range(letters, 100000, 200000);
}

/* ---- BPE against the rule as it is written ------------------------------------- */

/* Merge the pair of least rank, leftmost first, until there is none. */
static size_t naive(const decai_tokenizer *t, const uint8_t *text, size_t len, int32_t *ids)
{
    size_t n = len;
    for (size_t i = 0; i < len; i++) ids[i] = t->byte_id[text[i]];
    for (;;) {
        const decai__merge *best = NULL;     /* their order in memory is their rank */
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++)
            for (uint32_t k = 0; k < t->merge_count; k++) {
                const decai__merge *m = &t->merges[k];
                if ((int32_t)m->left == ids[i] && (int32_t)m->right == ids[i + 1] && (!best || m < best)) best = m, at = i;
            }
        if (!best) return n;
        ids[at] = (int32_t)best->merged;
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof *ids);
        n--;
    }
}

/* A vocabulary over a, b and c with random merges, many of them overlapping. */
static decai_tokenizer *random_vocab(uint64_t *seed)
{
    char text[64][24], merge[64][48];
    const char *texts[64], *merges[64];
    size_t n = 3, m = 0;
    for (size_t i = 0; i < 3; i++) text[i][0] = (char)('a' + i), text[i][1] = 0;
    while (n < 40) {
        size_t l = support_rand(seed) % n, r = support_rand(seed) % n, same = 0;
        if (strlen(text[l]) + strlen(text[r]) > 12) continue;
        char joined[48];
        snprintf(merge[m], sizeof merge[m], "%s %s", text[l], text[r]);
        snprintf(joined, sizeof joined, "%s%s", text[l], text[r]);
        memcpy(text[n], joined, sizeof text[n]);
        for (size_t i = 0; i < m; i++) same |= !strcmp(merge[i], merge[m]);
        if (same) continue;
        for (size_t i = 0; i < n; i++) same |= !strcmp(text[i], text[n]);
        m++;
        n += !same;                              /* two ways to one token are fine */
        if (m == 60) break;
    }
    for (size_t i = 0; i < n; i++) texts[i] = text[i];
    for (size_t i = 0; i < m; i++) merges[i] = merge[i];
    gguf_writer w;
    gguf_begin(&w, 0);
    gguf_str(&w, "tokenizer.ggml.model", "gpt2");
    gguf_str(&w, "tokenizer.ggml.pre", "gpt-2");
    gguf_strs(&w, "tokenizer.ggml.tokens", texts, n);
    gguf_strs(&w, "tokenizer.ggml.merges", merges, m);
    return must(&w);
}

static void bpe_is_the_rule(void **state)
{
    uint64_t seed = 5;
    uint8_t text[200];
    int32_t want[200], got[200];
    (void)state;
    for (int v = 0; v < 40; v++) {
        decai_tokenizer *t = random_vocab(&seed);
        for (int i = 0; i < 25; i++) {
            size_t len = 1 + support_rand(&seed) % 199, n;
            uint32_t letters = 1 + (uint32_t)(support_rand(&seed) % 3);
            for (size_t k = 0; k < len; k++) text[k] = (uint8_t)('a' + support_rand(&seed) % letters);
            size_t expected = naive(t, text, len, want);
            assert_int_equal(decai_tokenizer_encode(t, got, 200, &n, text, len, 0), 0);
            assert_int_equal(n, expected);
            assert_memory_equal(got, want, n * sizeof *got);
        }
        decai_destroy(t);
    }
}

static void any_bytes_come_back(void **state)
{
    uint64_t seed = 17;
    uint8_t text[512], back[512];
    int32_t ids[512];
    (void)state;
    decai_tokenizer *t = small();
    for (int i = 0; i < 2000; i++) {
        size_t len = support_rand(&seed) % sizeof text, n, out;
        for (size_t k = 0; k < len; k++) text[k] = (uint8_t)(support_rand(&seed) >> (i % 8 * 4));
        assert_int_equal(decai_tokenizer_encode(t, ids, 512, &n, text, len, 0), 0);
        assert_int_equal(decai_tokenizer_decode(t, back, sizeof back, &out, ids, n, 0), 0);
        assert_int_equal(out, len);
        if (len) assert_memory_equal(back, text, len);
    }
    decai_destroy(t);
}

static void a_byte_without_token(void **state)
{
    static const char *const texts[] = { "a", "b", "ab" }, *const merges[] = { "a b" };
    gguf_writer w;
    int32_t ids[4];
    size_t n;
    (void)state;
    gguf_begin(&w, 0);
    gguf_str(&w, "tokenizer.ggml.model", "gpt2");
    gguf_str(&w, "tokenizer.ggml.pre", "gpt-2");
    gguf_strs(&w, "tokenizer.ggml.tokens", texts, 3);
    gguf_strs(&w, "tokenizer.ggml.merges", merges, 1);
    decai_tokenizer *t = must(&w);
    assert_int_equal(decai_tokenizer_encode(t, ids, 4, &n, (const uint8_t *)"abba", 4, 0), 0);
    assert_true(n == 3 && ids[0] == 2 && ids[1] == 1 && ids[2] == 0);
    assert_int_equal(decai_tokenizer_encode(t, ids, 4, &n, (const uint8_t *)"abc", 3, 0), DECAI_E_UNSUPPORTED);
    assert_non_null(strstr(decai_error_detail(), "0x63"));
    assert_int_equal(n, 0);
    decai_destroy(t);
}

/* ---- special tokens ------------------------------------------------------------- */

static decai_tokenizer *specials(void)
{
    static const char *const texts[] = { "a", "b", "<s>", "<sx>", "</s>", "aa", "<", "s", ">", "/", "x", "a a" };
    static const int32_t kinds[] = { 1, 1, 3, 4, 3, 4, 1, 1, 1, 1, 1, 4 };
    gguf_writer w;
    gguf_begin(&w, 0);
    gguf_str(&w, "tokenizer.ggml.model", "gpt2");
    gguf_str(&w, "tokenizer.ggml.pre", "gpt-2");
    gguf_strs(&w, "tokenizer.ggml.tokens", texts, 12);
    gguf_i32s(&w, "tokenizer.ggml.token_type", kinds, 12);
    gguf_strs(&w, "tokenizer.ggml.merges", NULL, 0);
    gguf_u32(&w, "tokenizer.ggml.bos_token_id", 2);
    gguf_u32(&w, "tokenizer.ggml.eos_token_id", 4);
    gguf_bool(&w, "tokenizer.ggml.add_bos_token", 1);
    gguf_bool(&w, "tokenizer.ggml.add_eos_token", 1);
    return must(&w);
}

static void special_tokens(void **state)
{
    static const struct { const char *text; int32_t flags; int32_t ids[12]; size_t n; } CASE[] = {
        { "", 0, { 0 }, 0 }, { "", 2, { 2, 4 }, 2 },
        { "<s>", 0, { 6, 7, 8 }, 3 }, { "<s>", 1, { 2 }, 1 },
        { "<sx>", 0, { 3 }, 1 }, { "b<sx>b", 3, { 2, 1, 3, 1, 4 }, 5 },
        { "</s><s", 1, { 4, 6, 7 }, 3 }, { "aaa", 0, { 5, 0 }, 2 }, { "aaaa", 0, { 5, 5 }, 2 },
        { "baab", 0, { 1, 5, 1 }, 3 }, { "a aa", 0, { 11, 0 }, 2 },
    };
    (void)state;
    decai_tokenizer *t = specials();
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        int32_t ids[16];
        size_t n;
        assert_int_equal(decai_tokenizer_encode(t, ids, 16, &n, (const uint8_t *)CASE[i].text, strlen(CASE[i].text), CASE[i].flags), 0);
        if (n != CASE[i].n || memcmp(ids, CASE[i].ids, n * sizeof *ids)) fail_msg("row %zu: %zu ids, first %d", i, n, ids[0]);
    }
    assert_true(decai__tok_is_end(t, 4) && !decai__tok_is_end(t, 2));
    decai_destroy(t);
}

static void decoding_specials(void **state)
{
    const int32_t ids[] = { 2, 0, 3, 4 };
    uint8_t out[32];
    size_t len;
    (void)state;
    decai_tokenizer *t = specials();
    assert_int_equal(decai_tokenizer_decode(t, out, sizeof out, &len, ids, 4, 0), 0);
    assert_true(len == 5 && !memcmp(out, "a<sx>", 5));
    assert_int_equal(decai_tokenizer_decode(t, out, sizeof out, &len, ids, 4, DECAI_DECODE_SPECIAL), 0);
    assert_true(len == 12 && !memcmp(out, "<s>a<sx></s>", 12));
    decai_destroy(t);
}

/* ---- streams --------------------------------------------------------------------- */

/* Feed bytes as the small vocabulary's byte tokens. */
static size_t stream_bytes(decai_tokenizer *t, const uint8_t *bytes, size_t len, uint8_t *out)
{
    decai_token_stream *s;
    size_t at = 0, n;
    assert_int_equal(decai_token_stream_create(&s, t, 0), 0);
    for (size_t i = 0; i <= len; i++) {
        int32_t token = i < len ? bytes[i] : DECAI_TOKEN_END;
        assert_int_equal(decai_token_stream_add(s, out + at, 16, &n, token), 0);
        at += n;
    }
    decai_destroy(s);
    return at;
}

#define R "\xef\xbf\xbd"

/* Unicode 14, table 3-8 and its neighbours: one U+FFFD a maximal subpart. */
static void stream_replaces(void **state)
{
    static const struct { const char *in, *out; } CASE[] = {
        { "abc", "abc" }, { "\xc3\xa4", "\xc3\xa4" }, { "\xf0\x9f\xa6\x99", "\xf0\x9f\xa6\x99" },
        { "\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", R R R R R R R R "A" },
        { "\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", R R R R R R R R "A" },
        { "\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", R R R R R "A" R R "B" },
        { "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", R R R R "A" },
        { "\xe4\xb8", R }, { "\xf0\x9f\xa6", R }, { "a\xc3", "a" R }, { "\xc3\xc3\xa4", R "\xc3\xa4" },
    };
    uint8_t out[128];
    (void)state;
    decai_tokenizer *t = small();
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        size_t n = stream_bytes(t, (const uint8_t *)CASE[i].in, strlen(CASE[i].in), out);
        if (n != strlen(CASE[i].out) || memcmp(out, CASE[i].out, n)) fail_msg("row %zu: %.*s", i, (int)n, out);
    }
    decai_destroy(t);
}

/* What was given is valid at every step, and valid text passes unchanged. */
static void stream_is_valid_at_every_step(void **state)
{
    static const char TEXT[] = "Gr\xc3\xbc\xc3\x9f" "e \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\xa6\x99 the hello";
    uint64_t seed = 23;
    uint8_t out[8], all[256];
    int32_t ids[64];
    size_t n, len, at = 0;
    (void)state;
    decai_tokenizer *t = small();
    decai_token_stream *s;
    assert_int_equal(decai_tokenizer_encode(t, ids, 64, &n, (const uint8_t *)TEXT, sizeof TEXT - 1, 0), 0);
    assert_int_equal(decai_token_stream_create(&s, t, 0), 0);
    for (size_t i = 0; i < n; i++) {
        /* A refusal for space changes nothing. */
        int32_t r = decai_token_stream_add(s, NULL, 0, &len, ids[i]);
        assert_int_equal(r, len ? DECAI_E_SPACE : 0);
        if (r) assert_int_equal(decai_token_stream_add(s, out, sizeof out, &len, ids[i]), 0);
        memcpy(all + at, out, r ? len : 0);
        at += r ? len : 0;
        assert_true(memcmp(all, TEXT, at) == 0);
        assert_true(at == sizeof TEXT - 1 || (TEXT[at] & 0xc0) != 0x80);   /* at a character's border */
    }
    assert_int_equal(at, sizeof TEXT - 1);
    decai_destroy(s);
    /* Random bytes: the output is never more than 3 bytes a byte, and never has
     * a byte that could not stand in UTF-8. */
    for (int i = 0; i < 2000; i++) {
        uint8_t in[20], text[80];
        for (size_t k = 0; k < sizeof in; k++) in[k] = (uint8_t)support_rand(&seed);
        size_t m = stream_bytes(t, in, sizeof in, text);
        assert_true(m <= 60);
        for (size_t k = 0; k < m; k++) assert_true(text[k] != 0xc0 && text[k] != 0xc1 && text[k] < 0xf5);
    }
    decai_destroy(t);
}

/* ---- identity ---------------------------------------------------------------------- */

static void hash_of(uint8_t out[32], const char *pre, const char *token, int32_t kind, const char *merge, uint32_t eos, int bos)
{
    const char *texts[] = { "a", "b", "ab", "aba", "abab", token }, *merges[] = { "a b", merge };
    int32_t kinds[] = { 1, 1, 1, 1, 1, kind };
    gguf_writer w;
    gguf_begin(&w, 0);
    gguf_str(&w, "tokenizer.ggml.model", "gpt2");
    gguf_str(&w, "tokenizer.ggml.pre", pre);
    gguf_strs(&w, "tokenizer.ggml.tokens", texts, 6);
    gguf_i32s(&w, "tokenizer.ggml.token_type", kinds, 6);
    gguf_strs(&w, "tokenizer.ggml.merges", merges, 2);
    gguf_u32(&w, "tokenizer.ggml.bos_token_id", 0);
    gguf_u32(&w, "tokenizer.ggml.eos_token_id", eos);
    gguf_bool(&w, "tokenizer.ggml.add_bos_token", bos);
    decai_tokenizer *t = must(&w);
    assert_int_equal(decai_tokenizer_hash_get(t, out, 32), 0);
    decai_destroy(t);
}

static void everything_is_hashed(void **state)
{
    uint8_t h[7][32];
    (void)state;
    hash_of(h[0], "gpt-2", "<s>", 3, "ab a", 4, 1);
    hash_of(h[1], "smollm", "<s>", 3, "ab a", 4, 1);
    hash_of(h[2], "gpt-2", "<t>", 3, "ab a", 4, 1);
    hash_of(h[3], "gpt-2", "<s>", 4, "ab a", 4, 1);
    hash_of(h[4], "gpt-2", "<s>", 3, "ab ab", 4, 1);
    hash_of(h[5], "gpt-2", "<s>", 3, "ab a", 3, 1);
    hash_of(h[6], "gpt-2", "<s>", 3, "ab a", 4, 0);
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < i; k++) assert_memory_not_equal(h[i], h[k], 32);
}

/* ---- what is not read, limits -------------------------------------------------------- */

static int32_t family(const char *model, const char *pre)
{
    static const char *const texts[] = { "a" };
    gguf_writer w;
    gguf_begin(&w, 0);
    if (model) gguf_str(&w, "tokenizer.ggml.model", model);
    if (pre) gguf_str(&w, "tokenizer.ggml.pre", pre);
    gguf_strs(&w, "tokenizer.ggml.tokens", texts, 1);
    gguf_strs(&w, "tokenizer.ggml.merges", NULL, 0);
    return make(&w, NULL, NULL);
}

static void families(void **state)
{
    (void)state;
    assert_int_equal(family("gpt2", "gpt-2"), 0);
    assert_int_equal(family("gpt2", "smollm"), 0);
    assert_int_equal(family(NULL, NULL), DECAI_E_NOT_FOUND);
    assert_int_equal(family("plamo2", NULL), DECAI_E_UNSUPPORTED);
    assert_non_null(strstr(decai_error_detail(), "tokenizer.ggml.model"));
    assert_int_equal(family("llama", NULL), DECAI_E_CORRUPT);             /* no scores */
    assert_non_null(strstr(decai_error_detail(), "tokenizer.ggml.scores"));
    assert_int_equal(family("gpt2", NULL), DECAI_E_UNSUPPORTED);
    assert_non_null(strstr(decai_error_detail(), "convert the model again"));
    assert_int_equal(family("gpt2", "gpt-22"), DECAI_E_UNSUPPORTED);
    assert_int_equal(family("gpt2", ""), DECAI_E_UNSUPPORTED);
}

static int32_t one_token(size_t len, int32_t kind)
{
    char *text = calloc(1, len + 1);
    const char *texts[] = { text };
    gguf_writer w;
    memset(text, 'a', len);
    gguf_begin(&w, 0);
    gguf_str(&w, "tokenizer.ggml.model", "gpt2");
    gguf_str(&w, "tokenizer.ggml.pre", "gpt-2");
    gguf_strs(&w, "tokenizer.ggml.tokens", texts, 1);
    gguf_i32s(&w, "tokenizer.ggml.token_type", &kind, 1);
    gguf_strs(&w, "tokenizer.ggml.merges", NULL, 0);
    free(text);
    return make(&w, NULL, NULL);
}

static int32_t counts(size_t tokens, size_t merges)
{
    gguf_writer w;
    gguf_bytes b = { 0 };
    char text[16];
    gguf_begin(&w, 0);
    gguf_str(&w, "tokenizer.ggml.model", "gpt2");
    gguf_str(&w, "tokenizer.ggml.pre", "gpt-2");
    gguf_put_u32(&b, 8), gguf_put_u64(&b, tokens);
    for (size_t i = 0; i < tokens; i++) gguf_put_str(&b, text, (size_t)snprintf(text, sizeof text, "t%zu", i));
    gguf_raw(&w, "tokenizer.ggml.tokens", 9, b.data, b.len);
    b.len = 0;
    gguf_put_u32(&b, 8), gguf_put_u64(&b, merges);
    for (size_t i = 0; i < merges; i++) gguf_put_str(&b, "a b", 3);
    gguf_raw(&w, "tokenizer.ggml.merges", 9, b.data, b.len);
    free(b.data);
    return make(&w, NULL, NULL);
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(one_token(DECAI_TOKEN_BYTES_MAX - 1, 1), 0);
    assert_int_equal(one_token(DECAI_TOKEN_BYTES_MAX, 1), 0);
    assert_int_equal(one_token(DECAI_TOKEN_BYTES_MAX + 1, 1), DECAI_E_LIMIT);
    assert_int_equal(one_token(DECAI__SPECIAL_BYTES_MAX - 1, 4), 0);
    assert_int_equal(one_token(DECAI__SPECIAL_BYTES_MAX, 4), 0);
    assert_int_equal(one_token(DECAI__SPECIAL_BYTES_MAX + 1, 4), DECAI_E_LIMIT);
    assert_int_equal(one_token(0, 1), DECAI_E_CORRUPT);
    assert_int_equal(one_token(1, 7), DECAI_E_CORRUPT);
    assert_int_equal(counts(DECAI_TOKEN_COUNT_MAX - 1, 0), 0);
    assert_int_equal(counts(DECAI_TOKEN_COUNT_MAX, 0), 0);
    assert_int_equal(counts(DECAI_TOKEN_COUNT_MAX + 1, 0), DECAI_E_LIMIT);
    /* Below the limit the merges themselves are looked at: "a" is no token. */
    assert_int_equal(counts(1, DECAI_MERGE_COUNT_MAX - 1), DECAI_E_CORRUPT);
    assert_int_equal(counts(1, DECAI_MERGE_COUNT_MAX), DECAI_E_CORRUPT);
    assert_int_equal(counts(1, DECAI_MERGE_COUNT_MAX + 1), DECAI_E_LIMIT);
}

static void text_limit(void **state)
{
    gguf_writer w;
    decai_options *o;
    decai_tokenizer *t;
    int32_t ids[8];
    size_t n;
    (void)state;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "tok.text_max", 5), 0);
    gguf_begin(&w, 0);
    support_gguf_vocab(&w, SUPPORT_VOCAB_MIN);
    assert_int_equal(make(&w, &t, o), 0);
    for (size_t len = 4; len <= 6; len++)
        assert_int_equal(decai_tokenizer_encode(t, ids, 8, &n, (const uint8_t *)"zzzzzz", len, 0), len > 5 ? DECAI_E_LIMIT : 0);
    assert_non_null(strstr(decai_error_detail(), "tok.text_max: 6 bytes are above 5"));
    decai_destroy(t);
    decai_destroy(o);
}

/* One class of characters for ever: memory stays linear (32 bytes a byte and the
 * ids), and so does the work: DECAI_DEEP=1 takes 16 MiB of each. */
static void uniform_text(void **state)
{
    static const char *const FILL[] = { "a", " ", "5", "!", "\xff", "\n", "hell", "'", "\xe4\xb8\xad", "th" };
    size_t len = getenv("DECAI_DEEP") ? 1u << 24 : 1u << 17;
    uint8_t *text = malloc(len);
    (void)state;
    decai_tokenizer *t = small();
    size_t first;
    memset(text, 'a', len);
    /* The table of pieces is made by the first text and kept. */
    assert_int_equal(decai_tokenizer_encode(t, NULL, 0, &first, text, len, 0), DECAI_E_SPACE);
    for (size_t i = 0; i < sizeof FILL / sizeof *FILL; i++) {
        size_t n, unit = strlen(FILL[i]), before = heap.live;
        for (size_t k = 0; k < len; k++) text[k] = (uint8_t)FILL[i][k % unit];
        support_heap_mark(&heap);
        assert_int_equal(decai_tokenizer_encode(t, NULL, 0, &n, text, len, 0), DECAI_E_SPACE);
        assert_in_range(n, len / 4, len);
        if (heap.peak - before > 48 * len + 65536) fail_msg("%zu bytes for %zu of \"%s\"", heap.peak - before, len, FILL[i]);
        assert_int_equal(heap.live, before);
    }
    decai_destroy(t);
    free(text);
}

static int setup(void **state)
{
    static const uint8_t empty[24] = { 'G', 'G', 'U', 'F', 3 };
    decai_model *m = NULL;
    (void)state;
    if (!(ctx = support_heap_context(&heap))) return 1;
    int32_t r = decai_model_open(&m, ctx, empty, sizeof empty, NULL);
    decai_destroy(m);
    return r;
}

static int teardown(void **state)
{
    (void)state;
    decai_destroy(ctx);
    return heap.live != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alphabet), cmocka_unit_test(splits), cmocka_unit_test(classes),
        cmocka_unit_test(bpe_is_the_rule), cmocka_unit_test(any_bytes_come_back), cmocka_unit_test(a_byte_without_token),
        cmocka_unit_test(special_tokens), cmocka_unit_test(decoding_specials), cmocka_unit_test(stream_replaces),
        cmocka_unit_test(stream_is_valid_at_every_step), cmocka_unit_test(everything_is_hashed),
        cmocka_unit_test(families), cmocka_unit_test(limits), cmocka_unit_test(text_limit),
        cmocka_unit_test(uniform_text),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
