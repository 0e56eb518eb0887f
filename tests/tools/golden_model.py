#!/usr/bin/env python3
"""Recompute identities with nothing of the library: python3 tests/tools/golden_model.py FILE...

For each GGUF: model root, tensor roots and, where it has one, the tokenizer
hash, as lib/hash/DOMAINS.md defines them. tests/golden/identity-*.txt hold its
output for the files of model_identity_test; plain Python, so small ones only.
"""
import struct
import sys

MASK = (1 << 64) - 1


def rotations():
    x, y, table = 1, 0, [[0] * 5 for _ in range(5)]
    for t in range(24):
        table[x][y] = (t + 1) * (t + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % 5
    return table


def constants():
    """FIPS 202, algorithm 5: an LFSR gives one bit of a constant a step."""
    out, r = [], 1
    for _ in range(24):
        c = 0
        for j in range(7):
            if r & 1:
                c |= 1 << ((1 << j) - 1)
            r = (r << 1) ^ (0x171 if r & 0x80 else 0)
        out.append(c)
    return out


ROT, RC = rotations(), constants()


def rol(v, n):
    return ((v << n) | (v >> (64 - n))) & MASK if n else v


def permute(a):
    for c in RC:
        p = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
        d = [p[(x - 1) % 5] ^ rol(p[(x + 1) % 5], 1) for x in range(5)]
        b = [[0] * 5 for _ in range(5)]
        for x in range(5):
            for y in range(5):
                b[y][(2 * x + 3 * y) % 5] = rol(a[x][y] ^ d[x], ROT[x][y])
        for x in range(5):
            for y in range(5):
                a[x][y] = b[x][y] ^ (~b[(x + 1) % 5][y] & b[(x + 2) % 5][y] & MASK)
        a[0][0] ^= c
    return a


def keccak256(data):
    rate = 136
    data = bytearray(data) + b"\x01"
    data += b"\0" * (-len(data) % rate)
    data[-1] |= 0x80
    a = [[0] * 5 for _ in range(5)]
    for block in range(0, len(data), rate):
        for i in range(rate // 8):
            a[i % 5][i // 5] ^= int.from_bytes(data[block + 8 * i:block + 8 * i + 8], "little")
        permute(a)
    return b"".join(a[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


def u64(v):
    return struct.pack(">Q", v)


def domain(text):
    return bytes([len(text)]) + text.encode()


def blob(b):
    return u64(len(b)) + b


def tree(name, leaves):
    level = [keccak256(b"\0" + domain(name) + u64(i) + blob(leaf)) for i, leaf in enumerate(leaves)]
    count, height = len(level), 0
    while len(level) > 1:
        height += 1
        up = [keccak256(b"\1" + domain(name) + bytes([height]) + level[i] + level[i + 1])
              for i in range(0, len(level) - 1, 2)]
        level = up + level[len(up) * 2:]
    return keccak256(b"\2" + domain(name) + u64(count) + (level[0] if level else bytes(32)))


SCALAR = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
BLOCK = {0: (1, 4), 1: (1, 2), 30: (1, 2), 2: (32, 18), 8: (32, 34)}


class Reader:
    def __init__(self, data):
        self.data, self.pos = data, 0

    def take(self, n):
        self.pos += n
        return self.data[self.pos - n:self.pos]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize(form)))[0]

    def string(self):
        return self.take(self.number("Q"))

    def skip(self, kind):
        if kind == 8:
            self.string()
        elif kind == 9:
            item, count = self.number("I"), self.number("Q")
            for _ in range(count):
                self.skip(item)
        else:
            self.take(SCALAR[kind])


def strings(raw):
    r = Reader(raw[12:])
    return [r.string() for _ in range(struct.unpack("<Q", raw[4:12])[0])]


def read(path):
    r = Reader(open(path, "rb").read())
    r.take(8)
    tensor_count, metadata_count = r.number("Q"), r.number("Q")
    metadata, tensors = {}, {}
    for _ in range(metadata_count):
        key, kind = r.string(), r.number("I")
        start = r.pos
        r.skip(kind)
        metadata[key] = (kind, r.data[start:r.pos])
    align = struct.unpack("<I", metadata.get(b"general.alignment", (4, b"\x20\0\0\0"))[1])[0]
    for _ in range(tensor_count):
        name = r.string()
        dims = [r.number("Q") for _ in range(r.number("I"))]
        tensors[name] = (r.number("I"), dims, r.number("Q"))
    base = -(-r.pos // align) * align
    for name, (kind, dims, offset) in tensors.items():
        elements = 1
        for d in dims:
            elements *= d
        size = elements // BLOCK[kind][0] * BLOCK[kind][1]
        tensors[name] = (kind, dims, r.data[base + offset:base + offset + size])
    return metadata, tensors


def identity(metadata, tensors):
    entries, roots = [], {}
    for name in sorted(tensors):
        kind, dims, data = tensors[name]
        top = tree("decai.tensor.data.v1", [data[i:i + 1048576] for i in range(0, len(data), 1048576)])
        shape = u64(kind) + u64(len(dims)) + b"".join(u64(d) for d in dims)
        roots[name] = keccak256(domain("decai.tensor.v1") + shape + top)
        entries.append(u64(1) + blob(name) + shape + roots[name])
    for key in sorted(metadata):
        if key != b"general.alignment" and key not in (b"split.no", b"split.count", b"split.tensors.count"):
            entries.append(u64(2) + blob(key) + u64(metadata[key][0]) + blob(metadata[key][1]))
    return tree("decai.model.v1", entries), roots


def tokenizer(metadata):
    get = lambda key: metadata.get(b"tokenizer.ggml." + key.encode())
    if not get("tokens"):
        return None
    tokens, merges = strings(get("tokens")[1]), strings(get("merges")[1])
    kinds = struct.unpack("<%dI" % len(tokens), get("token_type")[1][12:]) if get("token_type") else [1] * len(tokens)
    pre = domain("decai.tokenizer.v1") + blob(b"gpt2") + blob(get("pre")[1][8:]) + u64(len(tokens))
    pre += b"".join(u64(k or 1) + blob(t) for k, t in zip(kinds, tokens))
    pre += u64(len(merges)) + b"".join(blob(m) for m in merges)
    for role in ("bos", "eos", "eot", "unknown", "seperator", "padding"):
        v = get(role + "_token_id")
        pre += u64(struct.unpack("<I", v[1])[0] + 1 if v else 0)
    for flag in ("bos", "eos"):
        v = get("add_%s_token" % flag)
        pre += u64(v[1][0] if v else 0)
    return keccak256(pre)


assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
if __name__ == "__main__":
    for path in sys.argv[1:]:
        metadata, tensors = read(path)
        root, roots = identity(metadata, tensors)
        print("model", root.hex())
        for name in sorted(roots):
            print("tensor", name.decode(), roots[name].hex())
        hashed = tokenizer(metadata)
        if hashed:
            print("tokenizer", hashed.hex())
