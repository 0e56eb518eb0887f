/* fuzz_opening.c - bytes as an opening: refused, or written back the same. */
#include <stdlib.h>
#include <string.h>

#include "proof/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static decai_context *ctx;

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decai__opening o;
    decai__buf b;
    if (!ctx && decai_context_create(&ctx, NULL)) abort();
    if (decai__opening_decode(ctx, &o, data, size)) return 0;
    decai__buf_init(&b, ctx, DECAI_OPENING_BYTES_MAX, "opening");
    if (decai__opening_encode(&b, &o) || b.len != size || memcmp(b.data, data, size)) abort();
    decai__buf_free(&b);
    decai__opening_free(ctx, &o);
    return 0;
}
