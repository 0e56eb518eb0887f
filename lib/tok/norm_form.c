/* norm_form.c - Unicode's normalization forms (UAX #15) over UTF-8.
 *
 * Most texts are in the form already. A walk over the characters says how far: a
 * character is fine if its row says so and no mark stands behind one of a higher
 * class. What is not fine is rewritten from the last place where the form can be
 * cut to the next one: decomposed, marks sorted by class, composed again. Nothing
 * outside of such a segment can change it, and each character is in one segment.
 *
 * A hostile segment is as long as the text. Sorting counts by class then, and
 * composing looks at each character once: linear time whatever stands there.
 * Bytes that are no UTF-8 stay, and are cut around.
 *
 * All output bytes of a segment have their end where the segment ends; a segment
 * is a letter with its marks. */
#include "tok/norm_work.h"

#define L_BASE 0x1100u
#define V_BASE 0x1161u
#define T_BASE 0x11a7u
#define S_BASE 0xac00u
#define S_COUNT 11172u
#define INSERT_MAX 16u               /* marks that are sorted by insertion */

static inline decai__norm_prop
prop_of(uint32_t c)
{
    return decai__norm_props[c < DECAI__BAD ? decai__norm_block[decai__norm_index[c >> 8]][c & 255] : decai__norm_block[0][0]];
}

/* ---- how far a text is in form -------------------------------------------------- */

/* By first byte from C0 on: the length of characters that all stand as they are in
 * form C, alone before what is no mark: Latin, Greek and Cyrillic for the most part,
 * ideographs from U+4000 on, Hangul from U+B000 to U+CFFF. */
static const uint8_t PLAIN[64] = {
    0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 2,
    2, 2, 0, 2, 2, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 3, 3, 3, 3, 3, 3, 0, 3, 3, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};

/* ASCII, and in form C what PLAIN says. */
static inline const uint8_t *
skip_plain(const uint8_t *p, const uint8_t *end, enum decai__form form)
{
    uint64_t v;
    for (;;) {
        while (end - p >= 8 && (memcpy(&v, p, 8), !(v & 0x8080808080808080u))) p += 8;
        while (p < end && *p < 0x80) p++;
        if (form != DECAI__NFC) return p;
        const uint8_t *from = p;
        while (end - p >= 3 && *p >= 0xc0) {
            uint8_t n = PLAIN[*p - 0xc0];
            if (!n || (p[1] & 0xc0) != 0x80 || (n == 3 && (p[2] & 0xc0) != 0x80)) return p;
            p += n;
            if (p < end && *p == ' ') p++;
        }
        if (p == from || p == end || *p >= 0x80) return p;
    }
}

size_t
decai__norm_span(enum decai__form form, const uint8_t *text, size_t len)
{
    const uint8_t *p = text, *end = text + len, *cut = text, *n;
    uint8_t last = 0;
    while (p < end) {
        n = skip_plain(p, end, form);
        if (n > p) {
            /* The last of them may be a letter that the next mark belongs to. */
            for (cut = n - 1; cut > p && (*cut & 0xc0) == 0x80;) cut--;
            last = 0;
            p = n;
            if (p == end) return len;
        }
        decai__norm_prop k = prop_of(decai__utf8_next(p, end, &n));
        if (k.flags >> form & 1) cut = p;
        if (!(k.flags >> (4 + form) & 1) || (k.ccc && k.ccc < last)) return (size_t)(cut - text);
        last = k.ccc;
        p = n;
    }
    return len;
}

/* ---- one segment -------------------------------------------------------------------- */

static int32_t
push(decai__form_work *w, uint32_t c)
{
    if (w->count == w->cap) {
        size_t cap = 2 * w->cap + 64;
        uint32_t *points = decai__realloc(w->ctx, w->points, w->cap * sizeof *points, cap * sizeof *points);
        if (!points) return decai__fail(DECAI_E_NOMEM, "text: no memory for a segment of %zu characters", cap);
        w->points = points;
        w->cap = cap;
    }
    w->points[w->count++] = c;
    return 0;
}

static int32_t
decompose(decai__form_work *w, uint32_t c, bool compatible)
{
    const uint32_t *to;
    if (c - S_BASE < S_COUNT) {
        uint32_t s = c - S_BASE;
        int32_t r = push(w, L_BASE + s / 588);
        if (!r) r = push(w, V_BASE + s % 588 / 28);
        return r || !(s % 28) ? r : push(w, T_BASE + s % 28);
    }
    size_t n = decai__norm_split(c, compatible, &to);
    if (!n) return push(w, c);
    int32_t r = 0;
    for (size_t i = 0; !r && i < n; i++) r = push(w, to[i]);
    return r;
}

