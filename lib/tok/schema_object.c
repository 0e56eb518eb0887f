/* schema_object.c - objects and arrays of a JSON Schema.
 *
 * Members come in the order of `properties`, optional ones may be left out. Two rows of
 * states run along them, before and after the first member, for the commas:
 *
 *     none --p0--> some      none --leave p0 out--> none
 *     some --, p1--> some    some --leave p1 out--> some
 *
 * A name that is required and described nowhere stands at the end, as
 * additionalProperties has it. Further members have names without escapes that are none
 * of those described, or, where no member is described, that propertyNames or the one
 * pattern of patternProperties lets through. Names may repeat: no automaton of this kind
 * can forbid it. Items that may not repeat are those of a short enum: a state for each
 * set of those that were there.
 */
#include <string.h>

#include "tok/schema.h"

#define MEMBERS_MAX 1024
#define NAME_MAX    512              /* bytes of a name */
#define UNIQUE_MAX  8                /* values of items that may not repeat */

typedef struct member { const char *name; bool required; } member;

typedef struct members {
    member *list;
    size_t count;
    bool further;                    /* there may be members that are not described */
    bool one;                        /* there is one at least */
    const decai__json_node *pattern; /* further ones: name and schema, a member of patternProperties */
    const decai__json_node *names;   /* what propertyNames says of them */
} members;

/* ---- which members ------------------------------------------------------------------------ */

static member *
find(members *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++)
        if (!strcmp(m->list[i].name, name)) return &m->list[i];
    return NULL;
}

static void
add(decai__schema *s, members *m, const char *name, bool required)
{
    member *old = find(m, name);
    if (old) {
        old->required = old->required || required;
        return;
    }
    if (m->count == MEMBERS_MAX) decai__schema_fail(s, DECAI_E_LIMIT, "properties", "more than 1024 members");
    else if (strlen(name) > NAME_MAX) decai__schema_fail(s, DECAI_E_LIMIT, "properties", "a name above 512 bytes");
    else m->list[m->count++] = (member){ name, required };
}

static void
read_required(decai__schema *s, members *m, const decai__json_node *node)
{
    const decai__json_node *list = decai__json_find(node, "required");
    const char *text;
    size_t len;
    if (list && decai__json_type(list) != DECAI__JSON_ARRAY) decai__schema_fail(s, DECAI_E_CORRUPT, "required", "not an array of names");
    for (list = decai__json_first(list); list && !s->net->error; list = decai__json_next(list)) {
        if (decai__json_str(s->doc, list, &text, &len)) decai__schema_fail(s, DECAI_E_CORRUPT, "required", "not an array of names");
        else add(s, m, text, true);
    }
}

static void
read_members(decai__schema *s, members *m, const decai__all *all)
{
    m->further = true;
    for (uint32_t i = 0; i < all->count; i++) {
        const decai__json_node *list = decai__json_find(all->node[i], "properties"), *more = decai__json_find(all->node[i], "additionalProperties");
        bool yes = true;
        if (list && decai__json_type(list) != DECAI__JSON_OBJECT) decai__schema_fail(s, DECAI_E_CORRUPT, "properties", "not an object");
        if (more && decai__json_type(more) == DECAI__JSON_BOOL) (void)decai__json_bool(s->doc, more, &yes);
        if (!decai__json_first(decai__json_find(all->node[i], "patternProperties")) && (!yes || (list && !more))) m->further = false;
        for (list = decai__json_first(list); list && !s->net->error; list = decai__json_next(list)) add(s, m, decai__json_key(list), false);
    }
    for (uint32_t i = 0; i < all->count && !s->net->error; i++) read_required(s, m, all->node[i]);
}

