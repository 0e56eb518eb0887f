/* encode.c - text to ids: tokens matched as a whole, then pieces, then tokens.
 *
 * User-defined tokens are always looked for; control tokens (and the unknown
 * token) only with DECAI_ENCODE_SPECIAL, so that a user's text cannot steer the
 * model by spelling a control token. The leftmost match wins, and of those the
 * longest. Matching costs at most text length times the longest such token
 * (DECAI__SPECIAL_BYTES_MAX), by narrowing a sorted list byte by byte.
 *
 * Here texts are cut; piece.c makes ids of the pieces. */
#include "tok/added.h"
#include "tok/cache.h"

#define CACHE_TEXT 512u              /* shorter texts make no table; they use one that is there */

/* ---- ids ------------------------------------------------------------------------ */

int32_t
decai__ids_grow(decai__ids *ids)
{
    if (ids->borrowed) {
        ids->dropped += ids->len;
        ids->data = ids->spill;
        ids->cap = DECAI__COUNT(ids->spill);
        ids->len = 0;
        return 0;
    }
    size_t cap = ids->cap < 64 ? 64 : ids->cap + ids->cap / 2;
    int32_t *data = decai__realloc(ids->ctx, ids->data, ids->cap * sizeof *data, cap * sizeof *data);
    if (!data) return decai__fail(DECAI_E_NOMEM, "ids: no memory for %zu", cap);
    ids->data = data;
    if (ids->ends) {
        uint64_t *ends = decai__realloc(ids->ctx, ids->ends, ids->cap * sizeof *ends, cap * sizeof *ends);
        if (!ends) return decai__fail(DECAI_E_NOMEM, "ids: no memory for the ends of %zu", cap);
        ids->ends = ends;
    }
    ids->cap = cap;
    return 0;
}

void
decai__ids_back(decai__ids *ids, size_t total)
{
    if (total >= ids->dropped) {
        ids->len = total - ids->dropped;
        return;
    }
    ids->dropped = total;            /* only counted by now: which ids they were does not matter */
    ids->len = 0;
}

/* ---- tokens matched as a whole ------------------------------------------------------ */

/* First place in match[low, high) whose byte at `depth` is >= byte. All of the
 * range share their first `depth` bytes; shorter tokens come first. */
static uint32_t
narrow(const decai_tokenizer *t, uint32_t low, uint32_t high, size_t depth, uint32_t byte)
{
    while (low < high) {
        uint32_t mid = low + (high - low) / 2, id = t->match[mid];
        bool less = decai__token_len(t, id) <= depth || t->bytes[t->offset[id] + depth] < byte;
        if (less) low = mid + 1;
        else high = mid;
    }
    return low;
}

/* The longest token that stands at p; -1: none. */
static int32_t
match_at(const decai_tokenizer *t, const uint8_t *p, const uint8_t *end, bool control)
{
    int32_t best = -1;
    uint32_t low = t->match_first[*p], high = t->match_first[*p + 1];
    for (size_t depth = 1; low < high; depth++) {
        /* Tokens that end here come first in the range, lower ids first. */
        bool found = false;
        for (; low < high && decai__token_len(t, t->match[low]) == depth; low++) {
            if (found || !(control || t->kind[t->match[low]] == DECAI_TOKEN_USER)) continue;
            best = (int32_t)t->match[low];
            found = true;
        }
        if (p + depth == end) break;
        high = narrow(t, low, high, depth, (uint32_t)p[depth] + 1);
        low = narrow(t, low, high, depth, p[depth]);
    }
    return best;
}

/* The next token that is matched as a whole, at or behind p; NULL: none. */
static const uint8_t *
next_match(const decai_tokenizer *t, const uint8_t *p, const uint8_t *end, bool control, int32_t *id)
{
    *id = -1;
    int32_t only = control ? t->match_byte : t->user_byte;
    if (!(control ? t->match_count : t->user_count)) return NULL;
    for (; p < end; p++) {
        if (only >= 0 && !(p = memchr(p, only, (size_t)(end - p)))) return NULL;
        if (control ? t->match_first[*p] == t->match_first[*p + 1] : !t->user_first[*p]) continue;
        *id = match_at(t, p, end, control);
        if (*id >= 0) return p;
    }
    return NULL;
}

