/* cbor_nest.c - the shape rules of the CBOR subset, for reader and writer alike.
 *
 * A stack of the open arrays and maps, each with what it still waits for:
 *
 *     array   left items
 *     map     left pairs; key_next says whose turn it is; keys ascend
 *
 * A container that got all it waits for closes by itself, and its parent may
 * then close too; when the stack is empty the one top-level item is done.
 */
#include "codec/internal.h"

static int32_t
refuse(decai__cbor_nest *nest, int32_t code, const char *why)
{
    nest->why = why;
    return code;
}

static int32_t
take_key(decai__cbor_nest *nest, decai__cbor_frame *f, int32_t type, uint64_t value)
{
    if (type != DECAI__CBOR_UINT) return refuse(nest, DECAI_E_UNSUPPORTED, "a map key that is no unsigned integer");
    if (f->any_key && value == f->last_key) return refuse(nest, DECAI_E_CORRUPT, "a map key for the second time");
    if (f->any_key && value < f->last_key) return refuse(nest, DECAI_E_CORRUPT, "map keys do not ascend");
    f->any_key = true;
    f->last_key = value;
    f->key_next = false;
    return 1;
}

int32_t
decai__cbor_nest_take(decai__cbor_nest *nest, int32_t type, uint64_t value)
{
    bool container = type == DECAI__CBOR_ARRAY || type == DECAI__CBOR_MAP;
    decai__cbor_frame *f = nest->depth ? &nest->frame[nest->depth - 1] : NULL;
    if (nest->done) return refuse(nest, DECAI_E_CORRUPT, "a second item at the top");
    if (f && f->key_next) return take_key(nest, f, type, value);
    if (container && value && nest->depth == DECAI_CBOR_DEPTH_MAX)
        return refuse(nest, DECAI_E_LIMIT, "deeper than DECAI_CBOR_DEPTH_MAX");
    if (f) {
        decai__assert(f->left > 0);
        f->left--;
        f->key_next = f->map;
    }
    if (container && value) {
        bool map = type == DECAI__CBOR_MAP;
        nest->frame[nest->depth++] = (decai__cbor_frame){ .left = value, .map = map, .key_next = map };
        return 0;
    }
    while (nest->depth && !nest->frame[nest->depth - 1].left) nest->depth--;
    nest->done = !nest->depth;
    return 0;
}
