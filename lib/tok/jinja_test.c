/* jinja_test.c - the tests behind "is", as jinja2/tests.py defines them. */
#include <string.h>

#include "tok/jinja_tree.h"

enum test {
    X_EQ, X_NE, X_LT, X_LE, X_GT, X_GE, X_IN, X_SAMEAS, X_DIVISIBLEBY,       /* with an argument */
    X_ODD, X_EVEN, X_DEFINED, X_UNDEFINED, X_FILTER, X_TEST, X_NONE, X_BOOLEAN, X_FALSE, X_TRUE, X_INTEGER, X_FLOAT,
    X_LOWER, X_UPPER, X_STRING, X_MAPPING, X_NUMBER, X_SEQUENCE, X_ITERABLE, X_CALLABLE, X_ESCAPED
};

static const struct { const char *name; uint8_t test; } tests[] = {
    { "defined", X_DEFINED }, { "string", X_STRING }, { "none", X_NONE }, { "mapping", X_MAPPING },
    { "iterable", X_ITERABLE }, { "sequence", X_SEQUENCE }, { "undefined", X_UNDEFINED }, { "boolean", X_BOOLEAN },
    { "false", X_FALSE }, { "true", X_TRUE }, { "number", X_NUMBER }, { "integer", X_INTEGER }, { "float", X_FLOAT },
    { "odd", X_ODD }, { "even", X_EVEN }, { "divisibleby", X_DIVISIBLEBY }, { "filter", X_FILTER }, { "test", X_TEST },
    { "lower", X_LOWER }, { "upper", X_UPPER }, { "callable", X_CALLABLE }, { "sameas", X_SAMEAS },
    { "escaped", X_ESCAPED }, { "in", X_IN }, { "==", X_EQ }, { "eq", X_EQ }, { "equalto", X_EQ }, { "!=", X_NE },
    { "ne", X_NE }, { ">", X_GT }, { "gt", X_GT }, { "greaterthan", X_GT }, { "ge", X_GE }, { ">=", X_GE },
    { "<", X_LT }, { "lt", X_LT }, { "lessthan", X_LT }, { "<=", X_LE }, { "le", X_LE },
};

uint16_t
decai__j_test_find(const char *name, size_t n)
{
    for (size_t i = 0; i < DECAI__COUNT(tests); i++)
        if (strlen(tests[i].name) == n && !memcmp(tests[i].name, name, n)) return (uint16_t)i;
    return DJ_UNKNOWN;
}

/* str.islower, str.isupper: at least one letter with a case, none of the other. */
static bool
all_cased(decai__j_run *r, decai__j_val v, bool upper)
{
    decai__j_val s = decai__j_to_str(r, v);
    const char *p = s.u.s, *end = p + s.n;
    bool any = false;
    decai__j_pay_bytes(r, s.n * (size_t)8);
    while (p < end) {
        uint32_t c = decai__j_rune(&p, end);
        bool up = decai__j_is_upper(c), low = decai__j_is_lower(c);
        if (upper ? low : up) return false;
        if (!up && !low && decai__j_is_cased(c)) return false;     /* a title case letter is neither */
        any |= upper ? up : low;
    }
    return any;
}

static bool
remainder_is(decai__j_run *r, decai__j_val in, decai__j_val by, int64_t rest)
{
    decai__j_val m = decai__j_binary(r, O_MOD, in, by);
    return !r->error && decai__j_equal(r, m, decai__j_int(rest));
}

static bool
with_argument(decai__j_run *r, enum test t, decai__j_val in, decai__j_val other)
{
    switch (t) {
    case X_EQ: return decai__j_equal(r, in, other);
    case X_NE: return !decai__j_equal(r, in, other);
    case X_LT: return decai__j_ordered(r, O_LT, in, other);
    case X_LE: return decai__j_ordered(r, O_LE, in, other);
    case X_GT: return decai__j_ordered(r, O_GT, in, other);
    case X_GE: return decai__j_ordered(r, O_GE, in, other);
    case X_IN: return decai__j_contains(r, other, in);
    case X_SAMEAS: return decai__j_same(in, other);
    default: return remainder_is(r, in, other, 0);
    }
}

static bool
is_name(decai__j_run *r, decai__j_val in, bool filter)
{
    if (!decai__j_hashable(in)) DJ_ERROR(r, "unhashable type: %s", decai__j_type_name(in));
    if (in.type != J_STR) return false;
    return (filter ? decai__j_filter_find(in.u.s, in.n) : decai__j_test_find(in.u.s, in.n)) != DJ_UNKNOWN;
}

static bool
without(decai__j_run *r, enum test t, decai__j_val in)
{
    switch (t) {
    case X_ODD: return remainder_is(r, in, decai__j_int(2), 1);
    case X_EVEN: return remainder_is(r, in, decai__j_int(2), 0);
    case X_DEFINED: return in.type > J_UNDEF;
    case X_UNDEFINED: return in.type <= J_UNDEF;
    case X_FILTER: return is_name(r, in, true);
    case X_TEST: return is_name(r, in, false);
    case X_NONE: return in.type == J_NONE;
    case X_BOOLEAN: return in.type == J_BOOL;
    case X_FALSE: return in.type == J_BOOL && !in.u.i;
    case X_TRUE: return in.type == J_BOOL && in.u.i;
    case X_INTEGER: return in.type == J_INT || in.type == J_BIG;
    case X_FLOAT: return in.type == J_FLOAT;
    case X_LOWER: return all_cased(r, in, false);
    case X_UPPER: return all_cased(r, in, true);
    case X_STRING: return in.type == J_STR;
    case X_MAPPING: return in.type == J_DICT;
    case X_NUMBER: return decai__j_is_num(in);
    case X_SEQUENCE: return in.type <= J_UNDEF || (in.type >= J_STR && in.type <= J_RANGE);
    case X_ITERABLE: return decai__j_is_iterable(in);
    case X_CALLABLE: return in.type <= J_UNDEF || in.type >= J_JOINER;
    default: return in.type == J_STR && in.flag & DJ_MARKUP;
    }
}

uint32_t
decai__j_test_types(uint16_t which)
{
    uint32_t types = 0;
    enum test t = which == DJ_UNKNOWN ? X_EQ : (enum test)tests[which].test;
    switch (t) {
    case X_DEFINED:
    case X_UNDEFINED:
    case X_NONE:
    case X_BOOLEAN:
    case X_INTEGER:
    case X_FLOAT:
    case X_STRING:
    case X_MAPPING:
    case X_NUMBER:
    case X_SEQUENCE:
    case X_ITERABLE:
    case X_CALLABLE:
        for (uint8_t type = J_MISSING; type <= J_METHOD; type++)
            if (without(NULL, t, (decai__j_val){ .type = type })) types |= 1u << type;
        return types;
    default: return 0;
    }
}

bool
decai__j_test_call(decai__j_run *r, uint16_t which, decai__j_val in, const decai__j_args *a)
{
    enum test t = (enum test)tests[which].test;
    static const char *const argument[] = { "b", "b", "b", "b", "b", "b", "seq", "other", "num" };
    decai__j_val other;
    if (r->error) return false;
    if (t <= X_DIVISIBLEBY) return decai__j_bind_args(r, a, argument[t], 1, &other) && with_argument(r, t, in, other);
    return decai__j_bind_args(r, a, "", 0, NULL) && without(r, t, in);
}
