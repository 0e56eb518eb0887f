/* schema.c - JSON Schema into a net: which keywords there are, references, choices.
 *
 * The schema that is compiled is always a list that must hold together (decai__all):
 * one schema, or allOf's and what $ref stands beside. Each file of a type asks the list
 * for its keywords. What the texts are:
 *
 *   - members in the order of `properties`, then further ones if additionalProperties
 *     says so by name; where it is absent beside properties, there are no further ones
 *   - where `type` is absent, the types that the other keywords speak of, or all
 *   - with white space: after { [ , : and before } ] nothing, one space, or a new line
 *     and up to 32 spaces and tabs; without, none
 *   - numbers without a plus sign or leading zeros, characters as themselves or escaped
 *
 * So every text is valid under the schema, but not every valid text is one of these. A
 * keyword that is not built is refused with its place as JSON pointer: nothing that
 * could make a text invalid is passed over. Annotations are, and names with "x-".
 */
#include <string.h>

#include "tok/schema.h"

#define NEST_MAX 96                  /* schemas within each other, references included */
#define MEMO_MAX 4096                /* rules of references and bounded strings */
#define SPACES   32

/* Keywords that are built, or say nothing about the text. */
static const char *const known[] = {
    "type", "properties", "required", "additionalProperties", "items", "prefixItems", "additionalItems", "minItems", "maxItems",
    "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "$defs", "definitions", "minLength", "maxLength", "pattern", "format",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "nullable", "minProperties", "maxProperties",
    "uniqueItems", "patternProperties", "propertyNames", "title", "description", "default", "example", "examples", "$schema", "$id", "$comment", "deprecated", "readOnly",
    "writeOnly", "contentMediaType", "contentEncoding",
};

/* ---- places and errors ------------------------------------------------------------------ */

size_t
decai__schema_enter(decai__schema *s, const char *key, size_t index)
{
    size_t before = s->path_len, at = before;
    char digits[24], *end = digits + sizeof digits;
    char *p = end;
    if (!key) {
        do *--p = (char)('0' + index % 10); while (index /= 10);
    }
    size_t n = key ? strlen(key) : (size_t)(end - p);
    if (at + 2 * n + 2 > sizeof s->path) return before;          /* too deep to be shown whole */
    s->path[at++] = '/';
    for (const char *c = key ? key : p; n; c++, n--) {
        if (*c == '~' || *c == '/') s->path[at++] = '~';
        s->path[at++] = (char)(*c == '~' ? '0' : *c == '/' ? '1' : *c);
    }
    s->path_len = at;
    return before;
}

void
decai__schema_leave(decai__schema *s, size_t path_len)
{
    s->path_len = path_len;
}

int32_t
decai__schema_fail(decai__schema *s, int32_t code, const char *keyword, const char *why)
{
    if (s->net->error) return s->net->error;
    s->net->error = decai__fail(code, "schema: #%.*s%s%.64s: %s", (int)s->path_len, s->path, keyword ? "/" : "", keyword ? keyword : "", why);
    return s->net->error;
}

/* ---- references ---------------------------------------------------------------------------- */

/* One step of a JSON pointer, unescaped, into out; its length, or SIZE_MAX. */
static size_t
step_text(const char *p, size_t len, char *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = p[i];
        if (c == '~' && i + 1 < len && (p[i + 1] == '0' || p[i + 1] == '1')) c = p[++i] == '0' ? '~' : '/';
        else if (c == '~' || c == '%' || n + 1 >= cap) return SIZE_MAX;
        out[n++] = c;
    }
    out[n] = 0;
    return n;
}

static const decai__json_node *
item_at(const decai__json_node *node, const char *digits)
{
    size_t index = 0;
    if (!*digits) return NULL;
    for (; *digits; digits++) {
        if (*digits < '0' || *digits > '9' || index > 1000000) return NULL;
        index = 10 * index + (size_t)(*digits - '0');
    }
    for (node = decai__json_first(node); node && index; index--) node = decai__json_next(node);
    return node;
}