/* ---- a stretch between tokens that are matched as a whole ------------------------------- */

/* Pieces on their way to decai__pieces_add. */
typedef struct pending {
    decai__work *w;
    const uint8_t *text, *end;       /* w->base is where text begins */
    size_t count;
    const uint8_t *from[DECAI__PIECES], *to[DECAI__PIECES];
    bool inner[DECAI__PIECES];
} pending;

static int32_t
flush(pending *b)
{
    size_t count = b->count;
    b->count = 0;
    return count ? decai__pieces_add(b->w, b->from, b->to, count, b->text, b->end, b->inner) : 0;
}

static inline int32_t
add_part(pending *b, const uint8_t *from, const uint8_t *to, bool inner)
{
    b->from[b->count] = from;
    b->to[b->count] = to;
    b->inner[b->count] = inner;
    return ++b->count == DECAI__PIECES ? flush(b) : 0;
}

static inline int32_t
add_piece(pending *b, const uint8_t *from, const uint8_t *to)
{
    return add_part(b, from, to, false);
}

/* A piece of a script without spaces is long and hardly ever comes again. Between
 * two characters that stand side by side in no token nothing is ever merged: its
 * parts come again. */
#define PARTS_BYTES 12u

static bool
has_parts(const uint8_t *p, const uint8_t *e)
{
    if (e - p <= (ptrdiff_t)PARTS_BYTES) return false;
    for (int i = 0; i < 4; i++)
        if (p[i] >= 0xe0) return true;
    return false;
}

static int32_t
add_parts(pending *b, const uint8_t *from, const uint8_t *end)
{
    const decai_tokenizer *t = b->w->t;
    const uint8_t *start = from, *p = from, *next;
    uint32_t left = decai__utf8_next(p, end, &p);
    int32_t r = 0;
    for (; p < end; p = next) {
        uint32_t right = decai__utf8_next(p, end, &next);
        if (left != DECAI__BAD && right != DECAI__BAD && (left | right) >= 0x80 && !decai__joins(t, left, right, p[-1], *p)) {
            r = add_part(b, from, p, true);
            if (r) return r;
            from = p;
        }
        left = right;
    }
    return add_part(b, from, end, from != start);    /* in one part it is what the pattern gave */
}

/* Pieces that follow one another, some of them in parts. */
static int32_t
add_pieces(decai__work *w, const uint8_t *const *at, size_t count, const uint8_t *text, const uint8_t *end)
{
    pending b;
    size_t i = 0;
    int32_t r = 0;
    while (i < count && !has_parts(at[i], at[i + 1])) i++;
    if (i == count) return decai__pieces_add(w, at, at + 1, count, text, end, NULL);
    b.w = w, b.text = text, b.end = end, b.count = 0;
    for (i = 0; !r && i < count; i++)
        r = has_parts(at[i], at[i + 1]) ? add_parts(&b, at[i], at[i + 1]) : add_piece(&b, at[i], at[i + 1]);
    return r ? r : flush(&b);
}

/* Pieces that follow one another. */
static int32_t
encode_scanned(decai__work *w, const uint8_t *text, size_t len, uint64_t base)
{
    const uint8_t *at[DECAI__PIECES + 1], *end = text + len;
    decai__many_fn *many = decai__scan_many(w->t->rules.pre);
    decai__cut_fn *cut = decai__scan_single(w->t->rules.pre);
    const uint8_t *piece;
    decai__scanner s;
    size_t n, piece_len;
    int32_t r = 0;
    if (!cut) decai__scan_begin(&s, w->t->rules.pre, text, len);
    w->base = base;
    at[0] = text;
    while (!r && at[0] < end) {
        if (many) n = many(w->t->rules.pre, at[0], end, at + 1, DECAI__PIECES);
        else if (cut)
            for (n = 0; n < DECAI__PIECES && at[n] < end; n++) at[n + 1] = cut(at[n], end);
        else
            for (n = 0; n < DECAI__PIECES && decai__scan_next(&s, &piece, &piece_len); n++) at[n + 1] = s.pos;
        r = add_pieces(w, at, n, text, end);
        at[0] = at[n];
    }
    return r;
}

