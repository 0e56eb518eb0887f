/* _types.cl - what a quantised type is made of, when a program is compiled for one
 * (TYPE: its GGUF number). lib/compute/cl_pack.c writes what these lines read.
 *
 *   RECORD  bytes of codes: 32 elements of 16 rows
 *   SCALES  bytes of scales for 16 rows: of 32 elements, or of 256 (TYPE_SUPER) */
#ifdef TYPE
#define TYPE_TABLE (TYPE == T_IQ4_NL || TYPE == T_IQ4_XS || TYPE == T_MXFP4)
#define TYPE_BY16 (TYPE == T_Q2_K || TYPE == T_Q3_K || TYPE == T_Q6_K)
#define TYPE_SUPER (TYPE_BY16 || TYPE == T_Q4_K || TYPE == T_Q5_K || TYPE == T_IQ4_XS)
#define TYPE_MIN (TYPE == T_Q4_1 || TYPE == T_Q5_1 || TYPE == T_Q2_K || TYPE == T_Q4_K || TYPE == T_Q5_K)

#if TYPE == T_Q2_K
#define RECORD 128
#elif TYPE == T_Q3_K
#define RECORD 192
#elif TYPE == T_Q5_0 || TYPE == T_Q5_1 || TYPE == T_Q5_K
#define RECORD 320
#elif TYPE == T_Q6_K
#define RECORD 384
#elif TYPE == T_Q8_0
#define RECORD 512
#else
#define RECORD 256
#endif

#if TYPE == T_Q8_0 || TYPE == T_IQ4_NL || TYPE == T_IQ4_XS
#define TYPE_ZERO 128
#elif TYPE == T_Q6_K
#define TYPE_ZERO 32
#elif TYPE == T_Q5_0
#define TYPE_ZERO 16
#elif TYPE == T_MXFP4
#define TYPE_ZERO 12
#elif TYPE == T_Q4_0
#define TYPE_ZERO 8
#elif TYPE == T_Q3_K
#define TYPE_ZERO 4
#else
#define TYPE_ZERO 0
#endif

/* D, then the second scale, then sub-scales and mins: int16 and int8 of 16 rows. */
#define AT_SC (TYPE_MIN ? 64 : 32)
#if TYPE_SUPER
#define SUBS (TYPE_BY16 ? 16 : 8)
#define AT_MN (AT_SC + SUBS * 16)
#define SCALES (TYPE_MIN ? AT_MN + SUBS * 16 : AT_MN)
#else
#define SCALES AT_SC
#endif

#if TYPE == T_MXFP4
#define TABLE 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12
#else
#define TABLE -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
#endif
#endif
