/* market.c - orders and whole job lives a second, durable and in memory.
 *
 *   build/release/tests/bench/market [seconds per row] [file]
 *
 * Prints one JSON object. "durable" is a file with synchronous=FULL: every call
 * is a transaction of its own, so the disk's sync sets the pace; beside it
 * stands that disk's own pace, 4 KiB appended and fdatasync'ed, measured before
 * and after in this run. "memory" is the same calls without a file: what the
 * code itself costs. A job's life is 22 calls of market_life.h. */
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "market_life.h"

static double
seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
check(int32_t r, const char *what)
{
    if (r >= 0) return;
    fprintf(stderr, "%s: %s: %s\n", what, decai_error_name(r), decai_error_detail());
    exit(1);
}

static void
remove_files(const char *path)
{
    static const char *const tail[] = {"", "-wal", "-shm"};
    char name[600];
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, tail[i]);
        unlink(name);
    }
}

/* Syncs a second of the disk under `path`. */
static double
disk_syncs(const char *path, double limit)
{
    static const char block[4096];
    char name[600];
    long n = 0;
    snprintf(name, sizeof name, "%s-sync", path);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) return 0;
    double start = seconds();
    while (seconds() - start < limit && write(fd, block, sizeof block) == (ssize_t)sizeof block && fdatasync(fd) == 0) n++;
    double took = seconds() - start;
    close(fd);
    unlink(name);
    return (double)n / took;
}

static double
orders(const char *path, double limit)
{
    life l = {0};
    uint8_t id[32];
    char text[2048], key[64];
    int64_t n = 0;
    check(life_context(&l), "context");
    check(life_store(&l, path, NULL, 2), "store");
    check(decai_deposit_submit(l.market, "alice", LIFE_ASSET, "1000000000000000", "bench"), "deposit");
    double start = seconds();
    while (seconds() - start < limit) {
        int len = life_order_text(text, sizeof text, n, LIFE_EPOCH_MS + 60000);
        snprintf(key, sizeof key, "o%lld", (long long)n++);
        check(decai_order_submit(l.market, id, 32, text, (size_t)len, "alice", NULL, 0, key), "order");
    }
    double took = seconds() - start;
    life_close(&l);
    return (double)n / took;
}

static double
lives(const char *path, double limit, double *audit_ms)
{
    life l = {0};
    int64_t n = 0;
    check(life_context(&l), "context");
    check(life_store(&l, path, NULL, 2), "store");
    double start = seconds();
    while (seconds() - start < limit) check(life_deal(&l, 5 * n++), "deal");     /* the honest kind */
    double took = seconds() - start;
    start = seconds();
    check(life_audit(&l), "audit");
    *audit_ms = (seconds() - start) * 1e3 / (double)n;
    life_close(&l);
    return (double)n / took;
}

static void
load(char out[64])
{
    FILE *f = fopen("/proc/loadavg", "r");
    if (!f || !fgets(out, 64, f)) snprintf(out, 64, "0");
    out[strcspn(out, " \n")] = 0;
    if (f) fclose(f);
}

int
main(int argc, char **argv)
{
    double limit = argc > 1 ? strtod(argv[1], NULL) : 2;
    const char *path = argc > 2 ? argv[2] : "decai-bench.db";
    char before[64], after[64];
    double audit[2];
    load(before);
    double sync1 = disk_syncs(path, limit / 2);
    remove_files(path);
    double durable_orders = orders(path, limit);
    remove_files(path);
    double durable_lives = lives(path, limit, &audit[0]);
    remove_files(path);
    double sync2 = disk_syncs(path, limit / 2);
    double memory_orders = orders(":memory:", limit), memory_lives = lives(":memory:", limit, &audit[1]);
    load(after);
    printf("{\"bench\":\"market\",\"disk_syncs_per_s\":[%.0f,%.0f],"
           "\"durable\":{\"orders_per_s\":%.0f,\"lives_per_s\":%.1f,\"calls_per_s\":%.0f,\"audit_ms_per_life\":%.3f},"
           "\"memory\":{\"orders_per_s\":%.0f,\"lives_per_s\":%.1f,\"calls_per_s\":%.0f,\"audit_ms_per_life\":%.3f},"
           "\"cores\":%ld,\"load_before\":%s,\"load_after\":%s}\n",
           sync1, sync2, durable_orders, durable_lives, durable_lives * 22, audit[0], memory_orders, memory_lives,
           memory_lives * 22, audit[1], sysconf(_SC_NPROCESSORS_ONLN), before, after);
    return 0;
}
