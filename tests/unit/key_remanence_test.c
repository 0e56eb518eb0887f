/* key_remanence_test.c - after destroy no copy of a secret is left in the
 * writable pages of this process: heap, stacks, globals.
 *
 * The scan reads /proc/self/mem through /proc/self/maps and looks for the
 * 32 bytes as they are loaded and for libsecp256k1's scalar form (the same,
 * reversed). The test itself holds the secret only XORed with a mask, and
 * compares byte by byte, so that it does not find itself. Controls: the key
 * while it lives, and a copy that nobody wiped, must be found.
 */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "decai/key.h"
#include "key/key.h"
#include "wallet/wallet.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOWED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define SHADOWED 1
#endif
#endif

#define MASK 0x5a

static volatile uint8_t masked[32];     /* secret XOR MASK */

/* 1 if p holds the secret, forwards or reversed. */
static int
holds(const uint8_t *p)
{
    int forward = 1, backward = 1;
    for (size_t i = 0; i < 32 && (forward || backward); i++) {
        if (p[i] != (uint8_t)(masked[i] ^ MASK)) forward = 0;
        if (p[i] != (uint8_t)(masked[31 - i] ^ MASK)) backward = 0;
    }
    return forward || backward;
}

#define WINDOW (1u << 16)

/* Copies found in all writable mappings but the scan's own window. */
static size_t
scan(void)
{
    size_t found = 0;
    char line[512];
    uint8_t *window = mmap(NULL, WINDOW + 32, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int mem = open("/proc/self/mem", O_RDONLY);
    FILE *maps = fopen("/proc/self/maps", "r");

    assert_true(window != MAP_FAILED && mem >= 0 && maps);
    while (fgets(line, sizeof(line), maps)) {
        unsigned long from, to;
        char mode[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[1] != 'w') continue;
        if ((uintptr_t)window >= from && (uintptr_t)window < to) {
            /* the window may have been merged into a neighbour: look around it */
            if (from == (uintptr_t)window && to - from <= WINDOW + 8192) continue;
        }
        for (unsigned long at = from; at < to; at += WINDOW - 31) {
            if (at <= (uintptr_t)window + WINDOW + 32 && at + WINDOW > (uintptr_t)window) continue;
            ssize_t got = pread(mem, window, WINDOW, (off_t)at);
            for (ssize_t i = 0; i + 32 <= got; i++)
                if (holds(window + i)) {
                    found++;
                    print_message("# a copy at %lx in %s", at + (unsigned long)i, line);
                }
        }
    }
    fclose(maps);
    close(mem);
    memset(window, 0, WINDOW + 32);
    munmap(window, WINDOW + 32);
    return found;
}

static void
choose(void)
{
    uint64_t v = 88172645463325252ull;
    for (size_t i = 0; i < 32; i++) {
        v ^= v << 13, v ^= v >> 7, v ^= v << 17;
        masked[i] = (uint8_t)(v >> 32);
    }
    masked[0] &= 0x7f;                  /* ^ MASK keeps the top byte below 0xff */
}

/* The secret in a page of its own, given to decai_key_load, then wiped. */
static decai_key *
load(decai_context *ctx)
{
    decai_key *key = NULL;
    volatile uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < 32; i++) page[i] = masked[i] ^ MASK;
    assert_int_equal(decai_key_load(&key, ctx, (const uint8_t *)page, 32, NULL), 0);
    for (size_t i = 0; i < 32; i++) page[i] = 0;
    munmap((void *)page, 4096);
    return key;
}

