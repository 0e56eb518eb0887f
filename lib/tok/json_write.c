/* json_write.c - a tokenizer as a Hugging Face tokenizer.json. */
#include "tok/added.h"
#include "tok/json.h"

/* All of them, or those that ask for something. */
static int32_t
put_added(const decai_tokenizer *t, decai__json_writer *w, decai__buf *text, bool all)
{
    int32_t r = 0;
    decai__json_put_array(w, "added_tokens");
    for (uint32_t id = 0; !r && id < t->count; id++) {
        if (!decai__json_is_added(t, id) || (!all && !(t->asks && t->asks[id]))) continue;
        r = decai__json_text_of(t, id, text);
        decai__json_put_object(w, NULL);
        decai__json_put_u64(w, "id", id);
        decai__json_put_text(w, "content", (const char *)text->data, text->len);
        uint8_t asks = t->asks ? t->asks[id] : 0;
        decai__json_put_bool(w, "single_word", asks & DECAI__ASKS_WORD);
        decai__json_put_bool(w, "lstrip", asks & DECAI__ASKS_LSTRIP);
        decai__json_put_bool(w, "rstrip", asks & DECAI__ASKS_RSTRIP);
        decai__json_put_bool(w, "normalized", asks & DECAI__ASKS_NORMALIZED);
        decai__json_put_bool(w, "special", t->kind[id] != DECAI_TOKEN_USER);
        decai__json_put_end(w);
    }
    decai__json_put_end(w);
    return r;
}

static void
put_type(decai__json_writer *w, const char *key, const char *type)
{
    decai__json_put_object(w, key);
    decai__json_put_str(w, "type", type);
}

/* One step of a pattern's line. */
static void
put_step(decai__json_writer *w, const char *step, size_t len)
{
    switch (*step) {
    case 'S':
        put_type(w, NULL, "Split");
        decai__json_put_object(w, "pattern");
        decai__json_put_text(w, "Regex", step + 2, len - 2);
        decai__json_put_end(w);
        decai__json_put_str(w, "behavior", "Isolated");
        decai__json_put_bool(w, "invert", false);
        break;
    case 'B':
        put_type(w, NULL, "ByteLevel");
        decai__json_put_bool(w, "add_prefix_space", false);
        decai__json_put_bool(w, "trim_offsets", true);
        decai__json_put_bool(w, "use_regex", step[1] == '1');
        break;
    case 'D':
        put_type(w, NULL, "Digits");
        decai__json_put_bool(w, "individual_digits", step[1] == '1');
        break;
    default:
        put_type(w, NULL, "Punctuation");
        decai__json_put_str(w, "behavior", "Contiguous");
        break;
    }
    decai__json_put_end(w);
}

static int32_t
put_steps(const decai_tokenizer *t, decai__json_writer *w)
{
    if (t->rules.family == DECAI__WPM) {
        put_type(w, "pre_tokenizer", "BertPreTokenizer");
        decai__json_put_end(w);
        return 0;
    }
    bool metaspace = t->rules.prefix >= DECAI__PREFIX_METASPACE;
    if (metaspace || t->rules.split) {
        put_type(w, "pre_tokenizer", "Metaspace");
        decai__json_put_str(w, "replacement", "\xe2\x96\x81");
        decai__json_put_str(w, "prepend_scheme", t->rules.prefix == DECAI__PREFIX_METASPACE ? "always"
            : t->rules.prefix == DECAI__PREFIX_METASPACE_FIRST ? "first" : "never");
        decai__json_put_bool(w, "split", t->rules.split);
        decai__json_put_end(w);
        return 0;
    }
    if (t->rules.family != DECAI__BPE) {
        decai__json_put_null(w, "pre_tokenizer");
        return 0;
    }
    size_t i = 0;
    while (i < decai__pattern_count && decai__patterns[i].pre != t->rules.pre) i++;
    if (i == decai__pattern_count) return decai__fail(DECAI_E_UNSUPPORTED, "format: this pattern has no form in tokenizer.json");
    put_type(w, "pre_tokenizer", "Sequence");
    decai__json_put_array(w, "pretokenizers");
    for (const char *p = decai__patterns[i].steps; *p;) {
        size_t len = strcspn(p, "\n");
        put_step(w, p, len);
        p += len + (p[len] != 0);
    }
    decai__json_put_end(w);
    decai__json_put_end(w);
    return 0;
}

static int32_t
put_around(const decai_tokenizer *t, decai__json_writer *w, decai__buf *text, int32_t id, bool special_tokens)
{
    int32_t r = decai__json_text_of(t, (uint32_t)id, text);
    if (r) return r;
    /* The list of special tokens has the texts as keys: they are ASCII in practice,
     * and the key of a member is a C string. */
    r = decai__buf_add_byte(text, 0);
    decai__json_put_object(w, special_tokens ? (const char *)text->data : NULL);
    if (special_tokens) {
        decai__json_put_str(w, "id", (const char *)text->data);
        decai__json_put_array(w, "ids");
        decai__json_put_i64(w, NULL, id);
        decai__json_put_end(w);
        decai__json_put_array(w, "tokens");
        decai__json_put_str(w, NULL, (const char *)text->data);
        decai__json_put_end(w);
    } else {
        decai__json_put_object(w, "SpecialToken");
        decai__json_put_str(w, "id", (const char *)text->data);
        decai__json_put_i64(w, "type_id", 0);
        decai__json_put_end(w);
    }
    decai__json_put_end(w);
    return r;
}

