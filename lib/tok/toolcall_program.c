/* toolcall_program.c - grammars of calls that are written as in a program: lfm2's
 * NAME(KEY=value, ..), and NAME{KEY:value,..} of Gemma.
 *
 * Values of lfm2 are JSON, which Python's readers of such calls take but for true, false
 * and null, which ours takes. Gemma's own notation has strings between marks and keys
 * without quotes: strings (any, or an enum), numbers, booleans, null, arrays of one kind
 * of items and objects of described members are built; other keywords are refused.
 */
#include <string.h>

#include "tok/toolcall_grammar.h"

#define NEST_MAX 16

static uint32_t
put(decai__tools *m, uint32_t from, const char *text)
{
    return decai__tools_put(m, from, text);
}

static bool
is_key(const char *key)
{
    size_t n = key ? strlen(key) : 0;                /* a member of an array has none */
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)key[i] < 0x80 && !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", key[i])) return false;
    return n && n <= DECAI__CALL_NAME_MAX;
}

static uint32_t put_noted(decai__tools *m, uint32_t from, const decai__json_node *schema, uint32_t nest);

static uint32_t
put_json(decai__tools *m, uint32_t from, const decai__json_node *schema)
{
    decai__all all = { .count = 0 };
    decai__schema_add(&m->s, &all, schema);
    return decai__schema_emit(&m->s, from, all);
}

/* JSON, or what a program has: True and False, and text in the other quotes that has none
 * of them in it. Only where the schema says no more than the type. */
static uint32_t
put_python(decai__tools *m, uint32_t from, const decai__json_node *schema)
{
    static const decai__range letters[] = { { ' ', '&' }, { '(', '[' }, { ']', 0x10ffff } };
    const decai__json_node *k = decai__json_first(schema);
    const char *type = "";
    size_t len;
    uint32_t to = decai__net_state(m->s.net);
    decai__net_empty(m->s.net, put_json(m, from, schema), to);
    for (; k; k = decai__json_next(k))
        if (!decai__json_key(k) || (strcmp(decai__json_key(k), "type") && strcmp(decai__json_key(k), "description") && strcmp(decai__json_key(k), "title"))) return to;
    if (decai__json_get_str(m->s.doc, schema, "type", &type, &len)) return to;
    uint32_t inside = decai__net_state(m->s.net);
    if (!strcmp(type, "boolean")) decai__net_empty(m->s.net, decai__tools_one(m, from, "True\0False\0"), to);
    if (strcmp(type, "string")) return to;
    decai__net_empty(m->s.net, put(m, from, "'"), inside);
    decai__net_ranges(m->s.net, inside, inside, letters, DECAI__COUNT(letters));
    decai__net_empty(m->s.net, put(m, inside, "'"), to);
    return to;
}

/* The members of an object, in order, those that are not required perhaps left out: one
 * way through them before the first that is there, one behind it. */
static uint32_t
put_members(decai__tools *m, uint32_t from, const decai__json_node *schema, uint32_t nest)
{
    decai__net *n = m->s.net;
    bool noted = m->f->form == DECAI__CALL_NOTED;
    uint32_t none = from, some = decai__net_state(n);
    const decai__json_node *k = decai__json_first(decai__json_find(schema, "properties"));
    for (; k && !n->error; k = decai__json_next(k)) {
        uint32_t key = decai__net_state(n), next_none = decai__net_state(n), next_some = decai__net_state(n);
        if (!is_key(decai__json_key(k))) {
            decai__tools_fail(m, DECAI_E_UNSUPPORTED, "a parameter's name that is none in a program");
            break;
        }
        decai__net_empty(n, none, key);
        decai__net_empty(n, put(m, some, noted ? "," : ", "), key);
        if (!decai__tools_required(m, schema, decai__json_key(k))) {
            decai__net_empty(n, none, next_none);
            decai__net_empty(n, some, next_some);
        }
        key = put(m, put(m, key, decai__json_key(k)), noted ? ":" : "=");
        decai__net_empty(n, noted ? put_noted(m, key, k, nest + 1) : put_python(m, key, k), next_some);
        none = next_none;
        some = next_some;
    }
    uint32_t to = decai__net_state(n);
    decai__net_empty(n, none, to);
    decai__net_empty(n, some, to);
    return to;
}

/* ---- Gemma's notation ------------------------------------------------------------------------ */

