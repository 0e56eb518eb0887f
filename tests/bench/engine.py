#!/usr/bin/env python3
"""Prefill and decode of one file: libdecai and llama.cpp, interleaved in one run.

    engine.py [options] MODEL.gguf...
      --threads N      threads of each side (default: all cores)
      --prefill N      prompt tokens (512)
      --decode N       tokens generated after it (64)
      --rounds N       rounds; the best of each side counts (5)
      --backends LIST  ours: native,opencl,native+tree,native+q8 (default native)
      --no-peer        ours alone

One JSON object a model on stdout. Each side lives in a process of its own that
has loaded the model once and waits on a pipe, so that one side's idle threads
do not run in the other's time; a round is one prefill and one decode of every
side, in turn. The peer runs with flash attention on and off; its better result
counts. "ratio" is ours by the peer's best. "load" is the machine's load average
before and after: on a loaded machine the ratio says something, the rates nothing.

Backends may carry marks: native+tree commits activations, native+q8 keeps KV in
q8_0, native+two has two-level activation scales.
"""
import argparse
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def prompt_of(count, vocab):
    """Seeded ids that every vocabulary has; the same on both sides."""
    return [5 + i * 7919 % min(vocab - 10, 2000) for i in range(count)]


# ---- the two sides, each in a child process -------------------------------------

def serve(load, prefill, decode):
    """Answer 'prefill N' and 'decode N' with seconds, one line each."""
    state = load()
    print("ready", flush=True)
    for line in sys.stdin:
        verb, count = line.split()
        run = prefill if verb == "prefill" else decode
        print(repr(run(state, int(count))), flush=True)


def ours(path, backend, threads, context):
    sys.path.insert(0, os.path.join(HERE, "..", "..", "bindings", "python"))
    import decai
    name, *marks = backend.split("+")
    engine_options = {"compute.backend": name, "compute.fallback": 0, "infer.context": context, "infer.batch": 256}
    if "q8" in marks:
        engine_options["infer.kv_type"] = "q8_0"
    if "two" in marks:
        engine_options["infer.activation"] = "two_level"

    def load():
        ctx = decai.Context({"base.threads": threads - 1})
        model = decai.Model.load(ctx, path, {"model.map": 1, "model.hash": 0})
        engine = decai.Engine(model, engine_options)
        session = decai.Session(engine, {"infer.activation_tree": 1} if "tree" in marks else {})
        return session, json.loads(engine.format())["vocab"]

    def prefill(state, count):
        session, vocab = state
        session.start()
        before = time.perf_counter()
        session.add(prompt_of(count, vocab))
        if session.next() is None:
            raise SystemExit("the model ended at once")
        return time.perf_counter() - before

    def decode(state, count):
        session, vocab = state
        before = time.perf_counter()
        for _ in range(count):
            if session.next() is None:            # an end of text is talked over
                session.add([7])
        return time.perf_counter() - before

    serve(load, prefill, decode)


def peer(path, flash, threads, context):
    import llama_cpp

    def load():
        return llama_cpp.Llama(model_path=path, n_ctx=context, n_threads=threads, n_threads_batch=threads,
                               n_batch=512, n_ubatch=512, flash_attn=bool(flash), verbose=False)

    def prefill(llm, count):
        llm.reset()
        before = time.perf_counter()
        llm.eval(prompt_of(count, llm.n_vocab()))
        llm.sample(temp=0.0)
        return time.perf_counter() - before

    def decode(llm, count):
        before = time.perf_counter()
        for _ in range(count):
            llm.eval([llm.sample(temp=0.0)])
        return time.perf_counter() - before

    serve(load, prefill, decode)


# ---- the run -------------------------------------------------------------------

class Side:
    """One child process and its best times."""

    def __init__(self, name, arguments):
        self.name, self.best, self.load_s = name, {}, 0.0
        before = time.perf_counter()
        self.child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--serve"] + arguments,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.child.stdout.readline().strip() != "ready":
            raise RuntimeError("%s did not start" % name)
        self.load_s = time.perf_counter() - before

    def run(self, verb, count):
        self.child.stdin.write("%s %d\n" % (verb, count))
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError("%s: %s failed" % (self.name, verb))
        rate = count / float(line)
        self.best[verb] = max(self.best.get(verb, 0.0), rate)
        time.sleep(0.05)                          # idle threads of this side go to sleep

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def load_average():
    return float(open("/proc/loadavg", encoding="ascii").read().split()[0])


def measure(path, args):
    context = args.prefill + args.decode + 72
    sides, missing = [], None
    for backend in args.backends.split(","):
        sides.append(Side(backend, ["ours", path, backend, str(args.threads), str(context)]))
    if not args.no_peer:
        try:
            import llama_cpp
            for flash in (1, 0):
                sides.append(Side("llama.cpp" + ("+fa" if flash else ""),
                                  ["peer", path, str(flash), str(args.threads), str(context)]))
            version = llama_cpp.__version__
        except ImportError:
            missing = "llama-cpp-python is not installed"
    before = load_average()
    for _ in range(args.rounds):
        for side in sides:
            side.run("prefill", args.prefill)
            side.run("decode", args.decode)
    for side in sides:
        side.close()
    out = {"model": os.path.basename(path), "bytes": os.path.getsize(path), "threads": args.threads,
           "prefill": args.prefill, "decode": args.decode, "rounds": args.rounds,
           "load": [before, load_average()], "sides": {}}
    peers = [s for s in sides if s.name.startswith("llama.cpp")]
    top = {verb: max((s.best[verb] for s in peers), default=None) for verb in ("prefill", "decode")}
    for side in sides:
        row = {"prefill_tps": round(side.best["prefill"], 2), "decode_tps": round(side.best["decode"], 2),
               "decode_gbps": round(side.best["decode"] * out["bytes"] / 1e9, 2)}
        if peers and side not in peers:
            row["prefill_ratio"] = round(side.best["prefill"] / top["prefill"], 3)
            row["decode_ratio"] = round(side.best["decode"] / top["decode"], 3)
        out["sides"][side.name] = row
    if peers:
        out["peer"] = "llama-cpp-python " + version
    elif missing:
        out["peer"] = missing
    print(json.dumps(out), flush=True)


def main():
    if sys.argv[1:2] == ["--serve"]:
        kind, path, which, threads, context = sys.argv[2:7]
        (ours if kind == "ours" else peer)(path, which if kind == "ours" else int(which), int(threads), int(context))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--prefill", type=int, default=512)
    parser.add_argument("--decode", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backends", default="native")
    parser.add_argument("--no-peer", action="store_true")
    args = parser.parse_args()
    for path in args.models:
        measure(path, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
