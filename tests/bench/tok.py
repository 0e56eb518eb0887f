#!/usr/bin/env python3
"""Encoding, decoding and loading beside the peers, one thread, in turns, best of N:
  python3 tests/bench/tok.py [--names A,B] [--size BYTES] [--rounds N] [--no-peers] [--no-worst]
Needs a built library, the vectors, and from PyPI what of tokenizers, tiktoken and
llama-cpp-python is to be compared. The text is real (tests/python/tok_texts.py) and
in two halves that share no file:
  new      a tokenizer just loaded, the text never seen: what *_x compares
  warm     one that has encoded the other half, the text never seen
  again    the same text once more
Peers encode in their fastest documented way on documents of 16 KiB: encode_batch_fast
with one thread, encode_ordinary or encode_to_numpy. Time is this process's processor
time, so that other work on the machine counts less. Prints one JSON object; *_x is how
many times faster this library is."""
import argparse
import ctypes
import json
import os
import random
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)
sys.path[:0] = [os.path.join(ROOT, "bindings", "python"), os.path.join(ROOT, "tests", "python")]
os.environ.setdefault("DECAI_LIBRARY", os.path.join(ROOT, "build", "release", "libdecai.so"))
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import decai     # noqa: E402
import tok_peers  # noqa: E402
import tok_texts  # noqa: E402

VECTORS = os.path.join(os.environ.get("DECAI_VECTORS", "../shared/vectors"), "tokenizers")
NAMES = "llama-bpe,qwen2,o200k,gpt-2,deepseek-llm,llama-spm,bert-bge,nomic-bert-moe,gemma-4"
DOCUMENT = 16384
cpu = time.process_time


class Room:
    """Memory for ids, touched before it is measured."""

    def __init__(self, size):
        self.ids = (ctypes.c_int32 * size)()
        ctypes.memset(self.ids, 1, ctypes.sizeof(self.ids))
        self.len = ctypes.c_size_t()


def encode(t, room, raw):
    """The call itself, ids into memory that is there: what a C program does."""
    a = cpu()
    code = decai._lib.decai_tokenizer_encode(t._as_parameter_, room.ids, ctypes.c_size_t(len(room.ids)), ctypes.byref(room.len), raw,
                                             ctypes.c_size_t(len(raw)), 0)
    assert code == 0
    return cpu() - a


def decode(t, room, out):
    n = ctypes.c_size_t()
    a = cpu()
    assert decai._lib.decai_tokenizer_decode(t._as_parameter_, out, ctypes.c_size_t(len(out)), ctypes.byref(n), room.ids, room.len, 0) == 0
    return cpu() - a


def timed(run):
    a = cpu()
    run()
    return cpu() - a


def documents(text):
    raw = text.encode()
    return [raw[i:i + DOCUMENT].decode(errors="ignore") for i in range(0, len(raw), DOCUMENT)]


def spm_merges(t):
    """The merges of a SentencePiece vocabulary: each token from each two, by score."""
    scores = {x.decode(): s for x, s in zip(t["tokens"], t["scores"])}
    ids = {x.decode(): i for i, x in enumerate(t["tokens"])}
    out = []
    for x, s in scores.items():
        out += sorted(((-s, ids[x[:i]], ids[x[i:]], x[:i], x[i:]) for i in range(1, len(x)) if x[:i] in ids and x[i:] in ids), key=lambda y: y[1:3])
    return [(a, b) for _, _, _, a, b in sorted(out, key=lambda y: y[0])]


def hugging_face(name):
    """A tokenizers.Tokenizer, or None."""
    if not tok_peers.hugging_face:
        return None
    if name in tok_peers.HUGGING_FACE:
        return tok_peers.hugging_face(VECTORS, name).tokenizer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    if name == "llama-spm":
        t = tok_peers.tables(VECTORS, name)
        tok = Tokenizer(models.BPE(vocab={x.decode(): i for i, x in enumerate(t["tokens"])}, merges=spm_merges(t), byte_fallback=True,
                                   fuse_unk=True, unk_token="<unk>"))
        tok.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
        return tok
    if name == "nomic-bert-moe":
        t = tok_peers.tables(VECTORS, name)
        tok = Tokenizer(models.Unigram([(x.decode(), s) for x, s in zip(t["tokens"], t["scores"])], unk_id=t["unknown_token_id"]))
        tok.normalizer = normalizers.Precompiled(bytes(b & 255 for b in t["precompiled_charsmap"]))
        tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
        return tok
    if name == "o200k":
        t = tok_peers.tables(VECTORS, "llama-bpe")
        from tokenizers import Regex
        tok = Tokenizer(models.BPE(vocab={x.decode(): i for i, x in enumerate(t["tokens"])}, merges=[tuple(m.decode().split(" ", 1)) for m in t["merges"]]))
        tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(tok_peers.O200K), "isolated"),
                                                     pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        return tok
    return None


