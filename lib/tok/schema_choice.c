/* schema_choice.c - what can be said of schemas before anything is drawn: their types,
 * the values that enum and const leave, and whether two of them exclude each other. */
#include <string.h>

#include "tok/schema.h"

/* ---- types -------------------------------------------------------------------------- */

static uint32_t
type_bit(decai__schema *s, const decai__json_node *name)
{
    static const struct { const char *name; uint32_t bits; } types[] = {
        { "null", DECAI__V_NULL }, { "boolean", DECAI__V_BOOL }, { "integer", DECAI__V_INTEGER }, { "number", DECAI__V_NUMBER | DECAI__V_INTEGER },
        { "string", DECAI__V_STRING }, { "array", DECAI__V_ARRAY }, { "object", DECAI__V_OBJECT },
    };
    const char *text;
    size_t len;
    if (!decai__json_str(s->doc, name, &text, &len))
        for (size_t i = 0; i < DECAI__COUNT(types); i++)
            if (!strcmp(types[i].name, text)) return types[i].bits;
    decai__schema_fail(s, DECAI_E_CORRUPT, "type", "not the name of a type");
    return 0;
}

/* The types that keywords of one type speak of. */
static uint32_t
spoken_of(const decai__json_node *node)
{
    static const struct { const char *keyword; uint32_t bits; } words[] = {
        { "properties", DECAI__V_OBJECT }, { "required", DECAI__V_OBJECT }, { "additionalProperties", DECAI__V_OBJECT },
        { "minProperties", DECAI__V_OBJECT }, { "maxProperties", DECAI__V_OBJECT }, { "patternProperties", DECAI__V_OBJECT },
        { "propertyNames", DECAI__V_OBJECT }, { "items", DECAI__V_ARRAY }, { "prefixItems", DECAI__V_ARRAY },
        { "minItems", DECAI__V_ARRAY }, { "maxItems", DECAI__V_ARRAY }, { "uniqueItems", DECAI__V_ARRAY }, { "minLength", DECAI__V_STRING },
        { "maxLength", DECAI__V_STRING }, { "pattern", DECAI__V_STRING }, { "format", DECAI__V_STRING },
        { "minimum", DECAI__V_NUMBER | DECAI__V_INTEGER }, { "maximum", DECAI__V_NUMBER | DECAI__V_INTEGER },
        { "exclusiveMinimum", DECAI__V_NUMBER | DECAI__V_INTEGER }, { "exclusiveMaximum", DECAI__V_NUMBER | DECAI__V_INTEGER },
        { "multipleOf", DECAI__V_NUMBER | DECAI__V_INTEGER },
    };
    uint32_t bits = 0;
    for (size_t i = 0; i < DECAI__COUNT(words); i++)
        if (decai__json_find(node, words[i].keyword)) bits |= words[i].bits;
    return bits;
}

uint32_t
decai__schema_types(decai__schema *s, const decai__all *all)
{
    uint32_t types = DECAI__V_ANY, spoken = 0;
    bool named = false;
    for (uint32_t i = 0; i < all->count; i++) {
        const decai__json_node *type = decai__json_find(all->node[i], "type"), *nullable = decai__json_find(all->node[i], "nullable");
        uint32_t bits = 0;
        bool yes = false;
        if (nullable && decai__json_bool(s->doc, nullable, &yes)) decai__schema_fail(s, DECAI_E_CORRUPT, "nullable", "neither true nor false");
        if (!type) {
            spoken |= spoken_of(all->node[i]);
            continue;
        }
        named = true;
        if (decai__json_type(type) == DECAI__JSON_ARRAY)
            for (const decai__json_node *k = decai__json_first(type); k; k = decai__json_next(k)) bits |= type_bit(s, k);
        else
            bits = type_bit(s, type);
        types &= bits | (yes ? DECAI__V_NULL : 0);
    }
    return named || !spoken ? types : spoken;
}

/* ---- values ---------------------------------------------------------------------------- */