int32_t
decai__norm_add(decai__work *w, const uint8_t *bytes, size_t len, size_t end)
{
    if (w->norm_len + len + 1 > w->norm_cap) {
        size_t cap = 2 * (w->norm_len + len) + 256;
        uint8_t *norm = decai__realloc(w->ctx, w->norm, w->norm_cap, cap);
        if (norm) w->norm = norm;
        uint32_t *ends = norm ? decai__realloc(w->ctx, w->norm_end, w->norm_cap * sizeof *ends, cap * sizeof *ends) : NULL;
        if (!ends) return decai__fail(DECAI_E_NOMEM, "text: no memory for %zu bytes", cap);
        w->norm_end = ends;
        w->norm_cap = cap;
    }
    for (size_t i = 0; i < len; i++) {
        w->norm[w->norm_len++] = bytes[i];
        w->norm_end[w->norm_len] = (uint32_t)end;
    }
    return 0;
}

/* U+2581, which stands for a space. */
static inline bool
is_mark(const uint8_t *p, const uint8_t *end)
{
    return end - p > 2 && p[0] == 0xe2 && p[1] == 0x96 && p[2] == 0x81;
}

static bool
has_mark(const uint8_t *p, const uint8_t *end)
{
    while ((p = memchr(p, 0xe2, (size_t)(end - p))) != NULL) {
        if (is_mark(p, end)) return true;
        if (++p == end) break;
    }
    return false;
}

/* Where a text without pre-tokens may be cut: before a space that follows none,
 * if nothing goes on over it (Unigram); between any two characters that stand side
 * by side in no token (the others). */
static const uint8_t *
spaces_cut(const decai_tokenizer *t, const uint8_t *p, const uint8_t *end)
{
    if (t->rules.family != DECAI__UGM) {
        bool mark = is_mark(p, end);
        for (uint8_t last = mark ? ' ' : *p, b; (p += mark ? 3 : 1) < end; last = b) {
            mark = is_mark(p, end);
            b = mark ? ' ' : *p;
            if ((t->rules.split && b == ' ') || (!decai__pair_in_token(t, last, b) && (b & 0xc0) != 0x80)) return p;
        }
        return end;
    }
    uint8_t line = t->cut_lines && t->rules.merge_spaces ? '\n' : ' ';
    if (!t->cut_spaces) return end;
    while (p < end && (*p == ' ' || *p == line)) p++;
    while (p < end && *p != ' ' && *p != line) p++;
    return p;
}

/* A piece that is rewritten first: a space put before it, U+2581 made spaces. */
static int32_t
rewritten_piece(decai__work *w, const uint8_t *text, size_t len, bool prefix)
{
    int32_t r = 0;
    w->norm_len = 0;
    if (prefix) r = decai__norm_add(w, (const uint8_t *)" ", 1, 0);
    for (size_t i = 0; !r && i < len; i++) {
        bool mark = len - i > 2 && text[i] == 0xe2 && text[i + 1] == 0x96 && text[i + 2] == 0x81;
        i += mark ? 2 : 0;
        r = decai__norm_add(w, mark ? (const uint8_t *)" " : text + i, 1, i + 1);
    }
    if (r) return r;
    w->map = w->norm_end;
    r = decai__piece_merged(w, w->norm, w->norm_len, false);
    w->map = NULL;
    return r;
}

/* A piece that is not like all others. */
static int32_t
add_odd(pending *b, const uint8_t *p, const uint8_t *e, bool prefix)
{
    decai__work *w = b->w;
    uint64_t base = w->base;
    int32_t r = flush(b);
    w->base = base + (uint64_t)(p - b->text);
    if (!r && w->t->rules.family == DECAI__UGM) r = decai__piece_new(w, p, (size_t)(e - p), true, false);
    else if (!r) r = rewritten_piece(w, p, (size_t)(e - p), prefix);
    w->base = base;
    return r;
}

/* Does Metaspace put a space before this text? Not before one that is there; and
 * never where a step of the normalizer did. */
