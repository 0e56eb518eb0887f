"""Measures a GGUF file of the example model on held-out requests.

Reads the file by itself (weights turned back to float, all sums in f32, numpy
only) so that the figure depends on the file, not on any engine. An answer
counts when it is the expected text to the last byte. Greedy decoding is not
run token by token: it would write the expected answer exactly when each
expected token is the likeliest one after the expected ones before it, and
that takes one pass.

  python evaluate.py decai-actions.q8_0.gguf            heldout.jsonl
  python evaluate.py decai-actions.q8_0.gguf --count 2000 --seed 7
  python evaluate.py decai-actions.q8_0.gguf --ask "send 25 usdc to Maria"
  python evaluate.py --answers FILE                     score another engine:
        one JSON action a line, in the order of heldout.jsonl

Standard library and numpy.
"""

import argparse
import json
import os
import struct

import numpy as np

import bpe
import generate

HERE = os.path.dirname(os.path.abspath(__file__))
SIMPLE = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


def f32(raw): return np.frombuffer(raw, "<f4").astype(np.float32)
def f16(raw): return np.frombuffer(raw, "<f2").astype(np.float32)


def q8_0(raw):
    b = np.frombuffer(raw, np.uint8).reshape(-1, 34)
    return (b[:, :2].copy().view("<f2").astype(np.float32) * b[:, 2:].copy().view(np.int8)).ravel()


def q4_0(raw):
    b = np.frombuffer(raw, np.uint8).reshape(-1, 18)
    q = np.hstack([b[:, 2:] & 15, b[:, 2:] >> 4]).astype(np.float32) - 8
    return (b[:, :2].copy().view("<f2").astype(np.float32) * q).ravel()


# ggml type: (values in a block, bytes in a block, decoder)
TYPES = {0: (1, 4, f32), 1: (1, 2, f16), 2: (32, 18, q4_0), 8: (32, 34, q8_0)}


