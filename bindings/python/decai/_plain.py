"""What people say stays text: only a chat template writes control tokens.

In a conversation every text that spells a control token gets a mark behind that one's
first character, a character that occurs nowhere else. In the rendering such a spelling
is broken, so all control tokens in it are the template's own, and a stretch between two
of them that has marks in it is encoded without the marks and without control tokens.
The command-line tool does the same (examples/decai/guard.c).
"""
from . import ENCODE_SPECIAL, TOKEN_CONTROL, TOKEN_UNKNOWN

MARKS = "\U0010fffd\U000ffffd\U0010fffc\U000ffffc\uf8ff"


class Plain:
    def __init__(self, tokenizer):
        self.tokenizer, self.kinds = tokenizer, {}

    def _spelled(self, raw, also_unknown=True):
        """Where in these bytes control tokens stand: [(start, end)]."""
        found = []
        ids, spans = self.tokenizer.encode_offsets(raw, ENCODE_SPECIAL)
        for token, (start, end) in zip(ids, spans):
            if token not in self.kinds:
                made = self.tokenizer.token_get(token)
                self.kinds[token] = made.kind, bytes(made.out)
            kind, text = self.kinds[token]
            if kind == TOKEN_CONTROL or also_unknown and kind == TOKEN_UNKNOWN:
                at = raw.find(text, start, end)      # a span may have spaces beside it
                if at >= 0 and len(text.decode("utf-8", "replace")) > 1:
                    found.append((at, at + len(text)))
        return found

    def _text(self, text, mark):
        """With marks, or None where there is nothing to mark."""
        raw = text.encode("utf-8", "surrogatepass")
        if not raw or self.tokenizer.encode(raw, ENCODE_SPECIAL) == self.tokenizer.encode(raw, 0):
            return None
        while places := self._spelled(raw):
            for start, _ in reversed(places):
                first = start + 1
                while raw[first] & 0xc0 == 0x80:
                    first += 1
                raw = raw[:first] + mark.encode() + raw[first:]
        return raw.decode("utf-8", "surrogatepass")

    def _marked(self, value, mark, found):
        if isinstance(value, str):
            text = self._text(value, mark)
            found[0] |= text is not None
            return value if text is None else text
        if isinstance(value, dict):
            return {self._marked(k, mark, found): self._marked(v, mark, found) for k, v in value.items()}
        return [self._marked(v, mark, found) for v in value] if isinstance(value, list) else value

    def mark(self, value):
        """(the value with marks, the mark), (the value, None) where there is nothing to mark;
        ValueError where it has every character that could be the mark."""
        held = repr(value)
        free = [m for m in MARKS if m not in held and "\\U%08x" % ord(m) not in held and "\\u%04x" % ord(m) not in held]
        found = [False]
        marked = self._marked(value, free[0] if free else "", found) if free else value
        if not free and self._any(value):
            raise ValueError("spells control tokens, and every character that could part them")
        return (marked, free[0]) if found[0] else (value, None)

    def _any(self, value):
        if isinstance(value, str):
            return bool(value and self._spelled(value.encode("utf-8", "surrogatepass")))
        if isinstance(value, dict):
            return any(self._any(v) for pair in value.items() for v in pair)
        return isinstance(value, list) and any(map(self._any, value))

    def encode(self, text, mark):
        """A rendering's ids."""
        raw = bytes(text)
        if mark is None:
            return self.tokenizer.encode(raw, ENCODE_SPECIAL)
        sign, ids, done, begin = mark.encode(), [], 0, 0
        for start, end in self._spelled(raw, False) + [(len(raw), len(raw))]:
            if sign in raw[begin:start]:
                ids += self.tokenizer.encode(raw[done:begin], ENCODE_SPECIAL)
                ids += self.tokenizer.encode(raw[begin:start].replace(sign, b""), 0)
                done = start
            begin = end
        return ids + list(self.tokenizer.encode(raw[done:], ENCODE_SPECIAL))
