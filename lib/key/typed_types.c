/* typed_types.c - EIP-712: the types of a document, read strictly.
 *
 *     types: { Name: [ {name, type}, ... ], ... }
 *     type  := atom brackets*        brackets := "[]" | "[n]", n >= 1
 *     atom  := bool | address | string | bytes | bytes1..32
 *            | uint8..256 | int8..256 (steps of 8) | Name
 *
 * encodeType(S) is S's own text "Name(type name,...)" and then the texts of all
 * structs it needs, sorted by name. With at most 64 structs "needs" is one
 * 64-bit mask, filled by a depth-first walk whose grey nodes are the cycles.
 *
 * Refused, because two libraries answer differently or a reader is misled:
 * cycles (no finite value, and ethers refuses them), unused types, names that
 * are no identifiers, structs named like an atom, the aliases int and uint,
 * EIP712Domain with other than the standard's fields in the standard's order.
 */
#include <string.h>

#include "hash/hash.h"
#include "key/key.h"
#include "key/typed.h"

#define IDENTIFIER_MAX 128u /* bytes of a type's or field's name */
#define TYPE_TEXT_MAX  256u /* bytes of a field's type with its brackets */

_Static_assert(DECAI_TYPED_TYPES_MAX <= 64, "needs is a 64-bit mask");

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}

static bool
is_identifier(const char *text, size_t len)
{
    if (!len || len > IDENTIFIER_MAX || !is_letter(text[0])) return false;
    for (size_t i = 1; i < len; i++)
        if (!is_letter(text[i]) && !(text[i] >= '0' && text[i] <= '9')) return false;
    return true;
}

int32_t
decai__typed_exact(const decai__typed_doc *doc, const decai__json_node *object, size_t count)
{
    int32_t r = decai__json_expect(doc->json, object, DECAI__JSON_OBJECT);
    if (r) return r == DECAI_E_NOT_FOUND ? DECAI_E_CORRUPT : r;
    size_t have = decai__json_count(object);
    if (have == count) return 0;
    return decai__json_fail(doc->json, object, DECAI_E_CORRUPT, have < count ? "a member is missing" : "a member too many");
}

/* 1..max after a fixed prefix; 0 if the digits are not exactly that. */
static uint32_t
suffix_number(const char *text, size_t len, uint32_t max)
{
    uint32_t v = 0;
    if (!len || len > 3 || text[0] == '0') return 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return 0;
        v = v * 10 + (uint32_t)(text[i] - '0');
    }
    return v <= max ? v : 0;
}

/* True for the atomic types; *out is what it is. */
static bool
atom(decai__typed_type *out, const char *text, size_t len)
{
    static const struct { const char *name; int32_t kind; } plain[] = {
        {"bool", DECAI__TYPED_BOOL}, {"address", DECAI__TYPED_ADDRESS},
        {"string", DECAI__TYPED_STRING}, {"bytes", DECAI__TYPED_BYTES}};
    for (size_t i = 0; i < DECAI__COUNT(plain); i++)
        if (len == strlen(plain[i].name) && !memcmp(text, plain[i].name, len)) {
            *out = (decai__typed_type){plain[i].kind, 0};
            return true;
        }

    if (len > 5 && !memcmp(text, "bytes", 5))
        *out = (decai__typed_type){DECAI__TYPED_FIXED, suffix_number(text + 5, len - 5, 32)};
    else if (len > 4 && !memcmp(text, "uint", 4))
        *out = (decai__typed_type){DECAI__TYPED_UINT, suffix_number(text + 4, len - 4, 256)};
    else if (len > 3 && !memcmp(text, "int", 3))
        *out = (decai__typed_type){DECAI__TYPED_INT, suffix_number(text + 3, len - 3, 256)};
    else return false;
    return out->width && (out->kind == DECAI__TYPED_FIXED || out->width % 8 == 0);
}

int32_t
decai__typed_resolve(const decai__typed_doc *doc, const decai__json_node *at, decai__typed_type *out,
    const char *text, size_t len)
{
    if (atom(out, text, len)) return 0;
    for (size_t i = 0; i < doc->count; i++)
        if (strlen(doc->def[i].name) == len && !memcmp(doc->def[i].name, text, len)) {
            if (i == doc->domain) break;
            *out = (decai__typed_type){DECAI__TYPED_STRUCT, (uint32_t)i};
            return 0;
        }
    return decai__json_fail(doc->json, at, DECAI_E_CORRUPT, "no such type");
}

bool
decai__typed_array(const char *text, size_t len, size_t *inner, uint64_t *fixed)
{
    if (!len || text[len - 1] != ']') return false;
    size_t open = len - 1;
    while (open && text[open] != '[') open--;
    *inner = open;
    *fixed = 0;
    for (size_t i = open + 1; i + 1 < len; i++) *fixed = *fixed * 10 + (uint64_t)(text[i] - '0');
    return true;
}

