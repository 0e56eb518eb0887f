/* sort.c - heap sort. Model files choose the order of our input, so it must
 * cost O(n log n) at worst, and the C library's qsort may allocate behind the
 * allocator seam. */
#include <string.h>

#include "model/internal.h"

#define ITEM_MAX 160

static void
swap(uint8_t *a, uint8_t *b, size_t size)
{
    uint8_t t[ITEM_MAX];
    decai__assert(size <= ITEM_MAX);
    memcpy(t, a, size);
    memcpy(a, b, size);
    memcpy(b, t, size);
}

/* Restore the heap below `root`: each parent is the largest of its family. */
static void
sift(uint8_t *items, size_t root, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare(items + child * size, items + (child + 1) * size) < 0) child++;
        if (compare(items + root * size, items + child * size) >= 0) return;
        swap(items + root * size, items + child * size, size);
    }
}

void
decai__sort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    uint8_t *p = items;
    for (size_t i = count / 2; i-- > 0;) sift(p, i, count, size, compare);
    for (size_t n = count; n > 1; n--) {
        swap(p, p + (n - 1) * size, size);
        sift(p, 0, n - 1, size, compare);
    }
}

int
decai__compare_bytes(const void *a, size_t a_len, const void *b, size_t b_len)
{
    size_t len = DECAI__MIN(a_len, b_len);
    int order = len ? memcmp(a, b, len) : 0;
    return order ? order : (a_len > b_len) - (a_len < b_len);
}
