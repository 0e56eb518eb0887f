#!/usr/bin/env python3
"""Tokens per second of llama.cpp (through llama-cpp-python) on the same file.

    infer_peer.py MODEL.gguf [threads [prompt [generate]]]

One JSON object on stdout; "peer missing" when the package is not installed.
Greedy, same token ids as tests/bench/infer.c, best of three rounds.
"""
import json
import sys
import time


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        import llama_cpp
    except ImportError:
        print("peer missing")
        return 0
    threads, prompt, generate = (int(a) for a in (sys.argv[2:5] + ["2", "128", "64"][len(sys.argv) - 2:]))
    llm = llama_cpp.Llama(model_path=sys.argv[1], n_ctx=prompt + generate + 1, n_threads=threads,
                          n_threads_batch=threads, n_batch=64, verbose=False)
    tokens = [5 + i * 7919 % 200 for i in range(prompt)]
    best = {"prefill_tps": 0.0, "decode_tps": 0.0}
    for _ in range(3):
        llm.reset()
        start = time.perf_counter()
        llm.eval(tokens)
        best["prefill_tps"] = max(best["prefill_tps"], prompt / (time.perf_counter() - start))
        start = time.perf_counter()
        for _ in range(generate):
            llm.eval([llm.sample(temp=0.0)])
        best["decode_tps"] = max(best["decode_tps"], generate / (time.perf_counter() - start))
    print(json.dumps({"peer": "llama.cpp", "version": llama_cpp.__version__, "threads": threads, **best}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
