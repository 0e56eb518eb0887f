"""The example model's byte-level BPE: learning its merges, encoding, decoding.

Text -> pieces -> bytes -> merges -> ids, as GPT-2 does it, with the "smollm"
split (GGUF tokenizer.ggml.pre): every digit is a piece of its own, then
GPT-2's words, each with the space before it.

What is ours is which merges are learnt. The model's work is copying names and
tickers letter by letter, so a merge that joins two letters inside a name
("ar", "an") would make the same name look different from place to place. BPE
cannot be told "only in this word", but it can be told where to grow: we only
allow merges whose left half begins with the space before a lower-case word.
Common words of the phrasings grow into one token from the left (" s", " se",
" sen", " send"), while the inside of any word is left as single letters, and a
capitalised name is always spelled in full, in the request as in the answer.

The answer's fixed JSON parts are user-defined tokens: one id each, so that the
model cannot misspell JSON.

Standard library only. vocab.json is written by `python bpe.py`.
"""

import collections
import json
import os
import re
import unicodedata

HERE = os.path.dirname(os.path.abspath(__file__))
VOCAB_FILE = os.path.join(HERE, "vocab.json")
VOCAB_SIZE = 512
BOS, EOS, SEP = 0, 1, 2
CONTROL = ["<|bos|>", "<|eos|>", "<|sep|>"]
PARTS = ['{"action":"transfer","amount":"', '{"action":"swap","amount":"', '{"action":"bid","job":"',
         '{"action":"stake","amount":"', '{"action":"price","token":"', '{"action":"unclear"}',
         '","token":"', '","to":"', '","from":"', '","amount":"', '","in":"', '"}']
# GGUF token types
NORMAL, CONTROL_TYPE, USER_DEFINED = 1, 3, 4


def byte_letters():
    """GPT-2's table: every byte as one printable character."""
    keep = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table, n = {}, 0
    for b in range(256):
        if b in keep:
            table[b] = chr(b)
        else:
            table[b] = chr(256 + n)
            n += 1
    return table


BYTE_TO_CHAR = byte_letters()
CHAR_TO_BYTE = {c: b for b, c in BYTE_TO_CHAR.items()}
SPACE = BYTE_TO_CHAR[32]
WHITE = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(c) for c in range(0x2000, 0x200b)}


def _kind(c):
    if c in WHITE: return "s"
    g = unicodedata.category(c)[0]
    return g if g in "LN" else "o"


def split(text):
    r"""\p{N} | 's|'t|'re|'ve|'m|'ll|'d | ?\p{L}+ | ?[^\s\p{L}\p{N}]+ | \s+(?!\S) | \s+
    The digits are cut out first, so a space before a digit stands alone."""
    out, i, n = [], 0, len(text)
    while i < n:
        if _kind(text[i]) == "N":
            out.append(text[i])
            i += 1
            continue
        # A stretch without digits; the word rule cannot see beyond it.
        end = i
        while end < n and _kind(text[end]) != "N": end += 1
        while i < end:
            m = re.match("'(?:s|t|re|ve|m|ll|d)", text[i:min(end, i + 3)])
            if m:
                out.append(m.group())
                i += len(m.group())
                continue
            j = i + 1 if text[i] == " " and i + 1 < end and _kind(text[i + 1]) != "s" else i
            kind = _kind(text[j])
            k = j
            while k < end and _kind(text[k]) == kind: k += 1
            # Of a run of spaces before a word the last one belongs to the word
            # (or, not being a plain space, stands alone).
            if kind == "s" and k < end and k - i > 1: k -= 1
            out.append(text[i:k])
            i = k
    return out


def letters(piece):
    return [BYTE_TO_CHAR[b] for b in piece.encode("utf-8")]


def learn(texts, count):
    """The `count` merges that shorten the texts most, under the left-edge rule."""
    words = collections.Counter(p for t in texts for p in split(t)
                                if p[0] == " " and p[1:].isascii() and p[1:].islower() and p[1:].isalpha())
    state = {w: letters(w) for w in words}
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for w, s in state.items():
            if len(s) > 1: pairs[s[0], s[1]] += words[w]
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        for s in state.values():
            if len(s) > 1 and (s[0], s[1]) == best: s[:2] = [s[0] + s[1]]
    return merges


class Tokenizer:
    def __init__(self, tokens, types, merges):
        self.tokens, self.types, self.merges = tokens, types, merges
        self.ids = {t: i for i, t in enumerate(tokens)}
        self.rank = {tuple(m): i for i, m in enumerate(merges)}
        self.cache = {}
        fixed = sorted((t for t, y in zip(tokens, types) if y == USER_DEFINED), key=len, reverse=True)
        self.fixed = re.compile("(" + "|".join(map(re.escape, fixed)) + ")") if fixed else None

    @classmethod
    def load(cls, path=VOCAB_FILE):
        with open(path, encoding="utf-8") as f:
            v = json.load(f)
        return cls(v["tokens"], v["types"], [tuple(m.split(" ")) for m in v["merges"]])

    def _piece(self, piece):
        known = self.cache.get(piece)
        if known is not None: return known
        s = letters(piece)
        while len(s) > 1:
            r, i = min((self.rank.get((s[i], s[i + 1]), 1 << 30), i) for i in range(len(s) - 1))
            if r == 1 << 30: break
            s[i:i + 2] = [s[i] + s[i + 1]]
        out = [self.ids[x] for x in s]
        if len(self.cache) < 50000: self.cache[piece] = out
        return out

    def encode(self, text):
        """Ids of plain text. Control tokens are never read from text: a request
        cannot forge the separator."""
        out = []
        for n, stretch in enumerate(self.fixed.split(text) if self.fixed else [text]):
            if n % 2:
                out.append(self.ids[stretch])
            else:
                for p in split(stretch): out += self._piece(p)
        return out

    def prompt(self, request):
        return [BOS] + self.encode(request) + [SEP]

    def decode(self, ids):
        data = b""
        for i in ids:
            if self.types[i] == NORMAL:
                data += bytes(CHAR_TO_BYTE[c] for c in self.tokens[i])
            elif self.types[i] == USER_DEFINED:
                data += self.tokens[i].encode("utf-8")
        return data.decode("utf-8", "replace")


def main():
    import generate
    base = CONTROL + PARTS + [BYTE_TO_CHAR[b] for b in range(256)]
    merges = learn(generate.template_text(), VOCAB_SIZE - len(base))
    tokens = base + [a + b for a, b in merges]
    assert len(set(tokens)) == len(tokens) == VOCAB_SIZE
    types = [CONTROL_TYPE] * len(CONTROL) + [USER_DEFINED] * len(PARTS) + [NORMAL] * (VOCAB_SIZE - len(CONTROL) - len(PARTS))
    with open(VOCAB_FILE, "w", encoding="utf-8") as f:
        json.dump({"tokens": tokens, "types": types, "merges": [a + " " + b for a, b in merges]},
                  f, ensure_ascii=False, indent=0)
        f.write("\n")
    print(len(merges), "merges;", " ".join(a + b for a, b in merges[-30:]))


if __name__ == "__main__":
    main()
