"""Chat templates: goldens that always run, and Jinja2 itself where it is installed."""
import glob
import json
import os
import unittest
import warnings

import decai

import gguf

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VECTORS = os.environ.get("DECAI_VECTORS", os.path.join(ROOT, "..", "shared", "vectors"))
DEEP = os.environ.get("DECAI_DEEP") == "1"
try:
    import jinja2
    import jinja_oracle
    import jinja_random
except ImportError:
    jinja2 = None
NEEDS_JINJA2 = unittest.skipUnless(jinja2, "the package jinja2 is not installed (Debian: python3-jinja2)")


class TestTemplate(unittest.TestCase):
    def setUp(self):
        self.context = decai.Context()

    def make(self, text, **options):
        return decai.Template(self.context, None, text, {"tok.template_" + k: v for k, v in options.items()})

    def render(self, text, variables, **options):
        return self.make(text, **options).format(json.dumps(variables)).decode()

    def test_array_is_messages(self):
        text = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        self.assertEqual(self.render(text, [{"role": "user", "content": "hé"}]), "user: hé\n")

    def test_model_gives_template_and_tokens(self):
        model = decai.Model.open(self.context, gguf.llama())
        t = decai.Template(self.context, model, "{{ bos_token }}|{{ eos_token }}|{{ x }}")
        self.assertEqual(t.format('{"x": 1}'), b"<|begin|>|<|end|>|1")
        self.assertEqual(t.format('{"bos_token": "B"}'), b"B|<|end|>|")
        with self.assertRaises(decai.NotFoundError):
            decai.Template(self.context, model)

    def test_errors_name_line_and_expression(self):
        with self.assertRaises(decai.TemplateError) as e:
            self.render("a\n{{ messages[0].role.x.y }}", [{"role": "secret text"}])
        self.assertIn("line 2: `messages[0].role.x.y`", str(e.exception))
        self.assertNotIn("secret", str(e.exception))
        with self.assertRaises(decai.CorruptError) as e:
            self.make("a\n\n{% if %}")
        self.assertIn("line 3", str(e.exception))

    def test_limits(self):
        loop = "{% for i in range(1000) %}{{ i }}{% endfor %}"
        self.assertRaises(decai.LimitError, self.render, loop, {}, fuel=500)
        self.assertRaises(decai.LimitError, self.render, loop, {}, output_max=2889)
        self.assertEqual(len(self.render(loop, {}, output_max=2890)), 2890)
        self.assertRaises(decai.LimitError, self.render, "{{ ('a' * 1000000)|upper }}", {}, memory_max=1 << 20)
        self.assertRaises(decai.LimitError, self.render, "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", {})
        self.assertRaises(decai.LimitError, self.make, "x" * 11, text_max=10)

    def test_goldens(self):
        with open(os.path.join(ROOT, "tests", "golden", "templates.json"), encoding="utf-8") as f:
            golden = json.load(f)
        texts = {k: json.dumps(v) for k, v in golden["variables"].items()}
        self.assertGreater(len(golden["cases"]), 400)
        for text, which, want in golden["cases"]:
            try:
                got = self.make(text, time_s=golden["now"]).format(texts[which]).decode()
            except decai.UnsupportedError:
                if want is not None:
                    self.fail("refused, but Jinja2 renders: %r" % text)
                got = None
            except decai.Error:
                got = None
            self.assertEqual(got, want, text)


@NEEDS_JINJA2
class TestAgainstJinja2(unittest.TestCase):
    def setUp(self):
        warnings.simplefilter("ignore")
        self.context, self.env = decai.Context(), jinja_oracle.environment()

    def compare(self, text, variables, texts):
        """[(rendered, raised)] over the conversations; both sides must agree."""
        raised = 0
        ours, theirs = None, None
        try:
            theirs = self.env.from_string(text)
        except Exception:
            pass
        try:
            ours = decai.Template(self.context, None, text, {"tok.template_time_s": jinja_oracle.NOW})
        except decai.Error as e:
            if theirs is not None and e.code != decai.E_UNSUPPORTED:
                self.fail("%s\nours refuses: %s" % (text, e))
            return len(texts)
        for v, j in zip(variables, texts):
            want, got, refused = None, None, False
            if theirs is not None:
                try:
                    want = theirs.render(**v)
                except Exception:
                    pass
            try:
                got = ours.format(j).decode()
            except decai.Error as e:
                refused = e.code == decai.E_UNSUPPORTED
            if got != want and not (refused and (want is None or " at 0x" in want or self.beyond)):
                self.fail("%s\n%s\nJinja2: %r\nours:   %r" % (text, j, want, got))
            raised += want is None
        return raised

    beyond = False

    def test_published_templates(self):
        files = sorted(glob.glob(os.path.join(VECTORS, "tokenizers", "templates", "*.jinja")))
        if not files:
            self.skipTest("published chat templates")
        seeds = range(500 if DEEP else 24)
        variables = [jinja_oracle.conversation(s) for s in seeds]
        texts = [json.dumps(v) for v in variables]
        raised = 0
        for name in files:
            with open(name, encoding="utf-8", newline="") as f:
                raised += self.compare(f.read(), variables, texts)
        total = len(files) * len(texts)
        self.assertLess(raised, total // 2, "most of the corpus must render")
        self.assertGreater(raised, total // 50, "some of the corpus must raise")

    def test_random_templates(self):
        self.beyond = True                               # integers beyond 64 bits, methods as values
        rendered, count = 0, 100000 if DEEP else 700
        for seed in range(1000, 1000 + count):
            v = json.loads(json.dumps(jinja_random.VARIABLES))
            rendered += not self.compare(jinja_random.template(seed), [v], [json.dumps(v)])
        self.assertGreater(rendered, count // 3)