static const decai__json_node *
resolve(decai__schema *s, const decai__json_node *ref)
{
    const decai__json_node *node = s->root;
    const char *p, *end;
    char key[256];
    size_t len;
    if (decai__json_str(s->doc, ref, &p, &len) || !len || *p != '#') {
        decai__schema_fail(s, DECAI_E_UNSUPPORTED, "$ref", "only references within this schema, #/..., are built");
        return NULL;
    }
    for (end = p + len, p++; p < end && node;) {
        if (*p++ != '/') {
            decai__schema_fail(s, DECAI_E_UNSUPPORTED, "$ref", "only JSON pointers are built, no anchors");
            return NULL;
        }
        const char *next = memchr(p, '/', (size_t)(end - p));
        if (!next) next = end;
        if (step_text(p, (size_t)(next - p), key, sizeof key) == SIZE_MAX) node = NULL;
        else node = decai__json_type(node) == DECAI__JSON_ARRAY ? item_at(node, key) : decai__json_find(node, key);
        p = next;
    }
    if (!node) decai__schema_fail(s, DECAI_E_CORRUPT, "$ref", "points at nothing");
    return node;
}

uint32_t
decai__schema_rule(decai__schema *s, const void *node, uint64_t least, uint64_t most, bool *fresh)
{
    *fresh = false;
    for (size_t i = 0; i < s->memo_count; i++)
        if (s->memo[i].node == node && s->memo[i].least == least && s->memo[i].most == most) return s->memo[i].rule;
    if (s->memo_count == MEMO_MAX) {
        decai__schema_fail(s, DECAI_E_LIMIT, NULL, "more than 4096 references and lengths of strings");
        return 0;
    }
    if (s->memo_count == s->memo_cap) {
        size_t cap = s->memo_cap ? 2 * s->memo_cap : 16;
        decai__schema_memo *memo = decai__realloc(s->net->ctx, s->memo, s->memo_cap * sizeof *memo, cap * sizeof *memo);
        if (!memo) {
            decai__schema_fail(s, DECAI_E_NOMEM, NULL, "no memory");
            return 0;
        }
        s->memo = memo;
        s->memo_cap = cap;
    }
    *fresh = true;
    uint32_t rule = decai__net_rule_add(s->net);
    s->memo[s->memo_count++] = (decai__schema_memo){ node, least, most, rule };
    return rule;
}

/* ---- lists that hold together ---------------------------------------------------------------- */

static void
check_keywords(decai__schema *s, const decai__json_node *node)
{
    for (const decai__json_node *k = decai__json_first(node); k && !s->net->error; k = decai__json_next(k)) {
        const char *key = decai__json_key(k);
        size_t i = 0;
        while (i < DECAI__COUNT(known) && strcmp(known[i], key)) i++;
        if (i == DECAI__COUNT(known) && strncmp(key, "x-", 2)) decai__schema_fail(s, DECAI_E_UNSUPPORTED, key, "this keyword is not built");
    }
}

void
decai__schema_add(decai__schema *s, decai__all *all, const decai__json_node *node)
{
    bool yes = true;
    int32_t type = decai__json_type(node);
    if (s->net->error) return;
    if (type == DECAI__JSON_BOOL) {
        (void)decai__json_bool(s->doc, node, &yes);
        all->never = all->never || !yes;
        return;
    }
    if (type != DECAI__JSON_OBJECT) {
        decai__schema_fail(s, DECAI_E_CORRUPT, NULL, "a schema is an object, true or false");
        return;
    }
    for (uint32_t i = 0; i < all->count; i++)
        if (all->node[i] == node) return;
    if (all->count == DECAI__SCHEMA_ALL_MAX) {
        decai__schema_fail(s, DECAI_E_LIMIT, NULL, "more than 32 schemas have to hold at once");
        return;
    }
    check_keywords(s, node);
    all->node[all->count++] = node;
}

/* A node, what it refers to, and its allOf, each with its own, in the order in which they
 * are written. At most DECAI__SCHEMA_ALL_MAX deep: each step adds one. */
static void
spread_node(decai__schema *s, decai__all *out, const decai__json_node *node)
{
    uint32_t before = out->count;
    decai__schema_add(s, out, node);
    if (s->net->error || out->count == before) return;
    const decai__json_node *ref = decai__json_find(node, "$ref"), *each = decai__json_find(node, "allOf");
    const decai__json_node *to = ref ? resolve(s, ref) : NULL;
    if (to) spread_node(s, out, to);
    if (each && decai__json_type(each) != DECAI__JSON_ARRAY) decai__schema_fail(s, DECAI_E_CORRUPT, "allOf", "not an array");
    for (each = decai__json_first(each); each && !s->net->error; each = decai__json_next(each)) spread_node(s, out, each);
}

