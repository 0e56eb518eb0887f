/* sign.c - what the way to a signature costs, beside libsecp256k1 alone in the
 * same run, interleaved round by round. One JSON object on stdout.
 *
 *     build/release/tests/bench/sign [rounds]
 *
 *   raw         secp256k1_ecdsa_sign_recoverable, nothing else
 *   key         decai__key_sign: fresh entropy, sign, recover, compare
 *   wallet      an order: parse, effects, policy, permit, decode again, sign
 *   recover     a counterparty's check: decode the order, recover the signer
 *   typed       EIP-712 digest of the order's document */
#include <secp256k1.h>
#include <secp256k1_recovery.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "key/curve.h"
#include "key/key.h"
#include "wallet/wallet.h"

#define BATCH 40

enum { RAW, KEY, WALLET, RECOVER, TYPED, KINDS };
static const char *const names[KINDS] = {"raw", "key", "wallet", "recover", "typed"};

static struct {
    decai_context *ctx;
    decai_key *key;
    decai_options *options;
    decai_wallet *wallet;
    char text[2048];
    size_t len;
    uint8_t sig[65], digest[32], secret[32], address[20];
} s;

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int32_t
wallet_once(void)
{
    decai_intent *intent = NULL;
    decai_permit *permit = NULL;
    int32_t r = decai_intent_parse(&intent, s.wallet, DECAI_INTENT_ORDER, (uint8_t *)s.text, s.len);
    if (!r) r = decai_permit_create(&permit, s.wallet, intent);
    if (!r) r = decai_wallet_sign(s.wallet, s.sig, 65, intent, permit);
    decai_destroy(permit);
    decai_destroy(intent);
    return r;
}

static int32_t
once(int kind)
{
    const secp256k1_context *curve;
    secp256k1_ecdsa_recoverable_signature sig;
    decai__typed typed;
    uint8_t out[65];
    s.digest[0]++;
    switch (kind) {
    case RAW:
        if (decai__curve(s.ctx, &curve)) return -1;
        return secp256k1_ecdsa_sign_recoverable(curve, &sig, s.digest, s.secret, NULL, NULL) ? 0 : -1;
    case KEY: return decai__key_sign(s.key, out, s.digest);
    case WALLET: return wallet_once();
    case RECOVER:
        return decai_intent_verify(s.ctx, DECAI_INTENT_ORDER, (uint8_t *)s.text, s.len, s.sig, 65, s.address, 20, 1);
    default: return decai__typed_hash(s.ctx, &typed, s.text, s.len);
    }
}

static int32_t
setup(void)
{
    static const uint8_t root[32] = {1};
    s.secret[31] = 1;
    int32_t r = decai_context_create(&s.ctx, NULL);
    if (!r) r = decai_key_load(&s.key, s.ctx, s.secret, 32, NULL);
    if (!r) r = decai_options_create(&s.options, s.ctx);
    if (!r) r = decai_options_set_str(s.options, "wallet.policy", "{\"chain_id\":1,\"asset\":\"credit\",\"price_max\":"
        "\"10\",\"total_max\":\"1000000\",\"window_ms\":1,\"horizon_ms\":315360000000}");
    if (!r) r = decai_wallet_create(&s.wallet, s.key, s.options);
    if (!r) r = decai_order_encode(s.ctx, s.text, sizeof(s.text), &s.len, root, 32, root, 32, "1", "credit", 2,
        2000000000000u, root, 32, 1);
    if (!r) r = decai_key_address_get(s.key, s.address, 20);
    return r ? r : wallet_once();
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 25;
    double median[KINDS], *t = calloc((size_t)KINDS * (size_t)(rounds < 1 ? 1 : rounds), sizeof(*t));
    if (!t || rounds < 1 || setup()) {
        fprintf(stderr, "sign: %s\n", decai_error_detail());
        return 1;
    }
    for (int round = 0; round < rounds; round++)
        for (int kind = 0; kind < KINDS; kind++) {
            double start = now();
            for (int i = 0; i < BATCH; i++)
                if (once(kind)) {
                    fprintf(stderr, "sign: %s: %s\n", names[kind], decai_error_detail());
                    return 1;
                }
            t[kind * rounds + round] = (now() - start) / BATCH;
        }
    printf("{\"rounds\": %d, \"batch\": %d", rounds, BATCH);
    for (int kind = 0; kind < KINDS; kind++) {
        qsort(t + kind * rounds, (size_t)rounds, sizeof(*t), compare);
        median[kind] = t[kind * rounds + rounds / 2];
        printf(", \"%s_us\": %.1f, \"%s_per_s\": %.0f", names[kind], 1e6 * median[kind], names[kind], 1 / median[kind]);
    }
    printf(", \"key_to_raw\": %.2f, \"wallet_to_raw\": %.2f}\n", median[KEY] / median[RAW], median[WALLET] / median[RAW]);
    free(t);
    decai_destroy(s.wallet);
    decai_destroy(s.options);
    decai_destroy(s.key);
    decai_destroy(s.ctx);
    return 0;
}
