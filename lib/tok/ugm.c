/* ugm.c - Unigram: the most likely way to cut a text into tokens.
 *
 * Normalising. The precompiled map is u32 length, that many bytes of a double
 * array of u32 (Kanda 2018, XOR-compressed), then strings that end with NUL. From
 * the root, each byte of the text is a step; the longest prefix that ends in a
 * leaf is replaced by its string. Fields of an entry: bits 0-7 label, 8 leaf,
 * 9 base is in units of 256, 10-30 base, 31 set in values. The map is hostile: each step
 * and each string is checked when it is taken.
 *
 * Cutting (Viterbi). best[i] is the best sum of scores of tokens for the first i
 * bytes; from each character, every token that begins there proposes itself. A
 * character that is no token is unknown, at the least score less 10; neighbours
 * that are unknown are one token. Sums are doubles, the first of equals stays.
 * Each word is cut for itself, as the references do.
 *
 * Source: SentencePiece (normalizer.cc, unigram_model.cc), Kudo 2018. */
#include "tok/internal.h"

#define UNKNOWN_PENALTY 10.0f

typedef struct best { double sum; uint32_t from; int32_t id; } best;

/* ---- the map --------------------------------------------------------------------- */

static bool
node_at(const decai_tokenizer *t, uint32_t index, uint32_t *out)
{
    if (index >= decai__load_le32(t->charsmap) / 4) return false;
    *out = decai__load_le32(t->charsmap + 4 + 4 * (size_t)index);
    return true;
}

static uint32_t
base_of(uint32_t node)
{
    return (node >> 10) << ((node & 1u << 9) >> 6);
}

/* The longest prefix in the map: its length, and its string's place. 0: none. */
static size_t
map_prefix(const decai_tokenizer *t, const uint8_t *p, const uint8_t *end, uint32_t *value)
{
    uint32_t node, at;
    size_t found = 0;
    if (!t->charsmap || !node_at(t, 0, &node)) return 0;
    at = base_of(node);
    for (const uint8_t *q = p; q < end && *q; q++) {
        at ^= *q;
        if (!node_at(t, at, &node) || (node & 0x800000ffu) != *q) break;
        at ^= base_of(node);
        if (!(node >> 8 & 1)) continue;
        uint32_t leaf;
        if (!node_at(t, at, &leaf)) break;
        found = (size_t)(q - p) + 1;
        *value = leaf & 0x7fffffffu;
    }
    return found;
}

/* Does something in the map begin with this byte and go on? Then it does not cut. */
static bool
goes_on(const decai_tokenizer *t, uint8_t byte)
{
    uint32_t node, at;
    if (!t->charsmap || !node_at(t, 0, &node)) return false;
    at = base_of(node) ^ byte;
    if (!node_at(t, at, &node) || (node & 0x800000ffu) != byte) return false;
    at ^= base_of(node);
    for (uint32_t c = 1; c < 256; c++)
        if (node_at(t, at ^ c, &node) && (node & 0x800000ffu) == c) return true;
    return false;
}

/* Is a line end a space to the map, and nothing else? */
static bool
line_is_space(const decai_tokenizer *t)
{
    static const uint8_t LINE[1] = { '\n' };
    uint32_t value = 0;
    size_t strings = 4 + (t->charsmap ? (size_t)decai__load_le32(t->charsmap) : 0);
    if (map_prefix(t, LINE, LINE + 1, &value) != 1 || value + 1 >= t->charsmap_len - strings) return false;
    return t->charsmap[strings + value] == ' ' && !t->charsmap[strings + value + 1] && !goes_on(t, '\n');
}

int32_t
decai__ugm_check(decai_tokenizer *t)
{
    float least = 0;
    bool any = false;
    for (uint32_t id = 0; id < t->count; id++) {
        if (t->kind[id] != DECAI_TOKEN_NORMAL) continue;
        least = any ? DECAI__MIN(least, t->score[id]) : t->score[id];
        any = true;
    }
    t->unknown_score = least - UNKNOWN_PENALTY;
    if (!t->charsmap) return 0;
    if (t->charsmap_len < 8 || decai__load_le32(t->charsmap) > t->charsmap_len - 5 || t->charsmap[t->charsmap_len - 1])
        return decai__fail(DECAI_E_CORRUPT, "tokenizer.ggml.precompiled_charsmap: %zu bytes do not hold what they say", t->charsmap_len);
    if (goes_on(t, ' ')) t->cut_spaces = false;
    t->cut_lines = t->cut_spaces && line_is_space(t);
    return 0;
}

/* ---- normalising ---------------------------------------------------------------------- */

typedef struct normalizer { decai__work *w; bool first, word, begun; } normalizer;

