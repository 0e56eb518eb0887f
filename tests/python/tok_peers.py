"""The peers of the tokenizers, made from the vocabularies of the vectors, and the
texts that all are given. A peer is None where its package is not installed.

Where they differ, and who is right:
  - llama.cpp knows no U+017F in contractions ('s of Llama 3, Qwen); the models' own
    regular expressions do: texts here have none after an apostrophe.
  - llama.cpp's WordPiece keeps the first letter of a decomposition and leaves Hangul
    whole; BERT's own, and Hugging Face, decompose fully: not compared there.
  - BERT's port and the step Punctuation (Falcon's) have tables of an older Unicode for
    what is a control character and what is punctuation: texts hold what both know.
  - The peer's tables of normalization are of Unicode 9; ours of 16: the same for marks.
  - The peer panics where a token begins in the spaces that an rstrip took along.
  - Hugging Face gives the map of a Unigram whole grapheme clusters before single
    characters; sentencepiece, whose map it is, and llama.cpp take the longest
    prefix: compared with llama.cpp. sentencepiece itself adds scores as floats, the
    others as doubles: where two ways are equally likely ("000..."), it may take
    the other one; not compared.
  - Tokens that all peers match whole (control, user-defined) are not spelled here.
"""
import contextlib
import os
import random
import struct
import sys
import unicodedata

import decai

# Where tests/run.sh puts what others wrote, if the interpreter is the same.
_PEER = os.path.dirname(os.path.dirname(os.environ.get("DECAI_PEER_PYTHON", "build/peers/bin/python")))
_SITE = os.path.abspath(os.path.join(_PEER, "lib", "python%d.%d" % sys.version_info[:2], "site-packages"))
if os.path.isdir(_SITE) and _SITE not in sys.path:
    sys.path.append(_SITE)

try:
    import tokenizers as _hf
except ImportError:
    _hf = None
try:
    import tiktoken as _tiktoken
except ImportError:
    _tiktoken = None
try:
    import sentencepiece as _spm
except ImportError:
    _spm = None
try:
    import llama_cpp as _llama
except (ImportError, OSError, RuntimeError):
    _llama = None

# Every vocabulary of the vectors whose file names its rules, or is known without.
EVERY = ("aquila", "baichuan", "bert-bge", "command-r", "deepseek-coder", "deepseek-llm", "falcon", "gemma-4", "gpt-2", "gpt-neox", "llama-bpe",
         "llama-spm", "mpt", "nomic-bert-moe", "phi-3", "qwen2", "qwen35", "refact", "starcoder")
HUGGING_FACE = ("gpt-2", "llama-bpe", "qwen2", "qwen35", "starcoder", "deepseek-coder", "deepseek-llm", "falcon", "bert-bge")
TIKTOKEN = ("llama-bpe", "qwen2", "o200k")
SENTENCEPIECE = ("llama-spm",)
LLAMA_CPP = ("gpt-2", "llama-bpe", "qwen2", "qwen35", "starcoder", "llama-spm", "gemma-4", "nomic-bert-moe")

CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|" + TAIL
QWEN2 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|" + TAIL
QWEN35 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K = (r"[^\r\n\p{L}\p{N}]?" + UPPER + "*" + LOWER + "+" + CONTRACTION + r"?|[^\r\n\p{L}\p{N}]?" + UPPER + "+" + LOWER + "*"
         + CONTRACTION + r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")

PIECES = ["the ", "Hello", " World", "don't", "I'VE", "'s", " 'll", "  ", "\n", "\r\n", "\n\n  ", "\t", "12", " 345", "6.7e-8", "!?",
          " ...", "(x)", "_a", "caf\u00e9", "\u4f60\u597d", " \u65e5\u672c\u8a9e", "\u0661\u0662", "\u00bd", "\u2168", "\u3000", "\u00a0",
          "\u2028", "\U0001F999", "e\u0301", "\u0928\u092e\u0938\u094d\u0924\u0947", "\u200b", "\ufeff", "0x1F", "a'b", "''", "' '", "camelCase",
          "HTTPServer", "\u01c5a", "\u02b0", "x\u0327\u0301", "//\n", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "\u2764\ufe0f", "\u0e2a\u0e27\u0e31\u0e2a",
          "\uc548\ub155", "fi\ufb01", "\u0130\u0131", "\u1e9e\u00df", "    ", "\t\t", "a" * 40, "=" * 30, "0" * 25, "abab" * 9]
SCRIPTS = (0x20, 0xa0, 0x100, 0x180, 0x250, 0x370, 0x400, 0x530, 0x590, 0x600, 0x700, 0x780, 0x900, 0x980, 0xa00, 0xa80, 0xb00, 0xb80, 0xc00,
           0xc80, 0xd00, 0xd80, 0xe00, 0xe80, 0xf00, 0x1000, 0x10a0, 0x1100, 0x1200, 0x13a0, 0x1780, 0x1800, 0x1e00, 0x1f00, 0x2000, 0x2100,
           0x2200, 0x2c00, 0x3040, 0x3100, 0x4e00, 0xac00, 0xff00, 0x10400, 0x1d400, 0x1f300, 0x1f600)


# Marks, signs and format characters newer than the tables of BERT's port.
NEWER = ((0x61d, 0x61d), (0x7fd, 0x7fd), (0x891, 0x8ff), (0x9fd, 0x9fe), (0xa76, 0xa76), (0xafa, 0xaff), (0xb55, 0xb55),
          (0xc04, 0xc04), (0xc3c, 0xc3c), (0xc77, 0xc77), (0xc84, 0xc84), (0xd00, 0xd00), (0xd3b, 0xd3c), (0xd81, 0xd81),
          (0xeba, 0xeba), (0x166d, 0x166d), (0x1734, 0x1734), (0x180f, 0x180f), (0x1885, 0x1886), (0x1abf, 0x1ace),
          (0x1b7d, 0x1b7e), (0x1df6, 0x1dfb), (0x2e43, 0x2e5d), (0xa82c, 0xa82c), (0xa8c5, 0xa8c5), (0xa8ff, 0xa8ff),
          (0xa9bd, 0xa9bd), (0x10d24, 0x10d27), (0x10eab, 0x10ead), (0x10f46, 0x10f89), (0x11070, 0x11074), (0x110c2, 0x110cd),
          (0x111c9, 0x111cf), (0x1123e, 0x1123e), (0x1133b, 0x1133b), (0x11438, 0x1145e), (0x11660, 0x1166c),
          (0x116b9, 0x116b9), (0x1171e, 0x1171e), (0x1182f, 0x1183b), (0x1193b, 0x11946), (0x119d4, 0x11aa2),
          (0x11c30, 0x11cb6), (0x11d31, 0x11d97), (0x11ef3, 0x11ef8), (0x11fff, 0x11fff), (0x12ff1, 0x12ff2),
          (0x13430, 0x13438), (0x16e97, 0x16e9a), (0x16f4f, 0x16f4f), (0x16fe2, 0x16fe4), (0x1cf00, 0x1cf46),
          (0x1e000, 0x1e02a), (0x1e130, 0x1e136), (0x1e2ae, 0x1e2ae), (0x1e2ec, 0x1e2ef), (0x1e944, 0x1e95f), (0x890, 0x890))


def _newer(c):
    return any(a <= c <= b for a, b in NEWER)


def newer(text):
    return any(ord(c) > 0x5ff and _newer(ord(c)) for c in text)


def _known(c):
    return unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")


SPACES = " \t\n\r\x85\xa0\u1680\u2000\u2003\u2009\u2028\u2029\u202f\u205f\u3000"
EMOJI = [chr(c) for c in (*range(0x1f300, 0x1f650), *range(0x1f680, 0x1f6d0), *range(0x1f900, 0x1fa00), 0x2764, 0x2708, 0x1f1e6, 0x1f1ff)]


def _runs(rng):
    """White space, emoji joined and modified, digits, one class for long."""
    kind = rng.randrange(5)
    if kind == 0:
        return "".join(rng.choice(SPACES[:4] if rng.random() < .7 else SPACES) for _ in range(rng.randint(1, 40)))
    if kind == 1:
        return "".join(rng.choice(EMOJI) + rng.choice(("", "\ufe0f", "\u200d", "\U0001f3fd", "\u200d\u2642\ufe0f")) for _ in range(rng.randint(1, 12)))
    if kind == 2:
        return "".join(rng.choice("0123456789.,-") for _ in range(rng.randint(1, 30)))
    if kind == 3:
        return rng.choice(("a", "A", "=", "-", "\u0301", "\u4e2d", "\u0e01", "aA", "a1", "'s", "_ ")) * rng.randint(1, 60)
    return "".join(rng.choice("!\"#$%&()*+,-./:;=>?@\\]^_`{|}~'") for _ in range(rng.randint(1, 15)))


def _generated(rng, known):
    out = ""
    if rng.random() < .15:
        return "".join(_runs(rng) for _ in range(rng.randint(1, 6)))
    for _ in range(rng.randint(1, 25)):
        kind = rng.random()
        if kind < 0.6:
            out += rng.choice(PIECES)
        elif kind < 0.75:
            out += "".join(chr(rng.choice(known)) for _ in range(rng.randint(1, 4)))
        else:
            start = rng.choice(SCRIPTS)
            out += "".join(chr(c) for c in (rng.randrange(start, start + 0x80) for _ in range(8)) if _known(c))
    return out


def _files():
    """Source code of Python's own library, and manual pages where they are."""
    for folder, ending in ((os.path.dirname(os.__file__), ".py"),):
        for name in sorted(os.listdir(folder)):
            if name.endswith(ending):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    yield f.read()
    import gzip
    for root, _, names in sorted(os.walk("/usr/share/man")):
        for name in sorted(names):
            if not name.endswith(".gz"):
                continue
            try:
                with gzip.open(os.path.join(root, name), "rt", encoding="utf-8") as f:
                    yield f.read()
            except (OSError, UnicodeDecodeError):
                pass


def texts(seed, size):
    """About `size` bytes: two parts real text, one part generated."""
    rng = random.Random(seed)
    known = [c for c in range(0x110000) if _known(c)]
    done, files = 0, _files()
    while done < size:
        text = _generated(rng, known)
        if rng.random() < 0.05:
            whole = next(files, None)
            if whole is None:
                files = _files()
                continue
            at = rng.randrange(max(1, len(whole) - 4000))
            text = whole[at:at + 4000]
        text = text.replace("'\u017f", "'").replace("\u2581", "_")
        if "<" in text or "[" in text and "]" in text:
            text = text.replace("<", "(").replace("[", "(")
        done += len(text.encode())
        yield text


# ---- ours, and the tables for theirs ----------------------------------------------

def ours(context, folder, name):
    if name != "o200k":
        return decai.Tokenizer(decai.Model.load(context, path(folder, name), {"model.hash": 0}))
    # tiktoken takes a piece that is a token as it is, and so does this name.
    return with_pattern(context, folder, "granite-embed-multi-97m")


def with_pattern(context, folder, pre, base="llama-bpe"):
    """A vocabulary's merges with another pattern: the pattern is what is compared."""
    with open(path(folder, base), "rb") as f:
        data = f.read()
    key, was = b"tokenizer.ggml.pre\x08\0\0\0", base.encode()
    changed = data.replace(key + struct.pack("<Q", len(was)) + was, key + struct.pack("<Q", len(pre)) + pre.encode())
    assert changed != data or pre == base
    return decai.Tokenizer(decai.Model.open(context, changed, {"model.hash": 0}))


def path(folder, name):
    return os.path.join(folder, "ggml-vocab-%s.gguf" % name)


def tables(folder, name):
    """The tokenizer's metadata: {key: value}."""
    with open(path(folder, name), "rb") as f:
        data = f.read()
    scalar = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
    at = 8
    _, count = struct.unpack_from("<QQ", data, at)
    at += 16

    def text():
        nonlocal at
        n, = struct.unpack_from("<Q", data, at)
        at += 8 + n
        return data[at - n:at]

    def value(kind):
        nonlocal at
        if kind == 8:
            return text()
        if kind == 9:
            item, n = struct.unpack_from("<IQ", data, at)
            at += 12
            if item == 8:
                return [text() for _ in range(n)]
            form = "<%d%s" % (n, scalar[item][1])
            out = struct.unpack_from(form, data, at)
            at += struct.calcsize(form)
            return out
        out, = struct.unpack_from(scalar[kind], data, at)
        at += struct.calcsize(scalar[kind])
        return out

    out = {}
    for _ in range(count):
        key = text().decode()
        kind, = struct.unpack_from("<I", data, at)
        at += 4
        out[key.rpartition(".")[2]] = value(kind)
    return out


def _hugging_face(folder, name):
    from tokenizers import Regex, models, normalizers, pre_tokenizers as pre
    t = tables(folder, name)
    tokens = [x.decode() for x in t["tokens"]]
    if name == "bert-bge":
        vocab = {x[1:] if x[0] == "\u2581" else x if x[0] == "[" and x[-1] == "]" and len(x) > 2 else "##" + x: i for i, x in enumerate(tokens)}
        tok = _hf.Tokenizer(models.WordPiece(vocab=vocab, unk_token="[UNK]", max_input_chars_per_word=100))
        tok.normalizer, tok.pre_tokenizer = normalizers.BertNormalizer(lowercase=True), pre.BertPreTokenizer()
    else:
        level, whole = pre.ByteLevel(add_prefix_space=False, use_regex=False), pre.ByteLevel(add_prefix_space=False)

        def split(*patterns):
            return [pre.Split(Regex(p), "isolated") for p in patterns]
        cjk = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
        steps = {
            "gpt-2": [whole], "starcoder": [pre.Digits(True), whole], "llama-bpe": split(LLAMA3) + [level], "qwen2": split(QWEN2) + [level],
            "qwen35": split(QWEN35) + [level], "deepseek-coder": split(r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", cjk) + [pre.Digits(True), level],
            "deepseek-llm": split(r"[\r\n]", _llm_letters(), "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+", r"\s+$", cjk)
            + [pre.Digits(True), level],
            "falcon": [pre.Punctuation("contiguous"), whole, pre.Digits(False)] + split("[0-9][0-9][0-9]"),
        }[name]
        tok = _hf.Tokenizer(models.BPE(vocab={x: i for i, x in enumerate(tokens)}, merges=[tuple(m.decode().split(" ", 1)) for m in t["merges"]],
                                       ignore_merges=name == "llama-bpe"))
        tok.pre_tokenizer = pre.Sequence(steps)
        user = [_hf.AddedToken(x, normalized=False) for x, kind in zip(tokens, t["token_type"]) if kind == 4]
        tok.add_tokens(user)

    def encode(text):
        if name in ("bert-bge", "falcon") and newer(text):
            return None
        return tok.encode(text, add_special_tokens=False).ids
    encode.tokenizer = tok
    return encode


def hugging_face_of(data):
    """Theirs of a tokenizer.json; texts of control tokens are plain text, as ours."""
    tok = _hf.Tokenizer.from_str(data.decode())
    tok.encode_special_tokens = True
    return lambda text: tok.encode(text, add_special_tokens=False).ids


def token_texts(tokenizer, seed, size):
    """Tokens of the vocabulary side by side: merges that could go either way."""
    rng = random.Random(seed)
    pool = []
    while len(pool) < 3000:
        made = tokenizer.token_get(rng.randrange(tokenizer.count()))
        text = made.out.decode("utf-8", "replace")
        if made.kind == decai.TOKEN_NORMAL and not any(c in "<[\ufffd\u2581\u017f\0" for c in text) and all(_known(ord(c)) for c in text):
            pool.append(text)
    done = 0
    while done < size:
        text = "".join(rng.choice(pool) for _ in range(rng.randint(2, 60)))
        done += len(text.encode())
        yield text


@contextlib.contextmanager
def quiet():
    """The peer says on stderr that it gives up."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def hugging_face_special(text):
    """The same with control tokens found; None where the peer gives up."""
    tok = _hf.Tokenizer.from_str(text)

    def encode(x):
        try:
            with quiet():
                return tok.encode(x, add_special_tokens=False).ids
        except BaseException as e:   # a panic: a token begins in spaces that another took along
            if "Panic" not in type(e).__name__:
                raise
            return None
    return encode


def _peer_is_older(c):
    """Marks and decompositions that came after the tables of the peer's (Unicode 9)."""
    one, category = chr(c), unicodedata.category(chr(c))
    if category[0] == "M" and _strip.normalize_str(one):
        return True
    return unicodedata.normalize("NFKD", one) != one and _decompose.normalize_str(one) == one


def marked_texts(seed, size):
    """Texts with marks and characters that normalization changes put into them."""
    global _strip, _decompose
    from tokenizers import normalizers
    _strip, _decompose = normalizers.StripAccents(), normalizers.NFKD()
    rng = random.Random(seed)
    every = [c for c in range(0x110000) if not 0xd800 <= c < 0xe000]
    marks = [c for c in every if unicodedata.combining(chr(c))]
    moves = [c for c in every if unicodedata.normalize("NFKD", chr(c)) != chr(c)]
    drop = {c: "" for c in every if (unicodedata.category(chr(c))[0] == "M" or unicodedata.normalize("NFKD", chr(c)) != chr(c)) and _peer_is_older(c)}
    assert len(drop) < 600, len(drop)
    for text in texts(seed, size):
        out = list(text)
        for _ in range(rng.randint(0, 8)):
            out.insert(rng.randrange(len(out) + 1), chr(rng.choice(rng.choice((marks, moves)))))
        yield "".join(out).translate(drop)


WORDS = ["<a>", "<ab>", "ab", "b", "X", "the", "\u00e9", "e\u0301", "\u00c9", " ", "  ", "_", "\u2581", "<b> ", "\u4e2d", "1", "\u01c5", "don"]


def short_texts(seed, count):
    rng = random.Random(seed)
    for _ in range(count):
        yield "".join(rng.choice(WORDS + ["\n", " a", "b c", "\t", "the "]) for _ in range(rng.randint(1, 14)))


def _spaced_json(kind):
    """A small BPE over characters, spaces as U+2581, in the ways that files say so."""
    vocab = {x: i for i, x in enumerate(["<unk>", "\u2581", *"abtheX<>1_dn", "\u00e9", "\u00c9", "o", "\u4e2d"])}
    first = len(vocab)
    vocab.update({"<0x%02X>" % b: first + b for b in range(256)})
    merges = [("a", "b"), ("t", "h"), ("th", "e"), ("\u2581", "the"), ("\u2581", "ab"), ("\u2581", "\u2581"), ("b", "\u2581"), ("\u2581\u2581",) * 2]
    for a, b in merges:
        vocab.setdefault(a + b, len(vocab))
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    normalizer, pre = None, None
    if kind == 0:
        normalizer = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, replace]}
    elif kind == 1:
        normalizer = replace
    else:
        pre = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": ("always", "first", "never")[kind % 3], "split": kind > 4}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": normalizer, "pre_tokenizer": pre,
            "post_processor": None, "decoder": {"type": "ByteFallback"},
            "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": vocab, "merges": [list(m) for m in merges]}}


