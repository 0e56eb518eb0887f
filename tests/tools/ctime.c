/* ctime.c - runs one constant-time case under Valgrind: ctime NAME; --list.
 *
 * Two cases of its own are controls: `leaky` branches on a secret and must be
 * reported, `clean` works on it without branching and must not. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "ctime.h"

/* CTIME_ROOMS(row): row(key) row(...), given by ctime.sh. */
#define DECLARE(room) extern const ctime_case ctime_##room[];
#define LISTED(room) ctime_##room,
CTIME_ROOMS(DECLARE)

void ctime_poison(const void *secret, size_t len) { (void)VALGRIND_MAKE_MEM_UNDEFINED(secret, len); }
void ctime_release(const void *data, size_t len) { (void)VALGRIND_MAKE_MEM_DEFINED(data, len); }

static uint8_t secret[32] = { 1, 2, 3 };
static volatile int sink;

static int leaky(void)
{
    ctime_poison(secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++)
        if (secret[i] & 1) sink = 1;          /* the leak */
    return 0;
}

static int clean(void)
{
    uint8_t sum = 0;
    ctime_poison(secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++) sum = (uint8_t)(sum + secret[i]);
    ctime_release(&sum, sizeof sum);
    sink = sum;
    return sum == 6 ? 0 : 1;
}

static const ctime_case own[] = { { "control-leaky", leaky }, { "control-clean", clean }, { 0 } };

int main(int argc, char **argv)
{
    const ctime_case *const lists[] = { own, CTIME_ROOMS(LISTED) };

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (const ctime_case *c = lists[i]; c->name; c++) {
            if (argc == 2 && !strcmp(argv[1], "--list")) puts(c->name);
            if (argc == 2 && !strcmp(argv[1], c->name)) return RUNNING_ON_VALGRIND ? c->run() : 3;
        }
    return argc == 2 && !strcmp(argv[1], "--list") ? 0 : 2;
}
