/* jinja_value.h - the values of templates, their memory, and how they print.
 *
 * A template is a program of somebody else's over a conversation of somebody
 * else's. Three rules keep it harmless:
 *   - all memory of a rendering comes from one arena with a maximum, freed at
 *     its end at one go; strings are (pointer, length) views, mostly into the
 *     conversation itself, so cutting text up copies nothing;
 *   - the first error is kept and ends everything: decai__j_raise sets the fuel to
 *     zero, every later step sees that and returns the undefined value. So
 *     functions return values, not error codes, and any value is safe anywhere;
 *   - every step costs fuel, every loop over data costs fuel by its length.
 *
 * Meaning follows Python's values where Jinja2 shows them: text is counted in
 * code points, 1 == 1.0 == True, dicts keep their order.
 */
#ifndef DECAI__JINJA_VALUE_H
#define DECAI__JINJA_VALUE_H

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/base.h"
#include "decai/tok.h"

/* ---- the arena -------------------------------------------------------------- */

typedef struct decai__j_arena {
    decai_context *ctx;
    struct decai__j_block *blocks;
    char *cur, *end;
    size_t used, max;                /* bytes of all blocks; their limit */
    const char *name;                /* of the limit */
} decai__j_arena;

/* 16-byte aligned; NULL: the limit or the allocator (decai__j_arena_why says which). */
void *decai__j_arena_alloc(decai__j_arena *a, size_t size);
int32_t decai__j_arena_why(const decai__j_arena *a, size_t size);
void decai__j_arena_free(decai__j_arena *a);

/* ---- values ------------------------------------------------------------------ */

enum decai__j_type {
    J_MISSING,                       /* no value: an unset slot, an absent argument */
    J_UNDEF,                         /* Jinja2's Undefined; u.node: where it came from */
    J_NONE, J_BOOL, J_INT, J_FLOAT,
    J_BIG,                           /* an integer beyond 64 bits: its decimal text */
    J_STR,                           /* n bytes of UTF-8 at u.s */
    J_LIST, J_TUPLE, J_DICT, J_RANGE,
    J_VIEW,                          /* dict.keys(), .values(), .items(): aux says which */
    J_ITER,                          /* something that can be walked once */
    J_NS, J_CYCLER, J_JOINER,        /* objects of the global functions */
    J_MACRO, J_LOOP, J_GLOBAL, J_METHOD
};

enum { DJ_MARKUP = 1,                /* J_STR: marked safe for HTML */
       DJ_UNSAFE = 2 };              /* J_UNDEF: an attribute that the sandbox hides */
enum { DJ_KEYS, DJ_VALUES, DJ_ITEMS };

typedef struct decai__j_val {
    uint8_t type, flag;
    uint16_t aux;
    uint32_t n;
    union {
        int64_t i;
        double f;
        const char *s;
        struct decai__j_list *list;
        struct decai__j_dict *dict;
        struct decai__j_range *range;
        struct decai__j_iter *iter;
        struct decai__j_loop *loop;
        struct decai__j_macro *macro;
        struct decai__j_cycler *cycler;
        struct decai__j_bound *bound;
        const struct decai__j_node *node;
    } u;
} decai__j_val;

typedef struct decai__j_list { decai__j_val *items; uint32_t count, cap; } decai__j_list;
typedef struct decai__j_entry { decai__j_val key, val; } decai__j_entry;
/* Beyond DJ_DICT_LINEAR entries `index` is a hash table of entry numbers + 1. A small
 * dict of the conversation has `symbols`: sym is the symbol of each key, 0 for those
 * that are none, NO_KEY where there is no entry. */
enum { DJ_DICT_LINEAR = 8, DJ_NO_KEY = 0xffff };
typedef struct decai__j_dict {
    decai__j_entry *e;
    uint32_t *index;
    uint32_t count, cap, mask;
    bool symbols;
    uint16_t sym[DJ_DICT_LINEAR];
} decai__j_dict;
typedef struct decai__j_range { int64_t start, stop, step, count; } decai__j_range;
typedef struct decai__j_cycler { decai__j_val *items; uint32_t count, at; bool used; } decai__j_cycler;  /* joiner: items[0] */
typedef struct decai__j_bound { decai__j_val self; uint32_t method; } decai__j_bound;

