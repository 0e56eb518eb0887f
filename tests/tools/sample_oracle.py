#!/usr/bin/env python3
"""The sampler a second time, from lib/infer/SAMPLING.md alone: exact fractions,
Python's integers and floats (f64), f32 by rounding. It sorts where the library
selects. With no argument it writes tests/golden/sample.txt, one case a line:

    n kind seed            logits: how many, how they are made, from what
    place alpha hseed first   history: place + 1 tokens below |alpha|, in turn but for a few if it is negative;
                              the answer's from `first` on
    the sampler's options in their units, lists as a:b,... or "-"
    mask                   0: none; else the seed of its words
    token mu               what comes out; token -1: none is allowed

    python3 tests/tools/sample_oracle.py
"""
import os
import struct
import sys
from fractions import Fraction
from functools import lru_cache

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from golden_receipt import keccak256   # noqa: E402

M64 = (1 << 64) - 1
BAN = -(1 << 31)
LARGEST = (2 - 2 ** -23) * 2.0 ** 127
OUT = float("-inf")

# name, value when off; the order of a line of the file
OPTIONS = [("temperature", 0), ("top_k", 0), ("top_p", 65536), ("seed", 0), ("min_p", 0), ("typical", 0), ("sigma", 0),
           ("repeat", 0), ("presence", 0), ("frequency", 0), ("penalty_last_n", 0), ("penalty_own", 0),
           ("dry_multiplier", 0), ("dry_base", 0), ("dry_allowed", 0), ("dry_last_n", 0),
           ("xtc_threshold", 0), ("xtc_probability", 0), ("tau", 0), ("eta", 0)]


# ---- arithmetic ---------------------------------------------------------------

def f32(x):
    """An f64 to the nearest f32; overflow gives an infinity."""
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return float("inf") if x > 0 else OUT


def f32_exact(q):
    """A fraction to the nearest f32, ties to even (no overflow here)."""
    if not q:
        return 0.0
    a = abs(q)
    e = a.numerator.bit_length() - a.denominator.bit_length()
    if Fraction(2) ** e > a:
        e -= 1
    unit = Fraction(2) ** max(e - 23, -149)
    return float((1 if q > 0 else -1) * rne(a / unit) * unit)


def rne(q):
    """To the nearest integer, ties to even, of what is not negative."""
    low = q.numerator // q.denominator
    rest = q - low
    return low + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and low & 1))


def fma(a, b, c):
    return f32_exact(Fraction(a) * Fraction(b) + Fraction(c))


@lru_cache(maxsize=None)
def weight(x):
    """2^30 exp(x), CONTRACT.md 9."""
    if x < -87:
        return 0
    h = float.fromhex
    t = fma(x, h("0x1.715476p0"), h("0x1.8p23"))
    n = t - h("0x1.8p23")
    r = fma(n, -h("0x1.62e4p-1"), x)
    r = fma(n, -h("0x1.7f7d1cp-20"), r)
    p = h("0x1.a01a02p-13")
    for c in ("0x1.6c16c2p-10", "0x1.111112p-7", "0x1.555556p-5", "0x1.555556p-3", "0x1p-1", "0x1p0", "0x1p0"):
        p = fma(p, r, h(c))
    return rne(Fraction(p) * Fraction(2) ** (int(n) + 30))


def log2_fixed(x):
    e = x.bit_length() - 1
    y = x << 31 - e if e <= 31 else x >> e - 31
    log = e
    for _ in range(16):
        y = y * y >> 31
        log *= 2
        if y >> 32:
            y >>= 1
            log += 1
    return log


def random_at(domain, seed, position):
    name = domain.encode()
    return int.from_bytes(keccak256(bytes([len(name)]) + name + seed.to_bytes(8, "big") + position.to_bytes(8, "big"))[:8], "big")


def share(total, p):
    return total * p // 65536


def bounded(x):
    return max(-LARGEST, min(LARGEST, x))


# ---- steps 1 to 4 ----------------------------------------------------------------

def part(history, last_n):
    return history if last_n < 0 else history[len(history) - min(last_n, len(history)):]


def thousandths(v):
    return f32(v / 1000)