static bool
metaspace_leads(const decai_tokenizer *t, const uint8_t *text, size_t len)
{
    return t->rules.prefix != DECAI__PREFIX_NORM && *text != ' ' && !is_mark(text, text + len);
}

/* SentencePiece and its like: spaces are letters. */
static int32_t
encode_spaced(decai__work *w, const uint8_t *text, size_t len, uint64_t base, bool first)
{
    pending b = { .w = w, .text = text, .end = text + len };
    bool unigram = w->t->rules.family == DECAI__UGM, prefix = first && (unigram || w->t->rules.space_prefix);
    if (!unigram && w->t->rules.prefix >= DECAI__PREFIX_NORM) prefix = prefix && metaspace_leads(w->t, text, len);
    int32_t r = 0;
    w->base = base;
    for (const uint8_t *p = text, *e; !r && p < b.end; p = e) {
        e = spaces_cut(w->t, p, b.end);
        if (prefix || (!unigram && has_mark(p, e))) r = add_odd(&b, p, e, prefix);
        else r = add_piece(&b, p, e);
        prefix = false;
    }
    return r ? r : flush(&b);
}

/* Gemma 4: lines, and a run of line ends that is a token is that token. */
static int32_t
encode_lines(decai__work *w, const uint8_t *text, size_t len, uint64_t base)
{
    decai__scanner s;
    const uint8_t *line;
    size_t n;
    int32_t r = 0;
    decai__scan_begin(&s, w->t->rules.pre, text, len);
    while (!r && decai__scan_next(&s, &line, &n)) {
        uint64_t at = base + (uint64_t)(line - text);
        int32_t id = *line == '\n' && n <= w->t->token_bytes_max ? decai__piece_find(w->t, line, n) : -1;
        if (id >= 0) r = decai__ids_add(w->ids, id, at + n);
        else r = encode_spaced(w, line, n, at, false);
    }
    return r;
}

/* ASCII spaces and signs end a word; control characters vanish from it later. */
static inline bool
ends_word(uint8_t b)
{
    if (b == ' ' || (b >= 9 && b <= 13 && b != 11 && b != 12)) return true;
    return b > 0x20 && b < 0x7f && (uint8_t)((b | 32) - 'a') >= 26 && (uint8_t)(b - '0') >= 10;
}

/* WordPiece: pieces between ASCII spaces and signs; each sign alone. */
static int32_t
encode_words(decai__work *w, const uint8_t *text, size_t len, uint64_t base)
{
    pending b = { .w = w, .text = text, .end = text + len };
    const uint8_t *end = b.end, *e;
    int32_t r = 0;
    w->base = base;
    for (const uint8_t *p = text; !r && p < end; p = e) {
        e = p;
        while (e < end && (*e == ' ' || *e == '\n')) e++;
        const uint8_t *word = e;
        while (e < end && !ends_word(*e)) e++;
        if (e == word && e < end) e++;
        if (e == word) break;
        r = add_piece(&b, word, e);
    }
    if (!r) r = flush(&b);
    /* Spaces at the end are the last word's. */
    if (!r && len && (end[-1] == ' ' || end[-1] == '\n') && w->ids->ends && w->ids->len) w->ids->ends[w->ids->len - 1] = base + len;
    return r;
}

int32_t
decai__encode_plain(decai__work *w, const uint8_t *text, size_t len, uint64_t base, bool first)
{
    if (!len) return 0;
    switch (w->t->rules.family) {
    case DECAI__BPE: return encode_scanned(w, text, len, base);
    case DECAI__BPE_RAW:
        return w->t->rules.pre == DECAI__PRE_LINES ? encode_lines(w, text, len, base) : encode_spaced(w, text, len, base, first);
    case DECAI__WPM: return encode_words(w, text, len, base);
    case DECAI__RWKV:
        w->base = base;
        return decai__rwkv_piece(w, text, len);
    default: return encode_spaced(w, text, len, base, first);
    }
}

/* ---- the text --------------------------------------------------------------------------- */

