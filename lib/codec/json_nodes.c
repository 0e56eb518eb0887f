/* json_nodes.c - a JSON text as a flat array of values, for callers of the library.
 *
 * The text is copied, checked by the lexer (duplicate keys included) and walked once
 * more; each value becomes one row, in the order of the text, so that a value is
 * named by a number: 0 is the whole, a child comes behind its parent. Strings point
 * into the copy where they stand there as they are, into an arena of decoded bytes
 * where they had escapes. The children of a container lie together in one list, made
 * when it closes, so that the n-th is found at once whatever stands before it.
 *
 *     text      {"a": [1, true]}
 *     value     0 object   1 array, key "a"   2 number, parent 1   3 bool, parent 1
 *     children  2 3 | 1
 *
 * Places are 32 bits wide: DECAI_JSON_TEXT_MAX is far below that.
 */
#include <string.h>

#include "codec/internal.h"

struct place { uint32_t at, len; bool arena; };       /* bytes of the copy, or of the arena */

struct value {
    uint32_t parent, first, count;                    /* first: into children */
    uint32_t begin, end;                              /* in the copy: the value as it was written */
    int32_t type;
    struct place key, text;
};

struct decai_json {
    decai__handle h;
    char *text;
    size_t len;
    decai__buf values, children, arena;
};

struct build {
    decai_json *json;
    decai__buf pending;                               /* uint32_t: values whose parent is still open */
    uint32_t open[DECAI_JSON_DEPTH_MAX];
    size_t mark[DECAI_JSON_DEPTH_MAX];                /* where the children of open[] begin in pending */
    uint32_t depth;
    struct place key;
};

static struct value *
value_at(const decai_json *json, size_t i)
{
    return (struct value *)(void *)json->values.data + i;
}

static size_t
value_count(const decai_json *json)
{
    return json->values.len / sizeof(struct value);
}

/* ---- making ------------------------------------------------------------------- */

static int32_t
put_place(decai_json *json, struct place *out, const decai__json_event *event)
{
    uintptr_t text = (uintptr_t)json->text, at = (uintptr_t)event->text;
    *out = (struct place){ 0, (uint32_t)event->len, false };
    if (at >= text && at < text + json->len) {
        out->at = (uint32_t)(at - text);
        return 0;
    }
    out->arena = true;
    out->at = (uint32_t)json->arena.len;
    return decai__buf_add(&json->arena, event->text, event->len);
}

/* Where the string that begins with this quote ends: it was checked, it does. */
static uint32_t
string_end(const decai_json *json, size_t at)
{
    for (at++; json->text[at] != '"'; at++)
        if (json->text[at] == '\\') at++;
    return (uint32_t)at + 1;
}

static int32_t
close_level(struct build *b, const decai__json_event *event)
{
    decai_json *json = b->json;
    decai__assert(b->depth > 0);
    uint32_t id = b->open[--b->depth];
    size_t mark = b->mark[b->depth], bytes = b->pending.len - mark;
    struct value *v = value_at(json, id);
    v->first = (uint32_t)(json->children.len / sizeof(uint32_t));
    v->count = (uint32_t)(bytes / sizeof(uint32_t));
    v->end = (uint32_t)event->offset + 1;
    int32_t r = bytes ? decai__buf_add(&json->children, b->pending.data + mark, bytes) : 0;
    b->pending.len = mark;
    return r;
}

static int32_t
on_event(void *user, const decai__json_event *event)
{
    static const int32_t types[] = { 0, DECAI_JSON_OBJECT, DECAI_JSON_ARRAY, 0, 0, DECAI_JSON_STRING, DECAI_JSON_NUMBER,
        DECAI_JSON_BOOL, DECAI_JSON_BOOL, DECAI_JSON_NULL };
    static const uint32_t widths[] = { 0, 0, 0, 0, 0, 0, 0, 4, 5, 4 };      /* of the words */
    struct build *b = user;
    decai_json *json = b->json;
    if (event->kind == DECAI__EVENT_KEY) return put_place(json, &b->key, event);
    if (event->kind == DECAI__EVENT_CLOSE) return close_level(b, event);
    uint32_t id = (uint32_t)value_count(json), begin = (uint32_t)event->offset;
    struct value v = { .parent = b->depth ? b->open[b->depth - 1] : 0, .begin = begin, .type = types[event->kind] };
    v.text = (struct place){ begin, widths[event->kind], false };
    v.end = begin + widths[event->kind];
    v.key = b->key;
    int32_t r = v.type == DECAI_JSON_STRING || v.type == DECAI_JSON_NUMBER ? put_place(json, &v.text, event) : 0;
    if (v.type == DECAI_JSON_NUMBER) v.end = begin + (uint32_t)event->len;
    if (v.type == DECAI_JSON_STRING) v.end = string_end(json, begin);
    if (!r) r = decai__buf_add(&json->values, &v, sizeof v);
    if (!r) r = decai__buf_add(&b->pending, &id, sizeof id);
    if (!r && (v.type == DECAI_JSON_OBJECT || v.type == DECAI_JSON_ARRAY)) {
        b->mark[b->depth] = b->pending.len;
        b->open[b->depth++] = id;
    }
    return r;
}

