/* added.c - encoding as a tokenizer.json asks for it: added tokens, normalizer,
 * added tokens again.
 *
 *     1  tokens that are not "normalized" are looked for in the text as it is
 *     2  each stretch between them is normalized (norm.c)
 *     3  the other tokens, normalized themselves, are looked for in that
 *     4  what lies between is cut and encoded as ever (encode.c)
 *
 * The leftmost token wins, then the longest, then a control token, then the lower
 * id. One that must be a word and is none is passed over with all its text. White
 * space that a token takes along is no text any more, except for a token that
 * begins in it: the search goes on where the token's own text ended. So it is in
 * github.com/huggingface/tokenizers, added_vocabulary.rs. */
#include "tok/added.h"

typedef struct entry { const uint8_t *bytes; uint32_t len, id; bool control; } entry;

typedef struct level {
    entry *list;                     /* in order of bytes */
    uint32_t count;
    uint32_t first[257];             /* list[first[b] .. first[b + 1]) begin with byte b */
    uint8_t starts[256];             /* bit 0: a user-defined token begins with this byte; bit 1: any */
    int32_t only[2];                 /* the byte that all of these begin with, or -1 */
} level;

struct decai__added { level level[2]; uint8_t *pool; };

/* ---- making -------------------------------------------------------------------- */

static int
by_bytes(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    int order = decai__compare_bytes(x->bytes, x->len, y->bytes, y->len);
    if (!order) order = y->control - x->control;
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

static void
index_level(level *l)
{
    uint32_t byte = 0, seen[2] = { 0, 0 };
    decai__sort(l->list, l->count, sizeof *l->list, by_bytes);
    for (uint32_t i = 0; i < l->count; i++) {
        uint8_t b = l->list[i].bytes[0];
        while (byte <= b) l->first[byte++] = i;
        l->starts[b] |= l->list[i].control ? 2 : 3;
    }
    while (byte <= 256) l->first[byte++] = l->count;
    l->only[0] = l->only[1] = -1;
    for (int32_t b = 0; b < 256; b++)
        for (int k = 0; k < 2; k++)
            if (l->starts[b] >> k & 1) l->only[k] = seen[k]++ ? -1 : b;
}

/* What is looked for, into the pool: with U+2581 again; through the normalizer. */
static int32_t
add_entry(decai_tokenizer *t, entry *e, uint8_t asks, decai__buf *pool)
{
    decai__normed text;
    decai__buf plain;
    int32_t r = 0;
    decai__buf_init(&plain, t->h.context, 65536, "added_tokens");
    for (uint32_t i = 0; !r && i < e->len; i++)
        r = (asks & DECAI__ASKS_LITERAL) && e->bytes[i] == ' ' ? decai__buf_add_str(&plain, "\xe2\x96\x81")
            : decai__buf_add_byte(&plain, e->bytes[i]);
    if (!r && (asks & DECAI__ASKS_NORMALIZED)) {
        r = decai__norm_text(t->h.context, &t->norm, plain.data, plain.len, false, &text);
        if (!r) r = decai__buf_add(pool, text.bytes, text.len);
        if (!r) e->len = (uint32_t)text.len;
        decai__norm_free(&text);
    } else if (!r) {
        r = decai__buf_add(pool, plain.data, plain.len);
        e->len = (uint32_t)plain.len;
    }
    decai__buf_free(&plain);
    return r;
}

static int32_t
fill_levels(decai_tokenizer *t, decai__buf *pool)
{
    struct decai__added *a = t->added;
    int32_t r = 0;
    for (uint32_t i = 0; !r && i < t->match_count; i++) {
        uint32_t id = t->match[i];
        uint8_t asks = t->asks ? t->asks[id] : 0;
        bool second = asks & DECAI__ASKS_NORMALIZED;
        entry e = { t->bytes + t->offset[id], (uint32_t)decai__token_len(t, id), id, t->kind[id] != DECAI_TOKEN_USER };
        r = add_entry(t, &e, asks, pool);
        if (!r && e.len) a->level[second].list[a->level[second].count++] = e;
    }
    /* The pool stands still now; its texts are in the order of t->match. */
    uint32_t at = 0, taken[2] = { 0, 0 };
    a->pool = pool->data;
    for (uint32_t i = 0; !r && i < t->match_count; i++) {
        level *l = &a->level[t->asks && (t->asks[t->match[i]] & DECAI__ASKS_NORMALIZED)];
        uint32_t *k = &taken[l == &a->level[1]];
        if (*k == l->count || l->list[*k].id != t->match[i]) continue;
        l->list[*k].bytes = a->pool + at;
        at += l->list[(*k)++].len;
    }
    return r;
}

/* Without a normalizer, and where all are of one kind, "normalized" means nothing. */
static bool
asks_count(decai_tokenizer *t)
{
    uint8_t all = 0, some = 0xff;
    if (!t->asks) return false;
    for (uint32_t i = 0; i < t->match_count; i++) {
        all |= t->asks[t->match[i]];
        some &= t->asks[t->match[i]];
    }
    return all && (t->norm.count || t->rules.space_prefix || all != DECAI__ASKS_NORMALIZED || some != DECAI__ASKS_NORMALIZED);
}

int32_t
decai__added_make(decai_tokenizer *t)
{
    decai_context *ctx = t->h.context;
    decai__buf pool;
    /* Where runs of spaces are one space, Metaspace has none to look for, and cuts
     * where Unigram cuts anyway. */
    if (t->rules.family == DECAI__UGM && t->rules.merge_spaces) {
        if (t->rules.prefix == DECAI__PREFIX_METASPACE) t->rules.prefix = DECAI__PREFIX_PREPEND;
        if (t->cut_spaces) t->rules.split = false;
    }
    /* After each user-defined token or only after control tokens: without any of
     * the first there is no difference. */
    if (t->rules.prefix == DECAI__PREFIX_PREPEND && !t->user_count) t->rules.prefix = DECAI__PREFIX_CONTROL;
    if (!t->norm.count && t->rules.prefix == DECAI__PREFIX_CONTROL && !asks_count(t)) return 0;
    t->added = decai__calloc(ctx, 1, sizeof *t->added);
    if (!t->added) return decai__fail(DECAI_E_NOMEM, "added_tokens: no memory");
    for (int i = 0; i < 2; i++) {
        t->added->level[i].list = decai__calloc(ctx, t->match_count + 1, sizeof(entry));
        if (!t->added->level[i].list) return decai__fail(DECAI_E_NOMEM, "added_tokens: no memory for %u", t->match_count);
    }
    decai__buf_init(&pool, ctx, UINT32_MAX, "added_tokens");
    int32_t r = fill_levels(t, &pool);
    index_level(&t->added->level[0]);
    index_level(&t->added->level[1]);
    return r;
}

void
decai__added_free(decai_tokenizer *t)
{
    decai_context *ctx = t->h.context;
    if (t->added) {
        decai__free(ctx, t->added->level[0].list);
        decai__free(ctx, t->added->level[1].list);
        decai__free(ctx, t->added->pool);
        decai__free(ctx, t->added);
    }
    decai__free(ctx, t->asks);
}

/* ---- looking ---------------------------------------------------------------------- */

/* First place in list[low, high) whose byte at `depth` is >= byte; all of them share
 * their first `depth` bytes, shorter ones come first. */
static uint32_t
narrow(const level *l, uint32_t low, uint32_t high, size_t depth, uint32_t byte)
{
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (l->list[mid].len <= depth || l->list[mid].bytes[depth] < byte) low = mid + 1;
        else high = mid;
    }
    return low;
}

