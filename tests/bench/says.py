#!/usr/bin/env python3
"""Models that say a given text at a real model's cost.

    says.py OUT.gguf TEXT [options]       TEXT: edit, rename, quote, prose
      --size NAME      1b, 100m, micro (1b)
      --vocab FILE     whose tokenizer, a GGUF file
      --prompt N       tokens of the prompt at most (900)
      --answer N       tokens of the answer at most (400)
      --wrong SHARE    share of the answer's tokens that are others (0)

What a synthetic model says neither quotes its prompt nor can be guessed by a smaller
one. These do: architecture gpt2, whose embedding of position p is row p of a Hadamard
matrix, long enough that what the blocks add does not show. The output's row of token t
is the sum of the rows of the positions at which t comes next. Rows of that matrix are
orthogonal, so at each position one logit stands far above all others. Every product is
computed in full, on random blocks of Q4_0; only the words are given.

The texts are this repository's: a file and what it became with a commit ("edit"), a file
in which a name changed ("rename"), a document and an answer that quotes it between its
own words ("quote"), a document that goes on ("prose"). OUT.json holds the tokens.
Needs numpy and gguf.
"""
import argparse
import difflib
import glob
import json
import os
import re
import subprocess
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
SIZES = {"1b": (20, 2048, 16), "100m": (6, 1024, 16), "micro": (2, 512, 8)}   # layers, width, heads
LOUD = 64.0                          # a position's embedding; what a layer adds is about 1
EDITS = [("lib/infer/session.c", 0), ("lib/infer/prefix.c", 0)]
ASK = {
    "edit": "\n\nHere is the file. Make the change that was asked for and give the whole file again:\n\n",
    "rename": "\n\nRename %s to %s everywhere and give the whole file again:\n\n",
    "quote": "\n\nAnswer from the document above, with the passages that say so.\n\n",
    "prose": "\n\n",
}
OWN_WORDS = ["As for what was asked first, the text is plain about it: ", "That has a reason, given a little further on. ",
             "Two things follow for whoever uses this.\nOne is written down like this: ", "The other one, easily missed: ",
             "Nothing else in there speaks against it, and I would add ", "Finally, and only for completeness, "]


# ---- texts ----------------------------------------------------------------------------------

def git(*args):
    return subprocess.run(["git", "-C", ROOT, *args], check=True, capture_output=True, text=True).stdout


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def versions(path, most=12):
    """Pairs of a file's text before and after its commits, the newest first."""
    commits = git("log", "--format=%h", "--no-merges", "-n", str(most), "--", path).split()
    return [(git("show", "%s:%s" % (old, path)), git("show", "%s:%s" % (new, path)))
            for new, old in zip(commits, commits[1:])]


def changed(pair):
    """The part that changes, from a dozen lines before the first change on."""
    old, new = pair[0].splitlines(True), pair[1].splitlines(True)
    same = next((i for i, (a, b) in enumerate(zip(old, new)) if a != b), 0)
    return "".join(old[max(0, same - 12):]), "".join(new[max(0, same - 12):])


def lines_changed(pair):
    return sum(1 for line in difflib.ndiff(pair[0].splitlines(), pair[1].splitlines()) if line[0] in "+-")


def edit_text(path="lib/infer/session.c"):
    try:
        pair = max(versions(path), key=lines_changed)
    except (subprocess.CalledProcessError, OSError, ValueError):
        return rename_text()
    old, new = changed(pair)
    return old + ASK["edit"], new


def rename_text(path="lib/infer/prefix.c", old="page", new="sheet"):
    text = read(path)
    return text + ASK["rename"] % (old, new), re.sub(r"\b%s\b" % old, new, text)


def sentences(text):
    return [s for s in re.split(r"(?<=\.)\s+", text) if 120 < len(s) < 500 and not set("|#") & set(s)]


def quote_text(path="lib/infer/SAMPLING.md", most=2400):
    text = read(path)[:most]
    parts = sentences(text)
    said = "".join(own + '"' + parts[i * 5 % len(parts)] + '"\n\n' for i, own in enumerate(OWN_WORDS))
    return text + ASK["quote"], said