/* A run of marks by class, equal ones as they stood. */
static int32_t
sort_long(decai__form_work *w, uint32_t *marks, size_t count)
{
    size_t place[256] = { 0 }, at = 0;
    uint32_t *sorted = decai__alloc(w->ctx, count * sizeof *sorted);
    if (!sorted) return decai__fail(DECAI_E_NOMEM, "text: no memory for a run of %zu marks", count);
    for (size_t i = 0; i < count; i++) place[prop_of(marks[i]).ccc]++;
    for (size_t k = 0; k < 256; k++) {
        size_t n = place[k];
        place[k] = at;
        at += n;
    }
    for (size_t i = 0; i < count; i++) sorted[place[prop_of(marks[i]).ccc]++] = marks[i];
    memcpy(marks, sorted, count * sizeof *marks);
    decai__free(w->ctx, sorted);
    return 0;
}

static int32_t
sort_marks(decai__form_work *w, uint32_t *marks, size_t count)
{
    if (count > INSERT_MAX) return sort_long(w, marks, count);
    for (size_t i = 1; i < count; i++) {
        uint32_t c = marks[i];
        uint8_t k = prop_of(c).ccc;
        size_t j = i;
        for (; j && prop_of(marks[j - 1]).ccc > k; j--) marks[j] = marks[j - 1];
        marks[j] = c;
    }
    return 0;
}

static int32_t
reorder(decai__form_work *w)
{
    int32_t r = 0;
    for (size_t i = 0, j; !r && i < w->count; i = j) {
        for (j = i; j < w->count && prop_of(w->points[j]).ccc;) j++;
        if (j > i + 1) r = sort_marks(w, w->points + i, j - i);
        if (j == i) j++;
    }
    return r;
}

static uint32_t
join(uint32_t a, uint32_t b)
{
    if (a - L_BASE < 19 && b - V_BASE < 21) return S_BASE + ((a - L_BASE) * 21 + (b - V_BASE)) * 28;
    if (a - S_BASE < S_COUNT && (a - S_BASE) % 28 == 0 && b - T_BASE - 1 < 27) return a + (b - T_BASE);
    return decai__norm_join(a, b);
}

/* A character composes with the last starter if nothing of its class or a higher
 * one stands between them. */
static void
compose(decai__form_work *w)
{
    size_t starter = SIZE_MAX, out = 0;
    uint8_t last = 0;
    for (size_t i = 0; i < w->count; i++) {
        uint32_t c = w->points[i];
        uint8_t k = prop_of(c).ccc;
        bool next_to = starter != SIZE_MAX && out == starter + 1;
        if (starter != SIZE_MAX && (next_to || (last && last < k))) {
            uint32_t joined = join(w->points[starter], c);
            if (joined) {
                w->points[starter] = joined;
                continue;
            }
        }
        if (!k) starter = out;
        last = k;
        w->points[out++] = c;
    }
    w->count = out;
}

/* The characters of text[0, len), as one segment, appended. */
static int32_t
add_segment(decai__form_work *w, enum decai__form form, decai__norm_out *out, const uint8_t *text, size_t len, size_t at)
{
    const uint8_t *p = text, *end = text + len, *n;
    int32_t r = 0;
    w->count = 0;
    for (; !r && p < end; p = n) {
        uint32_t c = decai__utf8_next(p, end, &n);
        /* Only the first can be no character: such bytes are segments of their own. */
        if (c == DECAI__BAD) return decai__norm_put(out, p, 1, at, at + 1);
        r = decompose(w, c, form & 2);
    }
    if (!r) r = reorder(w);
    if (!r && (form & 1)) compose(w);
    for (size_t i = 0; !r && i < w->count; i++) {
        uint8_t bytes[4];
        r = decai__norm_put(out, bytes, decai__utf8_put(w->points[i], bytes), at, at + len);
    }
    return r;
}

static const uint8_t *
segment_end(const uint8_t *p, const uint8_t *end, enum decai__form form)
{
    const uint8_t *n;
    uint32_t c = decai__utf8_next(p, end, &p);
    if (c == DECAI__BAD) return p;
    while (p < end && !(prop_of(decai__utf8_next(p, end, &n)).flags >> form & 1)) p = n;
    return p;
}

int32_t
decai__norm_form(decai__norm_out *out, const decai__norm_step *step, const uint8_t *text, size_t len)
{
    enum decai__form form = (enum decai__form)step->form;
    decai__form_work w = { .ctx = out->ctx };
    size_t at = decai__norm_span(form, text, len);
    int32_t r = 0;
    if (at == len) return 0;
    r = decai__norm_same(out, 0, at);
    while (!r && at < len) {
        size_t end = (size_t)(segment_end(text + at, text + len, form) - text);
        r = add_segment(&w, form, out, text + at, end - at, at);
        at = end;
        if (r || at == len) break;
        size_t more = decai__norm_span(form, text + at, len - at);
        r = decai__norm_same(out, at, at + more);
        at += more;
    }
    out->changed = true;
    decai__free(w.ctx, w.points);
    return r;
}
