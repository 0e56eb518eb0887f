/* prefix.c - prompts that begin alike are computed once.
 *
 * A tree over full pages: a node is 64 tokens behind its parent's, and holds the page
 * that these leave in every layer's cache. Equal tokens at equal positions behind
 * equal tokens give equal bits, so a page may stand in for computing it: the key is
 * the tokens themselves, compared one by one; hashes only find them.
 *
 * Whoever touches a node touches its parents after it. So the oldest of all has no
 * children, and throwing out begins there. A session that stands on a node pins it.
 *
 * Records. A position's token root is not in the cache; nodes that a session with an
 * activation tree has filled keep the roots of their 64 positions beside the page,
 * unless something was sampled among them (their roots then speak of the head, too).
 * A session with a tree takes only pages that have roots; one that keeps every node's
 * hash takes none. logits_all and logprobs speak of every position and take none.
 */
#include "infer/prefix.h"

#include <string.h>

int32_t
decai__prefix_open(decai__prefix *p, decai_context *ctx, size_t most)
{
    *p = (decai__prefix){ .ctx = ctx, .most = most, .disk = { .dir = -1 } };
    if (!most) return 0;
    p->bucket = decai__calloc(ctx, PREFIX_BUCKETS, sizeof *p->bucket);
    return p->bucket ? 0 : decai__fail(DECAI_E_NOMEM, "prefixes: %d buckets", PREFIX_BUCKETS);
}

/* ---- the tree ----------------------------------------------------------------------------- */

static uint64_t
mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static uint64_t
hash_of(const prefix_node *parent, const int32_t *tokens)
{
    uint64_t h = parent ? parent->hash : 0;
    for (size_t i = 0; i < DECAI__KV_PAGE; i++) h = mix(h, (uint64_t)(uint32_t)tokens[i]);
    return h;
}

static prefix_node *
find(const decai__prefix *p, const prefix_node *parent, const int32_t *tokens)
{
    uint64_t h = hash_of(parent, tokens);
    prefix_node *n = p->bucket[h % PREFIX_BUCKETS];

    while (n && !(n->parent == parent && n->hash == h && !memcmp(n->tokens, tokens, sizeof n->tokens))) n = n->chain;
    return n;
}

static void
unlink_age(decai__prefix *p, prefix_node *n)
{
    if (n->newer) n->newer->older = n->older;
    else p->newest = n->older;
    if (n->older) n->older->newer = n->newer;
    else p->oldest = n->newer;
}

static void
link_newest(decai__prefix *p, prefix_node *n)
{
    n->newer = NULL;
    n->older = p->newest;
    if (p->newest) p->newest->newer = n;
    else p->oldest = n;
    p->newest = n;
}

static void
touch(decai__prefix *p, prefix_node *n)
{
    for (; n; n = n->parent) {
        unlink_age(p, n);
        link_newest(p, n);
    }
}

static void
node_free(decai__prefix *p, prefix_node *n)
{
    decai__kv_page_drop(n->page);
    decai__free(p->ctx, n->roots);
    decai__free(p->ctx, n);
}

static void
throw_out(decai__prefix *p, prefix_node *n)
{
    prefix_node **at = &p->bucket[n->hash % PREFIX_BUCKETS];

    while (*at != n) at = &(*at)->chain;
    *at = n->chain;
    unlink_age(p, n);
    if (n->parent) n->parent->children--;
    p->bytes -= n->bytes;
    p->count--;
    node_free(p, n);
}

void
decai__prefix_shrink(decai__prefix *p, size_t bytes)
{
    prefix_node *n = p->oldest;

    while (n && p->bytes > bytes) {
        prefix_node *next = n->newer;
        if (!n->pins && !n->children) throw_out(p, n);
        n = next;
    }
}

void
decai__prefix_close(decai__prefix *p)
{
    while (p->newest) {
        prefix_node *n = p->newest;
        p->newest = n->older;
        node_free(p, n);
    }
    decai__free(p->ctx, p->bucket);
    decai__prefix_disk_close(&p->disk);
    *p = (decai__prefix){ .disk = { .dir = -1 } };
}

/* ---- places ---------------------------------------------------------------------------------- */

static void
stand_on(decai__prefix_place *at, prefix_node *n)
{
    if (n) n->pins++;
    if (at->node) at->node->pins--;
    at->node = n;
    at->pages++;
}

void
decai__prefix_leave(decai__prefix_place *at)
{
    if (at->node) at->node->pins--;
    *at = (decai__prefix_place){ .lost = true };
}

/* The device was replaced: pages of the lost one are of no use. Who stands on one
 * stands nowhere now. */
static bool
usable(decai__prefix *p, decai__prefix_place *at, const decai_session *s)
{
    if (!p->bucket || at->lost || s->keep_nodes) return false;
    if (p->count && p->c != s->body->c) {
        if (at->node) decai__prefix_leave(at);
        decai__prefix_shrink(p, 0);
        if (p->count) return false;
    }
    p->c = s->body->c;
    return !at->lost;
}

/* ---- taking and keeping ------------------------------------------------------------------------ */

