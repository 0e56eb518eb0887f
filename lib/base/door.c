/* door.c - checks that the exported functions of several rooms begin and end with.
 *
 * A door checks its arguments and then calls inside (lib/<room>/api.c). Said once
 * here, a wrong length gives the same sentence whichever room was called. */
#include "base/base.h"

int32_t
decai__door_fixed(const void *buffer, size_t len, size_t want, const char *name)
{
    if (!buffer) return decai__fail(DECAI_E_INVALID, "%s: NULL", name);
    if (len != want) return decai__fail(DECAI_E_INVALID, "%s_len: %zu is not %zu", name, len, want);
    return 0;
}

int32_t
decai__door_open(const void *out, size_t cap, size_t *len)
{
    if (!len || (!out && cap)) return decai__fail(DECAI_E_INVALID, "%s: NULL", len ? "out" : "len");
    *len = 0;
    return 0;
}

int32_t
decai__door_close(int32_t r, decai__buf *b, void *out, size_t cap, size_t *len)
{
    if (!r) r = decai__bytes_out(out, cap, len, b->data, b->len);
    decai__buf_free(b);
    return r;
}
