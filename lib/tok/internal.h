/* internal.h - what the files of this room share. */
#ifndef DECAI__TOK_INTERNAL_H
#define DECAI__TOK_INTERNAL_H

#include <string.h>

#include "hash/hash.h"
#include "model/model.h"
#include "tok/norm.h"
#include "tok/scan.h"
#include "tok/tok.h"

#define DECAI__DOMAIN_TOKENIZER "decai.tokenizer.v1"
#define DECAI__END_MAX 16            /* tokens that end a generation */
#define DECAI__SPECIAL_BYTES_MAX 256 /* bytes of a control or user-defined token */
#define DECAI__CACHES 16             /* tables of seen pieces that are kept: threads that encode at once */
#define DECAI__PROBE_MAX 512         /* steps in a hash table; more is no accident */

/* ---- rules: what a file says beside its tables; rules.c ---------------------- */

enum decai__family { DECAI__BPE, DECAI__BPE_RAW, DECAI__SPM, DECAI__WPM, DECAI__UGM, DECAI__RWKV };

/* Where a space is put before what follows; Metaspace puts none before a space. */
enum decai__prefix {
    DECAI__PREFIX_CONTROL,           /* the text, and after control tokens: GGUF */
    DECAI__PREFIX_PREPEND,           /* and after user-defined ones: a normalizer Prepend */
    DECAI__PREFIX_NORM,              /* a step does it: spaces are spelled out; json.c */
    DECAI__PREFIX_METASPACE,         /* as PREPEND, of a pre-tokenizer Metaspace */
    DECAI__PREFIX_METASPACE_FIRST,   /* the text alone */
    DECAI__PREFIX_METASPACE_NEVER
};

typedef struct decai__rules {
    enum decai__family family;
    enum decai__pre pre;
    bool ignore_merges;              /* a pre-token that is a token is that token */
    bool add_bos, add_eos, add_sep;  /* defaults of the kind; the file's flags win */
    bool space_prefix;               /* a space before the text and where `prefix` says */
    enum decai__prefix prefix;
    bool split;                      /* SentencePiece of a tokenizer.json: cut before each space */
    bool merge_spaces;               /* runs of spaces are one, none at the ends */
    bool lower, strip;               /* WordPiece: lower case; no accents */
    bool clean, cjk;                 /* WordPiece: no control characters; ideographs stand alone */

} decai__rules;

/* The rules of tokenizer.ggml.model and .pre; pre NULL: not said. */
int32_t decai__rules_find(decai__rules *out, const char *model, size_t model_len, const char *pre, size_t pre_len);
/* The name that tokenizer.ggml.model has for a family. */
const char *decai__family_name(enum decai__family family);
/* A name of tokenizer.ggml.pre for these rules; NULL: no name means them. */
const char *decai__pre_name(const decai__rules *rules);
/* The rules of a byte-level BPE whose file does not name its pattern, by the ids
 * of a known text: tries each pattern on t. */
int32_t decai__rules_guess(decai_tokenizer *t);

/* ---- the vocabulary -------------------------------------------------------- */

/* Open addressing by bytes: hash == 0 is an empty slot. */
typedef struct decai__token_slot { uint32_t hash, id; } decai__token_slot;
/* By rank. */
typedef struct decai__merge { uint32_t left, right, merged; } decai__merge;
/* Open addressing by (left, right) in eight bytes: left << 44 | right << 24 | rank;
 * DECAI__NO_MERGE is an empty slot. A search begins at a multiple of eight: one
 * line of memory, which vectors compare at once. */
#define DECAI__NO_MERGE UINT64_MAX
#define DECAI__NO_RANK UINT32_MAX
/* Open addressing by (node << 8 | byte); child 0 is an empty slot, 0 the root.
 * All of a step in one place: the token that ends there (-1: none) and its score. */
typedef struct decai__trie_slot { uint32_t key, child; int32_t id; float score; } decai__trie_slot;

typedef struct decai__trie {
    decai__trie_slot *slots;
    uint32_t mask, nodes;
} decai__trie;

