"""Steps of the sampler beside llama.cpp's (llama-cpp-python from PyPI, where it is
installed): the same logits give the same penalties and the same tokens that stay. Our
side is tests/tools/sample_oracle.py, which tests/golden/sample.txt ties to the library.
Both round, so a token at the very edge of a cut may differ: few cases may have one."""
import ctypes
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import sample_oracle as ours   # noqa: E402

try:
    import llama_cpp
except ImportError:
    llama_cpp = None

CASES = 60
VOCAB = 200


def logits_of(rng):
    """All different, flat or steep; multiples of 1/64, so that exact exponentials are few."""
    return [x / 64 for x in rng.sample(range(-rng.choice((110, 400, 900)), rng.choice((110, 300))), VOCAB)]


def theirs(sampler, logits, history=()):
    """({token: logit} of what stays) after one application; the sampler is freed."""
    data = (llama_cpp.llama_token_data * len(logits))(*[llama_cpp.llama_token_data(i, x, 0.0) for i, x in enumerate(logits)])
    array = llama_cpp.llama_token_data_array(data, len(logits), -1, False)
    for token in history:
        llama_cpp.llama_sampler_accept(sampler, token)
    llama_cpp.llama_sampler_apply(sampler, ctypes.byref(array))
    made = {array.data[i].id: array.data[i].logit for i in range(array.size) if array.data[i].logit > ours.OUT}
    llama_cpp.llama_sampler_free(sampler)
    return made


def options(**on):
    return {**dict(ours.OPTIONS), "temperature": 1000, **on}


def stays(logits, s):
    """The tokens that steps 6 to 12 leave."""
    l = list(logits)
    if s["sigma"]:
        ours.top_n_sigma(l, s["sigma"])
    order = sorted((i for i, x in enumerate(l) if x != ours.OUT), key=lambda i: (-l[i], i))
    x = {i: ours.f32(l[i] - l[order[0]]) for i in order}
    w = {i: ours.weight(x[i]) for i in order}
    return set(order) if s["sigma"] else set(ours.cuts(order, w, x, s, 0))


@unittest.skipUnless(llama_cpp, "no llama-cpp-python")
class BesideLlama(unittest.TestCase):
    def cut(self, name, make, **on):
        rng, off = random.Random(name), 0
        for _ in range(CASES):
            logits = logits_of(rng)
            a, b = stays(logits, options(**on)), set(theirs(make(), logits))
            # Two: a pair at equal distance from the mean changes places.
            self.assertLessEqual(len(a ^ b), 2 if name == "typical" else 1, name)
            off += a != b
        self.assertLessEqual(off, CASES // 20, name)

    def test_cuts(self):
        self.cut("top_k", lambda: llama_cpp.llama_sampler_init_top_k(40), top_k=40)
        for p in (0.05, 0.5, 0.9, 0.99):
            milli = round(p * 65536)
            self.cut("top_p", lambda: llama_cpp.llama_sampler_init_top_p(milli / 65536, 1), top_p=milli)
            self.cut("min_p", lambda: llama_cpp.llama_sampler_init_min_p(milli / 65536, 1), min_p=milli)
            self.cut("typical", lambda: llama_cpp.llama_sampler_init_typical(milli / 65536, 1), typical=milli)
        for n in (500, 1000, 2500):
            self.cut("top_n_sigma", lambda: llama_cpp.llama_sampler_init_top_n_sigma(n / 1000), sigma=n)
        for share in (0.01, 0.1, 0.3):
            self.cut("xtc", lambda: llama_cpp.llama_sampler_init_xtc(1.0, round(share * 65536) / 65536, 1, 1),
                     xtc_threshold=round(share * 65536), xtc_probability=65536)

    def edits(self, name, make, apply):
        rng = random.Random(name)
        for _ in range(CASES):
            logits, history = logits_of(rng), [rng.randrange(8) for _ in range(rng.randrange(1, 60))]
            mine = list(logits)
            apply(mine, history)
            for token, x in theirs(make(), logits, history).items():
                self.assertAlmostEqual(x, mine[token], delta=1e-5 * max(1, abs(x)), msg=name)

    def test_penalties(self):
        for last_n in (7, 64):
            for r, f, p in ((1300, 0, 0), (700, 0, 0), (1000, 250, 0), (1000, 0, -500), (1150, 300, 900)):
                s = options(repeat=r, frequency=f, presence=p, penalty_last_n=last_n)
                self.edits("penalties", lambda: llama_cpp.llama_sampler_init_penalties(VOCAB, last_n, r / 1000, f / 1000, p / 1000),
                           lambda l, history: ours.penalties(l, s, history, 0))

    def test_dry(self):
        for multiplier, base, allowed, last_n in ((800, 1750, 2, 100), (1000, 1200, 1, 30), (300, 2000, 3, 64)):
            s = options(dry_multiplier=multiplier, dry_base=base, dry_allowed=allowed, dry_last_n=last_n)
            self.edits("dry", lambda: llama_cpp.llama_sampler_init_dry(None, multiplier / 1000, base / 1000, allowed, last_n, None, 0),
                       lambda l, history: ours.dry(l, s, history, set()))

    def test_logit_bias(self):
        pair = (llama_cpp.llama_logit_bias * 2)(llama_cpp.llama_logit_bias(5, -1.25), llama_cpp.llama_logit_bias(9, 3.5))
        logits = logits_of(random.Random(1))
        got = theirs(llama_cpp.llama_sampler_init_logit_bias(VOCAB, 2, pair), logits)
        for token in range(VOCAB):
            self.assertEqual(got[token], ours.f32(logits[token] + {5: -1.25, 9: 3.5}.get(token, 0)))

    def test_mirostat_cut(self):
        """The first draw of an answer: those whose surprise is at most twice tau."""
        rng, off = random.Random(3), 0
        for _ in range(CASES):
            logits, tau = logits_of(rng), rng.choice((1.5, 2.5, 4))
            order = sorted(range(VOCAB), key=lambda i: (-logits[i], i))
            w = {i: ours.weight(ours.f32(logits[i] - logits[order[0]])) for i in order}
            total = ours.log2_fixed(sum(w.values()))
            mine = {i for i in order if i == order[0] or (w[i] and total - ours.log2_fixed(w[i]) <= int(2 * tau * 65536))}
            got = set(theirs(llama_cpp.llama_sampler_init_mirostat_v2(1, tau, 0.1), logits))
            self.assertLessEqual(len(mine ^ got), 1)
            off += mine != got
        self.assertLessEqual(off, CASES // 20)


if __name__ == "__main__":
    unittest.main()
