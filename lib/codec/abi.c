/* abi.c - Solidity's abi.encode for the types that claims and typed data need.
 * Source: the contract ABI specification of the Solidity documentation.
 *
 * A sequence of values is its heads, then its tails. The head of a static value
 * is its encoding; that of a dynamic one is the offset of its tail from where
 * the heads begin. Everything comes in words of 32 bytes.
 *
 *     uint256, uint64, bool, address   one word, numbers to the right
 *     bytes32                          one word
 *     bytes, string                    length, then the bytes, zeros to a word
 *     tuple                            a sequence; dynamic if a part is
 *     T[]                              length, then a sequence; dynamic
 */
#include <string.h>

#include "codec/internal.h"

void
decai__abi_word_u64(uint8_t out[32], uint64_t v)
{
    memset(out, 0, 24);
    decai__store_be64(out + 24, v);
}

void
decai__abi_word_bool(uint8_t out[32], bool v)
{
    decai__abi_word_u64(out, v);
}

void
decai__abi_word_address(uint8_t out[32], const uint8_t address[20])
{
    memset(out, 0, 12);
    memcpy(out + 12, address, 20);
}

void
decai__abi_word_u256(uint8_t out[32], const decai__u256 *v)
{
    decai__u256_to_be(out, v);
}

/* Reject what the encoder below relies on: known types, lengths, depth. */
static int32_t
check(const decai__abi_value *v, uint32_t depth)
{
    static const size_t fixed[] = { [DECAI__ABI_UINT256] = 32, [DECAI__ABI_ADDRESS] = 20, [DECAI__ABI_BYTES32] = 32 };
    int32_t r = 0;
    if (depth > DECAI__ABI_DEPTH_MAX) return decai__fail(DECAI_E_LIMIT, "abi: deeper than DECAI__ABI_DEPTH_MAX");
    switch (v->type) {
    case DECAI__ABI_UINT256:
    case DECAI__ABI_ADDRESS:
    case DECAI__ABI_BYTES32:
        if (v->data && v->len == fixed[v->type]) return 0;
        return decai__fail(DECAI_E_INVALID, "abi: %zu bytes for type %d", v->len, v->type);
    case DECAI__ABI_BOOL:
        return v->number <= 1 ? 0 : decai__fail(DECAI_E_INVALID, "abi: bool %llu", (unsigned long long)v->number);
    case DECAI__ABI_STRING:
        if (decai__utf8_valid(v->data, v->len) != v->len) return decai__fail(DECAI_E_INVALID, "abi: string is not UTF-8");
        return 0;
    case DECAI__ABI_UINT64:
    case DECAI__ABI_BYTES:
        return 0;
    case DECAI__ABI_TUPLE:
    case DECAI__ABI_ARRAY:
        for (size_t i = 0; i < v->len && !r; i++) {
            if (v->type == DECAI__ABI_ARRAY && v->items[i].type != v->items[0].type)
                return decai__fail(DECAI_E_INVALID, "abi: array of types %d and %d", v->items[0].type, v->items[i].type);
            r = check(&v->items[i], depth + 1);
        }
        return r;
    default:
        return decai__fail(DECAI_E_UNSUPPORTED, "abi: type %d", v->type);
    }
}

static bool
is_dynamic(const decai__abi_value *v)
{
    if (v->type == DECAI__ABI_BYTES || v->type == DECAI__ABI_STRING || v->type == DECAI__ABI_ARRAY) return true;
    if (v->type != DECAI__ABI_TUPLE) return false;
    for (size_t i = 0; i < v->len; i++)
        if (is_dynamic(&v->items[i])) return true;
    return false;
}

static size_t sequence_size(const decai__abi_value *values, size_t count);

/* Bytes of the encoding itself (of a dynamic value: its tail). */
static size_t
size_of(const decai__abi_value *v)
{
    switch (v->type) {
    case DECAI__ABI_BYTES:
    case DECAI__ABI_STRING: return 32 + (v->len + 31) / 32 * 32;
    case DECAI__ABI_TUPLE: return sequence_size(v->items, v->len);
    case DECAI__ABI_ARRAY: return 32 + sequence_size(v->items, v->len);
    default: return 32;
    }
}

static size_t
head_size(const decai__abi_value *v)
{
    return is_dynamic(v) ? 32 : size_of(v);
}

static size_t
sequence_size(const decai__abi_value *values, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += size_of(&values[i]) + (is_dynamic(&values[i]) ? 32 : 0);
    return total;
}

static void put_sequence(decai__buf *out, const decai__abi_value *values, size_t count);

static void
put_word_u64(decai__buf *out, uint64_t v)
{
    uint8_t word[32];
    decai__abi_word_u64(word, v);
    decai__buf_add(out, word, sizeof word);
}

static void
put_value(decai__buf *out, const decai__abi_value *v)
{
    uint8_t word[32] = { 0 };
    switch (v->type) {
    case DECAI__ABI_UINT256:
    case DECAI__ABI_BYTES32:
        decai__buf_add(out, v->data, 32);
        break;
    case DECAI__ABI_ADDRESS:
        decai__abi_word_address(word, v->data);
        decai__buf_add(out, word, sizeof word);
        break;
    case DECAI__ABI_UINT64:
    case DECAI__ABI_BOOL:
        put_word_u64(out, v->number);
        break;
    case DECAI__ABI_BYTES:
    case DECAI__ABI_STRING:
        put_word_u64(out, v->len);
        decai__buf_add(out, v->data, v->len);
        decai__buf_add(out, word, (32 - v->len % 32) % 32);
        break;
    case DECAI__ABI_ARRAY:
        put_word_u64(out, v->len);
        put_sequence(out, v->items, v->len);
        break;
    default:
        put_sequence(out, v->items, v->len);
        break;
    }
}

static void
put_sequence(decai__buf *out, const decai__abi_value *values, size_t count)
{
    size_t tail = 0;
    for (size_t i = 0; i < count; i++) tail += head_size(&values[i]);
    for (size_t i = 0; i < count; i++) {
        if (!is_dynamic(&values[i])) {
            put_value(out, &values[i]);
            continue;
        }
        put_word_u64(out, tail);
        tail += size_of(&values[i]);
    }
    for (size_t i = 0; i < count; i++)
        if (is_dynamic(&values[i])) put_value(out, &values[i]);
}

int32_t
decai__abi_encode(decai__buf *out, const decai__abi_value *values, size_t count)
{
    int32_t r = 0;
    for (size_t i = 0; i < count && !r; i++) r = check(&values[i], 1);
    if (r) return r;
    put_sequence(out, values, count);
    return out->error;
}
