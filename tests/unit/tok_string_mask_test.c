/* Masks in the bodies of strings, which are made of what the vocabulary's tokens do there,
 * beside each token on its own: every limit of length, escapes, characters cut in two, and
 * grammars that only look like strings. Then which states are known to be strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_gguf.h"
#include "support_heap.h"
#include "support_vectors.h"
#include "tok/grammar.h"
#include "tok/internal.h"

static support_heap heap;
static decai_context *ctx;
static decai_tokenizer *t;

/* ---- a vocabulary of pieces of strings ---------------------------------------------- */

static char json[1 << 20];
static size_t at;
static int tokens;
static char known[4096][40];         /* short tokens: each comes once */

static bool
is_new(const char *bytes, size_t len)
{
    char key[40] = { (char)len };
    if (len > 38) return true;
    memcpy(key + 1, bytes, len);
    for (int i = 0; i < tokens; i++)
        if (!memcmp(known[i], key, sizeof key)) return false;
    memcpy(known[tokens], key, sizeof key);
    return true;
}

/* In GPT-2's letters for bytes. */
static void
add(const char *bytes, size_t len)
{
    static int letter[256];
    if (!letter['a'])
        for (int b = 0, other = 256; b < 256; b++) letter[b] = b <= 32 || (b >= 127 && b <= 160) || b == 173 ? other++ : b;
    if (!is_new(bytes, len)) return;
    at += (size_t)sprintf(json + at, "%s\"", tokens ? "," : "");
    for (size_t i = 0; i < len; i++) at += (size_t)sprintf(json + at, "\\u%04x", (unsigned)letter[(uint8_t)bytes[i]]);
    at += (size_t)sprintf(json + at, "\":%d", tokens++);
}

static void
make(void)
{
    static const char *const atoms[] = { "a", "b", "\"", "\\", "n", "u", "0", "d8", "dc", "\n", ",", "}", ":", " ", "]",
        "\xc3\xa9", "\xc3", "\xa9", "\xe4\xb8\xad", "\xe4\xb8", "\xed\xa0", "\xf0\x9f\x98\x80", "\xf0\x9f", "\xff", "\\u00e9", "\\\"", "aaaa" };
    enum { COUNT = sizeof atoms / sizeof *atoms };
    static const int lengths[] = { 15, 16, 17, 18, 64, 254, 255, 256, 257 };
    char text[600];
    at += (size_t)sprintf(json, "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},"
        "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{");
    for (int b = 0; b < 256; b++) add((char[]){ (char)b }, 1);
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < COUNT; k++) add(text, (size_t)sprintf(text, "%s%s", atoms[i], atoms[k]));
    uint64_t seed = 11;
    for (int i = 0; i < 700; i++) {
        size_t n = 0;
        for (uint64_t k = 2 + support_rand(&seed) % 4; k; k--) n += (size_t)sprintf(text + n, "%s", atoms[support_rand(&seed) % COUNT]);
        add(text, n);
    }
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t n = (size_t)lengths[i];
        memset(text, 'a', n);
        add(text, n);
        memcpy(text + n, "\"}", 3);
        add(text, n + 1);
        add(text, n + 2);
        memcpy(text + n, "\xe4\xb8", 2);
        add(text, n + 2);
        memcpy(text + n - 2, "\\n", 2);
        add(text, n);
    }
    at += (size_t)sprintf(json + at, "}},\"added_tokens\":[{\"id\":%d,\"content\":\"</s>\",\"special\":true}]}", tokens);
}

static int
setup(void **state)
{
    (void)state;
    if (!(ctx = support_heap_context(&heap))) return 1;
    make();
    if (decai_tokenizer_open(&t, ctx, (const uint8_t *)json, at, NULL)) fail_msg("%s", decai_error_detail());
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    decai_destroy(t);
    decai_destroy(ctx);
    return heap.live != 0;
}

/* ---- masks beside each token ------------------------------------------------------------ */

static decai_grammar *
grammar(const char *kind, const char *text)
{
    decai_grammar *g = NULL;
    if (decai_grammar_create(&g, t, kind, text, strlen(text), NULL)) fail_msg("%s: %s", text, decai_error_detail());
    return g;
}

static void
check(decai_matcher *m, const char *what, uint64_t *bits)
{
    uint64_t taken;
    assert_int_equal(decai__matcher_mask(m, bits), 0);
    for (int32_t id = 0; id < tokens; id++) {
        assert_int_equal(decai_matcher_add(m, &taken, &id, 1), 0);
        bool mask = bits[id / 64] >> id % 64 & 1;
        if (mask != (taken == 1)) fail_msg("%s: token %d is %d, alone %d", what, (int)id, mask, (int)taken);
        if (taken) assert_int_equal(decai_matcher_remove(m, 1), 0);
    }
}

