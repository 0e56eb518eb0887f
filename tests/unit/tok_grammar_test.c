/* Grammars: what GBNF means, beside languages listed by a plain method; masks beside one
 * token at a time, on random grammars and on whole vocabularies; limits; hostile texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support_gguf.h"
#include "support_heap.h"
#include "support_vectors.h"
#include "tok/grammar.h"
#include "tok/internal.h"

static support_heap heap;
static decai_context *ctx;
static decai_tokenizer *t;

static decai_tokenizer *
tokenizer_of(const uint8_t *bytes, size_t len)
{
    decai_model *m = NULL;
    decai_tokenizer *out = NULL;
    int32_t r = decai_model_open(&m, ctx, bytes, len, NULL);
    if (!r) r = decai_tokenizer_create(&out, m, NULL);
    decai_destroy(m);
    return r ? NULL : out;
}

static int
setup(void **state)
{
    gguf_writer w;
    uint8_t *bytes;
    size_t len;
    (void)state;
    if (!(ctx = support_heap_context(&heap))) return 1;
    gguf_begin(&w, 0);
    support_gguf_vocab(&w, SUPPORT_VOCAB_MIN);
    gguf_end(&w, &bytes, &len);
    t = tokenizer_of(bytes, len);
    free(bytes);
    return !t;
}

static int
teardown(void **state)
{
    (void)state;
    decai_destroy(t);
    decai_destroy(ctx);
    return heap.live != 0;
}

static decai_matcher *
matcher_with(const decai_tokenizer *tokenizer, const char *text)
{
    decai_grammar *g;
    decai_matcher *m = NULL;
    if (decai_grammar_create(&g, tokenizer, "gbnf", text, strlen(text), NULL)) fail_msg("%s: %s", text, decai_error_detail());
    assert_int_equal(decai_matcher_create(&m, g), 0);
    decai_destroy(g);
    return m;
}

/* 2 complete, 1 can go on, 0 refused. */
static int
judge(decai_matcher *m, const char *text, size_t len)
{
    uint64_t taken;
    decai__matcher_start(m);
    for (size_t i = 0; i < len; i++) {
        int32_t token = (uint8_t)text[i];
        assert_int_equal(decai_matcher_add(m, &taken, &token, 1), 0);
        if (!taken) return 0;
    }
    return decai__matcher_complete(m) ? 2 : 1;
}

