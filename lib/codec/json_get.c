/* json_get.c - typed reads of a JSON tree, with errors that name the place.
 *
 * Nodes do not know their parents, so the path is only looked for when there is
 * an error to report: a walk through the tree down to the node. It is cut to a
 * fixed size and holds keys and indices, never values.
 */
#include <string.h>

#include "codec/internal.h"

/* ---- paths ---------------------------------------------------------------- */

struct path { char text[128]; size_t len; };

static void
path_add(struct path *p, const char *text)
{
    for (; *text && p->len < sizeof p->text - 1; text++)
        p->text[p->len++] = (uint8_t)*text < 0x20 ? '?' : *text;
    p->text[p->len] = 0;
}

static void
path_step(struct path *p, const char *key, size_t index)
{
    char number[DECAI__U256_TEXT_MAX + 1];
    if (key) {
        if (p->len) path_add(p, ".");
        path_add(p, key);
        return;
    }
    decai__u256 n = decai__u256_from_u64(index);
    (void)decai__u256_format(number, &n);
    path_add(p, "[");
    path_add(p, number);
    path_add(p, "]");
}

/* Depth first, as deep as the lexer allowed. */
static bool
path_find(struct path *p, const decai__json_node *at, const decai__json_node *target)
{
    size_t len = p->len, index = 0;
    if (at == target) return true;
    for (const decai__json_node *c = decai__json_first(at); c; c = decai__json_next(c), index++) {
        path_step(p, decai__json_key(c), index);
        if (path_find(p, c, target)) return true;
        p->len = len;
        p->text[len] = 0;
    }
    return false;
}

static void
path_of(struct path *p, const decai__json *doc, const decai__json_node *node)
{
    p->len = 0;
    p->text[0] = 0;
    if (!node || !path_find(p, decai__json_root(doc), node)) path_add(p, "?");
    if (!p->len) path_add(p, "json");
}

int32_t
decai__json_fail(const decai__json *doc, const decai__json_node *node, int32_t code, const char *why)
{
    struct path p;
    path_of(&p, doc, node);
    return decai__fail(code, "%s: %s", p.text, why);
}

static const char *
type_name(int32_t type)
{
    static const char *const names[] = { "nothing", "null", "true or false", "a number", "a string", "an array",
        "an object" };
    return names[type];
}

int32_t
decai__json_expect(const decai__json *doc, const decai__json_node *node, int32_t type)
{
    struct path p;
    int32_t is = decai__json_type(node);
    if (is == type) return 0;
    path_of(&p, doc, node);
    return decai__fail(node ? DECAI_E_CORRUPT : DECAI_E_NOT_FOUND, "%s: %s, %s is needed", p.text, type_name(is),
        type_name(type));
}

/* ---- reads of a node --------------------------------------------------------- */

int32_t
decai__json_str(const decai__json *doc, const decai__json_node *node, const char **text, size_t *len)
{
    *text = NULL;
    if (len) *len = 0;
    int32_t r = decai__json_expect(doc, node, DECAI__JSON_STRING);
    if (r) return r;
    *text = decai__json_value_text(node);
    if (len) *len = strlen(*text);
    return 0;
}

int32_t
decai__json_number(const decai__json *doc, const decai__json_node *node, const char **text)
{
    int32_t r = decai__json_expect(doc, node, DECAI__JSON_NUMBER);
    *text = r ? NULL : decai__json_value_text(node);
    return r;
}

int32_t
decai__json_bool(const decai__json *doc, const decai__json_node *node, bool *out)
{
    int32_t r = decai__json_expect(doc, node, DECAI__JSON_BOOL);
    *out = !r && decai__json_value_bool(node);
    return r;
}

/* The parsers of num name the field themselves; give them the path. The path is
 * only worth its walk when they fail, so parse twice then. */
int32_t
decai__json_i64(const decai__json *doc, const decai__json_node *node, int64_t *out)
{
    const char *text;
    struct path p;
    *out = 0;
    int32_t r = decai__json_number(doc, node, &text);
    if (r || !decai__i64_parse(out, text, strlen(text), "")) return r;
    path_of(&p, doc, node);
    return decai__i64_parse(out, text, strlen(text), p.text);
}

int32_t
decai__json_u64(const decai__json *doc, const decai__json_node *node, uint64_t *out)
{
    const char *text;
    struct path p;
    *out = 0;
    int32_t r = decai__json_number(doc, node, &text);
    if (r || !decai__u64_parse(out, text, strlen(text), "")) return r;
    path_of(&p, doc, node);
    return decai__u64_parse(out, text, strlen(text), p.text);
}