/* The length of the atom in front of well-formed brackets. */
static int32_t
check_brackets(const decai__typed_doc *doc, const decai__json_node *at, const char *text, size_t len, size_t *atom_len)
{
    if (len > TYPE_TEXT_MAX) return decai__json_fail(doc->json, at, DECAI_E_LIMIT, "type text too long");
    const char *bracket = memchr(text, '[', len);
    *atom_len = bracket ? (size_t)(bracket - text) : len;
    size_t i = *atom_len;
    while (i < len) {
        size_t digits = 0;
        if (text[i++] != '[') break;
        while (i < len && text[i] >= '0' && text[i] <= '9' && !(digits == 0 && text[i] == '0')) i++, digits++;
        if (i >= len || text[i] != ']' || digits > 9) break;
        if (++i == len) return 0;
    }
    return i == *atom_len && i == len ? 0 : decai__json_fail(doc->json, at, DECAI_E_CORRUPT, "malformed array type");
}

static int32_t
read_struct(decai__typed_doc *doc, const decai__json_node *node)
{
    decai__typed_struct_def *def = &doc->def[doc->count];
    decai__typed_type ignored;

    *def = (decai__typed_struct_def){.name = decai__json_key(node), .fields = node};
    size_t len = strlen(def->name);
    if (!is_identifier(def->name, len) || atom(&ignored, def->name, len)
        || !strcmp(def->name, "uint") || !strcmp(def->name, "int"))
        return decai__json_fail(doc->json, node, DECAI_E_CORRUPT, "not a name for a struct type");
    if (decai__json_type(node) != DECAI__JSON_ARRAY)
        return decai__json_fail(doc->json, node, DECAI_E_CORRUPT, "not an array of fields");
    def->count = decai__json_count(node);
    if (def->count > DECAI_TYPED_FIELDS_MAX)
        return decai__json_fail(doc->json, node, DECAI_E_LIMIT, "more than DECAI_TYPED_FIELDS_MAX fields");
    doc->count++;
    return 0;
}

/* name and type of one field entry; both are checked for form. */
static int32_t
read_field(const decai__typed_doc *doc, const decai__json_node *field, const char **name, const char **type, size_t *atom_len)
{
    size_t name_len = 0, type_len = 0;
    int32_t r = decai__typed_exact(doc, field, 2);
    if (!r) r = decai__json_get_str(doc->json, field, "name", name, &name_len);
    if (!r) r = decai__json_get_str(doc->json, field, "type", type, &type_len);
    if (r) return r == DECAI_E_NOT_FOUND ? DECAI_E_CORRUPT : r;
    if (!is_identifier(*name, name_len))
        return decai__json_fail(doc->json, field, DECAI_E_CORRUPT, "the field's name is no identifier");
    return check_brackets(doc, field, *type, type_len, atom_len);
}

/* Fields are few and names short: a quadratic look costs less than a table. */
static int32_t
check_duplicate(const decai__typed_doc *doc, const decai__typed_struct_def *def, const decai__json_node *field, const char *name)
{
    const char *other = NULL;
    size_t len;
    for (const decai__json_node *f = decai__json_first(def->fields); f && f != field; f = decai__json_next(f))
        if (!decai__json_get_str(doc->json, f, "name", &other, &len) && !strcmp(other, name))
            return decai__json_fail(doc->json, field, DECAI_E_CORRUPT, "two fields have this name");
    return 0;
}

/* Depth-first: check every field, collect what is needed, refuse cycles. */
static int32_t
walk(decai__typed_doc *doc, size_t index)
{
    decai__typed_struct_def *def = &doc->def[index];
    def->colour = 1;
    def->needs = 0;
    for (const decai__json_node *f = decai__json_first(def->fields); f; f = decai__json_next(f)) {
        const char *name = NULL, *type = NULL;
        size_t atom_len = 0;
        decai__typed_type t;
        int32_t r = read_field(doc, f, &name, &type, &atom_len);
        if (!r) r = check_duplicate(doc, def, f, name);
        if (!r) r = decai__typed_resolve(doc, f, &t, type, atom_len);
        if (r) return r;
        if (t.kind != DECAI__TYPED_STRUCT) continue;
        if (doc->def[t.width].colour == 1)
            return decai__json_fail(doc->json, f, DECAI_E_CORRUPT, "the type contains itself");
        if (doc->def[t.width].colour == 0) r = walk(doc, t.width);
        if (r) return r;
        def->needs |= doc->def[t.width].needs | 1ull << t.width;
    }
    def->colour = 2;
    return 0;
}