static uint32_t
put_words(decai__tools *m, uint32_t from, const decai__json_node *list)
{
    uint32_t to = decai__net_state(m->s.net);
    const char *text;
    size_t len;
    for (list = decai__json_first(list); list; list = decai__json_next(list)) {
        if (decai__json_str(m->s.doc, list, &text, &len)) decai__tools_fail(m, DECAI_E_UNSUPPORTED, "an enum of other values than strings");
        else decai__net_empty(m->s.net, put(m, decai__net_text(m->s.net, put(m, from, m->f->stop), text, len), m->f->stop), to);
    }
    return to;
}

static uint32_t
put_items(decai__tools *m, uint32_t from, const decai__json_node *schema, uint32_t nest)
{
    static const char *const bounds[] = { "minItems", "maxItems", "prefixItems" };
    decai__net *n = m->s.net;
    const decai__json_node *items = decai__json_find(schema, "items");
    for (size_t i = 0; i < DECAI__COUNT(bounds); i++)
        if (decai__json_find(schema, bounds[i])) decai__tools_fail(m, DECAI_E_UNSUPPORTED, "bounds of an array in this notation");
    if (decai__json_type(items) != DECAI__JSON_OBJECT) decai__tools_fail(m, DECAI_E_UNSUPPORTED, "an array without a schema of its items in this notation");
    if (n->error) return from;
    uint32_t first = put(m, from, "["), item = decai__net_state(n), end = decai__net_state(n);
    decai__net_empty(n, first, item);
    uint32_t behind = put_noted(m, item, items, nest + 1);
    decai__net_empty(n, put(m, behind, ","), item);
    decai__net_empty(n, first, end);
    decai__net_empty(n, behind, end);
    return put(m, end, "]");
}

static uint32_t
put_noted(decai__tools *m, uint32_t from, const decai__json_node *schema, uint32_t nest)
{
    const decai__json_node *list = decai__json_find(schema, "enum");
    const char *type = "";
    size_t len;
    if (nest > NEST_MAX) decai__tools_fail(m, DECAI_E_LIMIT, "schemas within each other");
    if (m->s.net->error) return from;
    if (list) return put_words(m, from, list);
    if (decai__json_get_str(m->s.doc, schema, "type", &type, &len)) {
        decai__tools_fail(m, DECAI_E_UNSUPPORTED, "a parameter without one type in this notation");
        return from;
    }
    if (!strcmp(type, "string")) decai__tools_plain(m, schema);
    if (!strcmp(type, "string")) return decai__tools_text_to(m, put(m, from, m->f->stop), m->f->stop);
    if (!strcmp(type, "array")) return put_items(m, from, schema, nest);
    if (!strcmp(type, "object")) return put(m, put_members(m, put(m, from, "{"), schema, nest), "}");
    return put_json(m, from, schema);
}

/* ---- calls ------------------------------------------------------------------------------------------ */

uint32_t
decai__tools_program(decai__tools *m, uint32_t from, size_t tool, bool any)
{
    static const decai__range letters[] = { { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } };
    decai__net *n = m->s.net;
    const decai__json_node *schema = decai__json_find(m->tools[tool], "parameters");
    bool noted = m->f->form == DECAI__CALL_NOTED;
    if (!is_key(m->names[tool])) decai__tools_fail(m, DECAI_E_UNSUPPORTED, "a tool's name that is none in a program");
    if (any && noted) decai__tools_fail(m, DECAI_E_UNSUPPORTED, "whole: only strict tools in this format's notation");
    if (n->error) return from;
    m->s.root = schema;
    from = put(m, put(m, from, m->names[tool]), noted ? "{" : "(");
    if (!any) return put(m, put_members(m, from, schema, 0), noted ? "}" : ")");
    uint32_t key = decai__net_state(n), letter = decai__net_state(n), end = decai__net_state(n);
    decai__net_empty(n, from, end);
    decai__net_empty(n, from, key);
    decai__net_ranges(n, key, letter, letters, DECAI__COUNT(letters));
    decai__net_ranges(n, letter, letter, letters, DECAI__COUNT(letters));
    uint32_t behind = decai__schema_shared(&m->s, put(m, letter, "="), DECAI__S_VALUE);
    decai__net_empty(n, put(m, behind, ", "), key);
    decai__net_empty(n, behind, end);
    return put(m, end, ")");
}
