/* tok_template_test.c - chat templates from inside: every limit at limit-1, limit
 * and limit+1, errors that name their place, numbers against the C library, time,
 * linear cost of texts that grow, memory that runs out. What they render: the
 * Python tests and tests/golden/templates.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "tok/template.h"

static decai_context *ctx;

typedef struct limit { const char *key; int64_t value; } limit;

static decai_options *options(const limit *l)
{
    decai_options *o;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    for (; l && l->key; l++)
        if (decai_options_set_i64(o, l->key, l->value)) fail_msg("%s", decai_error_detail());
    return o;
}

/* Make and render; the rendering in out (NUL-terminated), or the first error. */
static int32_t render(char *out, size_t cap, const char *text, const char *json, const limit *l)
{
    decai_template *t;
    size_t len = 0;
    decai_options *o = options(l);
    int32_t r = decai_template_create(&t, ctx, NULL, text, strlen(text), o);
    decai_destroy(o);
    out[0] = 0;
    if (r) return r;
    r = decai_template_format(t, (uint8_t *)out, cap - 1, &len, json, strlen(json));
    if (!r) out[len] = 0;
    decai_destroy(t);
    return r;
}

static void is(const char *text, const char *json, const char *want)
{
    char out[4096];
    if (render(out, sizeof out, text, json, NULL)) fail_msg("%s: %s", text, decai_error_detail());
    assert_string_equal(out, want);
}

static void fails(const char *text, const char *json, int32_t code, const char *part)
{
    char out[4096];
    assert_int_equal(render(out, sizeof out, text, json, NULL), code);
    if (!strstr(decai_error_detail(), part)) fail_msg("\"%s\" is not in \"%s\"", part, decai_error_detail());
}

/* ---- limits ---------------------------------------------------------------------- */

/* The smallest value of the option with which this renders; every smaller one
 * fails with DECAI_E_LIMIT naming it, every larger one works. */
static int64_t edge(const char *key, int64_t lo, int64_t hi, const char *text)
{
    char out[8192];
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        limit l[] = { { key, mid }, { NULL, 0 } };
        int32_t r = render(out, sizeof out, text, "[]", l);
        if (r && r != DECAI_E_LIMIT) fail_msg("%s %lld: %s", key, (long long)mid, decai_error_detail());
        if (r) lo = mid + 1;
        else hi = mid;
    }
    for (int64_t v = lo - 1; v <= lo + 1; v++) {
        limit l[] = { { key, v }, { NULL, 0 } };
        int32_t r = render(out, sizeof out, text, "[]", l);
        assert_int_equal(r, v < lo ? DECAI_E_LIMIT : 0);
        if (r && !strstr(decai_error_detail(), key)) fail_msg("%s is not in %s", key, decai_error_detail());
    }
    return lo;
}

