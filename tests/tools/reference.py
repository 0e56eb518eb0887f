"""Logits of a GGUF model in float64: an independent truth for accuracy tests.

Written from the published definitions of the architectures, with nothing of the
library: weights are dequantised by the package gguf, everything after that is
float64 in numpy, whole sequences at once, no cache, no quantised activations.

    python tests/tools/reference.py MODEL.gguf 1 2 3         last logits' largest
    from reference import Model; Model(path).logits(ids)     [positions, vocab]
"""
import math
import sys

import gguf
import numpy as np


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


_erf = np.vectorize(math.erf, otypes=[np.float64])


def gelu_erf(x):
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def silu(x):
    return x / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def value_of(field):
    v = field.contents()
    return v


class Model:
    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.keys = {name: field for name, field in reader.fields.items()}
        self.arch = value_of(self.keys["general.architecture"])
        self.raw = {t.name: t for t in reader.tensors}
        self.cache = {}
        g = self.get
        self.layers, self.dim = g("block_count"), g("embedding_length")
        self.heads = g("attention.head_count")
        self.kv_heads = g("attention.head_count_kv", self.heads)
        self.head_dim = g("attention.key_length", self.dim // self.heads)
        self.rot = g("rope.dimension_count", self.head_dim)
        self.context = g("context_length")
        self.encoder = self.arch in ("bert", "nomic-bert")
        self.eps = g("attention.layer_norm_epsilon" if self.arch in ("gpt2", "bert", "nomic-bert")
                     else "attention.layer_norm_rms_epsilon")
        self.experts, self.used = g("expert_count", 0), g("expert_used_count", 0)
        self.neox = self.arch != "llama"

    def get(self, name, absent=None):
        field = self.keys.get(f"{self.arch}.{name}")
        if field is None:
            if absent is None:
                raise KeyError(name)
            return absent
        return value_of(field)

    def has(self, name):
        return name in self.raw

    def w(self, name):
        """A tensor in float64, row by row as the file has it."""
        if name not in self.cache:
            t = self.raw[name]
            shape = tuple(int(d) for d in reversed(t.shape))
            data = gguf.quants.dequantize(t.data, t.tensor_type)
            self.cache[name] = np.asarray(data, dtype=np.float64).reshape(shape)
        return self.cache[name]

    def linear(self, x, name, rows=None):
        """x W^T + b; rows: a range of a fused tensor's."""
        part = slice(*rows) if rows else slice(None)
        y = x @ self.w(name + ".weight")[part].T
        if self.has(name + ".bias"):
            y = y + self.w(name + ".bias")[part]
        return y

    def norm(self, x, name):
        if self.arch in ("gpt2", "bert", "nomic-bert"):
            d = x - x.mean(axis=-1, keepdims=True)
            y = d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + self.eps)
            return y * self.w(name + ".weight") + self.w(name + ".bias")
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.eps) * self.w(name + ".weight")

    # ---- positions ------------------------------------------------------------

    def local(self, layer):
        """Does this layer look through a window only?"""
        if not self.get("attention.sliding_window", 0):
            return False
        if self.arch in ("gemma2", "gpt-oss"):
            return layer % 2 == 0
        if self.arch == "gemma3":
            return layer % 6 != 5
        return True

    def angles(self, n, layer):
        """cos and sin [n, rot / 2]."""
        base = float(self.get("rope.freq_base", 10000.0))
        kind, scale = self.get("rope.scaling.type", "none"), float(self.get("rope.scaling.factor", 1.0))
        half = self.rot // 2
        if self.arch == "gemma3" and self.local(layer):
            base, kind = 10000.0, "none"
        freq = base ** (-2.0 * np.arange(half) / self.rot)
        if self.has("rope_freqs.weight"):
            freq = freq / self.w("rope_freqs.weight")
        mscale = 1.0
        if self.has("rope_factors_long.weight"):
            original = self.get("rope.scaling.original_context_length", self.context)
            freq = freq / self.w("rope_factors_long.weight" if self.context > original else "rope_factors_short.weight")
            mscale = float(self.get("rope.scaling.attn_factor", 1.0))
        if kind == "linear":
            freq = freq / scale
        if kind == "yarn":
            original = self.get("rope.scaling.original_context_length", self.context)
            fast, slow = self.get("rope.scaling.yarn_beta_fast", 32.0), self.get("rope.scaling.yarn_beta_slow", 1.0)

            def turns(beta):
                return self.rot * math.log(original / (beta * 2 * math.pi)) / (2 * math.log(base))
            low, high = max(0.0, math.floor(turns(fast))), min(self.rot - 1.0, math.ceil(turns(slow)))
            ramp = 1 - np.clip((np.arange(half) - low) / max(0.001, high - low), 0, 1)
            freq = freq / scale * (1 - ramp) + freq * ramp
            mscale = 1 + 0.1 * math.log(scale)
        a = np.arange(n)[:, None] * freq[None, :]
        return np.cos(a) * mscale, np.sin(a) * mscale

    def rope(self, x, layer):
        """x [n, heads, head_dim]."""
        if self.arch in ("gpt2", "bert"):
            return x
        cos, sin = (t[:, None, :] for t in self.angles(x.shape[0], layer))
        y, half = x.copy(), self.rot // 2
        if self.neox:
            a, b = x[..., :half], x[..., half:self.rot]
            y[..., :half], y[..., half:self.rot] = a * cos - b * sin, a * sin + b * cos
        else:
            a, b = x[..., 0:self.rot:2], x[..., 1:self.rot:2]
            y[..., 0:self.rot:2], y[..., 1:self.rot:2] = a * cos - b * sin, a * sin + b * cos
        return y

    # ---- a layer's parts ----------------------------------------------------------

    def attention(self, x, layer):
        p, n = f"blk.{layer}.", x.shape[0]
        q_dim, kv_dim = self.heads * self.head_dim, self.kv_heads * self.head_dim
        if self.has(p + "attn_qkv.weight"):
            q = self.linear(x, p + "attn_qkv", (0, q_dim))
            k = self.linear(x, p + "attn_qkv", (q_dim, q_dim + kv_dim))
            v = self.linear(x, p + "attn_qkv", (q_dim + kv_dim, q_dim + 2 * kv_dim))
        else:
            q, k, v = (self.linear(x, p + name) for name in ("attn_q", "attn_k", "attn_v"))
        q, k, v = q.reshape(n, self.heads, -1), k.reshape(n, self.kv_heads, -1), v.reshape(n, self.kv_heads, -1)
        if self.has(p + "attn_q_norm.weight"):
            q, k = self.norm(q, p + "attn_q_norm"), self.norm(k, p + "attn_k_norm")
        q, k = self.rope(q, layer), self.rope(k, layer)
        group = self.heads // self.kv_heads
        k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
        scores = np.einsum("ihd,jhd->hij", q, k) / math.sqrt(self.head_dim)
        cap = self.get("attn_logit_softcapping", 0.0)
        if cap:
            scores = cap * np.tanh(scores / cap)
        if not self.encoder:
            i, j = np.arange(n)[:, None], np.arange(n)[None, :]
            seen = j <= i
            if self.local(layer):
                seen &= i - j < self.get("attention.sliding_window")
            scores = np.where(seen[None], scores, -np.inf)
        if self.has(p + "attn_sinks.weight"):
            sink = np.broadcast_to(self.w(p + "attn_sinks.weight")[:, None, None], scores.shape[:2] + (1,))
            weights = softmax(np.concatenate([scores, sink], axis=-1))[..., :-1]
        else:
            weights = softmax(scores)
        y = np.einsum("hij,jhd->ihd", weights, v).reshape(n, q_dim)
        return self.linear(y, p + "attn_output")

    def experts_of(self, x, layer):
        p, y = f"blk.{layer}.", np.zeros_like(x)
        scores = self.linear(x, p + "ffn_gate_inp")
        oss = self.arch == "gpt-oss"
        for i in range(x.shape[0]):
            chosen = np.sort(np.argsort(-scores[i], kind="stable")[:self.used])
            weight = softmax(scores[i][chosen])
            for expert, share in zip(chosen, weight):
                gate = self.w(p + "ffn_gate_exps.weight")[expert] @ x[i]
                up = self.w(p + "ffn_up_exps.weight")[expert] @ x[i]
                if oss:
                    gate = np.minimum(gate + self.w(p + "ffn_gate_exps.bias")[expert], 7.0)
                    up = np.clip(up + self.w(p + "ffn_up_exps.bias")[expert], -7.0, 7.0)
                    h = gate / (1 + np.exp(-1.702 * gate)) * (up + 1)
                else:
                    h = silu(gate) * up
                out = self.w(p + "ffn_down_exps.weight")[expert] @ h
                if oss:
                    out = out + self.w(p + "ffn_down_exps.bias")[expert]
                y[i] += share * out
        return y

    def feed_forward(self, x, layer):
        p, ffn = f"blk.{layer}.", self.get("feed_forward_length")
        if self.experts:
            return self.experts_of(x, layer)
        if self.arch in ("gpt2", "bert"):
            h = self.linear(x, p + "ffn_up")
            h = gelu_tanh(h) if self.arch == "gpt2" else gelu_erf(h)
        elif self.arch == "phi3":
            h = silu(self.linear(x, p + "ffn_up", (0, ffn))) * self.linear(x, p + "ffn_up", (ffn, 2 * ffn))
        else:
            act = gelu_tanh if self.arch.startswith("gemma") else silu
            h = act(self.linear(x, p + "ffn_gate")) * self.linear(x, p + "ffn_up")
        return self.linear(h, p + "ffn_down")

    def layer(self, x, l):
        p = f"blk.{l}."
        if self.encoder:
            x = self.norm(x + self.attention(x, l), p + "attn_output_norm")
            return self.norm(x + self.feed_forward(x, l), p + "layer_output_norm")
        sandwich = self.arch in ("gemma2", "gemma3")
        a = self.attention(self.norm(x, p + "attn_norm"), l)
        x = x + (self.norm(a, p + "post_attention_norm") if sandwich else a)
        f = self.feed_forward(self.norm(x, p + ("post_attention_norm" if self.arch == "gpt-oss" else "ffn_norm")), l)
        return x + (self.norm(f, p + "post_ffw_norm") if sandwich else f)

    # ---- whole ----------------------------------------------------------------------

    def hidden(self, ids):
        x = self.w("token_embd.weight")[np.asarray(ids)]
        if self.arch.startswith("gemma"):
            x = x * math.sqrt(self.dim)
        if self.has("token_types.weight"):
            x = x + self.w("token_types.weight")[0]
        if self.has("position_embd.weight"):
            x = x + self.w("position_embd.weight")[:len(ids)]
        if self.encoder:
            x = self.norm(x, "token_embd_norm")
        for l in range(self.layers):
            x = self.layer(x, l)
        return x if self.encoder else self.norm(x, "output_norm")

    def logits(self, ids):
        y = self.hidden(ids) @ self.w("output.weight" if self.has("output.weight") else "token_embd.weight").T
        cap = self.get("final_logit_softcapping", 0.0)
        return cap * np.tanh(y / cap) if cap else y

    def embed(self, ids, pooling=None, normalise=True):
        x = self.hidden(ids)
        pooling = pooling or {1: "mean", 2: "cls", 3: "last"}[self.get("pooling_type", 1)]
        y = x.mean(axis=0) if pooling == "mean" else x[0 if pooling == "cls" else -1]
        return y / np.linalg.norm(y) if normalise else y


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    m, ids = Model(sys.argv[1]), [int(a) for a in sys.argv[2:]]
    if m.encoder:
        print(m.embed(ids))
        return
    last = m.logits(ids)[-1]
    for i in np.argsort(-last)[:10]:
        print(i, repr(float(last[i])))


if __name__ == "__main__":
    main()
