/* jinja_intern.c - the names that a template knows, numbered.
 *
 * A template asks its dicts for a few dozen names (role, content, tool_calls ...),
 * all of them written in its text. Each gets a number when the template is made;
 * the reader of conversations gives the same number to equal keys, so that looking
 * a field up compares small numbers, not texts. Number 0: not a name of the
 * template, or one that found no room; such are compared as texts.
 *
 * The table is hashed by length and by the first and last bytes only. A name that
 * finds no room within PROBES places stays without a number, so neither a hostile
 * template nor a hostile conversation can make a look-up long. */
#include <string.h>

#include "tok/jinja_tree.h"

enum { NAME_MAX = 48, PROBES = 8, NAMES_MAX = 20000 };

static uint32_t
place_of(const char *s, uint32_t n)
{
    uint64_t a = 0, b = 0;
    if (n >= 8) {
        memcpy(&a, s, 8);
        memcpy(&b, s + n - 8, 8);
    } else if (n >= 4) {
        memcpy(&a, s, 4);
        memcpy(&b, s + n - 4, 4);
    } else {
        a = (uint8_t)s[0] | (uint32_t)(uint8_t)s[n / 2] << 8 | (uint32_t)(uint8_t)s[n - 1] << 16;
    }
    return (uint32_t)(((a ^ n) * 0x9e3779b97f4a7c15u ^ b * 0xc2b2ae3d27d4eb4fu) >> 32);
}

uint16_t
decai__j_symbol(const decai__j_template *t, decai__j_val *name)
{
    if (!name->n || name->n > NAME_MAX || !t->symbols) return 0;
    uint32_t at = place_of(name->u.s, name->n);
    for (uint32_t i = 0; i < PROBES; i++) {
        uint16_t id = t->symbol_table[(at + i) & t->symbol_mask];
        if (!id) return 0;
        decai__j_val known = t->symbols[id];
        if (known.n == name->n && decai__j_bytes_equal(known.u.s, name->u.s, known.n)) {
            name->u.s = known.u.s;
            return id;
        }
    }
    return 0;
}

/* The number of a name that may be new; the text becomes the one that is kept. */
static uint16_t
number(decai__j_template *t, decai__j_val *name)
{
    uint16_t id = decai__j_symbol(t, name);
    if (id || !name->n || name->n > NAME_MAX || t->symbol_count >= t->symbol_cap) return id;
    uint32_t at = place_of(name->u.s, name->n);
    for (uint32_t i = 0; i < PROBES; i++) {
        uint16_t *place = &t->symbol_table[(at + i) & t->symbol_mask];
        if (*place) continue;
        t->symbols[++t->symbol_count] = *name;
        return *place = (uint16_t)t->symbol_count;
    }
    return 0;
}

static bool
is_name(const decai__j_node *n)
{
    return n->value.type == J_STR && !n->value.flag && (n->kind == N_CONST || n->kind == N_ATTR || n->kind == N_NSREF || n->kind == N_KW);
}

static uint32_t
count_names(const decai__j_node *n)
{
    uint32_t count = is_name(n);
    for (uint32_t i = 0; i < n->count; i++)
        if (n->kid[i]) count += count_names(n->kid[i]);
    return count;
}

/* d.x and d["x"]: with a symbol, and not something that every dict has. */
static bool
is_field(const decai__j_node *n)
{
    if (n->kind == N_ITEM) return n->kid[1]->kind == N_CONST && n->kid[1]->sym;
    if (n->kind != N_ATTR || !n->sym || n->value.u.s[0] == '_') return false;
    return !decai__j_method_has((decai__j_val){ .type = J_DICT }, n->aux);
}

static void
number_all(decai__j_template *t, decai__j_node *n)
{
    if (is_name(n)) n->sym = number(t, &n->value);
    for (uint32_t i = 0; i < n->count; i++)
        if (n->kid[i]) number_all(t, n->kid[i]);
    if (is_field(n)) n->flags |= DJ_FIELD;
}

int32_t
decai__j_intern(decai__j_template *t)
{
    uint32_t count = count_names(t->body) + t->name_count, size = 64;
    if (count > NAMES_MAX) count = NAMES_MAX;
    while (size < 4 * count) size *= 2;
    t->symbols = decai__j_arena_alloc(&t->arena, (count + 1) * sizeof *t->symbols);
    t->symbol_table = decai__j_arena_alloc(&t->arena, size * sizeof *t->symbol_table);
    t->name_symbol = decai__j_arena_alloc(&t->arena, (t->name_count + 1) * sizeof *t->name_symbol);
    if (!t->symbols || !t->symbol_table || !t->name_symbol)
        return decai__fail(decai__j_arena_why(&t->arena, size * 16), "template: its names");
    memset(t->symbol_table, 0, size * sizeof *t->symbol_table);
    t->symbols[0] = decai__j_none();
    t->symbol_cap = count;
    t->symbol_mask = size - 1;
    for (uint32_t i = 0; i < t->name_count; i++) t->name_symbol[i] = number(t, &t->names[i]);
    number_all(t, t->body);
    return 0;
}
