#!/usr/bin/env python3
"""What a long prompt costs the others.

    serve_latency.py [options] MODEL.gguf...
      --long N         tokens of the long prompt (4096)
      --short N        tokens of the short one (16)
      --threads N      (default: all cores)
      --rounds N       (3)

"alone_s" is the time to the first token of the short prompt with nobody else there,
"beside_s" while the long prompt is being computed, submitted from another thread at a
random moment; "step_s" one decode step alone. "more_steps" is what the long prompt
costs the short one, in decode steps (the bar: at most 2). "gap_steps" is the longest
wait of a session between two of its tokens while a long prompt is computed beside it,
in its own steps without. Best of the rounds each, so that other work on the machine
disturbs less; everything is in one process.
"""
import argparse
import json
import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from engine import load_average, prompt_of  # noqa: E402

sys.path.insert(0, os.path.join(HERE, "..", "..", "bindings", "python"))
import decai  # noqa: E402


class Run:
    def __init__(self, engine, vocab):
        self.engine, self.vocab = engine, vocab
        self.scheduler = decai.Scheduler(engine, {"infer.prefix_bytes": 0, "infer.draft_max": 0})
        self.submitted, self.sessions = {}, []

    def submit(self, request, tokens, most):
        session = decai.Session(self.engine, {"infer.max_tokens": most, "infer.ignore_end": 1})
        self.sessions.append(session)
        prompt = prompt_of(tokens, self.vocab)
        self.submitted[request] = time.perf_counter()
        self.scheduler.submit(session, request, 0, prompt)

    def pull(self, until):
        """Events with their times, until one satisfies."""
        while (event := self.scheduler.next(-1)) is not None:
            now = time.perf_counter()
            if event.kind == decai.EVENT_FAILED:
                raise SystemExit("failed: %d" % event.value)
            if until(event, now):
                return now
        raise SystemExit("nothing left")

    def close(self):
        self.scheduler.close()


def first_token(run, request):
    at = run.pull(lambda e, now: e.request == request and e.kind == decai.EVENT_TOKEN)
    return at - run.submitted[request]


def alone(engine, vocab, short):
    run = Run(engine, vocab)
    run.submit(1, short, 12)
    took, stamps = first_token(run, 1), []
    run.pull(lambda e, now: stamps.append(now) or e.kind == decai.EVENT_FINISHED)
    run.close()
    return took, min(b - a for a, b in zip(stamps, stamps[1:-1]))


def beside(engine, vocab, short, long, wait):
    """The short prompt comes from another thread, somewhere inside a pass of the long one."""
    run = Run(engine, vocab)
    run.submit(1, long, 1)
    run.pull(lambda e, now: e.kind == decai.EVENT_PROGRESS)
    timer = threading.Timer(wait, run.submit, (2, short, 2))
    timer.start()
    took = first_token(run, 2)
    timer.join()
    run.close()
    return took


def gap(engine, vocab, long):
    run, stamps, plain = Run(engine, vocab), [], []
    run.submit(1, 8, 400)
    run.pull(lambda e, now: plain.append(now) or len(plain) == 14)
    run.submit(2, long, 1)
    run.pull(lambda e, now: (e.request == 1 and stamps.append(now)) or e.request == 2 and e.kind == decai.EVENT_PROMPT or len(stamps) > 60)
    run.close()
    step = sorted(b - a for a, b in zip(plain[2:], plain[3:]))[5]
    waits = sorted(b - a for a, b in zip(stamps, stamps[1:]))
    return waits[-1] / step, waits[len(waits) // 2] / step


def measure(path, args):
    ctx = decai.Context({"base.threads": args.threads - 1})
    model = decai.Model.load(ctx, path, {"model.map": 1, "model.hash": 0})
    engine = decai.Engine(model, {"compute.backend": "native", "infer.context": args.long + 512})
    vocab = json.loads(engine.format())["vocab"]
    before, dice = load_average(), random.Random(7)
    short, other, gaps, middle, step = 1e9, 1e9, 1e9, 1e9, 1e9
    alone(engine, vocab, args.short)
    for _ in range(args.rounds):
        took, one = alone(engine, vocab, args.short)
        short, step = min(short, took), min(step, one)
        other = min(other, beside(engine, vocab, args.short, args.long, dice.random() * 4 * one))
        longest, median = gap(engine, vocab, args.long)
        gaps, middle = min(gaps, longest), min(middle, median)
    print(json.dumps({"model": os.path.basename(path), "long": args.long, "short": args.short, "threads": args.threads,
                      "load": [before, load_average()], "step_s": round(step, 4), "alone_s": round(short, 4),
                      "beside_s": round(other, 4), "more_steps": round((other - short) / step, 2),
                      "gap_steps": round(gaps, 2), "gap_median_steps": round(middle, 2)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--long", type=int, default=4096)
    parser.add_argument("--short", type=int, default=16)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    for path in args.models:
        measure(path, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