static const entry *
match_at(const level *l, const uint8_t *p, const uint8_t *end, bool control)
{
    const entry *best = NULL;
    uint32_t low = l->first[*p], high = l->first[*p + 1];
    for (size_t depth = 1; low < high; depth++) {
        bool found = false;
        for (; low < high && l->list[low].len == depth; low++) {
            if (found || (l->list[low].control && !control)) continue;
            best = &l->list[low];
            found = true;
        }
        if (p + depth == end) break;
        high = narrow(l, low, high, depth, (uint32_t)p[depth] + 1);
        low = narrow(l, low, high, depth, p[depth]);
    }
    return best;
}

static const entry *
next_match(const level *l, const uint8_t **at, const uint8_t *end, bool control)
{
    const uint8_t *p = *at;
    if (!l->count) return NULL;
    for (; p < end; p++) {
        if (l->only[control] >= 0 && !(p = memchr(p, l->only[control], (size_t)(end - p)))) return NULL;
        if (!(l->starts[*p] >> control & 1)) continue;
        const entry *e = match_at(l, p, end, control);
        if (!e) continue;
        *at = p;
        return e;
    }
    return NULL;
}

static const uint8_t *
char_before(const uint8_t *text, const uint8_t *p, uint32_t *c)
{
    const uint8_t *n, *q = p - 1;
    while (q > text && p - q < 4 && (*q & 0xc0) == 0x80) q--;
    *c = decai__utf8_next(q, p, &n);
    if (n == p) return q;
    *c = DECAI__BAD;
    return p - 1;
}

/* A joiner is a word character beside a token, if not elsewhere. */
static bool
is_beside_word(uint32_t c)
{
    return c == 0x200c || c == 0x200d || (c != DECAI__BAD && decai__is_word(c));
}

