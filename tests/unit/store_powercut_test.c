/* Power cuts, full disks and damaged files under a running market.
 *
 * 60 cuts by default, 500 with DECAI_DEEP=1. Each run of the loop opens the
 * store, works until the power goes, restores what a disk might have kept, opens
 * again and checks: the file is whole, the audit passes, nothing acknowledged is
 * missing. At the end the balances equal those of an undisturbed run: nothing
 * was paid twice. The control runs the same loop without syncs and must lose
 * something, or the loop proves nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "powercut_vfs.c"

#include "market_acks.h"

#define ACKS_MAX 4096

typedef struct cut_run {
    life l;
    char path[256], shm[300];
    ack_record acks[ACKS_MAX];
    size_t count;
    int64_t next;                                /* first deal that is not complete */
    int64_t total;                               /* acknowledgements over all cuts */
} cut_run;

static int32_t
note(void *user, int64_t deal, int32_t step)
{
    cut_run *c = user;
    if (c->count < ACKS_MAX) c->acks[c->count++] = (ack_record){deal, step};
    c->total++;
    if (step == acks_closing_step(deal)) c->next = deal + 1;
    return 0;
}

static cut_run *
start_run(const char *name, uint64_t seed)
{
    cut_run *c = calloc(1, sizeof *c);
    assert_non_null(c);
    const char *dir = getenv("TMPDIR");
    snprintf(c->path, sizeof c->path, "%s/decai-%s-%d.db", dir ? dir : "/tmp", name, (int)getpid());
    snprintf(c->shm, sizeof c->shm, "%s-shm", c->path);
    acks_remove_files(c->path);
    pc_register(seed);
    assert_int_equal(life_context(&c->l), 0);
    c->l.ack = note;
    c->l.user = c;
    return c;
}

static void
end_run(cut_run *c)
{
    life_close(&c->l);
    pc_unregister();
    acks_remove_files(c->path);
    free(c);
}

/* Work until the lights go out. */
static void
work_until_cut(cut_run *c, int64_t synchronous, int64_t countdown)
{
    c->count = 0;
    pc.countdown = countdown;
    int32_t r = life_store(&c->l, c->path, "powercut", synchronous);
    while (r == 0) r = life_deal(&c->l, c->next);
    assert_true(r == DECAI_E_IO || r == DECAI_E_CORRUPT || r == DECAI_E_FULL);
    life_close_store(&c->l);
    pc_cut(c->shm);
}

/* How many acknowledgements of the last run are not there; -1: the file does
 * not open or the audit fails. */
static int
check_after_cut(cut_run *c, int64_t synchronous)
{
    int lost = 0;
    int32_t r = life_store(&c->l, c->path, "powercut", synchronous);
    if (r == 0) r = life_audit(&c->l);
    if (r) {
        print_message("after a cut: %d %s\n", (int)r, decai_error_detail());
        lost = -1;
    }
    for (size_t i = 0; r == 0 && i < c->count; i++) lost += !acks_present(&c->l, &c->acks[i]);
    life_close_store(&c->l);
    return lost;
}

static void
test_power_cuts(void **state)
{
    (void)state;
    int cuts = getenv("DECAI_DEEP") ? 500 : 60;
    cut_run *c = start_run("powercut", 20260101);
    int64_t files = 0, deals = 0;
    for (int i = 0; i < cuts; i++) {
        /* every so often from nothing: creation and migration are cut too */
        if (i % 20 == 0) {
            if (i) {
                assert_int_equal(life_store(&c->l, c->path, "powercut", 2), 0);
                assert_int_equal(life_deal(&c->l, c->next), 0);
                assert_int_equal(acks_compare_with_clean(&c->l, c->next), 0);
                life_close_store(&c->l);
                deals += c->next;
            }
            acks_remove_files(c->path);
            pc_forget_all();
            c->next = 0;
            files++;
        }
        int64_t reach = i % 20 < 4 ? 60 : i % 3 ? 900 : 3000;
        work_until_cut(c, 2, 1 + (int64_t)(pc_random() % (uint64_t)reach));
        assert_int_equal(check_after_cut(c, 2), 0);
    }
    assert_int_equal(life_store(&c->l, c->path, "powercut", 2), 0);
    assert_int_equal(life_deal(&c->l, c->next), 0);
    assert_int_equal(life_audit(&c->l), 0);
    assert_int_equal(acks_compare_with_clean(&c->l, c->next), 0);
    print_message("%d cuts in %lld files, %lld deals, %lld acknowledgements, %lld writes and syncs\n", cuts,
                  (long long)files, (long long)(deals + c->next), (long long)c->total, (long long)pc.ops);
    assert_true(c->total > cuts);
    end_run(c);
}

/* The same without syncs must be caught. */
static void
test_control_without_sync(void **state)
{
    (void)state;
    cut_run *c = start_run("powercut-off", 7);
    int caught = 0;
    for (int i = 0; i < 20 && !caught; i++) {
        work_until_cut(c, 0, 400 + (int64_t)(pc_random() % 1500));
        int lost = check_after_cut(c, 0);
        caught = lost != 0;
        if (caught) print_message("synchronous=OFF, cut %d: %d acknowledgements lost\n", i + 1, lost);
        acks_remove_files(c->path);
        pc_forget_all();
        c->next = 0;
    }
    assert_true(caught);
    end_run(c);
}

/* The disk fills up: a clean error, reads go on, and with space again the same
 * calls with the same keys finish the work. */
static void
test_full_disk(void **state)
{
    (void)state;
    cut_run *c = start_run("full", 3);
    int32_t r = life_store(&c->l, c->path, "powercut", 2);
    assert_int_equal(r, 0);
    for (int i = 0; i < 40; i++) {
        pc.full_after = (int64_t)(pc_random() % 400000);
        while ((r = life_deal(&c->l, c->next)) == 0) {}
        if (r != DECAI_E_FULL) print_message("%d %s\n", (int)r, decai_error_detail());
        assert_int_equal(r, DECAI_E_FULL);
        assert_non_null(strstr(decai_error_detail(), c->path));
        assert_int_equal(life_audit(&c->l), 0);
        pc.full_after = -1;
        assert_int_equal(life_deal(&c->l, c->next), 0);
        assert_int_equal(life_audit(&c->l), 0);
    }
    assert_int_equal(acks_compare_with_clean(&c->l, c->next), 0);
    end_run(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_cuts),
        cmocka_unit_test(test_control_without_sync),
        cmocka_unit_test(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
