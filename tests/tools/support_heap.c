/* support_heap.c - see support_heap.h. Each block carries its size before it:
 * the library may not know the old size. */
#include "support_heap.h"

#include <stdlib.h>
#include <string.h>

#define HEAD 16

static void *heap_realloc(void *user, void *ptr, size_t old_size, size_t size)
{
    support_heap *h = user;
    uint8_t *base = ptr ? (uint8_t *)ptr - HEAD : NULL;
    size_t before = 0;
    (void)old_size;
    if (base) memcpy(&before, base, sizeof before);
    if (!size) {
        h->live -= before;
        free(base);
        return NULL;
    }
    uint8_t *p = realloc(base, size + HEAD);
    if (!p) return NULL;
    memcpy(p, &size, sizeof size);
    h->live += size - before;
    h->calls++;
    if (h->live > h->peak) h->peak = h->live;
    return p + HEAD;
}

decai_context *support_heap_context(support_heap *heap)
{
    decai_options *o = NULL;
    decai_context *ctx = NULL;
    memset(heap, 0, sizeof *heap);
    if (!decai_options_create(&o, NULL) && !decai_options_set_fn(o, "seam.memory.realloc", (decai_fn)heap_realloc, heap))
        decai_context_create(&ctx, o);
    decai_destroy(o);
    return ctx;
}

void support_heap_mark(support_heap *heap)
{
    heap->peak = heap->live;
}