static void limits(void **state)
{
    (void)state;
    int64_t few = edge("tok.template_fuel", 1, 100000, "{% for i in range(10) %}{{ i }}{% endfor %}");
    int64_t many = edge("tok.template_fuel", 1, 100000, "{% for i in range(100) %}{{ i }}{% endfor %}");
    assert_true(many > 5 * few && many < 15 * few);
    assert_int_equal(edge("tok.template_output_max", 0, 5000, "{{ 'abc' * 100 }}"), 300);
    assert_int_equal(edge("tok.template_text_max", 1, 100, "{{ 1 }}"), 7);
    edge("tok.template_memory_max", 65536, 1 << 22, "{{ ('a' * 70000)|upper|length }}");
    int64_t deep = edge("tok.template_depth", 8, 2000, "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(50) }}");
    assert_true(deep > 50);
    /* Every way back into a macro or a loop counts, whatever it is called. */
    fails("{% set ns = namespace(get=1) %}{% macro f(n) %}{% if not not not ns.get('x') %}{% endif %}{% endmacro %}{% set ns.get = f %}{{ f(1) }}", "[]", DECAI_E_LIMIT, "tok.template_depth");
    fails("{% set ns = namespace(items=1) %}{% macro f() %}{{ [[ns.items()]] }}{% endmacro %}{% set ns.items = f %}{{ f() }}", "[]", DECAI_E_LIMIT, "tok.template_depth");
    fails("{% macro f(n) %}{% call(x) f(n) %}{{ f(1) }}{% endcall %}{{ caller(1) }}{% endmacro %}{{ f(1) }}", "[]", DECAI_E_LIMIT, "tok.template_depth");
    fails("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "[]", DECAI_E_LIMIT, "tok.template_depth");
}

/* n nested brackets around a number. */
static int32_t nested(int n)
{
    char text[2048], out[64];
    size_t at = 0;
    memcpy(text, "{{ ", 3);
    at = 3;
    for (int i = 0; i < n; i++) text[at++] = '[';
    for (int i = 0; i < n; i++) text[at++] = ']';
    memcpy(text + at, "|length }}", 11);
    return render(out, sizeof out, text, "[]", NULL);
}

static void nesting(void **state)
{
    (void)state;
    int n = 1;
    while (n < DECAI_TEMPLATE_NEST_MAX && !nested(n)) n++;
    /* Each bracket is two levels: the expression and its operand. */
    assert_in_range(n, DECAI_TEMPLATE_NEST_MAX / 2 - 4, DECAI_TEMPLATE_NEST_MAX);
    assert_int_equal(nested(n - 1), 0);
    assert_int_equal(nested(n), DECAI_E_LIMIT);
    assert_non_null(strstr(decai_error_detail(), "DECAI_TEMPLATE_NEST_MAX"));
    assert_int_equal(nested(n + 1), DECAI_E_LIMIT);
    /* A row of operators is no nesting; a chain of members is. */
    char text[8192] = "{{ 1", out[64];
    for (int i = 0; i < 1000; i++) memcpy(text + 4 + 4 * i, " + 1", 5);
    memcpy(text + 4004, " }}", 4);
    assert_int_equal(render(out, sizeof out, text, "[]", NULL), 0);
    assert_string_equal(out, "1001");
    memcpy(text, "{{ a", 4);
    for (int i = 0; i < 400; i++) memcpy(text + 4 + 2 * i, ".b", 3);
    memcpy(text + 804, " }}", 4);
    assert_int_equal(render(out, sizeof out, text, "[]", NULL), DECAI_E_LIMIT);
}

/* Hostile depth of the conversation stops at the JSON's own limit. */
static void deep_values(void **state)
{
    (void)state;
    char json[2 * DECAI_JSON_DEPTH_MAX + 1], out[4096];
    memset(json, '[', DECAI_JSON_DEPTH_MAX);
    memset(json + DECAI_JSON_DEPTH_MAX, ']', DECAI_JSON_DEPTH_MAX);
    json[2 * DECAI_JSON_DEPTH_MAX] = 0;
    assert_int_equal(render(out, sizeof out, "{{ messages|tojson == messages|string }}{{ messages == messages }}", json, NULL), 0);
    assert_string_equal(out, "TrueTrue");
}

/* ---- errors ------------------------------------------------------------------------- */

static void errors(void **state)
{
    (void)state;
    fails("a\n{{ b\n.c }}", "[]", DECAI_E_TEMPLATE, "line 2: `b .c`");
    fails("{{ messages + 1 }}", "[]", DECAI_E_TEMPLATE, "line 1: `messages + 1`: + does not work for list and int");
    fails("\n\n{{ raise_exception('Only text: ' + messages[0]) }}", "[\"prompt\"]", DECAI_E_TEMPLATE, "line 3: `raise_exception('Only text: '");
    assert_null(strstr(decai_error_detail(), "prompt"));
    fails("{{ x|strange }}", "[]", DECAI_E_UNSUPPORTED, "no filter named strange");
    fails("{% for %}", "[]", DECAI_E_CORRUPT, "line 1");
    fails("\n{{ 'a' }", "[]", DECAI_E_CORRUPT, "line 2");
    fails("{{ 1 }}", "[1,]", DECAI_E_CORRUPT, "json: line 1");
    fails("{{ 1 }}", "{\"a\":1,\"a\":2}", DECAI_E_CORRUPT, "was there before");
    fails("{{ 1 }}", "5", DECAI_E_INVALID, "conversation");
    fails("\xff", "[]", DECAI_E_CORRUPT, "UTF-8");
    fails("{{ 9223372036854775807 + 1 }}", "[]", DECAI_E_UNSUPPORTED, "64 bits");
}

static void doors(void **state)
{
    (void)state;
    decai_template *t;
    size_t len = 9;
    uint8_t out[8];
    assert_int_equal(decai_template_create(NULL, ctx, NULL, "x", 1, NULL), DECAI_E_INVALID);
    assert_int_equal(decai_template_create(&t, ctx, NULL, NULL, 0, NULL), DECAI_E_INVALID);
    assert_null(t);
    assert_int_equal(decai_template_create(&t, NULL, NULL, "x", 1, NULL), DECAI_E_INVALID);
    decai_options *o = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "model.hash", 0), 0);
    assert_int_equal(decai_template_create(&t, ctx, NULL, "x", 1, o), DECAI_E_INVALID);
    decai_destroy(o);
    assert_int_equal(decai_template_create(&t, ctx, NULL, "hello", 5, NULL), 0);
    assert_int_equal(decai_template_format(t, NULL, 0, &len, "[]", 2), DECAI_E_SPACE);
    assert_int_equal(len, 5);
    assert_int_equal(decai_template_format(t, out, 4, &len, "[]", 2), DECAI_E_SPACE);
    assert_int_equal(decai_template_format(t, out, 5, &len, "[]", 2), 0);
    assert_memory_equal(out, "hello", 5);
    assert_int_equal(decai_template_format(t, out, 5, NULL, "[]", 2), DECAI_E_INVALID);
    assert_int_equal(decai_template_format(t, out, 5, &len, NULL, 2), DECAI_E_INVALID);
    assert_int_equal(decai_template_format(NULL, out, 5, &len, "[]", 2), DECAI_E_INVALID);
    decai_destroy(t);
}