int32_t
decai__json_u256(const decai__json *doc, const decai__json_node *node, decai__u256 *out)
{
    const char *text = NULL;
    struct path p;
    int32_t r = 0;
    *out = decai__u256_from_u64(0);
    if (decai__json_type(node) == DECAI__JSON_STRING) text = decai__json_value_text(node);
    else r = decai__json_number(doc, node, &text);
    if (r || !decai__u256_parse(out, text, strlen(text), "")) return r;
    path_of(&p, doc, node);
    return decai__u256_parse(out, text, strlen(text), p.text);
}

int32_t
decai__json_hex(const decai__json *doc, const decai__json_node *node, uint8_t *out, size_t len)
{
    const char *text;
    size_t text_len;
    struct path p;
    int32_t r = decai__json_str(doc, node, &text, &text_len);
    if (r || !decai__hex_decode(out, len, text, text_len, "")) return r;
    path_of(&p, doc, node);
    return decai__hex_decode(out, len, text, text_len, p.text);
}

/* ---- reads by key -------------------------------------------------------------- */

/* Any type if type is 0. */
static int32_t
member(const decai__json *doc, const decai__json_node *object, const char *key, int32_t type,
    const decai__json_node **out)
{
    struct path p;
    *out = NULL;
    int32_t r = decai__json_expect(doc, object, DECAI__JSON_OBJECT);
    if (r) return r;
    const decai__json_node *found = decai__json_find(object, key);
    if (!found) {
        path_of(&p, doc, object);
        return decai__fail(DECAI_E_NOT_FOUND, "%s.%s: missing", p.text, key);
    }
    r = type ? decai__json_expect(doc, found, type) : 0;
    if (!r) *out = found;
    return r;
}

int32_t
decai__json_get(const decai__json *doc, const decai__json_node *object, const char *key, int32_t type,
    const decai__json_node **out)
{
    return member(doc, object, key, type, out);
}

int32_t
decai__json_get_str(const decai__json *doc, const decai__json_node *object, const char *key,
    const char **text, size_t *len)
{
    const decai__json_node *node;
    int32_t r = member(doc, object, key, 0, &node);
    *text = NULL;
    if (len) *len = 0;
    return r ? r : decai__json_str(doc, node, text, len);
}

int32_t
decai__json_get_bool(const decai__json *doc, const decai__json_node *object, const char *key, bool *out)
{
    const decai__json_node *node;
    int32_t r = member(doc, object, key, 0, &node);
    *out = false;
    return r ? r : decai__json_bool(doc, node, out);
}

int32_t
decai__json_get_i64(const decai__json *doc, const decai__json_node *object, const char *key, int64_t *out)
{
    const decai__json_node *node;
    int32_t r = member(doc, object, key, 0, &node);
    *out = 0;
    return r ? r : decai__json_i64(doc, node, out);
}

int32_t
decai__json_get_u64(const decai__json *doc, const decai__json_node *object, const char *key, uint64_t *out)
{
    const decai__json_node *node;
    int32_t r = member(doc, object, key, 0, &node);
    *out = 0;
    return r ? r : decai__json_u64(doc, node, out);
}

int32_t
decai__json_get_u256(const decai__json *doc, const decai__json_node *object, const char *key,
    decai__u256 *out)
{
    const decai__json_node *node;
    int32_t r = member(doc, object, key, 0, &node);
    *out = decai__u256_from_u64(0);
    return r ? r : decai__json_u256(doc, node, out);
}

int32_t
decai__json_get_hex(const decai__json *doc, const decai__json_node *object, const char *key,
    uint8_t *out, size_t len)
{
    const decai__json_node *node;
    int32_t r = member(doc, object, key, 0, &node);
    return r ? r : decai__json_hex(doc, node, out, len);
}

/* Whether key is one of the space-separated words. */
static bool
listed(const char *words, const char *key)
{
    size_t len = strlen(key);
    for (const char *at = words; *at;) {
        size_t word = strcspn(at, " ");
        if (word == len && !memcmp(at, key, len)) return true;
        at += word;
        while (*at == ' ') at++;
    }
    return false;
}

int32_t
decai__json_only(const decai__json *doc, const decai__json_node *object, const char *keys)
{
    int32_t r = decai__json_expect(doc, object, DECAI__JSON_OBJECT);
    if (r) return r;
    for (const decai__json_node *c = decai__json_first(object); c; c = decai__json_next(c))
        if (!listed(keys, decai__json_key(c))) return decai__json_fail(doc, c, DECAI_E_UNSUPPORTED, "unknown key");
    return 0;
}