/* A list that was spread before keeps its places: what is new comes last. */
void
decai__schema_spread(decai__schema *s, decai__all *all)
{
    decai__all out = { .any_done = all->any_done, .one_done = all->one_done, .never = all->never };
    for (uint32_t i = 0; i < all->count; i++) spread_node(s, &out, all->node[i]);
    *all = out;
}

const decai__json_node *
decai__schema_only(decai__schema *s, const decai__all *all, const char *keyword)
{
    const decai__json_node *found = NULL;
    for (uint32_t i = 0; i < all->count; i++) {
        const decai__json_node *k = decai__json_find(all->node[i], keyword);
        if (k && found && !decai__schema_equal(s->doc, k, found)) decai__schema_fail(s, DECAI_E_UNSUPPORTED, keyword, "two of them that have to hold at once");
        if (k) found = k;
    }
    return found;
}

uint64_t
decai__schema_count(decai__schema *s, const decai__all *all, const char *keyword, bool largest, uint64_t none)
{
    uint64_t best = none;
    for (uint32_t i = 0; i < all->count; i++) {
        const decai__json_node *k = decai__json_find(all->node[i], keyword);
        uint64_t v;
        if (!k) continue;
        if (decai__json_u64(s->doc, k, &v)) decai__schema_fail(s, DECAI_E_CORRUPT, keyword, "not a count");
        else best = largest ? DECAI__MAX(best, v) : DECAI__MIN(best, v);
    }
    return best;
}

bool
decai__schema_equal(const decai__json *doc, const decai__json_node *a, const decai__json_node *b)
{
    const char *x, *y;
    size_t n, m;
    bool p, q;
    int32_t type = decai__json_type(a);
    if (a == b) return true;
    if (type != decai__json_type(b)) return false;
    switch (type) {
    case DECAI__JSON_NULL: return true;
    case DECAI__JSON_BOOL: return !decai__json_bool(doc, a, &p) && !decai__json_bool(doc, b, &q) && p == q;
    case DECAI__JSON_NUMBER: return !decai__json_number(doc, a, &x) && !decai__json_number(doc, b, &y) && !strcmp(x, y);
    case DECAI__JSON_STRING: return !decai__json_str(doc, a, &x, &n) && !decai__json_str(doc, b, &y, &m) && n == m && !memcmp(x, y, n);
    default: break;
    }
    for (a = decai__json_first(a), b = decai__json_first(b); a && b; a = decai__json_next(a), b = decai__json_next(b))
        if ((type == DECAI__JSON_OBJECT && strcmp(decai__json_key(a), decai__json_key(b))) || !decai__schema_equal(doc, a, b)) return false;
    return !a && !b;
}

/* ---- parts of JSON ------------------------------------------------------------------------------ */

uint32_t
decai__schema_call(decai__schema *s, uint32_t from, uint32_t rule)
{
    uint32_t to = decai__net_state(s->net);
    decai__net_call(s->net, from, to, rule);
    return to;
}

static void
make_space(decai__net *n, uint32_t from, uint32_t to)
{
    uint32_t at = decai__net_state(n);
    decai__net_empty(n, from, to);
    decai__net_bytes(n, from, to, ' ', ' ');
    decai__net_bytes(n, from, at, '\n', '\n');
    for (int i = 0; i <= SPACES; i++) {
        decai__net_empty(n, at, to);
        if (i == SPACES) break;
        uint32_t next = decai__net_state(n);
        decai__net_bytes(n, at, next, ' ', ' ');
        decai__net_bytes(n, at, next, '\t', '\t');
        at = next;
    }
}

/* Any value: every type without a word about it. */
static void
make_value(decai__schema *s, uint32_t from, uint32_t to)
{
    static const char *const words[] = { "true", "false", "null" };
    decai__all any = { .count = 0 };
    for (size_t i = 0; i < DECAI__COUNT(words); i++) decai__net_empty(s->net, decai__net_text(s->net, from, words[i], strlen(words[i])), to);
    decai__net_call(s->net, from, to, s->shared[DECAI__S_NUMBER]);
    decai__net_call(s->net, from, to, s->shared[DECAI__S_STRING]);
    decai__net_empty(s->net, decai__schema_object(s, from, &any), to);
    decai__net_empty(s->net, decai__schema_array(s, from, &any), to);
}

