/* json_norm.c - the normalizer of a tokenizer.json: read into steps and rules, and
 * written again.
 *
 * Steps (norm.h) change the text before all else. Some normalizers are rules of the
 * family instead, done while encoding: spaces as U+2581 and the one put first
 * (SentencePiece), the precompiled map and single spaces (Unigram), what BERT does
 * (WordPiece). Rules stand last: a step behind one is refused. */
#include "tok/added.h"
#include "tok/json.h"

#define MARK "\xe2\x96\x81"
#define ENDS "^ +| +$"               /* what merging spaces does beside " {2,}" */

static const char *const FORM_NAME[] = { "NFD", "NFC", "NFKD", "NFKC" };

/* ---- reading: rules --------------------------------------------------------------- */

static int32_t
charsmap(decai__json_reader *j, const decai__json_node *n)
{
    const char *text;
    size_t len;
    uint32_t bits = 0, have = 0;
    int32_t r = decai__json_get_str(j->doc, n, "precompiled_charsmap", &text, &len);
    if (r) return r;
    decai_tokenizer *t = j->t;
    if (t->charsmap) return decai__json_refuse(j, n, "a second normalizer");
    t->charsmap = decai__alloc(t->h.context, len / 4 * 3 + 4);
    if (!t->charsmap) return decai__fail(DECAI_E_NOMEM, "precompiled_charsmap: no memory");
    for (size_t i = 0; i < len && text[i] != '='; i++) {
        char c = text[i];
        uint32_t v = c >= 'A' && c <= 'Z' ? (uint32_t)(c - 'A') : c >= 'a' && c <= 'z' ? (uint32_t)(c - 'a') + 26
            : c >= '0' && c <= '9' ? (uint32_t)(c - '0') + 52 : c == '+' ? 62 : c == '/' ? 63 : 64;
        if (v == 64) return decai__json_fail(j->doc, n, DECAI_E_CORRUPT, "precompiled_charsmap is not base64");
        bits = bits << 6 | v;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        t->charsmap[t->charsmap_len++] = (uint8_t)(bits >> have);
    }
    return 0;
}

static int32_t
bert(decai__json_reader *j, const decai__json_node *n)
{
    decai__rules *rules = &j->t->rules;
    rules->clean = decai__json_flag(j, n, "clean_text", true);
    rules->cjk = decai__json_flag(j, n, "handle_chinese_chars", true);
    rules->lower = decai__json_flag(j, n, "lowercase", true);
    rules->strip = decai__json_flag(j, n, "strip_accents", rules->lower);
    return 0;
}

static bool
regex_is(decai__json_reader *j, const decai__json_node *n, const char *want)
{
    const char *text;
    size_t len;
    const decai__json_node *regex = decai__json_find(decai__json_find(n, "pattern"), "Regex");
    return regex && !decai__json_str(j->doc, regex, &text, &len) && len == strlen(want) && !memcmp(text, want, len);
}

/* 1: it is a rule and taken | 0: it is none | an error. */
static int32_t
take_rule(decai__json_reader *j, const decai__json_node *n)
{
    decai__rules *rules = &j->t->rules;
    bool unigram = rules->family == DECAI__UGM, spaced = unigram || rules->family == DECAI__BPE_RAW;
    int32_t r = 1;
    if (rules->family == DECAI__WPM && decai__json_type_is(j, n, "BertNormalizer")) {
        r = bert(j, n);
    } else if (unigram && decai__json_type_is(j, n, "Precompiled")) {
        r = charsmap(j, n);
    } else if (spaced && decai__json_type_is(j, n, "Prepend") && decai__json_is_string(j, n, "prepend", MARK) && !rules->space_prefix) {
        rules->space_prefix = true;
        rules->prefix = DECAI__PREFIX_PREPEND;
    } else if (spaced && decai__json_type_is(j, n, "Replace") && decai__json_is_string(j, n, "pattern", " ")
        && decai__json_is_string(j, n, "content", MARK)) {
        j->marks = true;
    } else if (unigram && decai__json_type_is(j, n, "Replace") && regex_is(j, n, ENDS) && decai__json_is_string(j, n, "content", "")) {
        rules->merge_spaces = true;
    } else if (unigram && decai__json_type_is(j, n, "Replace") && regex_is(j, n, " {2,}")
        && (decai__json_is_string(j, n, "content", " ") || decai__json_is_string(j, n, "content", MARK))) {
        decai__norm *norm = &j->t->norm;
        const decai__norm_step *last = norm->count ? &norm->steps[norm->count - 1] : NULL;
        if (last && last->kind == DECAI__NORM_STRIP && last->left && last->right) norm->count--;
        rules->merge_spaces = true;
    } else {
        /* Behind the map, with " {2,}" after it: what merging spaces does anyway. */
        return unigram && j->t->charsmap && decai__json_type_is(j, n, "Strip") ? 1 : 0;
    }
    j->ruled = true;
    return r < 0 ? r : 1;
}