static void
put_sequence(decai__json_writer *w, const char *id)
{
    decai__json_put_object(w, NULL);
    decai__json_put_object(w, "Sequence");
    decai__json_put_str(w, "id", id);
    decai__json_put_i64(w, "type_id", 0);
    decai__json_put_end(w);
    decai__json_put_end(w);
}

static int32_t
put_post(const decai_tokenizer *t, decai__json_writer *w, decai__buf *text)
{
    bool wpm = t->rules.family == DECAI__WPM, last = wpm ? t->add_sep : t->add_eos;
    int32_t end = t->special[wpm ? DECAI__SEPARATOR : DECAI__EOS], r = 0;
    if (!t->add_bos && !last) {
        decai__json_put_null(w, "post_processor");
        return 0;
    }
    put_type(w, "post_processor", "TemplateProcessing");
    for (int pair = 0; !r && pair < 2; pair++) {
        decai__json_put_array(w, pair ? "pair" : "single");
        if (t->add_bos) r = put_around(t, w, text, t->special[DECAI__BOS], false);
        put_sequence(w, "A");
        if (pair) put_sequence(w, "B");
        if (!r && last) r = put_around(t, w, text, end, false);
        decai__json_put_end(w);
    }
    decai__json_put_object(w, "special_tokens");
    if (!r && t->add_bos) r = put_around(t, w, text, t->special[DECAI__BOS], true);
    if (!r && last && !(t->add_bos && end == t->special[DECAI__BOS])) r = put_around(t, w, text, end, true);
    decai__json_put_end(w);
    decai__json_put_end(w);
    return r;
}

static void
put_spaced_decoder(const decai_tokenizer *t, decai__json_writer *w)
{
    decai__json_put_str(w, "type", "Sequence");
    decai__json_put_array(w, "decoders");
    put_type(w, NULL, "Replace");
    decai__json_put_object(w, "pattern");
    decai__json_put_str(w, "String", "\xe2\x96\x81");
    decai__json_put_end(w);
    decai__json_put_str(w, "content", " ");
    decai__json_put_end(w);
    put_type(w, NULL, "ByteFallback");
    decai__json_put_end(w);
    put_type(w, NULL, "Fuse");
    decai__json_put_end(w);
    if (t->rules.space_prefix) {
        put_type(w, NULL, "Strip");
        decai__json_put_str(w, "content", " ");
        decai__json_put_i64(w, "start", 1);
        decai__json_put_i64(w, "stop", 0);
        decai__json_put_end(w);
    }
    decai__json_put_end(w);
}

static void
put_decoder(const decai_tokenizer *t, decai__json_writer *w)
{
    decai__json_put_object(w, "decoder");
    if (t->rules.family == DECAI__WPM) {
        decai__json_put_str(w, "type", "WordPiece");
        decai__json_put_str(w, "prefix", "##");
        decai__json_put_bool(w, "cleanup", true);
    } else if (t->rules.family == DECAI__BPE) {
        decai__json_put_str(w, "type", "ByteLevel");
        decai__json_put_bool(w, "add_prefix_space", false);
        decai__json_put_bool(w, "trim_offsets", true);
        decai__json_put_bool(w, "use_regex", true);
    } else {
        put_spaced_decoder(t, w);
    }
    decai__json_put_end(w);
}

int32_t
decai__tok_put_json(const decai_tokenizer *t, decai__buf *out)
{
    decai__json_writer w;
    decai__buf text;
    if (t->rules.family == DECAI__RWKV) return decai__fail(DECAI_E_UNSUPPORTED, "format: \"%s\" is not written as tokenizer.json", decai__family_name(t->rules.family));
    decai__buf_init(&text, t->h.context, 1u << 20, "token");
    decai__json_writer_init(&w, out, false);
    decai__json_put_object(&w, NULL);
    decai__json_put_str(&w, "version", "1.0");
    decai__json_put_null(&w, "truncation");
    decai__json_put_null(&w, "padding");
    int32_t r = put_added(t, &w, &text, true);
    if (!r) r = decai__json_put_normalizer(t, &w);
    if (!r) r = put_steps(t, &w);
    if (!r) r = put_post(t, &w, &text);
    put_decoder(t, &w);
    if (!r) r = decai__json_put_model(t, &w, &text);
    decai__json_put_end(&w);
    decai__buf_free(&text);
    return r ? r : decai__json_writer_end(&w);
}

int32_t
decai__json_rules_put(const decai_tokenizer *t, decai__buf *out)
{
    decai__json_writer w;
    decai__buf text;
    decai__buf_init(&text, t->h.context, 1u << 20, "token");
    decai__json_writer_init(&w, out, false);
    decai__json_put_object(&w, NULL);
    int32_t r = put_added(t, &w, &text, false);
    if (!r) r = decai__json_put_normalizer(t, &w);
    decai__json_put_end(&w);
    decai__buf_free(&text);
    return r ? r : decai__json_writer_end(&w);
}
