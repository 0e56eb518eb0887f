/* pages.c - memory for one secret.
 *
 * A secret key gets a mapping of its own, so that these hold for exactly its
 * bytes and nothing else:
 *
 *   MADV_DONTDUMP     no core dump has it
 *   MADV_WIPEONFORK   a forked child reads zeros
 *   mlock             it is never written to swap; the process's limit may
 *                     refuse, which is reported (decai_key_get), not an error
 *
 * The page is wiped before it is given back: munmap alone leaves the bytes to
 * the kernel's discretion.
 */
#define _DEFAULT_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "key/key.h"

#define STACK_WIPE_BYTES 32768u /* deepest libsecp256k1 call measured: below 8 KiB */

static size_t
page_size(void)
{
    long size = sysconf(_SC_PAGESIZE);
    return size > 0 ? (size_t)size : 4096u;
}

uint8_t *
decai__page_create(bool *locked)
{
    size_t size = page_size();
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return NULL;
#ifdef MADV_DONTDUMP
    (void)madvise(page, size, MADV_DONTDUMP);
#endif
#ifdef MADV_WIPEONFORK
    (void)madvise(page, size, MADV_WIPEONFORK);
#endif
    *locked = mlock(page, size) == 0;
    return page;
}

void
decai__page_destroy(uint8_t *page)
{
    if (!page) return;
    size_t size = page_size();
    decai__wipe(page, size);
    (void)munmap(page, size);           /* unlocks too */
}

__attribute__((noinline)) void
decai__stack_wipe(void)
{
    uint8_t below[STACK_WIPE_BYTES];
    decai__wipe(below, sizeof(below));
}
