/* x86_attn_body.h - attention's inner loops (x86_attn.h); compiled by x86_vec.h's rule. */

#define PAGE DECAI__KV_PAGE
#if X86_WIDE
#define ATTN_J 12
#else
#define ATTN_J 6
#endif

/* ---- pages to f32 ------------------------------------------------------------------ */

/* K of a page: [dim][64]. */
VFN static void
VNAME(expand_k)(const x86_attn *s, float *to, const uint8_t *page)
{
    const uint16_t *half = (const uint16_t *)(const void *)page;
    if (s->type == DECAI__KV_F16) {
        for (size_t i = 0; i < s->dim * PAGE; i += VN) vstore(to + i, vload_half(half + i));
        return;
    }
    const int8_t *q = (const int8_t *)page;
    const uint16_t *scales = (const uint16_t *)(const void *)(page + s->k_scales);
    for (size_t b = 0; b < s->dim; b += DECAI__BLOCK)
        for (size_t l = 0; l < PAGE; l += VN) {
            vf scale = vload_half(scales + b / DECAI__BLOCK * PAGE + l);
            for (size_t d = b; d < DECAI__MIN(s->dim, b + DECAI__BLOCK); d++)
                vstore(to + d * PAGE + l, vload_i8(q + d * PAGE + l) * scale);
        }
}

/* V of a page's first count positions: [64][dim16]. */
VFN static void
VNAME(expand_v)(const x86_attn *s, float *to, const uint8_t *page, size_t count)
{
    const uint16_t *half = (const uint16_t *)(const void *)(page + s->v_at);
    if (s->type == DECAI__KV_F16) {
        for (size_t i = 0; i < count * s->dim16; i += VN) vstore(to + i, vload_half(half + i));
        return;
    }
    const int8_t *q = (const int8_t *)page + s->v_at;
    const uint16_t *scales = (const uint16_t *)(const void *)(page + s->v_scales);
    for (size_t t = 0; t < count; t++)
        for (size_t d = 0; d < s->dim16; d += VN) {
            float scale = _cvtsh_ss(scales[d / DECAI__BLOCK * PAGE + t]);
            vstore(to + t * s->dim16 + d, vload_i8(q + t * s->dim16 + d) * scale);
        }
}

/* The score after the chain: scaled, capped. */
VINLINE vf
VNAME(score)(const x86_attn *s, vf x)
{
    x = x * s->scale;
    return s->cap > 0.0f ? (vf)(s->cap * vtanh(x * s->inverse)) : x;
}

/* ---- many queries: lanes are queries --------------------------------------------------- */

#define ATTN_TILE(name, join, V, J) \
VFN static void VNAME(name)(const tile_place *t) { vtile(DECAI__F32, join, V, J, 1, t); }
ATTN_TILE(score_1a, false, 1, ATTN_J)
ATTN_TILE(score_1b, false, 1, 4)
ATTN_TILE(score_2a, false, 2, ATTN_J)
ATTN_TILE(score_2b, false, 2, 4)
ATTN_TILE(mix_1a, true, 1, ATTN_J)
ATTN_TILE(mix_1b, true, 1, 4)
ATTN_TILE(mix_2a, true, 2, ATTN_J)
ATTN_TILE(mix_2b, true, 2, 4)

/* columns 0..count-1 (rounded up to 4) of C = A x B, in tiles of J and 4. */
VFN static void
VNAME(columns)(tile_place t, size_t count, bool join, bool wide)
{
    size_t j = 0;
    float *c = t.c;
    const float *b = t.b;
    for (; j + ATTN_J <= count; j += ATTN_J) {
        t.c = c + j * t.cs;
        t.b = b + j;
        if (join) (wide ? VNAME(mix_2a) : VNAME(mix_1a))(&t);
        else (wide ? VNAME(score_2a) : VNAME(score_1a))(&t);
    }
    for (; j < count; j += 4) {
        t.c = c + j * t.cs;
        t.b = b + j;
        if (join) (wide ? VNAME(mix_2b) : VNAME(mix_1b))(&t);
        else (wide ? VNAME(score_2b) : VNAME(score_1b))(&t);
    }
}

