/* bpe.c - pair encoding of one piece of text in O(n log n).
 *
 * A piece starts as one symbol a byte (byte-level BPE) or a character (the
 * others). While some neighbouring pair can be merged, the pair of least rank
 * (leftmost on a tie) becomes one symbol. Ranks come from the table of merges,
 * or, in SentencePiece, from the score of the token that the pair would be.
 * Sources: Sennrich, Haddow, Birch 2016; SentencePiece's bpe_model.cc.
 *
 * A short piece looks through all its pairs at each step. A longer one keeps its
 * symbols in a list and those that have a merge in a heap, which knows where each
 * stands. Pieces longer than WINDOW are done window by window: tokens t1 .. tn,
 * each pair of neighbours of which encodes to itself, are the encoding of their
 * text. (While no merge has crossed a border, what happens in two neighbours is
 * what happens in their text alone, in the same order; so a first merge across a
 * border would also be made there.) So the border between two windows has only to
 * be tried with the tokens beside it; if that fails, another border is taken, and
 * in the end larger windows, or the whole piece as one. Memory stays a window's,
 * time O(n log n). */
#include "tok/internal.h"

#define NONE UINT32_MAX
#define SHORT 40u                    /* symbols up to which looking through is quicker */
#define WINDOW 4096u
#define TRIES 8                      /* borders tried */

/* ---- symbols ------------------------------------------------------------------ */

static int32_t
make_room(decai__work *w, size_t len)
{
    if (len <= w->symbol_cap) return 0;
    decai__free(w->ctx, w->symbols);
    decai__free(w->ctx, w->heap);
    w->symbol_cap = 0;
    w->heap = NULL;
    size_t cap = len < 256 ? 256 : len, bytes;
    w->symbols = cap < NONE && decai__mul_size(&bytes, cap + 1, sizeof *w->symbols) ? decai__alloc(w->ctx, bytes) : NULL;
    if (w->symbols) w->heap = decai__alloc(w->ctx, cap * sizeof *w->heap);
    if (!w->heap) return decai__fail(DECAI_E_NOMEM, "text: no memory for a stretch of %zu bytes", len);
    w->symbol_cap = cap;
    return 0;
}

/* One symbol a byte or a character; how many. */
static int32_t
split(decai__work *w, const uint8_t *text, uint32_t len, uint32_t *count)
{
    const decai_tokenizer *t = w->t;
    decai__symbol *s = w->symbols;
    uint32_t n = 0;
    for (uint32_t i = 0; i < len; n++) {
        const uint8_t *next = text + i + 1;
        int32_t id;
        if (t->rules.family == DECAI__BPE) {
            id = t->byte_id[text[i]];
            if (id < 0) return decai__fail(DECAI_E_UNSUPPORTED, "text: this vocabulary has no token for byte 0x%02x", text[i]);
        } else {
            decai__utf8_next(text + i, text + len, &next);
            id = decai__piece_find(t, text + i, (size_t)(next - text) - i);
        }
        s[n] = (decai__symbol){ i, n - 1, n + 1, NONE, NONE, id, -1 };
        i = (uint32_t)(next - text);
    }
    s[0].prev = s[n - 1].next = NONE;
    s[n].start = len;                /* the end, for lengths */
    *count = n;
    return 0;
}

/* Least rank first: a score as an integer that falls while the score rises. */
static uint32_t
rank_of_score(float score)
{
    uint32_t bits;
    memcpy(&bits, &score, 4);
    return ~(bits & 0x80000000u ? ~bits : bits | 0x80000000u);
}

/* Can the text [start, end), two symbols, be one? */
static inline uint32_t
look_up(const decai_tokenizer *t, int32_t left, int32_t right, const uint8_t *text, uint32_t start, uint32_t end, int32_t *merged)
{
    if (t->rules.family == DECAI__SPM) {
        *merged = end - start > t->token_bytes_max ? -1 : decai__piece_find(t, text + start, end - start);
        return *merged < 0 ? NONE : rank_of_score(t->score[*merged]);
    }
    if (t->rules.family == DECAI__BPE && end - start == 2) {
        uint32_t rank = t->byte_merge[(uint32_t)text[start] << 8 | text[start + 1]];
        if (rank != NONE) *merged = (int32_t)t->merges[rank].merged;
        return rank;
    }
    uint32_t rank = left < 0 || right < 0 ? NONE : decai__merge_rank(t, (uint32_t)left, (uint32_t)right);
    if (rank != NONE) *merged = (int32_t)t->merges[rank].merged;
    return rank;
}

