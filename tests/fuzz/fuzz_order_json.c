/* The request parsers: an order, a bid, rows of a payout. The first byte picks
 * the parser. Whatever comes in, the answer is a parsed request or an error
 * with a detail; a parsed order's id does not depend on the text's spacing. */
#include <stdint.h>
#include <string.h>

#include "decai.h"
#include "job/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static decai_context *ctx;

static void
try_order(const char *text, size_t len)
{
    static decai__order o, again;
    char spaced[4096];
    int32_t r = decai__order_parse(ctx, &o, text, len);
    if (r && !*decai_error_detail()) __builtin_trap();
    if (r || len + 2 > sizeof spaced) return;
    spaced[0] = ' ';
    memcpy(spaced + 1, text, len);
    spaced[len + 1] = '\n';
    if (decai__order_parse(ctx, &again, spaced, len + 2) || memcmp(o.id, again.id, 32) != 0) __builtin_trap();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!ctx && decai_context_create(&ctx, NULL)) return 0;
    if (size == 0) return 0;
    const char *text = (const char *)data + 1;
    if (data[0] % 3 == 0) {
        try_order(text, size - 1);
    } else if (data[0] % 3 == 1) {
        decai__bid_request b;
        if (decai__bid_parse(ctx, &b, text, size - 1) && !*decai_error_detail()) __builtin_trap();
    } else {
        decai_payout *p = NULL;
        int32_t r = decai_payout_create(&p, ctx, "1000", text, size - 1);
        if ((r == 0) != (p != NULL)) __builtin_trap();
        decai_destroy(p);
    }
    return 0;
}