struct decai_tokenizer {
    decai__handle h;
    uint8_t hash[32];
    decai__rules rules;
    uint32_t count;
    size_t text_max;
    bool add_bos, add_eos, add_sep;
    uint8_t *kind;                   /* DECAI_TOKEN_*, by id */
    uint8_t *piece;                  /* by id: 1 if text becomes it other than by matching it whole */
    atomic_uchar *stable;            /* by id: does its text become it? 0 not known yet, 1 yes, 2 no */
    float *score;                    /* by id, or NULL */
    uint32_t *offset;                /* count + 1 of them, into bytes */
    uint8_t *bytes;
    decai__token_slot *slots;
    uint32_t slot_mask;
    uint32_t *match;                 /* ids of control, unknown and user-defined tokens, by bytes */
    uint32_t match_count, user_count;
    uint32_t match_first[257];       /* match[first[b] .. first[b + 1]) begin with byte b */
    uint8_t user_first[256];         /* 1: a user-defined token begins with this byte */
    int32_t match_byte, user_byte;   /* the byte that all begin with, or -1 */
    decai__merge *merges;            /* by rank */
    uint64_t *merge_slots;           /* hash table of merge_mask + 1, in merge_memory */
    void *merge_memory;
    uint32_t *order;                 /* SentencePiece, by id: equal scores are equal, the best is 0 */
    uint32_t merge_mask, merge_count;
    uint32_t *byte_merge;            /* [a << 8 | b]: rank of the merge of two bytes, byte-level BPE */
    int32_t *char_id;                /* by code point below 65536, byte-level BPE: what it becomes alone, whatever is beside it; -1 */
    bool cut_spaces;                 /* Unigram: a text can be cut before spaces, */
    bool cut_lines;                  /* and before line ends, which are spaces (if runs of those are one) */
    uint64_t pairs[1024];            /* bit (a << 8 | b): byte b follows byte a in a piece; with join_bits, where a character is not whole */
    uint64_t *join_bits;             /* byte-level BPE: two characters may stand side by side in a piece; decai__joins */
    int32_t byte_id[256];            /* -1: no token */
    int32_t special[DECAI__SPECIAL_COUNT];
    int32_t end[DECAI__END_MAX];
    uint32_t end_count;
    decai__trie trie;                /* Unigram, RWKV */
    uint8_t *charsmap;               /* Unigram: the precompiled map */
    size_t charsmap_len, token_bytes_max;
    float unknown_score;
    decai__norm norm;                /* steps of a tokenizer.json's normalizer */
    uint8_t *asks;                   /* by id, DECAI__ASKS_*; NULL: nothing is asked */
    struct decai__added *added;      /* added.c; NULL: encode.c does it */
    _Atomic(struct decai__cache *) cache[DECAI__CACHES];   /* of encodings that are done, for those to come */
    _Atomic(struct decai__lexicon *) lexicon;              /* what masks know of it; NULL until a grammar asks */
};

static inline bool
decai__pair_in_token(const decai_tokenizer *t, uint8_t a, uint8_t b)
{
    return t->pairs[(uint32_t)a << 2 | b >> 6] >> (b & 63) & 1;
}

#define DECAI__JOIN_SHIFT 44         /* 2^20 bits */