/* What a block of queries works on. Lane l is query `first + l`, or the last again. */
typedef struct VNAME(many_block) {
    size_t lanes, vectors;
    size_t from_page, end_page, end; /* pages it sees, and the position after its last */
    size_t all_from, all_end;        /* positions that every lane sees */
    vi low[2], high[2];              /* the first and last position of each lane */
    float *q, *o, *panel, *s;        /* [dim][lanes], [dim16][lanes], page, [position][lanes] */
} VNAME(many_block);

VFN static size_t
VNAME(many_room)(const x86_attn *s, size_t pages, bool wide)
{
    size_t lanes = wide ? 2 * VN : VN;
    return (s->dim + s->dim16) * lanes + PAGE * s->dim16 + pages * PAGE * lanes + 64;
}

VFN static void
VNAME(many_open)(VNAME(many_block) *b, const x86_attn *s, size_t first, size_t count, bool wide, float *room)
{
    int32_t low[2 * VN], high[2 * VN];
    size_t all_from = 0, all_end = SIZE_MAX;
    b->vectors = wide ? 2 : 1;
    b->lanes = b->vectors * VN;
    b->q = room;
    b->o = b->q + s->dim * b->lanes;
    b->panel = b->o + s->dim16 * b->lanes;
    b->s = b->panel + PAGE * s->dim16;
    b->end = 0;
    b->from_page = SIZE_MAX;
    for (size_t l = 0; l < b->lanes; l++) {
        size_t r = first + DECAI__MIN(l, count - 1), token = r / s->group;
        const float *q = s->q + ((s->token + token) * s->heads + s->kv_head * s->group + r % s->group) * s->dim;
        size_t pos = s->layer ? s->pos + token : s->length - 1, from = s->layer ? decai__window_first(pos, s->window) : 0;
        for (size_t d = 0; d < s->dim; d++) b->q[d * b->lanes + l] = q[d];
        low[l] = (int32_t)from;
        high[l] = (int32_t)pos;
        all_from = DECAI__MAX(all_from, from);
        all_end = DECAI__MIN(all_end, pos + 1);
        b->end = DECAI__MAX(b->end, pos + 1);
        b->from_page = DECAI__MIN(b->from_page, from / PAGE);
    }
    b->all_from = all_from;
    b->all_end = all_end;
    b->end_page = (b->end + PAGE - 1) / PAGE;
    for (size_t v = 0; v < b->vectors; v++) {
        memcpy(&b->low[v], low + v * VN, sizeof b->low[v]);
        memcpy(&b->high[v], high + v * VN, sizeof b->high[v]);
    }
}

/* A page that every lane sees whole. 0 * x is a zero unless x is bad, so one chain
 * of products remembers. */
VFN static bool
VNAME(many_whole)(const VNAME(many_block) *b, const x86_attn *s, float *at, size_t count, vf max[2])
{
    bool bad = false;
    for (size_t v = 0; v < b->vectors; v++) {
        vf most = max[v], zero = vset(0.0f);
        for (size_t t = 0; t < count; t++) {
            float *p = at + t * b->lanes + v * VN;
            vf x = VNAME(score)(s, vload(p));
            zero = vfma(x, vset(0.0f), zero);
            vstore(p, x);
            most = vmax(most, x);
        }
        max[v] = most;
        bad |= vany(vbad(zero));
    }
    return bad;
}

