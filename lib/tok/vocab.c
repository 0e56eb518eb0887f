/* vocab.c - a tokenizer from a model's metadata. The metadata is hostile.
 *
 *     tokenizer.ggml.model        "gpt2": byte-level BPE
 *     tokenizer.ggml.pre          the pre-tokenizer; scan.c
 *     tokenizer.ggml.tokens       array of strings, index = id
 *     tokenizer.ggml.token_type   array of DECAI_TOKEN_*; absent: all normal
 *     tokenizer.ggml.merges       array of "left right"; merges.c
 *     tokenizer.ggml.{bos,eos,eot,unknown,seperator,padding}_token_id
 *     tokenizer.ggml.add_{bos,eos}_token
 *
 * Normal tokens are written in GPT-2's byte alphabet: 188 bytes stand for
 * themselves as U+0021..7E, A1..AC, AE..FF, the other 68 are U+0100..0143 in
 * order. All other kinds, and normal tokens that use a letter outside of it, are
 * plain text; those never come out of BPE.
 *
 * Everything is copied: the model may go. Where two tokens have the same bytes,
 * the lower id is the one that text becomes. */
#include <string.h>

#include "hash/hash.h"
#include "tok/internal.h"

#define KEY "tokenizer.ggml."

/* ---- the byte alphabet --------------------------------------------------- */

bool
decai__alphabet_decode(const uint8_t *text, size_t len, uint8_t *out, size_t *out_len)
{
    *out_len = 0;
    for (size_t i = 0; i < len; i++) {
        uint32_t c = text[i];
        if (c >= 0x80) {
            /* All letters are below U+0144: two bytes, C2..C5 first. */
            if (c < 0xc2 || c > 0xc5 || i + 1 == len || (text[i + 1] & 0xc0) != 0x80) return false;
            c = (c & 0x1f) << 6 | (text[++i] & 0x3f);
        }
        if ((c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff)) {
            out[(*out_len)++] = (uint8_t)c;
            continue;
        }
        if (c < 0x100 || c > 0x143) return false;
        /* The 68 others: 00..20, 7F..A0, AD. */
        c -= 0x100;
        out[(*out_len)++] = (uint8_t)(c < 33 ? c : c < 67 ? c - 33 + 0x7f : 0xad);
    }
    return true;
}

/* ---- keys: tokens by their bytes ------------------------------------------- */

static uint64_t
prefix_of(const uint8_t *text, size_t len)
{
    uint64_t v = 0;
    for (size_t i = 0; i < 8; i++) v = v << 8 | (i < len ? text[i] : 0);
    return v;
}

static int
by_bytes(const decai__token_key *x, const decai__token_key *y)
{
    if (x->prefix != y->prefix) return x->prefix < y->prefix ? -1 : 1;
    return decai__compare_bytes(x->bytes, x->len, y->bytes, y->len);
}

static int
by_key(const void *a, const void *b)
{
    const decai__token_key *x = a, *y = b;
    int order = by_bytes(x, y);
    if (!order) order = (int)x->other - (int)y->other;
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

const decai__token_key *
decai__token_find(const decai_tokenizer *t, const uint8_t *text, size_t len)
{
    decai__token_key wanted = { prefix_of(text, len), text, (uint32_t)len, 0, false };
    size_t low = 0, high = t->count;
    if (len > UINT32_MAX) return NULL;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (by_bytes(&t->keys[mid], &wanted) < 0) low = mid + 1;
        else high = mid;
    }
    return low < t->count && !by_bytes(&t->keys[low], &wanted) ? &t->keys[low] : NULL;
}

/* ---- tokens ---------------------------------------------------------------- */

static bool
is_matched(uint8_t kind)
{
    return kind == DECAI_TOKEN_CONTROL || kind == DECAI_TOKEN_UNKNOWN || kind == DECAI_TOKEN_USER;
}

/* "<0xHH>", exactly: token text that becomes an index is parsed, not trusted. */
static int32_t
parse_byte(const char *text, size_t len, uint8_t *out)
{
    uint32_t v = 0;
    bool good = len == 6 && !memcmp(text, "<0x", 3) && text[5] == '>';
    for (size_t i = 3; good && i < 5; i++) {
        char c = text[i];
        uint32_t d = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
            : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10 : 16;
        good = d < 16;
        v = v << 4 | d;
    }
    *out = (uint8_t)v;
    return good ? 0 : DECAI_E_CORRUPT;
}