def peers(name, docs):
    out = {}
    hf = hugging_face(name)
    if hf:
        out["tokenizers"] = lambda: hf.encode_batch_fast(docs, add_special_tokens=False)
    if tok_peers.tiktoken and name in tok_peers.TIKTOKEN:
        tk = tok_peers.tiktoken(VECTORS, name)
        numpy = getattr(tk.__self__, "encode_to_numpy", None)
        out["tiktoken"] = lambda: [tk(d) for d in docs]
        try:
            numpy("a", disallowed_special=())
            out["tiktoken_numpy"] = lambda: [numpy(d, disallowed_special=()) for d in docs]
        except (ImportError, TypeError):
            pass
    return out


def against(a, name, text, theirs, other=None):
    """Rates of one text; theirs is measured on its first part, ours on all of it."""
    raw = text.encode()
    docs = documents(raw[:a.peer_size].decode(errors="ignore"))
    room, out = Room(len(raw) + 16), ctypes.create_string_buffer(2 * len(raw) + 64)
    ctypes.memset(out, 1, len(out))
    runs = peers(name, docs) if theirs and not a.no_peers else {}
    best, ids = {}, 0

    def note(what, seconds, size):
        best[what] = min(best.get(what, 1e9), seconds / size)
    for _ in range(a.rounds):
        t = tok_peers.ours(decai.Context(), VECTORS, name)
        note("new", encode(t, room, raw), len(raw))
        ids = room.len.value
        note("decode", decode(t, room, out), len(raw))
        if other:
            t = tok_peers.ours(decai.Context(), VECTORS, name)
            encode(t, room, other.encode())
            note("warm", encode(t, room, raw), len(raw))
        note("again", encode(t, room, raw), len(raw))
        for peer, run in runs.items():
            note(peer, timed(run), sum(len(d.encode()) for d in docs))
    row = {k + "_mbps": 1e-6 / v for k, v in best.items()}
    row["bytes_per_id"] = len(raw) / ids
    for k in runs:
        row[k + "_x"] = best[k] / best["new"]
    return row


def decoding(a, name, text):
    hf = hugging_face(name) if not a.no_peers else None
    if not hf or name not in tok_peers.HUGGING_FACE:
        return {}
    from tokenizers import decoders
    hf.decoder = decoders.WordPiece() if name == "bert-bge" else decoders.ByteLevel()
    docs = documents(text.encode()[:a.peer_size].decode(errors="ignore"))
    rows = [e.ids for e in hf.encode_batch_fast(docs, add_special_tokens=False)]
    ours = tok_peers.ours(decai.Context(), VECTORS, name)
    raw = "".join(docs).encode()
    room, out = Room(len(raw) + 16), ctypes.create_string_buffer(2 * len(raw) + 64)
    encode(ours, room, raw)
    mine = min(decode(ours, room, out) for _ in range(a.rounds + 2))
    theirs = min(timed(lambda: hf.decode_batch(rows, skip_special_tokens=False)) for _ in range(2))
    return {"decode_x": theirs / mine, "tokenizers_decode_mbps": len(raw) / theirs / 1e6}


