#!/usr/bin/env python3
"""Ids of random Unicode texts by Hugging Face's `tokenizers` (from PyPI), for
tests/unit/tok_vectors_test.c: python3 golden_tok.py VOCAB.gguf gpt2|digits > FILE

Each line is the text as hexadecimal UTF-8, a colon, and the ids. The vocabulary
and merges are those of the GGUF; the pre-tokenizers are what the families are
there: ByteLevel, and Digits (single) before it. Code points that Python's Unicode
does not know are left out, since the peer's may be newer.
"""
import random
import sys
import unicodedata

import golden_model
import tokenizers
from tokenizers import models, pre_tokenizers

PIECES = ["the ", "Hello", " World", "don't", "I'VE", "'s", " 'll", "  ", "\n", "\n\n  ", "\t", "12", " 345", "6.7e-8",
          "!?", " ...", "(x)", "_a", "caf\u00e9", "\u4f60\u597d", " \u65e5\u672c", "\u0661\u0662", "\u00bd", "\u2168",
          "\u3000", "\u00a0", "\u2028", "\U0001F999", "e\u0301", "\u0928\u092e\u0938\u094d\u0924\u0947", "\u200b", "\ufeff",
          "\u0000", "\u007f", "<|x|>", "0x1F", "a'b", "''", "' '"]


def texts(count):
    rng = random.Random(2024)
    known = [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    for i in range(count):
        out = ""
        for _ in range(rng.randint(1, 12)):
            kind = rng.random()
            if kind < 0.6:
                out += rng.choice(PIECES)
            elif kind < 0.8:
                out += "".join(chr(rng.choice(known)) for _ in range(rng.randint(1, 4)))
            else:
                start = rng.choice((0x20, 0xa0, 0x370, 0x600, 0x900, 0x2000, 0x3040, 0x1f300))
                out += "".join(chr(c) for c in (rng.randrange(start, start + 0x80) for _ in range(5))
                               if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co"))
        yield out


def main(path, family):
    metadata, _ = golden_model.read(path)
    tokens = golden_model.strings(metadata[b"tokenizer.ggml.tokens"][1])
    merges = golden_model.strings(metadata[b"tokenizer.ggml.merges"][1])
    vocab = {t.decode("utf-8", "replace"): i for i, t in enumerate(tokens)}
    pairs = [tuple(m.decode().split(" ", 1)) for m in merges]
    tok = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=pairs))
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    digits = pre_tokenizers.Digits(individual_digits=True)
    tok.pre_tokenizer = pre_tokenizers.Sequence([digits, level]) if family == "digits" else level
    for text in texts(400):
        ids = tok.encode(text, add_special_tokens=False).ids
        print(text.encode().hex() + ":" + "".join(" %d" % i for i in ids))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
