/* ops.h - what the doors of ops share. Private to the room. */
#ifndef DECAI__OPS_H
#define DECAI__OPS_H

#include "compute/backend.h"

/* [at, at + count * each) lies in a buffer of this backend; *len its bytes. */
int32_t decai__op_place(const decai__compute *c, const char *op, const char *arg, decai__ref r, size_t count, size_t each,
    size_t align, size_t *len);
/* Alive, and n in 1..TOKENS_MAX. */
int32_t decai__op_ready(const decai__compute *c, const char *op, size_t n);
/* Resolve the pointers and run. */
int32_t decai__op_go(decai__compute *c, int id, decai__call *a);
/* The same for calls that share no output; the last may not be waited for either. */
int32_t decai__op_go_each(decai__compute *c, int id, decai__call *calls, size_t count);
/* 1/cap, divided in the contract's mode; cap in 2^-20..2^20. */
int32_t decai__op_cap_inverse(const char *op, float cap, float *inverse);

#endif /* DECAI__OPS_H */
