#!/usr/bin/env python3
"""Time to the first token of a file in the page cache, and what memory that takes.

    load.py [--threads N] [--rounds N] [--prompt N] [--context N] [--backend B] MODEL.gguf

One JSON object. Each round starts a fresh process of either side, in turn: load
the file, compute a prompt of 16 tokens, hand out the first token. Seconds count
from after the imports, best of the rounds. Memory is sampled every 10 ms from
the child's smaps_rollup: the peak of Private_Dirty + Shmem (OpenCL buffers of a
CPU device are in it), less the file's size, as a share of the file's size; a
mapped file's clean pages do not count, repacked copies do. Below 0 the weights
were used where they lie.
"""
import argparse
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def ours(path, threads, prompt, context, backend):
    sys.path.insert(0, os.path.join(HERE, "..", "..", "bindings", "python"))
    import decai
    before = time.perf_counter()
    ctx = decai.Context({"base.threads": threads - 1})
    model = decai.Model.load(ctx, path, {"model.map": 1, "model.hash": 0})
    engine = decai.Engine(model, {"compute.backend": backend, "compute.fallback": 0, "infer.context": context})
    session = decai.Session(engine)
    session.add([5 + i for i in range(prompt)])
    session.next()
    print(time.perf_counter() - before, flush=True)


def peer(path, threads, prompt, context, _backend):
    import llama_cpp
    before = time.perf_counter()
    llm = llama_cpp.Llama(model_path=path, n_ctx=context, n_threads=threads, n_threads_batch=threads, n_batch=512,
                          flash_attn=True, verbose=False)
    llm.eval([5 + i for i in range(prompt)])
    llm.sample(temp=0.0)
    print(time.perf_counter() - before, flush=True)


def sample(pid):
    """Private_Dirty + Shmem of a process in bytes; 0 once it is gone."""
    total = 0
    try:
        with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
            for line in f:
                if line.startswith(("Private_Dirty:", "Pss_Shmem:")):
                    total += int(line.split()[1]) * 1024
    except (OSError, ProcessLookupError):
        pass
    return total


def one(arguments):
    child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--serve"] + arguments,
                             stdout=subprocess.PIPE, text=True)
    peak = 0
    while child.poll() is None:
        peak = max(peak, sample(child.pid))
        time.sleep(0.01)
    if child.returncode:
        raise SystemExit("%s failed" % arguments[0])
    return float(child.stdout.read()), peak


def main():
    if sys.argv[1:2] == ["--serve"]:
        kind, path, threads, prompt, context, backend = sys.argv[2:8]
        {"ours": ours, "peer": peer}[kind](path, int(threads), int(prompt), int(context), backend)
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt", type=int, default=16)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--backend", default="native")
    args = parser.parse_args()
    size = os.path.getsize(args.model)
    with open(args.model, "rb", buffering=0) as f:         # into the page cache
        while f.read(1 << 24):
            pass
    common = [args.model, str(args.threads), str(args.prompt), str(args.context), args.backend]
    sides = {"ours": [], "llama.cpp": []}
    try:
        import llama_cpp  # noqa: F401
    except ImportError:
        del sides["llama.cpp"]
    for _ in range(args.rounds):
        for side, runs in sides.items():
            runs.append(one(["ours" if side == "ours" else "peer"] + common))
    out = {"model": os.path.basename(args.model), "bytes": size, "threads": args.threads, "context": args.context,
           "load": float(open("/proc/loadavg", encoding="ascii").read().split()[0])}
    for side, runs in sides.items():
        peak = max(p for _, p in runs)
        out[side] = {"first_token_s": round(min(s for s, _ in runs), 3), "peak_bytes": peak,
                     "peak_over_file": round((peak - size) / size, 3)}
    if len(sides) == 2:
        out["ratio"] = round(out["llama.cpp"]["first_token_s"] / out["ours"]["first_token_s"], 3)
    else:
        out["peer"] = "llama-cpp-python is not installed"
    print(json.dumps(out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