static bool
is_alone(const uint8_t *text, const uint8_t *from, const uint8_t *to, const uint8_t *end)
{
    uint32_t c;
    const uint8_t *n;
    if (from > text && (char_before(text, from, &c), is_beside_word(c))) return false;
    return to == end || !is_beside_word(decai__utf8_next(to, end, &n));
}

/* ---- one level ------------------------------------------------------------------------ */

/* A walk over a text: [done, from) is plain, then comes `found` up to `stop`. */
typedef struct walk {
    const level *level;
    const uint8_t *asks;
    const uint8_t *text, *end, *done, *search, *run;
    bool control;
    const uint8_t *from, *stop;
    const entry *found;
} walk;

static walk
walk_begin(const decai_tokenizer *t, int which, const uint8_t *text, size_t len, bool control)
{
    return (walk){ .level = &t->added->level[which], .asks = t->asks, .text = text, .end = text + len, .done = text,
        .search = text, .run = text, .control = control };
}

/* False: nothing more, [from, end) is plain. */
static bool
walk_next(walk *k)
{
    const uint8_t *n;
    uint32_t c;
    k->from = k->done;
    while ((k->found = next_match(k->level, &k->search, k->end, k->control)) != NULL) {
        const uint8_t *at = k->search, *to = at + k->found->len;
        uint8_t asks = k->asks ? k->asks[k->found->id] : 0;
        k->search = to;
        if ((asks & DECAI__ASKS_WORD) && !is_alone(k->text, at, to, k->end)) continue;
        if (asks & DECAI__ASKS_LSTRIP)
            for (const uint8_t *q; at > k->done && (q = char_before(k->text, at, &c), decai__unicode_class(c) == DECAI__SPACE);) at = q;
        k->stop = to;
        if (asks & DECAI__ASKS_RSTRIP) {
            /* A run of spaces is walked once, whatever tokens are in it. */
            if (k->run < to)
                for (k->run = to; k->run < k->end && decai__class_next(k->run, k->end, &n) == DECAI__SPACE;) k->run = n;
            k->stop = k->run;
        }
        k->from = DECAI__MAX(at, k->done);
        /* The token before took it all along. */
        if ((asks & DECAI__ASKS_LSTRIP) && k->from >= k->stop) continue;
        return true;
    }
    k->from = k->stop = k->end;
    return false;
}

/* ---- the text ---------------------------------------------------------------------------- */

/* A stretch without tokens of the first level, which begins at `base`. */
static int32_t
encode_stretch(decai__work *w, const uint8_t *text, size_t len, uint64_t base, bool first, bool control)
{
    const decai_tokenizer *t = w->t;
    decai__ids *ids = w->ids;
    decai__normed n;
    size_t before = ids->len;
    int32_t r = decai__norm_text(w->ctx, &t->norm, text, len, ids->ends != NULL, &n);
    walk k = walk_begin(t, 1, n.bytes, n.len, control);
    uint64_t from = n.owned ? 0 : base;
    for (bool more = true; !r && more;) {
        const uint8_t *p = k.done;
        more = walk_next(&k);
        const uint8_t *stop = more ? k.from : n.bytes + n.len;
        bool lead = t->rules.prefix == DECAI__PREFIX_METASPACE || (first && (p == n.bytes || t->rules.prefix == DECAI__PREFIX_CONTROL));
        r = decai__encode_plain(w, p, (size_t)(stop - p), from + (uint64_t)(p - n.bytes), lead);
        if (r || !more) break;
        k.done = DECAI__MAX(k.done, k.stop);
        first = t->rules.prefix == DECAI__PREFIX_CONTROL ? k.found->control : first;
        r = decai__ids_add(ids, (int32_t)k.found->id, from + (uint64_t)(k.done - n.bytes));
    }
    for (size_t i = before; !r && n.owned && n.ends && i < ids->len; i++) ids->ends[i] = base + n.ends[ids->ends[i]];
    decai__norm_free(&n);
    return r;
}

int32_t
decai__encode_added(decai__work *w, const uint8_t *text, size_t len, bool control)
{
    const decai_tokenizer *t = w->t;
    enum decai__prefix prefix = t->rules.prefix;
    walk k = walk_begin(t, 0, text, len, control);
    bool first = true;
    int32_t r = 0;
    for (bool more = true; !r && more;) {
        const uint8_t *p = k.done;
        more = walk_next(&k);
        const uint8_t *stop = more ? k.from : text + len;
        if (stop > p) r = encode_stretch(w, p, (size_t)(stop - p), (uint64_t)(p - text), first, control);
        if (r || !more) break;
        k.done = DECAI__MAX(k.done, k.stop);
        first = prefix == DECAI__PREFIX_CONTROL ? k.found->control : prefix != DECAI__PREFIX_METASPACE_FIRST;
        r = decai__ids_add(w->ids, (int32_t)k.found->id, (uint64_t)(k.done - text));
    }
    return r;
}
