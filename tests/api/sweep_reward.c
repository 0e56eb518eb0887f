/* sweep_reward.c - a call of each exported function of room reward that succeeds. */
#include <stdio.h>
#include <string.h>

#include "sweep.h"

static const uint8_t address[20] = {7};
static const char rows[] = "[{\"account\":\"a\",\"address\":\"0000000000000000000000000000000000000001\",\"units\":\"2\"},"
                           "{\"account\":\"b\",\"address\":\"0000000000000000000000000000000000000002\",\"units\":\"1\"}]";

typedef struct fixture { decai_store *store; decai_payout *payout; uint64_t calls; } fixture;

static int32_t
setup(decai_context *ctx, void **state)
{
    static fixture f;
    memset(&f, 0, sizeof f);
    *state = &f;
    int32_t r = decai_store_open(&f.store, ctx, ":memory:", NULL);
    if (r == 0) r = decai_work_add(f.store, 1, "a", address, 20, "5", "s1");
    if (r == 0) r = decai_work_add(f.store, 1, "b", address, 20, "6", "s2");
    if (r == 0) r = decai_epoch_settle(&f.payout, f.store, 1, "R", "100");
    return r;
}

static void
teardown(decai_context *ctx, void *state)
{
    fixture *f = state;
    (void)ctx;
    decai_destroy(f->payout);
    decai_destroy(f->store);
}

static int32_t
run_work(decai_context *ctx, void *state)
{
    fixture *f = state;
    char key[32];
    (void)ctx;
    snprintf(key, sizeof key, "w%llu", (unsigned long long)f->calls++);
    return decai_work_add(f->store, 2, "a", address, 20, "1", key);
}

static int32_t
run_settle(decai_context *ctx, void *state)
{
    fixture *f = state;
    decai_payout *p = NULL;
    char key[32];
    (void)ctx;
    uint64_t epoch = 100 + f->calls++;
    snprintf(key, sizeof key, "e%llu", (unsigned long long)epoch);
    int32_t r = decai_work_add(f->store, epoch, "a", address, 20, "1", key);
    if (r == 0) r = decai_epoch_settle(&p, f->store, epoch, "R", "10");
    decai_destroy(p);
    return r;
}

static int32_t
run_load(decai_context *ctx, void *state)
{
    decai_payout *p = NULL;
    (void)ctx;
    int32_t r = decai_payout_load(&p, ((fixture *)state)->store, 1);
    decai_destroy(p);
    return r;
}

static int32_t
run_create(decai_context *ctx, void *state)
{
    decai_payout *p = NULL;
    (void)state;
    int32_t r = decai_payout_create(&p, ctx, "10", rows, sizeof rows - 1);
    decai_destroy(p);
    return r;
}

static int32_t
run_get(decai_context *ctx, void *state)
{
    uint8_t root[32];
    uint64_t count;
    (void)ctx;
    return decai_payout_get(((fixture *)state)->payout, root, 32, &count);
}

static int32_t
run_claim(decai_context *ctx, void *state)
{
    uint8_t to[20], amount[32];
    char name[64];
    size_t len;
    (void)ctx;
    return decai_claim_at(((fixture *)state)->payout, name, sizeof name, &len, to, 20, amount, 32, 0);
}

static int32_t
run_prove(decai_context *ctx, void *state)
{
    uint8_t proof[256];
    size_t len;
    (void)ctx;
    return decai_claim_prove(((fixture *)state)->payout, proof, sizeof proof, &len, 0);
}

static int32_t
run_verify(decai_context *ctx, void *state)
{
    fixture *f = state;
    uint8_t root[32], to[20], amount[32], proof[256];
    char name[64];
    size_t len;
    uint64_t count;
    (void)ctx;
    int32_t r = decai_payout_get(f->payout, root, 32, &count);
    if (r == 0) r = decai_claim_at(f->payout, name, sizeof name, &len, to, 20, amount, 32, 1);
    if (r == 1) r = decai_claim_prove(f->payout, proof, sizeof proof, &len, 1);
    return r ? r : decai_payout_verify(root, 32, 1, to, 20, amount, 32, proof, len);
}

const sweep_case sweep_reward[];
const sweep_case sweep_reward[] = {
    {"decai_work_add", setup, run_work, teardown},
    {"decai_epoch_settle", setup, run_settle, teardown},
    {"decai_payout_load", setup, run_load, teardown},
    {"decai_payout_create", NULL, run_create, NULL},
    {"decai_payout_get", setup, run_get, teardown},
    {"decai_claim_at", setup, run_claim, teardown},
    {"decai_claim_prove", setup, run_prove, teardown},
    {"decai_payout_verify", setup, run_verify, teardown},
    {0},
};
