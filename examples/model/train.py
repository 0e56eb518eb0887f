"""Trains the example model with JAX on a CPU.

A small Llama: RMSNorm, RoPE on adjacent pairs, grouped-query attention, SwiGLU,
output tied to the embedding. The names and shapes of the weights are those
export.py writes, so nothing is permuted on the way into a GGUF file.

Sentences are written while training goes on and never repeat. The loss counts
the answer fully and the request a little (INPUT_WEIGHT): the request's words
teach spelling, but its names and amounts cannot be guessed and should not be
tried. Matrices are trained with Muon (momentum, orthogonalised), the embedding
and norms with Adam. The learning rate holds, then falls in a line to zero.

  python train.py --minutes 60              stop by the clock
  python train.py --steps 12000             stop by count: same seed, same weights
  python train.py --minutes 60 --resume     go on from checkpoint.npz

Exact match is measured without generating: a greedy run writes the expected
answer exactly when, given the expected answer so far, the likeliest next token
is the expected one at every position.
"""

import argparse
import json
import os
import time

import jax
import jax.numpy as jnp
import numpy as np

import bpe
import generate

CONFIG = {"d": 128, "layers": 5, "heads": 4, "kv_heads": 2, "head_dim": 32, "ff": 256,
          "vocab": bpe.VOCAB_SIZE, "eps": 1e-5, "rope_base": 10000.0, "context": 512}
BUCKETS = (32, 40, 48, 64, 96)
INPUT_WEIGHT = 0.1


def init(seed, c=CONFIG):
    r = np.random.default_rng(seed)
    d, q, kv = c["d"], c["heads"] * c["head_dim"], c["kv_heads"] * c["head_dim"]
    normal = lambda *s: jnp.asarray(r.normal(0, s[0] ** -0.5, s), jnp.float32)
    p = {"token_embd": jnp.asarray(r.normal(0, 0.02, (c["vocab"], d)), jnp.float32),
         "output_norm": jnp.ones(d)}
    for i in range(c["layers"]):
        # The two matrices that write to the residual start at zero: every
        # layer begins as the identity.
        p.update({f"blk.{i}.attn_norm": jnp.ones(d), f"blk.{i}.ffn_norm": jnp.ones(d),
                  f"blk.{i}.attn_q": normal(d, q), f"blk.{i}.attn_k": normal(d, kv),
                  f"blk.{i}.attn_v": normal(d, kv), f"blk.{i}.attn_output": jnp.zeros((q, d)),
                  f"blk.{i}.ffn_gate": normal(d, c["ff"]), f"blk.{i}.ffn_up": normal(d, c["ff"]),
                  f"blk.{i}.ffn_down": jnp.zeros((c["ff"], d))})
    return p


def norm(x, w):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + CONFIG["eps"]) * w


def swap_pairs(n):
    """The matrix that turns every pair (a, b) into (-b, a)."""
    m = np.zeros((n, n), np.float32)
    for i in range(0, n, 2): m[i + 1, i], m[i, i + 1] = -1, 1
    return m


def rope(x, cos, sin):
    # A product with a constant is quicker here than picking out every second
    # value; the result is the same to the bit.
    n = x.shape[-1]
    return x * cos + (x.reshape(-1, n) @ swap_pairs(n)).reshape(x.shape) * sin