static inline decai__j_val decai__j_none(void) { return (decai__j_val){ .type = J_NONE }; }
static inline decai__j_val decai__j_missing(void) { return (decai__j_val){ .type = J_MISSING }; }
static inline decai__j_val decai__j_bool(bool b) { return (decai__j_val){ .type = J_BOOL, .u.i = b }; }
static inline decai__j_val decai__j_int(int64_t i) { return (decai__j_val){ .type = J_INT, .u.i = i }; }
static inline decai__j_val decai__j_float(double f) { return (decai__j_val){ .type = J_FLOAT, .u.f = f }; }
static inline decai__j_val decai__j_str(const char *s, size_t n)
{
    return (decai__j_val){ .type = J_STR, .n = (uint32_t)n, .u.s = s };
}
static inline decai__j_val decai__j_lit(const char *s) { return decai__j_str(s, __builtin_strlen(s)); }
static inline bool decai__j_is_int(decai__j_val v) { return v.type == J_INT || v.type == J_BOOL; }
static inline bool decai__j_is_num(decai__j_val v) { return v.type >= J_BOOL && v.type <= J_BIG; }
static inline bool decai__j_is_plain(decai__j_val v) { return v.type == J_STR && !(v.flag & DJ_MARKUP); }
/* Most texts that are compared are short: two loads that overlap. */
static inline bool decai__j_bytes_equal(const char *a, const char *b, size_t n)
{
    uint64_t p, q, s, t;
    uint32_t k, l, v, w;
    if (n > 16 || n < 4) {
        for (; n && n < 4; n--, a++, b++)
            if (*a != *b) return false;
        return !n || !__builtin_memcmp(a, b, n);
    }
    if (n < 8) {
        __builtin_memcpy(&k, a, 4);
        __builtin_memcpy(&l, b, 4);
        __builtin_memcpy(&v, a + n - 4, 4);
        __builtin_memcpy(&w, b + n - 4, 4);
        return !((k ^ l) | (v ^ w));
    }
    __builtin_memcpy(&p, a, 8);
    __builtin_memcpy(&q, b, 8);
    __builtin_memcpy(&s, a + n - 8, 8);
    __builtin_memcpy(&t, b + n - 8, 8);
    return !((p ^ q) | (s ^ t));
}
static inline bool decai__j_text_equal(decai__j_val a, decai__j_val b)
{
    return a.n == b.n && (a.u.s == b.u.s || decai__j_bytes_equal(a.u.s, b.u.s, a.n));
}
static inline bool decai__j_str_is(decai__j_val v, const char *s, size_t n)
{
    return v.type == J_STR && v.n == n && !__builtin_memcmp(v.u.s, s, n);
}

/* ---- the state of one rendering -------------------------------------------------- */

typedef struct decai__j_out { char *data; size_t len, cap, max, hint; } decai__j_out;   /* hint: how much to begin with */
typedef struct decai__j_grow { const char *data; size_t used, cap; } decai__j_grow;
enum { DJ_GROWING = 4 };             /* texts that can grow in place at a time */

typedef struct decai__j_run {
    decai_context *ctx;
    const struct decai__j_template *t;
    decai__j_arena arena;
    int64_t fuel, fuel_max;
    uint32_t depth, depth_max;
    int32_t error;
    decai__j_out out;
    decai__j_grow grow[DJ_GROWING];
    uint32_t grow_next;
    const struct decai__j_node *node;      /* what is being computed: for errors */
    decai__j_val *context;                 /* values of the names that come from outside */
    decai__j_val *root;                    /* slots of the template's own frame, for blocks */
    struct decai__j_stack *stack;          /* arguments and frames */
    int64_t time_s;                  /* strftime_now: seconds since 1970 */
} decai__j_run;

