#!/usr/bin/env python3
"""A prompt whose beginning is known: from memory and from disk, beside computing it.

    serve_prefix.py [options] MODEL.gguf...
      --tokens N       tokens of the known beginning (4096)
      --threads N      (default: all cores)
      --rounds N       hits of each kind; the best counts (3)

Time to the first token after submission: of a prompt nobody knows; of the same once
more (pages in memory); of the same in a new process over the same folder (pages in
files, which the system has in memory; "cold_s" is the first of these, after the files'
pages were given back as far as the system does that). "memory_ratio" and "disk_ratio"
say how much faster than computing it, "gbps" what a disk hit read a second of all its
time, "cpu_gbps" of the processor time that it took more than one from memory.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from engine import load_average, prompt_of  # noqa: E402


def side(path, threads, tokens, folder, rounds):
    sys.path.insert(0, os.path.join(HERE, "..", "..", "bindings", "python"))
    import decai
    ctx = decai.Context({"base.threads": threads - 1})
    model = decai.Model.load(ctx, path, {"model.map": 1})
    engine = decai.Engine(model, {"compute.backend": "native", "infer.context": tokens + 72})
    vocab = json.loads(engine.format())["vocab"]
    prompt = prompt_of(tokens + 8, vocab)
    fresh = decai.Session(engine, {"infer.max_tokens": 1})      # buffers are there before the clock runs
    fresh.add(prompt[:8])
    fresh.next()

    def first_token(scheduler):
        session = decai.Session(engine, {"infer.max_tokens": 1, "infer.ignore_end": 1})
        before, cpu, shared, token = time.perf_counter(), time.process_time(), 0, None
        scheduler.submit(session, 1, 0, prompt)
        while (event := scheduler.next(0)) is not None:
            if event.kind == decai.EVENT_PROMPT:
                shared = event.value
            elif event.kind == decai.EVENT_TOKEN:
                took, cpu, token = time.perf_counter() - before, time.process_time() - cpu, event.value
            elif event.kind == decai.EVENT_FAILED:
                raise SystemExit("failed: %d" % event.value)
        return took, shared, token, cpu

    out = {"runs": []}
    for _ in range(rounds):
        scheduler = decai.Scheduler(engine, {"infer.prefix_dir": folder, "infer.prefix_bytes": 1 << 31})
        out["runs"].append(first_token(scheduler))
        out["memory"] = [first_token(scheduler) for _ in range(rounds)]
        said = json.loads(scheduler.format())
        out["loaded"], out["saved"] = said["prefix_loaded_bytes"], said["prefix_saved_bytes"]
        scheduler.close()
        if out["saved"]:
            break                                     # this one computed: the next rounds would load
    print(json.dumps(out))


def child(args, path, folder):
    return json.loads(subprocess.run([sys.executable, os.path.abspath(__file__), "--side", path, str(args.threads), str(args.tokens),
                                      folder, str(args.rounds)], stdout=subprocess.PIPE, text=True, check=True).stdout)


def forget(folder):
    """Written, and out of the system's memory where it lets go."""
    for name in os.listdir(folder):
        fd = os.open(os.path.join(folder, name), os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def measure(path, args):
    folder = tempfile.mkdtemp(prefix="decai-prefix-")
    try:
        before = load_average()
        first = child(args, path, folder)
        forget(folder)
        again = child(args, path, folder)
        tokens = {run[2] for run in first["runs"] + first["memory"] + again["runs"] + again["memory"]}
        computed, shared = first["runs"][0][0], first["memory"][0][1]
        memory, disk = min(r[0] for r in first["memory"]), min(r[0] for r in again["runs"])
        reading = min(r[3] for r in again["runs"]) - min(r[3] for r in again["memory"])
        print(json.dumps({
            "model": os.path.basename(path), "tokens": shared, "threads": args.threads, "load": [before, load_average()],
            "same_token": len(tokens) == 1, "computed_s": round(computed, 3), "memory_s": round(memory, 4),
            "disk_s": round(disk, 4), "cold_s": round(again["runs"][0][0], 4), "bytes": again["loaded"],
            "gbps": round(again["loaded"] / disk / 1e9, 3), "cpu_gbps": round(again["loaded"] / reading / 1e9, 3), "memory_ratio": round(computed / memory, 1),
            "disk_ratio": round(computed / disk, 1)}), flush=True)
    finally:
        shutil.rmtree(folder)


def main():
    if sys.argv[1:2] == ["--side"]:
        side(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], int(sys.argv[6]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    for path in args.models:
        measure(path, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
