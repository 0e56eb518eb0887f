/* json_check.c - no key twice in one object, whatever its spelling.
 *
 * RFC 8259 leaves duplicates to the reader, and readers differ: the first, the
 * last, an error. A text that two programs read differently must not be signed
 * or paid on, so it is refused here. Keys are compared decoded ("a" is "\u0061").
 *
 * The keys of all open objects are one stack; when an object closes, its part
 * is sorted and neighbours are compared: n log n whatever the keys are, which a
 * hash table under an adversary's keys would not be.
 */
#include <string.h>

#include "codec/internal.h"

struct key { size_t at, len, offset; };             /* bytes at arena + at */

struct check {
    decai_context *ctx;
    const char *text;
    size_t len;
    decai__buf arena;
    struct key *keys;
    size_t count, cap;
    uint32_t depth;
    struct { size_t keys, arena; } mark[DECAI_JSON_DEPTH_MAX];
};

static int
compare(const struct check *c, const struct key *a, const struct key *b)
{
    int order = memcmp(c->arena.data + a->at, c->arena.data + b->at, DECAI__MIN(a->len, b->len));
    if (order) return order;
    return a->len < b->len ? -1 : a->len > b->len;
}

static void
sift(const struct check *c, struct key *keys, size_t root, size_t count)
{
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count) return;
        if (child + 1 < count && compare(c, &keys[child + 1], &keys[child]) > 0) child++;
        if (compare(c, &keys[child], &keys[root]) <= 0) return;
        struct key swap = keys[root];
        keys[root] = keys[child];
        keys[child] = swap;
        root = child;
    }
}

static void
sort(const struct check *c, struct key *keys, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) sift(c, keys, i, count);
    for (size_t end = count; end-- > 1;) {
        struct key swap = keys[0];
        keys[0] = keys[end];
        keys[end] = swap;
        sift(c, keys, 0, end);
    }
}

static int32_t
push_key(struct check *c, const decai__json_event *event)
{
    struct key key = { c->arena.len, event->len, event->offset };
    int32_t r = decai__buf_add(&c->arena, event->text, event->len);
    if (!r) r = decai__buf_add_byte(&c->arena, 0);     /* so that an empty key has an address too */
    if (r) return r;
    if (c->count == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 16;
        struct key *keys = decai__realloc(c->ctx, c->keys, c->cap * sizeof *keys, cap * sizeof *keys);
        if (!keys) return decai__fail(DECAI_E_NOMEM, "json: %zu keys", cap);
        c->keys = keys;
        c->cap = cap;
    }
    c->keys[c->count++] = key;
    return 0;
}

/* The neighbours of a sorted part; the later one of two equal keys is reported. */
static int32_t
find_twice(const struct check *c, const struct key *keys, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (!compare(c, &keys[i - 1], &keys[i]))
            return decai__json_fail_at(c->text, c->len, DECAI__MAX(keys[i - 1].offset, keys[i].offset),
                DECAI_E_CORRUPT, "this key was there before");
    return 0;
}

static int32_t
close_level(struct check *c)
{
    int32_t r = 0;
    c->depth--;
    size_t first = c->mark[c->depth].keys, count = c->count - first;
    if (count > 1) {
        sort(c, c->keys + first, count);
        r = find_twice(c, c->keys + first, count);
    }
    c->count = first;
    c->arena.len = c->mark[c->depth].arena;
    return r;
}

static int32_t
on_event(void *user, const decai__json_event *event)
{
    struct check *c = user;
    switch (event->kind) {
    case DECAI__EVENT_OPEN_OBJECT:
    case DECAI__EVENT_OPEN_ARRAY:
        c->mark[c->depth].keys = c->count;
        c->mark[c->depth].arena = c->arena.len;
        c->depth++;
        return 0;
    case DECAI__EVENT_KEY:
        return push_key(c, event);
    case DECAI__EVENT_CLOSE:
        return close_level(c);
    default:
        return 0;
    }
}

int32_t
decai__json_check(decai_context *ctx, const char *text, size_t len)
{
    return decai__json_check_within(ctx, text, len, &decai__json_limits_default);
}

int32_t
decai__json_check_within(decai_context *ctx, const char *text, size_t len, const decai__json_limits *limits)
{
    struct check c = { .ctx = ctx, .text = text, .len = len };
    decai__buf_init(&c.arena, ctx, limits->text, limits->text_name);
    int32_t r = decai__json_walk_within(ctx, text, len, limits, on_event, &c);
    decai__free(ctx, c.keys);
    decai__buf_free(&c.arena);
    return r;
}
