#!/usr/bin/env python3
"""Write tests/golden/u256.txt: what 256-bit arithmetic must give, by Python's
integers. One line a case: operation, operands, expected result ("!" when it
does not fit, or divides by zero). Run from the root:

    python3 tests/tools/golden_u256.py >tests/golden/u256.txt
"""
import random

M = 1 << 256
random.seed(20260101)
EDGES = [0, 1, 2, 9, 10, (1 << 64) - 1, 1 << 64, (1 << 64) + 1, (1 << 128) - 1, 1 << 128, (1 << 192) + 7,
         (1 << 255) - 1, 1 << 255, M - 2, M - 1, 10**18, 10**77]


def pick():
    kind = random.random()
    if kind < 0.3:
        return random.choice(EDGES)
    return random.getrandbits(random.choice([1, 8, 32, 63, 64, 65, 127, 128, 200, 255, 256]))


def fit(v):
    return str(v) if 0 <= v < M else "!"


def case(a, b, c):
    print("add", a, b, fit(a + b))
    print("sub", a, b, fit(a - b))
    print("mul", a, b, fit(a * b))
    print("wide", a, b, a * b >> 256, a * b % M)
    print("cmp", a, b, (a > b) - (a < b))
    print("div", a, b, *((a // b, a % b) if b else "!!"))
    w = b % (1 << 64)
    print("mul64", a, w, fit(a * w))
    print("div64", a, w, *((a // w, a % w) if w else "!!"))
    if c and a * b // c < M:
        print("muldiv", a, b, c, a * b // c, a * b % c)
    else:
        print("muldiv", a, b, c, "!", "!")


for a in EDGES:
    for b in random.sample(EDGES, 6):
        case(a, b, random.choice(EDGES))
for _ in range(100):
    case(pick(), pick(), pick())