/* What was computed of the page already is given up for it. */
static int32_t
make_place(decai_session *s, size_t page)
{
    int32_t r = decai__kv_truncate(s->kv, page * DECAI__KV_PAGE);
    if (!r) s->length = page * DECAI__KV_PAGE;
    return r;
}

static prefix_node *node_make(decai__prefix *p, prefix_node *parent, decai_session *s, size_t page);

/* The next page from disk into the session and the tree: NULL, none. */
static prefix_node *
load(decai__prefix *p, prefix_node *parent, decai_session *s, size_t page, int32_t *error)
{
    uint8_t key[32], *roots = NULL;

    if (p->disk.dir < 0) return NULL;
    decai__prefix_key(key, &p->disk, parent ? parent->key : NULL, s->tokens + page * DECAI__KV_PAGE);
    *error = make_place(s, page);
    int32_t r = *error ? 0 : decai__prefix_disk_load(&p->disk, key, s, page, &roots);
    if (r < 0) *error = r;
    if (r <= 0) return NULL;
    if (s->tree) memcpy(s->roots + 32 * s->length, roots, 32 * (size_t)DECAI__KV_PAGE);
    s->length += DECAI__KV_PAGE;
    prefix_node *n = node_make(p, parent, s, page);
    if (n) n->roots = roots;
    else decai__free(p->ctx, roots);
    return n;
}

static int32_t
take_over(decai_session *s, const prefix_node *n, size_t page)
{
    int32_t r = make_place(s, page);

    if (!r) r = decai__kv_page_give(s->kv, page, n->page);
    if (r) return r;
    if (s->tree) memcpy(s->roots + 32 * s->length, n->roots, 32 * (size_t)DECAI__KV_PAGE);
    s->length += DECAI__KV_PAGE;
    return 0;
}

int32_t
decai__prefix_adopt(decai__prefix *p, decai__prefix_place *at, decai_session *s, size_t target)
{
    int32_t r = 0;

    if (!usable(p, at, s) || s->length / DECAI__KV_PAGE != at->pages) return 0;
    while (!r && (at->pages + 1) * DECAI__KV_PAGE < target) {
        prefix_node *n = find(p, at->node, s->tokens + at->pages * DECAI__KV_PAGE);
        if (n && s->tree && !n->roots) break;
        if (n) r = take_over(s, n, at->pages);
        else if (s->length == at->pages * DECAI__KV_PAGE) n = load(p, at->node, s, at->pages, &r);
        if (r || !n) break;
        stand_on(at, n);
        p->hits++;
    }
    if (at->node) touch(p, at->node);
    if (s->length > (at->pages + 1) * DECAI__KV_PAGE - 1) decai__prefix_leave(at);   /* loaded, and no room in the tree */
    return r;
}

/* Roots of page `page`, if the session has them and none is of a sampled position. */
static uint8_t *
roots_of(const decai__prefix *p, const decai_session *s, size_t page)
{
    size_t first = page * DECAI__KV_PAGE;

    if (!s->tree) return NULL;
    for (size_t i = 0; i < DECAI__KV_PAGE; i++)
        if (s->sampled[first + i]) return NULL;
    return decai__memdup(p->ctx, s->roots + 32 * first, 32 * (size_t)DECAI__KV_PAGE);
}

static prefix_node *
node_make(decai__prefix *p, prefix_node *parent, decai_session *s, size_t page)
{
    size_t bytes = decai__kv_page_bytes(s->kv) + sizeof(prefix_node);

    if (bytes > p->most) return NULL;
    decai__prefix_shrink(p, p->most - bytes);
    if (p->bytes > p->most - bytes) return NULL;     /* all others are in use */
    prefix_node *n = decai__calloc(p->ctx, 1, sizeof *n);
    if (!n) return NULL;
    if (decai__kv_page_take(&n->page, s->kv, page)) {
        decai__free(p->ctx, n);
        return NULL;
    }
    memcpy(n->tokens, s->tokens + page * DECAI__KV_PAGE, sizeof n->tokens);
    n->hash = hash_of(parent, n->tokens);
    if (p->disk.dir >= 0) decai__prefix_key(n->key, &p->disk, parent ? parent->key : NULL, n->tokens);
    n->parent = parent;
    if (parent) parent->children++;
    n->bytes = bytes;
    p->bytes += bytes;
    p->count++;
    n->chain = p->bucket[n->hash % PREFIX_BUCKETS];
    p->bucket[n->hash % PREFIX_BUCKETS] = n;
    link_newest(p, n);
    return n;
}

void
decai__prefix_keep(decai__prefix *p, decai__prefix_place *at, decai_session *s)
{
    if (!usable(p, at, s)) return;
    while ((at->pages + 1) * DECAI__KV_PAGE <= s->length) {
        prefix_node *n = find(p, at->node, s->tokens + at->pages * DECAI__KV_PAGE), *known = n;
        if (!n) n = node_make(p, at->node, s, at->pages);
        if (!n) {
            decai__prefix_leave(at);
            return;
        }
        if (!n->roots) n->roots = roots_of(p, s, at->pages);
        if (!known) decai__prefix_disk_save(&p->disk, n->key, s, at->pages, n->roots);
        stand_on(at, n);
        touch(p, n);
    }
}
