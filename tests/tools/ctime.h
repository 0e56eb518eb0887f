/* ctime.h - constant time, checked with Valgrind: secrets are marked undefined,
 * and Memcheck reports every branch and every address that depends on them.
 *
 * A room adds tests/tools/ctime_<room>.c with `const ctime_case ctime_<room>[]`,
 * ended by a zeroed row. run() poisons its secrets, calls the library, releases
 * what is public, and returns 0. */
#ifndef DECAI_TESTS_CTIME_H
#define DECAI_TESTS_CTIME_H

#include <stddef.h>

typedef struct ctime_case {
    const char *name;
    int (*run)(void);
} ctime_case;

void ctime_poison(const void *secret, size_t len);    /* from here on it is secret */
void ctime_release(const void *data, size_t len);     /* from here on it is public */

#endif
