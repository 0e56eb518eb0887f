/* json_model.c - the member "model" of a tokenizer.json, written.
 *
 * SentencePiece has scores and no merges: it joins the two neighbours that make the
 * token of the highest score. As a BPE: every way to make a token of two others is a
 * merge, in order of the token's score, then of the ids of the two - the way the
 * published files were made. Where two ways to make one token meet in a run of one
 * letter, or two tokens have one score, a BPE may take the other one. */
#include "tok/added.h"
#include "tok/jinja_value.h"
#include "tok/json.h"

bool
decai__json_is_added(const decai_tokenizer *t, uint32_t id)
{
    return t->kind[id] == DECAI_TOKEN_CONTROL || t->kind[id] == DECAI_TOKEN_USER || t->kind[id] == DECAI_TOKEN_UNKNOWN;
}

/* "##" where WordPiece goes on; U+2581 before its other tokens goes. */
int32_t
decai__json_text_of(const decai_tokenizer *t, uint32_t id, decai__buf *out)
{
    const uint8_t *p = t->bytes + t->offset[id];
    size_t len = decai__token_len(t, id);
    out->len = 0;
    /* What is matched in the text as it is has its own bytes, unless they were marks. */
    if (t->kind[id] == DECAI_TOKEN_USER && !(t->asks && (t->asks[id] & DECAI__ASKS_LITERAL))) return decai__buf_add(out, p, len);
    if (t->rules.family != DECAI__WPM || decai__json_is_added(t, id)) return decai__token_text(t, id, out);
    if (*p == ' ' && len > 1) return decai__buf_add(out, p + 1, len - 1);
    int32_t r = decai__buf_add_str(out, "##");
    return r ? r : decai__buf_add(out, p, len);
}

/* Is this text, written as a key, another token's? Pieces win, then lower ids. */
static bool
is_taken(const decai_tokenizer *t, uint32_t id, const decai__buf *text, uint8_t *scratch)
{
    size_t n = text->len;
    if (t->kind[id] == DECAI_TOKEN_BYTE) return false;
    if (!decai__json_is_added(t, id)) return decai__token_find(t, t->bytes + t->offset[id], decai__token_len(t, id)) != (int32_t)id;
    if (t->rules.family == DECAI__BPE) {
        if (decai__alphabet_decode(text->data, text->len, scratch, &n) && decai__piece_find(t, scratch, n) >= 0) return true;
    } else if (t->rules.family != DECAI__WPM) {
        n = decai__spaces_back(text->data, text->len, scratch);
        if (decai__piece_find(t, scratch, n) >= 0) return true;
    }
    int32_t first = decai__token_find(t, t->bytes + t->offset[id], decai__token_len(t, id));
    return first >= 0 && (uint32_t)first != id;
}

/* ---- scores -------------------------------------------------------------------------- */

/* v as digits and places; exact where 18 places suffice. */
static int32_t
put_score(decai__json_writer *w, uint32_t id, double v)
{
    char digits[40];
    int exp10 = 0, n = 0;
    double size = v < 0 ? -v : v;
    if (size >= 1e17) return decai__fail(DECAI_E_UNSUPPORTED, "format: the score of token %u is above 1e17", id);
    if (size > 0) n = decai__j_digits_shortest(size, digits, &exp10);
    int places = n - 1 - exp10;
    if (n && places > 18) {
        n = decai__j_digits_exact(size, 18, true, digits, 38, &exp10);
        places = 18;
    }
    int64_t value = 0;
    for (int i = 0; i < n; i++) value = value * 10 + (digits[i] - '0');
    for (; n && places < 0; places++) value *= 10;
    decai__json_put_fixed(w, NULL, v < 0 ? -value : value, n ? (uint32_t)places : 0);
    return 0;
}

static int32_t
put_unigram(const decai_tokenizer *t, decai__json_writer *w, decai__buf *text)
{
    int32_t r = 0;
    if (t->special[DECAI__UNKNOWN] >= 0) decai__json_put_i64(w, "unk_id", t->special[DECAI__UNKNOWN]);
    else decai__json_put_null(w, "unk_id");
    decai__json_put_array(w, "vocab");
    for (uint32_t id = 0; !r && id < t->count; id++) {
        r = decai__json_text_of(t, id, text);
        decai__json_put_array(w, NULL);
        decai__json_put_text(w, NULL, (const char *)text->data, text->len);
        if (!r) r = put_score(w, id, (double)t->score[id]);
        decai__json_put_end(w);
    }
    decai__json_put_end(w);
    decai__json_put_bool(w, "byte_fallback", false);
    return r;
}

/* ---- merges ---------------------------------------------------------------------------- */

static int32_t
put_merge(const decai_tokenizer *t, decai__json_writer *w, decai__buf *text, uint32_t left, uint32_t right)
{
    decai__json_put_array(w, NULL);
    int32_t r = decai__json_text_of(t, left, text);
    decai__json_put_text(w, NULL, (const char *)text->data, text->len);
    if (!r) r = decai__json_text_of(t, right, text);
    decai__json_put_text(w, NULL, (const char *)text->data, text->len);
    decai__json_put_end(w);
    return r;
}