static inline uint32_t
end_of(const decai__symbol *s, uint32_t i, uint32_t count)
{
    return s[s[i].next == NONE ? count : s[i].next].start;
}

/* ---- short: look through all pairs -------------------------------------------------- */

static uint32_t
merge_short(decai__work *w, const uint8_t *text, uint32_t count)
{
    decai__symbol *s = w->symbols;
    const decai_tokenizer *t = w->t;
    for (uint32_t i = 0; i + 1 < count; i++)
        s[i].rank = look_up(t, s[i].id, s[i + 1].id, text, s[i].start, s[i + 2].start, &s[i].merged);
    for (uint32_t n = count;;) {
        uint32_t best = NONE, at = 0;
        for (uint32_t i = 0; i + 1 < n; i++)
            if (s[i].rank < best) best = s[at = i].rank;
        if (best == NONE) return n;
        s[at].id = s[at].merged;
        memmove(s + at + 1, s + at + 2, (n - at - 1) * sizeof *s);   /* the end mark too */
        n--;
        s[at].rank = at + 1 < n ? look_up(t, s[at].id, s[at + 1].id, text, s[at].start, s[at + 2].start, &s[at].merged) : NONE;
        if (at) s[at - 1].rank = look_up(t, s[at - 1].id, s[at].id, text, s[at - 1].start, s[at + 1].start, &s[at - 1].merged);
    }
}

/* ---- long: a heap of symbols, least rank first, then the leftmost ------------------------ */

static bool
before(const decai__symbol *s, uint32_t a, uint32_t b)
{
    return s[a].rank != s[b].rank ? s[a].rank < s[b].rank : a < b;
}

static void
place(decai__work *w, uint32_t slot, uint32_t symbol)
{
    w->heap[slot] = symbol;
    w->symbols[symbol].slot = slot;
}

static void
sift_up(decai__work *w, uint32_t slot)
{
    uint32_t symbol = w->heap[slot];
    for (; slot && before(w->symbols, symbol, w->heap[(slot - 1) / 2]); slot = (slot - 1) / 2)
        place(w, slot, w->heap[(slot - 1) / 2]);
    place(w, slot, symbol);
}

static void
sift_down(decai__work *w, uint32_t slot, uint32_t count)
{
    uint32_t symbol = w->heap[slot];
    for (uint32_t child; (child = 2 * slot + 1) < count; slot = child) {
        if (child + 1 < count && before(w->symbols, w->heap[child + 1], w->heap[child])) child++;
        if (!before(w->symbols, w->heap[child], symbol)) break;
        place(w, slot, w->heap[child]);
    }
    place(w, slot, symbol);
}

static void
heap_remove(decai__work *w, uint32_t slot, uint32_t *count)
{
    uint32_t moved = w->heap[--*count];
    w->symbols[w->heap[slot]].slot = NONE;
    if (slot == *count) return;
    place(w, slot, moved);
    sift_down(w, slot, *count);
    sift_up(w, w->symbols[moved].slot);
}

/* Look up the merge of a symbol with its right neighbour and put the symbol
 * where it belongs in the heap. */
static void
refresh(decai__work *w, const uint8_t *text, uint32_t symbol, uint32_t symbols, uint32_t *count)
{
    decai__symbol *s = &w->symbols[symbol];
    if (s->slot != NONE) heap_remove(w, s->slot, count);
    s->rank = NONE;
    if (s->next == NONE) return;
    s->rank = look_up(w->t, s->id, w->symbols[s->next].id, text, s->start, end_of(w->symbols, s->next, symbols), &s->merged);
    if (s->rank == NONE) return;
    place(w, *count, symbol);
    sift_up(w, (*count)++);
}

/* ---- passes: the many pairs of one rank at once ------------------------------------------ */

/* Merge every pair of rank `best`, from the left. A merge that makes a pair which
 * ought to come before the rest of them ends the pass. The symbols lie together;
 * how many are left. */
static uint32_t
merge_pass(decai__work *w, const uint8_t *text, uint32_t n, uint32_t best)
{
    decai__symbol *s = w->symbols;
    uint32_t out = 0, i = 0, end = s[n].start;
    bool stop = false;
    while (i < n) {
        s[out] = s[i];
        if (stop || s[i].rank != best) {
            i++, out++;
            continue;
        }
        i += 2;
        s[out].id = s[out].merged;
        uint32_t next = i < n ? s[i].start : end, after = i + 1 < n ? s[i + 1].start : end;
        s[out].rank = i < n ? look_up(w->t, s[out].id, s[i].id, text, s[out].start, after, &s[out].merged) : NONE;
        if (out) {
            decai__symbol *left = &s[out - 1];
            left->rank = look_up(w->t, left->id, s[out].id, text, left->start, next, &left->merged);
            stop = left->rank <= best;
        }
        stop = stop || s[out].rank < best;
        if (!stop && s[out].rank == best) s[--i] = s[out];   /* the leftmost again */
        else out++;
    }
    s[out].start = end;
    return out;
}

