/* toolcall_type.c - which types a parameter's schema allows, as far as it says so plainly.
 *
 * For values that are written without quotes: whether 12 is a number or a text only the
 * schema knows. What is not seen here ($ref, allOf, a schema that is true) may be any.
 */
#include <string.h>

#include "tok/toolcall.h"

#define NEST_MAX 8                                   /* anyOf within each other */

uint32_t
decai__type_of_byte(char first)
{
    if (first == '-' || (first >= '0' && first <= '9')) return DECAI__TYPE_NUMBER;
    static const char firsts[] = "\"{[tfn";
    static const uint8_t types[] = { DECAI__TYPE_STRING, DECAI__TYPE_OBJECT, DECAI__TYPE_ARRAY, DECAI__TYPE_BOOL, DECAI__TYPE_BOOL, DECAI__TYPE_NULL };
    const char *at = first ? strchr(firsts, first) : NULL;
    return at ? types[at - firsts] : 0;
}

static uint32_t
named(const decai__json *doc, const decai__json_node *name)
{
    static const struct { const char *name; uint32_t type; } rows[] = {
        { "string", DECAI__TYPE_STRING }, { "number", DECAI__TYPE_NUMBER }, { "integer", DECAI__TYPE_NUMBER }, { "object", DECAI__TYPE_OBJECT },
        { "array", DECAI__TYPE_ARRAY }, { "boolean", DECAI__TYPE_BOOL }, { "null", DECAI__TYPE_NULL },
    };
    const char *text;
    size_t len;
    if (decai__json_str(doc, name, &text, &len)) return DECAI__TYPE_ANY;
    for (size_t i = 0; i < DECAI__COUNT(rows); i++)
        if (!strcmp(rows[i].name, text)) return rows[i].type;
    return DECAI__TYPE_ANY;
}

static uint32_t
of_value(const decai__json_node *value)
{
    switch (decai__json_type(value)) {
    case DECAI__JSON_STRING: return DECAI__TYPE_STRING;
    case DECAI__JSON_OBJECT: return DECAI__TYPE_OBJECT;
    case DECAI__JSON_ARRAY: return DECAI__TYPE_ARRAY;
    case DECAI__JSON_NULL: return DECAI__TYPE_NULL;
    case DECAI__JSON_NUMBER: return DECAI__TYPE_NUMBER;
    default: return DECAI__TYPE_BOOL;
    }
}

static uint32_t
of_schema(const decai__json *doc, const decai__json_node *schema, uint32_t nest)
{
    static const char *const unions[] = { "anyOf", "oneOf" };
    const decai__json_node *type = decai__json_find(schema, "type"), *k = decai__json_find(schema, "const");
    uint32_t all = 0;
    if (decai__json_type(type) == DECAI__JSON_ARRAY) {
        for (k = decai__json_first(type); k; k = decai__json_next(k)) all |= named(doc, k);
        return all ? all : DECAI__TYPE_ANY;
    }
    if (type) return named(doc, type);
    if (k) return of_value(k);
    for (k = decai__json_first(decai__json_find(schema, "enum")); k; k = decai__json_next(k)) all |= of_value(k);
    for (size_t i = 0; i < 2 && nest < NEST_MAX && !all; i++)
        for (k = decai__json_first(decai__json_find(schema, unions[i])); k; k = decai__json_next(k)) all |= of_schema(doc, k, nest + 1);
    return all ? all : DECAI__TYPE_ANY;
}

uint32_t
decai__type_of_parameter(const decai__json *tools, const char *tool, const char *parameter)
{
    const decai__json_node *k = tools ? decai__json_first(decai__json_root(tools)) : NULL;
    const char *name;
    size_t len;
    for (; k; k = decai__json_next(k)) {
        const decai__json_node *own = decai__json_find(k, "function");
        if (!own) own = k;
        if (decai__json_get_str(tools, own, "name", &name, &len) || strcmp(name, tool)) continue;
        const decai__json_node *schema = decai__json_find(decai__json_find(decai__json_find(own, "parameters"), "properties"), parameter);
        return schema ? of_schema(tools, schema, 0) : 0;
    }
    return 0;
}