class File:
    """metadata as a dict, tensors as float arrays of rows by columns."""

    def __init__(self, path):
        with open(path, "rb") as f: self.raw = f.read()
        self.at = 4
        if self.raw[:4] != b"GGUF" or self._take("I") != 3: raise ValueError("not GGUF version 3")
        count, pairs = self._take("Q"), self._take("Q")
        self.meta = {}
        for _ in range(pairs):
            key = self._text()
            self.meta[key] = self._value(self._take("I"))
        infos = []
        for _ in range(count):
            name = self._text()
            dims = [self._take("Q") for _ in range(self._take("I"))]
            infos.append((name, dims, self._take("I"), self._take("Q")))
        base = self.at + -self.at % self.meta.get("general.alignment", 32)
        self.tensors = {}
        for name, dims, kind, offset in infos:
            per, size, decode = TYPES[kind]
            n = int(np.prod(dims))
            self.tensors[name] = decode(self.raw[base + offset:base + offset + n // per * size]).reshape(dims[::-1])

    def _take(self, form):
        v, = struct.unpack_from("<" + form, self.raw, self.at)
        self.at += struct.calcsize("<" + form)
        return v

    def _text(self):
        n = self._take("Q")
        self.at += n
        return self.raw[self.at - n:self.at].decode("utf-8")

    def _value(self, kind):
        if kind == 8: return self._text()
        if kind == 9:
            of, n = self._take("I"), self._take("Q")
            return [self._value(of) for _ in range(n)]
        return self._take(SIMPLE[kind])

    def tokenizer(self):
        return bpe.Tokenizer(self.meta["tokenizer.ggml.tokens"], self.meta["tokenizer.ggml.token_type"],
                             [tuple(m.split(" ")) for m in self.meta["tokenizer.ggml.merges"]])


class Model:
    def __init__(self, file):
        self.w, m = file.tensors, file.meta
        self.layers, self.heads = m["llama.block_count"], m["llama.attention.head_count"]
        self.kv = m["llama.attention.head_count_kv"]
        self.eps = np.float32(m["llama.attention.layer_norm_rms_epsilon"])
        self.dim = m["llama.rope.dimension_count"]
        self.base = m["llama.rope.freq_base"]

    def _norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps) * self.w[name]

    def _rope(self, x):
        angle = np.arange(x.shape[1])[:, None] * self.base ** (-np.arange(0, self.dim, 2) / self.dim)
        cos, sin = (f(angle).astype(np.float32)[None, :, None] for f in (np.cos, np.sin))
        out = np.empty_like(x)
        out[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
        out[..., 1::2] = x[..., 0::2] * sin + x[..., 1::2] * cos
        return out

    def logits(self, ids):
        """ids: rows by positions; returns rows by positions by vocabulary."""
        B, T = ids.shape
        x = self.w["token_embd.weight"][ids]
        future = np.triu(np.full((T, T), -1e9, np.float32), 1)
        for i in range(self.layers):
            mul = lambda h, n: h @ self.w["blk.%d.%s.weight" % (i, n)].T
            h = self._norm(x, "blk.%d.attn_norm.weight" % i)
            q = self._rope(mul(h, "attn_q").reshape(B, T, self.heads, self.dim))
            k = self._rope(mul(h, "attn_k").reshape(B, T, self.kv, self.dim))
            v = mul(h, "attn_v").reshape(B, T, self.kv, self.dim)
            k, v = (np.repeat(t, self.heads // self.kv, 2).transpose(0, 2, 1, 3) for t in (k, v))
            s = q.transpose(0, 2, 1, 3) @ k.transpose(0, 1, 3, 2) * np.float32(self.dim ** -0.5) + future
            s = np.exp(s - s.max(-1, keepdims=True))
            s /= s.sum(-1, keepdims=True)
            x = x + mul((s @ v).transpose(0, 2, 1, 3).reshape(B, T, -1), "attn_output")
            h = self._norm(x, "blk.%d.ffn_norm.weight" % i)
            g = mul(h, "ffn_gate")
            x = x + mul(g / (1 + np.exp(-g)) * mul(h, "ffn_up"), "ffn_down")
        return self._norm(x, "output_norm.weight") @ self.w["token_embd.weight"].T

    def ask(self, tok, request, limit=100):
        ids = tok.prompt(request)
        start = len(ids)
        while len(ids) - start < limit:
            best = int(self.logits(np.array([ids]))[0, -1].argmax())
            if best == bpe.EOS: break
            ids.append(best)
        return tok.decode(ids[start:])


def score(model, tok, samples, batch=64):
    rows = [(tok.prompt(s["request"]), tok.encode(s["answer"]) + [bpe.EOS]) for s in samples]
    good = np.zeros(len(rows), bool)
    order = sorted(range(len(rows)), key=lambda r: len(rows[r][0]) + len(rows[r][1]))
    for i in range(0, len(order), batch):
        some = order[i:i + batch]
        T = max(len(rows[r][0]) + len(rows[r][1]) for r in some)
        ids = np.full((len(some), T), bpe.EOS)
        for n, r in enumerate(some): ids[n, :len(rows[r][0]) + len(rows[r][1])] = rows[r][0] + rows[r][1]
        best = model.logits(ids[:, :-1]).argmax(-1)
        for n, r in enumerate(some):
            a, b = len(rows[r][0]), len(rows[r][0]) + len(rows[r][1])
            good[r] = (best[n, a - 1:b - 1] == ids[n, a:b]).all()
    return good


def report(samples, good):
    groups = {"all": good}
    actions = [json.loads(s["answer"])["action"] for s in samples]
    for a in generate.SHARES: groups[a] = good[[x == a for x in actions]]
    for k in ("near", "far"): groups["phrasing " + k] = good[[s["kind"] == k for s in samples]]
    print("%-16s %6s %6s %8s" % ("group", "right", "of", "share"))
    for name, g in groups.items():
        if len(g): print("%-16s %6d %6d %7.2f%%" % (name, g.sum(), len(g), 100 * g.mean()))
    print(json.dumps({n: [int(g.sum()), len(g)] for n, g in groups.items()}))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("gguf", nargs="?")
    ap.add_argument("--heldout", default=os.path.join(HERE, "heldout.jsonl"))
    ap.add_argument("--count", type=int, default=0, help="write fresh held-out samples instead")
    ap.add_argument("--seed", type=int, default=7)
    ap.add_argument("--answers")
    ap.add_argument("--ask")
    ap.add_argument("--misses", type=int, default=0, help="print this many wrong answers")
    a = ap.parse_args()

    if a.count:
        g = generate.Generator(a.seed, heldout=True)
        samples = [dict(zip(("request", "answer", "kind"), g.sample())) for _ in range(a.count)]
    else:
        with open(a.heldout, encoding="utf-8") as f: samples = [json.loads(line) for line in f]

    if a.answers:
        with open(a.answers, encoding="utf-8") as f: said = [line.strip() for line in f]
        if len(said) != len(samples): ap.error("%d answers for %d requests" % (len(said), len(samples)))
        good = np.array([x == s["answer"] for x, s in zip(said, samples)])
        report(samples, good)
        return
    if not a.gguf: ap.error("a GGUF file or --answers is needed")
    file = File(a.gguf)
    model, tok = Model(file), file.tokenizer()
    if a.ask is not None:
        print(model.ask(tok, a.ask))
        return
    good = score(model, tok, samples)
    report(samples, good)
    wrong = [s for s, g in zip(samples, good) if not g]
    for s in wrong[:a.misses]:
        print(s["kind"], "|", s["request"], "|", s["answer"], "|", model.ask(tok, s["request"]))


if __name__ == "__main__":
    main()