static bool
among(const decai__schema *s, const decai__json_node *node, const decai__json_node *value)
{
    const decai__json_node *k = decai__json_find(node, "const"), *list = decai__json_find(node, "enum");
    if (k && !decai__schema_equal(s->doc, k, value)) return false;
    if (!list) return true;
    for (k = decai__json_first(list); k; k = decai__json_next(k))
        if (decai__schema_equal(s->doc, k, value)) return true;
    return false;
}

static void
add_value(decai__schema *s, const decai__all *all, const decai__json_node *value, const decai__json_node **values, size_t *count, size_t max)
{
    for (uint32_t i = 0; i < all->count; i++)
        if (!among(s, all->node[i], value)) return;
    if (*count < max) values[(*count)++] = value;
    else decai__schema_fail(s, DECAI_E_LIMIT, "enum", "more than 2048 values");
}

bool
decai__schema_values(decai__schema *s, const decai__all *all, const decai__json_node **values, size_t *count, size_t max)
{
    *count = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        const decai__json_node *one = decai__json_find(all->node[i], "const"), *list = decai__json_find(all->node[i], "enum");
        if (list && decai__json_type(list) != DECAI__JSON_ARRAY) decai__schema_fail(s, DECAI_E_CORRUPT, "enum", "not an array");
        if (!one && !list) continue;
        if (one) add_value(s, all, one, values, count, max);
        else
            for (const decai__json_node *k = decai__json_first(list); k && !s->net->error; k = decai__json_next(k)) add_value(s, all, k, values, count, max);
        return true;
    }
    return false;
}

/* ---- choices that exclude each other ------------------------------------------------------ */

enum { FEW = 64 };                   /* values of a set that is compared */

static bool
values_disjoint(decai__schema *s, const decai__all *a, const decai__all *b)
{
    const decai__json_node *x[FEW], *y[FEW];
    size_t n, m;
    if (!decai__schema_values(s, a, x, &n, FEW) || !decai__schema_values(s, b, y, &m, FEW)) return false;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < m; k++)
            if (decai__schema_equal(s->doc, x[i], y[k])) return false;
    return true;
}

static const decai__json_node *
property(const decai__all *a, const char *name)
{
    for (uint32_t i = 0; i < a->count; i++) {
        const decai__json_node *p = decai__json_find(decai__json_find(a->node[i], "properties"), name);
        if (p) return p;
    }
    return NULL;
}

static bool
is_required(decai__schema *s, const decai__all *a, const char *name)
{
    const char *text;
    size_t len;
    for (uint32_t i = 0; i < a->count; i++)
        for (const decai__json_node *k = decai__json_first(decai__json_find(a->node[i], "required")); k; k = decai__json_next(k))
            if (!decai__json_str(s->doc, k, &text, &len) && !strcmp(text, name)) return true;
    return false;
}

/* A member that both require and whose values differ; or one that one of them requires
 * and the other, which has no further members, does not have. */
static bool
objects_disjoint(decai__schema *s, const decai__all *a, const decai__all *b)
{
    for (uint32_t i = 0; i < a->count; i++)
        for (const decai__json_node *p = decai__json_first(decai__json_find(a->node[i], "properties")); p; p = decai__json_next(p)) {
            const char *name = decai__json_key(p);
            const decai__json_node *q = property(b, name);
            decai__all x = { .count = 0 }, y = { .count = 0 };
            if (!q || !is_required(s, a, name) || !is_required(s, b, name)) continue;
            decai__schema_add(s, &x, p);
            decai__schema_add(s, &y, q);
            decai__schema_spread(s, &x);
            decai__schema_spread(s, &y);
            if (s->net->error) return false;
            if (values_disjoint(s, &x, &y) || !(decai__schema_types(s, &x) & decai__schema_types(s, &y))) return true;
        }
    return false;
}

bool
decai__schema_disjoint(decai__schema *s, const decai__all *a, const decai__all *b)
{
    uint32_t x = decai__schema_types(s, a), y = decai__schema_types(s, b);
    if (a->never || b->never || !(x & y)) return true;
    if (values_disjoint(s, a, b)) return true;
    return (x & y) == DECAI__V_OBJECT && objects_disjoint(s, a, b);
}