def random_tokenizers(base, seed, count):
    import json
    rng = random.Random(seed)
    normalizers = [None, {"type": "NFC"}, {"type": "NFD"}, {"type": "Lowercase"}, {"type": "Replace", "pattern": {"String": "b"}, "content": "the"},
                   {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
                   {"type": "Prepend", "prepend": "the"}]
    for i in range(count):
        # The large vocabulary takes long to read.
        made = _spaced_json(rng.randrange(8)) if i % 10 else dict(base, normalizer=rng.choice(normalizers))
        vocab, added = made["model"]["vocab"], list(made["added_tokens"])
        top = max(list(vocab.values()) + [a["id"] for a in added])
        for word in rng.sample(WORDS, rng.randint(1, 6)):
            if word not in vocab:
                top += 1
                added.append(dict(id=top, content=word, single_word=rng.random() < .3, lstrip=rng.random() < .3, rstrip=rng.random() < .3,
                                  normalized=rng.random() < .4, special=rng.random() < .3))
        yield json.dumps(dict(made, added_tokens=added))


def _llm_letters():
    """Read where it is listed: the ranges in lib/tok/scan.c."""
    import re
    with open("lib/tok/scan.c", encoding="utf-8") as f:
        source = f.read()
    table = source[source.index("is_llm_letter"):]
    table = table[:table.index("};")]
    low = re.findall(r"\{0x([0-9a-f]+),0x([0-9a-f]+)\}", table)
    high = re.findall(r"c >= 0x([0-9a-f]{5}) && c <= 0x([0-9a-f]{5})", source)
    return r"\s?[A-Za-z" + "".join(chr(int(a, 16)) + "-" + chr(int(b, 16)) for a, b in low + high) + "]+"


def _byte_of():
    letters = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table, n = {chr(c): c for c in letters}, 0
    for b in range(256):
        if b not in letters:
            table[chr(256 + n)] = b
            n += 1
    return table


def _tiktoken_peer(folder, name):
    t, table = tables(folder, "llama-bpe" if name == "o200k" else name), _byte_of()
    ranks = {}
    for i, (x, kind) in enumerate(zip(t["tokens"], t["token_type"])):
        x = x.decode()
        if kind == 1 and all(c in table for c in x):
            ranks[bytes(table[c] for c in x)] = i
    pattern = {"llama-bpe": LLAMA3, "qwen2": QWEN2, "o200k": O200K}[name]
    return _tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={}).encode_ordinary


