/* market_acks.h - what a scripted market said it had done, and whether it had.
 * For unit tests: looks into the store by the library's own statements. */
#ifndef DECAI_TESTS_MARKET_ACKS_H
#define DECAI_TESTS_MARKET_ACKS_H

#include <stdlib.h>
#include <unistd.h>

#include "market_life.h"
#include "store/store.h"

typedef struct ack_record { int64_t deal; int32_t step; } ack_record;

/* The step of deal n that closes the job: it has no key, only a state. */
static __attribute__((unused)) int32_t
acks_closing_step(int64_t deal)
{
    static const int32_t step[5] = {22, 22, 23, 16, 20};
    return step[deal % 5];
}

static __attribute__((unused)) int32_t
acks_job_state(life *l, int64_t deal)
{
    char text[2048];
    uint8_t id[32];
    int32_t state = 0;
    int n = life_order_text(text, sizeof text, deal, LIFE_EPOCH_MS + deal * LIFE_DEAL_MS + 60000);
    if (decai_order_hash(l->ctx, id, 32, text, (size_t)n)) return -1;
    return decai_job_get(l->market, &state, id, 32) ? 0 : state;
}

static __attribute__((unused)) bool
acks_present(life *l, const ack_record *a)
{
    decai__query q;
    char key[64];
    if (a->step == LIFE_STEP_AUCTION) return acks_job_state(l, a->deal) >= DECAI_JOB_LEASED;
    if (a->step == acks_closing_step(a->deal)) return acks_job_state(l, a->deal) >= DECAI_JOB_SETTLED;
    snprintf(key, sizeof key, "d%lld.%d", (long long)a->deal, (int)a->step);
    if (decai__tx_begin_read(l->store)) return false;
    int32_t r = decai__query_one(&q, l->store, DECAI__SQL_EFFECT_FIND, "t", key);
    if (r == 1) decai__query_done(&q);
    decai__tx_end(l->store, 0);
    return r == 1;
}

static __attribute__((unused)) void
acks_remove_files(const char *path)
{
    static const char *const tail[] = {"", "-wal", "-shm", "-journal"};
    char name[600];
    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", path, tail[i]);
        unlink(name);
    }
}

/* Run deals 0..count-1 on a store that nothing happens to, and compare the two
 * stores' balances. 0 equal. */
static __attribute__((unused)) int32_t
acks_compare_with_clean(life *l, int64_t count)
{
    life clean = {0};
    static char a[1 << 22], b[1 << 22];   /* a quiet machine makes thousands of deals */
    size_t na = 0, nb = 0;
    int32_t r = life_context(&clean);
    if (r == 0) r = life_store(&clean, ":memory:", NULL, 2);
    for (int64_t n = 0; n < count && r == 0; n++) r = life_deal(&clean, n);
    if (r == 0) r = decai_market_format(clean.market, a, sizeof a, &na, "balances", NULL, 0);
    if (r == 0) r = decai_market_format(l->market, b, sizeof b, &nb, "balances", NULL, 0);
    if (r == 0 && (na != nb || memcmp(a, b, na) != 0)) r = DECAI_E_INTEGRITY;
    life_close(&clean);
    return r;
}

#endif