static void
read_names(decai__schema *s, members *m, const decai__all *all)
{
    const decai__json_node *patterns = decai__schema_only(s, all, "patternProperties");
    m->names = decai__schema_only(s, all, "propertyNames");
    m->pattern = decai__json_first(patterns);
    if (patterns && decai__json_type(patterns) != DECAI__JSON_OBJECT) decai__schema_fail(s, DECAI_E_CORRUPT, "patternProperties", "not an object");
    if (m->pattern && (decai__json_next(m->pattern) || m->count || m->names))
        decai__schema_fail(s, DECAI_E_UNSUPPORTED, "patternProperties", "built for one pattern, without described members or propertyNames");
    if (m->names && m->count) decai__schema_fail(s, DECAI_E_UNSUPPORTED, "propertyNames", "not built beside described members");
}

/* What has to hold for a member: of each schema its property, or else its pattern's (all
 * further names are then of the pattern), or its additionalProperties. name NULL: of a
 * member that none describes. */
static decai__all
member_schemas(decai__schema *s, const decai__all *all, const char *name)
{
    decai__all out = { .count = 0 };
    for (uint32_t i = 0; i < all->count; i++) {
        const decai__json_node *own = name ? decai__json_find(decai__json_find(all->node[i], "properties"), name) : NULL;
        if (!own) own = decai__json_first(decai__json_find(all->node[i], "patternProperties"));
        if (!own) own = decai__json_find(all->node[i], "additionalProperties");
        if (own) decai__schema_add(s, &out, own);
    }
    return out;
}

/* ---- further names --------------------------------------------------------------------------- */

/* A name that is none of those from `first` to `last`, which share their first `depth`
 * bytes; these have been read. */
static void
other_names(decai__net *n, uint32_t from, uint32_t to, uint32_t any, const members *m, const uint8_t *alive, size_t depth)
{
    uint8_t *here = decai__alloc(n->ctx, 2 * m->count + 1);
    uint64_t taken[4] = { 0 };
    bool ends = false;
    if (!here) {
        n->error = decai__fail(DECAI_E_NOMEM, "schema: no memory");
        return;
    }
    for (size_t i = 0; i < m->count; i++)
        if (alive[i]) {
            uint8_t b = (uint8_t)m->list[i].name[depth];
            if (b) taken[b / 64] |= UINT64_C(1) << b % 64;
            else ends = true;
        }
    /* Bytes that some name goes on with lead to that part of the tree; ASCII bytes that none
     * does are free, and so is every other character that begins as none of them does. */
    if (!ends) decai__net_bytes(n, from, to, '"', '"');
    for (uint32_t b = 0x20; b < 0x80 && !n->error; b++) {
        if (b == '"' || b == '\\') continue;
        if (!(taken[b / 64] >> b % 64 & 1)) {
            decai__net_bytes(n, from, any, (uint8_t)b, (uint8_t)b);
            continue;
        }
        uint32_t next = decai__net_state(n);
        for (size_t i = 0; i < m->count; i++) here[i] = alive[i] && (uint8_t)m->list[i].name[depth] == b;
        decai__net_bytes(n, from, next, (uint8_t)b, (uint8_t)b);
        other_names(n, next, to, any, m, here, depth + 1);
    }
    bool beyond = false;
    for (uint32_t b = 0x80; b < 0x100; b++) beyond |= taken[b / 64] >> b % 64 & 1;
    if (!beyond) decai__net_ranges(n, from, any, &(decai__range){ 0x80, 0x10ffff }, 1);
    decai__free(n->ctx, here);
}

/* A further name with its quotes; one that is not ASCII begins like no described one. */
static uint32_t
further_name(decai__net *n, uint32_t from, const members *m)
{
    static const decai__range plain[] = { { 0x20, 0x21 }, { 0x23, 0x5b }, { 0x5d, 0x10ffff } };
    uint8_t *alive = decai__alloc(n->ctx, m->count + 1);
    uint32_t start = decai__net_text(n, from, "\"", 1), any = decai__net_state(n), to = decai__net_state(n);
    if (!alive && !n->error) n->error = decai__fail(DECAI_E_NOMEM, "schema: no memory");
    if (!n->error) {
        memset(alive, 1, m->count + 1);
        decai__net_ranges(n, any, any, plain, 3);
        decai__net_bytes(n, any, to, '"', '"');
        other_names(n, start, to, any, m, alive, 0);
    }
    decai__free(n->ctx, alive);
    return to;
}