uint32_t
decai__schema_shared(decai__schema *s, uint32_t from, enum decai__schema_shared which)
{
    decai__net *n = s->net;
    if (s->shared[which] == DECAI__NONE && !n->error) {
        decai__all any = { .count = 0 };
        uint32_t rule = s->shared[which] = decai__net_rule_add(n);
        uint32_t start = n->error ? 0 : n->rules[rule].start, end = n->error ? 0 : n->rules[rule].end;
        switch (which) {
        case DECAI__S_SPACE: make_space(n, start, end); break;
        case DECAI__S_STRING: decai__schema_any_string(n, start, end, 0, UINT64_MAX); break;
        case DECAI__S_NUMBER: decai__net_empty(n, decai__schema_number(s, start, &any, false), end); break;
        case DECAI__S_INTEGER: decai__net_empty(n, decai__schema_number(s, start, &any, true), end); break;
        default:
            (void)decai__schema_shared(s, start, DECAI__S_NUMBER);
            (void)decai__schema_shared(s, start, DECAI__S_STRING);
            make_value(s, start, end);
            break;
        }
    }
    return n->error ? 0 : decai__schema_call(s, from, s->shared[which]);
}

uint32_t
decai__schema_space(decai__schema *s, uint32_t from)
{
    return s->compact ? from : decai__schema_shared(s, from, DECAI__S_SPACE);
}

static uint32_t
literal_list(decai__schema *s, uint32_t from, const decai__json_node *value, bool object)
{
    decai__net *n = s->net;
    from = decai__schema_space(s, decai__net_text(n, from, object ? "{" : "[", 1));
    for (const decai__json_node *k = decai__json_first(value); k && !n->error; k = decai__json_next(k)) {
        if (object) {
            from = decai__net_text(n, decai__schema_text(n, decai__net_text(n, from, "\"", 1), decai__json_key(k), strlen(decai__json_key(k))), "\":", 2);
            from = decai__schema_space(s, from);
        }
        from = decai__schema_literal(s, from, k);
        if (decai__json_next(k)) from = decai__schema_space(s, decai__net_text(n, from, ",", 1));
    }
    return decai__net_text(n, decai__schema_space(s, from), object ? "}" : "]", 1);
}

uint32_t
decai__schema_literal(decai__schema *s, uint32_t from, const decai__json_node *value)
{
    decai__net *n = s->net;
    const char *text = "null";
    size_t len = 0;
    bool yes = false;
    switch (decai__json_type(value)) {
    case DECAI__JSON_BOOL:
        (void)decai__json_bool(s->doc, value, &yes);
        text = yes ? "true" : "false";
        break;
    case DECAI__JSON_NUMBER: (void)decai__json_number(s->doc, value, &text); break;
    case DECAI__JSON_STRING:
        (void)decai__json_str(s->doc, value, &text, &len);
        return decai__net_text(n, decai__schema_text(n, decai__net_text(n, from, "\"", 1), text, len), "\"", 1);
    case DECAI__JSON_ARRAY: return literal_list(s, from, value, false);
    case DECAI__JSON_OBJECT: return literal_list(s, from, value, true);
    default: break;
    }
    return decai__net_text(n, from, text, strlen(text));
}

/* ---- one list ------------------------------------------------------------------------------------- */

/* Keywords beside enum and const that are not looked at: refused rather than passed over. */
static void
check_beside_values(decai__schema *s, const decai__all *all)
{
    static const char *const others[] = { "properties", "required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems",
        "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
        "minProperties", "maxProperties", "patternProperties", "propertyNames", "uniqueItems" };
    for (uint32_t i = 0; i < all->count; i++)
        for (size_t k = 0; k < DECAI__COUNT(others); k++)
            if (decai__json_find(all->node[i], others[k])) decai__schema_fail(s, DECAI_E_UNSUPPORTED, others[k], "not built beside enum or const");
}