/* Keep the first error, end everything, return the undefined value. */
decai__j_val decai__j_raise(decai__j_run *r, int32_t code, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define DJ_FAULT DECAI_E_TEMPLATE
#define DJ_ERROR(r, ...) decai__j_raise((r), DJ_FAULT, __VA_ARGS__)
/* Pay for n steps: false when the fuel is out or an error was raised. */
bool decai__j_pay_slow(decai__j_run *r);
static inline bool decai__j_pay(decai__j_run *r, size_t n)
{
    r->fuel -= (int64_t)n;
    return r->fuel >= 0 || decai__j_pay_slow(r);
}
/* n bytes of text were looked at. */
static inline bool decai__j_pay_bytes(decai__j_run *r, size_t n) { return decai__j_pay(r, 1 + n / 32); }
void *decai__j_alloc(decai__j_run *r, size_t size);          /* NULL: the error is raised */

/* n slots that live until decai__j_pop; NULL: the error is raised. */
decai__j_val *decai__j_push(decai__j_run *r, size_t n);
void decai__j_pop(decai__j_run *r, decai__j_val *mark);

/* ---- output: one buffer; captured text is its tail ---------------------------------- */

bool decai__j_put_slow(decai__j_run *r, const char *s, size_t n);
static inline void decai__j_put(decai__j_run *r, const char *s, size_t n)
{
    if (n <= r->out.cap - r->out.len) {
        char *to = r->out.data + r->out.len;
        if (n - 8 <= 8) {                            /* most pieces are short: two copies that overlap */
            __builtin_memcpy(to, s, 8);
            __builtin_memcpy(to + n - 8, s + n - 8, 8);
        } else if (n == 1) {
            *to = *s;
        } else if (n) {
            __builtin_memcpy(to, s, n);
        }
        r->out.len += n;
    } else {
        decai__j_put_slow(r, s, n);
    }
}
static inline void decai__j_put_byte(decai__j_run *r, char c) { decai__j_put(r, &c, 1); }
static inline void decai__j_put_lit(decai__j_run *r, const char *s) { decai__j_put(r, s, __builtin_strlen(s)); }
void decai__j_put_int(decai__j_run *r, int64_t i);
void decai__j_put_rune(decai__j_run *r, uint32_t c);
void decai__j_put_val(decai__j_run *r, decai__j_val v);            /* str(v) */
void decai__j_put_repr(decai__j_run *r, decai__j_val v);           /* repr(v) */
void decai__j_put_escaped(decai__j_run *r, const char *s, size_t n);   /* & < > ' " */
/* What was put since `from`, as a string; the output ends at `from` again. */
decai__j_val decai__j_taken(decai__j_run *r, size_t from);

/* ---- making and asking ------------------------------------------------------------------ */

decai__j_val decai__j_str_copy(decai__j_run *r, const char *s, size_t n);
decai__j_val decai__j_concat(decai__j_run *r, decai__j_val a, decai__j_val b);     /* two strings, flags of a */
decai__j_val decai__j_to_str(decai__j_run *r, decai__j_val v);               /* str(v); strings as they are */
decai__j_val decai__j_escape(decai__j_run *r, decai__j_val v);               /* markupsafe.escape: marked */
decai__j_list *decai__j_list_new(decai__j_run *r, uint32_t cap);
bool decai__j_list_add(decai__j_run *r, decai__j_list *l, decai__j_val v);
decai__j_val decai__j_list_val(decai__j_list *l);
decai__j_val decai__j_tuple_val(decai__j_list *l);
decai__j_val decai__j_pair(decai__j_run *r, decai__j_val a, decai__j_val b);       /* a tuple of two */
decai__j_dict *decai__j_dict_new(decai__j_run *r, uint32_t cap);
decai__j_val decai__j_dict_val(decai__j_dict *d);
/* The entry, or NULL. The key must be hashable (decai__j_hashable). */
decai__j_entry *decai__j_dict_find(decai__j_run *r, const decai__j_dict *d, decai__j_val key);
bool decai__j_dict_set(decai__j_run *r, decai__j_dict *d, decai__j_val key, decai__j_val val);
/* The value of the key with this symbol (not 0), or NULL; d has symbols. */
static inline const decai__j_val *decai__j_dict_at(const decai__j_dict *d, uint16_t symbol)
{
#if defined(__SSE2__)
    __m128i all = _mm_loadu_si128((const __m128i *)(const void *)d->sym);
    unsigned hit = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi16(all, _mm_set1_epi16((short)symbol)));
    return hit ? &d->e[__builtin_ctz(hit) / 2].val : NULL;
#else
    for (uint32_t i = 0; i < DJ_DICT_LINEAR; i++)
        if (d->sym[i] == symbol) return &d->e[i].val;
    return NULL;
#endif
}
bool decai__j_hashable(decai__j_val v);

bool decai__j_truth(decai__j_run *r, decai__j_val v);
bool decai__j_equal(decai__j_run *r, decai__j_val a, decai__j_val b);
bool decai__j_same(decai__j_val a, decai__j_val b);                    /* Python's `is` */
/* -1 0 1; raises where Python has no order. 2: a NaN is in it. */
int decai__j_compare(decai__j_run *r, decai__j_val a, decai__j_val b, const char *op);
bool decai__j_contains(decai__j_run *r, decai__j_val seq, decai__j_val item);
int64_t decai__j_length(decai__j_run *r, decai__j_val v);              /* len(v); raises; -1 after an error */
const char *decai__j_type_name(decai__j_val v);
bool decai__j_is_iterable(decai__j_val v);
/* An integer argument (bool counts); raises a TypeError naming `what`. */
int64_t decai__j_want_int(decai__j_run *r, decai__j_val v, const char *what);