static void
destroy(void *self)
{
    decai_json *json = self;
    decai__free(json->h.context, json->text);
    decai__buf_free(&json->values);
    decai__buf_free(&json->children);
    decai__buf_free(&json->arena);
}

int32_t
decai__json_nodes_open(decai_json **out, decai_context *ctx, const char *text, size_t len)
{
    struct build b = { 0 };
    int32_t r = decai__json_check(ctx, text, len);
    if (r) return r;
    decai_json *json = decai__handle_create(ctx, DECAI__JSON, sizeof *json, destroy);
    if (!json) return decai__fail(DECAI_E_NOMEM, "json: a handle");
    decai__buf_init(&json->values, ctx, DECAI_JSON_NODE_MAX * sizeof(struct value), "DECAI_JSON_NODE_MAX");
    decai__buf_init(&json->children, ctx, DECAI_JSON_NODE_MAX * sizeof(uint32_t), "DECAI_JSON_NODE_MAX");
    decai__buf_init(&json->arena, ctx, DECAI_JSON_TEXT_MAX, "DECAI_JSON_TEXT_MAX");
    decai__buf_init(&b.pending, ctx, DECAI_JSON_NODE_MAX * sizeof(uint32_t), "DECAI_JSON_NODE_MAX");
    b.json = json;
    json->len = len;
    json->text = decai__memdup(ctx, text, len);
    if (!json->text) r = decai__fail(DECAI_E_NOMEM, "json: a copy of %zu bytes", len);
    if (!r) r = decai__json_walk(ctx, json->text, len, on_event, &b);
    decai__buf_free(&b.pending);
    if (r) decai__destroy(json);
    else *out = json;
    return r;
}

/* ---- looking around ---------------------------------------------------------------- */

int32_t
decai__json_nodes_check(const decai_json *json, int32_t value)
{
    if (value >= 0 && (size_t)value < value_count(json)) return 0;
    return decai__fail(DECAI_E_INVALID, "value: %d is not in 0..%zu", value, value_count(json) - 1);
}

void
decai__json_nodes_type(const decai_json *json, int32_t value, int32_t *type, uint64_t *count)
{
    const struct value *v = value_at(json, (size_t)value);
    *type = v->type;
    *count = v->count;
}

int32_t
decai__json_nodes_child(const decai_json *json, int32_t value, size_t index)
{
    const struct value *v = value_at(json, (size_t)value);
    if (index >= v->count) return -1;
    return (int32_t)((const uint32_t *)(const void *)json->children.data)[v->first + index];
}

static const char *
bytes_of(const decai_json *json, struct place p)
{
    return p.arena ? (const char *)json->arena.data + p.at : json->text + p.at;
}

static bool
is_object(const decai_json *json, int32_t value)
{
    return value_at(json, (size_t)value)->type == DECAI_JSON_OBJECT;
}

int32_t
decai__json_nodes_find(const decai_json *json, int32_t value, const char *key, size_t key_len)
{
    if (!is_object(json, value)) return -1;
    for (size_t i = 0; i < value_at(json, (size_t)value)->count; i++) {
        int32_t child = decai__json_nodes_child(json, value, i);
        struct place p = value_at(json, (size_t)child)->key;
        if (p.len == key_len && (!key_len || !memcmp(bytes_of(json, p), key, key_len))) return child;
    }
    return -1;
}

const char *
decai__json_nodes_key(const decai_json *json, int32_t value, size_t *len)
{
    const struct value *v = value_at(json, (size_t)value);
    *len = v->key.len;
    return value && is_object(json, (int32_t)v->parent) ? bytes_of(json, v->key) : NULL;
}

const char *
decai__json_nodes_text(const decai_json *json, int32_t value, size_t *len)
{
    const struct value *v = value_at(json, (size_t)value);
    *len = v->text.len;
    return v->type == DECAI_JSON_OBJECT || v->type == DECAI_JSON_ARRAY ? NULL : bytes_of(json, v->text);
}

const char *
decai__json_nodes_source(const decai_json *json, int32_t value, size_t *len)
{
    const struct value *v = value_at(json, (size_t)value);
    *len = v->end - v->begin;
    return json->text + v->begin;
}

/* One step of a path: ".key", "[2]". */
static void
put_step(decai__buf *b, const decai_json *json, int32_t value)
{
    size_t len, i = 0;
    int32_t parent = (int32_t)value_at(json, (size_t)value)->parent;
    const char *key = decai__json_nodes_key(json, value, &len);
    if (key) {
        if (b->len) decai__buf_add_byte(b, '.');
        decai__buf_add(b, key, len);
        return;
    }
    while (decai__json_nodes_child(json, parent, i) != value) i++;
    decai__buf_printf(b, "[%zu]", i);
}

int32_t
decai__json_nodes_path(const decai_json *json, int32_t value, decai__buf *b)
{
    int32_t steps[DECAI_JSON_DEPTH_MAX + 1];
    size_t n = 0;
    for (; value; value = (int32_t)value_at(json, (size_t)value)->parent) steps[n++] = value;
    while (n) put_step(b, json, steps[--n]);
    return b->error;
}