bool
decai__schema_listed(decai__schema *s, const decai__all *all, const decai__json_node **values, size_t *count, size_t max)
{
    static const uint8_t of[] = { 0, DECAI__V_NULL, DECAI__V_BOOL, DECAI__V_INTEGER | DECAI__V_NUMBER, DECAI__V_STRING, DECAI__V_ARRAY, DECAI__V_OBJECT };
    uint32_t types = decai__schema_types(s, all);
    size_t kept = 0;
    if (!decai__schema_values(s, all, values, count, max)) return false;
    check_beside_values(s, all);
    for (size_t i = 0; i < *count && !s->net->error; i++) {
        int32_t type = decai__json_type(values[i]);
        const char *text = "";
        uint8_t bits = of[type];
        if (type == DECAI__JSON_NUMBER && !decai__json_number(s->doc, values[i], &text) && strpbrk(text, ".eE")) bits = DECAI__V_NUMBER;
        if (types & bits) values[kept++] = values[i];
    }
    *count = kept;
    return true;
}

static uint32_t
emit_values(decai__schema *s, uint32_t from, const decai__all *all)
{
    uint32_t to = decai__net_state(s->net);
    const decai__json_node **values = decai__alloc(s->net->ctx, DECAI__SCHEMA_ENUM_MAX * sizeof *values);
    size_t count = 0;
    if (!values) decai__schema_fail(s, DECAI_E_NOMEM, NULL, "no memory");
    else (void)decai__schema_listed(s, all, values, &count, DECAI__SCHEMA_ENUM_MAX);
    for (size_t i = 0; i < count && !s->net->error; i++) decai__net_empty(s->net, decai__schema_literal(s, from, values[i]), to);
    decai__free(s->net->ctx, values);
    return to;
}

static uint32_t
emit_types(decai__schema *s, uint32_t from, const decai__all *all)
{
    decai__net *n = s->net;
    uint32_t types = decai__schema_types(s, all), to = decai__net_state(n);
    if (types & DECAI__V_NULL) decai__net_empty(n, decai__net_text(n, from, "null", 4), to);
    if (types & DECAI__V_BOOL) {
        decai__net_empty(n, decai__net_text(n, from, "true", 4), to);
        decai__net_empty(n, decai__net_text(n, from, "false", 5), to);
    }
    if (types & (DECAI__V_NUMBER | DECAI__V_INTEGER)) decai__net_empty(n, decai__schema_number(s, from, all, !(types & DECAI__V_NUMBER)), to);
    if (types & DECAI__V_STRING) decai__net_empty(n, decai__schema_string(s, from, all), to);
    if (types & DECAI__V_ARRAY) decai__net_empty(n, decai__schema_array(s, from, all), to);
    if (types & DECAI__V_OBJECT) decai__net_empty(n, decai__schema_object(s, from, all), to);
    return to;
}

/* oneOf is anyOf where no two branches can hold together. */
static void
check_one(decai__schema *s, const decai__json_node *list)
{
    for (const decai__json_node *a = decai__json_first(list); a && !s->net->error; a = decai__json_next(a))
        for (const decai__json_node *b = decai__json_next(a); b && !s->net->error; b = decai__json_next(b)) {
            decai__all x = { .count = 0 }, y = { .count = 0 };
            decai__schema_add(s, &x, a);
            decai__schema_add(s, &y, b);
            decai__schema_spread(s, &x);
            decai__schema_spread(s, &y);
            if (!s->net->error && !decai__schema_disjoint(s, &x, &y))
                decai__schema_fail(s, DECAI_E_UNSUPPORTED, NULL, "branches that may hold together are not built; say anyOf, or tell them apart by type, const or enum");
        }
}

/* Each branch of a choice beside the whole list, which does not make that choice again. */
static uint32_t
emit_choice(decai__schema *s, uint32_t from, const decai__all *all, uint32_t which, const char *keyword)
{
    const decai__json_node *list = decai__json_find(all->node[which], keyword), *branch;
    uint32_t to = decai__net_state(s->net);
    bool one = !strcmp(keyword, "oneOf");
    size_t i = 0, path = decai__schema_enter(s, keyword, 0);
    if (decai__json_type(list) != DECAI__JSON_ARRAY || !decai__json_first(list)) decai__schema_fail(s, DECAI_E_CORRUPT, NULL, "not an array of schemas");
    if (one && !s->net->error) check_one(s, list);
    for (branch = decai__json_first(list); branch && !s->net->error; branch = decai__json_next(branch), i++) {
        size_t inner = decai__schema_enter(s, NULL, i);
        decai__all with = *all;
        with.any_done |= one ? 0 : 1u << which;
        with.one_done |= one ? 1u << which : 0;
        decai__schema_add(s, &with, branch);
        decai__net_empty(s->net, decai__schema_emit(s, from, with), to);
        decai__schema_leave(s, inner);
    }
    decai__schema_leave(s, path);
    return to;
}

