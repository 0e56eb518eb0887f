#!/usr/bin/env python3
"""Golden receipt: the payload of tests/unit/proof_receipt_test.c, encoded and
hashed by a second implementation (RFC 8949 4.2.1 and Keccak-256 in plain Python).
Writes tests/golden/receipt.txt: payload in hex, then the receipt id; then the same
with every step of the sampler on."""
import os
import sys


def keccak256(data):
    """FIPS 202's permutation with the original pad byte 0x01."""
    rc, r = [], 1
    for _ in range(24):
        word = 0
        for j in range(7):
            if r & 1:
                word |= 1 << ((1 << j) - 1)
            r = (r << 1) ^ (0x171 if r >> 7 else 0)
        rc.append(word)
    mask = (1 << 64) - 1
    rol = lambda v, n: ((v << n) | (v >> (64 - n))) & mask if n else v
    a = [[0] * 5 for _ in range(5)]
    padded = bytearray(data) + b"\x01"
    padded += b"\0" * (-len(padded) % 136)
    padded[-1] |= 0x80
    for at in range(0, len(padded), 136):
        for i in range(17):
            a[i % 5][i // 5] ^= int.from_bytes(padded[at + 8 * i:at + 8 * i + 8], "little")
        for k in rc:
            c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
            d = [c[x - 1] ^ rol(c[(x + 1) % 5], 1) for x in range(5)]
            a = [[a[x][y] ^ d[x] for y in range(5)] for x in range(5)]
            b = [[0] * 5 for _ in range(5)]
            x, y, cur, n = 1, 0, None, 0
            b[0][0] = a[0][0]
            for step in range(24):
                n = (step + 1) * (step + 2) // 2 % 64
                b[y][(2 * x + 3 * y) % 5] = rol(a[x][y], n)
                x, y = y, (2 * x + 3 * y) % 5
            a = [[b[x][y] ^ (~b[(x + 1) % 5][y] & b[(x + 2) % 5][y]) & mask for y in range(5)] for x in range(5)]
            a[0][0] ^= k
    return b"".join(a[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


def head(major, v):
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if v < 24:
            return bytes([major << 5 | v])
        if v < 1 << (8 * size):
            return bytes([major << 5 | code]) + v.to_bytes(size, "big")
    raise ValueError(v)


def cbor(v):
    if isinstance(v, int):
        return head(0, v) if v >= 0 else head(1, -1 - v)
    if isinstance(v, bytes):
        return head(2, len(v)) + v
    return head(5, len(v)) + b"".join(cbor(k) + cbor(v[k]) for k in sorted(v))


def numbers(domain, values):
    """Digest of a list: count, then each (a pair: both) as u64, negative ones as 2^64 + v."""
    flat = [len(values)] + [n for v in values for n in (v if isinstance(v, tuple) else (v,))]
    return keccak256(bytes([len(domain)]) + domain + b"".join((n % (1 << 64)).to_bytes(8, "big") for n in flat))


def steps():
    """Keys 5 to 22, units of lib/infer/SAMPLING.md."""
    made = {5: 3277, 6: 58982, 7: 1500, 8: 1100, 9: -500, 10: 250, 11: -1, 12: 1, 13: 800, 14: 1750, 15: 2, 16: 512,
            18: 32768, 19: 6554, 20: 327680, 21: 6554}
    made[17] = numbers(b"decai.sample.breakers.1", [2, 13, 198])
    made[22] = numbers(b"decai.sample.bias.1", [(3, 250), (17, -(1 << 31)), (50256, -100000)])
    return made


def main():
    payload = {k: bytes([0x40 + k]) * 32 for k in (3, 4, 5, 6, 7, 9, 12, 13, 20)}
    payload.update({k: 1000000007 * k for k in (10, 11, 14, 15, 16, 17, 18)})
    payload.update({0: 1, 1: 1, 8: {0: 700, 1: 40, 2: 60000, 3: 96, 4: 7}})
    data = cbor(payload)
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    payload[8] = {**payload[8], **steps()}
    text = "".join(d.hex() + "\n" + keccak256(b"decai.receipt.v1\0" + d).hex() + "\n" for d in (data, cbor(payload)))
    sample = bytes([len(b"decai.tokens.v1")]) + b"decai.tokens.v1" + b"\x2a" * 32
    sample += b"".join(i.to_bytes(8, "big") for i in (3, 1, 2, 3))
    print("decai.tokens.v1 sample:", keccak256(sample).hex())
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "receipt.txt")
    with open(path, "w") as f:
        f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