static int32_t
check_token(uint32_t id, size_t len, uint32_t kind)
{
    if (!len) return decai__fail(DECAI_E_CORRUPT, KEY "tokens[%u]: empty", id);
    if (len > DECAI_TOKEN_BYTES_MAX)
        return decai__fail(DECAI_E_LIMIT, KEY "tokens[%u]: %zu bytes are above %d", id, len, DECAI_TOKEN_BYTES_MAX);
    if (kind > DECAI_TOKEN_BYTE)
        return decai__fail(DECAI_E_CORRUPT, KEY "token_type[%u]: %u is not in 1..6", id, kind);
    if (is_matched((uint8_t)kind) && len > DECAI__SPECIAL_BYTES_MAX)
        return decai__fail(DECAI_E_LIMIT, KEY "tokens[%u]: %zu bytes of a token that is matched as a whole are above %d",
            id, len, DECAI__SPECIAL_BYTES_MAX);
    return 0;
}

/* One token: its bytes to the end of t->bytes, its kind and its key. */
static int32_t
add_token(decai_tokenizer *t, uint32_t id, const char *text, size_t len, uint32_t kind)
{
    int32_t r = check_token(id, len, kind);
    if (r) return r;
    uint8_t *out = t->bytes + t->offset[id];
    bool plain = kind == 0 || kind == DECAI_TOKEN_NORMAL || kind == DECAI_TOKEN_UNUSED;
    size_t n = len;
    if (plain) plain = decai__alphabet_decode((const uint8_t *)text, len, out, &n);
    if (kind == DECAI_TOKEN_BYTE) {
        n = 1;
        if (parse_byte(text, len, out)) return decai__fail(DECAI_E_CORRUPT, KEY "tokens[%u]: a byte token is not <0xHH>", id);
    } else if (!plain) {
        memcpy(out, text, n = len);
    }
    t->offset[id + 1] = t->offset[id] + (uint32_t)n;
    t->kind[id] = (uint8_t)(kind ? kind : DECAI_TOKEN_NORMAL);
    t->keys[id] = (decai__token_key){ prefix_of(out, n), out, (uint32_t)n, id, !plain };
    return 0;
}

/* The arrays beside tokens: right type and length, or absent. */
static int32_t
side_array(const decai_model *m, const char *key, uint32_t type, uint32_t also, uint64_t count, const decai__metadata **out)
{
    *out = decai__model_metadata_find(m, key);
    if (!*out) return 0;
    int32_t r = decai__model_array(m, key, (*out)->item_type == also ? also : type, out);
    if (!r && (*out)->count != count)
        r = decai__fail(DECAI_E_CORRUPT, "%s: %llu elements for %llu tokens", key, (unsigned long long)(*out)->count,
            (unsigned long long)count);
    return r;
}

static int32_t
take_tokens(decai_tokenizer *t, const decai__metadata *tokens, const decai__metadata *types)
{
    const uint8_t *pos = NULL;
    const char *text;
    size_t len;
    for (uint32_t id = 0; decai__metadata_next_str(tokens, &pos, &text, &len); id++) {
        int32_t r = add_token(t, id, text, len, types ? decai__metadata_u32(types, id) : DECAI_TOKEN_NORMAL);
        if (r) return r;
    }
    decai__sort(t->keys, t->count, sizeof *t->keys, by_key);
    return 0;
}

static int32_t
load_tokens(decai_tokenizer *t, const decai_model *m, decai_context *ctx)
{
    const decai__metadata *tokens, *types, *scores;
    int32_t r = decai__model_array(m, KEY "tokens", DECAI_METADATA_STRING, &tokens);
    if (r) return r == DECAI_E_NOT_FOUND ? decai__fail(DECAI_E_CORRUPT, KEY "tokens: missing") : r;
    if (!tokens->count) return decai__fail(DECAI_E_CORRUPT, KEY "tokens: empty");
    if (tokens->count > DECAI_TOKEN_COUNT_MAX)
        return decai__fail(DECAI_E_LIMIT, KEY "tokens: %llu are above %d", (unsigned long long)tokens->count, DECAI_TOKEN_COUNT_MAX);
    r = side_array(m, KEY "token_type", DECAI_METADATA_I32, DECAI_METADATA_U32, tokens->count, &types);
    if (!r) r = side_array(m, KEY "scores", DECAI_METADATA_F32, DECAI_METADATA_F32, tokens->count, &scores);
    if (r) return r;
    t->count = (uint32_t)tokens->count;
    /* Decoded bytes are never more than the text in the file. */
    size_t room = tokens->raw_size;
    if (room > UINT32_MAX) return decai__fail(DECAI_E_LIMIT, KEY "tokens: %zu bytes", room);
    t->kind = decai__calloc(ctx, t->count, 1);
    t->offset = decai__calloc(ctx, (size_t)t->count + 1, sizeof *t->offset);
    t->bytes = decai__alloc(ctx, room);
    t->keys = decai__calloc(ctx, t->count, sizeof *t->keys);
    t->match = decai__calloc(ctx, t->count, sizeof *t->match);
    if (!t->kind || !t->offset || !t->bytes || !t->keys || !t->match)
        return decai__fail(DECAI_E_NOMEM, KEY "tokens: no memory for %u tokens", t->count);
    return take_tokens(t, tokens, types);
}