def prose_text(path="lib/compute/CONTRACT.md"):
    text = read(path)
    return text[:len(text) // 2], text[len(text) // 2:]


TEXTS = {"edit": edit_text, "rename": rename_text, "quote": quote_text, "prose": prose_text}


def tokens_of(name, vocab, prompt_most, answer_most):
    """Prompt and answer as ids. What is asked stands at the prompt's end, so the
    source is cut in front of it."""
    sys.path.insert(0, os.path.join(ROOT, "bindings", "python"))
    import decai
    ctx = decai.Context()
    tokenizer = decai.Tokenizer(decai.Model.load(ctx, vocab, {"model.hash": 0}), {})
    source, answer = TEXTS[name]()
    ask = ASK[name] if name != "rename" else source[source.rfind("\n\nRename"):]
    body = source[:len(source) - len(ask)] if source.endswith(ask) else source
    tail = tokenizer.encode(ask, 0)
    return tokenizer.encode(body, 0)[:prompt_most - len(tail)] + tail, tokenizer.encode(answer, 0)[:answer_most]


def spoiled(tokens, share, seed=1):
    """The same with a share of the tokens replaced by others that occur in it."""
    rng = np.random.default_rng(seed)
    bad = rng.random(len(tokens)) < share
    return [int(tokens[rng.integers(len(tokens))]) if b else t for t, b in zip(tokens, bad)]


# ---- the file -------------------------------------------------------------------------------

def hadamard(rows, dim):
    """Rows of the Hadamard matrix of `dim`, a power of two, as +-1."""
    bits = np.asarray(rows, np.uint32)[:, None] & np.arange(dim, dtype=np.uint32)[None, :]
    for shift in (16, 8, 4, 2, 1):
        bits ^= bits >> shift
    return 1.0 - 2.0 * (bits & 1).astype(np.float32)


def row_at(position, dim):
    return 1 + position % (dim - 1)                  # row 0 is constant: nothing is left of it after a layernorm


def blocks(rng, rows, cols):
    """Random Q4_0 of a product that keeps its input's size."""
    raw = np.empty((rows, cols // 32, 18), np.uint8)
    raw[:, :, :2] = np.frombuffer(np.float16(1 / (4.6 * cols ** 0.5)).tobytes(), np.uint8)
    raw[:, :, 2:] = np.frombuffer(rng.bytes(rows * cols // 2), np.uint8).reshape(rows, cols // 32, 16)
    return raw.reshape(rows, cols // 32 * 18)


def output_rows(vocab, dim, first, answer):
    rows = np.zeros((vocab, dim), np.float32)
    at = hadamard([row_at(first + i, dim) for i in range(len(answer))], dim)
    for i, token in enumerate(answer):
        rows[token] += at[i]
    return rows


def copy_tokenizer(writer, vocab):
    import gguf
    for field in gguf.GGUFReader(vocab).fields.values():
        if field.name.startswith("tokenizer."):
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=field.types[-1] if len(field.types) > 1 else None)
            if field.name == "tokenizer.ggml.tokens":
                count = len(field.contents())
    return count


def write(out, vocab, prompt, answer, size, seed=7):
    import gguf
    layers, dim, heads = SIZES[size]
    if len(answer) >= dim:
        raise SystemExit("says: %d positions have names, the answer has %d" % (dim - 1, len(answer)))
    context = (len(prompt) + len(answer) + 64) // 64 * 64 + 64
    q4, q8, f32 = gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.Q8_0, np.float32
    rng = np.random.default_rng(seed)
    w = gguf.GGUFWriter(out, "gpt2")
    w.add_name("says-%s" % size)
    w.add_context_length(context)
    w.add_embedding_length(dim)
    w.add_feed_forward_length(4 * dim)
    w.add_block_count(layers)
    w.add_head_count(heads)
    w.add_layer_norm_eps(1e-5)
    w.add_file_type(2)
    count = copy_tokenizer(w, vocab)

    def norm(name):
        w.add_tensor(name + ".weight", np.ones(dim, f32))
        w.add_tensor(name + ".bias", np.zeros(dim, f32))

    def product(name, rows, cols):
        w.add_tensor(name + ".weight", blocks(rng, rows, cols), raw_dtype=q4)
        w.add_tensor(name + ".bias", np.zeros(rows, f32))

    w.add_tensor("token_embd.weight", gguf.quantize(np.zeros((count, dim), f32), q8), raw_dtype=q8)
    w.add_tensor("position_embd.weight", LOUD * hadamard([row_at(p, dim) for p in range(context)], dim))
    for i in range(layers):
        norm("blk.%d.attn_norm" % i)
        product("blk.%d.attn_qkv" % i, 3 * dim, dim)
        product("blk.%d.attn_output" % i, dim, dim)
        norm("blk.%d.ffn_norm" % i)
        product("blk.%d.ffn_up" % i, 4 * dim, dim)
        product("blk.%d.ffn_down" % i, dim, 4 * dim)
    norm("output_norm")
    w.add_tensor("output.weight", gguf.quantize(output_rows(count, dim, len(prompt) - 1, answer), q8), raw_dtype=q8)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    with open(out + ".json", "w", encoding="utf-8") as f:
        json.dump({"prompt": prompt, "answer": answer, "vocab": count, "context": context}, f)


def default_vocab():
    found = sorted(glob.glob(os.path.join(os.environ.get("DECAI_VECTORS", os.path.join(ROOT, "..", "shared", "vectors")), "tokenizers", "ggml-vocab-starcoder.gguf")))
    return found[0] if found else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("text", choices=sorted(TEXTS))
    parser.add_argument("--size", choices=sorted(SIZES), default="1b")
    parser.add_argument("--vocab", default=default_vocab())
    parser.add_argument("--prompt", type=int, default=900)
    parser.add_argument("--answer", type=int, default=400)
    parser.add_argument("--wrong", type=float, default=0.0)
    args = parser.parse_args()
    prompt, answer = tokens_of(args.text, args.vocab, args.prompt, args.answer)
    if args.wrong:
        answer = spoiled(answer, args.wrong)
    write(args.out, args.vocab, prompt, answer, args.size)
    print("%s: prompt %d, answer %d tokens" % (args.out, len(prompt), len(answer)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