/* ---- reading: steps ------------------------------------------------------------------ */

static int32_t
text_of(decai__json_reader *j, const decai__json_node *n, const char *key, uint8_t *out, uint8_t *out_len)
{
    const char *text;
    size_t len;
    const decai__json_node *v = decai__json_find(n, key);
    if (decai__json_type(v) == DECAI__JSON_OBJECT) v = decai__json_find(v, "String");
    if (!v) return decai__json_refuse(j, n, "the pattern of normalizer");
    int32_t r = decai__json_str(j->doc, v, &text, &len);
    if (!r && len > DECAI__NORM_TEXT_MAX) r = decai__json_fail(j->doc, v, DECAI_E_LIMIT, "a normalizer's text longer than 64 bytes");
    if (r) return r;
    memcpy(out, text, len);
    *out_len = (uint8_t)len;
    return 0;
}

static int32_t
replace_step(decai__json_reader *j, const decai__json_node *n, decai__norm_step *step)
{
    bool runs = regex_is(j, n, " {2,}"), white = regex_is(j, n, "\\s+");
    int32_t r = text_of(j, n, "content", step->to, &step->to_len);
    step->kind = runs || white ? DECAI__NORM_SPACES : DECAI__NORM_REPLACE;
    step->least = runs ? 2 : 0;
    if (r || runs || white) return r;
    r = text_of(j, n, "pattern", step->from, &step->from_len);
    return r || step->from_len ? r : decai__json_refuse(j, n, "the empty pattern of normalizer");
}

static int32_t
read_step(decai__json_reader *j, const decai__json_node *n, decai__norm_step *step)
{
    *step = (decai__norm_step){ .kind = DECAI__NORM_FORM };
    for (uint8_t f = 0; f < DECAI__COUNT(FORM_NAME); f++) {
        step->form = f;
        if (decai__json_type_is(j, n, FORM_NAME[f])) return 0;
    }
    step->form = 0;
    if (decai__json_type_is(j, n, "Lowercase")) {
        step->kind = DECAI__NORM_LOWER;
    } else if (decai__json_type_is(j, n, "StripAccents")) {
        step->kind = DECAI__NORM_ACCENTS;
    } else if (decai__json_type_is(j, n, "Strip")) {
        step->kind = DECAI__NORM_STRIP;
        step->left = decai__json_flag(j, n, "strip_left", true);
        step->right = decai__json_flag(j, n, "strip_right", true);
    } else if (decai__json_type_is(j, n, "Prepend")) {
        step->kind = DECAI__NORM_PREPEND;
        return text_of(j, n, "prepend", step->to, &step->to_len);
    } else if (decai__json_type_is(j, n, "Replace")) {
        return replace_step(j, n, step);
    } else {
        return decai__json_refuse(j, n, "normalizer");
    }
    return 0;
}

int32_t
decai__json_step_add(decai__json_reader *j, const decai__json_node *n, const decai__norm_step *step)
{
    decai__norm *norm = &j->t->norm;
    if (norm->count == DECAI__NORM_STEP_MAX) return decai__json_fail(j->doc, n, DECAI_E_LIMIT, "more than 16 normalizers");
    norm->steps[norm->count++] = *step;
    return 0;
}

static int32_t
one_normalizer(decai__json_reader *j, const decai__json_node *n, int depth)
{
    decai__norm_step step;
    int32_t r = 0;
    if (decai__json_type_is(j, n, "Sequence")) {
        if (depth == 4) return decai__json_refuse(j, n, "in each other more than four times: normalizer");
        const decai__json_node *list = decai__json_find(n, "normalizers");
        for (const decai__json_node *i = decai__json_first(list); !r && i; i = decai__json_next(i)) r = one_normalizer(j, i, depth + 1);
        return r;
    }
    r = take_rule(j, n);
    if (r) return r < 0 ? r : 0;
    if (j->ruled) return decai__json_refuse(j, n, "behind one that has to be the last: normalizer");
    r = read_step(j, n, &step);
    return r ? r : decai__json_step_add(j, n, &step);
}

int32_t
decai__json_normalizer(decai__json_reader *j, const decai__json_node *n)
{
    return decai__json_is_null(n) ? 0 : one_normalizer(j, n, 0);
}

/* ---- writing --------------------------------------------------------------------------- */

static void
put_type(decai__json_writer *w, const char *type)
{
    decai__json_put_object(w, NULL);
    decai__json_put_str(w, "type", type);
}

static void
put_prepend(decai__json_writer *w, const char *text, size_t len)
{
    put_type(w, "Prepend");
    decai__json_put_text(w, "prepend", text, len);
    decai__json_put_end(w);
}

