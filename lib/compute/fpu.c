/* fpu.c - the floating-point mode of the contract (DESIGN §4.8).
 *
 * The caller may have set any rounding direction, flush-to-zero, or unmasked
 * exceptions, in its own thread or before the pool's threads were made (new
 * threads inherit). So every computing door and every slice of work on a pool
 * thread brackets itself: nearest-even, subnormals kept, exceptions masked.
 * The flags raised in between are ours and are dropped on leaving. */
#include "compute/compute.h"

#if defined(__x86_64__)
#include <xmmintrin.h>

#define MXCSR_CONTRACT 0x1f80u       /* all masked, nearest, no FTZ, no DAZ (Intel SDM vol. 1, 10.2.3) */

void
decai__fpu_enter(decai__fpu *f)
{
    f->saved[0] = _mm_getcsr();
    _mm_setcsr(MXCSR_CONTRACT);
}

void
decai__fpu_leave(const decai__fpu *f)
{
    _mm_setcsr((unsigned)f->saved[0]);
}

#elif defined(__aarch64__)

void
decai__fpu_enter(decai__fpu *f)
{
    __asm__ volatile("mrs %0, fpcr" : "=r"(f->saved[0]));
    /* FPCR 0: nearest, no flush, no traps, IEEE half (Arm ARM, FPCR). */
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
}

void
decai__fpu_leave(const decai__fpu *f)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(f->saved[0]));
}

#else
#include <fenv.h>

/* Elsewhere only the direction can be set portably; the known-answer test
 * refuses a machine whose default flushes. */
void
decai__fpu_enter(decai__fpu *f)
{
    f->saved[0] = (uint64_t)fegetround();
    fesetround(FE_TONEAREST);
}

void
decai__fpu_leave(const decai__fpu *f)
{
    fesetround((int)f->saved[0]);
}

#endif