/* Bytes after the map, spaces by the rules. */
static int32_t
add_bytes(normalizer *s, const uint8_t *bytes, size_t len, size_t end)
{
    const decai__rules *rules = &s->w->t->rules;
    int32_t r = 0;
    for (size_t i = 0; !r && i < len; i++) {
        if (bytes[i] == ' ') {
            s->word = false;
            if (rules->prefix >= DECAI__PREFIX_METASPACE) s->begun = true;     /* Metaspace puts none before one */
            if (!rules->merge_spaces) r = decai__norm_add(s->w, bytes + i, 1, end);
            continue;
        }
        if (!s->word && (rules->merge_spaces || (s->first && rules->space_prefix && !s->begun)))
            r = decai__norm_add(s->w, (const uint8_t *)" ", 1, end - 1);
        s->word = s->begun = true;
        if (!r) r = decai__norm_add(s->w, bytes + i, 1, end);
    }
    return r;
}

static int32_t
normalize(decai__work *w, const uint8_t *text, size_t len, bool first)
{
    const decai_tokenizer *t = w->t;
    normalizer s = { w, first, false, false };
    const uint8_t *end = text + len, *next;
    int32_t r = 0;
    w->norm_len = 0;
    for (const uint8_t *p = text; !r && p < end; p = next) {
        uint32_t value = 0;
        size_t n = map_prefix(t, p, end, &value);
        if (n) {
            /* The map's last byte is NUL: every string in it ends. */
            size_t strings = 4 + (size_t)decai__load_le32(t->charsmap);
            if (value >= t->charsmap_len - strings)
                return decai__fail(DECAI_E_CORRUPT, "tokenizer.ggml.precompiled_charsmap: a string at %u", value);
            const uint8_t *to = t->charsmap + strings + value;
            next = p + n;
            r = add_bytes(&s, to, strlen((const char *)to), (size_t)(next - text));
        } else if (decai__utf8_next(p, end, &next) == DECAI__BAD) {
            r = add_bytes(&s, (const uint8_t *)"\xef\xbf\xbd", 3, (size_t)(next - text));
        } else {
            r = add_bytes(&s, p, (size_t)(next - p), (size_t)(next - text));
        }
    }
    return r;
}

/* ---- cutting ------------------------------------------------------------------------------ */

static void
propose(best *to, double sum, size_t from, int32_t id)
{
    if (sum > to->sum) *to = (best){ sum, (uint32_t)from, id };
}

static void
forward(const decai_tokenizer *t, const uint8_t *text, size_t len, best *b)
{
    const uint8_t *next;
    for (size_t i = 0; i <= len; i++) b[i] = (best){ i ? -1e300 : 0, 0, -1 };
    for (size_t at = 0; at < len; at = (size_t)(next - text)) {
        bool single = false;
        decai__utf8_next(text + at, text + len, &next);
        const decai__trie_slot *s = NULL;
        for (size_t i = at; i < len && (s = decai__trie_step(&t->trie, s ? s->child : 0, text[i])) != NULL; i++) {
            if (s->id < 0) continue;
            single = single || text + i + 1 == next;
            propose(&b[i + 1], b[at].sum + (double)s->score, at, s->id);
        }
        if (!single) propose(&b[next - text], b[at].sum + (double)t->unknown_score, at, t->special[DECAI__UNKNOWN]);
    }
}

/* One word: norm[from, to). */
static int32_t
add_word(decai__work *w, size_t from, size_t to)
{
    size_t len = to - from, count = 0;
    int32_t unknown = w->t->special[DECAI__UNKNOWN], r = 0;
    if (len + 1 > w->best_cap) {
        decai__free(w->ctx, w->best);
        w->best_cap = 0;
        w->best = decai__alloc(w->ctx, 2 * (len + 1) * sizeof(best));
        if (!w->best) return decai__fail(DECAI_E_NOMEM, "text: no memory for a word of %zu bytes", len);
        w->best_cap = 2 * (len + 1);
    }
    best *b = w->best;
    forward(w->t, w->norm + from, len, b);
    /* The path back; its places are written over the sums that led there. */
    for (size_t at = len; at; count++) {
        size_t before = b[at].from;
        b[before].sum = (double)at;
        at = before;
    }
    for (size_t at = 0, stop; !r && at < len; at = stop) {
        stop = (size_t)b[at].sum;
        int32_t id = b[stop].id;
        while (id == unknown && stop < len && b[(size_t)b[stop].sum].id == unknown) stop = (size_t)b[stop].sum;
        if (id < 0) return decai__fail(DECAI_E_UNSUPPORTED, "text: a character has no token, and the vocabulary no unknown token");
        r = decai__ids_add(w->ids, id, decai__work_end(w, w->norm_end[from + stop]));
    }
    return r;
}

int32_t
decai__ugm_piece(decai__work *w, const uint8_t *text, size_t len, bool first)
{
    int32_t r = normalize(w, text, len, first);
    for (size_t from = 0, to; !r && from < w->norm_len; from = to) {
        for (to = from; to < w->norm_len && w->norm[to] == ' ' && !(w->t->rules.split && to > from); to++) { }
        while (to < w->norm_len && w->norm[to] != ' ') to++;
        if (!w->t->cut_spaces && !w->t->rules.split) to = w->norm_len;
        r = add_word(w, from, to);
    }
    return r;
}
