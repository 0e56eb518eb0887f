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
#include "tok/added.h"
#include "tok/cache.h"
#include "tok/grammar.h"
#include "tok/json.h"

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

/* ---- tokens by their bytes --------------------------------------------------- */

static int32_t
find(const decai_tokenizer *t, const uint8_t *text, size_t len, bool piece)
{
    uint32_t hash = decai__hash_bytes(text, len);
    for (uint32_t i = hash >> 1 & t->slot_mask; t->slots[i].hash; i = (i + 1) & t->slot_mask) {
        uint32_t id = t->slots[i].id;
        if (t->slots[i].hash != hash || decai__token_len(t, id) != len || memcmp(t->bytes + t->offset[id], text, len)) continue;
        return !piece || t->piece[id] ? (int32_t)id : -1;
    }
    return -1;
}

int32_t
decai__token_find(const decai_tokenizer *t, const uint8_t *text, size_t len)
{
    return find(t, text, len, false);
}

int32_t
decai__piece_find(const decai_tokenizer *t, const uint8_t *text, size_t len)
{
    return find(t, text, len, true);
}

/* Pieces of text win over other tokens with their bytes, then the lower id. Ids
 * come in ascending order. */
static int32_t
insert(decai_tokenizer *t, uint32_t id, uint32_t hash)
{
    const uint8_t *text = t->bytes + t->offset[id];
    size_t len = decai__token_len(t, id);
    uint32_t i = hash >> 1 & t->slot_mask, steps = 0;
    for (; t->slots[i].hash; i = (i + 1) & t->slot_mask) {
        uint32_t other = t->slots[i].id;
        if (++steps > DECAI__PROBE_MAX) return decai__fail(DECAI_E_LIMIT, KEY "tokens[%u]: too many texts fall together", id);
        if (t->slots[i].hash != hash || decai__token_len(t, other) != len || memcmp(t->bytes + t->offset[other], text, len)) continue;
        if (t->piece[id] && !t->piece[other]) t->slots[i].id = id;
        return 0;
    }
    t->slots[i] = (decai__token_slot){ hash, id };
    return 0;
}

/* All tokens but single bytes, which are known by their byte. The table is larger
 * than the near caches: a place is asked for AHEAD tokens before it is written. */
static int32_t
insert_all(decai_tokenizer *t)
{
    enum { AHEAD = 16 };
    uint32_t hash[AHEAD] = { 0 };
    int32_t r = 0;
    for (uint64_t i = 0; !r && i < (uint64_t)t->count + AHEAD; i++) {
        if (i >= AHEAD && t->kind[i - AHEAD] != DECAI_TOKEN_BYTE) r = insert(t, (uint32_t)(i - AHEAD), hash[i % AHEAD]);
        if (i >= t->count) continue;
        hash[i % AHEAD] = decai__hash_bytes(t->bytes + t->offset[i], decai__token_len(t, (uint32_t)i));
        __builtin_prefetch(t->slots + (hash[i % AHEAD] >> 1 & t->slot_mask), 1);
    }
    return r;
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

/* U+2581 stands for a space; the families that use it see spaces here. */
size_t
decai__spaces_back(const uint8_t *text, size_t len, uint8_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        bool mark = text[i] == 0xe2 && i + 2 < len && text[i + 1] == 0x96 && text[i + 2] == 0x81;
        out[n++] = mark ? ' ' : text[i];
        if (mark) i += 2;
    }
    return n;
}

/* RWKV writes bytes as \t \n \r \xHH; any other letter after \ is itself. */
static size_t
unescape(const uint8_t *text, size_t len, uint8_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text[i];
        if (c == '\\' && i + 1 < len) {
            c = text[++i];
            if (c == 'x' && i + 2 < len) {
                uint32_t v = 0;
                for (int k = 0; k < 2; k++) {
                    uint8_t d = text[++i];
                    v = v << 4 | (uint32_t)(d >= 'a' && d <= 'f' ? d - 'a' + 10 : d >= 'A' && d <= 'F' ? d - 'A' + 10
                        : d >= '0' && d <= '9' ? d - '0' : 0);
                }
                c = (uint8_t)v;
            } else {
                c = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
            }
        }
        out[n++] = c;
    }
    return n;
}

