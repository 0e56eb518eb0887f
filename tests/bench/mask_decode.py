#!/usr/bin/env python3
"""What a grammar adds to a decode step: mask_decode.py [options] MODEL.gguf...

      --steps N     decode steps timed without a grammar (24)
      --rounds N    rounds of them; the median counts (3)
      --batch N     sequences of the batched steps (8)

One model decodes on one thread without a grammar; in the same process the masks of the
answers of grammar.py's CASES are made: a grammar's first answer, where masks are worked
out, and later ones, where they are remembered. All by processor time, so the shares hold
for one thread; with more threads a step is shorter and a mask is not. "whole" is the other
way round: an answer drawn under a grammar (a model of random weights says random
characters), one step with it and without, in the same run. In a batch each sequence has
a mask of its own: "batch_step_us" is a step of all of them, by its sequences.

One JSON object a model: step_us; by case: tokens, make_us, first_us, first_worst_us,
later_us a mask, and first and later as shares of a step in percent.
"""
import argparse
import json
import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "..", "bindings", "python"))
import decai  # noqa: E402
from engine import load_average, prompt_of  # noqa: E402
from grammar import CASES, Ours, measure  # noqa: E402


def steps(session, count, vocab):
    """Microseconds of processor time a token, after one that pays for the prompt."""
    session.start()
    session.add(prompt_of(32, vocab))
    session.next()
    before, made = time.process_time(), 0
    while made < count and session.next() is not None:
        made += 1
    return (time.process_time() - before) / max(made, 1) * 1e6


def batch(engine, vocab, sequences, count, grammar):
    """The same of a step of many sequences, by sequence."""
    scheduler = decai.Scheduler(engine, {"infer.prefix_bytes": 0})
    options = {"infer.max_tokens": count + 1} if grammar else {"infer.max_tokens": count + 1, "infer.ignore_end": 1}
    sessions = [decai.Session(engine, dict(options, **{"infer.seed": i, "infer.temperature": 1.0})) for i in range(sequences)]
    for i, s in enumerate(sessions):
        if grammar:
            s.grammar_set(grammar)
        scheduler.submit(s, i + 1, 0, prompt_of(16, vocab)[i:])
    started, tokens, first = None, 0, set()
    while (event := scheduler.next(0)) is not None:
        if event.kind != decai.EVENT_TOKEN:
            continue
        first.add(event.request)
        if started:
            tokens += 1
        elif len(first) == sequences:
            started = time.process_time()
    spent = time.process_time() - started
    scheduler.close()
    return spent / max(tokens, 1) * 1e6


def run(path, args):
    ctx = decai.Context({"base.threads": 0})
    model = decai.Model.load(ctx, path, {"model.map": 1, "model.hash": 0})
    tokenizer = decai.Tokenizer(model)
    engine = decai.Engine(model, {"compute.backend": "native", "infer.context": 512})
    vocab = json.loads(engine.format())["vocab"]
    free = decai.Session(engine, {"infer.ignore_end": 1})
    steps(free, 4, vocab)                                   # pages of the model are touched
    out = {"model": os.path.basename(path), "vocab": vocab, "load": [load_average()], "cases": {}}
    side, rows, each = Ours(tokenizer), {}, []
    for name, (schema, answer) in CASES.items():
        ids = tokenizer.encode(answer, 0)
        rows[name] = (len(ids), measure(side, schema, ids, 3))
        if len(each) < args.rounds:
            each.append(steps(free, args.steps, vocab))
    step = out["step_us"] = statistics.median(each)
    for name, (tokens, (make, first, worst, later, _)) in rows.items():
        out["cases"][name] = {"tokens": tokens, "make_us": round(make), "first_us": round(first, 1), "first_worst_us": round(worst), "later_us": round(later, 2),
                              "first_percent": round(100 * first / step, 3), "later_percent": round(100 * later / step, 3)}
    out["first_percent_worst"] = max(c["first_percent"] for c in out["cases"].values())
    out["later_percent_worst"] = max(c["later_percent"] for c in out["cases"].values())

    def limits():
        return decai.Grammar(tokenizer, "json_schema", json.dumps(CASES["limits"][0]), None)

    bound, drawn = (decai.Session(engine, {"infer.temperature": 1.0, "infer.seed": 3, "infer.ignore_end": i}) for i in (0, 1))
    bound.grammar_set(limits())
    each = {"first_us": [], "later_us": [], "without_us": []}
    for _ in range(args.rounds):
        each["without_us"].append(steps(drawn, args.steps, vocab))
        each["later_us"].append(steps(bound, args.steps, vocab))
        bound.start()
        bound.grammar_set(limits())
        each["first_us"].append(steps(bound, args.steps, vocab))
    out["whole"] = {k: statistics.median(v) for k, v in each.items()}
    if args.batch:
        batch(engine, vocab, args.batch, args.steps, None)
        grammar = limits()
        out["batch"] = {"sequences": args.batch, "first_us": batch(engine, vocab, args.batch, args.steps, grammar),
                        "later_us": batch(engine, vocab, args.batch, args.steps, grammar), "without_us": batch(engine, vocab, args.batch, args.steps, None)}
    out["load"].append(load_average())
    print(json.dumps(out, indent=1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()
    for path in args.models:
        run(path, args)


if __name__ == "__main__":
    main()
