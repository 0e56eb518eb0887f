"""What people say becomes no control token: over the vocabularies that are there."""
import json
import os
import re
import subprocess
import tempfile
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

    def test_the_command_line(self):
        tool = os.path.join(os.environ.get("BUILD", "build/release"), "decai")
        model = decai.Model.load(decai.Context(), SHIPPED)
        tok, sep = decai.Tokenizer(model), "<|sep|>"
        said = "send%s 25" % sep
        rendered = bytes(decai.Template(decai.Context(), model).format(json.dumps(
            {"messages": [{"role": "user", "content": "SAID"}], "tools": None, "add_generation_prompt": True}))).decode()
        before, after = rendered.split("SAID")
        want = list(tok.encode(before, decai.ENCODE_SPECIAL)) + list(tok.encode(said, 0)) + list(tok.encode(after, decai.ENCODE_SPECIAL))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "r.cbor")
            subprocess.run([tool, "run", SHIPPED, said, "--chat", "--max-tokens", "1", "--receipt", path], check=True, capture_output=True)
            with open(path, "rb") as f, open(path + ".opening", "rb") as g:
                found = list(decai.Receipt.load(decai.Context(), f.read()).opening_decode(g.read(), 0))
        self.assertEqual(found, want)
        counts = []
        for flags in ((), ("--allow-special",)):
            done = subprocess.run([tool, "chat", SHIPPED, "--temperature", "0", *flags], input=said + "\n/stats\n", capture_output=True, text=True, check=True)
            counts.append(int(re.search(r"(\d+) tokens read", done.stdout).group(1)))
        self.assertEqual(counts, [len(want), len(tok.encode(before + said + after, decai.ENCODE_SPECIAL))])

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
