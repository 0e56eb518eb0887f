/* fuzz_receipt.c - bytes as a receipt: refused, or written back the same. */
#include <stdlib.h>
#include <string.h>

#include "proof/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static decai_context *ctx;

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t out[DECAI_RECEIPT_BYTES_MAX];
    decai_receipt *r = NULL;
    size_t len = 0;
    if (!ctx && decai_context_create(&ctx, NULL)) abort();
    if (decai_receipt_load(&r, ctx, data, size)) return 0;
    if (decai_receipt_encode(r, out, sizeof out, &len) || len != size || memcmp(out, data, size)) abort();
    decai_verification *v = NULL;
    if (decai_receipt_verify(&v, r, NULL, 0, NULL)) abort();
    decai_destroy(v);
    decai_destroy(r);
    return 0;
}
