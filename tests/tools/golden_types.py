#!/usr/bin/env python3
"""What blocks of every quantised type are as floats, by the package gguf (with
numpy): the format's own reference. One line a case: type number, the block's
bytes, its floats' bytes (little-endian), both in hex. Run from the root:

    python3 tests/tools/golden_types.py >tests/golden/types.txt

With arguments SEED and COUNT: that many random blocks a type instead, for
tests/python/test_types.py.
"""
import random
import sys

import numpy as np
from gguf import GGMLQuantizationType, quants

# Where the f16 scales stand in a block, to make them ordinary numbers half of the time.
SCALES = {"Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,), "Q2_K": (80, 82), "Q3_K": (108,),
          "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "IQ4_NL": (0,), "IQ4_XS": (0,), "MXFP4": ()}
FLOATS = ("F16", "BF16")


def block(rng, name, size, plain):
    raw = bytearray(rng.getrandbits(8) for _ in range(size))
    for at in SCALES.get(name, ()) if plain else ():
        raw[at:at + 2] = np.float16(rng.uniform(-2, 2)).tobytes()
    return bytes(raw)


def case(name, raw):
    kind = GGMLQuantizationType[name]
    data = np.frombuffer(raw, np.uint8)
    with np.errstate(all="ignore"):
        if name == "F16":
            values = data.view(np.float16).astype(np.float32)
        elif name == "BF16":
            values = (data.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            values = quants.dequantize(data, kind)
    print(int(kind), raw.hex(), values.astype(np.float32).tobytes().hex())


def main(seed, count):
    rng = random.Random(seed)
    for name in (*FLOATS, *SCALES):
        size = 64 if name in FLOATS else quants.GGML_QUANT_SIZES[GGMLQuantizationType[name]][1]
        for i in range(count):
            case(name, block(rng, name, size, i % 2 == 0))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 2 else 20261122, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