/* $ref and nothing that binds beside it. */
static const decai__json_node *
plain_reference(const decai__json_node *node)
{
    static const char *const silent[] = { "$ref", "title", "description", "default", "example", "examples", "$comment", "deprecated", "readOnly", "writeOnly", "$schema", "$id", "$defs", "definitions" };
    const decai__json_node *ref = decai__json_find(node, "$ref");
    for (const decai__json_node *k = ref ? decai__json_first(node) : NULL; k; k = decai__json_next(k)) {
        size_t i = 0;
        while (i < DECAI__COUNT(silent) && strcmp(silent[i], decai__json_key(k))) i++;
        if (i == DECAI__COUNT(silent)) return NULL;
    }
    return ref;
}

static uint32_t
emit_reference(decai__schema *s, uint32_t from, const decai__json_node *ref)
{
    const decai__json_node *to = resolve(s, ref);
    bool fresh = false;
    if (!to) return from;
    uint32_t rule = decai__schema_rule(s, to, 0, 0, &fresh);
    if (fresh && !s->net->error) {
        char path[DECAI__SCHEMA_PATH_MAX];
        size_t len = s->path_len, n;
        const char *text;
        decai__all all = { .count = 0 };
        memcpy(path, s->path, len);
        (void)decai__json_str(s->doc, ref, &text, &n);
        s->path_len = DECAI__MIN(n - 1, sizeof s->path);
        memcpy(s->path, text + 1, s->path_len);
        uint32_t start = s->net->rules[rule].start, end = s->net->rules[rule].end;
        decai__schema_add(s, &all, to);
        decai__net_empty(s->net, decai__schema_emit(s, start, all), end);
        memcpy(s->path, path, len);
        s->path_len = len;
    }
    return s->net->error ? from : decai__schema_call(s, from, rule);
}

static uint32_t
emit_list(decai__schema *s, uint32_t from, const decai__all *all)
{
    bool listed = false;
    for (uint32_t i = 0; i < all->count; i++) {
        listed = listed || decai__json_find(all->node[i], "enum") || decai__json_find(all->node[i], "const");
        if (decai__json_find(all->node[i], "anyOf") && !(all->any_done >> i & 1)) return emit_choice(s, from, all, i, "anyOf");
        if (decai__json_find(all->node[i], "oneOf") && !(all->one_done >> i & 1)) return emit_choice(s, from, all, i, "oneOf");
    }
    return listed ? emit_values(s, from, all) : emit_types(s, from, all);
}

uint32_t
decai__schema_emit(decai__schema *s, uint32_t from, decai__all all)
{
    const decai__json_node *ref = all.count == 1 ? plain_reference(all.node[0]) : NULL;
    uint32_t to = from;
    if (s->net->error) return from;
    if (++s->nest > NEST_MAX) decai__schema_fail(s, DECAI_E_LIMIT, NULL, "schemas nest deeper than 96, or refer to themselves without end");
    if (s->net->error) return from;
    if (ref) {
        to = emit_reference(s, from, ref);
    } else {
        decai__schema_spread(s, &all);
        if (all.never) to = decai__net_state(s->net);            /* nothing leads there */
        else if (!all.count) to = decai__schema_shared(s, from, DECAI__S_VALUE);
        else if (!s->net->error) to = emit_list(s, from, &all);
    }
    s->nest--;
    return to;
}

int32_t
decai__schema_read(decai__net *n, uint32_t *root, const char *text, size_t len, bool compact)
{
    decai__schema s = { .net = n, .compact = compact };
    decai__json *doc = NULL;
    decai__all all = { .count = 0 };
    memset(s.shared, 0xff, sizeof s.shared);
    n->error = decai__json_parse(n->ctx, &doc, text, len);
    if (n->error) return n->error;
    s.doc = doc;
    s.root = decai__json_root(doc);
    *root = decai__net_rule_add(n);
    decai__schema_add(&s, &all, decai__json_root(doc));
    if (!n->error) {
        uint32_t start = n->rules[*root].start, end = n->rules[*root].end;
        decai__net_empty(n, decai__schema_emit(&s, start, all), end);
    }
    decai__free(n->ctx, s.memo);
    decai__json_free(doc);
    return n->error;
}