/* Passes while they merge much: uniform text is done in a few. */
static uint32_t
merge_passes(decai__work *w, const uint8_t *text, uint32_t n)
{
    decai__symbol *s = w->symbols;
    for (uint32_t i = 0; i + 1 < n; i++)
        s[i].rank = look_up(w->t, s[i].id, s[i + 1].id, text, s[i].start, s[i + 2].start, &s[i].merged);
    for (;;) {
        uint32_t best = NONE, hits = 0;
        for (uint32_t i = 0; i + 1 < n; i++) {
            hits = s[i].rank < best ? 1 : hits + (s[i].rank == best);
            best = DECAI__MIN(best, s[i].rank);
        }
        if (best == NONE || hits < n / 8) return n;
        uint32_t left = merge_pass(w, text, n, best);
        if (n - left < n / 16) return left;    /* it was ended early */
        n = left;
    }
}

/* Symbols that are left are moved together. */
static uint32_t
merge_long(decai__work *w, const uint8_t *text, uint32_t symbols)
{
    decai__symbol *s = w->symbols;
    uint32_t count = 0, n = 0, end = s[symbols].start;
    symbols = merge_passes(w, text, symbols);
    for (uint32_t i = 0; i < symbols; i++) {
        s[i].prev = i - 1;           /* NONE before the first */
        s[i].next = i + 1 < symbols ? i + 1 : NONE;
        s[i].slot = NONE;
        if (i + 1 == symbols) s[i].rank = NONE;
    }
    for (uint32_t i = 0; i + 1 < symbols; i++) {
        if (s[i].rank == NONE) continue;
        place(w, count, i);
        sift_up(w, count++);
    }
    while (count) {
        uint32_t left = w->heap[0], right = s[left].next;
        if (s[right].slot != NONE) heap_remove(w, s[right].slot, &count);
        s[left].id = s[left].merged;
        s[left].next = s[right].next;
        if (s[right].next != NONE) s[s[right].next].prev = left;
        refresh(w, text, left, symbols, &count);
        if (s[left].prev != NONE) refresh(w, text, s[left].prev, symbols, &count);
    }
    for (uint32_t i = 0, next; i != NONE; i = next) {
        next = s[i].next;
        s[n++] = s[i];
    }
    s[n].start = end;
    return n;
}

/* ---- one window ------------------------------------------------------------------------- */

/* The symbols of a stretch, merged: w->symbols[0 .. *count), the end mark behind. */
static int32_t
encode_window(decai__work *w, const uint8_t *text, uint32_t len, uint32_t *count)
{
    uint32_t n = 0;
    int32_t r = make_room(w, len);
    if (!r && len <= DECAI__SHORT) return decai__bpe_short_symbols(w, text, len, count);
    if (!r) r = split(w, text, len, &n);
    if (r) return r;
    *count = n <= SHORT ? merge_short(w, text, n) : merge_long(w, text, n);
    return 0;
}

/* A symbol that is a token, or its bytes, or an unknown character. */
int32_t
decai__bpe_emit(decai__work *w, const uint8_t *text, const decai__symbol *s)
{
    const decai_tokenizer *t = w->t;
    uint32_t end = s[1].start;
    uint32_t base = (uint32_t)(text - w->piece);
    if (s->id >= 0) return decai__ids_add(w->ids, s->id, decai__work_end(w, base + end));
    int32_t r = 0;
    bool all = true;
    for (uint32_t i = s->start; i < end; i++) all = all && t->byte_id[text[i]] >= 0;
    for (uint32_t i = s->start; all && !r && i < end; i++) r = decai__ids_add(w->ids, t->byte_id[text[i]], decai__work_end(w, base + i + 1));
    if (all) return r;
    if (t->special[DECAI__UNKNOWN] < 0)
        return decai__fail(DECAI_E_UNSUPPORTED, "text: this vocabulary has no token for byte 0x%02x", text[s->start]);
    return decai__ids_add(w->ids, t->special[DECAI__UNKNOWN], decai__work_end(w, base + end));
}

/* ---- windows ------------------------------------------------------------------------------ */

/* Between two tokens: where the left one begins, where the right one; ids so far. */
typedef struct border { uint32_t before, at; size_t total; } border;