static void
put_replace(decai__json_writer *w, const char *kind, const char *pattern, size_t len, const char *to, size_t to_len)
{
    put_type(w, "Replace");
    decai__json_put_object(w, "pattern");
    decai__json_put_text(w, kind, pattern, len);
    decai__json_put_end(w);
    decai__json_put_text(w, "content", to, to_len);
    decai__json_put_end(w);
}

static void
put_strip(decai__json_writer *w, bool left, bool right)
{
    put_type(w, "Strip");
    decai__json_put_bool(w, "strip_left", left);
    decai__json_put_bool(w, "strip_right", right);
    decai__json_put_end(w);
}

static void
put_step(decai__json_writer *w, const decai__norm_step *s)
{
    const char *from = (const char *)s->from, *to = (const char *)s->to;
    switch (s->kind) {
    case DECAI__NORM_STRIP: put_strip(w, s->left, s->right); return;
    case DECAI__NORM_PREPEND: put_prepend(w, to, s->to_len); return;
    case DECAI__NORM_REPLACE: put_replace(w, "String", from, s->from_len, to, s->to_len); return;
    case DECAI__NORM_SPACES: put_replace(w, "Regex", s->least ? " {2,}" : "\\s+", s->least ? 5 : 3, to, s->to_len); return;
    default: break;
    }
    put_type(w, s->kind == DECAI__NORM_FORM ? FORM_NAME[s->form] : s->kind == DECAI__NORM_LOWER ? "Lowercase" : "StripAccents");
    decai__json_put_end(w);
}

static int32_t
put_charsmap(const decai_tokenizer *t, decai__json_writer *w)
{
    static const char LETTER[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    decai__buf text;
    int32_t r = 0;
    decai__buf_init(&text, t->h.context, SIZE_MAX / 2, "precompiled_charsmap");
    for (size_t i = 0; !r && i < t->charsmap_len; i += 3) {
        size_t n = DECAI__MIN(3, t->charsmap_len - i);
        uint32_t v = (uint32_t)t->charsmap[i] << 16 | (n > 1 ? (uint32_t)t->charsmap[i + 1] << 8 : 0) | (n > 2 ? t->charsmap[i + 2] : 0u);
        char four[4] = { LETTER[v >> 18], LETTER[v >> 12 & 63], n > 1 ? LETTER[v >> 6 & 63] : '=', n > 2 ? LETTER[v & 63] : '=' };
        r = decai__buf_add(&text, four, 4);
    }
    put_type(w, "Precompiled");
    if (!r) decai__json_put_text(w, "precompiled_charsmap", (const char *)text.data, text.len);
    decai__json_put_end(w);
    decai__buf_free(&text);
    return r;
}

static void
put_bert(const decai_tokenizer *t, decai__json_writer *w)
{
    put_type(w, "BertNormalizer");
    decai__json_put_bool(w, "clean_text", t->rules.clean);
    decai__json_put_bool(w, "handle_chinese_chars", t->rules.cjk);
    decai__json_put_bool(w, "strip_accents", t->rules.strip);
    decai__json_put_bool(w, "lowercase", t->rules.lower);
    decai__json_put_end(w);
}

int32_t
decai__json_put_normalizer(const decai_tokenizer *t, decai__json_writer *w)
{
    const decai__rules *rules = &t->rules;
    bool unigram = rules->family == DECAI__UGM, raw = rules->family == DECAI__BPE_RAW || rules->family == DECAI__SPM;
    bool before = rules->prefix == DECAI__PREFIX_CONTROL || rules->prefix == DECAI__PREFIX_PREPEND;
    int32_t r = 0;
    if (rules->family == DECAI__BPE && !t->norm.count) {
        decai__json_put_null(w, "normalizer");
        return 0;
    }
    decai__json_put_object(w, "normalizer");
    decai__json_put_str(w, "type", "Sequence");
    decai__json_put_array(w, "normalizers");
    for (uint32_t i = 0; i < t->norm.count; i++) put_step(w, &t->norm.steps[i]);
    if (rules->prefix == DECAI__PREFIX_NORM) raw = unigram = false;     /* these steps are the rules */
    if (rules->prefix >= DECAI__PREFIX_METASPACE) raw = false;          /* the pre-tokenizer is */
    if (rules->family == DECAI__WPM) put_bert(t, w);
    if (t->charsmap) r = put_charsmap(t, w);
    /* Not Strip, which takes other white space along. */
    if (unigram && rules->merge_spaces) put_replace(w, "Regex", ENDS, sizeof ENDS - 1, "", 0);
    if (unigram && rules->merge_spaces) put_replace(w, "Regex", " {2,}", 5, " ", 1);
    if ((raw || unigram) && rules->space_prefix && before) put_prepend(w, MARK, 3);
    if (raw || (unigram && before)) put_replace(w, "String", " ", 1, MARK, 3);
    decai__json_put_end(w);
    decai__json_put_end(w);
    return r;
}