/* ---- walking ------------------------------------------------------------------------------- */

typedef struct decai__j_walk {
    decai__j_val over;
    int64_t at;                      /* index, or byte offset in a string */
} decai__j_walk;
/* iter(v): false and an error where Python has none. */
bool decai__j_walk_begin(decai__j_run *r, decai__j_walk *w, decai__j_val v);
bool decai__j_walk_next(decai__j_run *r, decai__j_walk *w, decai__j_val *out);
decai__j_list *decai__j_collect(decai__j_run *r, decai__j_val v);            /* list(v); NULL after an error */

/* A filter that is computed while it is walked. */
typedef struct decai__j_iter {
    decai__j_walk in;
    bool (*step)(decai__j_run *r, struct decai__j_iter *it, decai__j_val *out);
    bool begun, done;
    decai__j_val source;
    const struct decai__j_args *args;
    void *state;
    bool attr, negate;
    const char *name;                /* of Python's type, for errors */
} decai__j_iter;

/* ---- text: code points over UTF-8 (jinja_text.c) --------------------------------------------- */

uint32_t decai__j_rune(const char **s, const char *end);   /* the next one; input is valid UTF-8 */
size_t decai__j_rune_put(char out[4], uint32_t c);
int64_t decai__j_chars(decai__j_run *r, decai__j_val s);               /* code points */
bool decai__j_ascii(const char *s, size_t n);
/* The byte offset of code point `at`, which is within the string. */
size_t decai__j_offset(decai__j_val s, int64_t at);
/* Comparing is paid for as it happens, so a hostile needle burns fuel, not time;
 * r may be NULL. NULL also when the fuel ran out. */
const char *decai__j_find(decai__j_run *r, const char *hay, size_t hay_len, const char *needle, size_t needle_len);
const char *decai__j_find_last(decai__j_run *r, const char *hay, size_t hay_len, const char *needle, size_t needle_len);
decai__j_val decai__j_strip(decai__j_run *r, decai__j_val s, decai__j_val chars, bool left, bool right);   /* chars J_NONE: whitespace */
decai__j_val decai__j_sub(decai__j_val s, size_t from, size_t to);     /* bytes from..to, flags kept */

/* ---- Unicode 14.0 (jinja_unicode.c), as Python 3.11's str sees it ------------------------------- */

bool decai__j_is_space(uint32_t c);
bool decai__j_is_printable(uint32_t c);
bool decai__j_is_upper(uint32_t c);
bool decai__j_is_lower(uint32_t c);
bool decai__j_is_cased(uint32_t c);
bool decai__j_is_ignorable(uint32_t c);
bool decai__j_is_alpha(uint32_t c);
bool decai__j_is_decimal(uint32_t c);
bool decai__j_is_digit(uint32_t c);
bool decai__j_is_numeric(uint32_t c);
/* Up to three code points; how many. */
size_t decai__j_upper(uint32_t c, uint32_t out[3]);
size_t decai__j_lower(uint32_t c, uint32_t out[3]);
size_t decai__j_title(uint32_t c, uint32_t out[3]);
decai__j_val decai__j_str_case(decai__j_run *r, decai__j_val s, char how);   /* 'u' 'l' 'c'apitalize 't'itle 's'wap */

/* ---- numbers (jinja_float.c) -------------------------------------------------------------------- */

/* Digits (no NUL) and the power of ten of the first; v finite and > 0.
 * Shortest that reads back as v. At most 17. */
int decai__j_digits_shortest(double v, char digits[17], int *exp10);
/* Correctly rounded, half to even: `count` significant digits, or, where fixed,
 * so many behind the point. At most cap digits; returns how many (0: it is 0). */
int decai__j_digits_exact(double v, int count, bool fixed, char *digits, int cap, int *exp10);
/* A decimal number as JSON or Python writes it, correctly rounded; the text
 * is checked already: [+-]digits[.digits][e[+-]digits]. */
double decai__j_float_of(const char *s, size_t n);
double decai__j_div_ints(int64_t a, int64_t b);          /* a / b correctly rounded, b not 0 */
/* float(text): spaces around, "inf", "nan", underscores. */
bool decai__j_float_parse(const char *s, size_t n, double *out);
void decai__j_put_float(decai__j_run *r, double v);              /* repr(v) */
/* Python's 'e' 'f' 'g' with a precision; alt keeps the point and zeros. */
void decai__j_put_float_as(decai__j_run *r, double v, char how, int precision, bool alt);
double decai__j_num(decai__j_val v);                             /* of BOOL, INT, FLOAT, BIG */

#endif /* DECAI__JINJA_VALUE_H */