/* ---- cost ------------------------------------------------------------------------------ */

/* Texts that grow piece by piece cost memory by their length, not its square. */
static void growing(void **state)
{
    (void)state;
    char out[64];
    limit l[] = { { "tok.template_memory_max", 16 << 20 }, { "tok.template_fuel", 3000000 }, { NULL, 0 } };
    const char *texts[] = {
        "{% set ns = namespace(s='') %}{% for i in range(100000) %}{% set ns.s = ns.s ~ 'abcdefgh' %}{% endfor %}{{ ns.s|length }}",
        "{% set ns = namespace(s='') %}{% for i in range(100000) %}{% set ns.s = ns.s + 'abcdefgh' %}{% endfor %}{{ ns.s|length }}",
    };
    for (size_t i = 0; i < DECAI__COUNT(texts); i++) {
        if (render(out, sizeof out, texts[i], "[]", l)) fail_msg("%s", decai_error_detail());
        assert_string_equal(out, "800000");
    }
    /* Two that grow in turns, and an old one that must stay as it was. */
    is("{% set n = namespace(a='x', b='y') %}{% set old = n.a %}{% for i in range(300) %}{% set n.a = n.a ~ '1' %}{% set n.b = n.b ~ '2' %}"
       "{% set c = n.a ~ 'tail' %}{% endfor %}{{ old }}{{ n.a|length }}{{ n.b|length }}{{ n.a[-2:] }}{{ n.b[-2:] }}", "[]", "x3013011122");
}