static inline uint32_t
decai__join_place(uint32_t left, uint32_t right)
{
    return (uint32_t)(((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u >> DECAI__JOIN_SHIFT);
}

/* Could any piece hold the end of one character and the begin of the next? One of
 * them is beyond ASCII; last and first are the bytes beside the border. */
static inline bool
decai__joins(const decai_tokenizer *t, uint32_t left, uint32_t right, uint8_t last, uint8_t first)
{
    uint32_t at = decai__join_place(left, right);
    return (t->join_bits[at >> 6] >> (at & 63) & 1) || decai__pair_in_token(t, last, first);
}

static inline size_t
decai__token_len(const decai_tokenizer *t, uint32_t id)
{
    return t->offset[id + 1] - t->offset[id];
}

/* Never 0. Eight bytes at a time, the last ones again where they overlap. */
static inline uint32_t
decai__hash_bytes(const uint8_t *p, size_t len)
{
    uint64_t h = len * 0x9e3779b97f4a7c15u, v;
    for (; len > 8; p += 8, len -= 8) {
        memcpy(&v, p, 8);
        h = (h ^ v) * 0xd6e8feb86659fd93u;
        h ^= h >> 32;
    }
    if (len >= 4) {
        uint32_t a, b;
        memcpy(&a, p, 4);
        memcpy(&b, p + len - 4, 4);
        v = (uint64_t)a << 32 | b;
    } else {
        v = len ? (uint64_t)p[0] << 16 | (uint64_t)p[len / 2] << 8 | p[len - 1] : 0;
    }
    h = (h ^ v) * 0xd6e8feb86659fd93u;
    h ^= h >> 32;
    h *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32) | 1;
}

/* vocab.c: the token that has these bytes, pieces of text first; -1: none. */
int32_t decai__token_find(const decai_tokenizer *t, const uint8_t *text, size_t len);
/* The same among pieces of text. */
int32_t decai__piece_find(const decai_tokenizer *t, const uint8_t *text, size_t len);

/* A token whose text has this hash, perhaps; -1: there is none with it. */
static inline int32_t
decai__token_probe(const decai_tokenizer *t, uint32_t hash)
{
    uint32_t i = hash >> 1 & t->slot_mask;
    while (t->slots[i].hash && t->slots[i].hash != hash) i = (i + 1) & t->slot_mask;
    return t->slots[i].hash ? (int32_t)t->slots[i].id : -1;
}

/* A handle without tables. */
decai_tokenizer *decai__tok_new(decai_context *ctx, const decai_options *opts);
/* The next token, as GGUF has it. */
int32_t decai__token_add(decai_tokenizer *t, uint32_t id, const char *text, size_t len, uint32_t kind);
void decai__tok_hash_begin(const decai_tokenizer *t, decai__keccak *k, const char *pre, size_t len);
void decai__tok_hash_end(decai_tokenizer *t, decai__keccak *k);
/* Loading, whatever the source: room for the tokens; after them; after the roles. */
int32_t decai__tokens_begin(decai_tokenizer *t, uint64_t count, size_t room);
int32_t decai__tokens_end(decai_tokenizer *t);
int32_t decai__specials_check(decai_tokenizer *t);

/* GPT-2's byte alphabet back to bytes: out holds len bytes. False, and nothing
 * promised about out, when the text has another letter in it. */
bool decai__alphabet_decode(const uint8_t *text, size_t len, uint8_t *out, size_t *out_len);

/* cuts.c: where texts can be cut; SentencePiece's scores in order. */
int32_t decai__cuts_find(decai_tokenizer *t);
int32_t decai__scores_order(decai_tokenizer *t);

/* merges.c: the table of merges, from metadata. */
int32_t decai__merges_load(decai_tokenizer *t, const decai_model *model);
/* Room for count merges; then each in order of rank, the two sides as a file writes
 * them; scratch holds both and no more. */
int32_t decai__merges_begin(decai_tokenizer *t, size_t count);
int32_t decai__merges_end(decai_tokenizer *t);
int32_t decai__merges_parsed(decai_tokenizer *t, uint32_t rank, const uint8_t *left, size_t left_len, const uint8_t *right,
    size_t right_len, uint8_t *scratch);
/* vocab.c: U+2581 to spaces; how many bytes it makes. */
size_t decai__spaces_back(const uint8_t *text, size_t len, uint8_t *out);

static inline uint32_t
decai__merge_place(const decai_tokenizer *t, uint64_t key)
{
    return (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 32) & t->merge_mask & ~7u;
}

/* The rank of the merge of two tokens, or DECAI__NO_RANK. */
static inline uint32_t
decai__merge_rank(const decai_tokenizer *t, uint32_t left, uint32_t right)
{
    uint64_t key = (uint64_t)left << 20 | right;
    for (uint32_t i = decai__merge_place(t, key);; i = (i + 1) & t->merge_mask) {
        uint64_t m = t->merge_slots[i];
        if (m == DECAI__NO_MERGE) return DECAI__NO_RANK;
        if (m >> 24 == key) return m & 0xffffff;
    }
}

/* trie.c */
int32_t decai__trie_build(decai_tokenizer *t);
static inline uint32_t
decai__trie_place(const decai__trie *trie, uint32_t key)
{
    return key * 0x9e3779b1u >> 7 & trie->mask;
}

/* From a node on; NULL: nowhere. */
static inline const decai__trie_slot *
decai__trie_step(const decai__trie *trie, uint32_t node, uint8_t byte)
{
    uint32_t key = node << 8 | byte;
    for (uint32_t i = decai__trie_place(trie, key);; i = (i + 1) & trie->mask) {
        if (!trie->slots[i].child) return NULL;
        if (trie->slots[i].key == key) return &trie->slots[i];
    }
}

/* ---- encoding ----------------------------------------------------------------- */

/* Where ids go. Owned memory grows; the caller's (borrowed) does not: when it is
 * full, ids are only counted. */
typedef struct decai__ids {
    decai_context *ctx;
    int32_t *data;
    uint64_t *ends;                  /* of each id in the text, or NULL */
    size_t len, cap, dropped;        /* dropped: counted, not kept */
    bool borrowed;
    int32_t spill[64];               /* where ids go that are only counted */
} decai__ids;

typedef struct decai__symbol {
    uint32_t start, prev, next;      /* start: in the piece */
    uint32_t rank, slot;             /* of the merge with next; place in the heap */
    int32_t id, merged;              /* -1: a character without a token */
} decai__symbol;

/* One text's encoding: scratch of the piece at hand, and what was seen before. */
typedef struct decai__work {
    decai_context *ctx;
    const decai_tokenizer *t;
    decai__ids *ids;
    const uint8_t *piece;            /* the piece at hand */
    uint64_t base;                   /* where it begins in the text */
    const uint32_t *map;             /* places in it to places in the text, or NULL */
    decai__symbol *symbols;          /* BPE */
    uint32_t *heap;
    size_t symbol_cap;
    uint8_t *norm;                   /* what normalisers write */
    uint32_t *norm_end;              /* norm_end[i]: where norm[0, i) ends in the piece */
    size_t norm_len, norm_cap;
    void *best;                      /* Unigram's table */
    size_t best_cap;
    struct decai__cache *cache;
} decai__work;

int32_t decai__ids_grow(decai__ids *ids);
static inline int32_t
decai__ids_add(decai__ids *ids, int32_t id, uint64_t end)
{
    if (ids->len == ids->cap) {
        int32_t r = decai__ids_grow(ids);
        if (r) return r;
    }
    if (ids->ends) ids->ends[ids->len] = end;
    ids->data[ids->len++] = id;
    return 0;
}

/* Back to a number of ids that there was before. */
void decai__ids_back(decai__ids *ids, size_t total);

/* The end in the text of what ends at `end` of the piece. */
static inline uint64_t
decai__work_end(const decai__work *w, uint32_t end)
{
    return w->base + (w->map ? w->map[end] : end);
}

/* The ids of one piece, appended. `first`: it begins a text or follows a control
 * token. Each family's own. */
int32_t decai__norm_add(decai__work *w, const uint8_t *bytes, size_t len, size_t end);
/* Pieces from[i] .. to[i] of a text that begins at `text`, where w->base is, and
 * goes on to `end`; at most DECAI__PIECES. inner (or NULL): which of them are parts
 * of what the pattern gave, so that ignore_merges is not for them. */
#define DECAI__PIECES 1024u
int32_t decai__pieces_add(decai__work *w, const uint8_t *const *from, const uint8_t *const *to, size_t count, const uint8_t *text,
    const uint8_t *end, const bool *inner);
/* One that was not seen before; of a family that merges. */
int32_t decai__piece_new(decai__work *w, const uint8_t *text, size_t len, bool first, bool inner);
int32_t decai__piece_merged(decai__work *w, const uint8_t *text, size_t len, bool inner);
int32_t decai__bpe_piece(decai__work *w, const uint8_t *text, size_t len);
/* A symbol s[0], which ends where s[1] begins. */
int32_t decai__bpe_emit(decai__work *w, const uint8_t *text, const decai__symbol *s);
/* bpe_short.c: of at most DECAI__SHORT bytes; its plain form, ids without bytes in their place. */
#define DECAI__SHORT 64u
int32_t decai__bpe_short(decai__work *w, const uint8_t *text, size_t len);
/* To w->symbols, which has the room: *count of them and the end mark. */
int32_t decai__bpe_short_symbols(decai__work *w, const uint8_t *text, size_t len, uint32_t *count);
/* Several side by side, of the families with a table of merges: ids of each, and
 * how many; 0: not possible, to be tried alone. */
#define DECAI__GROUP 64u
typedef struct decai__group_item { const uint8_t *text; uint32_t len, count; bool inner; int32_t id[DECAI__SHORT]; } decai__group_item;
void decai__bpe_group(const decai_tokenizer *t, decai__group_item *item, size_t count);
bool decai__bpe_short_stable(const decai_tokenizer *t, const uint8_t *text, size_t len);
int32_t decai__wpm_piece(decai__work *w, const uint8_t *text, size_t len);
int32_t decai__ugm_piece(decai__work *w, const uint8_t *text, size_t len, bool first);
int32_t decai__rwkv_piece(decai__work *w, const uint8_t *text, size_t len);
/* Does the text of a token become that token alone? */
bool decai__bpe_stable(decai__work *w, const uint8_t *text, size_t len);
/* ugm.c: what the map must be to be followed; and whether spaces cut it. */
int32_t decai__ugm_check(decai_tokenizer *t);

/* Append the ids of a text; or of several, one after the other, whose bytes are
 * about `len` together. */
int32_t decai__encode_begin(decai__work *w, const decai_tokenizer *t, decai__ids *ids, size_t len);
int32_t decai__encode_text(decai__work *w, const uint8_t *text, size_t len, int32_t flags);
void decai__encode_end(decai__work *w);
int32_t decai__encode(const decai_tokenizer *t, decai__ids *ids, const uint8_t *text, size_t len, int32_t flags);

#endif /* DECAI__TOK_INTERNAL_H */