/* One of the mask; rarely one with a quote. -1: there is none. */
static int32_t
draw(const uint64_t *bits, uint64_t *seed)
{
    bool quotes = support_rand(seed) % 8 == 0;
    int32_t from = (int32_t)(support_rand(seed) % (uint64_t)tokens), found = -1;
    for (int32_t i = 0; i < tokens; i++) {
        int32_t id = (from + i) % tokens;
        size_t len;
        const uint8_t *text = decai__tok_bytes(t, id, &len);
        if (!(bits[id / 64] >> id % 64 & 1)) continue;
        found = id;
        if (quotes || !memchr(text, '"', len)) break;
    }
    return found;
}

/* Random texts, every mask of them. */
static void
walk(const char *kind, const char *text, int texts, int steps)
{
    decai_grammar *g = grammar(kind, text);
    decai_matcher *m;
    uint64_t *bits = calloc((size_t)tokens / 64 + 2, sizeof *bits), seed = 3, taken;
    assert_int_equal(decai_matcher_create(&m, g), 0);
    for (int i = 0; i < texts; i++) {
        decai__matcher_start(m);
        for (int k = 0; k < steps; k++) {
            check(m, text, bits);
            int32_t token = draw(bits, &seed);
            if (token < 0) break;
            assert_int_equal(decai_matcher_add(m, &taken, &token, 1), 0);
            assert_int_equal(taken, 1);
        }
    }
    free(bits);
    decai_destroy(m);
    decai_destroy(g);
}

static void
test_lengths(void **state)
{
    static const int limits[] = { 0, 1, 2, 3, 4, 15, 16, 17, 18, 254, 255, 256, 257 };
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        sprintf(text, "{\"type\":\"string\",\"maxLength\":%d}", limits[i]);
        walk("json_schema", text, 6, 12);
        sprintf(text, "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":%d,\"maxLength\":%d}}", limits[i], limits[i]);
        walk("json_schema_compact", text, 6, 12);
        sprintf(text, "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"minLength\":%d}},\"required\":[\"a\"]}", limits[i] % 250);
        walk("json_schema", text, 6, 12);
    }
    walk("json_schema", "{\"type\":\"string\",\"minLength\":2,\"maxLength\":5}", 30, 12);
}

static void
test_schemas(void **state)
{
    static const char *const schemas[] = {
        "{}", "{\"type\":\"object\"}", "{\"type\":[\"string\",\"null\"]}", "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\",\"maxLength\":3}}",
        "{\"type\":\"object\",\"properties\":{\"aa\":{\"type\":\"string\"},\"ab\":{}},\"additionalProperties\":true}",
        "{\"anyOf\":[{\"type\":\"string\",\"maxLength\":2},{\"type\":\"string\",\"pattern\":\"^a*$\"}]}",
        "{\"anyOf\":[{\"type\":\"string\",\"maxLength\":5},{\"const\":\"aaaaaaaaa\"},{\"enum\":[\"b\",\"an\"]}]}",
        "{\"type\":\"string\",\"pattern\":\"^[^\\\"\\\\\\\\]{1,20}$\"}", "{\"type\":\"string\",\"pattern\":\"ab|ba\"}", "{\"type\":\"string\",\"pattern\":\"^.*$\"}",
        "{\"type\":\"string\",\"pattern\":\"^[^a]*$\"}", "{\"type\":\"string\",\"pattern\":\"^(a|\xc3\xa9|.b)*$\"}", "{\"type\":\"string\",\"format\":\"email\"}",
        "{\"type\":\"string\",\"format\":\"uri\"}", "{\"type\":\"array\",\"items\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{}}]}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) walk("json_schema", schemas[i], 25, 14);
}

/* Like strings, and not quite: ends of a rule, calls and second edges on the way. */
static void
test_lookalikes(void **state)
{
#define S "\"\\\"\""
#define C "[^\"\\\\\\x00-\\x1f]"
    static const char *const texts[] = {
        "root ::= " S " " C "* " S, "root ::= " S " " C "{0,3} " S " \",\"?", "root ::= " S " " C "{2,5} " S " | " S " \"a\" " S " \"}\"",
        "root ::= " S " c* " S "\nc ::= " C, "root ::= " S " b " S "\nb ::= " C "*", "root ::= " S " (" C "* | \"a\\n\") " S,
        "root ::= " S " " C "* (" S " | \"\\n\")", "root ::= " S " [^\"\\\\\\x00-\\x1fa]* " S, "root ::= " S " (" C " " C ")* " S,
        "root ::= " S " " C "{0,4} (" S " \",\" | " S " \"}\" " S ")", "root ::= (" S " " C "{0,2} " S " \",\")* | " S " " C "{0,3} " S " \"}\"",
        "root ::= (\"a\" | \"b\" | " S ")* " S " " C "* " S, "root ::= x \",\" x\nx ::= " S " " C "{0,3} " S, "root ::= " S " (" C "{0,3} " S " \",\" | " C "{0,5} " S " \"}\")",
        "root ::= " S " x [0-9]*\nx ::= " C "{0,4} " S "?", "root ::= " S " [^\"\\\\\\x00-\\x1f\xe4\xb8\xad]{0,9} " S,
        "root ::= x+\nx ::= " S " " C "{1,2} " S " x?",
    };
#undef S
#undef C
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) walk("gbnf", texts[i], 25, 14);
}

