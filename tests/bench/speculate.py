#!/usr/bin/env python3
"""What guessing ahead gives, on models that say a given text at a real one's cost
(says.py), beside llama.cpp.

    speculate.py [options] [TEXT...]      edit rename quote prose (all)
      --draft LIST     shares in which a draft model's text differs (0.2,0.3), by a draft
                       model of 100m; "same": one as large as its model
      --size NAME      1b, 100m, micro (1b)
      --prompt N       tokens of the prompt at most (700)
      --tokens N       tokens generated (300)
      --threads N      threads of each side (1: those of llama.cpp wait for each other
                       busily, and say nothing where other programs run)
      --rounds N       rounds; the best of each side counts (2)
      --sessions N     of ours side by side (1); the peer has one
      --folder DIR     where the models are written (a temporary one)
      --no-peer        ours alone

Without --draft guesses come from the text, beside llama.cpp's lookup decoding (the
better of 4 and 10 guessed tokens); with it, from a second model on both sides. Each
side is a process of its own, and they go in turn. "ratio" is ours by the peer's,
"gain" ours with guesses by ours without, "peer_gain" the same of the peer, "_cpu" the
same by processor time. "right" is the share of our guesses that came true, "pass" the
tokens a step, "same" that our tokens are those without guesses, "says" the share of
them that is the text.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from engine import load_average  # noqa: E402


class Clock:
    """Rates from the first token on."""
    def __init__(self):
        self.wall = None

    def start(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def rates(self, count):
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        return {"tps": count / wall, "cpu": count / cpu}


def ours(spec, prompt, context):
    sys.path.insert(0, os.path.join(HERE, "..", "..", "bindings", "python"))
    import decai
    ctx = decai.Context({"base.threads": spec["threads"] - 1})

    def engine_of(path):
        model = decai.Model.load(ctx, path, {"model.map": 1, "model.hash": 0})
        return decai.Engine(model, {"compute.backend": "native", "infer.context": context})

    engine = engine_of(spec["path"])
    scheduler = decai.Scheduler(engine, {"infer.draft_max": spec["guesses"], "infer.prefix_bytes": 1 << 30})
    if spec["draft"]:
        scheduler.draft_set(engine_of(spec["draft"]))

    def run(count):
        said, clock, before = [], Clock(), json.loads(scheduler.format())
        sessions = [decai.Session(engine, {"infer.max_tokens": count + 1, "infer.ignore_end": 1}) for _ in range(spec["sessions"])]
        for i, session in enumerate(sessions):
            scheduler.submit(session, i + 1, 0, prompt)
        while (event := scheduler.next(0)) is not None:
            if event.kind == decai.EVENT_TOKEN:
                said += [event.value] if event.request == 1 else []
                if not clock.wall:
                    clock.start()
                    steps = json.loads(scheduler.format())["steps"]
            elif event.kind == decai.EVENT_FAILED:
                raise SystemExit("failed: %d" % event.value)
        told = json.loads(scheduler.format())
        out = clock.rates(count * len(sessions))
        since = {key: told[key] - before[key] for key in ("drafted", "draft_right")}
        return {**out, "tokens": said, "drafted": since["drafted"], "right": since["draft_right"], "steps": told["steps"] - steps,
                "costs": told["pass_costs"], "model_cost": told["model_cost"]}

    return run


def peer(spec, prompt, context):
    import llama_cpp
    import numpy
    from llama_cpp.llama_speculative import LlamaDraftModel, LlamaPromptLookupDecoding

    def load(path, guess=None):
        return llama_cpp.Llama(model_path=path, n_ctx=context, n_threads=spec["threads"], n_threads_batch=spec["threads"],
                               verbose=False, draft_model=guess, logits_all=guess is not None)

    class Smaller(LlamaDraftModel):
        def __init__(self):
            self.llm = load(spec["draft"])

        def __call__(self, input_ids, /, **kwargs):
            said = self.llm.generate([int(i) for i in input_ids], temp=0.0, repeat_penalty=1.0)
            return numpy.array([next(said) for _ in range(spec["guesses"])], dtype=numpy.intc)

    guess = None
    if spec["guesses"]:
        guess = Smaller() if spec["draft"] else LlamaPromptLookupDecoding(num_pred_tokens=spec["guesses"])
    llm = load(spec["path"], guess)

    def run(count):
        said, clock = [], Clock()
        for token in llm.generate(prompt, temp=0.0, repeat_penalty=1.0):
            said.append(int(token))
            if not clock.wall:
                clock.start()
            if len(said) > count:
                break
        return {**clock.rates(count), "tokens": said}

    return run


def answer(spec):
    with open(spec["path"] + ".json", encoding="utf-8") as f:
        text = json.load(f)
    run = (ours if spec["kind"] == "ours" else peer)(spec, text["prompt"], text["context"])
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(int(line))), flush=True)


class Side:
    def __init__(self, kind, guesses, path, args, draft=None):
        self.name, self.best, self.cpu = "%s %d" % (kind, guesses), 0.0, 0.0
        spec = {"kind": kind, "guesses": guesses, "path": path, "draft": draft, "threads": args.threads, "sessions": args.sessions}
        self.child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--side", json.dumps(spec)],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.child.stdout.readline().strip() != "ready":
            raise RuntimeError("%s did not start" % self.name)

    def run(self, count):
        self.child.stdin.write("%d\n" % count)
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError("%s failed" % self.name)
        self.last = json.loads(line)
        self.best, self.cpu = max(self.best, self.last["tps"]), max(self.cpu, self.last["cpu"])

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def ratio(a, b):
    return round(a / b, 3)


def measure(path, args, draft=None):
    """Ours with guesses and without, then the peer's, the last of them without."""
    sides = [Side("ours", 31, path, args, draft), Side("ours", 0, path, args)]
    if not args.no_peer:
        sides += [Side("peer", n, path, args, draft) for n in ((4, 8) if draft else (10, 4))] + [Side("peer", 0, path, args)]
    before = load_average()
    for _ in range(args.rounds):
        for side in sides:
            side.run(args.tokens)
    for side in sides:
        side.close()
    with open(path + ".json", encoding="utf-8") as f:
        text = json.load(f)["answer"]
    with_, without, said = sides[0], sides[1], sides[1].last["tokens"]
    out = {"threads": args.threads, "tokens": args.tokens, "load": [before, load_average()], "ours_tps": round(with_.best, 2),
           "gain": ratio(with_.best, without.best), "gain_cpu": ratio(with_.cpu, without.cpu), "same": with_.last["tokens"] == said,
           "says": ratio(sum(a == b for a, b in zip(said, text)), len(said)), "drafted": with_.last["drafted"],
           "right": ratio(with_.last["right"], max(1, with_.last["drafted"])),
           "costs": with_.last["costs"], **({"model_cost": with_.last["model_cost"]} if draft else {}),
           "pass": ratio(args.tokens * args.sessions, max(1, with_.last["steps"]))}
    if not args.no_peer:
        guessing, alone = sides[2:-1], sides[-1]
        out.update({"peer_tps": round(max(s.best for s in guessing), 2), "ratio": ratio(with_.best, max(s.best for s in guessing)),
                    "ratio_cpu": ratio(with_.cpu, max(s.cpu for s in guessing)), "peer_gain": ratio(max(s.best for s in guessing), alone.best),
                    "ratio_without": ratio(without.best, alone.best), "agreed": ratio(sum(a == b for a, b in zip(said, alone.last["tokens"])), len(said))})
    return out


