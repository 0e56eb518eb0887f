/* guard.c - what people say stays text: only a template writes control tokens.
 *
 * Chat templates put messages and control tokens into one text, and a message that
 * spells "<|im_end|>" would end itself. So, of a conversation's JSON, every string that
 * holds the text of a control token gets a mark behind that text's first byte, a
 * character that occurs nowhere else in it. In the rendering such a text is broken, so
 * all control tokens that are found there are the template's own; the stretches between
 * those are independent of each other, and one with marks in it is encoded without them
 * and without control tokens. Whoever says nothing of the kind, which is nearly
 * everybody, has the same tokens as ever.
 *
 * Not seen: a control token's text that a template puts together from two pieces. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

typedef struct entry { const uint8_t *at; size_t len; } entry;

struct guard {
    const decai_tokenizer *tok;
    text words;                      /* all their texts */
    entry *entries;                  /* sorted by their bytes */
    size_t count, first[257];
    uint8_t *control;                /* of each token: does it steer? */
    uint64_t vocabulary;
};

/* Characters for private use: the last one of each plane that has them, and others. */
static const char *const marks[] = {"\xf4\x8f\xbf\xbd", "\xf3\xbf\xbf\xbd", "\xf4\x8f\xbf\xbc", "\xf3\xbf\xbf\xbc", "\xef\xa3\xbf"};

/* ---- which texts they are --------------------------------------------------------------- */

static void
entry_add(guard *g, const uint8_t *data, size_t len)
{
    entry *wider = realloc(g->entries, (g->count + 1) * sizeof *wider);
    if (!wider) die(EXIT_FAILED, "out of memory");
    g->entries = wider;
    g->entries[g->count++] = (entry){NULL, len};
    text_add(&g->words, (const char *)data, len);
}

static int
entries_compare(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int r = memcmp(x->at, y->at, n);
    return r ? r : (x->len > y->len) - (x->len < y->len);
}

static void
entries_sort(guard *g)
{
    for (size_t i = 0, at = 0; i < g->count; at += g->entries[i++].len) g->entries[i].at = (const uint8_t *)g->words.data + at;
    if (g->count) qsort(g->entries, g->count, sizeof *g->entries, entries_compare);
    for (size_t byte = 0, i = 0; byte < 257; byte++) {
        while (i < g->count && g->entries[i].at[0] < byte) i++;
        g->first[byte] = i;
    }
}

guard *
guard_open(const decai_tokenizer *tok)
{
    guard *g = calloc(1, sizeof *g);
    uint8_t data[DECAI_TOKEN_STREAM_MAX];
    size_t len = 0;
    int32_t kind = 0;
    if (!g) die(EXIT_FAILED, "out of memory");
    g->tok = tok;
    check(decai_tokenizer_count(tok, &g->vocabulary), "vocabulary");
    g->control = calloc(g->vocabulary + 1, 1);
    if (!g->control) die(EXIT_FAILED, "out of memory");
    for (uint64_t i = 0; i < g->vocabulary; i++) {
        if (decai_tokenizer_token_get(tok, data, sizeof data, &len, &kind, (int32_t)i) || !len) continue;
        g->control[i] = kind == DECAI_TOKEN_CONTROL;
        size_t character = data[0] < 0x80 ? 1 : data[0] < 0xe0 ? 2 : data[0] < 0xf0 ? 3 : 4;
        if ((g->control[i] || kind == DECAI_TOKEN_UNKNOWN) && len > character) entry_add(g, data, len);       /* a lone character cannot be broken */
    }
    entries_sort(g);
    return g;
}

void
guard_close(guard *g)
{
    if (!g) return;
    text_free(&g->words);
    free(g->entries);
    free(g->control);
    free(g);
}

/* The first from `from` to `to` whose byte k is c at least. */
static size_t
narrow(const guard *g, size_t from, size_t to, size_t k, unsigned c)
{
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (g->entries[middle].at[k] < c) from = middle + 1;
        else to = middle;
    }
    return from;
}

/* Does one of them begin here? Those that agree so far are a stretch of the sorted list,
 * the shortest first. */
static bool
begins(const guard *g, const char *at, size_t left)
{
    size_t from = g->first[(uint8_t)*at], to = g->first[(uint8_t)*at + 1];
    for (size_t k = 1; from < to; k++) {
        if (g->entries[from].len == k) return true;
        if (k == left) return false;
        from = narrow(g, from, to, k, (uint8_t)at[k]);
        to = narrow(g, from, to, k, (uint8_t)at[k] + 1u);
    }
    return false;
}

/* ---- marking ------------------------------------------------------------------------------ */

typedef struct marker {
    const guard *g;
    const decai_json *json;
    const char *mark;
    bool found;
    text *out;
} marker;

typedef int32_t (*getter)(const decai_json *, char *, size_t, size_t *, int32_t);

static void
fetch(const marker *m, getter get, int32_t value, text *out)
{
    size_t len = 0, at = out->len;
    if (get(m->json, NULL, 0, &len, value) != DECAI_E_SPACE) return;
    text_reserve(out, at + len);
    check(get(m->json, out->data + at, len, &len, value), "conversation");
}

static void
put_string(marker *m, getter get, int32_t value)
{
    text given = {0}, marked = {0};
    size_t copied = 0;
    fetch(m, get, value, &given);
    for (size_t i = 0; i < given.len; i++) {
        if (!begins(m->g, given.data + i, given.len - i)) continue;
        /* Behind the whole character, if it has more bytes. */
        while (i + 1 < given.len && ((uint8_t)given.data[i + 1] & 0xc0) == 0x80) i++;
        text_add(&marked, given.data + copied, i + 1 - copied);
        text_add(&marked, m->mark, strlen(m->mark));
        copied = i + 1;
        m->found = true;
    }
    if (!copied) {
        text_json(m->out, given.data ? given.data : "", given.len);
    } else {
        text_add(&marked, given.data + copied, given.len - copied);
        text_json(m->out, marked.data, marked.len);
    }
    text_free(&given);
    text_free(&marked);
}

