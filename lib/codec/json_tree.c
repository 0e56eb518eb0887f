/* json_tree.c - the tree of a text that passed, built with cJSON.
 *
 * cJSON never sees the text: the lexer walks it a second time and each event
 * makes one cJSON item. So cJSON's parser, its doubles and its depth do not
 * matter, and only its lists are used: numbers are "raw" items that hold the
 * text as written. cJSON_InitHooks is process-wide state of somebody else's
 * library and is never called; its items therefore come from the C library's
 * malloc, not from the context's memory seam. That malloc failing gives
 * DECAI_E_NOMEM.
 */
#include <cjson/cJSON.h>
#include <string.h>

#include "codec/internal.h"

struct decai__json {
    decai_context *ctx;
    cJSON *root;
};

struct build {
    decai__json *doc;
    cJSON *open[DECAI_JSON_DEPTH_MAX];
    uint32_t depth;
    decai__buf key, text;               /* NUL-terminated copies for cJSON */
};

static const cJSON *
item(const decai__json_node *node)
{
    return (const cJSON *)(const void *)node;
}

static const decai__json_node *
node_of(const cJSON *c)
{
    return (const decai__json_node *)(const void *)c;
}

static int32_t
copy(decai__buf *b, const decai__json_event *event)
{
    b->len = 0;
    int32_t r = decai__buf_add(b, event->text, event->len);
    return r ? r : decai__buf_add_byte(b, 0);
}

static cJSON *
make(struct build *b, int32_t kind)
{
    const char *text = (const char *)b->text.data;
    switch (kind) {
    case DECAI__EVENT_OPEN_OBJECT: return cJSON_CreateObject();
    case DECAI__EVENT_OPEN_ARRAY: return cJSON_CreateArray();
    case DECAI__EVENT_STRING: return cJSON_CreateString(text);
    case DECAI__EVENT_NUMBER: return cJSON_CreateRaw(text);
    case DECAI__EVENT_TRUE: return cJSON_CreateTrue();
    case DECAI__EVENT_FALSE: return cJSON_CreateFalse();
    default: return cJSON_CreateNull();
    }
}

/* Hang a new item into the innermost open one; it is freed if that fails. */
static int32_t
attach(struct build *b, cJSON *made)
{
    cJSON *parent = b->depth ? b->open[b->depth - 1] : NULL;
    bool ok = true;
    if (!parent) b->doc->root = made;
    else if (cJSON_IsObject(parent)) ok = cJSON_AddItemToObject(parent, (const char *)b->key.data, made);
    else ok = cJSON_AddItemToArray(parent, made);
    if (ok) return 0;
    cJSON_Delete(made);
    return decai__fail(DECAI_E_NOMEM, "json: a tree");
}

static int32_t
on_event(void *user, const decai__json_event *event)
{
    struct build *b = user;
    int32_t r = 0;
    if (event->kind == DECAI__EVENT_KEY) return copy(&b->key, event);
    if (event->kind == DECAI__EVENT_CLOSE) {
        b->depth--;
        return 0;
    }
    if (event->kind == DECAI__EVENT_STRING || event->kind == DECAI__EVENT_NUMBER) r = copy(&b->text, event);
    if (r) return r;
    cJSON *made = make(b, event->kind);
    if (!made) return decai__fail(DECAI_E_NOMEM, "json: a value");
    r = attach(b, made);
    if (!r && (event->kind == DECAI__EVENT_OPEN_OBJECT || event->kind == DECAI__EVENT_OPEN_ARRAY))
        b->open[b->depth++] = made;
    return r;
}

int32_t
decai__json_parse(decai_context *ctx, decai__json **out, const char *text, size_t len)
{
    return decai__json_parse_within(ctx, out, text, len, &decai__json_limits_default);
}

int32_t
decai__json_parse_within(decai_context *ctx, decai__json **out, const char *text, size_t len,
    const decai__json_limits *limits)
{
    *out = NULL;
    int32_t r = decai__json_check_within(ctx, text, len, limits);
    if (r) return r;
    decai__json *doc = decai__calloc(ctx, 1, sizeof *doc);
    if (!doc) return decai__fail(DECAI_E_NOMEM, "json: a document");
    doc->ctx = ctx;
    struct build b = { .doc = doc };
    decai__buf_init(&b.key, ctx, limits->text + 1, limits->text_name);
    decai__buf_init(&b.text, ctx, limits->text + 1, limits->text_name);
    r = decai__json_walk_within(ctx, text, len, limits, on_event, &b);
    decai__buf_free(&b.key);
    decai__buf_free(&b.text);
    if (r) decai__json_free(doc);
    else *out = doc;
    return r;
}

void
decai__json_free(decai__json *doc)
{
    if (!doc) return;
    cJSON_Delete(doc->root);
    decai__free(doc->ctx, doc);
}

/* ---- looking around --------------------------------------------------------- */

const decai__json_node *
decai__json_root(const decai__json *doc)
{
    return node_of(doc->root);
}

int32_t
decai__json_type(const decai__json_node *node)
{
    if (!node) return 0;
    switch (item(node)->type & 0xff) {
    case cJSON_NULL: return DECAI__JSON_NULL;
    case cJSON_True:
    case cJSON_False: return DECAI__JSON_BOOL;
    case cJSON_Raw: return DECAI__JSON_NUMBER;
    case cJSON_String: return DECAI__JSON_STRING;
    case cJSON_Array: return DECAI__JSON_ARRAY;
    default: return DECAI__JSON_OBJECT;
    }
}

const decai__json_node *
decai__json_first(const decai__json_node *node)
{
    return node ? node_of(item(node)->child) : NULL;
}

const decai__json_node *
decai__json_next(const decai__json_node *node)
{
    return node ? node_of(item(node)->next) : NULL;
}

size_t
decai__json_count(const decai__json_node *node)
{
    size_t n = 0;
    for (const decai__json_node *at = decai__json_first(node); at; at = decai__json_next(at)) n++;
    return n;
}

const char *
decai__json_key(const decai__json_node *node)
{
    return node ? item(node)->string : NULL;
}

const decai__json_node *
decai__json_find(const decai__json_node *node, const char *key)
{
    if (decai__json_type(node) != DECAI__JSON_OBJECT) return NULL;
    for (const decai__json_node *at = decai__json_first(node); at; at = decai__json_next(at))
        if (!strcmp(decai__json_key(at), key)) return at;
    return NULL;
}

/* The text of a string or number, the truth of a bool: all that the typed
 * reads (json_get.c) need to know of cJSON. */
const char *
decai__json_value_text(const decai__json_node *node)
{
    return item(node)->valuestring;
}

bool
decai__json_value_bool(const decai__json_node *node)
{
    return (item(node)->type & 0xff) == cJSON_True;
}