static void
absorb_type(const decai__typed_doc *doc, decai__keccak *k, const decai__typed_struct_def *def)
{
    bool first = true;
    decai__keccak_update(k, def->name, strlen(def->name));
    decai__keccak_update(k, "(", 1);
    for (const decai__json_node *f = decai__json_first(def->fields); f; f = decai__json_next(f)) {
        const char *name = "", *type = "";
        size_t name_len = 0, type_len = 0;
        (void)decai__json_get_str(doc->json, f, "name", &name, &name_len);
        (void)decai__json_get_str(doc->json, f, "type", &type, &type_len);
        if (!first) decai__keccak_update(k, ",", 1);
        first = false;
        decai__keccak_update(k, type, type_len);
        decai__keccak_update(k, " ", 1);
        decai__keccak_update(k, name, name_len);
    }
    decai__keccak_update(k, ")", 1);
}

/* keccak(encodeType): the struct, then what it needs in ascending name order. */
static void
hash_type(decai__typed_doc *doc, size_t index)
{
    decai__keccak k;
    uint64_t left = doc->def[index].needs;
    decai__assert(!(left >> index & 1));
    decai__keccak_init(&k);
    absorb_type(doc, &k, &doc->def[index]);
    while (left) {
        size_t least = DECAI_TYPED_TYPES_MAX;
        for (size_t i = 0; i < doc->count; i++)
            if (left >> i & 1)
                if (least == DECAI_TYPED_TYPES_MAX || strcmp(doc->def[i].name, doc->def[least].name) < 0) least = i;
        absorb_type(doc, &k, &doc->def[least]);
        left &= ~(1ull << least);
    }
    decai__keccak_final(&k, doc->def[index].hash);
}

/* EIP712Domain: any of the five fields, with these types, in this order. */
static int32_t
check_domain(const decai__typed_doc *doc)
{
    static const char *const known[][2] = {{"name", "string"}, {"version", "string"}, {"chainId", "uint256"},
        {"verifyingContract", "address"}, {"salt", "bytes32"}};
    const decai__typed_struct_def *def = &doc->def[doc->domain];
    size_t next = 0;

    for (const decai__json_node *f = decai__json_first(def->fields); f; f = decai__json_next(f)) {
        const char *name = NULL, *type = NULL;
        size_t len = 0;
        int32_t r = decai__json_get_str(doc->json, f, "name", &name, &len);
        if (!r) r = decai__json_get_str(doc->json, f, "type", &type, &len);
        if (r) return r;
        while (next < DECAI__COUNT(known) && strcmp(name, known[next][0]) != 0) next++;
        if (next == DECAI__COUNT(known) || strcmp(type, known[next][1]) != 0)
            return decai__json_fail(doc->json, f, DECAI_E_CORRUPT, "not a standard field of the domain at its place");
        next++;
    }
    return 0;
}

static int32_t
read_all(decai__typed_doc *doc, const decai__json_node *types)
{
    int32_t r = decai__json_expect(doc->json, types, DECAI__JSON_OBJECT);
    if (r) return r == DECAI_E_NOT_FOUND ? DECAI_E_CORRUPT : r;
    if (decai__json_count(types) > DECAI_TYPED_TYPES_MAX)
        return decai__json_fail(doc->json, types, DECAI_E_LIMIT, "more than DECAI_TYPED_TYPES_MAX types");
    for (const decai__json_node *t = decai__json_first(types); t && !r; t = decai__json_next(t))
        r = read_struct(doc, t);
    return r;
}

static size_t
index_of(const decai__typed_doc *doc, const char *name)
{
    size_t i = 0;
    while (i < doc->count && strcmp(doc->def[i].name, name) != 0) i++;
    return i;
}

int32_t
decai__typed_types(decai__typed_doc *doc)
{
    const decai__json_node *root = decai__json_root(doc->json);
    const decai__json_node *types = decai__json_find(root, "types");
    const char *primary = NULL;
    size_t len = 0;

    int32_t r = read_all(doc, types);
    if (!r) r = decai__json_get_str(doc->json, root, "primaryType", &primary, &len);
    if (r) return r == DECAI_E_NOT_FOUND ? DECAI_E_CORRUPT : r;
    doc->domain = index_of(doc, "EIP712Domain");
    doc->primary = index_of(doc, primary);
    if (doc->domain == doc->count) return decai__json_fail(doc->json, types, DECAI_E_CORRUPT, "no EIP712Domain");
    if (doc->primary == doc->count || doc->primary == doc->domain)
        return decai__json_fail(doc->json, decai__json_find(root, "primaryType"), DECAI_E_CORRUPT, "no such type");

    r = walk(doc, doc->domain);
    if (!r) r = check_domain(doc);
    if (!r) r = walk(doc, doc->primary);
    for (size_t i = 0; i < doc->count && !r; i++) {
        if (doc->def[i].colour == 2) hash_type(doc, i);
        else r = decai__json_fail(doc->json, doc->def[i].fields, DECAI_E_CORRUPT, "the type is not used");
    }
    return r;
}
