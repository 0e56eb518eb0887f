#!/usr/bin/env python3
"""Text that repeats itself: guesses from what was said before, beside llama.cpp's
lookup decoding.

    speculate.py [options] MODEL.gguf...
      --tokens N       tokens generated (96)
      --threads N      threads of each side (default: all cores)
      --rounds N       rounds; the best of each side counts (3)
      --bias LIST      what both sides may say, as ids (11,13,17,19): they repeat it
      --no-peer        ours alone

A synthetic model says nothing that repeats a source, so both sides are held to a few
tokens by the same biases, and repeat themselves as an edit repeats its text. Each
side is a process of its own. "ratio" is ours by the peer's lookup decoding (the best
of 4 and 10 guessed tokens), "gain" ours with guesses by ours without, "peer_gain" the
same of the peer; "cpu_ratio" the ratio by processor time. "right" is the share of our
guesses that came true; "same" that our tokens are those without guesses.
"""
import argparse
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from engine import load_average, prompt_of  # noqa: E402


def answer(run):
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(int(line))), flush=True)


def ours(path, draft, threads, bias):
    sys.path.insert(0, os.path.join(HERE, "..", "..", "bindings", "python"))
    import decai
    ctx = decai.Context({"base.threads": threads - 1})
    model = decai.Model.load(ctx, path, {"model.map": 1, "model.hash": 0})
    engine = decai.Engine(model, {"compute.backend": "native", "infer.context": 1024})
    vocab = json.loads(engine.format())["vocab"]

    def run(count):
        scheduler = decai.Scheduler(engine, {"infer.draft_max": draft, "infer.prefix_bytes": 0})
        session = decai.Session(engine, {"infer.max_tokens": count + 1, "infer.ignore_end": 1,
                                         "infer.logit_bias": ",".join("%s:1000" % b for b in bias)})
        scheduler.submit(session, 1, 0, prompt_of(32, vocab))
        tokens, started = [], None
        while (event := scheduler.next(0)) is not None:
            if event.kind == decai.EVENT_TOKEN:
                tokens.append(event.value)
                if not started:
                    started, cpu = time.perf_counter(), time.process_time()
            elif event.kind == decai.EVENT_FAILED:
                raise SystemExit("failed: %d" % event.value)
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        said = json.loads(scheduler.format())
        scheduler.close()
        return {"tps": count / took, "cpu": count / cpu, "tokens": tokens, "drafted": said["drafted"], "right": said["draft_right"]}

    answer(run)


def peer(path, draft, threads, bias):
    import llama_cpp
    from llama_cpp.llama_speculative import LlamaPromptLookupDecoding
    guess = LlamaPromptLookupDecoding(num_pred_tokens=draft) if draft else None
    llm = llama_cpp.Llama(model_path=path, n_ctx=1024, n_threads=threads, n_threads_batch=threads, verbose=False,
                          draft_model=guess, logits_all=bool(draft))
    keep = [int(b) for b in bias]

    def only(ids, scores):
        scores[keep] += 1000.0
        return scores

    def run(count):
        tokens, started = [], None
        llm.reset()
        for token in llm.generate(prompt_of(32, llm.n_vocab()), temp=0.0, repeat_penalty=1.0,
                                  logits_processor=llama_cpp.LogitsProcessorList([only])):
            tokens.append(int(token))
            if not started:
                started, cpu = time.perf_counter(), time.process_time()
            if len(tokens) > count:
                break
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        return {"tps": count / took, "cpu": count / cpu, "tokens": tokens}

    answer(run)


class Side:
    def __init__(self, kind, path, draft, args):
        self.kind, self.draft, self.best, self.cpu = kind, draft, 0.0, 0.0
        self.child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--side", kind, path, str(draft), str(args.threads),
                                       args.bias], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.child.stdout.readline().strip() != "ready":
            raise RuntimeError("%s %d did not start" % (kind, draft))

    def run(self, count):
        self.child.stdin.write("%d\n" % count)
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError("%s %d failed" % (self.kind, self.draft))
        self.last = json.loads(line)
        self.best, self.cpu = max(self.best, self.last["tps"]), max(self.cpu, self.last["cpu"])

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def measure(path, args):
    sides = [Side("ours", path, 8, args), Side("ours", path, 0, args)]
    if not args.no_peer:
        sides += [Side("peer", path, 10, args), Side("peer", path, 4, args), Side("peer", path, 0, args)]
    before = load_average()
    for _ in range(args.rounds):
        for side in sides:
            side.run(args.tokens)
    for side in sides:
        side.close()
    with_, without = sides[0], sides[1]
    out = {"model": os.path.basename(path), "threads": args.threads, "tokens": args.tokens, "load": [before, load_average()],
           "ours_tps": round(with_.best, 2), "gain": round(with_.best / without.best, 3), "gain_cpu": round(with_.cpu / without.cpu, 3),
           "same": with_.last["tokens"] == without.last["tokens"],
           "right": round(with_.last["right"] / max(1, with_.last["drafted"]), 3), "drafted": with_.last["drafted"]}
    if not args.no_peer:
        lookup = max(s.best for s in sides[2:4])
        out.update({"peer_tps": round(lookup, 2), "ratio": round(with_.best / lookup, 3),
                    "cpu_ratio": round(with_.cpu / max(s.cpu for s in sides[2:4]), 3), "peer_gain": round(lookup / sides[4].best, 3),
                    "agreed": sum(a == b for a, b in zip(with_.last["tokens"], sides[4].last["tokens"]))})
    print(json.dumps(out), flush=True)


def main():
    if sys.argv[1:2] == ["--side"]:
        (ours if sys.argv[2] == "ours" else peer)(sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6].split(","))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--bias", default="11,13,17,19")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true")
    args = parser.parse_args()
    for path in args.models:
        measure(path, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
