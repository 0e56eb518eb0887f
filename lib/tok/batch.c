/* batch.c - many texts at once, with the place of each id, cut and filled.
 *
 * Rows are taken in chunks, a thread each: a chunk is worth the wake-up, and its
 * rows share a table of seen pieces. */
#include "tok/batch.h"

#define CHUNK_BYTES 32768u           /* of text, at least, for one thread to take */
#define CHUNKS_MAX 4096u

/* How many tokens DECAI_ENCODE_ADD adds behind a text. */
static size_t
behind(const decai_tokenizer *t, int32_t flags)
{
    return (flags & DECAI_ENCODE_ADD) && (t->add_eos || (t->add_sep && t->rules.family == DECAI__WPM));
}

/* The row from ids[from] on: what does not fit goes from the text's end; what was
 * added stays. */
static void
cut_row(const decai_tokenizer *t, decai__ids *ids, size_t from, size_t most, int32_t flags)
{
    size_t last = behind(t, flags);
    if (!most || ids->len - from <= most) return;
    size_t keep = from + (most > last ? most - last : 0);
    for (size_t i = 0; i < last && keep + i < from + most; i++) {
        ids->data[keep + i] = ids->data[ids->len - last + i];
        if (ids->ends) ids->ends[keep + i] = keep > from ? ids->ends[keep - 1] : 0;
    }
    ids->len = from + most;
}

static int32_t
fill_row(const decai_tokenizer *t, decai__ids *ids, size_t from, size_t most)
{
    uint64_t end = ids->len > from && ids->ends ? ids->ends[ids->len - 1] : 0;
    int32_t r = 0;
    while (!r && ids->len < from + most) r = decai__ids_add(ids, t->special[DECAI__PADDING], end);
    return r;
}

static int32_t
encode_row(decai__batch *b, decai__work *w, decai__chunk *c, size_t row)
{
    const decai__texts *in = b->in;
    uint64_t at = row ? in->ends[row - 1] : 0;
    size_t from = c->ids.len;
    int32_t r = decai__encode_text(w, in->texts + at, (size_t)(in->ends[row] - at), in->flags);
    if (!r) cut_row(b->t, &c->ids, from, (size_t)in->row_max, in->flags);
    if (!r && (in->flags & DECAI_ENCODE_PAD)) r = fill_row(b->t, &c->ids, from, (size_t)in->row_max);
    b->rows[row] = c->ids.len - from;
    if (r) snprintf(c->detail, sizeof c->detail, "row %zu: %s", row, decai__error_detail());
    return r;
}

static uint64_t
bytes_of(const decai__texts *in, size_t first, size_t count)
{
    return count ? in->ends[first + count - 1] - (first ? in->ends[first - 1] : 0) : 0;
}

/* Room for the ids of text such as this, so that little is moved while they come. */
static int32_t
make_room(decai__batch *b, decai__chunk *c)
{
    size_t cap = 64 + (size_t)bytes_of(b->in, c->first, c->count) / 3;
    c->ids = (decai__ids){ .ctx = decai__context_of(b->t), .cap = cap };
    c->ids.data = decai__alloc(c->ids.ctx, cap * sizeof *c->ids.data);
    if (c->ids.data && b->ends) c->ids.ends = decai__alloc(c->ids.ctx, cap * sizeof *c->ids.ends);
    return c->ids.data && (c->ids.ends || !b->ends) ? 0 : decai__fail(DECAI_E_NOMEM, "batch: no memory for %zu ids", cap);
}

static void
encode_chunk(void *user, size_t index)
{
    decai__batch *b = user;
    decai__chunk *c = &b->chunk[index];
    decai__work w;
    int32_t r = make_room(b, c);
    if (!r) {
        r = decai__encode_begin(&w, b->t, &c->ids, (size_t)bytes_of(b->in, c->first, c->count));
        for (size_t i = 0; !r && i < c->count; i++) r = encode_row(b, &w, c, c->first + i);
        decai__encode_end(&w);
    }
    /* Details are a thread's own: this one may be a thread of the pool. */
    if (r && !c->detail[0]) snprintf(c->detail, sizeof c->detail, "%s", decai__error_detail());
    c->result = r;
}

