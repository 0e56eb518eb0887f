#!/usr/bin/env python3
"""Normalization forms by Python's Unicode database, for tests/unit/tok_norm_test.c.
With the package unicodedata2 (16.0.0) from PyPI on the path:
    python3 tests/tools/golden_norm.py > tests/golden/norm.txt

First, for each form and each tail, the SHA-256 of the forms of every code point (but of planes without any)
with that tail behind it, each with a newline. Then texts, hexadecimal UTF-8, each
with its four forms.
"""
import hashlib
import random

import unicodedata2 as ucd

FORMS = ("NFD", "NFC", "NFKD", "NFKC")
TAILS = ("", "\u0301", "\u0323\u0301\u0327", "\u1161\u11a8")


def texts(count):
    rng = random.Random(16)
    assigned = [c for c in range(0x110000) if ucd.category(chr(c)) not in ("Cn", "Cs", "Co")]
    marks = [c for c in assigned if ucd.combining(chr(c))]
    moves = [c for c in assigned if ucd.normalize("NFKD", chr(c)) != chr(c)]
    jamo = [*range(0x1100, 0x1113), *range(0x1161, 0x1176), *range(0x11a8, 0x11c3), *range(0xac00, 0xac40)]
    for _ in range(count):
        out = ""
        for _ in range(rng.randint(1, 12)):
            table = rng.choice((assigned, marks, marks, moves, jamo, range(0x41, 0x5b)))
            out += "".join(chr(rng.choice(table)) for _ in range(rng.choice((1, 1, 2, 3, 18))))
        yield out


def main():
    print("# Unicode", ucd.unidata_version)
    for form in FORMS:
        for tail in TAILS:
            k = hashlib.sha256()
            for c in range(0x110000):
                if not 0xd800 <= c < 0xe000 and not 0x34000 <= c < 0xe0000:
                    k.update(ucd.normalize(form, chr(c) + tail).encode() + b"\n")
            print(form, tail.encode().hex() or "-", k.hexdigest())
    for text in texts(200):
        print(" ".join(x.encode().hex() for x in (text, *(ucd.normalize(f, text) for f in FORMS))))


main()