static void
use(decai_context *ctx, decai_key *key)
{
    uint8_t sig[65], digest[32] = {1}, root[32] = {2};
    decai_options *o = NULL;
    decai_wallet *w = NULL;
    decai_intent *intent = NULL;
    decai_permit *permit = NULL;
    char text[4096];
    size_t len = 0;

    assert_int_equal(decai__key_sign(key, sig, digest), 0);
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "wallet.chain_id", 1), 0);
    assert_int_equal(decai_options_set_str(o, "wallet.asset", "credit"), 0);
    assert_int_equal(decai_options_set_str(o, "wallet.price_max", "10"), 0);
    assert_int_equal(decai_options_set_str(o, "wallet.total_max", "10"), 0);
    assert_int_equal(decai_wallet_create(&w, key, o), 0);
    assert_int_equal(decai_order_encode(ctx, text, sizeof(text), &len, root, 32, root, 32, "5", "credit", 2,
        (uint64_t)decai__clock_wall_ms(ctx) + 1000, root, 32, 1), 0);
    assert_int_equal(decai_intent_parse(&intent, w, DECAI_INTENT_ORDER, (const uint8_t *)text, len), 0);
    assert_int_equal(decai_permit_create(&permit, w, intent), 0);
    assert_int_equal(decai_wallet_sign(w, sig, 65, intent, permit), 0);
    decai_destroy(permit);
    decai_destroy(intent);
    decai_destroy(w);
    decai_destroy(o);
}

static void
test_remanence(void **state)
{
    (void)state;
#ifdef SHADOWED
    print_message("# shadow memory is terabytes: the plain builds scan\n");
    skip();
#endif
    decai_context *ctx = NULL;
    choose();
    assert_int_equal(decai_context_create(&ctx, NULL), 0);
    decai_key *key = load(ctx);
    assert_int_equal(scan(), 1);        /* control: its page, and nothing else */
    use(ctx, key);
    assert_int_equal(scan(), 1);        /* signing leaves nothing behind */
    decai_destroy(key);
    assert_int_equal(scan(), 0);

    uint8_t *left = malloc(64);         /* control: a copy that nobody wiped */
    for (size_t i = 0; i < 32; i++) ((volatile uint8_t *)left)[i] = masked[i] ^ MASK;
    volatile uint8_t kept = left[0];    /* keep the stores */
    (void)kept;
    free(malloc(1));
    assert_int_equal(scan(), 1);
    for (size_t i = 0; i < 32; i++) ((volatile uint8_t *)left)[i] = masked[31 - i] ^ MASK;
    assert_int_equal(scan(), 1);        /* the reversed form too */
    decai__wipe(left, 64);
    assert_int_equal(scan(), 0);
    free(left);
    decai_destroy(ctx);
}

/* The same key made by the random seam: same promise. */
static int32_t
fill(void *user, uint8_t *out, size_t len)
{
    (void)user;
    for (size_t i = 0; i < len; i++) out[i] = masked[i % 32] ^ MASK;
    return 0;
}

static void
test_created(void **state)
{
    (void)state;
#ifdef SHADOWED
    skip();
#endif
    decai_context *ctx = NULL;
    decai_options *o = NULL;
    decai_key *key = NULL;
    choose();
    assert_int_equal(decai_options_create(&o, NULL), 0);
    assert_int_equal(decai_options_set_fn(o, "seam.random.fill", (decai_fn)fill, NULL), 0);
    assert_int_equal(decai_context_create(&ctx, o), 0);
    decai_destroy(o);
    assert_int_equal(decai_key_create(&key, ctx, NULL), 0);
    assert_int_equal(scan(), 1);
    decai_destroy(key);
    assert_int_equal(scan(), 0);
    decai_destroy(ctx);
}

/* The page is left out of core dumps and of forked children. */
static void
test_flags(void **state)
{
    (void)state;
    char line[512];
    bool locked = false, inside = false, dumped = true, forked = true;
    uint8_t *page = decai__page_create(&locked);
    FILE *smaps = fopen("/proc/self/smaps", "r");
    assert_non_null(page);
    if (!smaps) skip();
    while (fgets(line, sizeof(line), smaps)) {
        unsigned long from, to;
        char mode[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) == 3)
            inside = (uintptr_t)page >= from && (uintptr_t)page < to;
        else if (inside && !strncmp(line, "VmFlags:", 8)) {
            dumped = !strstr(line, " dd");
            forked = !strstr(line, " wf");
#ifndef SHADOWED                        /* sanitizers make mlock do nothing, and say it did */
            assert_true(!locked || strstr(line, " lo"));
#endif
        }
    }
    fclose(smaps);
    assert_false(dumped);
    assert_false(forked);
    decai__page_destroy(page);
    decai__page_destroy(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remanence),
        cmocka_unit_test(test_created),
        cmocka_unit_test(test_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
