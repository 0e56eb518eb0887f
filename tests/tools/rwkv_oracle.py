#!/usr/bin/env python3
"""RWKV's tokenizer, as plainly as it can be written: the longest token at each
place. With a seed it makes tests/golden/rwkv.json, a vocabulary and texts with
their ids, for tests/python/test_tok.py:
    python3 tests/tools/rwkv_oracle.py 7 > tests/golden/rwkv.json
"""
import json
import random
import sys


def encode(tokens, data):
    """tokens: {bytes: id}."""
    longest, out, at = max(map(len, tokens)), [], 0
    while at < len(data):
        for n in range(min(longest, len(data) - at), 0, -1):
            if data[at:at + n] in tokens:
                out.append(tokens[data[at:at + n]])
                at += n
                break
        else:
            raise ValueError("no token for byte %d" % data[at])
    return out


def vocabulary(rng):
    """All bytes, then pieces that share beginnings; some are no UTF-8."""
    tokens = [bytes([b]) for b in range(256)]
    words = ["the", "there", " the", "theory", "\n\n", "\t\t", "\\", "it's", '"x"', "\u4f60", "\u4f60\u597d", "\u00e9", " caf\u00e9", "0x1F", "    "]
    pieces = {w.encode() for w in words}
    while len(pieces) < 120:
        pieces.add(rng.choice([bytes(rng.choice(b"ab") for _ in range(rng.randint(2, 9))), rng.randbytes(rng.randint(2, 5)),
                               rng.choice(words).encode()[:3] + rng.randbytes(1)]))
    return tokens + sorted(p for p in pieces if len(p) > 1)


def texts(rng, count):
    for _ in range(count):
        out = b""
        for _ in range(rng.randint(1, 20)):
            out += rng.choice([b"the", b"theor", b" there", b"\n\n\n", "\u4f60\u597d\u5417".encode(), b"it's \\ \"x\"", rng.randbytes(3),
                               bytes(rng.choice(b"ab") for _ in range(rng.randint(1, 30)))])
        yield out


def escaped(token):
    """As the converter to GGUF writes bytes: Python's own form of them, unquoted."""
    return repr(token)[2:-1]


def main(seed):
    rng = random.Random(seed)
    tokens = vocabulary(rng)
    table = {t: i + 1 for i, t in enumerate(tokens)}
    rows = [[t.hex(), encode(table, t)] for t in texts(rng, 200)]
    print(json.dumps({"tokens": [escaped(t) for t in tokens], "texts": rows}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
