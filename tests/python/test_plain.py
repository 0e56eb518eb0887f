"""What people say becomes no control token: over the vocabularies that are there."""
import os
import unittest

import decai
from decai._plain import MARKS, Plain

ROOMS = {"tok"}
SHIPPED = "examples/model/decai-actions.q8_0.gguf"
VECTORS = os.environ.get("DECAI_VECTORS", "../shared/vectors")
CONTENTS = ("{0}", "a{0}b", "{0}{0}", " {0} {1} ", "what does {0} mean, and {1}?\n\n{0}", "\u00e9{0}\u20ac{1}\U0001f600", "{0[0]}{0}", "<{0}>", "none")


class PlainText(unittest.TestCase):
    def check(self, path):
        context = decai.Context()
        tok = decai.Tokenizer(decai.Model.load(context, path))
        plain = Plain(tok)
        kinds = [tok.token_get(i) for i in range(tok.count())]
        # those that this vocabulary finds at all: in some, a longer one or a user's token comes first
        control = [k.out.decode() for i, k in enumerate(kinds) if k.kind == decai.TOKEN_CONTROL and len(k.out) > 1 and
                   list(tok.encode(k.out, decai.ENCODE_SPECIAL)) == [i]][:2]
        if not control:
            return 0
        one, other = control[0], control[-1]
        for content in CONTENTS:
            said = content.format(one, other)
            text = "%s[user]\n%s\n%s[end]" % (one, said, other)
            marked, mark = plain.mark({"messages": [{"role": "user", "content": said}]})
            self.assertEqual(mark is None, content in ("none",), (path, content))
            rendered = "%s[user]\n%s\n%s[end]" % (one, marked["messages"][0]["content"], other)
            ids = list(plain.encode(rendered.encode(), mark))
            if mark is None:
                self.assertEqual(ids, list(tok.encode(text, decai.ENCODE_SPECIAL)))
                continue
            steering = [i for i in ids if kinds[i].kind == decai.TOKEN_CONTROL]
            self.assertEqual([kinds[i].out.decode() for i in steering], [one, other], (path, content))
            at = ids.index(steering[1], 1)
            self.assertEqual(ids[1:at], list(tok.encode("[user]\n%s\n" % said, 0)), (path, content))
            self.assertFalse([m for m in MARKS if m.encode() in b"".join(kinds[i].out for i in ids)])
        return 1

    def test_the_shipped_vocabulary(self):
        self.assertEqual(self.check(SHIPPED), 1)

    def test_published_vocabularies(self):
        # no WordPiece: what it does not know becomes a control token by itself
        paths = [os.path.join(VECTORS, "tokenizers", "ggml-vocab-%s.gguf" % name) for name in ("llama-spm", "llama-bpe", "qwen2", "phi-3", "deepseek-llm")]
        if not any(map(os.path.exists, paths)):
            self.skipTest("no published vocabularies")
        self.assertEqual([self.check(path) for path in paths], [1] * len(paths))

    def test_marks(self):
        plain = Plain(decai.Tokenizer(decai.Model.load(decai.Context(), SHIPPED)))
        self.assertEqual(plain.mark(["x", 1, None, {"a": True}]), (["x", 1, None, {"a": True}], None))
        value, mark = plain.mark({"<|sep|>": [MARKS[0] + "<|sep|>"]})
        self.assertEqual((mark, value), (MARKS[1], {"<%s|sep|>" % mark: [MARKS[0] + "<%s|sep|>" % mark]}))
        self.assertEqual(plain.mark(MARKS), (MARKS, None))
        with self.assertRaises(ValueError):
            plain.mark(MARKS + "<|sep|>")


if __name__ == "__main__":
    unittest.main()
