/* x86_stream.c - the first tile of a chunk, AVX-512 and VNNI: up to eight tokens meet
 * each line as it comes out of its record (x86_tiles512.h). A few tokens at once, as
 * in decoding for several users or behind guesses, then cost little more than one:
 * memory is read while products are made, not before them. */
#include "compute/x86.h"

#if defined(__x86_64__)

#define X86_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#include "compute/x86_tiles512.h"

#define ARGS (x86_acc *acc, const source *from, const void *a, size_t blocks)
#define TILES(name, keep_to_tile) \
    X86_TARGET static void name##_2 ARGS { keep_to_tile(false, 2); } \
    X86_TARGET static void name##_4 ARGS { keep_to_tile(false, 4); } \
    X86_TARGET static void name##_6 ARGS { keep_to_tile(false, 6); } \
    X86_TARGET static void name##_8 ARGS { keep_to_tile(false, 8); } \
    X86_TARGET static void name##_keep ARGS { keep_to_tile(true, 8); }

#define Q4_0(keep, n)   tile32(DECAI__Q4_0, keep, n, false, acc, from, a, blocks)
#define Q4_1(keep, n)   tile32(DECAI__Q4_1, keep, n, true, acc, from, a, blocks)
#define Q5_0(keep, n)   tile32(DECAI__Q5_0, keep, n, false, acc, from, a, blocks)
#define Q5_1(keep, n)   tile32(DECAI__Q5_1, keep, n, true, acc, from, a, blocks)
#define Q8_0(keep, n)   tile32(DECAI__Q8_0, keep, n, false, acc, from, a, blocks)
#define IQ4_NL(keep, n) tile32(DECAI__IQ4_NL, keep, n, false, acc, from, a, blocks)
#define MXFP4(keep, n)  tile32(DECAI__MXFP4, keep, n, false, acc, from, a, blocks)

/* Elements that share a scale, zero, mins, two levels, period: as in x86_avx512.c. */
#define Q2_K(keep, n)   tile256(DECAI__Q2_K, keep, n, 16, false, true, false, 8, acc, from, a, blocks)
#define Q3_K(keep, n)   tile256(DECAI__Q3_K, keep, n, 16, true, false, false, 8, acc, from, a, blocks)
#define Q4_K(keep, n)   tile256(DECAI__Q4_K, keep, n, 32, false, true, false, 8, acc, from, a, blocks)
#define Q5_K(keep, n)   tile256(DECAI__Q5_K, keep, n, 32, false, true, false, 8, acc, from, a, blocks)
#define Q6_K(keep, n)   tile256(DECAI__Q6_K, keep, n, 16, true, false, false, 8, acc, from, a, blocks)
#define IQ4_XS(keep, n) tile256(DECAI__IQ4_XS, keep, n, 32, true, false, false, 8, acc, from, a, blocks)

TILES(q4_0, Q4_0)
TILES(q4_1, Q4_1)
TILES(q5_0, Q5_0)
TILES(q5_1, Q5_1)
TILES(q8_0, Q8_0)
TILES(iq4_nl, IQ4_NL)
TILES(mxfp4, MXFP4)
TILES(q2_k, Q2_K)
TILES(q3_k, Q3_K)
TILES(q4_k, Q4_K)
TILES(q5_k, Q5_K)
TILES(q6_k, Q6_K)
TILES(iq4_xs, IQ4_XS)

typedef void (*tile) ARGS;
#define ROW(name) { name##_2, name##_4, name##_6, name##_8, name##_keep }

static const tile *
tiles_of(int32_t type)
{
    static const tile TABLE[][5] = {
        ROW(q4_0), ROW(q4_1), ROW(q5_0), ROW(q5_1), ROW(q8_0), ROW(iq4_nl), ROW(mxfp4),
        ROW(q2_k), ROW(q3_k), ROW(q4_k), ROW(q5_k), ROW(q6_k), ROW(iq4_xs),
    };
    switch (type) {
    case DECAI__Q4_0: return TABLE[0];
    case DECAI__Q4_1: return TABLE[1];
    case DECAI__Q5_0: return TABLE[2];
    case DECAI__Q5_1: return TABLE[3];
    case DECAI__Q8_0: return TABLE[4];
    case DECAI__IQ4_NL: return TABLE[5];
    case DECAI__MXFP4: return TABLE[6];
    case DECAI__Q2_K: return TABLE[7];
    case DECAI__Q3_K: return TABLE[8];
    case DECAI__Q4_K: return TABLE[9];
    case DECAI__Q5_K: return TABLE[10];
    case DECAI__Q6_K: return TABLE[11];
    default: return TABLE[12];
    }
}

void
decai__x86_stream_avx512(const x86_form *f, x86_acc *acc, x86_panel *panel, const uint8_t *records, const void *act, size_t blocks,
    size_t tokens, bool keep)
{
    const source from = { panel, records, f->record };
    tiles_of(f->type)[keep ? 4 : (tokens - 1) / 2](acc, &from, act, blocks);
}

#endif