static void
test_rows(void **state)
{
    static const struct { const char *grammar, *yes[6], *no[6]; } rows[] = {
        { "root ::= \"ab\"", { "ab" }, { "a", "abc", "b", "" } },
        { "root ::= \"a\" | \"bc\" | \"\"", { "a", "bc", "" }, { "b", "ac" } },
        { "root ::= [a-c]+ # one\n", { "a", "cab" }, { "", "d", "ad" } },
        { "root ::= [^a-c]", { "d", "\n", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xef\xbf\xbf" }, { "a", "\xc3", "dd", "\xed\xa0\x80" } },
        { "root ::= .", { "a", "\xe2\x82\xac", "\n" }, { "", "\xff", "\xc0\x80", "\xf4\x90\x80\x80" } },
        { "root ::= [\xc3\xa4-\xc3\xbc\xe2\x82\xac]", { "\xc3\xa9", "\xe2\x82\xac" }, { "\xc3\xa3", "\xc3\xbd", "e" } },
        { "root ::= \"\\u20ac\\x41\\n\\\"\\\\\"", { "\xe2\x82\xac" "A\n\"\\" }, { "\xe2\x82\xac" } },
        { "root ::= [\\]\\-\\\\^x]+", { "]-\\^x" }, { "a" } },
        { "root ::= [a-]+", { "a-a" }, { "b" } },
        { "root ::= \"a\"{2,3} b\nb ::= \"b\"?", { "aa", "aaa", "aab", "aaab" }, { "a", "aaaa", "aabb" } },
        { "root ::= \"a\"{2}", { "aa" }, { "a", "aaa" } },
        { "root ::= (\"a\" \"b\"{0,2}){2,}", { "aa", "abab", "abbabba" }, { "a", "b", "abbb" } },
        { "root ::= \"a\"{0} \"b\"", { "b" }, { "ab" } },
        { "root ::= (\"a\"{0,2}){3} \"b\"", { "b", "aaaaaab" }, { "aaaaaaab" } },
        { "root ::= \"x\"*{2}", { "", "xxx" }, { "y" } },
        { "root ::= root \"a\" | \"b\"", { "b", "baaa" }, { "a", "", "ab" } },                    /* left recursion */
        { "root ::= \"a\" root | \"b\"", { "b", "aaab" }, { "a", "ba" } },
        { "root ::= \"(\" root \")\" root | \"\"", { "", "()", "(())()" }, { "(", "())" } },
        { "root ::= a b\na ::= c\nc ::= a \"x\" | \"\"\nb ::= \"y\"", { "y", "xxy" }, { "x", "yx" } },   /* hidden left recursion */
        { "root ::= root root | \"a\" | \"\"", { "", "a", "aaaa" }, { "b" } },                       /* ambiguous without end */
        { "root ::= e\ne ::= e \"+\" e | [0-9]", { "1", "1+2+3" }, { "+", "1+", "12" } },
        { "root ::= (\n \"a\" # in a group\n | \"b\"\n) |\n \"c\"\n", { "a", "b", "c" }, { "d" } },
        { "a-B_1 ::= \"x\"\r\nroot ::= a-B_1 a-B_1\r\n", { "xx" }, { "x" } },
        { "root ::= \"a\" dead | \"b\"\ndead ::= \"x\" dead", { "b" }, { "a", "ax" } },             /* no way out */
        { "root ::= ws \"x\" ws\nws ::= ([ \\t] ws)?", { "x", "  x\t" }, { "", " " } },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        decai_matcher *m = matcher_with(t, rows[i].grammar);
        for (size_t k = 0; k < 6 && rows[i].yes[k]; k++)
            if (judge(m, rows[i].yes[k], strlen(rows[i].yes[k])) != 2) fail_msg("%s: not \"%s\"", rows[i].grammar, rows[i].yes[k]);
        for (size_t k = 0; k < 6 && rows[i].no[k]; k++)
            if (judge(m, rows[i].no[k], strlen(rows[i].no[k])) == 2) fail_msg("%s: takes \"%s\"", rows[i].grammar, rows[i].no[k]);
        decai_destroy(m);
    }
}

/* "root ::= \"(\" dead | ...": bytes that lead to no complete text are refused at once. */
static void
test_no_dead_ends(void **state)
{
    decai_matcher *m = matcher_with(t, "root ::= \"a\" dead | \"ab\" | \"c\" (dead | \"d\")\ndead ::= \"x\" dead");
    (void)state;
    assert_int_equal(judge(m, "ax", 2), 0);
    assert_int_equal(judge(m, "cx", 2), 0);
    assert_int_equal(judge(m, "c", 1), 1);
    assert_int_equal(judge(m, "cd", 2), 2);
    decai_destroy(m);
}

static void
test_refused(void **state)
{
    static const struct { const char *text; int32_t code; const char *says; } rows[] = {
        { "", DECAI_E_CORRUPT, "no rule is named root" },
        { "a ::= \"x\"", DECAI_E_CORRUPT, "no rule is named root" },
        { "root ::= b", DECAI_E_CORRUPT, "line 1, column 10: a rule that is written nowhere" },
        { "root ::= \"a\"\nroot ::= \"b\"", DECAI_E_CORRUPT, "line 2, column 1: a rule is written twice" },
        { "root ::= \"a", DECAI_E_CORRUPT, "a text has no end" },
        { "root ::= [a", DECAI_E_CORRUPT, "a class has no end" },
        { "root ::= [b-a]", DECAI_E_CORRUPT, "a range ends before it begins" },
        { "root ::= (\"a\"", DECAI_E_CORRUPT, "a group has no )" },
        { "root ::= \"a\")", DECAI_E_CORRUPT, "column 13" },
        { "root ::= \"a\"{3,2}", DECAI_E_CORRUPT, "ends before it begins" },
        { "root ::= \"a\"{,2}", DECAI_E_CORRUPT, "a number is missing" },
        { "root ::= \"a\"{2", DECAI_E_CORRUPT, "no }" },
        { "root ::= \"\\q\"", DECAI_E_CORRUPT, "an escape that is not known" },
        { "root ::= \"\\u12\"", DECAI_E_CORRUPT, "hexadecimal" },
        { "root ::= \"\\uD800\"", DECAI_E_CORRUPT, "no character of Unicode" },
        { "root = \"a\"", DECAI_E_CORRUPT, "::= is missing" },
        { "root ::= \"\xff\"", DECAI_E_CORRUPT, "not UTF-8" },
        { "root ::= <think>", DECAI_E_UNSUPPORTED, "tokens by name" },
        { "root ::= root", DECAI_E_INVALID, "no text can ever be complete" },
        { "root ::= \"a\" root", DECAI_E_INVALID, "no text can ever be complete" },
        { "root ::= \"a\"{1000}{1000}", DECAI_E_LIMIT, "DECAI_GRAMMAR_STATE_MAX" },
        { "root ::= \"a\"{999999999999}", DECAI_E_LIMIT, "DECAI_GRAMMAR_STATE_MAX" },
    };
    decai_grammar *g;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int32_t r = decai_grammar_create(&g, t, "gbnf", rows[i].text, strlen(rows[i].text), NULL);
        if (r != rows[i].code || !strstr(decai_error_detail(), rows[i].says))
            fail_msg("%s: %d, \"%s\"", rows[i].text, (int)r, decai_error_detail());
        assert_null(g);
    }
    assert_int_equal(decai_grammar_create(&g, t, "regex", "a", 1, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_grammar_create(&g, t, NULL, "a", 1, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_grammar_create(&g, t, "gbnf", NULL, 0, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_grammar_create(NULL, t, "gbnf", "a", 1, NULL), DECAI_E_INVALID);
}

/* ---- limits -------------------------------------------------------------------------------- */

static void
repeated(char *out, const char *head, const char *each, size_t times, const char *tail)
{
    size_t n = strlen(each);
    char *at = out + sprintf(out, "%s", head);
    for (size_t i = 0; i < times; i++, at += n) memcpy(at, each, n);
    strcpy(at, tail);
}

static void
test_limits(void **state)
{
    static char text[DECAI_GRAMMAR_TEXT_MAX + 16];
    decai_grammar *g;
    (void)state;
    for (int over = -1; over <= 1; over++) {
        size_t nest = (size_t)(DECAI_GRAMMAR_NEST_MAX + over);
        repeated(text, "root ::= ", "(", nest, "\"a\"");
        repeated(text + strlen(text), "", ")", nest, "");
        assert_int_equal(decai_grammar_create(&g, t, "gbnf", text, strlen(text), NULL), over > 0 ? DECAI_E_LIMIT : 0);
        decai_destroy(g);
        size_t len = (size_t)(DECAI_GRAMMAR_TEXT_MAX + over);
        memset(text, ' ', sizeof text);
        memcpy(text, "root ::= \"a\"", 12);
        assert_int_equal(decai_grammar_create(&g, t, "gbnf", text, len, NULL), over > 0 ? DECAI_E_LIMIT : 0);
        decai_destroy(g);
    }
    /* Rules: each is called from the one before. */
    for (int over = -1; over <= 1; over++) {
        size_t n = (size_t)(DECAI_GRAMMAR_RULE_MAX + over), at = 0;
        char *many = malloc(16 * n + 64);
        at += (size_t)sprintf(many, "root ::= \"a\"\n");
        for (size_t i = 1; i < n; i++) at += (size_t)sprintf(many + at, "r%zu::=\"\"\n", i);
        int32_t r = decai_grammar_create(&g, t, "gbnf", many, at, NULL);
        if (r != (over > 0 ? DECAI_E_LIMIT : 0)) fail_msg("%zu rules: %d %s", n, (int)r, decai_error_detail());
        decai_destroy(g);
        free(many);
    }
}

/* ---- hostile grammars: bounded time and memory ------------------------------------------------ */

static void
test_hostile(void **state)
{
    static char text[1 << 18];
    decai_matcher *m;
    decai_grammar *g;
    (void)state;
    /* Subsets without number: kept nondeterministic. */
    m = matcher_with(t, "root ::= [ab]* \"a\" [ab]{40}");
    char word[200];
    memset(word, 'b', sizeof word);
    word[100] = 'a';
    assert_int_equal(judge(m, word, 141), 2);
    assert_int_equal(judge(m, word, 142), 1);
    decai_destroy(m);
    /* Deeply ambiguous: items grow by bytes, not by readings. */
    m = matcher_with(t, "root ::= s\ns ::= s s | s s s | \"a\" | \"\"");
    memset(word, 'a', sizeof word);
    assert_int_equal(judge(m, word, 120), 2);
    decai_destroy(m);
    /* Right recursion over many rules and a long text: no stack. */
    m = matcher_with(t, "root ::= a\na ::= \"x\" b | \"\"\nb ::= \"x\" a | \"\"");
    memset(word, 'x', sizeof word);
    assert_int_equal(judge(m, word, 200), 2);
    decai_destroy(m);
    /* Optional parts in a row: closures as long as the row. */
    repeated(text, "root ::= ", "\"a\"? ", 20000, "\n");
    int32_t r = decai_grammar_create(&g, t, "gbnf", text, strlen(text), NULL);
    assert_true(r == 0 || r == DECAI_E_LIMIT);
    decai_destroy(g);
    /* A chain of rules, each twice the one before: the language is huge, the grammar small. */
    char *at = text + sprintf(text, "root ::= r0\n");
    for (int i = 0; i < 60; i++) at += sprintf(at, "r%d ::= r%d r%d\n", i, i + 1, i + 1);
    sprintf(at, "r60 ::= \"a\"\n");
    m = matcher_with(t, text);
    memset(word, 'a', sizeof word);
    assert_int_equal(judge(m, word, 200), 1);
    decai_destroy(m);
}

/* ---- beside languages listed by hand -------------------------------------------------------------
 * Random grammars over a, b: the set of words of at most WORD letters that each rule
 * gives, by going round until nothing is new. A word is its bits behind a leading 1. */

enum { ROUNDS = 100, RULES = 4, WORD = 6, WORDS = 1 << (WORD + 1) };

typedef struct node { int kind, a, b; } node;        /* 0 letter a, 1 rule a, 2 a then b, 3 a or b, 4 nothing, 5 a* */
typedef struct random_grammar { node nodes[256]; int count, root[RULES]; } random_grammar;

static int
random_node(random_grammar *g, uint64_t *seed, int depth)
{
    int kind = depth > 3 || g->count > 200 ? (int)(support_rand(seed) % 2) : (int)(support_rand(seed) % 9);
    node n = { kind > 5 ? kind % 3 + 1 : kind, 0, 0 };
    if (n.kind == 0) n.a = (int)(support_rand(seed) % 2);
    if (n.kind == 1) n.a = (int)(support_rand(seed) % RULES);
    if (n.kind == 2 || n.kind == 3 || n.kind == 5) n.a = random_node(g, seed, depth + 1);
    if (n.kind == 2 || n.kind == 3) n.b = random_node(g, seed, depth + 1);
    g->nodes[g->count] = n;
    return g->count++;
}

static char *
print_node(const random_grammar *g, int i, char *at)
{
    const node *n = &g->nodes[i];
    switch (n->kind) {
    case 0: return at + sprintf(at, "\"%c\" ", 'a' + n->a);
    case 1: return n->a ? at + sprintf(at, "r%d ", n->a) : at + sprintf(at, "root ");
    case 4: return at + sprintf(at, "\"\" ");
    default: break;
    }
    *at++ = '(';
    at = print_node(g, n->a, at);
    if (n->kind == 3) *at++ = '|';
    if (n->kind != 5) at = print_node(g, n->b, at);
    *at++ = ')';
    if (n->kind == 5) *at++ = '*';
    *at++ = ' ';
    *at = 0;
    return at;
}

static int
letters(int w)
{
    return 31 - __builtin_clz((unsigned)w);
}

static void
join_words(uint8_t *out, const uint8_t *a, const uint8_t *b)
{
    for (int x = 1; x < WORDS; x++)
        for (int y = 1; a[x] && y < WORDS; y++)
            if (b[y] && letters(x) + letters(y) <= WORD) out[(x << letters(y)) | (y ^ (1 << letters(y)))] = 1;
}

static void
words_of(const random_grammar *g, int i, const uint8_t rules[RULES][WORDS], uint8_t *out)
{
    const node *n = &g->nodes[i];
    uint8_t a[WORDS] = { 0 }, b[WORDS] = { 0 };
    memset(out, 0, WORDS);
    if (n->kind == 2 || n->kind == 3 || n->kind == 5) words_of(g, n->a, rules, a);
    if (n->kind == 2 || n->kind == 3) words_of(g, n->b, rules, b);
    switch (n->kind) {
    case 0: out[2 + n->a] = 1; break;
    case 1: memcpy(out, rules[n->a], WORDS); break;
    case 2: join_words(out, a, b); break;
    case 3: for (int w = 0; w < WORDS; w++) out[w] = a[w] | b[w]; break;
    case 5:
        out[1] = 1;
        for (int k = 0; k < WORD; k++) {
            memcpy(b, out, WORDS);
            join_words(out, b, a);
        }
        break;
    default: out[1] = 1; break;
    }
}

static void
list_words(const random_grammar *g, uint8_t rules[RULES][WORDS])
{
    uint8_t next[WORDS];
    bool more = true;
    memset(rules, 0, RULES * WORDS);
    while (more) {
        more = false;
        for (int r = 0; r < RULES; r++) {
            words_of(g, g->root[r], (const uint8_t (*)[WORDS])rules, next);
            for (int w = 1; w < WORDS; w++) more |= next[w] && !rules[r][w];
            for (int w = 1; w < WORDS; w++) rules[r][w] |= next[w];
        }
    }
}

static size_t
spell(int w, char *out)
{
    int n = letters(w);
    for (int i = 0; i < n; i++) out[i] = (char)('a' + (w >> (n - 1 - i) & 1));
    return (size_t)n;
}

/* One token at a time: what masks must be. */
static void
plain_mask(decai_matcher *m, const decai_tokenizer *tokenizer, uint64_t *bits)
{
    uint64_t taken;
    uint32_t n = decai__tok_count(tokenizer);
    memset(bits, 0, (n + 63) / 64 * 8);
    for (uint32_t id = 0; id < n; id++) {
        int32_t token = (int32_t)id;
        assert_int_equal(decai_matcher_add(m, &taken, &token, 1), 0);
        if (!taken) continue;
        bits[id / 64] |= UINT64_C(1) << id % 64;
        assert_int_equal(decai_matcher_remove(m, 1), 0);
    }
}

static size_t
check_mask(decai_matcher *m, const decai_tokenizer *tokenizer, const char *what)
{
    uint32_t n = decai__tok_count(tokenizer);
    uint64_t *bits = calloc((n + 63) / 64, 8), *plain = calloc((n + 63) / 64, 8);
    size_t count = 0;
    assert_int_equal(decai__matcher_mask(m, bits), 0);
    plain_mask(m, tokenizer, plain);
    for (uint32_t id = 0; id < n; id++) {
        bool a = bits[id / 64] >> id % 64 & 1, b = plain[id / 64] >> id % 64 & 1;
        if (a != b) fail_msg("%s: token %u is %d, alone %d", what, id, a, b);
        count += a;
    }
    free(bits);
    free(plain);
    return count;
}

static decai_tokenizer *ab;          /* every word of a, b of at most five letters is a token */

static void
make_ab(void)
{
    char json[8192], *at = json;
    at += sprintf(at, "{\"added_tokens\":[{\"id\":0,\"content\":\"</s>\",\"special\":true}],\"pre_tokenizer\":{\"type\":\"ByteLevel\","
        "\"add_prefix_space\":false,\"use_regex\":true},\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{\"</s>\":0");
    for (int w = 2, id = 1; w < 64; w++, id++) {
        char word[8];
        word[spell(w, word)] = 0;
        at += sprintf(at, ",\"%s\":%d", word, id);
    }
    sprintf(at, "}}}");
    if (decai_tokenizer_open(&ab, ctx, (const uint8_t *)json, strlen(json), NULL)) fail_msg("%s", decai_error_detail());
}

static void
check_words(const random_grammar *g, const char *text, const uint8_t *words)
{
    char word[8];
    decai_matcher *m = matcher_with(t, text);
    for (int w = 1; w < WORDS; w++) {
        size_t n = spell(w, word);
        int got = judge(m, word, n);
        if ((got == 2) != words[w]) fail_msg("%s: \"%.*s\" is %d, listed %d", text, (int)n, word, got == 2, words[w]);
        /* Whatever begins a listed word can go on. */
        for (int k = 1; words[w] && k <= (int)n; k++)
            if (!judge(m, word, n - (size_t)k)) fail_msg("%s: a beginning of \"%.*s\" is refused", text, (int)n, word);
    }
    decai_destroy(m);
    (void)g;
}

static void
check_random_masks(const char *text, uint64_t *seed)
{
    decai_matcher *m = matcher_with(ab, text);
    for (int walk = 0; walk < 2; walk++) {
        decai__matcher_start(m);
        for (int i = 0; i < 4; i++) {
            uint64_t bits[1], taken;
            (void)check_mask(m, ab, text);
            assert_int_equal(decai__matcher_mask(m, bits), 0);
            if (!(bits[0] & ~UINT64_C(1))) break;
            int32_t token;
            do token = 1 + (int32_t)(support_rand(seed) % 62); while (!(bits[0] >> token & 1));
            assert_int_equal(decai_matcher_add(m, &taken, &token, 1), 0);
            assert_int_equal(taken, 1);
        }
    }
    decai_destroy(m);
}

static void
test_random(void **state)
{
    static uint8_t rules[RULES][WORDS];
    uint64_t seed = 11;
    int kept = 0, words = 0;
    (void)state;
    make_ab();
    for (int round = 0; round < ROUNDS; round++) {
        random_grammar g = { .count = 0 };
        char text[8192], *at = text;
        for (int r = 0; r < RULES; r++) {
            g.root[r] = random_node(&g, &seed, 0);
            at += r ? sprintf(at, "r%d ::= ", r) : sprintf(at, "root ::= ");
            at = print_node(&g, g.root[r], at);
            at += sprintf(at, "\n");
        }
        list_words(&g, rules);
        decai_grammar *probe;
        int32_t r = decai_grammar_create(&probe, t, "gbnf", text, strlen(text), NULL);
        decai_destroy(probe);
        int any = 0;
        for (int w = 1; w < WORDS; w++) any += rules[0][w];
        if (r) {
            if (any) fail_msg("%s: %s, but it has words", text, decai_error_detail());
            continue;
        }
        check_words(&g, text, rules[0]);
        check_random_masks(text, &seed);
        kept++;
        words += any;
    }
    decai_destroy(ab);
    print_message("# %d grammars, %d words\n", kept, words);
    assert_true(kept > ROUNDS / 2 && words > 5 * ROUNDS);
}

/* ---- whole vocabularies --------------------------------------------------------------------------- */

static const char json_grammar[] =
    "root ::= object\n"
    "value ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n"
    "object ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? \"}\" ws\n"
    "array ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x7f\\x00-\\x1f] | \"\\\\\" ([\"\\\\bfnrt/] | \"u\" [0-9a-fA-F]{4}))* \"\\\"\" ws\n"
    "number ::= \"-\"? (\"0\" | [1-9] [0-9]{0,15}) (\".\" [0-9]+)? ([eE] [-+]? [0-9]{1,3})? ws\n"
    "ws ::= ([ \\n] ws)?\n";

/* Random tokens of the masks; every tenth mask beside the plain one. */
static void
walk_vocabulary(const decai_tokenizer *tokenizer, const char *name, int tokens, int checks)
{
    decai_matcher *m = matcher_with(tokenizer, json_grammar);
    uint32_t n = decai__tok_count(tokenizer);
    uint64_t *bits = calloc((n + 63) / 64, 8), seed = 5, taken;
    size_t allowed = 0;
    for (int i = 0; i < tokens; i++) {
        if (i % (tokens / checks) == 0) allowed += check_mask(m, tokenizer, name);
        assert_int_equal(decai__matcher_mask(m, bits), 0);
        int32_t token;
        uint32_t from = (uint32_t)(support_rand(&seed) % n), k = 0;
        for (; k < n; k++) {
            token = (int32_t)((from + k) % n);
            if (bits[token / 64] >> token % 64 & 1 && !decai__tok_is_end(tokenizer, token)) break;
        }
        if (k == n) {
            assert_true(decai__matcher_complete(m));
            decai__matcher_start(m);
            continue;
        }
        assert_int_equal(decai_matcher_add(m, &taken, &token, 1), 0);
        assert_int_equal(taken, 1);
    }
    print_message("# %s: %d tokens, %zu allowed in %d masks\n", name, tokens, allowed, checks);
    assert_true(allowed > 0);
    free(bits);
    decai_destroy(m);
}

static void
test_shipped(void **state)
{
    size_t len;
    char *bytes = support_file("examples/model/decai-actions.q8_0.gguf", &len);
    (void)state;
    assert_non_null(bytes);
    decai_tokenizer *tokenizer = tokenizer_of((const uint8_t *)bytes, len);
    assert_non_null(tokenizer);
    walk_vocabulary(tokenizer, "shipped", 400, 100);
    walk_vocabulary(t, "small", 400, 100);
    decai_destroy(tokenizer);
    free(bytes);
}

static void
test_vocabularies(void **state)
{
    static const char *const names[] = { "gpt-2", "llama-spm", "llama-bpe", "gemma-4" };
    int ran = 0;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[96];
        size_t len;
        snprintf(path, sizeof path, "tokenizers/ggml-vocab-%s.gguf", names[i]);
        char *bytes = support_vector(path, &len);
        if (!bytes) continue;
        decai_tokenizer *tokenizer = tokenizer_of((const uint8_t *)bytes, len);
        assert_non_null(tokenizer);
        walk_vocabulary(tokenizer, names[i], 60, 6);
        decai_destroy(tokenizer);
        free(bytes);
        ran++;
    }
    if (!ran) skip();
}

/* ---- matchers ---------------------------------------------------------------------------------------- */

static void
test_matcher(void **state)
{
    decai_matcher *m = matcher_with(t, "root ::= \"hello \" (\"the\" | \"there\") \"!\"");
    static uint8_t mask[(SUPPORT_VOCAB_MIN + 7) / 8], forced[DECAI_FORCED_MAX];
    int32_t end = SUPPORT_VOCAB_MIN - 1, complete, tokens[32];
    uint64_t taken;
    size_t n, len;
    (void)state;
    assert_true(decai__tok_is_end(t, end));
    assert_int_equal(decai_matcher_mask_get(m, NULL, 0, &len), DECAI_E_SPACE);
    assert_int_equal(len, sizeof mask);
    assert_int_equal(decai_matcher_forced_get(m, forced, sizeof forced, &len, &complete), 0);
    assert_int_equal(complete, 0);
    assert_memory_equal(forced, "hello the", 9);
    assert_int_equal(len, 9);
    assert_int_equal(decai_matcher_forced_get(m, forced, 8, &len, &complete), DECAI_E_SPACE);
    assert_int_equal(len, 9);

    assert_int_equal(decai_tokenizer_encode(t, tokens, 32, &n, (const uint8_t *)"hello there!?", 13, 0), 0);
    assert_int_equal(decai_matcher_add(m, &taken, tokens, n), 0);
    assert_int_equal(taken, n - 1);                       /* all but the question mark */
    assert_int_equal(decai_matcher_mask_get(m, mask, sizeof mask, &len), 0);
    for (int32_t i = 0; i < SUPPORT_VOCAB_MIN; i++) assert_int_equal(mask[i / 8] >> i % 8 & 1, i == end);
    assert_int_equal(decai_matcher_forced_get(m, forced, sizeof forced, &len, &complete), 0);
    assert_true(complete == 1 && len == 0);
    assert_int_equal(decai_matcher_add(m, &taken, &end, 1), 0);
    assert_int_equal(taken, 1);
    assert_int_equal(decai_matcher_add(m, &taken, &end, 1), 0);
    assert_int_equal(taken, 0);                           /* nothing comes after the end */
    assert_int_equal(decai_matcher_mask_get(m, mask, sizeof mask, &len), 0);
    for (size_t i = 0; i < sizeof mask; i++) assert_int_equal(mask[i], 0);
    assert_int_equal(decai_matcher_remove(m, n + 1), DECAI_E_INVALID);
    assert_int_equal(decai_matcher_remove(m, n), 0);      /* the end and n - 1 tokens */
    assert_int_equal(decai_matcher_forced_get(m, forced, sizeof forced, &len, &complete), 0);
    assert_int_equal(len, 9);
    tokens[0] = SUPPORT_VOCAB_MIN;
    assert_int_equal(decai_matcher_add(m, &taken, tokens, 1), DECAI_E_NOT_FOUND);
    assert_int_equal(decai_matcher_add(m, NULL, tokens, 1), DECAI_E_INVALID);
    assert_int_equal(decai_matcher_add(m, &taken, NULL, 1), DECAI_E_INVALID);
    assert_int_equal(decai_matcher_forced_get(m, forced, sizeof forced, &len, NULL), DECAI_E_INVALID);
    decai_destroy(m);
}

/* A cache of no bytes gives the same masks, and forgets. */
static void
test_small_cache(void **state)
{
    decai_options *opts;
    decai_grammar *g;
    decai_matcher *m;
    (void)state;
    assert_int_equal(decai_options_create(&opts, ctx), 0);
    assert_int_equal(decai_options_set_i64(opts, "tok.grammar_cache_max", 0), 0);
    assert_int_equal(decai_grammar_create(&g, t, "gbnf", json_grammar, strlen(json_grammar), opts), 0);
    decai_destroy(opts);
    assert_int_equal(decai_matcher_create(&m, g), 0);
    const char *text = "{\"a\": [1, {\"b\": \"c\"}]}";
    size_t before = 0;
    for (size_t i = 0; i < strlen(text); i++) {
        uint64_t taken;
        int32_t token = (uint8_t)text[i];
        (void)check_mask(m, t, "small cache");
        assert_int_equal(decai_matcher_add(m, &taken, &token, 1), 0);
        assert_int_equal(taken, 1);
        if (i == 8) before = heap.live;
    }
    assert_true(heap.live < before + 65536);
    decai_destroy(m);
    decai_destroy(g);
}

/* A list of n items by right recursion costs items in proportion. */
static void
test_right_recursion_is_linear(void **state)
{
    decai_matcher *m = matcher_with(t, "root ::= \"a\" root | \"\"");
    uint64_t taken;
    int32_t token = 'a';
    (void)state;
    size_t live = heap.live;
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(decai_matcher_add(m, &taken, &token, 1), 0);
        assert_int_equal(taken, 1);
    }
    assert_true(heap.live - live < 20000 * 64);
    decai_destroy(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows), cmocka_unit_test(test_no_dead_ends), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_hostile), cmocka_unit_test(test_random),
        cmocka_unit_test(test_shipped), cmocka_unit_test(test_vocabularies), cmocka_unit_test(test_matcher),
        cmocka_unit_test(test_small_cache), cmocka_unit_test(test_right_recursion_is_linear),
    };
    return cmocka_run_group_tests_name("tok_grammar", tests, setup, teardown);
}
