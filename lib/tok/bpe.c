/* bpe.c - byte pair encoding of one pre-token in O(n log n).
 *
 * The pre-token starts as one symbol a byte. While some neighbouring pair is in
 * the table of merges, the pair of least rank (leftmost on a tie) becomes one
 * symbol. Source: Sennrich, Haddow, Birch 2016, as GPT-2 uses it.
 *
 * Symbols are a doubly linked list in an array. Each symbol knows the merge with
 * its right neighbour, and a binary heap orders the symbols that have one. The
 * heap knows where each symbol stands, so it holds a symbol at most once and
 * memory is 32 bytes a byte of text, whatever the text is. */
#include "tok/internal.h"

#define NONE UINT32_MAX

struct decai__symbol {
    uint32_t id;
    uint32_t prev, next;             /* places in the array; NONE at the ends */
    uint32_t rank;                   /* of the merge with next; NONE: no merge */
    uint32_t merged;                 /* id after that merge */
    uint32_t slot;                   /* place in the heap; NONE: not in it */
};

/* The merge of two tokens, by binary search among those of the left one. */
static const decai__merge *
find_merge(const decai_tokenizer *t, uint32_t left, uint32_t right)
{
    uint32_t low = t->merge_first[left], high = t->merge_first[left + 1];
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (t->merges[mid].right == right) return &t->merges[mid];
        if (t->merges[mid].right < right) low = mid + 1;
        else high = mid;
    }
    return NULL;
}

/* ---- heap of symbols: least rank first, then the leftmost ------------------- */

static bool
before(const struct decai__symbol *s, uint32_t a, uint32_t b)
{
    return s[a].rank != s[b].rank ? s[a].rank < s[b].rank : a < b;
}

static void
place(decai__bpe *b, uint32_t slot, uint32_t symbol)
{
    b->heap[slot] = symbol;
    b->symbols[symbol].slot = slot;
}

static void
sift_up(decai__bpe *b, uint32_t slot)
{
    uint32_t symbol = b->heap[slot];
    for (; slot && before(b->symbols, symbol, b->heap[(slot - 1) / 2]); slot = (slot - 1) / 2)
        place(b, slot, b->heap[(slot - 1) / 2]);
    place(b, slot, symbol);
}

static void
sift_down(decai__bpe *b, uint32_t slot, uint32_t count)
{
    uint32_t symbol = b->heap[slot];
    for (uint32_t child; (child = 2 * slot + 1) < count; slot = child) {
        if (child + 1 < count && before(b->symbols, b->heap[child + 1], b->heap[child])) child++;
        if (!before(b->symbols, b->heap[child], symbol)) break;
        place(b, slot, b->heap[child]);
    }
    place(b, slot, symbol);
}

static void
heap_remove(decai__bpe *b, uint32_t slot, uint32_t *count)
{
    uint32_t moved = b->heap[--*count];
    b->symbols[b->heap[slot]].slot = NONE;
    if (slot == *count) return;
    place(b, slot, moved);
    sift_down(b, slot, *count);
    sift_up(b, b->symbols[moved].slot);
}

/* Look up the merge of a symbol with its right neighbour and put the symbol
 * where it belongs in the heap. */
static void
refresh(decai__bpe *b, const decai_tokenizer *t, uint32_t symbol, uint32_t *count)
{
    struct decai__symbol *s = &b->symbols[symbol];
    const decai__merge *m = s->next == NONE ? NULL : find_merge(t, s->id, b->symbols[s->next].id);
    if (s->slot != NONE) heap_remove(b, s->slot, count);
    s->rank = m ? m->rank : NONE;
    if (!m) return;
    s->merged = m->merged;
    place(b, *count, symbol);
    sift_up(b, (*count)++);
}

/* ---- encoding ---------------------------------------------------------------- */

static int32_t
make_room(decai__bpe *b, size_t len)
{
    if (len <= b->cap) return 0;
    decai__bpe_free(b);
    size_t cap = len < 256 ? 256 : len, bytes;
    if (cap >= NONE || !decai__mul_size(&bytes, cap, sizeof *b->symbols))
        return decai__fail(DECAI_E_LIMIT, "text: a stretch of %zu bytes", len);
    b->symbols = decai__alloc(b->ctx, bytes);
    b->heap = decai__alloc(b->ctx, cap * sizeof *b->heap);
    if (!b->symbols || !b->heap) return decai__fail(DECAI_E_NOMEM, "text: no memory for a stretch of %zu bytes", len);
    b->cap = cap;
    return 0;
}

void
decai__bpe_free(decai__bpe *b)
{
    decai__free(b->ctx, b->symbols);
    decai__free(b->ctx, b->heap);
    b->symbols = NULL;
    b->heap = NULL;
    b->cap = 0;
}

static int32_t
split_bytes(decai__bpe *b, const decai_tokenizer *t, const uint8_t *text, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        int32_t id = t->byte_id[text[i]];
        if (id < 0) return decai__fail(DECAI_E_UNSUPPORTED, "text: this vocabulary has no token for byte 0x%02x", text[i]);
        b->symbols[i] = (struct decai__symbol){ (uint32_t)id, i - 1, i + 1, NONE, 0, NONE };
    }
    b->symbols[0].prev = b->symbols[len - 1].next = NONE;
    return 0;
}

int32_t
decai__bpe_encode(decai__bpe *b, const decai_tokenizer *t, const uint8_t *text, size_t len, decai__buf *out)
{
    uint32_t count = 0;
    int32_t r = make_room(b, len);
    if (!r) r = split_bytes(b, t, text, (uint32_t)len);
    if (r) return r;
    struct decai__symbol *s = b->symbols;
    for (uint32_t i = 0; i + 1 < len; i++) refresh(b, t, i, &count);
    while (count) {
        uint32_t left = b->heap[0], right = s[left].next;
        if (s[right].slot != NONE) heap_remove(b, s[right].slot, &count);
        s[left].id = s[left].merged;
        s[left].next = s[right].next;
        if (s[right].next != NONE) s[s[right].next].prev = left;
        refresh(b, t, left, &count);
        if (s[left].prev != NONE) refresh(b, t, s[left].prev, &count);
    }
    for (uint32_t i = 0; !r && i != NONE; i = s[i].next) r = decai__buf_add(out, &s[i].id, sizeof s[i].id);
    return r;
}
