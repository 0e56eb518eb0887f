/* fuzz_intent.c - statements: the first byte is the kind, the rest the bytes.
 * An order that is accepted means the same as the document that we would write
 * from what we understood of it; every accepted statement can be shown. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "wallet/wallet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static decai_context *ctx;
    decai__effects e, again;
    decai__buf b;
    if (!ctx && decai_context_create(&ctx, NULL)) abort();
    if (!size) return 0;
    int32_t kind = data[0] - '0';
    if (decai__effects_decode(ctx, &e, kind, data + 1, size - 1, 31337)) return 0;

    decai__buf_init(&b, ctx, 16384, "fuzz");
    if (decai__effects_format(&b, &e)) abort();
    if (decai__json_check(ctx, (const char *)b.data, b.len)) abort();
    decai__buf_free(&b);
    if (kind != DECAI_INTENT_ORDER) return 0;

    decai__buf_init(&b, ctx, 16384, "fuzz");
    if (decai__order_write(&b, &e)) abort();
    if (decai__effects_decode(ctx, &again, kind, b.data, b.len, 31337)) abort();
    if (memcmp(&e, &again, sizeof(e)) != 0) abort();
    decai__buf_free(&b);
    return 0;
}