typedef struct scored { float score; uint32_t id, left, right; } scored;

static int
by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score > y->score || x->score < y->score) return x->score > y->score ? -1 : 1;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    if (x->left != y->left) return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

/* Every way to make a token of two others. */
static int32_t
find_ways(const decai_tokenizer *t, decai__buf *ways)
{
    int32_t r = 0;
    for (uint32_t id = 0; !r && id < t->count; id++) {
        const uint8_t *p = t->bytes + t->offset[id];
        size_t len = decai__token_len(t, id);
        if (!t->piece[id] || decai__piece_find(t, p, len) != (int32_t)id) continue;
        for (size_t i = 1; !r && i < len; i++) {
            if ((p[i] & 0xc0) == 0x80) continue;
            int32_t left = decai__piece_find(t, p, i), right = left < 0 ? -1 : decai__piece_find(t, p + i, len - i);
            if (right < 0) continue;
            scored s = { t->score[id], id, (uint32_t)left, (uint32_t)right };
            r = decai__buf_add(ways, &s, sizeof s);
        }
    }
    return r;
}

static int32_t
put_ways(const decai_tokenizer *t, decai__json_writer *w, decai__buf *text)
{
    decai__buf ways;
    decai__buf_init(&ways, t->h.context, (size_t)DECAI_MERGE_COUNT_MAX * sizeof(scored), "DECAI_MERGE_COUNT_MAX");
    int32_t r = find_ways(t, &ways);
    scored *list = (scored *)(void *)ways.data;
    size_t count = ways.len / sizeof *list;
    if (!r && count) decai__sort(list, count, sizeof *list, by_score);
    for (size_t i = 0; !r && i < count; i++) r = put_merge(t, w, text, list[i].left, list[i].right);
    decai__buf_free(&ways);
    return r;
}

static int32_t
put_merges(const decai_tokenizer *t, decai__json_writer *w, decai__buf *text)
{
    int32_t r = 0;
    decai__json_put_array(w, "merges");
    if (t->rules.family == DECAI__SPM) r = put_ways(t, w, text);
    for (uint32_t i = 0; !r && i < t->merge_count; i++) r = put_merge(t, w, text, t->merges[i].left, t->merges[i].right);
    decai__json_put_end(w);
    return r;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static int32_t
put_vocab(const decai_tokenizer *t, decai__json_writer *w, decai__buf *text)
{
    int32_t r = 0;
    uint8_t *scratch = decai__alloc(t->h.context, 4 * DECAI_TOKEN_BYTES_MAX);
    if (!scratch) return decai__fail(DECAI_E_NOMEM, "format: no memory for a token");
    decai__json_put_object(w, "vocab");
    for (uint32_t id = 0; !r && id < t->count; id++) {
        r = decai__json_text_of(t, id, text);
        if (r || is_taken(t, id, text, scratch)) continue;
        r = decai__buf_add_byte(text, 0);
        if (!r && (memchr(text->data, 0, text->len) != text->data + text->len - 1))
            r = decai__fail(DECAI_E_UNSUPPORTED, "format: token %u has a NUL inside", id);
        if (!r) decai__json_put_u64(w, (const char *)text->data, id);
    }
    decai__json_put_end(w);
    decai__free(t->h.context, scratch);
    return r;
}

static int32_t
put_unknown(const decai_tokenizer *t, decai__json_writer *w, decai__buf *text)
{
    int32_t unknown = t->special[DECAI__UNKNOWN];
    if (unknown < 0) {
        decai__json_put_null(w, "unk_token");
        return 0;
    }
    int32_t r = decai__json_text_of(t, (uint32_t)unknown, text);
    decai__json_put_text(w, "unk_token", (const char *)text->data, text->len);
    return r;
}

int32_t
decai__json_put_model(const decai_tokenizer *t, decai__json_writer *w, decai__buf *text)
{
    enum decai__family family = t->rules.family;
    bool bpe = family == DECAI__BPE || family == DECAI__BPE_RAW || family == DECAI__SPM;
    int32_t r = 0;
    decai__json_put_object(w, "model");
    decai__json_put_str(w, "type", family == DECAI__WPM ? "WordPiece" : family == DECAI__UGM ? "Unigram" : "BPE");
    if (family == DECAI__UGM) {
        r = put_unigram(t, w, text);
        decai__json_put_end(w);
        return r;
    }
    r = put_unknown(t, w, text);
    if (family == DECAI__WPM) {
        decai__json_put_str(w, "continuing_subword_prefix", "##");
        decai__json_put_i64(w, "max_input_chars_per_word", 100);
    } else {
        decai__json_put_bool(w, "byte_fallback", family != DECAI__BPE);
        decai__json_put_bool(w, "fuse_unk", family != DECAI__BPE);
        decai__json_put_bool(w, "ignore_merges", t->rules.ignore_merges);
    }
    if (!r) r = put_vocab(t, w, text);
    if (!r && bpe) r = put_merges(t, w, text);
    decai__json_put_end(w);
    return r;
}