/* Single bytes, and the tokens that are matched as a whole, in key order. */
static void
index_tokens(decai_tokenizer *t)
{
    uint32_t n = 0, byte = 0;
    for (uint32_t b = 0; b < 256; b++) {
        uint8_t one = (uint8_t)b;
        const decai__token_key *k = decai__token_find(t, &one, 1);
        bool fits = k && (!k->other || t->kind[k->id] == DECAI_TOKEN_BYTE);
        t->byte_id[b] = fits ? (int32_t)k->id : -1;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        const decai__token_key *k = &t->keys[i];
        if (!is_matched(t->kind[k->id])) continue;
        while (byte <= k->bytes[0]) t->match_first[byte++] = n;
        t->match[n++] = k->id;
    }
    while (byte <= 256) t->match_first[byte++] = n;
}

/* ---- special tokens ---------------------------------------------------------- */

static int32_t
load_special(decai_tokenizer *t, const decai_model *m, const char *key, int32_t role)
{
    uint64_t id;
    if (!decai__model_metadata_find(m, key)) return 0;
    int32_t r = decai__model_u64(m, key, 0, t->count - 1, &id);
    if (!r) t->special[role] = (int32_t)id;
    return r;
}

static void
add_end(decai_tokenizer *t, int32_t id)
{
    for (uint32_t i = 0; i < t->end_count; i++)
        if (t->end[i] == id) return;
    if (id >= 0 && t->end_count < DECAI__END_MAX) t->end[t->end_count++] = id;
}

/* Files name one end token; chat models often stop at another one, known by
 * its text. */
static void
find_ends(decai_tokenizer *t)
{
    static const char *const text[] = { "<|eot_id|>", "<|im_end|>", "<|end|>", "<|endoftext|>", "<end_of_turn>" };
    add_end(t, t->special[DECAI__EOS]);
    add_end(t, t->special[DECAI__EOT]);
    for (size_t i = 0; i < DECAI__COUNT(text); i++) {
        const decai__token_key *k = decai__token_find(t, (const uint8_t *)text[i], strlen(text[i]));
        if (k && t->kind[k->id] == DECAI_TOKEN_CONTROL) add_end(t, (int32_t)k->id);
    }
}

static int32_t
load_flag(const decai_model *m, const char *key, bool *out)
{
    *out = false;
    return decai__model_metadata_find(m, key) ? decai__model_bool(m, key, out) : 0;
}

static int32_t
load_specials(decai_tokenizer *t, const decai_model *m)
{
    /* "seperator" is how the format spells it. */
    static const struct { const char *key; int32_t role; } ROLE[] = {
        { KEY "bos_token_id", DECAI__BOS }, { KEY "eos_token_id", DECAI__EOS }, { KEY "eot_token_id", DECAI__EOT },
        { KEY "unknown_token_id", DECAI__UNKNOWN }, { KEY "seperator_token_id", DECAI__SEPARATOR },
        { KEY "separator_token_id", DECAI__SEPARATOR }, { KEY "padding_token_id", DECAI__PADDING },
    };
    int32_t r = 0;
    for (size_t i = 0; i < DECAI__SPECIAL_COUNT; i++) t->special[i] = -1;
    for (size_t i = 0; !r && i < DECAI__COUNT(ROLE); i++) r = load_special(t, m, ROLE[i].key, ROLE[i].role);
    if (!r) r = load_flag(m, KEY "add_bos_token", &t->add_bos);
    if (!r) r = load_flag(m, KEY "add_eos_token", &t->add_eos);
    if (r) return r;
    if (t->add_bos && t->special[DECAI__BOS] < 0)
        return decai__fail(DECAI_E_CORRUPT, KEY "add_bos_token: true, but there is no bos_token_id");
    if (t->add_eos && t->special[DECAI__EOS] < 0)
        return decai__fail(DECAI_E_CORRUPT, KEY "add_eos_token: true, but there is no eos_token_id");
    find_ends(t);
    return 0;
}