/* ---- objects --------------------------------------------------------------------------------------- */

static uint32_t
put_member(decai__schema *s, uint32_t from, const decai__all *all, const char *name)
{
    decai__net *n = s->net;
    size_t path = decai__schema_enter(s, "properties", 0), inner = decai__schema_enter(s, name, 0);
    (void)inner;
    from = decai__schema_text(n, decai__net_text(n, from, "\"", 1), name, strlen(name));
    from = decai__schema_space(s, decai__net_text(n, from, "\":", 2));
    from = decai__schema_emit(s, from, member_schemas(s, all, name));
    decai__schema_leave(s, path);
    return from;
}

/* A name under propertyNames: a string's keywords, or a list of values. */
static uint32_t
put_name(decai__schema *s, uint32_t from, const decai__json_node *names)
{
    decai__net *n = s->net;
    const decai__json_node **values = decai__alloc(n->ctx, DECAI__SCHEMA_ENUM_MAX * sizeof *values);
    decai__all all = { .count = 0 };
    size_t count = 0, path = decai__schema_enter(s, "propertyNames", 0);
    uint32_t to = decai__net_state(n);
    if (!values) decai__schema_fail(s, DECAI_E_NOMEM, NULL, "no memory");
    decai__schema_add(s, &all, names);
    decai__schema_spread(s, &all);
    for (uint32_t i = 0; i < all.count; i++)
        if (decai__json_find(all.node[i], "anyOf") || decai__json_find(all.node[i], "oneOf")) decai__schema_fail(s, DECAI_E_UNSUPPORTED, NULL, "choices are not built here");
    bool any = !n->error && !all.never;              /* never: nothing leads there */
    if (any && decai__schema_listed(s, &all, values, &count, DECAI__SCHEMA_ENUM_MAX)) {
        for (size_t i = 0; i < count && !n->error; i++)
            if (decai__json_type(values[i]) == DECAI__JSON_STRING) decai__net_empty(n, decai__schema_literal(s, from, values[i]), to);
    } else if (any && decai__schema_types(s, &all) & DECAI__V_STRING) {
        decai__net_empty(n, decai__schema_string(s, from, &all), to);
    }
    decai__free(n->ctx, values);
    decai__schema_leave(s, path);
    return to;
}

static uint32_t
put_further_name(decai__schema *s, uint32_t from, const members *m)
{
    decai__net *n = s->net;
    const char *pattern = m->pattern ? decai__json_key(m->pattern) : NULL;
    if (pattern) {
        size_t path = decai__schema_enter(s, "patternProperties", 0);
        from = decai__schema_pattern(s, decai__net_text(n, from, "\"", 1), pattern, strlen(pattern));
        decai__schema_leave(s, path);
        return decai__net_text(n, from, "\"", 1);
    }
    if (m->names) return put_name(s, from, m->names);
    return m->count ? further_name(n, from, m) : decai__schema_shared(s, from, DECAI__S_STRING);
}

/* Members that none describes, any number: from `none` and `some` to the returned state. */
static uint32_t
put_further(decai__schema *s, uint32_t none, uint32_t some, const decai__all *all, const members *m)
{
    decai__net *n = s->net;
    uint32_t begin = decai__net_state(n), behind = decai__net_state(n), end = decai__net_state(n);
    decai__net_empty(n, none, begin);
    if (!m->one) decai__net_empty(n, none, end);
    decai__net_empty(n, some, behind);
    decai__net_empty(n, behind, end);
    decai__net_empty(n, decai__schema_space(s, decai__net_text(n, behind, ",", 1)), begin);
    uint32_t name = put_further_name(s, begin, m);
    size_t path = decai__schema_enter(s, m->pattern ? "patternProperties" : "additionalProperties", 0);
    name = decai__schema_space(s, decai__net_text(n, name, ":", 1));
    decai__net_empty(n, decai__schema_emit(s, name, member_schemas(s, all, NULL)), behind);
    decai__schema_leave(s, path);
    return end;
}

