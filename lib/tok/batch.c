/* batch.c - many texts at once, with the place of each id, cut and filled. */
#include "tok/batch.h"

typedef struct row { decai__ids ids; int32_t result; char detail[160]; } row;

typedef struct batch {
    const decai_tokenizer *t;
    const decai__texts *in;
    row *rows;
} batch;

/* How many tokens DECAI_ENCODE_ADD adds behind a text. */
static size_t
behind(const decai_tokenizer *t, int32_t flags)
{
    return (flags & DECAI_ENCODE_ADD) && (t->add_eos || (t->add_sep && t->rules.family == DECAI__WPM));
}

/* What does not fit goes from the text's end; what was added stays. */
static void
cut_row(const decai_tokenizer *t, decai__ids *ids, size_t most, int32_t flags)
{
    size_t last = behind(t, flags);
    if (!most || ids->len <= most) return;
    size_t keep = most > last ? most - last : 0;
    for (size_t i = 0; i < last && keep + i < most; i++) {
        ids->data[keep + i] = ids->data[ids->len - last + i];
        if (ids->ends) ids->ends[keep + i] = keep ? ids->ends[keep - 1] : 0;
    }
    ids->len = most;
}

static int32_t
fill_row(const decai_tokenizer *t, decai__ids *ids, size_t most)
{
    uint64_t end = ids->len && ids->ends ? ids->ends[ids->len - 1] : 0;
    int32_t r = 0;
    while (!r && ids->len < most) r = decai__ids_add(ids, t->special[DECAI__PADDING], end);
    return r;
}

static void
encode_row(void *user, size_t index)
{
    batch *b = user;
    row *w = &b->rows[index];
    const decai__texts *in = b->in;
    uint64_t from = index ? in->ends[index - 1] : 0;
    w->result = decai__encode(b->t, &w->ids, in->texts + from, (size_t)(in->ends[index] - from), in->flags);
    if (!w->result) cut_row(b->t, &w->ids, (size_t)in->row_max, in->flags);
    if (!w->result && (in->flags & DECAI_ENCODE_PAD)) w->result = fill_row(b->t, &w->ids, (size_t)in->row_max);
    /* Details are a thread's own: this one may be a thread of the pool. */
    if (w->result) snprintf(w->detail, sizeof w->detail, "%s", decai__error_detail());
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

static int32_t
run(batch *b, decai__buf *ids, decai__buf *ends, decai__buf *rows)
{
    decai_context *ctx = decai__context_of(b->t);
    uint64_t total = 0;
    int32_t r = 0;
    for (size_t i = 0; i < b->in->count; i++) {
        b->rows[i].ids = (decai__ids){ .ctx = ctx };
        if (ends && decai__ids_grow(&b->rows[i].ids)) return DECAI_E_NOMEM;
        if (!ends) continue;
        b->rows[i].ids.ends = decai__alloc(ctx, b->rows[i].ids.cap * sizeof(uint64_t));
        if (!b->rows[i].ids.ends) return decai__fail(DECAI_E_NOMEM, "batch: no memory for %zu rows", b->in->count);
    }
    decai__parallel(ctx, b->in->count, encode_row, b);
    for (size_t i = 0; !r && i < b->in->count; i++) {
        const row *w = &b->rows[i];
        total += w->ids.len;
        r = w->result ? decai__fail(w->result, "row %zu: %s", i, w->detail) : 0;
        if (!r && w->ids.len) r = decai__buf_add(ids, w->ids.data, w->ids.len * sizeof *w->ids.data);
        if (!r && ends && w->ids.len) r = decai__buf_add(ends, w->ids.ends, w->ids.len * sizeof *w->ids.ends);
        if (!r) r = decai__buf_add(rows, &total, sizeof total);
    }
    return r;
}

int32_t
decai__tok_batch(const decai_tokenizer *t, decai__buf *ids, decai__buf *ends, decai__buf *rows, const decai__texts *in)
{
    decai_context *ctx = decai__context_of(t);
    batch b = { t, in, NULL };
    int32_t r = check(t, in);
    if (r) return r;
    b.rows = decai__calloc(ctx, in->count + 1, sizeof *b.rows);
    if (!b.rows) return decai__fail(DECAI_E_NOMEM, "batch: no memory for %zu rows", in->count);
    r = run(&b, ids, ends, rows);
    for (size_t i = 0; i < in->count; i++) {
        decai__free(ctx, b.rows[i].ids.data);
        decai__free(ctx, b.rows[i].ids.ends);
    }
    decai__free(ctx, b.rows);
    return r;
}