typedef struct windows {
    decai__work *w;
    const uint8_t *text;
    uint32_t len, size;              /* of the piece; of a window */
    uint32_t from, count;            /* the window at hand: its begin and its symbols */
} windows;

/* Encode the window at `from`. */
static int32_t
window_at(windows *s, uint32_t from)
{
    s->from = from;
    return encode_window(s->w, s->text + from, DECAI__MIN(s->len - from, s->size), &s->count);
}

/* Do the tokens of [from, mid) and [mid, end), each one alone, stay when side by
 * side? Behind the window's symbols, which stay. */
static int32_t
holds(windows *s, uint32_t from, uint32_t mid, uint32_t end, bool *yes)
{
    decai__work *w = s->w;
    decai__symbol *symbols = w->symbols;
    size_t cap = w->symbol_cap;
    uint32_t n = 0;
    w->symbols += s->count + 1;
    w->symbol_cap -= s->count + 1;
    decai__assert(end - from <= w->symbol_cap);
    int32_t r = encode_window(w, s->text + from, end - from, &n);
    *yes = !r && n == 2 && w->symbols[1].start == mid - from;
    w->symbols = symbols;
    w->symbol_cap = cap;
    return r;
}

/* Add the window's ids up to about seven eighths of it; the borders that may be
 * its end, the last one first. */
static int32_t
emit_window(windows *s, border *b, uint32_t *count)
{
    const decai__symbol *y = s->w->symbols;
    uint32_t last = s->count - 1, first;
    int32_t r = 0;
    while (last && y[last].start > s->size - s->size / 8) last--;
    first = last > TRIES ? last - TRIES : 0;
    *count = last - first;
    for (uint32_t i = 0; !r && i < last; i++) {
        r = decai__bpe_emit(s->w, s->text + s->from, &y[i]);
        if (i >= first) b[last - 1 - i] = (border){ s->from + y[i].start, s->from + y[i + 1].start,
            s->w->ids->dropped + s->w->ids->len };
    }
    return r;
}

/* From the window at hand to the next one, over a border that holds. *lost: there
 * is none among those tried. */
static int32_t
next_window(windows *s, bool *lost)
{
    border b[TRIES];
    uint32_t tries = 0;
    bool yes = false;
    int32_t r = emit_window(s, b, &tries);
    for (uint32_t i = 0; !r && !yes && i < tries; i++) {
        decai__ids_back(s->w->ids, b[i].total);
        r = window_at(s, b[i].at);
        if (!r) r = holds(s, b[i].before, b[i].at, b[i].at + s->w->symbols[1].start, &yes);
    }
    *lost = !yes;
    return r;
}

static int32_t
encode_windows(decai__work *w, const uint8_t *text, uint32_t len, uint32_t size, bool *lost)
{
    windows s = { w, text, len, size, 0, 0 };
    int32_t r = make_room(w, 2 * (size_t)size + 2 * w->t->token_bytes_max + 8);
    if (!r) r = window_at(&s, 0);
    /* Long tokens: a small window would hold few of them, and most of it be done twice. */
    *lost = size == DECAI__SHORT && s.count < size / 5;
    while (!r && !*lost && len - s.from > size) r = next_window(&s, lost);
    for (uint32_t i = 0; !r && !*lost && i < s.count; i++) r = decai__bpe_emit(w, text + s.from, &w->symbols[i]);
    return r;
}

int32_t
decai__bpe_piece(decai__work *w, const uint8_t *text, size_t len)
{
    size_t before = w->ids->dropped + w->ids->len;
    bool lost = false;
    uint32_t n = 0;
    int32_t r = 0;
    if (len <= DECAI__SHORT) return decai__bpe_short(w, text, len);
    if (len >= NONE / 2) return decai__fail(DECAI_E_LIMIT, "text: a stretch of %zu bytes", len);
    for (uint32_t size = DECAI__SHORT; size <= WINDOW && len > size + size / 2; size *= WINDOW / DECAI__SHORT) {
        r = encode_windows(w, text, (uint32_t)len, size, &lost);
        if (r || !lost) return r;
        decai__ids_back(w->ids, before);
        lost = false;
    }
    r = encode_window(w, text, (uint32_t)len, &n);
    for (uint32_t i = 0; !r && i < n; i++) r = decai__bpe_emit(w, text, &w->symbols[i]);
    return r;
}

bool
decai__bpe_stable(decai__work *w, const uint8_t *text, size_t len)
{
    uint32_t n = 0;
    if (len <= DECAI__SHORT) return decai__bpe_short_stable(w->t, text, len);
    return len < WINDOW && !encode_window(w, text, (uint32_t)len, &n) && n == 1;
}