/* Each of these does much work in few nodes; the fuel must see the work. */
static void hostile_work(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{% set a = 'a' * 1000000 %}{{ a.find('a' * 500000 ~ 'b' ~ 'a') }}",
        "{% set a = 'a' * 1000000 %}{{ a.rfind('a' ~ 'b' ~ 'a' * 500000) }}",
        "{% set a = 'a' * 1000000 %}{{ a.strip('b' * 500000 ~ 'a')|length }}",
        "{% set a = 'a' * 1000000 %}{% set d = {a: 1} %}{% for i in range(90000) %}{{ d[a] }}{% endfor %}",
        "{% set a = '1' * 700 ~ 'e300' %}{% for i in range(90000) %}{% set x = a|float %}{% endfor %}",
        "{% for i in range(90000) %}{% set x = 1e300|round(2) %}{% set y = '%.100f' % 1e300 %}{% endfor %}",
        "{% set a = 'a' * 1000000 %}{% for i in range(90000) %}{% set x = a|upper %}{% endfor %}",
        "{% set l = range(90000)|list %}{% for i in l %}{% if i + 0.5 in l %}{% endif %}{% endfor %}",
        "{% set l = range(90000)|list %}{% for i in l %}{% set x = l|sort|reverse|list %}{% endfor %}",
    };
    for (size_t i = 0; i < DECAI__COUNT(texts); i++) {
        char out[64];
        limit l[] = { { "tok.template_fuel", 1000000 }, { "tok.template_memory_max", 1LL << 30 }, { NULL, 0 } };
        int32_t r = render(out, sizeof out, texts[i], "[]", l);
        if (r != DECAI_E_LIMIT || !strstr(decai_error_detail(), "tok.template_fuel")) fail_msg("%s: %d %s", texts[i], r, decai_error_detail());
    }
}

typedef struct heap { int left, live; bool failed; } heap;

/* Fails from the left-th allocation on. */
static void *failing(void *user, void *ptr, size_t old_size, size_t size)
{
    heap *h = user;
    (void)old_size;
    if (!size) {
        h->live--;
        free(ptr);
        return NULL;
    }
    if (h->left == 0) {
        h->failed = true;
        return NULL;
    }
    if (h->left > 0) h->left--;
    h->live += !ptr;
    return realloc(ptr, size);
}

static void no_memory(void **state)
{
    (void)state;
    static const char text[] = "{% macro f(a) %}{{ a|upper }}{% endmacro %}{% for m in messages %}{{ f(m.role) ~ m|tojson }}{{ m|items|list }}"
        "{% set x = m.role.split('s') %}{{ '%s'|format(x) }}{{ loop.nextitem }}{{ [3, 1]|sort }}{{ 'ä'|upper }}{% endfor %}";
    static const char message[] = "{\"role\":\"us\\u00e9r\",\"n\":1.5},{\"role\":\"b\",\"c\":[1,{\"d\":null}]},";
    static char json[100 * sizeof message];
    static uint8_t out[1 << 16];
    size_t json_len = 0;
    int points = 0;
    json[json_len++] = '[';                          /* more than the first memory, which is on the stack */
    for (int i = 0; i < 60; i++, json_len += sizeof message - 1) memcpy(json + json_len, message, sizeof message - 1);
    json[json_len - 1] = ']';
    for (int k = 0;; k++) {
        decai_template *t;
        decai_context *own;
        decai_options *o;
        size_t len;
        heap h = { .left = -1 };
        assert_int_equal(decai_options_create(&o, NULL), 0);
        assert_int_equal(decai_options_set_fn(o, "seam.memory.realloc", (decai_fn)failing, &h), 0);
        assert_int_equal(decai_context_create(&own, o), 0);
        decai_destroy(o);
        h.left = k;
        int32_t r = decai_template_create(&t, own, NULL, text, sizeof text - 1, NULL);
        if (!r) r = decai_template_format(t, out, sizeof out, &len, json, json_len);
        h.left = -1;
        decai_destroy(t);
        decai_destroy(own);
        assert_int_equal(h.live, 0);
        if (!h.failed) {
            assert_int_equal(r, 0);
            break;
        }
        assert_int_equal(r, DECAI_E_NOMEM);
        points++;
    }
    assert_true(points > 4);
}

/* ---- the conversation's JSON --------------------------------------------------------------- */

static uint64_t next_random(void);