def batch(a, name, text):
    """Two threads against one: the wall's time, and the work's (which other load on
    the machine does not hide)."""
    raw = text.encode()
    ends = list(range(4096, len(raw), 4096)) + [len(raw)]
    room, rows = Room(len(raw) + 16), (ctypes.c_uint64 * len(ends))()
    tends = (ctypes.c_uint64 * len(ends))(*ends)
    n, en, rn = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_size_t()
    best = {}
    sets = {}
    for threads in (1, 2):
        o = {"base.threads": threads - 1} if threads > 1 else {}
        sets[threads] = tok_peers.ours(decai.Context(o), VECTORS, name)
    for _ in range(a.rounds + 3):
        for threads, t in sets.items():
            w, c = time.perf_counter(), cpu()
            code = decai._lib.decai_tokenizer_batch_encode(
                t._as_parameter_, room.ids, ctypes.c_size_t(len(room.ids)), ctypes.byref(n), None, ctypes.c_size_t(0), ctypes.byref(en), rows,
                ctypes.c_size_t(len(rows)), ctypes.byref(rn), raw, ctypes.c_size_t(len(raw)), tends, ctypes.c_size_t(len(ends)), ctypes.c_uint64(0), 0)
            assert code == 0
            now = time.perf_counter() - w, cpu() - c
            old = best.get(threads, (1e9, 1e9))
            best[threads] = tuple(map(min, now, old))
    return {"batch_mbps": len(raw) / best[1][0] / 1e6, "batch2_mbps": len(raw) / best[2][0] / 1e6,
            "batch2_linear": best[1][0] / best[2][0] / 2, "batch2_work": best[1][1] / best[2][1]}


def loads(a, name):
    path = tok_peers.path(VECTORS, name)
    runs = {"decai": lambda: decai.Tokenizer(decai.Model.load(decai.Context(), path, {"model.hash": 0}))}
    if tok_peers.llama_cpp and not a.no_peers:
        runs["llama.cpp"] = lambda: tok_peers.llama_cpp(VECTORS, name)
    best = {}
    for _ in range(a.rounds + 2):
        for k, run in runs.items():
            best[k] = min(best.get(k, 1e9), timed(run))
    row = {"load_ms": best["decai"] * 1e3}
    if "llama.cpp" in best:
        row.update(llama_cpp_ms=best["llama.cpp"] * 1e3, llama_cpp_x=best["llama.cpp"] / best["decai"])
    return row


def worst(name, normal):
    t = tok_peers.ours(decai.Context(), VECTORS, name)
    room = Room((1 << 24) + 16)
    rng = random.Random(1)
    some = bytes(rng.choice(b"etaoinshrdlu") for _ in range(1 << 24))
    rows = {}
    for label, unit in (("a", b"a"), ("space", b" "), ("newline", b"\n"), ("digit", b"7"), ("sign", b"!"), ("mark", "\u0301".encode()),
                        ("han", "\u4e00".encode()), ("invalid", b"\xff"), ("nul", b"\0"), ("letters", b"qzjxkvwy"), ("random letters", some)):
        raw = (unit * (1 << 24))[:1 << 24] if len(unit) < 99 else unit
        rate = len(raw) / encode(t, room, raw) / 1e6
        rows[label] = {"mbps": rate, "slower_x": normal / rate}
    return rows


def short(row):
    return {k: float("%.3g" % v) if isinstance(v, float) else v for k, v in row.items()}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--names", default=NAMES)
    p.add_argument("--size", type=int, default=8_000_000)
    p.add_argument("--peer-size", type=int, default=1_000_000)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--no-peers", action="store_true")
    p.add_argument("--no-worst", action="store_true")
    p.add_argument("--only", help="new, code, english, multilingual, batch, load, decode")
    a = p.parse_args()
    out = {"load": os.getloadavg()[0]}
    for name in a.names.split(","):
        row = out[name] = {}
        want = (a.only or "new,code,multilingual,batch,load,decode").split(",")
        if "new" in want:
            row["mixed"] = short(against(a, name, tok_texts.mixed(a.size, 1), True, tok_texts.mixed(a.size, 0)))
        for kind in ("code", "english", "multilingual"):
            if kind in want:
                row[kind] = short(against(a, name, getattr(tok_texts, kind)(min(a.size, 5_800_000), 1), kind == "multilingual",
                                          getattr(tok_texts, kind)(min(a.size, 5_800_000), 0)))
        if "decode" in want:
            row.update(short(decoding(a, name, tok_texts.mixed(a.size, 1))))
        if "batch" in want:
            row.update(short(batch(a, name, tok_texts.mixed(a.size, 1))))
        if "load" in want and name != "o200k":
            row.update(short(loads(a, name)))
        print(name, json.dumps(row), file=sys.stderr)
    if not a.no_worst:
        for name in a.names.split(","):
            if "mixed" in out[name]:
                out[name]["worst"] = {k: short(v) for k, v in worst(name, out[name]["mixed"]["new_mbps"]).items()}
                print(name, json.dumps(out[name]["worst"]), file=sys.stderr)
    out["load_after"] = os.getloadavg()[0]
    print(json.dumps(out))


if __name__ == "__main__":
    main()
