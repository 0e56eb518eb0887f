/* files.c - a tokenizer written as a file: GGUF metadata, or tokenizer.json.
 *
 * Tokens are written from their bytes: byte-level BPE in GPT-2's alphabet, spaces
 * of the others as U+2581, byte tokens as <0xHH>. Reading the file gives the same
 * tokenizer: same ids for every text, same hash. */
#include <stdio.h>

#include "hash/hash.h"
#include "tok/json.h"

#define KEY "tokenizer.ggml."
#define RULES "tokenizer.decai.rules"

/* ---- one token ------------------------------------------------------------------------ */

static int32_t
alphabet_put(decai__buf *out, const uint8_t *p, size_t len)
{
    int32_t r = 0;
    for (size_t i = 0; !r && i < len; i++) {
        uint32_t b = p[i], c = b;
        if (b < 0x21) c = 0x100 + b;
        else if (b >= 0x7f && b <= 0xa0) c = 0x121 + b - 0x7f;
        else if (b == 0xad) c = 0x143;
        uint8_t two[2] = { (uint8_t)(c < 0x80 ? c : 0xc0 | c >> 6), (uint8_t)(0x80 | (c & 0x3f)) };
        r = decai__buf_add(out, two, c < 0x80 ? 1 : 2);
    }
    return r;
}

static int32_t
spaced_put(decai__buf *out, const uint8_t *p, size_t len)
{
    int32_t r = 0;
    for (size_t i = 0; !r && i < len; i++) r = p[i] == ' ' ? decai__buf_add_str(out, "\xe2\x96\x81") : decai__buf_add_byte(out, p[i]);
    return r;
}

static int32_t
escaped_put(decai__buf *out, const uint8_t *p, size_t len)
{
    int32_t r = 0;
    for (size_t i = 0; !r && i < len; i++)
        r = p[i] < 0x20 || p[i] >= 0x7f || p[i] == '\\' ? decai__buf_printf(out, "\\x%02x", p[i]) : decai__buf_add_byte(out, p[i]);
    return r;
}

int32_t
decai__token_text(const decai_tokenizer *t, uint32_t id, decai__buf *out)
{
    const uint8_t *p = t->bytes + t->offset[id];
    size_t len = decai__token_len(t, id);
    if (t->kind[id] == DECAI_TOKEN_BYTE) return decai__buf_printf(out, "<0x%02X>", *p);
    if (t->rules.family == DECAI__RWKV) return escaped_put(out, p, len);
    if (t->rules.family == DECAI__BPE) return t->piece[id] ? alphabet_put(out, p, len) : decai__buf_add(out, p, len);
    return t->piece[id] || t->kind[id] == DECAI_TOKEN_USER ? spaced_put(out, p, len) : decai__buf_add(out, p, len);
}

static int32_t
merge_text(const decai_tokenizer *t, uint32_t i, decai__buf *out)
{
    const decai__merge *m = &t->merges[i];
    int32_t r = decai__token_text(t, m->left, out);
    if (!r) r = decai__buf_add_byte(out, ' ');
    return r ? r : decai__token_text(t, m->right, out);
}

/* ---- the hash ---------------------------------------------------------------------------- */

static int32_t
text_of_merge(const decai_tokenizer *t, uint32_t i, decai__buf *out)
{
    out->len = 0;
    return merge_text(t, i, out);
}

static int32_t
text_of_token(const decai_tokenizer *t, uint32_t i, decai__buf *out)
{
    out->len = 0;
    return decai__token_text(t, i, out);
}

int32_t
decai__tok_hash_made(decai_tokenizer *t)
{
    decai__keccak k;
    decai__buf text;
    int32_t r = 0;
    char unnamed[32];
    const char *pre = decai__pre_name(&t->rules);
    /* A pattern with the other rule for whole tokens than its models have. */
    snprintf(unnamed, sizeof unnamed, "pattern %d, whole %d", (int)t->rules.pre, t->rules.ignore_merges);
    if (!pre) pre = unnamed;
    decai__buf_init(&text, t->h.context, 1u << 20, "token");
    decai__tok_hash_begin(t, &k, pre, strlen(pre));
    for (uint32_t id = 0; !r && id < t->count; id++) {
        r = text_of_token(t, id, &text);
        decai__hash_u64(&k, t->kind[id]);
        decai__hash_data(&k, text.data, text.len);
    }
    decai__hash_u64(&k, t->merge_count);
    for (uint32_t i = 0; !r && i < t->merge_count; i++) {
        r = text_of_merge(t, i, &text);
        decai__hash_data(&k, text.data, text.len);
    }
    decai__tok_hash_end(t, &k);
    decai__buf_free(&text);
    return r;
}

/* ---- GGUF: little-endian; magic, version, counts, then key, type, value -------------------- */

static int32_t
put_le(decai__buf *out, uint64_t v, size_t bytes)
{
    uint8_t b[8];
    decai__store_le64(b, v);
    return decai__buf_add(out, b, bytes);
}

typedef struct gguf { const decai_tokenizer *t; decai__buf *out; uint64_t count; decai__buf text; } gguf;

static void
key(gguf *g, const char *name, uint32_t type)
{
    g->count++;
    put_le(g->out, strlen(KEY) + strlen(name), 8);
    decai__buf_add_str(g->out, KEY);
    decai__buf_add_str(g->out, name);
    put_le(g->out, type, 4);
}

static void
put_string(gguf *g, const char *name, const char *text)
{
    key(g, name, DECAI_METADATA_STRING);
    put_le(g->out, strlen(text), 8);
    decai__buf_add_str(g->out, text);
}