/* Scores of one page into b->s, unseen ones as -inf; their maxima. True: one is bad. */
VFN static bool
VNAME(many_scores)(const VNAME(many_block) *b, const x86_attn *s, size_t page, vf max[2])
{
    size_t t0 = page * PAGE, count = DECAI__MIN((size_t)PAGE, b->end - t0);
    float *at = b->s + (page - b->from_page) * PAGE * b->lanes;
    const float *k = b->panel;
    if (s->layer) VNAME(expand_k)(s, b->panel, x86_attn_page(s, s->kv_head, page));
    else k = s->transposed + page * PAGE * s->dim;
    VNAME(columns)((tile_place){ .c = at, .cs = b->lanes, .a = b->q, .as = b->lanes, .b = k, .bk = PAGE, .k = s->dim },
        count, false, b->vectors == 2);
    if (t0 >= b->all_from && t0 + count <= b->all_end) return VNAME(many_whole)(b, s, at, count, max);
    vi bad = vseti(0);
    for (size_t t = 0; t < count; t++)
        for (size_t v = 0; v < b->vectors; v++) {
            float *p = at + t * b->lanes + v * VN;
            vf x = VNAME(score)(s, vload(p));
            vi now = vseti((int32_t)(t0 + t)), seen = (vi)(now >= b->low[v]) & (vi)(now <= b->high[v]);
            bad |= vbad(x) & seen;
            x = vsel(seen, x, vset(-__builtin_inff()));
            vstore(p, x);
            max[v] = vmax(max[v], x);
        }
    return vany(bad);
}

/* Weights of one page in place, their sum; values mixed into b->o. */
VFN static void
VNAME(many_mix)(const VNAME(many_block) *b, const x86_attn *s, size_t page, const vf max[2], vf sum[2])
{
    size_t count = DECAI__MIN((size_t)PAGE, b->end - page * PAGE), stride = s->dim16;
    float *at = b->s + (page - b->from_page) * PAGE * b->lanes;
    for (size_t v = 0; v < b->vectors; v++) {
        vf part = vset(0.0f), m = max[v];
        for (size_t t = 0; t < count; t++) {
            vf p = vexp(vload(at + t * b->lanes + v * VN) - m);
            vstore(at + t * b->lanes + v * VN, p);
            part = part + p;
        }
        sum[v] = sum[v] + part;
    }
    const float *values = b->panel;
    if (s->layer) VNAME(expand_v)(s, b->panel, x86_attn_page(s, s->kv_head, page), count);
    else {
        values = s->v + page * PAGE * s->stride;
        stride = s->stride;
    }
    VNAME(columns)((tile_place){ .c = b->o, .cs = b->lanes, .a = at, .as = b->lanes, .b = values, .bk = stride, .k = count },
        s->dim, true, b->vectors == 2);
}

VFN static void
VNAME(many)(const x86_attn *s, size_t first, size_t count, bool wide, float *room)
{
    VNAME(many_block) b;
    VNAME(many_open)(&b, s, first, count, wide, room);
    vf max[2], sum[2];
    bool bad = false;
    float sink[2 * VN], inverse[2 * VN];
    for (size_t l = 0; l < b.lanes; l++)
        sink[l] = s->sinks ? s->sinks[s->kv_head * s->group + (first + DECAI__MIN(l, count - 1)) % s->group] : -__builtin_inff();
    for (size_t v = 0; v < b.vectors; v++) {
        max[v] = vload(sink + v * VN);
        sum[v] = vset(0.0f);
    }
    for (size_t page = b.from_page; page < b.end_page; page++) bad |= VNAME(many_scores)(&b, s, page, max);
    if (bad) atomic_store(s->bad, 1);
    memset(b.o, 0, s->dim16 * b.lanes * 4);
    for (size_t page = b.from_page; page < b.end_page; page++) VNAME(many_mix)(&b, s, page, max, sum);
    for (size_t v = 0; v < b.vectors; v++) {
        if (s->sinks) sum[v] = sum[v] + vexp(vload(sink + v * VN) - max[v]);
        vstore(inverse + v * VN, vrecip(sum[v]));
    }
    for (size_t l = 0; l < count; l++) {
        size_t r = first + l;
        float *y = s->y + ((s->token + r / s->group) * s->heads + s->kv_head * s->group + r % s->group) * s->dim;
        for (size_t d = 0; d < s->dim; d++) y[d] = b.o[d * b.lanes + l] * inverse[l];
    }
}

