/* An epoch in a store: work, settlement, claims, and checking it all again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "market_life.h"

static int
open_memory(void **state)
{
    life *l = calloc(1, sizeof *l);
    if (!l || life_context(l) || life_store(l, ":memory:", NULL, 2)) return -1;
    *state = l;
    return 0;
}

static int
close_memory(void **state)
{
    life_close(*state);
    free(*state);
    return 0;
}

static const uint8_t addr[3][20] = {{1}, {2}, {3}};

static void
add_work(life *l, uint64_t epoch)
{
    assert_int_equal(decai_work_add(l->store, epoch, "p2", addr[1], 20, "43", "w1"), 0);
    assert_int_equal(decai_work_add(l->store, epoch, "p1", addr[0], 20, "30", "w2"), 0);
    assert_int_equal(decai_work_add(l->store, epoch, "p3", addr[2], 20, "57", "w3"), 0);
    assert_int_equal(decai_work_add(l->store, epoch, "p1", addr[0], 20, "31", "w4"), 0);
}

static void
test_epoch(void **state)
{
    life *l = *state;
    decai_payout *p = NULL, *again = NULL;
    uint8_t root[32], root2[32], address[20], amount[32], proof[2048];
    uint64_t count, sum = 0;
    char name[65];
    size_t len, proof_len;
    add_work(l, 7);
    assert_int_equal(decai_epoch_settle(&p, l->store, 7, "REWARD", "1000"), 0);
    assert_int_equal(decai_payout_get(p, root, 32, &count), 0);
    assert_int_equal(count, 3);
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(decai_claim_at(p, name, sizeof name, &len, address, 20, amount, 32, i), 1);
        assert_memory_equal(address, addr[i], 20);
        sum += (uint64_t)amount[30] << 8 | amount[31];
        assert_int_equal(decai_claim_prove(p, proof, sizeof proof, &proof_len, i), 0);
        assert_int_equal(decai_payout_verify(root, 32, i, address, 20, amount, 32, proof, proof_len), 0);
    }
    assert_int_equal(sum, 1000);
    assert_int_equal(decai_claim_at(p, name, sizeof name, &len, address, 20, amount, 32, count), 0);
    assert_int_equal(decai_claim_at(p, name, 1, &len, address, 20, amount, 32, 0), DECAI_E_SPACE);
    assert_int_equal(len, 2);
    assert_int_equal(decai_claim_prove(p, proof, sizeof proof, &proof_len, count), DECAI_E_NOT_FOUND);

    /* again: the same payout; other wishes: refused */
    assert_int_equal(decai_epoch_settle(&again, l->store, 7, "REWARD", "1000"), 0);
    assert_int_equal(decai_payout_get(again, root2, 32, &count), 0);
    assert_memory_equal(root, root2, 32);
    decai_destroy(again);
    assert_int_equal(decai_epoch_settle(&again, l->store, 7, "REWARD", "1001"), DECAI_E_EXISTS);
    assert_null(again);
    assert_int_equal(decai_epoch_settle(&again, l->store, 7, "OTHER", "1000"), DECAI_E_EXISTS);
    assert_int_equal(decai_work_add(l->store, 7, "p9", addr[0], 20, "1", "w9"), DECAI_E_STATE);
    assert_int_equal(decai_work_add(l->store, 7, "p2", addr[1], 20, "43", "w1"), 0);      /* a lost reply */
    assert_int_equal(decai_payout_load(&again, l->store, 7), 0);
    assert_int_equal(decai_payout_get(again, root2, 32, &count), 0);
    assert_memory_equal(root, root2, 32);
    decai_destroy(again);
    decai_destroy(p);
}

static void
test_refusals(void **state)
{
    life *l = *state;
    decai_payout *p = NULL;
    assert_int_equal(decai_payout_load(&p, l->store, 1), DECAI_E_NOT_FOUND);
    assert_int_equal(decai_epoch_settle(&p, l->store, 1, "REWARD", "5"), DECAI_E_NOT_FOUND);
    assert_int_equal(decai_epoch_settle(&p, l->store, (uint64_t)INT64_MAX + 1, "REWARD", "5"), DECAI_E_LIMIT);
    assert_int_equal(decai_work_add(l->store, (uint64_t)INT64_MAX + 1, "a", addr[0], 20, "1", "k"), DECAI_E_LIMIT);
    assert_int_equal(decai_work_add(l->store, INT64_MAX, "a", addr[0], 20, "1", "k"), 0);
    assert_int_equal(decai_work_add(l->store, INT64_MAX, "a", addr[1], 20, "1", "k1"), DECAI_E_CONFLICT);
    assert_int_equal(decai_work_add(l->store, INT64_MAX, "a", addr[0], 20, "2", "k"), DECAI_E_EXISTS);
    assert_int_equal(decai_work_add(l->store, INT64_MAX, "a", addr[0], 20, "0", "k2"), DECAI_E_INVALID);
    assert_int_equal(decai_work_add(l->store, INT64_MAX, "a", addr[0], 19, "1", "k2"), DECAI_E_INVALID);
    assert_int_equal(decai_work_add(l->store, 1, "a b", addr[0], 20, "1", "k2"), DECAI_E_INVALID);
    /* the epoch's work must fit in 256 bits by the time it is settled */
    const char *max = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    assert_int_equal(decai_work_add(l->store, 2, "a", addr[0], 20, max, "k3"), 0);
    assert_int_equal(decai_work_add(l->store, 2, "b", addr[1], 20, "1", "k4"), 0);
    assert_int_equal(decai_epoch_settle(&p, l->store, 2, "REWARD", "5"), DECAI_E_LIMIT);
    assert_null(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_epoch, open_memory, close_memory),
        cmocka_unit_test_setup_teardown(test_refusals, open_memory, close_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