/* A text, changed here and there by what JSON is made of and by what it is not. */
static size_t mutate(char *out, const char *text, size_t len)
{
    static const char *const bits[] = { "{", "}", "[", "]", "\"", ",", ":", "\\", "\\n", "\\u00e9", "\\ud83d\\ude80", "\\ud83d", "\\u0000", "\\x", " ",
        "\n", "\t", "\x01", "0", "-", "1.5", "e9", "E+", "01", "true", "null", "nul", "\"a\":1", "\"\":", "\u00e9", "\u4e16", "\u0e01", "\xed\xa0\x80",
        "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf0\x9f\x9a\x80", "\xf4\x90\x80\x80", "\xf5", "\xff", "\x80", "\xe4\xb8", "\xc3", "                " };
    memcpy(out, text, len);
    for (uint64_t edits = next_random() % 3; edits > 0; edits--) {
        const char *bit = bits[next_random() % (sizeof bits / sizeof bits[0])];
        size_t at = next_random() % (len + 1), n = strlen(bit), gone = next_random() % 3;
        if (gone > len - at) gone = len - at;
        memmove(out + at + n, out + at + gone, len - at - gone);
        memcpy(out + at, bit, n);
        len += n - gone;
    }
    return len;
}

/* The reader of conversations accepts what the strict lexer accepts, and nothing
 * else; where it refuses, the lexer's error is given. */
static void readers_agree(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Gr\u00fc\u00dfe, \u4e16\u754c! \xf0\x9f\x9a\x80 \u0e01\u0e32 and more than sixteen bytes\"}],\"n\":[1,-2.5e-3,0,true,false,null]}",
        "[{\"a\":{\"b\":[[],{},[{}]]},\"c\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"} , 12345678901234567890 ,\"\" ]",
        "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":\"\u043f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440, \u05e9\u05dc\u05d5\u05dd\"}",
    };
    decai_template *t;
    char text[1024];
    uint8_t out[64];
    size_t n;
    int good = 0, rounds = 60000;
    assert_int_equal(decai_template_create(&t, ctx, NULL, "{{ a is defined }}{{ b is defined }}", 36, NULL), 0);
    for (int i = 0; i < rounds; i++) {
        const char *from = texts[i % 3];
        size_t pad = (size_t)i / 3 % 17, len = strlen(from);
        memset(text, ' ', pad);
        memcpy(text + pad, from, len);
        len = mutate(text, memcpy(text + 512, text, pad + len), pad + len);
        char why[256] = "";
        int32_t want = decai_json_verify(ctx, text, len);
        if (want) snprintf(why, sizeof why, "%s", decai_error_detail());
        int32_t got = decai_template_format(t, out, sizeof out, &n, text, len);
        if (!want && got == DECAI_E_INVALID) got = 0;    /* neither a list nor a dict */
        if (got != want || (want && strcmp(why, decai_error_detail())))
            fail_msg("%d: %.*s: %d %s, not %d %s", i, (int)len, text, got, decai_error_detail(), want, why);
        good += !want;
    }
    assert_in_range(good, rounds / 5, rounds * 4 / 5);
    decai_destroy(t);
}

/* Symbols: names that a template knows, in dicts of every size, made by whom ever. */
static void fields(void **state)
{
    (void)state;
    char text[4096], json[4096], want[4096];
    for (int keys = 1; keys <= 40; keys++) {
        size_t n = 0, w = 0;
        n += (size_t)snprintf(json + n, sizeof json - n, "{\"d\":{");
        for (int i = 0; i < keys; i++) n += (size_t)snprintf(json + n, sizeof json - n, "%s\"key%d\":%d", i ? "," : "", i, i);
        snprintf(json + n, sizeof json - n, "}}");
        snprintf(text, sizeof text, "{{ d.key0 }} {{ d['key%d'] }} {{ d.key%d is defined }} {{ 'key%d' in d }} {{ d.get('key%d', '-') }} "
            "{%% set e = dict(d, key0=7, new=8) %%}{{ e.key0 }}{{ e.new }}{{ e.key%d }} {%% for k in d %%}{%% if k == 'key%d' %%}{{ d[k] }}{{ k[3:] }}{%% endif %%}{%% endfor %%}",
            keys - 1, keys, keys - 1, keys, keys, keys - 1);
        w += (size_t)snprintf(want + w, sizeof want - w, "0 %d False True - 78 %d%d", keys - 1, keys - 1, keys - 1);
        is(text, json, want);
    }
    is("{{ d['items'] }}|{{ d.keys is callable }}|{{ d.__class__ is defined }}|{{ d['get'] }}|{{ d.get('get') }}", "{\"d\":{\"items\":1,\"get\":2}}", "1|True|False|2|2");
}