static uint32_t
put_members(decai__schema *s, uint32_t from, const decai__all *all, const members *m)
{
    decai__net *n = s->net;
    uint32_t none = from, some = decai__net_state(n);
    for (size_t i = 0; i < m->count && !n->error; i++) {
        uint32_t name = decai__net_state(n), left_out = decai__net_state(n), next = decai__net_state(n);
        bool may_be_none = none != DECAI__NONE;
        if (may_be_none) decai__net_empty(n, none, name);
        if (i) decai__net_empty(n, decai__schema_space(s, decai__net_text(n, some, ",", 1)), name);
        decai__net_empty(n, put_member(s, name, all, m->list[i].name), next);
        if (!m->list[i].required) {
            if (i) decai__net_empty(n, some, next);
            if (may_be_none) decai__net_empty(n, none, left_out);
        }
        none = may_be_none && !m->list[i].required ? left_out : DECAI__NONE;
        some = next;
    }
    uint32_t last = decai__net_state(n);
    if (none == DECAI__NONE) none = decai__net_state(n);          /* nothing leads there */
    if (m->further) return put_further(s, none, some, all, m);
    if (!m->one) decai__net_empty(n, none, last);
    if (m->count) decai__net_empty(n, some, last);
    return last;
}

static void
check_counts(decai__schema *s, const decai__all *all, members *m)
{
    uint64_t least = decai__schema_count(s, all, "minProperties", true, 0), most = decai__schema_count(s, all, "maxProperties", false, UINT64_MAX);
    uint64_t required = 0;
    for (size_t i = 0; i < m->count; i++) required += m->list[i].required;
    m->one = least == 1;
    if (least > 1 && least > required) decai__schema_fail(s, DECAI_E_UNSUPPORTED, "minProperties", "above 1, not built unless so many are required");
    if (most < m->count || (m->further && most < UINT64_MAX)) decai__schema_fail(s, DECAI_E_UNSUPPORTED, "maxProperties", "not built");
}

uint32_t
decai__schema_object(decai__schema *s, uint32_t from, const decai__all *all)
{
    decai__net *n = s->net;
    members m = { .list = decai__alloc(n->ctx, MEMBERS_MAX * sizeof *m.list) };
    if (!m.list) {
        decai__schema_fail(s, DECAI_E_NOMEM, NULL, "no memory");
        return from;
    }
    read_members(s, &m, all);
    read_names(s, &m, all);
    check_counts(s, all, &m);
    from = decai__schema_space(s, decai__net_text(n, from, "{", 1));
    from = put_members(s, from, all, &m);
    decai__free(n->ctx, m.list);
    return decai__net_text(n, decai__schema_space(s, from), "}", 1);
}

/* ---- arrays ------------------------------------------------------------------------------------------ */

/* Schemas of item `index`; false: it cannot be there. */
static decai__all
item_schemas(decai__schema *s, const decai__all *all, uint64_t index)
{
    decai__all out = { .count = 0 };
    for (uint32_t i = 0; i < all->count; i++) {
        const decai__json_node *items = decai__json_find(all->node[i], "items"), *first = decai__json_find(all->node[i], "prefixItems");
        const decai__json_node *rest = items, *own = NULL;
        if (!first && items && decai__json_type(items) == DECAI__JSON_ARRAY) {       /* as drafts up to 7 had it */
            first = items;
            rest = decai__json_find(all->node[i], "additionalItems");
        }
        uint64_t k = index;
        for (own = decai__json_first(first); own && k; k--) own = decai__json_next(own);
        if (!own) own = rest;
        if (own) decai__schema_add(s, &out, own);
    }
    return out;
}