def texts_of(args, folder):
    import says
    for name in args.texts:
        prompt, said = says.tokens_of(name, args.vocab, args.prompt, args.tokens + 1)
        if len(said) <= args.tokens:
            raise SystemExit("speculate: %s has %d tokens only" % (name, len(said)))
        path = os.path.join(folder, "says.gguf")
        says.write(path, args.vocab, prompt, said, args.size)
        if args.draft is None:
            yield name, None, path, None
        for share in args.draft.split(",") if args.draft else []:
            small = os.path.join(folder, "small.gguf")
            if share == "same":
                small = path
            else:
                says.write(small, args.vocab, prompt, says.spoiled(said, float(share)), "100m" if args.size == "1b" else "micro")
            yield name, share, path, small


def main():
    if sys.argv[1:2] == ["--side"]:
        answer(json.loads(sys.argv[2]))
        return 0
    import says
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", default=["edit", "rename", "quote", "prose"])
    parser.add_argument("--draft")
    parser.add_argument("--size", choices=sorted(says.SIZES), default="1b")
    parser.add_argument("--vocab", default=says.default_vocab())
    parser.add_argument("--prompt", type=int, default=700)
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--folder")
    parser.add_argument("--no-peer", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, share, path, small in texts_of(args, args.folder or folder):
            head = {"text": name, "size": args.size, **({"draft": share} if share else {}), "sessions": args.sessions}
            print(json.dumps({**head, **measure(path, args, small)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
