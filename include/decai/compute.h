/* decai/compute.h - the devices that can do the arithmetic, and the proof that
 * each of them does it right.
 *
 * Same model, same tokens, same seed give the same bits on every backend:
 * scalar C is the contract (lib/compute/CONTRACT.md), native SIMD and OpenCL are
 * equal to it or are refused. Backends are chosen by option: compute.backend,
 * compute.device, compute.threads, compute.fallback, compute.repack,
 * compute.isa.
 */
#ifndef DECAI_COMPUTE_H
#define DECAI_COMPUTE_H

#include "decai/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DECAI_CONTRACT_VERSION 1     /**< of the numeric contract; its numbers, as receipts name them, are 1 to 4 */
#define DECAI_COMPUTE_COLS_MAX 65536 /**< columns of a matrix: the integer sums fit 63 bits up to here */

/** Describe one device that the library can compute on. Index 0 is "scalar", 1
 *  is "native"; OpenCL devices follow in the ICD loader's order.
 *
 *  The text is a JSON object: "index", "backend" (scalar, native, opencl),
 *  "name"; for OpenCL also "opencl" (the device's number as compute.device takes
 *  it), "platform", "version", "driver", "units", "memory" (bytes) and
 *  "fit" (0: a capability is missing), "flavour" (the kernels it gets by default),
 *  "best_flavour" (what compute.flavour may name beside it) and "best_passed" (0:
 *  that one has not passed on real hardware, so it must be named). It asks the drivers every time, which
 *  loads them into this process.
 *
 *  Returns: 1 a device | 0 index is past the end | DECAI_E_INVALID |
 *           DECAI_E_SPACE (*len = bytes needed) | DECAI_E_NOMEM | DECAI_E_DEVICE
 *           (a driver does not answer)
 *  Out:  out      JSON text, not NUL-terminated                @len(cap) @nullable
 *        len      bytes written or needed; 0 past the end and on other errors
 *  In:   context
 *        index    0, 1, 2, ...
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_device_at(
    decai_context *context, uint8_t *out, size_t cap, size_t *len, size_t index);

/** Run the known-answer test on one device: every operation of the numeric
 *  contract on a small input, compared with scalar C bit for bit.
 *
 *  Returns: 0 all equal | DECAI_E_DEVICE (a driver failed, or wrong bits: the
 *           detail names device and operation) | DECAI_E_NOT_FOUND (no such
 *           index) | DECAI_E_INVALID | DECAI_E_NOMEM
 *  In:   context
 *        index    as decai_device_at
 *  @thread any  @since 0.1
 */
DECAI_API int32_t decai_device_verify(decai_context *context, size_t index);

#ifdef __cplusplus
}
#endif

#endif /* DECAI_COMPUTE_H */