/* The tables of an earlier call, if there are some that no other call has now. */
int32_t
decai__encode_begin(decai__work *w, const decai_tokenizer *t, decai__ids *ids, size_t len)
{
    *w = (decai__work){ .ctx = decai__context_of(t), .t = t, .ids = ids };
    if (ids->ends) return 0;
    for (size_t i = 0; i < DECAI__CACHES && !w->cache; i++)
        w->cache = atomic_exchange(&((decai_tokenizer *)(uintptr_t)t)->cache[i], NULL);
    if (w->cache || len < CACHE_TEXT) return 0;
    w->cache = decai__cache_make(w->ctx);
    return w->cache ? 0 : decai__fail(DECAI_E_NOMEM, "text: no memory for a table of pieces");
}

void
decai__encode_end(decai__work *w)
{
    decai__free(w->ctx, w->symbols);
    decai__free(w->ctx, w->heap);
    decai__free(w->ctx, w->norm);
    decai__free(w->ctx, w->norm_end);
    decai__free(w->ctx, w->best);
    for (size_t i = 0; i < DECAI__CACHES && w->cache; i++) {
        decai__cache *none = NULL;
        if (atomic_compare_exchange_strong(&((decai_tokenizer *)(uintptr_t)w->t)->cache[i], &none, w->cache)) w->cache = NULL;
    }
    decai__cache_free(w->ctx, w->cache);
}

static int32_t
encode_all(decai__work *w, const uint8_t *text, size_t len, bool control)
{
    const decai_tokenizer *t = w->t;
    const uint8_t *p = text, *end = text + len;
    bool first = true;
    int32_t r = 0;
    if (t->added) return decai__encode_added(w, text, len, control);
    while (!r && p < end) {
        int32_t id;
        const uint8_t *at = next_match(t, p, end, control, &id), *stop = at ? at : end;
        r = decai__encode_plain(w, p, (size_t)(stop - p), (uint64_t)(p - text), first);
        first = at ? t->kind[id] != DECAI_TOKEN_USER : false;
        if (r || !at) return r;
        p = at + decai__token_len(t, (uint32_t)id);
        r = decai__ids_add(w->ids, id, (uint64_t)(p - text));
    }
    return r;
}

int32_t
decai__encode_text(decai__work *w, const uint8_t *text, size_t len, int32_t flags)
{
    const decai_tokenizer *t = w->t;
    decai__ids *ids = w->ids;
    bool control = flags & DECAI_ENCODE_SPECIAL, add = flags & DECAI_ENCODE_ADD;
    /* Before any pointer is made of it: text + a wild len is not a pointer. */
    if (len > t->text_max) return decai__fail(DECAI_E_LIMIT, "tok.text_max: %zu bytes are above %zu", len, t->text_max);
    int32_t r = add && t->add_bos ? decai__ids_add(ids, t->special[DECAI__BOS], 0) : 0;
    size_t body = ids->len;
    if (!r) r = encode_all(w, text, len, control);
    /* What was dropped at the end (spaces, mostly) belongs to the last token. */
    if (!r && ids->ends && ids->len > body) ids->ends[ids->len - 1] = len;
    if (!r && add && t->add_eos) r = decai__ids_add(ids, t->special[DECAI__EOS], len);
    else if (!r && add && t->add_sep && t->rules.family == DECAI__WPM) r = decai__ids_add(ids, t->special[DECAI__SEPARATOR], len);
    return r;
}

int32_t
decai__encode(const decai_tokenizer *t, decai__ids *ids, const uint8_t *text, size_t len, int32_t flags)
{
    decai__work w;
    int32_t r = decai__encode_begin(&w, t, ids, len);
    if (!r) r = decai__encode_text(&w, text, len, flags);
    decai__encode_end(&w);
    return r;
}

int32_t
decai__tok_encode(const decai_tokenizer *t, decai__buf *out, const uint8_t *text, size_t len, int32_t flags)
{
    decai__ids ids = { .ctx = decai__context_of(t) };
    int32_t r = decai__encode(t, &ids, text, len, flags);
    if (!r && ids.len) r = decai__buf_add(out, ids.data, ids.len * sizeof *ids.data);
    decai__free(ids.ctx, ids.data);
    return r;
}