/* Where classes of bytes follow without end, or so many of them. */
static void
test_classes(void **state)
{
    static const char *const texts[] = {
        "root ::= [a-z]+", "root ::= [a-z]{1,6}", "root ::= [a-z0-9]{2,20} \"-\"?", "root ::= [a-z]+ (\" \" [a-z]+)*", "root ::= [a-f0-9]{4,32}",
        "root ::= word (\" \" word)*\nword ::= [a-z]{1,5} | [0-9]{1,40}", "root ::= [a-z ]{3} [a-c]{0,17} [0-9a-z ]*", "root ::= ([a-z] [a-z0-9])* \",\"",
        "root ::= \"\\\"\" [a-z0-9 ]{0,255} \"\\\"\"", "root ::= x{1,3}\nx ::= [abn]+ [0-9d]", "root ::= [^a]+ \"a\"", "root ::= ([a-z]{16} | [a-b]{15} | [a]+) \":\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) walk("gbnf", texts[i], 25, 10);
    walk("json_schema", "{\"type\":\"string\",\"pattern\":\"^\\\\w+(\\\\s\\\\w+)*$\"}", 25, 10);
    walk("json_schema", "{\"type\":\"string\",\"format\":\"hostname\"}", 25, 10);
}

/* ---- what is known to be a string --------------------------------------------------------- */

/* Is there a state with so much room, so many characters at least, of that spelling? */
static bool
has(const char *kind, const char *text, uint32_t room, uint32_t least, uint8_t form)
{
    decai_grammar *g = grammar(kind, text);
    const decai__auto *a = decai__grammar_auto(g);
    const decai__lexicon *l;
    decai__string *strings = calloc(a->state_count, sizeof *strings);
    bool found = false;
    assert_int_equal(decai__lexicon_get(&l, t), 0);
    for (uint32_t s = 0; s < a->state_count; s++) {
        const decai__string *k = decai__string_at(strings, a, &l->body, s);
        if (k && k->room == room && k->least == least && k->form == form) found = true;
    }
    free(strings);
    decai_destroy(g);
    return found;
}

static void
test_known(void **state)
{
    static const char kind[] = "json_schema";
    (void)state;
    assert_true(has(kind, "{\"type\":\"string\"}", DECAI__NONE, 0, DECAI__SPELL_UNICODE));
    assert_true(has(kind, "{\"type\":\"string\",\"maxLength\":100}", 100, 0, DECAI__SPELL_UNICODE));
    assert_true(has(kind, "{\"type\":\"string\",\"maxLength\":256}", 256, 0, DECAI__SPELL_UNICODE));
    assert_true(has(kind, "{\"type\":\"string\",\"maxLength\":257}", 257, 0, DECAI__SPELL_ESCAPES));
    assert_true(has(kind, "{\"type\":\"string\",\"minLength\":3,\"maxLength\":9}", 9, 3, DECAI__SPELL_UNICODE));
    assert_true(has(kind, "{\"type\":\"string\",\"minLength\":3}", DECAI__NONE, 3, DECAI__SPELL_UNICODE));
    assert_true(has(kind, "{\"type\":\"object\",\"properties\":{\"aa\":{}},\"additionalProperties\":true}", DECAI__NONE, 0, DECAI__SPELL_PLAIN));
    assert_true(has("gbnf", "root ::= \"\\\"\" [^\"\\\\\\x00-\\x1f]{0,7} \"\\\"\"", 7, 0, DECAI__SPELL_PLAIN));
    assert_false(has("gbnf", "root ::= \"\\\"\" [^\"\\\\\\x00-\\x1fa]{0,7} \"\\\"\"", 7, 0, DECAI__SPELL_PLAIN));
    assert_false(has(kind, "{\"type\":\"string\",\"pattern\":\"ab\"}", DECAI__NONE, 0, DECAI__SPELL_UNICODE));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths), cmocka_unit_test(test_schemas), cmocka_unit_test(test_lookalikes), cmocka_unit_test(test_classes), cmocka_unit_test(test_known),
    };
    return cmocka_run_group_tests_name("tok_string_mask", tests, setup, teardown);
}