def forward(p, ids, c=CONFIG):
    B, T = ids.shape
    H, K, D = c["heads"], c["kv_heads"], c["head_dim"]
    angle = np.arange(T)[:, None] * c["rope_base"] ** (-np.arange(0, D, 2) / D)
    cos, sin = (jnp.asarray(np.repeat(f(angle), 2, 1)[None, :, None, :], jnp.float32) for f in (np.cos, np.sin))
    mask = jnp.asarray(np.where(np.tril(np.ones((T, T))) > 0, 0, -1e9), jnp.float32)
    x = p["token_embd"][ids]
    for i in range(c["layers"]):
        w = lambda name: p[f"blk.{i}.{name}"]
        h = norm(x, w("attn_norm")).reshape(B * T, -1)
        q = rope((h @ w("attn_q")).reshape(B, T, H, D), cos, sin).reshape(B, T, K, H // K, D)
        k = rope((h @ w("attn_k")).reshape(B, T, K, D), cos, sin)
        v = (h @ w("attn_v")).reshape(B, T, K, D)
        a = jax.nn.softmax(jnp.einsum("btkgd,bskd->bkgts", q, k) * D ** -0.5 + mask, -1)
        o = jnp.einsum("bkgts,bskd->btkgd", a, v).reshape(B * T, H * D)
        x = x + (o @ w("attn_output")).reshape(x.shape)
        h = norm(x, w("ffn_norm")).reshape(B * T, -1)
        x = x + ((jax.nn.silu(h @ w("ffn_gate")) * (h @ w("ffn_up"))) @ w("ffn_down")).reshape(x.shape)
    return norm(x, p["output_norm"]).reshape(B * T, -1) @ p["token_embd"].T


def loss_fn(p, ids, weight):
    logits = forward(p, ids[:, :-1])
    goal = ids[:, 1:].reshape(-1)
    w = weight[:, 1:].reshape(-1)
    ce = jax.nn.logsumexp(logits, -1) - jnp.take_along_axis(logits, goal[:, None], 1)[:, 0]
    answer = (w == 1).astype(jnp.float32)
    return (ce * w).sum() / answer.sum(), (ce * answer).sum() / answer.sum()


def orthogonal(g):
    """Newton-Schulz: pulls all singular values near 1 (Muon's five steps)."""
    tall = g.shape[0] > g.shape[1]
    x = g.T if tall else g
    x = x / (jnp.linalg.norm(x) + 1e-7)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return x.T if tall else x


def is_matrix(name):
    return name.startswith("blk.") and not name.endswith("norm")


@jax.jit
def step(p, m, v, t, rate, ids, weight):
    (_, answer_loss), g = jax.value_and_grad(loss_fn, has_aux=True)(p, ids, weight)
    new_p, new_m, new_v = {}, {}, {}
    for n in p:
        if is_matrix(n):
            new_m[n] = 0.95 * m[n] + g[n]
            u = orthogonal(g[n] + 0.95 * new_m[n]) * max(1, p[n].shape[1] / p[n].shape[0]) ** 0.5
            new_p[n] = p[n] * (1 - 0.0005 * rate) - 0.02 * rate * u
            new_v[n] = v[n]
        else:
            new_m[n] = 0.9 * m[n] + 0.1 * g[n]
            new_v[n] = 0.98 * v[n] + 0.02 * g[n] ** 2
            u = new_m[n] / (1 - 0.9 ** t) / (jnp.sqrt(new_v[n] / (1 - 0.98 ** t)) + 1e-8)
            new_p[n] = p[n] - 0.003 * rate * u
    return new_p, new_m, new_v, answer_loss


@jax.jit
def right(p, ids, weight):
    """For each row: is every answer token the likeliest?"""
    best = forward(p, ids[:, :-1]).argmax(-1).reshape(ids.shape[0], -1)
    return ((best == ids[:, 1:]) | (weight[:, 1:] != 1)).all(1)


def encode(tok, request, answer):
    head = tok.prompt(request)
    return head, tok.encode(answer) + [bpe.EOS]


def pad(rows, T):
    ids = np.full((len(rows), T + 1), bpe.EOS, np.int32)
    weight = np.zeros((len(rows), T + 1), np.float32)
    for r, (head, tail) in enumerate(rows):
        ids[r, :len(head) + len(tail)] = head + tail
        weight[r, :len(head)] = INPUT_WEIGHT
        weight[r, len(head):len(head) + len(tail)] = 1
    return ids, weight


def batches(tok, seed, tokens):
    """Sentences of like length together: a bucket is sent out when it is full."""
    g = generate.Generator(seed)
    waiting = {T: [] for T in BUCKETS}
    while True:
        request, answer, _ = g.sample()
        row = encode(tok, request, answer)
        n = len(row[0]) + len(row[1]) - 1
        T = next((T for T in BUCKETS if n <= T), None)
        if T is None: continue
        waiting[T].append(row)
        if len(waiting[T]) == tokens // T:
            yield pad(waiting[T], T)
            waiting[T] = []


def measure(p, tok, samples):
    rows = [encode(tok, s["request"], s["answer"]) for s in samples]
    good = np.zeros(len(rows), bool)
    for i in range(0, len(rows), 100):
        good[i:i + 100] = np.asarray(right(p, *pad(rows[i:i + 100], 120)))
    return good


def save(path, p, m, v, state):
    flat = {f"{k}/{n}": np.asarray(a) for k, d in (("p", p), ("m", m), ("v", v)) for n, a in d.items()}
    np.savez(path + ".tmp.npz", state=json.dumps(state), config=json.dumps(CONFIG), **flat)
    os.replace(path + ".tmp.npz", path)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--minutes", type=float, default=60)
    ap.add_argument("--steps", type=int, default=0)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--tokens", type=int, default=4096, help="tokens in a batch")
    ap.add_argument("--hold", type=float, default=0.4, help="share of the run before the rate falls")
    ap.add_argument("--rate", type=float, default=0.5, help="multiplies the learning rate")
    ap.add_argument("--every", type=float, default=3, help="minutes between checkpoints")
    ap.add_argument("--checkpoint", default="checkpoint.npz")
    ap.add_argument("--resume", action="store_true")
    a = ap.parse_args()

    tok = bpe.Tokenizer.load()
    p = init(a.seed)
    zeros = lambda: {n: jnp.zeros_like(x) for n, x in p.items()}
    m, v, state = zeros(), zeros(), {"steps": 0, "seconds": 0.0, "tokens": 0, "samples": 0}
    if a.resume and os.path.exists(a.checkpoint):
        z = np.load(a.checkpoint)
        state = json.loads(str(z["state"]))
        p, m, v = ({n: jnp.asarray(z[f"{k}/{n}"]) for n in p} for k in "pmv")
    print("parameters", sum(x.size for x in p.values()), "from step", state["steps"], flush=True)

    # Validation comes from the held-out side, but is not the shipped test set:
    # choosing a checkpoint must not wear that out.
    g = generate.Generator(99, heldout=True)
    check = [dict(zip(("request", "answer", "kind"), g.sample())) for _ in range(600)]
    # A resumed run must not see the same sentences again.
    feed = batches(tok, a.seed + 1000 * state["steps"], a.tokens)
    last, shown, losses, shown_tokens = time.time(), time.time(), [], 0
    begin = last - state["seconds"]
    while True:
        state["seconds"] = time.time() - begin
        part = state["steps"] / a.steps if a.steps else state["seconds"] / 60 / a.minutes
        over = part >= 1
        if over or time.time() - last > a.every * 60:
            good = measure(p, tok, check)
            by = {x: "%.3f" % good[[json.loads(s["answer"])["action"] == x for s in check]].mean() for x in generate.SHARES}
            by.update({x: "%.3f" % good[[s["kind"] == x for s in check]].mean() for x in ("near", "far")})
            print("minute %.1f  exact match %.4f  %s" % (state["seconds"] / 60, good.mean(), json.dumps(by)), flush=True)
            save(a.checkpoint, p, m, v, dict(state, exact_match=float(good.mean())))
            last = time.time()
        if over: break
        rate = a.rate * min(1, part / 0.015 + 0.02, max(0, (1 - part) / (1 - a.hold)))
        ids, weight = next(feed)
        state["steps"] += 1
        state["samples"] += len(ids)
        state["tokens"] += int((weight > 0).sum())
        shown_tokens += int((weight > 0).sum())
        p, m, v, loss = step(p, m, v, jnp.float32(state["steps"]), jnp.float32(rate), ids, weight)
        losses.append(loss)
        if state["steps"] % 100 == 0:
            l = float(np.mean([float(x) for x in losses]))
            now = time.time()
            print("step %d  loss %.4f  rate %.3f  %.0f tokens/s  samples %d" %
                  (state["steps"], l, rate, shown_tokens / (now - shown), state["samples"]), flush=True)
            shown, losses, shown_tokens = now, [], 0


if __name__ == "__main__":
    main()
