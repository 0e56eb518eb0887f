/* x86_matmul.c - the loops around the tiles of x86.h.
 *
 *     batch     tokens whose prepared activations fit in memory set aside
 *       piece   tokens of one expert whose activations stay in a second-level cache
 *         group of sixteen rows: an item, which some thread takes
 *           chunk of K: unpacked once, then met by every token of the piece; with
 *           AVX-512 the first tile meets it as it is unpacked (x86_stream.c)
 *             tiles of up to eight tokens: 64-bit sums in and out
 *           results
 *
 * Where few tokens go through a panel, chunks are short: unpacked quants never leave
 * the first-level cache, and what limits is memory. */
#include <string.h>

#include "compute/x86.h"

#if defined(__x86_64__)

#define PIECE_BYTES ((size_t)448 << 10)          /* of a piece's prepared activations */
#define BATCH_BYTES ((size_t)32 << 20)           /* of a batch's */
#define FEW_TOKENS 4                             /* up to here a chunk is one super-block */

typedef struct piece { size_t expert, from, tokens; } piece;

typedef struct plan {
    const decai__matrix *m;
    const x86_matrix *x;
    const x86_isa *isa;
    bool two_level;
    size_t chunks, step, stride;                 /* of K; bytes: prepared chunk, canonical token */
    size_t first;                                /* token of the batch's first */
    size_t pieces;
    piece *piece;
    uint32_t *token;                             /* of the batch, by expert */
    uint8_t *prepared;                           /* [piece][chunk][token of the piece][step] */
} plan;

/* ---- activations ------------------------------------------------------------ */

/* One token to place `slot` of every chunk of its piece. */
static void
prepare_token(const plan *p, const piece *s, size_t slot, const uint8_t *act)
{
    const x86_form *f = p->x->form;
    const int32_t form = p->m->act;
    const size_t cols = p->m->cols;
    const int8_t *q = (const int8_t *)act + decai__act_quants_at(form, cols);
    const int16_t *sums = (const int16_t *)(const void *)(act + decai__act_sums_at(form, cols));
    const uint8_t *scales = act + 8, *s6 = scales + cols / 256 * 2;
    uint8_t *to = p->prepared + s->from * p->chunks * p->step;
    for (size_t at = 0; at < cols; at += X86_CHUNK) {
        size_t count = DECAI__MIN((size_t)X86_CHUNK, cols - at);
        uint8_t *place = to + (at / X86_CHUNK * s->tokens + slot) * p->step;
        if (f->block == 1)
            p->isa->prepare32(f, (x86_act32 *)(void *)place, q + at, sums + at / 16, scales + at / 16, count / 32);
        else
            p->isa->prepare256(f, (x86_act256 *)(void *)place, q + at, sums + at / 16, scales + at / 128,
                p->two_level ? s6 + at / 32 : NULL, count / 256);
    }
}

static void
prepare_pieces(decai__call *a, size_t first, size_t end, size_t slice)
{
    const plan *p = a->plan;
    (void)slice;
    for (size_t i = first; i < end; i++) {
        const piece *s = &p->piece[i];
        for (size_t slot = 0; slot < s->tokens; slot++)
            prepare_token(p, s, slot, a->x + p->token[s->from + slot] * p->stride);
    }
}

/* ---- one group ----------------------------------------------------------------- */

typedef struct work {
    x86_panel panel;
    x86_acc acc[X86_TOKENS];
    uint8_t packed[X86_CHUNK / 32 * 544];        /* without repacking: one chunk's records */
} work;

/* Records first..first+count-1 of the group, packed. */
static const uint8_t *
group_records(const plan *p, work *w, size_t expert, size_t group, size_t first, size_t count)
{
    const x86_matrix *x = p->x;
    if (x->packed) return x->packed + (expert * x->groups + group) * x->group_bytes + first * x->form->record;
    const uint8_t *rows[X86_ROWS];
    int32_t exponents[X86_ROWS];
    decai__x86_group_rows(p->m, p->m->raw, expert, group, rows, exponents);
    decai__x86_pack(x->form, w->packed, rows, exponents, first, count);
    return w->packed;
}

/* Tokens of the piece from `done` meet the panel; meanwhile the next chunk, which lies
 * behind this one, comes nearer: of each tile's time a part of it. */
static void
multiply_panel(const plan *p, work *w, const piece *s, size_t done, const uint8_t *records, const uint8_t *act, size_t blocks)
{
    const x86_form *f = p->x->form;
    const size_t tile = 8, tiles = (s->tokens - done + tile - 1) / tile, each = p->x->packed && tiles ? f->record / tiles + 1 : 0;
    for (size_t t = 0; t < tiles; t++) {
        size_t first = done + t * tile;
        p->isa->multiply(f, w->acc + first, &w->panel, act + first * p->step, blocks, DECAI__MIN(tile, s->tokens - first), p->two_level,
            records + blocks * (f->record + each * t), each);
    }
}

/* Where results go: it is written soon. */
static void
fetch_results(const plan *p, const piece *s, const float *y)
{
    for (size_t i = 0; i < s->tokens; i++) __builtin_prefetch(y + p->token[s->from + i] * p->m->rows, 1, 3);
}

