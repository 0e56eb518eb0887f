#!/usr/bin/env python3
"""Many sequences at once: libdecai's scheduler and llama.cpp's batches, interleaved.

    serve_batch.py [options] MODEL.gguf...
      --batches LIST   sequences at once (8,16,32)
      --prompt N       prompt tokens of each (8)
      --decode N       tokens of each after its first (96)
      --threads N      threads of each side (default: all cores)
      --rounds N       rounds; the best of each side counts (3)
      --no-peer        ours alone

Tokens a second of all sequences together, while all of them decode (prompts are
not counted; the scheduler takes new ones in a few rows a step, so --decode must be well
above --batches, or the first have ended before the last begin). Each side is a process of its own, as in engine.py; the peer takes one
llama_batch a step, a row of every sequence, with flash attention on and off, and picks
each row's largest logit. One JSON object a model: rates, and "ratio", ours by the
peer's better one; "cpu_ratio" is the same by processor time, which other work on the
machine disturbs less (the peer's threads spin while they wait: say --threads 1). "alone"
is one sequence on our side, in the same run.
"""
import argparse
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from engine import load_average  # noqa: E402


def prompt_of(which, count, vocab):
    return [5 + (which * 977 + i * 7919) % min(vocab - 10, 2000) for i in range(count)]


def answer(load, run):
    state = load()
    print("ready", flush=True)
    for line in sys.stdin:
        sequences, prompt, decode = map(int, line.split())
        print("%r %r" % run(state, sequences, prompt, decode), flush=True)


def ours(path, threads, context):
    sys.path.insert(0, os.path.join(HERE, "..", "..", "bindings", "python"))
    import decai

    def load():
        ctx = decai.Context({"base.threads": threads - 1})
        model = decai.Model.load(ctx, path, {"model.map": 1, "model.hash": 0})
        engine = decai.Engine(model, {"compute.backend": "native", "infer.context": context})
        return engine, json.loads(engine.format())["vocab"]

    def run(state, sequences, prompt, decode):
        engine, vocab = state
        # Guesses would come true in the loops that synthetic models fall into, and say nothing.
        scheduler = decai.Scheduler(engine, {"infer.active": sequences, "infer.draft_max": 0})
        sessions = []
        for i in range(sequences):
            sessions.append(decai.Session(engine, {"infer.max_tokens": decode + 1, "infer.ignore_end": 1}))
            scheduler.submit(sessions[i], i + 1, 0, prompt_of(i, prompt, vocab))
        begun = given = 0
        started = cpu = None
        while (event := scheduler.next(0)) is not None:
            if event.kind == decai.EVENT_PROMPT:
                begun += 1
                if begun == sequences:            # from here on everybody decodes
                    started, cpu = time.perf_counter(), time.process_time()
            elif event.kind == decai.EVENT_TOKEN and started:
                given += 1
            elif event.kind == decai.EVENT_FINISHED and started:
                break                             # the first to end: the others' steps are not whole any more
            elif event.kind == decai.EVENT_FAILED:
                raise SystemExit("failed: %d" % event.value)
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        scheduler.close()
        return given / took, given / cpu

    answer(load, run)


def peer(path, flash, threads, context):
    import ctypes
    import llama_cpp
    import numpy

    silent = llama_cpp.llama_log_callback(lambda level, text, user: None)     # lives as long as it may be called

    def load():
        llama_cpp.llama_backend_init()
        llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
        params = llama_cpp.llama_model_default_params()
        model = llama_cpp.llama_model_load_from_file(path.encode(), params)
        vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        return model, vocab

    def run(state, sequences, prompt, decode):
        model, vocab = state
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = context * sequences
        params.n_batch = params.n_ubatch = 512
        params.n_seq_max = sequences
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = 1 if flash else 0
        params.kv_unified = True
        ctx = llama_cpp.llama_init_from_model(model, params)
        batch = llama_cpp.llama_batch_init(512, 0, 1)

        def put(at, token, pos, seq, logits):
            batch.token[at], batch.pos[at], batch.n_seq_id[at] = token, pos, 1
            batch.seq_id[at][0], batch.logits[at] = seq, logits

        def largest(at):
            logits = llama_cpp.llama_get_logits_ith(ctx, at)
            return int(numpy.ctypeslib.as_array(logits, shape=(vocab,)).argmax())

        tokens = []
        for seq in range(sequences):
            for i, token in enumerate(prompt_of(seq, prompt, vocab)):
                put(i, token, i, seq, i == prompt - 1)
            batch.n_tokens = prompt
            if llama_cpp.llama_decode(ctx, batch):
                raise SystemExit("llama_decode failed")
            tokens.append(largest(prompt - 1))
        before, cpu = time.perf_counter(), time.process_time()
        for step in range(decode):
            for seq in range(sequences):
                put(seq, tokens[seq], prompt + step, seq, 1)
            batch.n_tokens = sequences
            if llama_cpp.llama_decode(ctx, batch):
                raise SystemExit("llama_decode failed")
            tokens = [largest(seq) for seq in range(sequences)]
        took, cpu = time.perf_counter() - before, time.process_time() - cpu
        llama_cpp.llama_batch_free(batch)
        llama_cpp.llama_free(ctx)
        return decode * sequences / took, decode * sequences / cpu

    answer(load, run)


class Side:
    def __init__(self, name, arguments):
        self.name, self.best, self.cpu = name, {}, {}
        self.child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--side"] + arguments,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.child.stdout.readline().strip() != "ready":
            raise RuntimeError("%s did not start" % name)

    def run(self, sequences, prompt, decode):
        self.child.stdin.write("%d %d %d\n" % (sequences, prompt, decode))
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError("%s failed" % self.name)
        rate, cpu = map(float, line.split())
        self.best[sequences] = max(self.best.get(sequences, 0.0), rate)
        self.cpu[sequences] = max(self.cpu.get(sequences, 0.0), cpu)
        time.sleep(0.05)

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def measure(path, args):
    context = args.prompt + args.decode + 8
    batches = [int(b) for b in args.batches.split(",")]
    sides = [Side("ours", ["ours", path, str(args.threads), str(context)])]
    if not args.no_peer:
        for flash in (1, 0):
            sides.append(Side("llama.cpp" + ("+fa" if flash else ""), ["peer", path, str(flash), str(args.threads), str(context)]))
    before = load_average()
    for _ in range(args.rounds):
        for count in batches:
            for side in sides:
                side.run(count, args.prompt, args.decode)
        sides[0].run(1, args.prompt, args.decode)
    for side in sides:
        side.close()
    out = {"model": os.path.basename(path), "threads": args.threads, "rounds": args.rounds,
           "load": [before, load_average()], "alone_tps": round(sides[0].best[1], 2), "batches": {}}
    for count in batches:
        row = {s.name: round(s.best[count], 2) for s in sides}
        if len(sides) > 1:
            row["ratio"] = round(sides[0].best[count] / max(s.best[count] for s in sides[1:]), 3)
            row["cpu_ratio"] = round(sides[0].cpu[count] / max(s.cpu[count] for s in sides[1:]), 3)
        out["batches"][count] = row
    print(json.dumps(out), flush=True)


def main():
    if sys.argv[1:2] == ["--side"]:
        if sys.argv[2] == "ours":
            ours(sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
        else:
            peer(sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--batches", default="8,16,32")
    parser.add_argument("--prompt", type=int, default=8)
    parser.add_argument("--decode", type=int, default=96)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true")
    args = parser.parse_args()
    for path in args.models:
        measure(path, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