/* The bytes that a token of this kind stands for. *piece: text becomes it. */
static int32_t
token_bytes(const decai_tokenizer *t, uint32_t id, const uint8_t *text, size_t len, uint32_t kind, uint8_t *out, size_t *n, bool *piece)
{
    bool plain = kind == 0 || kind == DECAI_TOKEN_NORMAL || kind == DECAI_TOKEN_UNUSED;
    *piece = false;
    *n = len;
    if (kind == DECAI_TOKEN_BYTE) {
        *n = 1;
        return !parse_byte((const char *)text, len, out) ? 0
            : decai__fail(DECAI_E_CORRUPT, KEY "tokens[%u]: a byte token is not <0xHH>", id);
    }
    switch (t->rules.family) {
    case DECAI__BPE:
        if (plain && decai__alphabet_decode(text, len, out, n)) {
            *piece = true;
            return 0;
        }
        *n = len;
        break;
    case DECAI__RWKV:
        *n = unescape(text, len, out);
        *piece = plain;
        return 0;
    default:
        if (kind == DECAI_TOKEN_CONTROL || kind == DECAI_TOKEN_UNKNOWN) break;
        *n = decai__spaces_back(text, len, out);
        *piece = plain;
        return 0;
    }
    memcpy(out, text, len);
    return 0;
}

