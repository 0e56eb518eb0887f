/* avx2.c - native inner loops for x86-64 with AVX2 and FMA (being written: the
 * scalar ones stand in). */
#include "compute/backend.h"
#if defined(__x86_64__)
const decai__kernels decai__kernels_avx2 = { .name = "AVX2" };
#endif
