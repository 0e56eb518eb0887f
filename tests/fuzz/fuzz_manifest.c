/* fuzz_manifest.c - manifests: what is accepted is its own encoding, reads as a
 * statement of the wallet, and can be shown. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "asset/asset.h"
#include "codec/codec.h"
#include "wallet/wallet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static decai_context *ctx;
    decai_manifest *m = NULL;
    decai__effects e;
    decai__buf b;
    if (!ctx && decai_context_create(&ctx, NULL)) abort();
    if (decai_manifest_decode(&m, ctx, data, size)) {
        if (m) abort();
        return 0;
    }
    if (m->bytes_len != size || memcmp(m->bytes, data, size) != 0) abort();
    decai__buf_init(&b, ctx, 1 << 26, "fuzz");
    if (decai__manifest_format(m, &b) || decai__json_check(ctx, (const char *)b.data, b.len)) abort();
    decai__buf_free(&b);
    if (decai__effects_decode(ctx, &e, DECAI_INTENT_MANIFEST, data, size, m->terms.chain_id)) abort();
    if (memcmp(e.id, m->id, 32) != 0 || memcmp(e.owner, m->terms.owner, 20) != 0) abort();
    decai_destroy(m);
    return 0;
}