static uint64_t
prefix_count(const decai__all *all)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        const decai__json_node *items = decai__json_find(all->node[i], "items"), *first = decai__json_find(all->node[i], "prefixItems");
        if (!first && items && decai__json_type(items) == DECAI__JSON_ARRAY) first = items;
        uint64_t n = 0;
        for (first = decai__json_first(first); first; first = decai__json_next(first)) n++;
        most = DECAI__MAX(most, n);
    }
    return most;
}

/* May items not repeat? */
static bool
is_unique(decai__schema *s, const decai__all *all)
{
    bool unique = false;
    for (uint32_t i = 0; i < all->count; i++) {
        const decai__json_node *k = decai__json_find(all->node[i], "uniqueItems");
        bool yes = false;
        if (k && decai__json_bool(s->doc, k, &yes)) decai__schema_fail(s, DECAI_E_CORRUPT, "uniqueItems", "neither true nor false");
        unique = unique || yes;
    }
    return unique;
}

/* Is a value told from others by its text? */
static bool
is_plain(const decai__schema *s, const decai__json_node *value)
{
    const char *text = "";
    int32_t type = decai__json_type(value);
    if (type == DECAI__JSON_NUMBER && !decai__json_number(s->doc, value, &text)) return !strpbrk(text, ".eE") && strcmp(text, "-0") != 0;
    return type != DECAI__JSON_ARRAY && type != DECAI__JSON_OBJECT;
}

/* The values of items, each once; more than UNIQUE_MAX: refused. */
static size_t
unique_values(decai__schema *s, const decai__all *all, const decai__json_node **values)
{
    decai__all item = item_schemas(s, all, 0);
    const decai__json_node **listed = decai__alloc(s->net->ctx, DECAI__SCHEMA_ENUM_MAX * sizeof *listed);
    size_t count = 0, kept = 0;
    bool plain = !prefix_count(all);
    if (!listed) decai__schema_fail(s, DECAI_E_NOMEM, NULL, "no memory");
    decai__schema_spread(s, &item);
    for (uint32_t i = 0; i < item.count; i++) plain = plain && !decai__json_find(item.node[i], "anyOf") && !decai__json_find(item.node[i], "oneOf");
    plain = plain && !item.never && !s->net->error && decai__schema_listed(s, &item, listed, &count, DECAI__SCHEMA_ENUM_MAX);
    for (size_t i = 0; i < count && plain; i++) {
        size_t k = 0;
        while (k < kept && !decai__schema_equal(s->doc, values[k], listed[i])) k++;
        if (k == UNIQUE_MAX || !is_plain(s, listed[i])) plain = false;
        else if (k == kept) values[kept++] = listed[i];
    }
    decai__free(s->net->ctx, listed);
    if (!plain) decai__schema_fail(s, DECAI_E_UNSUPPORTED, "uniqueItems", "built for items of an enum of at most 8 texts, whole numbers and words, and for one item");
    return kept;
}

/* Items between the brackets, least to most of the values, none twice: a state for each
 * set of those that were there, in the order of their numbers. */
