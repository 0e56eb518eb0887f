"""Make tests/golden/payout.json: payouts by another program than the library's.

Keccak, shares and tree are written here once more, from the definitions: FIPS
202's permutation with pad byte 0x01; largest remainder over Python's integers;
OpenZeppelin's StandardMerkleTree of (uint256, address, uint256). Standard
library only:  python3 tests/tools/payout_golden.py >tests/golden/payout.json
"""
import json
import random

MASK = (1 << 64) - 1


def rounds():
    r = 1
    for _ in range(24):
        c = 0
        for j in range(7):
            if r & 1:
                c ^= 1 << ((1 << j) - 1)
            r = (r << 1) ^ (0x171 if r & 0x80 else 0)
        yield c


RC = list(rounds())


def rol(v, n):
    return ((v << n) | (v >> (64 - n))) & MASK if n else v


def permute(a):
    for rc in RC:
        c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
        d = [c[(x - 1) % 5] ^ rol(c[(x + 1) % 5], 1) for x in range(5)]
        a = [a[i] ^ d[i % 5] for i in range(25)]
        b = [0] * 25
        x, y, t = 1, 0, 0
        b[0] = a[0]
        cur = a[1]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            i = x + 5 * y
            cur, b[i] = a[i], rol(cur, ((t + 1) * (t + 2) // 2) % 64)
        a = [b[i] ^ (~b[(i + 1) % 5 + i // 5 * 5] & b[(i + 2) % 5 + i // 5 * 5]) & MASK for i in range(25)]
        a[0] ^= rc
    return a


def keccak(data):
    rate = 136
    data = bytearray(data)
    pad = rate - len(data) % rate
    data += b"\x01" + b"\0" * (pad - 1)
    data[-1] |= 0x80
    a = [0] * 25
    for at in range(0, len(data), rate):
        for i in range(rate // 8):
            a[i] ^= int.from_bytes(data[at + 8 * i:at + 8 * i + 8], "little")
        a = permute(a)
    return b"".join(v.to_bytes(8, "little") for v in a)[:32]


assert keccak(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


def share(pot, units):
    total = sum(units)
    out = [pot * u // total for u in units]
    rest = sorted(range(len(units)), key=lambda i: (-(pot * units[i] % total), i))
    for i in rest[:pot - sum(out)]:
        out[i] += 1
    assert sum(out) == pot
    return out


def pair(a, b):
    return keccak(min(a, b) + max(a, b))


def tree(leaves):
    order = sorted(range(len(leaves)), key=lambda i: leaves[i])
    n = len(leaves)
    t = [b""] * (2 * n - 1)
    at = {}
    for k, i in enumerate(order):
        t[2 * n - 2 - k] = leaves[i]
        at[i] = 2 * n - 2 - k
    for i in range(n - 2, -1, -1):
        t[i] = pair(t[2 * i + 1], t[2 * i + 2])
    proofs = []
    for i in range(n):
        k, proof = at[i], []
        while k:
            proof.append(t[k + 1 if k % 2 else k - 1])
            k = (k - 1) // 2
        proofs.append(proof)
    return t[0], proofs


def payout(pot, rows):
    rows = sorted(rows)
    amounts = share(pot, [r[2] for r in rows])
    leaves = [keccak(keccak(i.to_bytes(32, "big") + bytes(12) + r[1] + amounts[i].to_bytes(32, "big")))
              for i, r in enumerate(rows)]
    root, proofs = tree(leaves)
    shuffled = rows[:]
    random.shuffle(shuffled)
    return {
        "pot": str(pot),
        "rows": [{"account": n, "address": "0x" + a.hex(), "units": str(u)} for n, a, u in shuffled],
        "root": "0x" + root.hex(),
        "claims": [{"account": r[0], "amount": str(amounts[i]), "proof": "0x" + b"".join(proofs[i]).hex()}
                   for i, r in enumerate(rows)],
    }


def main():
    random.seed(20260101)
    cases = []
    for n in (1, 2, 3, 4, 5, 7, 8, 13):
        rows = [("node-%d" % (i * 7 % 100), random.randbytes(20), random.randrange(1, 1000)) for i in range(n)]
        cases.append(payout(random.choice((0, 1, 10, 1000003, 10**24)), rows))
    top = 2**256 - 1
    cases.append(payout(top, [("a", bytes(20), 1), ("b", b"\xff" * 20, top - 1)]))
    cases.append(payout(10, [("c", b"\1" * 20, 1), ("B", b"\2" * 20, 1), ("a", b"\3" * 20, 1)]))
    cases.append(payout(5, [("zero", b"\4" * 20, 0), ("one", b"\5" * 20, 1)]))
    print(json.dumps(cases, indent=1))


main()
