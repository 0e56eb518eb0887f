/* trie.c - the tokens as a tree of bytes, and RWKV's greedy walk over it.
 *
 * Nodes are numbers, edges a hash table of (node, byte): one look-up a byte,
 * whatever the vocabulary is. */
#include "tok/internal.h"

static int32_t
child_of(decai_tokenizer *t, uint32_t *node, uint8_t byte)
{
    decai__trie *e = &t->trie;
    uint32_t key = *node << 8 | byte, i = key * 0x9e3779b1u >> 7 & e->mask, steps = 0;
    for (; e->slots[i].child; i = (i + 1) & e->mask) {
        if (e->slots[i].key == key) {
            *node = e->slots[i].child;
            return 0;
        }
        if (++steps > DECAI__PROBE_MAX) return decai__fail(DECAI_E_LIMIT, "tokenizer.ggml.tokens: too many texts fall together");
    }
    e->slots[i] = (decai__trie_slot){ key, e->nodes };
    *node = e->nodes++;
    e->id[*node] = -1;
    return 0;
}

int32_t
decai__trie_build(decai_tokenizer *t)
{
    decai_context *ctx = t->h.context;
    decai__trie *e = &t->trie;
    size_t nodes = (size_t)t->offset[t->count] + 1, slots = 16;
    if (nodes >= 1u << 24) return decai__fail(DECAI_E_LIMIT, "tokenizer.ggml.tokens: %zu bytes are above %u", nodes, 1u << 24);
    while (slots < nodes + nodes / 2) slots *= 2;
    e->mask = (uint32_t)slots - 1;
    e->nodes = 1;
    e->slots = decai__calloc(ctx, slots, sizeof *e->slots);
    e->id = decai__alloc(ctx, nodes * sizeof *e->id);
    if (!e->slots || !e->id) return decai__fail(DECAI_E_NOMEM, "tokenizer.ggml.tokens: no memory for a tree of %zu bytes", nodes);
    e->id[0] = -1;
    for (uint32_t id = 0; id < t->count; id++) {
        uint32_t node = 0;
        if (!t->piece[id] && !(t->rules.family == DECAI__UGM && t->kind[id] == DECAI_TOKEN_USER)) continue;
        for (uint32_t i = t->offset[id]; i < t->offset[id + 1]; i++) {
            int32_t r = child_of(t, &node, t->bytes[i]);
            if (r) return r;
        }
        if (e->id[node] < 0) e->id[node] = (int32_t)id;
    }
    return 0;
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
        for (size_t i = at, node = 0; i < len && (node = decai__trie_step(&t->trie, (uint32_t)node, text[i])) != 0; i++)
            if (t->trie.id[node] >= 0) id = t->trie.id[node], end = i + 1;
        if (id < 0) id = t->special[DECAI__UNKNOWN];
        if (id < 0) return decai__fail(DECAI_E_UNSUPPORTED, "text: this vocabulary has no token for byte 0x%02x", text[at]);
        r = decai__ids_add(w->ids, id, w->base + end);
        at = end;
    }
    return r;
}