/* ---- threads ---------------------------------------------------------------------------------- */

enum { THREADS = 4, RENDERINGS = 200 };

typedef struct worker { decai_template *t; const char *json, *want; int wrong; } worker;

static void *render_often(void *user)
{
    worker *w = user;
    char out[8192];
    for (int i = 0; i < RENDERINGS; i++) {
        size_t n = 0;
        int32_t r = decai_template_format(w->t, (uint8_t *)out, sizeof out, &n, w->json, strlen(w->json));
        if (w->want ? r || n != strlen(w->want) || memcmp(out, w->want, n) : r != DECAI_E_TEMPLATE) w->wrong++;
    }
    return NULL;
}

/* One template, many threads: each has its own conversation and its own result,
 * an error among them. */
static void threads(void **state)
{
    (void)state;
    static const char text[] = "{% macro f(m, n=1) %}{% if n < 3 %}{{ f(m, n + 1) }}{% endif %}{{ m['role']|upper ~ loop }}{% endmacro %}"
        "{% set ns = namespace(k=0, names=['a', 'b']) %}{% for m in messages if m.role in ['user', 'tool'] %}{% set ns.k = ns.k + 1 %}"
        "{{- '<' + m.role + '>' }}{{ f(m) }}{{ loop.index }}{{ m.content.get('x', 'none')|tojson }}{{ ns.names|join(ns.k|string) }}{% endfor %}";
    static const char *const json[THREADS] = {
        "[{\"role\":\"user\",\"content\":{\"x\":1}},{\"role\":\"none\"},{\"role\":\"tool\",\"content\":{}}]", "[]",
        "{\"messages\":[{\"role\":\"user\",\"content\":{\"x\":\"\\u00e9\"}}]}", "[{\"role\":\"user\"}]" };
    static const char *const want[THREADS] = { "<user>USERUSERUSER11a1b<tool>TOOLTOOLTOOL2\"none\"a2b", "", "<user>USERUSERUSER1\"\xc3\xa9\"a1b", NULL };
    decai_template *t;
    pthread_t id[THREADS];
    worker w[THREADS];
    assert_int_equal(decai_template_create(&t, ctx, NULL, text, sizeof text - 1, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        w[i] = (worker){ .t = t, .json = json[i], .want = want[i] };
        assert_int_equal(pthread_create(&id[i], NULL, render_often, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(id[i], NULL), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(w[i].wrong, 0);
    decai_destroy(t);
}

/* ---- numbers and time --------------------------------------------------------------------- */

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static double random_double(int i)
{
    uint64_t bits = next_random();
    double v;
    if (i % 4 == 0) return (double)(int64_t)(next_random() % 2000000) / 1000.0;
    if (i % 4 == 1) bits &= 0x800fffffffffffffu | (uint64_t)(next_random() % 64) << 52;   /* near the smallest */
    memcpy(&v, &bits, sizeof v);
    return v - v == 0 && v != 0 ? v : 1.5;
}

/* Every double reads back as itself, in the fewest digits; rounding to so many
 * places is the C library's. */
static void floats(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        double v = random_double(i);
        char digits[32], text[64], want[64];
        int exp10;
        double a = v < 0 ? -v : v;
        int n = decai__j_digits_shortest(a, digits, &exp10);
        digits[n] = 0;
        snprintf(text, sizeof text, "%.1s.%se%d", digits, n > 1 ? digits + 1 : "0", exp10);
        if (strtod(text, NULL) != a || decai__j_float_of(text, strlen(text)) != a) fail_msg("%s is not %.17g", text, a);
        snprintf(want, sizeof want, "%.*e", n > 1 ? n - 2 : 0, a);
        if (n > 1 && strtod(want, NULL) == a) fail_msg("%s is shorter than %s", want, text);
        snprintf(want, sizeof want, "%.17e", a);
        if (decai__j_float_of(want, strlen(want)) != a) fail_msg("%s", want);
        int places = (int)(next_random() % 6);
        if (a < 1e15) {
            char exact[64], plain[64];
            n = decai__j_digits_exact(a, places, true, exact, sizeof exact, &exp10);
            snprintf(want, sizeof want, "%.*f", places, a);
            size_t k = 0;
            for (size_t c = 0; want[c]; c++)
                if (want[c] != '.' && (k || want[c] != '0')) plain[k++] = want[c];
            while (n > 0 && exact[0] == '0') memmove(exact, exact + 1, (size_t)--n);
            if (k != (size_t)n || memcmp(plain, exact, k)) fail_msg("%s: %.*s", want, n, exact);
        }
    }
}

static void known_floats(void **state)
{
    (void)state;
    is("{{ 5e-324 }} {{ 1.7976931348623157e308 }} {{ 2.2250738585072014e-308 }} {{ 1e400 }} {{ 0.1 }} {{ 1e15 }} {{ 1e16 }} {{ 123456789.125 }} {{ 0.0001 }} {{ 0.00001 }} {{ -0.0 }}",
        "[]", "5e-324 1.7976931348623157e+308 2.2250738585072014e-308 inf 0.1 1000000000000000.0 1e+16 123456789.125 0.0001 1e-05 -0.0");
    is("{{ messages }}", "[1e2, -0, 1.0, 9223372036854775807, 9223372036854775808, -1E-2]",
        "[100.0, 0, 1.0, 9223372036854775807, 9223372036854775808, -0.01]");
    is("{{ 9007199254740993 / 3 }} {{ 2.5|round }} {{ 3.5|round }}", "[]", "3002399751580331.0 2.0 4.0");
}

static void times(void **state)
{
    (void)state;
    static const struct { int64_t at; const char *format, *want; } rows[] = {
        { 0, "%Y-%m-%d %H:%M:%S %a %j %U %W %V %G", "1970-01-01 00:00:00 Thu 001 00 00 01 1970" },
        { 951782400, "%d %b %Y, %A, %B %-d %e %y", "29 Feb 2000, Tuesday, February 29 29 00" },
        { 1753005296, "%d %B %Y|%I:%M %p|%F %T|%c|%%", "20 July 2025|09:54 AM|2025-07-20 09:54:56|Sun Jul 20 09:54:56 2025|%" },
        { 1609459199, "%Y %j %V %G %u", "2020 366 53 2020 4" },
        { 253402300799, "%x %X", "12/31/99 23:59:59" },
    };
    for (size_t i = 0; i < DECAI__COUNT(rows); i++) {
        char out[256], text[256];
        limit l[] = { { "tok.template_time_s", rows[i].at }, { NULL, 0 } };
        snprintf(text, sizeof text, "{{ strftime_now('%s') }}", rows[i].format);
        if (render(out, sizeof out, text, "[]", l)) fail_msg("%s", decai_error_detail());
        assert_string_equal(out, rows[i].want);
    }
}

static int set_up(void **state)
{
    (void)state;
    return decai_context_create(&ctx, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    decai_destroy(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits), cmocka_unit_test(nesting), cmocka_unit_test(deep_values), cmocka_unit_test(errors),
        cmocka_unit_test(doors), cmocka_unit_test(growing), cmocka_unit_test(hostile_work), cmocka_unit_test(no_memory), cmocka_unit_test(floats),
        cmocka_unit_test(readers_agree), cmocka_unit_test(fields), cmocka_unit_test(threads), cmocka_unit_test(known_floats), cmocka_unit_test(times),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
