"""Constrained output through Python: grammars, masks, what is forced."""
import json
import re
import unittest

import decai

SMALL = {
    "added_tokens": [{"id": 0, "content": "</s>", "special": True}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "merges": [], "vocab": {"</s>": 0, "a": 1, "b": 2, "ab": 3, "ba": 4, "\u0120": 5, "1": 6, "12": 7}},
}
CONTEXT = decai.Context()


def tokenizer():
    return decai.Tokenizer.open(CONTEXT, json.dumps(SMALL))


def allowed(matcher):
    mask = matcher.mask_get()
    return {i for i in range(8 * len(mask)) if mask[i // 8] >> i % 8 & 1}


class Gbnf(unittest.TestCase):
    def test_masks_and_tokens(self):
        m = decai.Matcher(decai.Grammar(tokenizer(), "gbnf", 'root ::= "ab" [0-9]+ | "b"', None))
        self.assertEqual(allowed(m), {1, 2, 3})
        self.assertEqual(m.add([1, 2]), 2)
        self.assertEqual(allowed(m), {6, 7})
        self.assertEqual(m.add([7, 6, 1]), 2)                    # the letter may not come
        self.assertEqual(allowed(m), {0, 6, 7})                  # complete: the end may come
        self.assertEqual(tuple(m.forced_get()), (b"", 1))
        m.remove(4)
        self.assertEqual(m.add([3, 6, 0]), 3)
        self.assertEqual(allowed(m), set())
        with self.assertRaises(decai.InvalidError):
            m.remove(9)

    def test_what_is_forced(self):
        m = decai.Matcher(decai.Grammar(tokenizer(), "gbnf", 'root ::= "ab\u00e9" ("a" | "b")', None))
        self.assertEqual(tuple(m.forced_get()), ("ab\u00e9".encode(), 0))

    def test_refused(self):
        for kind, text, error in (("gbnf", "root ::= x", decai.CorruptError), ("other", "", decai.InvalidError),
                                  ("gbnf", "root ::= <x>", decai.UnsupportedError), ("gbnf", 'root ::= "a"{999999}', decai.LimitError)):
            with self.assertRaises(error):
                decai.Grammar(tokenizer(), kind, text, None)

    def test_against_re(self):
        """Walks over the masks give what the same regular expression takes."""
        t = tokenizer()
        for gbnf, pattern in (('root ::= ("a" | "b" "b"?){2,3} ("1" | "12")?', r"(a|bb?){2,3}(1|12)?"),
                              ('root ::= [^1 ]* " "', r"[^1 ]* "), ('root ::= "ab"+ | "ba"+ "1"', r"(ab)+|(ba)+1")):
            g = decai.Grammar(t, "gbnf", gbnf, None)
            for seed in range(40):
                m, ids, state = decai.Matcher(g), [], seed * 7919 + 1
                while len(ids) < 30:
                    state = (state * 1103515245 + 12345) % 2 ** 31
                    may = sorted(allowed(m))
                    token = may[state // 65536 % len(may)]
                    self.assertEqual(m.add([token]), 1)
                    if token == 0:
                        self.assertRegex(t.decode(ids, 0).decode("latin-1"), re.compile("^(?:%s)$" % pattern, re.S))
                        break
                    ids.append(token)


if __name__ == "__main__":
    unittest.main()
