/* support_heap.h - a context whose memory is counted, through the allocator seam. */
#ifndef DECAI_TESTS_SUPPORT_HEAP_H
#define DECAI_TESTS_SUPPORT_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "decai.h"

typedef struct support_heap {
    size_t live, peak;               /* bytes; peak since support_heap_mark */
    uint64_t calls;                  /* allocations and growths */
} support_heap;

/* A context with no pool threads; *heap must outlive it. NULL on failure. */
decai_context *support_heap_context(support_heap *heap);
void support_heap_mark(support_heap *heap);

#endif
