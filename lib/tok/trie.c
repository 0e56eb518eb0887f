/* trie.c - the tokens as a tree of bytes, and RWKV's greedy walk over it.
 *
 * Nodes are numbers, edges a hash table of (node, byte): one look-up a byte,
 * whatever the vocabulary is. */
#include "tok/internal.h"

static int32_t
too_many(void)
{
    return decai__fail(DECAI_E_LIMIT, "tokenizer.ggml.tokens: too many texts fall together");
}

/* The slot of a key, or the empty one where it would be; NULL: too far. */
static decai__trie_slot *
slot_of(const decai__trie *e, uint32_t key)
{
    uint32_t steps = 0;
    for (uint32_t i = decai__trie_place(e, key);; i = (i + 1) & e->mask) {
        if (!e->slots[i].child || e->slots[i].key == key) return &e->slots[i];
        if (++steps > DECAI__PROBE_MAX) return NULL;
    }
}

/* Twice the slots, three quarters of which are used at most. */
static int32_t
grow(decai_tokenizer *t, size_t slots)
{
    decai__trie *e = &t->trie, old = *e;
    e->slots = decai__calloc(t->h.context, slots, sizeof *e->slots);
    if (!e->slots) {
        *e = old;
        return decai__fail(DECAI_E_NOMEM, "tokenizer.ggml.tokens: no memory for a tree of %zu steps", slots);
    }
    e->mask = (uint32_t)slots - 1;
    bool good = true;
    for (size_t i = 0; good && old.slots && i <= old.mask; i++) {
        if (!old.slots[i].child) continue;
        decai__trie_slot *to = slot_of(e, old.slots[i].key);
        good = to != NULL;
        if (good) *to = old.slots[i];
    }
    decai__free(t->h.context, old.slots);
    return good ? 0 : too_many();
}

static int32_t
add_token(decai_tokenizer *t, uint32_t id)
{
    decai__trie *e = &t->trie;
    uint32_t node = 0;
    decai__trie_slot *s = NULL;
    for (uint32_t i = t->offset[id]; i < t->offset[id + 1]; i++) {
        size_t slots = (size_t)e->mask + 1;
        int32_t r = (size_t)e->nodes + 1 > slots - slots / 4 ? grow(t, 2 * slots) : 0;
        if (r) return r;
        s = slot_of(e, node << 8 | t->bytes[i]);
        if (!s) return too_many();
        if (!s->child) *s = (decai__trie_slot){ node << 8 | t->bytes[i], e->nodes++, -1, 0 };
        node = s->child;
    }
    if (s && s->id < 0) {
        s->id = (int32_t)id;
        s->score = t->kind[id] == DECAI_TOKEN_USER ? 0 : t->score[id];
    }
    return 0;
}

int32_t
decai__trie_build(decai_tokenizer *t)
{
    size_t nodes = (size_t)t->offset[t->count] + 1;
    if (nodes >= 1u << 24) return decai__fail(DECAI_E_LIMIT, "tokenizer.ggml.tokens: %zu bytes are above %u", nodes, 1u << 24);
    t->trie.nodes = 1;
    int32_t r = grow(t, 4096);
    for (uint32_t id = 0; !r && id < t->count; id++)
        if (t->piece[id] || (t->rules.family == DECAI__UGM && t->kind[id] == DECAI_TOKEN_USER)) r = add_token(t, id);
    return r;
}

/* The longest token at each place; a byte that begins none is unknown. */
int32_t
decai__rwkv_piece(decai__work *w, const uint8_t *text, size_t len)
{
    const decai_tokenizer *t = w->t;
    int32_t r = 0;
    for (size_t at = 0; !r && at < len;) {
        int32_t id = -1;
        size_t end = at + 1;
        const decai__trie_slot *s = NULL;
        for (size_t i = at; i < len && (s = decai__trie_step(&t->trie, s ? s->child : 0, text[i])) != NULL; i++)
            if (s->id >= 0) id = s->id, end = i + 1;
        if (id < 0) id = t->special[DECAI__UNKNOWN];
        if (id < 0) return decai__fail(DECAI_E_UNSUPPORTED, "text: this vocabulary has no token for byte 0x%02x", text[at]);
        r = decai__ids_add(w->ids, id, w->base + end);
        at = end;
    }
    return r;
}