static void
give_chunk(void *user, size_t index)
{
    decai__batch *b = user;
    const decai__chunk *c = &b->chunk[index];
    size_t at = c->first ? (size_t)b->rows[c->first - 1] : 0;
    if (!c->ids.len) return;
    if (b->out) memcpy(b->out + at, c->ids.data, c->ids.len * sizeof *c->ids.data);
    if (b->out_ends) memcpy(b->out_ends + at, c->ids.ends, c->ids.len * sizeof *c->ids.ends);
}

static int32_t
check(const decai_tokenizer *t, const decai__texts *in)
{
    for (size_t i = 0; i < in->count; i++)
        if (in->ends[i] > in->len || (i && in->ends[i] < in->ends[i - 1]))
            return decai__fail(DECAI_E_INVALID, "text_ends[%zu]: %llu does not ascend to texts_len", i, (unsigned long long)in->ends[i]);
    if (in->count ? in->ends[in->count - 1] != in->len : in->len != 0)
        return decai__fail(DECAI_E_INVALID, "text_ends: the last is not texts_len %zu", in->len);
    if (!(in->flags & DECAI_ENCODE_PAD)) return 0;
    if (!in->row_max) return decai__fail(DECAI_E_INVALID, "row_max: 0 is no length to fill up to");
    return t->special[DECAI__PADDING] >= 0 ? 0 : decai__fail(DECAI_E_NOT_FOUND, "flags: this vocabulary has no padding token");
}

/* Rows to chunks: whole rows, at least CHUNK_BYTES of text and not too many. */
static int32_t
make_chunks(decai__batch *b)
{
    const decai__texts *in = b->in;
    decai_context *ctx = decai__context_of(b->t);
    size_t least = DECAI__MAX(CHUNK_BYTES, in->len / CHUNKS_MAX + 1), most = in->len / least + 2;
    b->chunk = decai__calloc(ctx, most, sizeof *b->chunk);
    b->rows = decai__calloc(ctx, in->count + 1, sizeof *b->rows);
    if (!b->chunk || !b->rows) return decai__fail(DECAI_E_NOMEM, "batch: no memory for %zu rows", in->count);
    for (size_t row = 0, count = 1; row < in->count; row += count, count = 1) {
        while (row + count < in->count && bytes_of(in, row, count) < least) count++;
        decai__assert(b->chunks < most);
        b->chunk[b->chunks].first = row;
        b->chunk[b->chunks++].count = count;
    }
    return 0;
}

int32_t
decai__batch_encode(decai__batch *b)
{
    int32_t r = check(b->t, b->in);
    if (!r) r = make_chunks(b);
    if (r) return r;
    decai__parallel(decai__context_of(b->t), b->chunks, encode_chunk, b);
    for (size_t i = 0; i < b->chunks; i++)
        if (b->chunk[i].result) return decai__fail(b->chunk[i].result, "%s", b->chunk[i].detail);
    for (size_t i = 0; i < b->in->count; i++) b->rows[i] = b->len += (size_t)b->rows[i];
    return 0;
}

void
decai__batch_give(decai__batch *b)
{
    decai__parallel(decai__context_of(b->t), b->chunks, give_chunk, b);
}

void
decai__batch_free(decai__batch *b)
{
    decai_context *ctx = decai__context_of(b->t);
    for (size_t i = 0; i < b->chunks; i++) {
        decai__free(ctx, b->chunk[i].ids.data);
        decai__free(ctx, b->chunk[i].ids.ends);
    }
    decai__free(ctx, b->chunk);
    decai__free(ctx, b->rows);
}