/* One token: its bytes to the end of t->bytes, and its kind. */
int32_t
decai__token_add(decai_tokenizer *t, uint32_t id, const char *text, size_t len, uint32_t kind)
{
    size_t n = 0;
    bool piece = false;
    int32_t r = check_token(id, len, kind);
    if (!r) r = token_bytes(t, id, (const uint8_t *)text, len, kind, t->bytes + t->offset[id], &n, &piece);
    if (r) return r;
    t->offset[id + 1] = t->offset[id] + (uint32_t)n;
    t->kind[id] = (uint8_t)(kind ? kind : DECAI_TOKEN_NORMAL);
    t->piece[id] = piece;
    t->token_bytes_max = DECAI__MAX(t->token_bytes_max, n);
    if (kind == DECAI_TOKEN_BYTE) {
        uint8_t byte = t->bytes[t->offset[id]];
        if (t->byte_id[byte] < 0) t->byte_id[byte] = (int32_t)id;
    }
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

int32_t
decai__tokens_begin(decai_tokenizer *t, uint64_t count, size_t room)
{
    decai_context *ctx = t->h.context;
    if (!count) return decai__fail(DECAI_E_CORRUPT, KEY "tokens: empty");
    if (count > DECAI_TOKEN_COUNT_MAX)
        return decai__fail(DECAI_E_LIMIT, KEY "tokens: %llu are above %d", (unsigned long long)count, DECAI_TOKEN_COUNT_MAX);
    if (room > UINT32_MAX) return decai__fail(DECAI_E_LIMIT, KEY "tokens: %zu bytes", room);
    t->count = (uint32_t)count;
    size_t slots = 16;
    while (slots < 2 * (size_t)count) slots *= 2;
    t->slot_mask = (uint32_t)slots - 1;
    t->kind = decai__calloc(ctx, t->count, 1);
    t->piece = decai__calloc(ctx, t->count, 1);
    t->stable = decai__calloc(ctx, t->count, sizeof *t->stable);
    t->score = decai__calloc(ctx, t->count, sizeof *t->score);
    t->offset = decai__calloc(ctx, (size_t)t->count + 1, sizeof *t->offset);
    t->bytes = decai__alloc(ctx, room + 16);
    t->slots = decai__calloc(ctx, slots, sizeof *t->slots);
    t->match = decai__calloc(ctx, t->count, sizeof *t->match);
    for (int b = 0; b < 256; b++) t->byte_id[b] = -1;
    if (!t->kind || !t->piece || !t->stable || !t->score || !t->offset || !t->bytes || !t->slots || !t->match)
        return decai__fail(DECAI_E_NOMEM, KEY "tokens: no memory for %u tokens", t->count);
    return 0;
}

static int32_t
take_scores(decai_tokenizer *t, const decai__metadata *scores)
{
    for (uint32_t id = 0; id < t->count; id++) {
        float v = decai__metadata_f32(scores, id);
        if (!(v > -1e30f && v < 1e30f)) return decai__fail(DECAI_E_CORRUPT, KEY "scores[%u]: not a finite number below 1e30", id);
        t->score[id] = v;
    }
    return 0;
}

static int32_t
load_tokens(decai_tokenizer *t, const decai_model *m)
{
    const decai__metadata *tokens, *types, *scores;
    const uint8_t *pos = NULL;
    const char *text;
    size_t len;
    int32_t r = decai__model_array(m, KEY "tokens", DECAI_METADATA_STRING, &tokens);
    if (r) return r == DECAI_E_NOT_FOUND ? decai__fail(DECAI_E_CORRUPT, KEY "tokens: missing") : r;
    if (tokens->count <= DECAI_TOKEN_COUNT_MAX)
        r = side_array(m, KEY "token_type", DECAI_METADATA_I32, DECAI_METADATA_U32, tokens->count, &types);
    if (!r && tokens->count <= DECAI_TOKEN_COUNT_MAX)
        r = side_array(m, KEY "scores", DECAI_METADATA_F32, DECAI_METADATA_F32, tokens->count, &scores);
    /* Decoded bytes are never more than the text in the file. */
    if (!r) r = decai__tokens_begin(t, tokens->count, tokens->raw_size);
    if (!r && scores) r = take_scores(t, scores);
    if (!r && !scores && (t->rules.family == DECAI__SPM || t->rules.family == DECAI__UGM))
        r = decai__fail(DECAI_E_CORRUPT, KEY "scores: missing");
    for (uint32_t id = 0; !r && decai__metadata_next_str(tokens, &pos, &text, &len); id++)
        r = decai__token_add(t, id, text, len, types ? decai__metadata_u32(types, id) : DECAI_TOKEN_NORMAL);
    return r;
}

/* ---- what is made of the tokens ------------------------------------------------ */

typedef struct match_key { const uint8_t *bytes; uint32_t len, id; } match_key;

static int
by_match(const void *a, const void *b)
{
    const match_key *x = a, *y = b;
    int order = decai__compare_bytes(x->bytes, x->len, y->bytes, y->len);
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

/* The tokens that are matched as a whole, in order of bytes. */
static int32_t
index_matches(decai_tokenizer *t)
{
    uint32_t n = 0, byte = 0;
    for (uint32_t id = 0; id < t->count; id++) n += is_matched(t->kind[id]);
    match_key *keys = decai__calloc(t->h.context, n + 1, sizeof *keys);
    if (!keys) return decai__fail(DECAI_E_NOMEM, KEY "tokens: no memory for %u tokens that are matched as a whole", n);
    for (uint32_t id = 0; id < t->count; id++) {
        if (!is_matched(t->kind[id])) continue;
        keys[t->match_count++] = (match_key){ t->bytes + t->offset[id], (uint32_t)decai__token_len(t, id), id };
        if (t->kind[id] != DECAI_TOKEN_USER) continue;
        t->user_count++;
        t->user_first[t->bytes[t->offset[id]]] = 1;
    }
    decai__sort(keys, n, sizeof *keys, by_match);
    for (uint32_t i = 0; i < n; i++) {
        while (byte <= keys[i].bytes[0]) t->match_first[byte++] = i;
        t->match[i] = keys[i].id;
    }
    while (byte <= 256) t->match_first[byte++] = n;
    t->match_byte = t->user_byte = -1;
    for (int32_t b = 0; b < 256; b++) {
        uint32_t users = 0;
        for (uint32_t i = t->match_first[b]; i < t->match_first[b + 1]; i++) users += t->kind[t->match[i]] == DECAI_TOKEN_USER;
        if (t->match_first[b + 1] - t->match_first[b] == n) t->match_byte = b;
        if (users == t->user_count) t->user_byte = b;
    }
    decai__free(t->h.context, keys);
    return 0;
}

/* Single bytes of byte-level BPE are tokens like others; a byte token is better. */
static void
index_bytes(decai_tokenizer *t)
{
    for (uint32_t b = 0; b < 256 && t->rules.family == DECAI__BPE; b++) {
        uint8_t one = (uint8_t)b;
        if (t->byte_id[b] < 0) t->byte_id[b] = decai__piece_find(t, &one, 1);
    }
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

static int32_t
find_control(const decai_tokenizer *t, const char *text)
{
    int32_t id = decai__token_find(t, (const uint8_t *)text, strlen(text));
    return id >= 0 && t->kind[id] == DECAI_TOKEN_CONTROL ? id : -1;
}

/* Files name one end token; chat models often stop at another one, known by
 * its text. Harmony's <|end|> ends a message only, and another one follows. */
static void
find_ends(decai_tokenizer *t)
{
    static const char *const text[] = { "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|endoftext|>", "<end_of_turn>", "<turn|>", "<|eot|>", "<|eom|>" };
    static const char *const harmony[] = { "<|return|>", "<|call|>" };
    int32_t end = find_control(t, "<|end|>");
    bool messages = find_control(t, "<|channel|>") >= 0 && find_control(t, "<|message|>") >= 0 && find_control(t, "<|call|>") >= 0;
    add_end(t, t->special[DECAI__EOS]);
    if (!messages || t->special[DECAI__EOT] != end) add_end(t, t->special[DECAI__EOT]);
    for (size_t i = 0; i < DECAI__COUNT(text); i++) add_end(t, find_control(t, text[i]));
    for (size_t i = 0; i < DECAI__COUNT(harmony) && messages; i++) add_end(t, find_control(t, harmony[i]));
    if (!messages) add_end(t, end);
}

/* The file's word, where it says one. */
static int32_t
load_flag(const decai_model *m, const char *key, bool *out)
{
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
        { KEY "cls_token_id", DECAI__CLS }, { KEY "mask_token_id", DECAI__MASK },
    };
    int32_t r = 0;
    for (size_t i = 0; i < DECAI__SPECIAL_COUNT; i++) t->special[i] = -1;
    for (size_t i = 0; !r && i < DECAI__COUNT(ROLE); i++) r = load_special(t, m, ROLE[i].key, ROLE[i].role);
    t->add_bos = t->rules.add_bos;
    t->add_eos = t->rules.add_eos;
    t->add_sep = t->rules.add_sep;
    if (!r) r = load_flag(m, KEY "add_bos_token", &t->add_bos);
    if (!r) r = load_flag(m, KEY "add_eos_token", &t->add_eos);
    if (!r) r = load_flag(m, KEY "add_sep_token", &t->add_sep);
    if (!r) r = load_flag(m, KEY "add_space_prefix", &t->rules.space_prefix);
    if (!r) r = load_flag(m, KEY "normalizer.lowercase", &t->rules.lower);
    t->rules.strip = t->rules.lower;
    if (!r) r = load_flag(m, KEY "normalizer.strip_accents", &t->rules.strip);
    if (!r) r = load_flag(m, KEY "remove_extra_whitespaces", &t->rules.merge_spaces);
    return r ? r : decai__specials_check(t);
}

/* What is to be added must be there. A default of the kind gives way; what the
 * file says does not. */
int32_t
decai__specials_check(decai_tokenizer *t)
{
    int32_t *s = t->special;
    if (t->rules.family == DECAI__WPM && s[DECAI__BOS] < 0) s[DECAI__BOS] = s[DECAI__CLS];
    if (t->add_bos && s[DECAI__BOS] < 0) {
        if (!t->rules.add_bos) return decai__fail(DECAI_E_CORRUPT, KEY "add_bos_token: true, but there is no bos_token_id");
        t->add_bos = false;
    }
    if (t->add_eos && s[DECAI__EOS] < 0) {
        if (!t->rules.add_eos) return decai__fail(DECAI_E_CORRUPT, KEY "add_eos_token: true, but there is no eos_token_id");
        t->add_eos = false;
    }
    if (t->add_sep && s[DECAI__SEPARATOR] < 0) {
        if (!t->rules.add_sep) return decai__fail(DECAI_E_CORRUPT, KEY "add_sep_token: true, but there is no separator_token_id");
        t->add_sep = false;
    }
    find_ends(t);
    return 0;
}

/* ---- what kind it is ----------------------------------------------------------- */

static int32_t
load_family(decai_tokenizer *t, const decai_model *m)
{
    const char *text, *pre = NULL;
    size_t len, pre_len = 0;
    if (!decai__model_metadata_find(m, KEY "model"))
        return decai__fail(DECAI_E_NOT_FOUND, KEY "model: missing; this file holds no tokenizer");
    int32_t r = decai__model_str(m, KEY "model", &text, &len);
    if (!r && decai__model_metadata_find(m, KEY "pre")) r = decai__model_str(m, KEY "pre", &pre, &pre_len);
    return r ? r : decai__rules_find(&t->rules, text, len, pre, pre_len);
}

static int32_t
load_charsmap(decai_tokenizer *t, const decai_model *m)
{
    const decai__metadata *map = decai__model_metadata_find(m, KEY "precompiled_charsmap");
    if (!map || t->rules.family != DECAI__UGM) return 0;
    if (map->type != DECAI_METADATA_ARRAY || (map->item_type != DECAI_METADATA_U8 && map->item_type != DECAI_METADATA_I8))
        return decai__fail(DECAI_E_CORRUPT, KEY "precompiled_charsmap: not an array of bytes");
    t->charsmap_len = map->count;
    t->charsmap = decai__memdup(t->h.context, map->value, map->count);
    return t->charsmap ? 0 : decai__fail(DECAI_E_NOMEM, KEY "precompiled_charsmap: no memory");
}

/* What all sources do when tokens, kinds and scores are there. */
int32_t
decai__tokens_end(decai_tokenizer *t)
{
    int32_t r = insert_all(t);
    if (!r) r = index_matches(t);
    if (r) return r;
    index_bytes(t);
    r = decai__cuts_find(t);
    if (!r && (t->rules.family == DECAI__UGM || t->rules.family == DECAI__RWKV)) r = decai__trie_build(t);
    if (!r && t->rules.family == DECAI__UGM) r = decai__ugm_check(t);
    if (!r && t->rules.family == DECAI__SPM) r = decai__scores_order(t);
    return r;
}

/* Everything that decides which ids a text becomes, and what ids mean. Texts and
 * merges as a GGUF has them, so that the hash needs no table of ours. Between the
 * two halves: each token's kind and text, the count of merges, each merge. */
void
decai__tok_hash_begin(const decai_tokenizer *t, decai__keccak *k, const char *pre, size_t len)
{
    const char *family = decai__family_name(t->rules.family);
    decai__keccak_init(k);
    decai__hash_domain(k, DECAI__DOMAIN_TOKENIZER);
    decai__hash_data(k, family, strlen(family));
    decai__hash_data(k, pre, len);
    decai__hash_u64(k, t->count);
}

/* What only a tokenizer.json says, where it says it. */
static void
hash_asked(const decai_tokenizer *t, decai__keccak *k)
{
    decai__hash_data(k, "asked", 5);
    decai__hash_u64(k, t->rules.prefix);
    decai__hash_u64(k, t->rules.split);
    decai__hash_u64(k, t->norm.count);
    for (uint32_t i = 0; i < t->norm.count; i++) {
        const decai__norm_step *s = &t->norm.steps[i];
        decai__hash_u64(k, (uint64_t)s->kind | (uint64_t)s->form << 8 | (uint64_t)s->least << 16 | (uint64_t)s->left << 24 | (uint64_t)s->right << 25);
        decai__hash_data(k, s->from, s->from_len);
        decai__hash_data(k, s->to, s->to_len);
    }
    for (uint32_t id = 0; t->asks && id < t->count; id++)
        if (t->asks[id]) decai__hash_u64(k, (uint64_t)id << 8 | t->asks[id]);
}

void
decai__tok_hash_end(decai_tokenizer *t, decai__keccak *k)
{
    /* The roles that the first version knew; what came later stands below. */
    for (size_t i = 0; i < DECAI__CLS; i++) decai__hash_u64(k, (uint64_t)(t->special[i] + 1));
    decai__hash_u64(k, t->add_bos);
    decai__hash_u64(k, t->add_eos);
    if (t->rules.family != DECAI__BPE) {
        decai__hash_data(k, t->score, t->count * sizeof *t->score);
        decai__hash_data(k, t->charsmap, t->charsmap_len);
        decai__hash_u64(k, t->add_sep);
        decai__hash_u64(k, t->rules.space_prefix);
        decai__hash_u64(k, t->rules.merge_spaces);
        decai__hash_u64(k, t->rules.lower);
        decai__hash_u64(k, t->rules.strip);
    }
    if (t->added || t->rules.split) hash_asked(t, k);
    decai__keccak_final(k, t->hash);
}

static int32_t
hash_tokenizer(decai_tokenizer *t, const decai_model *m)
{
    decai__keccak k;
    const decai__metadata *tokens, *merges;
    const char *text, *pre = "";
    const uint8_t *pos = NULL;
    size_t len, pre_len = 0;
    int32_t r = decai__model_array(m, KEY "tokens", DECAI_METADATA_STRING, &tokens);
    if (!r && decai__model_metadata_find(m, KEY "pre")) r = decai__model_str(m, KEY "pre", &pre, &pre_len);
    if (r) return r;
    decai__tok_hash_begin(t, &k, pre, pre_len);
    for (uint32_t id = 0; decai__metadata_next_str(tokens, &pos, &text, &len); id++) {
        decai__hash_u64(&k, t->kind[id]);
        decai__hash_data(&k, text, len);
    }
    decai__hash_u64(&k, t->merge_count);
    if (t->merges) {
        r = decai__model_array(m, KEY "merges", DECAI_METADATA_STRING, &merges);
        for (pos = NULL; !r && decai__metadata_next_str(merges, &pos, &text, &len);) decai__hash_data(&k, text, len);
    }
    decai__tok_hash_end(t, &k);
    return r;
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
    decai__free(ctx, t->piece);
    decai__free(ctx, t->stable);
    decai__free(ctx, t->score);
    decai__free(ctx, t->slots);
    decai__free(ctx, t->match);
    decai__free(ctx, t->merges);
    decai__free(ctx, t->merge_memory);
    decai__free(ctx, t->byte_merge);
    decai__free(ctx, t->order);
    decai__free(ctx, t->join_bits);
    decai__free(ctx, t->char_id);
    decai__free(ctx, t->trie.slots);
    decai__free(ctx, t->charsmap);
    decai__added_free(t);
    for (size_t i = 0; i < DECAI__CACHES; i++) decai__cache_free(ctx, atomic_load(&t->cache[i]));
    decai__lexicon_free(ctx, atomic_load(&t->lexicon));
}

decai_tokenizer *
decai__tok_new(decai_context *ctx, const decai_options *opts)
{
    decai_tokenizer *t = decai__handle_create(ctx, DECAI__TOKENIZER, sizeof *t, tokenizer_destroy);
    if (t) t->text_max = (size_t)decai__opt_i64(opts, "tok.text_max");
    else decai__fail(DECAI_E_NOMEM, "tokenizer: no memory for the handle");
    return t;
}

/* What decai_tokenizer_format puts beside what GGUF can say. */
static int32_t
load_rules(decai_tokenizer *t, const decai_model *m)
{
    static const char RULES[] = "tokenizer.decai.rules";
    const char *text;
    size_t len;
    if (t->rules.family != DECAI__BPE || !decai__model_metadata_find(m, RULES)) return 0;
    int32_t r = decai__model_str(m, RULES, &text, &len);
    return r ? r : decai__json_rules_read(t, text, len);
}

int32_t
decai__tok_create(decai_tokenizer **out, const decai_model *model, const decai_options *opts)
{
    decai_context *ctx = decai__context_of(model);
    *out = NULL;
    int32_t r = decai__opts_check(opts, "tok");
    if (r) return r;
    decai_tokenizer *t = decai__tok_new(ctx, opts);
    if (!t) return DECAI_E_NOMEM;
    r = load_family(t, model);
    if (!r) r = load_tokens(t, model);
    if (!r) r = load_charsmap(t, model);
    if (!r) r = decai__tokens_end(t);
    if (!r && (t->rules.family == DECAI__BPE || t->rules.family == DECAI__BPE_RAW)) r = decai__merges_load(t, model);
    if (!r) r = load_specials(t, model);
    if (!r && t->rules.pre == DECAI__PRE_COUNT) {
        r = decai__rules_guess(t);
        if (!r) r = load_specials(t, model);   /* again: the name brings defaults */
    }
    if (!r) r = load_rules(t, model);
    if (!r) r = hash_tokenizer(t, model);
    if (!r) *out = t;
    else decai__destroy(t);
    return r;
}
