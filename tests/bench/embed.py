#!/usr/bin/env python3
"""Vectors of texts: libdecai, llama.cpp and ONNX Runtime, interleaved in one run.

    embed.py [--threads N] [--rounds N] [--texts N] [--onnx MODEL.onnx] MODEL.gguf...

The texts are 1,000 seeded draws of a length, log-uniform from 8 to 512 tokens,
of seeded ids; no padding is asked for. Every side gets its best batch size out
of a list; the peers get the texts sorted by length too, the better counts.
Several GGUF files: each is measured on libdecai and on llama.cpp (the same
file); ONNX Runtime has its own. One JSON object: tokens a second, ratios of
ours against each peer's best over all files, the load.
"""
import argparse
import json
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = (1, 4, 16, 64)


def draw(count):
    import math
    rng = random.Random(20261123)
    lengths = [int(math.exp(rng.uniform(math.log(8), math.log(512)))) for _ in range(count)]
    return [[101] + [rng.randrange(1000, 30000) for _ in range(n - 2)] + [102] for n in lengths]


def batches(texts, size):
    return [texts[i:i + size] for i in range(0, len(texts), size)]


def side_ours(path, threads):
    sys.path.insert(0, os.path.join(HERE, "..", "..", "bindings", "python"))
    import ctypes
    import decai
    ctx = decai.Context({"base.threads": threads - 1})
    engine = decai.Engine(decai.Model.load(ctx, path, {"model.hash": 0}), {"infer.context": 512, "infer.batch": 512})

    def run(texts, size):
        for group in batches(texts, size):
            flat = (ctypes.c_int32 * sum(map(len, group)))(*[t for text in group for t in text])
            engine.encode(flat, [len(text) for text in group], 0)
    return run


def side_llama(path, threads):
    import llama_cpp
    llm = llama_cpp.Llama(model_path=path, embedding=True, n_ctx=2048, n_batch=2048, n_ubatch=2048, n_threads=threads,
                          n_threads_batch=threads, n_seq_max=64, verbose=False, pooling_type=llama_cpp.LLAMA_POOLING_TYPE_MEAN)

    def run(texts, size, keep=llm):             # the closure owns the model
        ctx, groups, at = keep._ctx.ctx, [], 0                        # the batch holds 2,048 tokens at most
        while at < len(texts):
            group, total = [], 0
            while at < len(texts) and len(group) < size and total + len(texts[at]) <= 2048:
                group.append(texts[at])
                total += len(texts[at])
                at += 1
            groups.append((group, total))
        for group, total in groups:
            batch = llama_cpp.llama_batch_init(total, 0, 64)
            i = 0
            for seq, text in enumerate(group):
                for pos, token in enumerate(text):
                    batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, pos, 1, 1
                    batch.seq_id[i][0] = seq
                    i += 1
            batch.n_tokens = total
            if llama_cpp.llama_decode(ctx, batch):
                raise RuntimeError("llama_decode failed")
            for seq in range(len(group)):
                llama_cpp.llama_get_embeddings_seq(ctx, seq)[0]
            llama_cpp.llama_batch_free(batch)
    return run


def side_onnx(path, threads):
    import numpy as np
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options)

    def run(texts, size):
        for group in batches(texts, size):
            width = max(map(len, group))
            ids, mask = np.zeros((len(group), width), np.int64), np.zeros((len(group), width), np.int64)
            for row, text in enumerate(group):
                ids[row, :len(text)], mask[row, :len(text)] = text, 1
            session.run(None, {"input_ids": ids, "attention_mask": mask})
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--onnx")
    args = parser.parse_args()
    texts = draw(args.texts)
    ordered = sorted(texts, key=len)
    total = sum(map(len, texts))
    sides, missing = {}, []
    for path in args.models:
        name = os.path.basename(path)
        sides["ours " + name] = (side_ours(path, args.threads), [texts])
        try:
            sides["llama.cpp " + name] = (side_llama(path, args.threads), [texts, ordered])
        except ImportError:
            missing.append("llama-cpp-python is not installed")
    if args.onnx:
        try:
            sides["onnxruntime"] = (side_onnx(args.onnx, args.threads), [texts, ordered])
        except ImportError:
            missing.append("onnxruntime is not installed")
    probe = texts[:60]
    plan = {}
    for name, (run, orders) in sides.items():     # the best batch size and order, on a few texts
        best = None
        for order in range(len(orders)):
            some = sorted(probe, key=len) if order else probe
            for size in SIZES:
                before = time.perf_counter()
                run(some, size)
                took = time.perf_counter() - before
                if best is None or took < best[0]:
                    best = (took, size, order)
        plan[name] = best[1:]
    rates = dict.fromkeys(sides, 0.0)
    for _ in range(args.rounds):
        for name, (run, orders) in sides.items():
            size, order = plan[name]
            before = time.perf_counter()
            run(orders[order], size)
            rates[name] = max(rates[name], total / (time.perf_counter() - before))
    mine = max(rate for name, rate in rates.items() if name.startswith("ours"))
    out = {"texts": len(texts), "tokens": total, "threads": args.threads,
           "load": float(open("/proc/loadavg", encoding="ascii").read().split()[0]),
           "tokens_per_s": {name: round(rate) for name, rate in rates.items()},
           "batch": {name: plan[name][0] for name in plan}, "ratio": {}}
    for peer in ("llama.cpp", "onnxruntime"):
        theirs = [rate for name, rate in rates.items() if name.startswith(peer)]
        if theirs:
            out["ratio"][peer] = round(mine / max(theirs), 3)
    if missing:
        out["missing"] = sorted(set(missing))
    print(json.dumps(out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