def penalties(l, s, history, first):
    tokens = history[first:] if s["penalty_own"] else history
    counts = {}
    for t in part(tokens, s["penalty_last_n"]):
        counts[t] = counts.get(t, 0) + 1
    r, p, f = thousandths(s["repeat"] or 1000), thousandths(s["presence"]), thousandths(s["frequency"])
    for t, c in counts.items():
        if l[t] == OUT:
            continue
        l[t] = bounded(f32(l[t] / r) if l[t] > 0 else f32(l[t] * r))
        l[t] = bounded(f32(l[t] - f32(f32(c * f) + p)))


def dry(l, s, history, breakers):
    t = part(history, s["dry_last_n"])
    longest = {}
    for j in range(len(t) - 1):
        m = 0
        while m <= j and t[j - m] == t[-1 - m] and t[j - m] not in breakers:
            m += 1
        if t[j + 1] not in breakers:
            longest[t[j + 1]] = max(longest.get(t[j + 1], 0), m)
    for token, m in longest.items():
        if m < max(1, s["dry_allowed"]) or l[token] == OUT:
            continue
        a, base = 1.0, thousandths(s["dry_base"])
        for _ in range(m - s["dry_allowed"]):
            if a >= 2.0 ** 60:
                break
            a = f32(a * base)
        l[token] = bounded(f32(l[token] - f32(thousandths(s["dry_multiplier"]) * a)))


# ---- steps 6 to 13 ------------------------------------------------------------------

def top_n_sigma(l, k):
    most = max(l)
    d = {}
    for i, x in enumerate(l):
        if x != OUT:
            u = f32(most - x)
            d[i] = 262144 if u >= 256 else rne(Fraction(u) * 1024)
    count = len(d)
    mean = float(sum(d.values())) / count
    v = max(0.0, float(sum(x * x for x in d.values())) / count - mean * mean)
    for i, x in d.items():
        if float(x * x) * 1e6 > v * float(k * k):
            l[i] = OUT


def prefix(order, w, need):
    kept, total = [], 0
    for i in order:
        if kept and total >= need:
            break
        kept.append(i)
        total += w[i]
    return kept


def xtc(kept, w, s, position):
    if random_at("decai.sample.xtc.1", s["seed"], position) >> 48 >= s["xtc_probability"]:
        return kept
    bound = share(sum(w[i] for i in kept), s["xtc_threshold"])
    top = [i for i in kept if w[i] >= bound]        # kept is in rank
    return [i for i in kept if i not in top[:-1]]


def cuts(order, w, x, s, position):
    kept = order[:s["top_k"]] if s["top_k"] else order
    kept = [i for i in kept if w[i]]
    total = sum(w[i] for i in kept)
    if s["typical"] not in (0, 65536):
        delta = {i: rne(Fraction(-x[i]) * 4096) for i in kept}
        mean = sum(w[i] * delta[i] for i in kept) // total
        by = sorted(kept, key=lambda i: (abs(delta[i] - mean), i))
        chosen = set(prefix(by, w, share(total, s["typical"])))
        kept = [i for i in kept if i in chosen]
    kept = prefix(kept, w, share(sum(w[i] for i in kept), s["top_p"])) if s["top_p"] < 65536 else kept
    most = max(w[i] for i in kept)
    kept = [i for i in kept if w[i] * 65536 >= most * s["min_p"]]
    return xtc(kept, w, s, position) if s["xtc_probability"] else kept


def draw(kept, w, s, position):
    pick = random_at("decai.sample.1", s["seed"], position) * sum(w[i] for i in kept) >> 64
    for i in sorted(kept):
        if pick < w[i]:
            return i
        pick -= w[i]