/* ---- what kind it is ----------------------------------------------------------- */

static int32_t
load_family(decai_tokenizer *t, const decai_model *m)
{
    const char *text;
    size_t len;
    if (!decai__model_metadata_find(m, KEY "model"))
        return decai__fail(DECAI_E_NOT_FOUND, KEY "model: missing; this file holds no tokenizer");
    int32_t r = decai__model_str(m, KEY "model", &text, &len);
    if (r) return r;
    if (len != 4 || memcmp(text, "gpt2", 4))
        return decai__fail(DECAI_E_UNSUPPORTED, KEY "model: only \"gpt2\" (byte-level BPE) is read; use a model of that kind");
    if (!decai__model_metadata_find(m, KEY "pre"))
        return decai__fail(DECAI_E_UNSUPPORTED, KEY "pre: missing, so how to cut text is unknown; convert the model again "
            "with a converter that writes it");
    r = decai__model_str(m, KEY "pre", &text, &len);
    if (!r && !decai__pre_find(text, len, &t->pre))
        return decai__fail(DECAI_E_UNSUPPORTED, KEY "pre: this pre-tokenizer is not known; gpt-2, smollm, starcoder, refact, "
            "command-r and their kin are; nothing else would give the right tokens");
    return r;
}

/* Everything that decides which ids a text becomes, and what ids mean. Texts and
 * merges as in the file, so that the hash needs no table of ours. */
static int32_t
hash_tokenizer(decai_tokenizer *t, const decai_model *m)
{
    const decai__metadata *tokens, *merges;
    const char *text;
    const uint8_t *pos = NULL;
    size_t len;
    decai__keccak k;
    int32_t r = decai__model_str(m, KEY "pre", &text, &len);
    if (!r) r = decai__model_array(m, KEY "tokens", DECAI_METADATA_STRING, &tokens);
    if (!r) r = decai__model_array(m, KEY "merges", DECAI_METADATA_STRING, &merges);
    if (r) return r;
    decai__keccak_init(&k);
    decai__hash_domain(&k, DECAI__DOMAIN_TOKENIZER);
    decai__hash_data(&k, "gpt2", 4);
    decai__hash_data(&k, text, len);
    decai__hash_u64(&k, t->count);
    for (uint32_t id = 0; decai__metadata_next_str(tokens, &pos, &text, &len); id++) {
        decai__hash_u64(&k, t->kind[id]);
        decai__hash_data(&k, text, len);
    }
    decai__hash_u64(&k, t->merge_count);
    for (pos = NULL; decai__metadata_next_str(merges, &pos, &text, &len);) decai__hash_data(&k, text, len);
    for (size_t i = 0; i < DECAI__SPECIAL_COUNT; i++) decai__hash_u64(&k, (uint64_t)(t->special[i] + 1));
    decai__hash_u64(&k, t->add_bos);
    decai__hash_u64(&k, t->add_eos);
    decai__keccak_final(&k, t->hash);
    return 0;
}

/* ---- the handle ------------------------------------------------------------------ */

static void
tokenizer_destroy(void *self)
{
    decai_tokenizer *t = self;
    decai_context *ctx = t->h.context;
    decai__free(ctx, t->kind);
    decai__free(ctx, t->offset);
    decai__free(ctx, t->bytes);
    decai__free(ctx, t->keys);
    decai__free(ctx, t->match);
    decai__free(ctx, t->merges);
    decai__free(ctx, t->merge_first);
}

int32_t
decai__tok_create(decai_tokenizer **out, const decai_model *model, const decai_options *opts)
{
    decai_context *ctx = decai__context_of(model);
    *out = NULL;
    int32_t r = decai__opts_check(opts, "tok");
    if (r) return r;
    decai_tokenizer *t = decai__handle_create(ctx, DECAI__TOKENIZER, sizeof *t, tokenizer_destroy);
    if (!t) return decai__fail(DECAI_E_NOMEM, "tokenizer: no memory for the handle");
    t->text_max = (size_t)decai__opt_i64(opts, "tok.text_max");
    r = load_family(t, model);
    if (!r) r = load_tokens(t, model, ctx);
    if (!r) index_tokens(t);
    if (!r) r = decai__merges_load(t, model);
    if (!r) r = load_specials(t, model);
    if (!r) r = hash_tokenizer(t, model);
    if (!r) *out = t;
    else decai__destroy(t);
    return r;
}