static uint32_t
put_unique(decai__schema *s, uint32_t from, const decai__all *all, uint64_t least, uint64_t most)
{
    decai__net *n = s->net;
    const decai__json_node *values[UNIQUE_MAX];
    uint32_t rule[UNIQUE_MAX], end = decai__net_state(n), at[1u << UNIQUE_MAX];
    size_t count = unique_values(s, all, values);
    for (size_t v = 0; v < count && !n->error; v++) {
        rule[v] = decai__net_rule_add(n);
        if (!n->error) decai__net_empty(n, decai__schema_literal(s, n->rules[rule[v]].start, values[v]), n->rules[rule[v]].end);
    }
    for (uint32_t set = 0; set < 1u << count; set++) at[set] = set ? decai__net_state(n) : from;
    for (uint32_t set = 0; set < 1u << count && !n->error; set++) {
        uint64_t there = (uint64_t)__builtin_popcount(set);
        if (there >= least && there <= most) decai__net_empty(n, at[set], end);
        if (there >= most || set + 1 == 1u << count) continue;
        uint32_t next = set ? decai__schema_space(s, decai__net_text(n, at[set], ",", 1)) : from;
        for (size_t v = 0; v < count && !n->error; v++)
            if (!(set >> v & 1)) decai__net_call(n, next, at[set | 1u << v], rule[v]);
    }
    return end;
}

/* A comma and one more item, least to most times. */
static uint32_t
put_rest(decai__schema *s, uint32_t from, const decai__all *all, uint64_t index, uint64_t least, uint64_t most, bool comma)
{
    decai__net *n = s->net;
    size_t path = decai__schema_enter(s, "items", 0);
    uint32_t rule = decai__net_rule_add(n);
    if (most && !n->error) {
        uint32_t start = n->rules[rule].start, end = n->rules[rule].end;
        decai__net_empty(n, decai__schema_emit(s, start, item_schemas(s, all, index)), end);
    }
    decai__schema_leave(s, path);
    if (!most || n->error) return from;
    uint32_t out = decai__net_state(n);
    if (!least) decai__net_empty(n, from, out);
    if (!comma) {                                    /* the array's first item */
        from = decai__schema_call(s, from, rule);
        least -= least > 0;
        most -= most < UINT64_MAX;
    }
    uint32_t first = decai__net_state(n);
    decai__piece p = { first, first, first, 0 };
    p.to = decai__schema_call(s, decai__schema_space(s, decai__net_text(n, first, ",", 1)), rule);
    p.last = n->error ? first : (uint32_t)n->states - 1;
    if (most) {
        p = decai__net_repeat(n, p, (uint32_t)DECAI__MIN(least, DECAI_GRAMMAR_STATE_MAX + 1),
            most == UINT64_MAX ? DECAI__NONE : (uint32_t)DECAI__MIN(most, DECAI_GRAMMAR_STATE_MAX + 1));
        decai__net_empty(n, from, p.from);
        from = p.to;
    }
    decai__net_empty(n, from, out);
    return out;
}

uint32_t
decai__schema_array(decai__schema *s, uint32_t from, const decai__all *all)
{
    decai__net *n = s->net;
    uint64_t least = decai__schema_count(s, all, "minItems", true, 0), most = decai__schema_count(s, all, "maxItems", false, UINT64_MAX);
    uint64_t prefix = DECAI__MIN(prefix_count(all), most), i = 0;
    bool unique = is_unique(s, all) && most > 1;
    from = decai__schema_space(s, decai__net_text(n, from, "[", 1));
    uint32_t end = decai__net_state(n);
    if (most < least) return end;                     /* nothing leads there */
    if (unique) return decai__net_text(n, decai__schema_space(s, put_unique(s, from, all, least, most)), "]", 1);
    for (; i < prefix && !n->error; i++) {
        size_t path = decai__schema_enter(s, "prefixItems", 0), inner = decai__schema_enter(s, NULL, (size_t)i);
        (void)inner;
        if (i >= least) decai__net_empty(n, from, end);
        if (i) from = decai__schema_space(s, decai__net_text(n, from, ",", 1));
        from = decai__schema_emit(s, from, item_schemas(s, all, i));
        decai__schema_leave(s, path);
    }
    from = put_rest(s, from, all, i, least > i ? least - i : 0, most == UINT64_MAX ? most : most - i, i > 0);
    decai__net_empty(n, from, end);
    return decai__net_text(n, decai__schema_space(s, end), "]", 1);
}