def sample(logits, s, position, history=(), first=0, bias=(), breakers=(), mask=None, mu=0):
    """(token, mu'); token -1: none is allowed."""
    l = list(logits)
    for token, milli in bias:
        l[token] = OUT if milli == BAN else bounded(f32(l[token] + thousandths(milli)))
    for i in range(len(l)):
        if mask is not None and not mask[i // 64] >> i % 64 & 1:
            l[i] = OUT
    if max(l) == OUT:
        return -1, mu
    penalties(l, s, list(history), first)
    if s["dry_multiplier"]:
        dry(l, s, list(history), set(breakers))
    order = sorted((i for i, x in enumerate(l) if x != OUT), key=lambda i: (-l[i], i))
    if not s["temperature"]:
        return order[0], mu
    if s["sigma"]:
        top_n_sigma(l, s["sigma"])
        order = [i for i in order if l[i] != OUT]
    inverse = f32(1000 / s["temperature"])
    x = {i: f32(f32(l[i] - l[order[0]]) * inverse) for i in order}
    w = {i: weight(x[i]) for i in order}
    if not s["tau"]:
        return draw(cuts(order, w, x, s, position), w, s, position), mu
    total = sum(w.values())
    kept = [i for i in order if i == order[0] or (w[i] and log2_fixed(total) - log2_fixed(w[i]) <= mu)]
    token = draw(kept, w, s, position)
    surprise = log2_fixed(sum(w[i] for i in kept)) - log2_fixed(w[token])
    return token, min(max(mu - ((surprise - s["tau"]) * s["eta"] >> 16), 0), 1 << 22)


# ---- cases ---------------------------------------------------------------------------

class Random:
    """splitmix64, as the tests' support_rand."""

    def __init__(self, seed):
        self.state = seed

    def __call__(self, below=1 << 64):
        self.state = self.state + 0x9E3779B97F4A7C15 & M64
        z = self.state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & M64
        z = (z ^ z >> 27) * 0x94D049BB133111EB & M64
        return (z ^ z >> 31) % below


def make_logits(n, kind, seed):
    """0: quarters, so that many are equal; 1: 24 random bits over -16..16; 2: the same, flat; 3: with extremes."""
    r = Random(seed)
    if kind == 0:
        return [(r(64) - 32) / 4 for _ in range(n)]
    scale = {1: 2.0 ** -19, 2: 2.0 ** -23, 3: 2.0 ** -17}[kind]
    l = [(r(1 << 24) - (1 << 23)) * scale for _ in range(n)]
    if kind == 3:
        for v in (3e38, -3e38, -0.0, 0.0):
            l[r(n)] = f32(v)
    return l


def make_history(place, alpha, seed):
    r = Random(seed)
    if alpha > 0:
        return [r(alpha) for _ in range(place + 1)]
    return [r(-alpha) if r(16) == 0 else j % -alpha for j in range(place + 1)]


def make_mask(n, seed):
    r = Random(seed)
    return [r() & r() for _ in range((n + 63) // 64)] if seed else None


def texts(pairs):
    return ",".join(":".join(map(str, p)) if isinstance(p, tuple) else str(p) for p in pairs) or "-"


def numbers(text):
    return [] if text == "-" else [tuple(map(int, p.split(":"))) if ":" in p else int(p) for p in text.split(",")]


def write(f, r, n, kind, options, bias=(), breakers=(), mask=0, mu=0, place=None, alpha=None):
    place = r(90) if place is None else place
    alpha = min(n, alpha or 1 + r(12))
    seed, hseed, first = r(1 << 32), r(1 << 32), r(place + 2)
    s = dict(OPTIONS)
    s.update(options)
    s["seed"] = r(1 << 63)
    made = sample(make_logits(n, kind, seed), s, place, make_history(place, alpha, hseed), first, bias, breakers,
                  make_mask(n, mask), mu)
    row = [n, kind, seed, place, alpha, hseed, first] + [s[k] for k, _ in OPTIONS] + [mu, texts(bias), texts(breakers), mask, *made]
    f.write(" ".join(map(str, row)) + "\n")


def some_options(r, names):
    made = {"temperature": 1 + r(3000), "top_k": r(20), "top_p": r(65537), "min_p": 1 + r(30000), "typical": 1 + r(65535),
            "sigma": 1 + r(4000), "repeat": 500 + r(2000), "presence": r(4001) - 2000, "frequency": r(4001) - 2000,
            "penalty_own": r(2), "dry_multiplier": 1 + r(5000), "dry_base": 1000 + r(2000), "dry_allowed": 1 + r(4),
            "xtc_threshold": r(20000), "xtc_probability": 1 + r(65536), "tau": 6554 + r(65536 * 8), "eta": r(65537)}
    made["penalty_last_n"] = made["dry_last_n"] = (-1, 0, 1 + r(64), 1 + r(64))[r(4)]
    return {k: made[k] for k in names}


PENALTY = ["penalty_last_n", "penalty_own"]
DRY = ["dry_multiplier", "dry_base", "dry_allowed", "dry_last_n"]
XTC = ["xtc_threshold", "xtc_probability"]
CUTS = ["top_k", "top_p", "min_p", "typical", "sigma"]


def one_bias(r, n):
    tokens = sorted({r(n) for _ in range(1 + r(6))})
    return tuple((t, BAN if r(4) == 0 and n > 8 else r(20001) - 10000) for t in tokens)


def old_rule(f, r, count):
    """Temperature, top-k and top-p alone: what the first version of the rule gave too."""
    for i in range(count):
        write(f, r, 1 + r(64), r(4), some_options(r, ["temperature", "top_k", "top_p"]) if i % 8 else {})
    for kind in (0, 1, 1, 2):
        write(f, r, 3000, kind, {"temperature": 1000, "top_p": 62259})
        write(f, r, 3000, kind, {"temperature": 700, "top_k": 40, "top_p": 58982})


def steps(f, r, count):
    """Each step by itself, several at once, then all of them."""
    for names in ([k] for k in ("min_p", "typical", "sigma")):
        for _ in range(count):
            write(f, r, 1 + r(64), r(4), some_options(r, names + ["temperature"]))
    for i in range(count):
        write(f, r, 1 + r(64), r(4), some_options(r, XTC + ["temperature"] + (CUTS if i & 1 else [])))
    for i in range(2 * count):
        names = [["repeat"], ["presence"], ["frequency"], ["repeat", "presence", "frequency"]][i % 4]
        write(f, r, 1 + r(64), r(4), some_options(r, names + PENALTY + (["temperature"] if i & 4 else [])))
    for i in range(2 * count):
        write(f, r, 1 + r(24), r(4), some_options(r, DRY + (["temperature"] if i & 1 else [])), alpha=1 + r(4),
              breakers=tuple({r(6) for _ in range(r(3))}))
    # So flat and so strong that the repetitions decide, and breakers among the few tokens.
    for i in range(4 * count):
        alpha = 2 + r(3) if i % 4 else -3 - r(2)
        write(f, r, abs(alpha) + i % 2, 2, {"dry_multiplier": 1 + r(5000 if i % 2 else 500), "dry_base": 1000 + r(2000),
                                       "dry_allowed": 1 + r(3), "dry_last_n": -1},
              alpha=alpha, breakers=tuple(sorted({r(4) for _ in range(1 + i % 3 // 2)})))
    # Two tokens lie one standard deviation from their mean: the farther one is just in.
    for _ in range(8):
        write(f, r, 2, 0, {"temperature": 30000, "sigma": 2000})
    for i in range(count):
        n = 1 + r(200)
        write(f, r, n, r(4), some_options(r, ["temperature"] if i & 1 else []), mask=r(1 << 32), bias=one_bias(r, n) if i & 2 else ())
        write(f, r, n, r(4), some_options(r, ["temperature"] if i & 1 else []), bias=one_bias(r, n))
    for _ in range(2 * count):
        write(f, r, 1 + r(64), r(4), some_options(r, ["tau", "eta", "temperature"]), mu=r(1 << 20))


def all_of_them(f, r, count):
    for i in range(count):
        n = 2 + r(300)
        write(f, r, n, r(4), some_options(r, ["temperature", "repeat", "presence", "frequency"] + PENALTY + DRY + XTC + CUTS),
              bias=one_bias(r, n), breakers=(r(4),), mask=r(1 << 32) if i & 1 else 0)
    # More tokens than one block, one page of keys, one run of lanes.
    for kind in (0, 1, 2):
        for names in (["typical"], ["min_p"], ["sigma"], ["top_k", "typical", "top_p"], XTC + ["min_p"], ["tau", "eta"]):
            write(f, r, 2500 + r(64), kind, some_options(r, names + ["temperature"]), mu=400000, mask=r(1 << 32) if kind else 0)
    for top_p in (0, 1, 30000, 65535):
        write(f, r, 3000, 2, {"temperature": 3000, "top_p": top_p})


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "sample.txt")
    with open(path, "w") as f:
        old_rule(f, Random(1), 300)
        if "--old" not in sys.argv:
            steps(f, Random(2), 40)
            all_of_them(f, Random(3), 120)
    return 0


if __name__ == "__main__":
    sys.exit(main())
