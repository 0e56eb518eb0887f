"""Error of logits against float64, ours beside llama.cpp's, on synthetic models.

    python tests/bench/accuracy.py [FLAVOUR:TYPE ...]     default: a choice of all

Needs build/release/tests/bench/{synth,logits} (make bench) and the packages gguf,
numpy and llama-cpp-python. For each model: 512 seeded tokens, one forward pass of
tests/tools/reference.py in float64, the relative RMS error of both engines'
logits, their ratio (the bound is 1.05), and how often the largest logit agrees
with the reference's. llama.cpp runs with its defaults, one context of 512.

With experts, a choice that float64 takes the other way changes a token's logits
as a whole, so a few positions decide such a row: four sequences are taken for it,
and "far" says how many positions had more than ten times the median error, on
each side, and what the ratio is without these.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from reference import Model  # noqa: E402

POSITIONS = 512
CHOICE = ["llama:" + t for t in ("F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
                                 "Q4_K_M", "IQ4_NL", "IQ4_XS", "MXFP4")]
CHOICE += [f + ":Q8_0" for f in ("llama3", "linear", "yarn", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3long", "gpt2")]
CHOICE += [f + ":Q4_K_M" for f in ("qwen3", "gemma2", "gemma3")]
CHOICE += ["mixtral:Q8_0", "qwen3moe:Q8_0", "gpt-oss:Q8_0"]
TOOLS = os.path.join(os.environ.get("BUILD", "build/release"), "tests", "bench")


def ours(path, ids, folder, shape):
    out = os.path.join(folder, "out.f32")
    options = os.environ.get("OPTIONS", "compute.backend=native").split()
    subprocess.run([os.path.join(TOOLS, "logits"), path, out] + options, input=" ".join(map(str, ids)), text=True, check=True)
    return np.fromfile(out, dtype=np.float32).reshape(shape).astype(np.float64)


def theirs(path, ids):
    import llama_cpp
    m = llama_cpp.Llama(path, n_ctx=POSITIONS, n_batch=POSITIONS, n_ubatch=POSITIONS, logits_all=True, verbose=False, n_threads=1)
    m.eval(ids)
    return np.array(m.scores[:len(ids)], dtype=np.float64)


def rms(x):
    return float(np.sqrt((x * x).mean()))


def far(x, truth):
    each = np.sqrt(((x - truth) ** 2).mean(axis=1))
    return each > 10 * np.median(each)


def row(name, folder):
    flavour, kind = name.split(":")
    path = os.path.join(folder, "model.gguf")
    subprocess.run([os.path.join(TOOLS, "synth"), path, flavour, kind, os.environ.get("SIZE", "tiny")], check=True)
    model, parts = Model(path), []
    for seed in range(4 if model.experts else 1):
        ids = [int(i) for i in np.random.default_rng(1 + seed).integers(0, 300, POSITIONS)]
        truth = model.logits(ids)
        parts.append((truth, ours(path, ids, folder, truth.shape), theirs(path, ids)))
    truth, a, b = (np.concatenate(side) for side in zip(*parts))
    e, f = rms(a - truth) / rms(truth), rms(b - truth) / rms(truth)
    best, x, y = truth.argmax(axis=1), far(a, truth), far(b, truth)
    near = ~(x | y)
    print("| %-9s | %-7s | %.5f | %.5f | %.3f | %5.1f %% | %5.1f %% | %3d %3d | %.3f |" % (
        flavour, kind, e, f, e / f, 100 * (a.argmax(axis=1) == best).mean(), 100 * (b.argmax(axis=1) == best).mean(),
        x.sum(), y.sum(), rms((a - truth)[near]) / rms((b - truth)[near])), flush=True)
    return e / f


def main():
    print("| model | type | ours | llama.cpp | ratio | top-1 | its top-1 | far | ratio without far |\n|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        ratios = [row(name, folder) for name in sys.argv[1:] or CHOICE]
    print("\nlargest ratio %.3f" % max(ratios))


if __name__ == "__main__":
    main()