def _sentencepiece_peer(folder, name):
    """A model file written field by field (protobuf): pieces, trainer, normalizer."""
    t = tables(folder, name)

    def varint(v):
        out = b""
        while v > 127:
            out += bytes([v & 127 | 128])
            v >>= 7
        return out + bytes([v])

    def field(number, data):
        return varint(number << 3 | 2) + varint(len(data)) + data
    out = b""
    for x, score, kind in zip(t["tokens"], t["scores"], t["token_type"]):
        out += field(1, field(1, x) + b"\x15" + struct.pack("<f", score) + b"\x18" + varint(kind))
    out += field(2, b"\x18\x02" + b"\x98\x02\x01" + b"\x20" + varint(len(t["tokens"])))       # BPE, byte fallback
    out += field(3, field(1, b"identity") + b"\x18\x01" + b"\x20\x00" + b"\x28\x01")          # dummy prefix, spaces kept
    sp = _spm.SentencePieceProcessor(model_proto=out)
    # NUL ends a text for sentencepiece.
    return lambda text: None if "\0" in text else sp.encode(text) if text else []


def _llama_cpp_peer(folder, name):
    import ctypes
    _llama.llama_backend_init()
    quiet = _llama.llama_log_callback(lambda *_: None)
    _llama.llama_log_set(quiet, ctypes.c_void_p(0))
    params = _llama.llama_model_default_params()
    params.vocab_only = True
    model = _llama.llama_model_load_from_file(path(folder, name).encode(), params)
    vocab = _llama.llama_model_get_vocab(model)

    def encode(text, keep=(quiet, model)):
        raw = text.encode()
        room = (_llama.llama_token * (len(raw) + 16))()
        n = _llama.llama_tokenize(vocab, raw, len(raw), room, len(room), False, False)
        return list(room[:n])
    return encode


hugging_face = _hugging_face if _hf else None
tiktoken = _tiktoken_peer if _tiktoken else None
sentencepiece = _sentencepiece_peer if _spm else None
llama_cpp = _llama_cpp_peer if _llama else None