/* One page of K rows -> [dim][64]; positions past count are zero. */
VFN static void
VNAME(transpose)(float *to, const float *k, size_t stride, size_t count, size_t dim)
{
    size_t t = 0;
    for (; t + 8 <= count; t += 8) {
        size_t d = 0;
        for (; d + 8 <= dim; d += 8) {
            __m256 r[8];
            for (size_t i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(k + (t + i) * stride + d);
            vtranspose8(r);
            for (size_t i = 0; i < 8; i++) _mm256_storeu_ps(to + (d + i) * PAGE + t, r[i]);
        }
        for (; d < dim; d++)
            for (size_t i = 0; i < 8; i++) to[d * PAGE + t + i] = k[(t + i) * stride + d];
    }
    for (; t < PAGE; t++)
        for (size_t d = 0; d < dim; d++) to[d * PAGE + t] = t < count ? k[t * stride + d] : 0.0f;
}

/* ---- few queries: lanes are positions, then elements --------------------------------------- */

#define FEW_PAGES 8                  /* weighed and mixed together */

/* Queries in groups of 4, 2, 1; vectors by how many registers that leaves. */
#if X86_WIDE
#define FEW_V4 4
#else
#define FEW_V4 2
#endif
#define FEW_TILE(name, type, join, V, J, bj) \
VFN static void VNAME(name)(const tile_place *t, size_t step) { (void)step; vtile(type, join, V, J, bj, t); }
#define FEW_TILES(name, type, join, bj) \
FEW_TILE(name##_4, type, join, FEW_V4, 4, bj) \
FEW_TILE(name##_2, type, join, 4, 2, bj) \
FEW_TILE(name##_1, type, join, 4, 1, bj) \
FEW_TILE(name##_4s, type, join, 16 / VN, 4, bj) \
FEW_TILE(name##_2s, type, join, 16 / VN, 2, bj) \
FEW_TILE(name##_1s, type, join, 16 / VN, 1, bj)
FEW_TILES(few_score_half, DECAI__F16, false, 1)
FEW_TILES(few_score_full, DECAI__F32, false, 1)
FEW_TILES(few_mix_half, DECAI__F16, true, step)
FEW_TILES(few_mix_full, DECAI__F32, true, step)

typedef void (*VNAME(few_tile))(const tile_place *t, size_t step);
/* by size of the group (4, 2, 1), then wide or 16 lanes */
#define FEW_ROW(name) { { VNAME(name##_4), VNAME(name##_4s) }, { VNAME(name##_2), VNAME(name##_2s) }, { VNAME(name##_1), VNAME(name##_1s) } }
static const VNAME(few_tile) VNAME(few_score_tiles)[2][3][2] = { FEW_ROW(few_score_half), FEW_ROW(few_score_full) };
static const VNAME(few_tile) VNAME(few_mix_tiles)[2][3][2] = { FEW_ROW(few_mix_half), FEW_ROW(few_mix_full) };
static const uint8_t VNAME(few_wide)[3] = { FEW_V4 * VN, 4 * VN, 4 * VN };

/* Groups of queries: 4 while there are four, then 2, then 1. */
VINLINE size_t
VNAME(few_group)(size_t left)
{
    return left >= 4 ? 0 : left >= 2 ? 1 : 2;
}

/* Lanes 0..count-1 (a multiple of 16) of C = A x B for `queries` queries. b_of_group:
 * floats of B from one query to the next; size: bytes of an element of A. */
VFN static void
VNAME(few_lanes)(const VNAME(few_tile) tiles[3][2], tile_place t, size_t queries, size_t b_of_query, size_t count, size_t size,
    size_t step, bool grouped)
{
    float *c = t.c;
    const float *b = t.b;
    const uint8_t *a = t.a;
    for (size_t r = 0; r < queries;) {
        size_t g = VNAME(few_group)(queries - r), many = (size_t)4 >> g;
        if (grouped) t.bk = many;
        t.b = b + r * b_of_query;
        for (size_t l = 0; l < count;) {
            bool whole = l + VNAME(few_wide)[g] <= count;
            t.c = c + r * t.cs + l;
            t.a = a + l * size;
            tiles[g][whole ? 0 : 1](&t, step);
            l += whole ? VNAME(few_wide)[g] : 16;
        }
        r += many;
    }
}

/* What a range of a head's pages works on. */
typedef struct VNAME(few_part) {
    size_t queries, from, end, width;   /* pages; width: positions of a row of scores */
    float *scores;                      /* [queries][width], of page_from on */
    float *panel;                       /* q8_0: a page in f32 */
} VNAME(few_part);

static VNAME(few_part)
VNAME(few_open)(const x86_attn *s, size_t head, size_t range, float *room)
{
    VNAME(few_part) p = { .queries = s->n * s->group, .from = s->page_from + range * s->range_pages,
        .width = ATTN_ROW((s->page_end - s->page_from) * PAGE), .panel = room };
    p.end = DECAI__MIN(s->page_end, p.from + s->range_pages);
    p.scores = s->scores + (head - s->head0) * p.queries * p.width;
    return p;
}

/* Queries side by side in their groups: [dim][4], .., [dim][2], [dim][1]. */
VFN static void
VNAME(few_queries)(const x86_attn *s, float *to, size_t head, size_t queries)
{
    for (size_t r = 0; r < queries;) {
        size_t many = (size_t)4 >> VNAME(few_group)(queries - r);
        for (size_t j = 0; j < many; j++) {
            size_t i = r + j;
            const float *q = s->q + (i / s->group * s->heads + head * s->group + i % s->group) * s->dim;
            for (size_t d = 0; d < s->dim; d++) to[r * s->dim + d * many + j] = q[d];
        }
        r += many;
    }
}

/* A row of one page: scaled, unseen positions -inf. Returns lanes of bad scores. */
VFN static vi
VNAME(few_row)(const x86_attn *s, float *row, size_t t0, size_t low, size_t high, vf *max)
{
    int32_t lane[VN];
    vi bad = vseti(0), ramp;
    bool all = t0 >= low && t0 + PAGE <= high + 1;
    for (int32_t i = 0; i < VN; i++) lane[i] = i;
    memcpy(&ramp, lane, sizeof ramp);
    for (size_t l = 0; l < PAGE; l += VN) {
        vf x = VNAME(score)(s, vload(row + l));
        vi wrong = vbad(x);
        if (!all) {
            vi now = ramp + (int32_t)(t0 + l), seen = (vi)(now >= (int32_t)low) & (vi)(now <= (int32_t)high);
            x = vsel(seen, x, vset(-__builtin_inff()));
            wrong &= seen;
        }
        bad |= wrong;
        vstore(row + l, x);
        *max = vmax(*max, x);
    }
    return bad;
}

/* The next page on its way while this one is used: pages lie apart, and what fetches
 * ahead by itself stops at their ends. */
VINLINE void
VNAME(few_fetch)(const x86_attn *s, size_t head, size_t page, size_t end, size_t from, size_t to)
{
    if (page + 1 >= end) return;
    const uint8_t *next = x86_attn_page(s, head, page + 1);
    for (size_t i = from; i < to; i += 64) _mm_prefetch((const char *)next + i, _MM_HINT_T1);
}

VFN static void
VNAME(few_scores)(const x86_attn *s, size_t head, size_t range, float *room)
{
    VNAME(few_part) p = VNAME(few_open)(s, head, range, room + ATTN_FEW_MAX * DECAI__HEAD_MAX);
    bool half = s->type == DECAI__KV_F16;
    vf max[ATTN_FEW_MAX];
    vi bad = vseti(0);
    VNAME(few_queries)(s, room, head, p.queries);
    for (size_t r = 0; r < p.queries; r++) max[r] = vset(-__builtin_inff());
    for (size_t page = p.from; page < p.end; page++) {
        const uint8_t *k = x86_attn_page(s, head, page);
        float *at = p.scores + (page - s->page_from) * PAGE;
        VNAME(few_fetch)(s, head, page, p.end, 0, s->v_at);
        if (!half) {
            VNAME(expand_k)(s, p.panel, k);
            k = (const uint8_t *)p.panel;
        }
        VNAME(few_lanes)(VNAME(few_score_tiles)[!half],
            (tile_place){ .c = at, .cs = p.width, .a = k, .as = PAGE, .b = room, .k = s->dim },
            p.queries, s->dim, PAGE, half ? 2 : 4, 1, true);
        for (size_t r = 0; r < p.queries; r++) {
            size_t pos = s->pos + r / s->group;
            bad |= VNAME(few_row)(s, at + r * p.width, page * PAGE, decai__window_first(pos, s->window), pos, &max[r]);
        }
    }
    if (vany(bad)) atomic_store(s->bad, 1);
    for (size_t r = 0; r < p.queries; r++) s->most[((head - s->head0) * s->ranges + range) * p.queries + r] = vmax_lanes(max[r]);
}

/* Sums of eight rows of 64 weights, each in order. */
VFN static void
VNAME(sums8)(float out[8], const float *const x[8])
{
    __m256 acc = _mm256_setzero_ps();
    for (size_t k = 0; k < PAGE; k += 8) {
        __m256 r[8];
        for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(x[i] + k);
        vtranspose8(r);
        for (int i = 0; i < 8; i++) acc = _mm256_add_ps(acc, r[i]);
    }
    _mm256_storeu_ps(out, acc);
}

/* Each query's largest score, over all ranges and its sink. */
static void
VNAME(few_most)(const x86_attn *s, size_t head, size_t queries, float *most)
{
    for (size_t r = 0; r < queries; r++) {
        most[r] = s->sinks ? s->sinks[head * s->group + r % s->group] : -__builtin_inff();
        for (size_t i = 0; i < s->ranges; i++) {
            float m = s->most[((head - s->head0) * s->ranges + i) * queries + r];
            most[r] = m > most[r] ? m : most[r];
        }
    }
}

/* Weights of some pages in place, and each page's sum of them. */
VFN static void
VNAME(few_weights)(const x86_attn *s, const VNAME(few_part) *p, const float *most, float *sums)
{
    size_t rows = (p->end - p->from) * p->queries;
    for (size_t r = 0; r < p->queries; r++) {
        float *row = p->scores + r * p->width;
        for (size_t t = (p->from - s->page_from) * PAGE; t < (p->end - s->page_from) * PAGE; t += VN)
            vstore(row + t, vexp(vload(row + t) - most[r]));
    }
    for (size_t at = 0; at < rows; at += 8) {
        const float *from[8];
        float sum[8];
        for (size_t i = 0; i < 8; i++) {
            size_t c = DECAI__MIN(at + i, rows - 1);
            from[i] = p->scores + c % p->queries * p->width + (p->from - s->page_from + c / p->queries) * PAGE;
        }
        VNAME(sums8)(sum, from);
        for (size_t i = 0; i < 8 && at + i < rows; i++) sums[at + i] = sum[i];
    }
}

VFN static void
VNAME(few_mix)(const x86_attn *s, size_t head, size_t range, float *room)
{
    const VNAME(few_part) all = VNAME(few_open)(s, head, range, room);
    size_t pages = s->page_end - s->page_from;
    bool half = s->type == DECAI__KV_F16;
    float most[ATTN_FEW_MAX];
    VNAME(few_part) p = all;
    VNAME(few_most)(s, head, p.queries, most);
    /* A few pages at a time: their weights are still in the cache when they are mixed. */
    for (; p.from < all.end; p.from = p.end) {
        p.end = DECAI__MIN(all.end, p.from + FEW_PAGES);
        size_t first = ((head - s->head0) * pages + p.from - s->page_from) * p.queries;
        VNAME(few_weights)(s, &p, most, s->part_sum + first);
        memset(s->part + first * s->dim16, 0, (p.end - p.from) * p.queries * s->dim16 * 4);
        for (size_t page = p.from; page < p.end; page++) {
            const uint8_t *at = x86_attn_page(s, head, page), *v = at + s->v_at;
            size_t count = DECAI__MIN((size_t)PAGE, s->pos + s->n - page * PAGE);
            VNAME(few_fetch)(s, head, page, all.end, s->v_at, s->head_bytes);
            if (!half) {
                VNAME(expand_v)(s, p.panel, at, count);
                v = (const uint8_t *)p.panel;
            }
            VNAME(few_lanes)(VNAME(few_mix_tiles)[!half],
                (tile_place){ .c = s->part + (first + (page - p.from) * p.queries) * s->dim16, .cs = s->dim16, .a = v,
                    .as = s->dim16, .b = p.scores + (page - s->page_from) * PAGE, .bk = 1, .k = count },
                p.queries, p.width, s->dim16, half ? 2 : 4, p.width, false);
        }
    }
}

VFN static void
VNAME(few_join)(const x86_attn *s, size_t head)
{
    size_t queries = s->n * s->group, pages = s->page_end - s->page_from;
    float most[ATTN_FEW_MAX];
    VNAME(few_most)(s, head, queries, most);
    for (size_t r = 0; r < queries; r++) {
        float sum = 0.0f, o[DECAI__HEAD_MAX] = { 0 };
        for (size_t page = 0; page < pages; page++) {
            size_t at = ((head - s->head0) * pages + page) * queries + r;
            sum = sum + s->part_sum[at];
            for (size_t d = 0; d < s->dim16; d += VN) vstore(o + d, vload(o + d) + vload(s->part + at * s->dim16 + d));
        }
        size_t h = head * s->group + r % s->group;
        if (s->sinks) sum = sum + leaf_exp(s->sinks[h] - most[r]);
        float inverse = leaf_recip(sum), *y = s->y + (r / s->group * s->heads + h) * s->dim;
        for (size_t d = 0; d < s->dim; d++) y[d] = o[d] * inverse;
    }
}

/* ---- into the cache ---------------------------------------------------------------------------- */

/* decai__leaf_kv_pack in lanes; whole vectors only, the rest by its own text. */
VFN static bool
VNAME(kv_pack)(uint8_t *row, int32_t type, const float *x, size_t dim)
{
    if (dim % DECAI__BLOCK) return decai__leaf_kv_pack(row, type, x, dim);
    vi most = vseti(0);
    size_t blocks = dim / DECAI__BLOCK;
    for (size_t d = 0; d < dim; d += VN) {
        vi a = vbits(vload(x + d)) & 0x7fffffff;
        most |= (vi)(a >= (int32_t)F16_OVERFLOW_BITS);
    }
    if (vany(most)) return decai__leaf_kv_pack(row, type, x, dim);
    if (type == DECAI__KV_F16) {
        for (size_t d = 0; d < dim; d += 8)
            _mm_storeu_si128((__m128i *)(void *)(row + 2 * d), _mm256_cvtps_ph(_mm256_loadu_ps(x + d), _MM_FROUND_TO_NEAREST_INT));
        return true;
    }
    for (size_t b = 0; b < blocks; b++) {
        const float *v = x + b * DECAI__BLOCK;
        vf top = vset(0.0f);
        for (size_t d = 0; d < DECAI__BLOCK; d += VN) top = vmax(top, vabs(vload(v + d)));
        uint16_t scale = leaf_kv_scale(f32_bits(vmax_lanes(top)));
        float inverse = scale ? leaf_recip(f16_to_f32(scale)) : 0.0f;
        int8_t *q = (int8_t *)row + 2 * blocks + b * DECAI__BLOCK;
        row[2 * b] = (uint8_t)scale;
        row[2 * b + 1] = (uint8_t)(scale >> 8);
        for (size_t d = 0; d < DECAI__BLOCK; d++) q[d] = leaf_kv_quant(v[d], inverse);
    }
    return true;
}

const x86_attn_isa VNAME(decai__attn) = {
    .lanes = VN, .many = VNAME(many), .many_room = VNAME(many_room), .few_scores = VNAME(few_scores), .few_mix = VNAME(few_mix),
    .few_join = VNAME(few_join), .transpose = VNAME(transpose), .pack = VNAME(kv_pack),
};