static void
put_flag(gguf *g, const char *name, bool v)
{
    key(g, name, DECAI_METADATA_BOOL);
    put_le(g->out, v, 1);
}

static void
array(gguf *g, const char *name, uint32_t item, uint64_t count)
{
    key(g, name, DECAI_METADATA_ARRAY);
    put_le(g->out, item, 4);
    put_le(g->out, count, 8);
}

static int32_t
put_strings(gguf *g, uint32_t count, int32_t (*text)(const decai_tokenizer *, uint32_t, decai__buf *))
{
    int32_t r = 0;
    for (uint32_t i = 0; !r && i < count; i++) {
        r = text(g->t, i, &g->text);
        put_le(g->out, g->text.len, 8);
        decai__buf_add(g->out, g->text.data, g->text.len);
    }
    return r;
}

static void
put_roles(gguf *g)
{
    static const struct { const char *name; int32_t role; } ROLE[] = {
        { "bos_token_id", DECAI__BOS }, { "eos_token_id", DECAI__EOS }, { "eot_token_id", DECAI__EOT },
        { "unknown_token_id", DECAI__UNKNOWN }, { "seperator_token_id", DECAI__SEPARATOR }, { "padding_token_id", DECAI__PADDING },
        { "cls_token_id", DECAI__CLS }, { "mask_token_id", DECAI__MASK },
    };
    const decai_tokenizer *t = g->t;
    for (size_t i = 0; i < DECAI__COUNT(ROLE); i++) {
        if (t->special[ROLE[i].role] < 0) continue;
        key(g, ROLE[i].name, DECAI_METADATA_U32);
        put_le(g->out, (uint32_t)t->special[ROLE[i].role], 4);
    }
    put_flag(g, "add_bos_token", t->add_bos);
    put_flag(g, "add_eos_token", t->add_eos);
    put_flag(g, "add_sep_token", t->add_sep);
    put_flag(g, "add_space_prefix", t->rules.space_prefix);
    put_flag(g, "remove_extra_whitespaces", t->rules.merge_spaces);
}

static int32_t
put_tables(gguf *g)
{
    const decai_tokenizer *t = g->t;
    array(g, "tokens", DECAI_METADATA_STRING, t->count);
    int32_t r = put_strings(g, t->count, text_of_token);
    array(g, "token_type", DECAI_METADATA_I32, t->count);
    for (uint32_t id = 0; id < t->count; id++) put_le(g->out, t->kind[id], 4);
    if (t->rules.family == DECAI__SPM || t->rules.family == DECAI__UGM) {
        array(g, "scores", DECAI_METADATA_F32, t->count);
        decai__buf_add(g->out, t->score, t->count * sizeof *t->score);
    }
    if (t->merges) {
        array(g, "merges", DECAI_METADATA_STRING, t->merge_count);
        if (!r) r = put_strings(g, t->merge_count, text_of_merge);
    }
    if (t->charsmap) {
        array(g, "precompiled_charsmap", DECAI_METADATA_U8, t->charsmap_len);
        decai__buf_add(g->out, t->charsmap, t->charsmap_len);
    }
    return r;
}

/* A key of ours, which other readers pass over. */
static int32_t
put_rules(gguf *g)
{
    decai__buf rules;
    decai__buf_init(&rules, g->t->h.context, DECAI_JSON_TEXT_MAX, "tokenizer.decai.rules");
    int32_t r = decai__json_rules_put(g->t, &rules);
    g->count++;
    put_le(g->out, sizeof RULES - 1, 8);
    decai__buf_add_str(g->out, RULES);
    put_le(g->out, DECAI_METADATA_STRING, 4);
    put_le(g->out, rules.len, 8);
    decai__buf_add(g->out, rules.data, rules.len);
    decai__buf_free(&rules);
    return r;
}

int32_t
decai__tok_put_gguf(const decai_tokenizer *t, decai__buf *out)
{
    gguf g = { .t = t, .out = out };
    size_t start = out->len;
    if (t->rules.family == DECAI__BPE_RAW && t->rules.pre != DECAI__PRE_LINES)
        return decai__fail(DECAI_E_UNSUPPORTED, "format: GGUF has no kind for this BPE, whose merges are over characters");
    if (t->rules.family == DECAI__WPM && (!t->rules.clean || !t->rules.cjk || t->rules.lower != t->rules.strip))
        return decai__fail(DECAI_E_UNSUPPORTED, "format: GGUF cannot say how this WordPiece normalizes");
    if (!decai__pre_name(&t->rules))
        return decai__fail(DECAI_E_UNSUPPORTED, "format: GGUF has no name for this pattern with ignore_merges %s",
            t->rules.ignore_merges ? "true" : "false");
    if ((t->added || t->rules.split) && t->rules.family != DECAI__BPE)
        return decai__fail(DECAI_E_UNSUPPORTED, "format: GGUF cannot say what the tokenizer.json of this %s asks of its text or added tokens",
            decai__family_name(t->rules.family));
    decai__buf_init(&g.text, t->h.context, 1u << 20, "token");
    put_le(out, 0x46554747, 4);
    put_le(out, 3, 4);
    put_le(out, 0, 8);
    put_le(out, 0, 8);               /* the count of keys, known at the end */
    put_string(&g, "model", decai__family_name(t->rules.family));
    put_string(&g, "pre", decai__pre_name(&t->rules));
    if (t->rules.family == DECAI__WPM) put_flag(&g, "normalizer.lowercase", t->rules.lower);
    int32_t r = put_tables(&g);
    put_roles(&g);
    if (!r && t->added) r = put_rules(&g);
    if (!r) r = out->error;
    if (!r) decai__store_le64(out->data + start + 16, g.count);
    decai__buf_free(&g.text);
    return r;
}