static void
group_sums(const plan *p, work *w, const piece *s, size_t group, const float *y)
{
    const x86_form *f = p->x->form;
    const bool vector = s->tokens == 1 && p->isa->vector && !p->two_level, stream = p->isa->stream && !p->two_level;
    const size_t part = s->tokens <= FEW_TOKENS && !stream ? 256 : X86_CHUNK, element = 32u * f->block;
    const size_t act_bytes = f->block == 1 ? sizeof(x86_act32) : sizeof(x86_act256);
    const size_t tile = stream ? DECAI__MIN(s->tokens, (size_t)8) : 0;
    const uint8_t *prepared = p->prepared + s->from * p->chunks * p->step;
    memset(w->acc, 0, (s->tokens + s->tokens % 2) * sizeof w->acc[0]);
    for (size_t at = 0; at < p->m->cols; at += part) {
        size_t blocks = DECAI__MIN(part, p->m->cols - at) / element;
        const uint8_t *act = prepared + at / X86_CHUNK * s->tokens * p->step + at % X86_CHUNK / element * act_bytes;
        const uint8_t *records = group_records(p, w, s->expert, group, at / element, blocks);
        if (vector) {
            p->isa->vector(f, w->acc, records, act, blocks);
            continue;
        }
        if (stream) p->isa->stream(f, w->acc, &w->panel, records, act, blocks, tile, s->tokens > tile);
        else p->isa->unpack(f, &w->panel, records, blocks, p->two_level);
        if (at + part >= p->m->cols) fetch_results(p, s, y);
        multiply_panel(p, w, s, tile, records, act, blocks);
    }
}

static void
group_finish(const decai__call *a, const plan *p, const work *w, const piece *s, size_t group)
{
    const decai__matrix *m = p->m;
    size_t row = group * X86_ROWS, rows = DECAI__MIN((size_t)X86_ROWS, m->rows - row);
    const int32_t *exponents = (const int32_t *)(const void *)m->exponents->host + s->expert * m->rows + row;
    for (size_t i = 0; i < s->tokens; i++) {
        size_t token = p->token[s->from + i];
        int32_t exponent;
        memcpy(&exponent, a->x + token * p->stride + 4, 4);
        p->isa->finish((float *)(void *)a->y + token * m->rows + row, (const x86_acc *)&w->acc[i], exponents, exponent, rows);
    }
}

static void
group_items(decai__call *a, size_t first, size_t end, size_t slice)
{
    work w __attribute__((aligned(64)));
    const plan *p = a->plan;
    (void)slice;
    for (; first < end; first++) {
        const piece *s = &p->piece[first / p->x->groups];
        group_sums(p, &w, s, first % p->x->groups, (const float *)(void *)a->y + first % p->x->groups * X86_ROWS);
        group_finish(a, p, &w, s, first % p->x->groups);
    }
}

/* ---- the op ---------------------------------------------------------------------- */

/* Tokens of a piece: a multiple of eight. */
static size_t
piece_most(const plan *p)
{
    size_t fit = PIECE_BYTES / (p->step * p->chunks) / 8 * 8;
    return DECAI__MIN((size_t)X86_TOKENS, DECAI__MAX(fit, (size_t)8));
}

/* The batch's n tokens in order of experts, cut into pieces. */
static void
cut(plan *p, const decai__call *a, size_t n)
{
    size_t most = piece_most(p), at = 0, end[DECAI__EXPERTS_MAX];
    memset(end, 0, p->m->experts * sizeof end[0]);
    for (size_t i = 0; i < n; i++) end[decai__call_expert(a, p->first + i)]++;
    p->pieces = 0;
    for (size_t e = 0; e < p->m->experts; e++) {
        size_t count = end[e];
        end[e] = at;                             /* where the next token of e goes */
        for (size_t left = count; left; left -= p->piece[p->pieces++].tokens, at += p->piece[p->pieces - 1].tokens)
            p->piece[p->pieces] = (piece){ e, at, DECAI__MIN(left, most) };
    }
    for (size_t i = 0; i < n; i++) p->token[end[decai__call_expert(a, p->first + i)]++] = (uint32_t)(p->first + i);
}

static size_t
pieces_most(const plan *p, size_t n)
{
    return n / piece_most(p) + DECAI__MIN(n, p->m->experts) + 1;
}

/* Room for a batch of n tokens, laid out. */
static int32_t
make_room(plan *p, decai__compute *c, size_t n)
{
    size_t pieces = decai__pad64(pieces_most(p, n) * sizeof(piece)), tokens = decai__pad64(n * sizeof(uint32_t));
    uint8_t *room = decai__host_room(c, pieces + tokens + (n * p->chunks + 1) * p->step);
    if (!room) return DECAI_E_NOMEM;
    p->piece = (piece *)(void *)room;
    p->token = (uint32_t *)(void *)(room + pieces);
    p->prepared = room + pieces + tokens;
    return 0;
}

int32_t
decai__x86_matmul(decai__compute *c, decai__call *a)
{
    const decai__matrix *m = a->m;
    plan p = { .m = m, .x = m->impl, .isa = c->isa, .two_level = m->act == DECAI__ACT_2L };
    p.chunks = (m->cols + X86_CHUNK - 1) / X86_CHUNK;
    p.step = p.x->form->block == 1 ? X86_ACT32_STEP * sizeof(x86_act32) : X86_ACT256_STEP * sizeof(x86_act256);
    p.stride = decai__act_stride(m->act, m->cols);
    size_t batch = DECAI__MIN(a->n, DECAI__MAX((size_t)X86_TOKENS, BATCH_BYTES / (p.chunks * p.step)));
    int32_t r = make_room(&p, c, batch);
    a->plan = &p;
    for (; !r && p.first < a->n; p.first += batch) {
        size_t n = DECAI__MIN(batch, a->n - p.first);
        cut(&p, a, n);
        if (n <= 8) prepare_pieces(a, 0, p.pieces, 0);
        else decai__host_items(c, a, prepare_pieces, p.pieces, 1);
        size_t cost = X86_ROWS * m->cols * (n / p.pieces + 1) / 32;
        decai__host_items(c, a, group_items, p.pieces * p.x->groups, decai__host_unit(cost));
    }
    a->plan = NULL;
    return r;
}

#endif
