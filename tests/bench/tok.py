#!/usr/bin/env python3
"""Encoding, decoding and loading beside the peers, one thread, in turns, best of N:
  python3 tests/bench/tok.py [--mixed FILE] [--multilingual FILE] [--rounds N]
Needs a built library, the vectors, and from PyPI what of tokenizers, tiktoken and
llama-cpp-python is to be compared. Time is the processor's, so that other work on
the machine counts less. Without files the text is Python's own library, and made.
Prints one JSON object; *_x is how many times faster this library is."""
import argparse
import json
import os
import resource
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)
sys.path[:0] = [os.path.join(ROOT, "bindings", "python"), os.path.join(ROOT, "tests", "python")]
os.environ.setdefault("DECAI_LIBRARY", os.path.join(ROOT, "build", "release", "libdecai.so"))
import ctypes    # noqa: E402

import decai     # noqa: E402
import tok_peers  # noqa: E402

VECTORS = os.path.join(os.environ.get("DECAI_VECTORS", "../shared/vectors"), "tokenizers")


def cpu():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return r.ru_utime + r.ru_stime


def encoder(t, raw):
    """The call itself, ids into memory that is there: what a C program does."""
    room = (ctypes.c_int32 * (len(raw) + 16))()
    n = ctypes.c_size_t()
    call = decai._lib.decai_tokenizer_encode

    def run():
        code = call(t._as_parameter_, room, ctypes.c_size_t(len(room)), ctypes.byref(n), raw, ctypes.c_size_t(len(raw)), 0)
        assert code == 0
        return room, n.value
    return run


def decoder(t, ids, count, size):
    room = ctypes.create_string_buffer(4 * size + 64)
    n = ctypes.c_size_t()

    def run():
        assert decai._lib.decai_tokenizer_decode(t._as_parameter_, room, ctypes.c_size_t(len(room)), ctypes.byref(n), ids,
                                                 ctypes.c_size_t(count), 0) == 0
    return run


def best(rounds, runs):
    """{name: seconds}: each in turn, so that all see the same machine."""
    out = {}
    for _ in range(rounds):
        for name, run in runs.items():
            a = cpu()
            run()
            out[name] = min(out.get(name, 1e9), cpu() - a)
    return out


def one(context, name, text, rounds):
    raw = text.encode()
    parts = [text[i:i + 50000] for i in range(0, len(text), 50000)]
    t = tok_peers.ours(context, VECTORS, name)
    ours = encoder(t, raw)
    ids, count = ours()
    runs = {"decai": ours, "decode": decoder(t, ids, count, len(raw))}
    hf = tok_peers.hugging_face(VECTORS, name) if tok_peers.hugging_face and name in tok_peers.HUGGING_FACE else None
    tk = tok_peers.tiktoken(VECTORS, name) if tok_peers.tiktoken and name in tok_peers.TIKTOKEN else None
    if hf:
        runs["tokenizers"] = lambda: [hf(p) for p in parts]
    if tk:
        runs["tiktoken"] = lambda: [tk(p) for p in parts]
    seconds = best(rounds, runs)
    row = {"encode_mbps": len(raw) / 1e6 / seconds["decai"], "decode_mbps": len(raw) / 1e6 / seconds["decode"]}
    for peer in ("tokenizers", "tiktoken"):
        if peer in seconds:
            row[peer + "_mbps"] = len(raw) / 1e6 / seconds[peer]
            row[peer + "_x"] = seconds[peer] / seconds["decai"]
    # The first text of a tokenizer: nothing has been seen yet.
    fresh = []
    for _ in range(rounds):
        t = tok_peers.ours(context, VECTORS, name)
        run = encoder(t, raw)
        a = cpu()
        run()
        fresh.append(cpu() - a)
    row["encode_first_mbps"] = len(raw) / 1e6 / min(fresh)
    return row


def loads(name, rounds):
    runs = {"decai": lambda: tok_peers.ours(decai.Context(), VECTORS, name)}
    if tok_peers.llama_cpp:
        runs["llama.cpp"] = lambda: tok_peers.llama_cpp(VECTORS, name)
    seconds = best(rounds, runs)
    row = {"load_ms": seconds["decai"] * 1e3}
    if "llama.cpp" in seconds:
        row.update({"llama_cpp_ms": seconds["llama.cpp"] * 1e3, "llama_cpp_x": seconds["llama.cpp"] / seconds["decai"]})
    return row


def worst(context, name, normal):
    t = tok_peers.ours(context, VECTORS, name)
    rows = {}
    for label, unit in (("a", b"a"), ("space", b" "), ("digit", b"7"), ("sign", b"!"), ("mark", "\u0301".encode()), ("invalid", b"\xff"),
                        ("nul", b"\0"), ("letters", b"qzjxkvwy")):
        raw = (unit * (1 << 24))[:1 << 24]
        run = encoder(t, raw)
        seconds = best(1, {"x": run})["x"]
        rows[label] = {"mbps": len(raw) / 1e6 / seconds, "slower_x": normal / (len(raw) / 1e6 / seconds)}
    return rows


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--mixed")
    p.add_argument("--multilingual")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--names", default="llama-bpe,qwen2,o200k,gpt-2,deepseek-llm,llama-spm,bert-bge,nomic-bert-moe,gemma-4")
    a = p.parse_args()
    mixed = open(a.mixed, encoding="utf-8", errors="replace").read() if a.mixed else "".join(tok_peers.texts(1, 3_000_000))
    multi = open(a.multilingual, encoding="utf-8", errors="replace").read() if a.multilingual else "".join(tok_peers.texts(2, 1_000_000))
    context = decai.Context()
    out = {"load": os.getloadavg()[0]}
    for name in a.names.split(","):
        row = one(context, name, mixed, a.rounds)
        row["multilingual_mbps"] = one(context, name, multi[:1 << 22], 1)["encode_mbps"] if multi else None
        if name != "o200k":
            row.update(loads(name, a.rounds))
        out[name] = row
        print(name, {k: round(v, 2) for k, v in row.items()}, file=sys.stderr)
    out["worst"] = worst(context, "llama-bpe", out["llama-bpe"]["encode_mbps"]) if "llama-bpe" in out else None
    print(json.dumps(out))


if __name__ == "__main__":
    main()