static void
put_value(marker *m, int32_t value)
{
    int32_t type = 0, inner;
    uint64_t count = 0;
    (void)decai_json_type_get(m->json, &type, &count, value);
    if (type == DECAI_JSON_STRING) {
        put_string(m, decai_json_text_get, value);
    } else if (type == DECAI_JSON_OBJECT || type == DECAI_JSON_ARRAY) {
        bool object = type == DECAI_JSON_OBJECT;
        text_add(m->out, object ? "{" : "[", 1);
        for (uint64_t i = 0; i < count; i++) {
            if (decai_json_at(m->json, &inner, value, i) != 1) break;
            if (i) text_add(m->out, ",", 1);
            if (object) {
                put_string(m, decai_json_key_get, inner);
                text_add(m->out, ":", 1);
            }
            put_value(m, inner);
        }
        text_add(m->out, object ? "}" : "]", 1);
    } else {
        fetch(m, decai_json_format, value, m->out);
    }
}

/* Where the mark stands; NUL bytes are text. */
static const char *
find_mark(const char *at, const char *end, const char *mark)
{
    size_t n = strlen(mark);
    for (; at && (size_t)(end - at) >= n; at++) {
        at = memchr(at, mark[0], (size_t)(end - at));
        if (!at || (size_t)(end - at) < n) return NULL;
        if (!memcmp(at, mark, n)) return at;
    }
    return NULL;
}

int32_t
guard_mark(const guard *g, decai_context *ctx, text *json, const char **mark)
{
    decai_json *parsed = NULL;
    text out = {0};
    *mark = NULL;
    if (!g || !g->count) return 0;
    int32_t r = decai_json_open(&parsed, ctx, json->data, json->len);
    if (r) return r;
    marker m = {g, parsed, "", false, &out};
    put_value(&m, 0);                /* without a mark: is there anything, and which mark is free? */
    for (size_t i = 0; m.found && !*mark && i < sizeof marks / sizeof *marks; i++)
        if (!find_mark(out.data, out.data + out.len, marks[i])) *mark = marks[i];
    if (*mark) {
        m.mark = *mark;
        text_reserve(json, 0);
        m.out = json;
        put_value(&m, 0);
    }
    bool lost = m.found && !*mark;
    decai_destroy(parsed);
    text_free(&out);
    return lost ? DECAI_E_LIMIT : 0;
}

/* ---- encoding ------------------------------------------------------------------------------- */

/* Ids and where each one's text ends. */
static int32_t
encode_places(const guard *g, text *ids, text *ends, const char *data, size_t len)
{
    size_t n = 0, m = 0, rows = 0;
    uint64_t row = 0;
    const uint64_t text_ends[1] = {len};
    int32_t r = decai_tokenizer_batch_encode(g->tok, NULL, 0, &n, NULL, 0, &m, NULL, 0, &rows, (const uint8_t *)data, len, text_ends, 1, 0,
        DECAI_ENCODE_SPECIAL);
    if (r != DECAI_E_SPACE) return r;
    text_reserve(ids, n * sizeof(int32_t));
    text_reserve(ends, m * sizeof(uint64_t));
    return decai_tokenizer_batch_encode(g->tok, (int32_t *)(void *)ids->data, n, &n, (uint64_t *)(void *)ends->data, m, &m, &row, 1, &rows,
        (const uint8_t *)data, len, text_ends, 1, 0, DECAI_ENCODE_SPECIAL);
}

/* The stretch without its marks, as plain text; before it what came since the last one. */
static int32_t
encode_stretch(const guard *g, text *ids, const char *data, size_t *done, size_t from, size_t to, const char *mark)
{
    text clean = {0};
    const char *at = data + from, *end = data + to;
    int32_t r = ids_encode(g->tok, ids, data + *done, from - *done, DECAI_ENCODE_SPECIAL);
    for (const char *next; at < end; at = next) {
        const char *found = find_mark(at, end, mark), *stop = found ? found : end;
        text_add(&clean, at, (size_t)(stop - at));
        next = stop < end ? stop + strlen(mark) : end;
    }
    if (!r) r = ids_encode(g->tok, ids, clean.data ? clean.data : "", clean.len, 0);
    text_free(&clean);
    *done = to;
    return r;
}

int32_t
guard_encode(const guard *g, text *ids, const char *data, size_t len, const char *mark)
{
    text found = {0}, places = {0};
    size_t done = 0, begin = 0, before = 0;
    if (!mark) return ids_encode(g->tok, ids, data, len, DECAI_ENCODE_SPECIAL);
    int32_t r = encode_places(g, &found, &places, data, len);
    const int32_t *id = (const int32_t *)(const void *)found.data;
    const uint64_t *ends = (const uint64_t *)(const void *)places.data;
    for (size_t i = 0; !r && i <= found.len / sizeof *id; i++) {
        bool last = i == found.len / sizeof *id;
        if (!last && !g->control[id[i]]) {
            before = (size_t)ends[i];
            continue;
        }
        if (last) before = len;
        if (find_mark(data + begin, data + before, mark)) r = encode_stretch(g, ids, data, &done, begin, before, mark);
        if (!last) begin = before = (size_t)ends[i];
    }
    if (!r) r = ids_encode(g->tok, ids, data + done, len - done, DECAI_ENCODE_SPECIAL);
    text_free(&found);
    text_free(&places);
    return r;
}
