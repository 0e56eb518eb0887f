"""JSON Schema as grammars: every text that the masks let through is valid, every plainly
valid value is let through, every refusal names its keyword. Schemas: tests/tools/schemas.py,
by hand and from a seed; jsonschema judges too where it is installed."""
import decimal
import fractions
import json
import os
import random
import sys
import unittest

import decai

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import schemas  # noqa: E402

try:
    import jsonschema
except ImportError:
    jsonschema = None

MADE = 470
CONTEXT = decai.Context()
VECTORS = os.path.join(os.environ.get("DECAI_VECTORS", "../shared/vectors"), "tokenizers")
KINDS = {"json_schema": (", ", ": "), "json_schema_compact": (",", ":")}


def tokenizer(path):
    with open(path, "rb") as f:
        return decai.Tokenizer(decai.Model.open(CONTEXT, f.read()))


def corpus():
    return schemas.tools() + [("made %d" % i, schemas.made(i)) for i in range(MADE)]


class Walker:
    """Texts by random tokens of the masks; after `wild` of them, those that end soonest."""

    def __init__(self, t):
        self.t = t
        self.ends = self.allowed(decai.Matcher(decai.Grammar(t, "gbnf", 'root ::= ""', None)).mask_get())
        self.soon = [t.id_get(c) for c in ('"', "}", "]", ",", "0", "1", " ")]

    def walk(self, grammar, r, wild=25, most=1500):
        m, ids = decai.Matcher(grammar), []
        while len(ids) < most:
            complete = m.forced_get().complete
            may = self.allowed(m.mask_get())
            if complete != any(i in may for i in self.ends):
                raise AssertionError("complete, but no token may end it")
            may -= self.ends
            if not may and not complete:
                raise AssertionError("an empty mask")
            if complete and (len(ids) >= wild or not r.randrange(6) or not may):
                return self.t.decode(ids, decai.DECODE_CONTINUE)
            soon = [i for i in self.soon if i in may] if len(ids) >= wild and r.randrange(4) else []
            token = soon[0] if soon else r.choice(sorted(may))
            if m.add([token]) != 1:
                raise AssertionError("a token of the mask is refused")
            ids.append(token)
        raise AssertionError("no end")

    @staticmethod
    def allowed(mask):
        return {8 * k + i for k, b in enumerate(mask) if b for i in range(8) if b >> i & 1}


class Schemas(unittest.TestCase):
    def judge(self, name, schema, text):
        try:
            value = json.loads(text)
        except ValueError as e:
            raise AssertionError("%s: %r" % (name, text)) from e
        exact = json.loads(text, parse_float=decimal.Decimal)
        self.assertTrue(schemas.valid(schema, exact), "%s: %s under %s" % (name, text, schema))
        if jsonschema and name not in ("nullable", "money"):         # OpenAPI's word; it divides floats
            jsonschema.validate(value, schema)
        decai.json_verify(CONTEXT, text) if not self.repeats(text) else None

    @staticmethod
    def repeats(text):
        """Names of further members may repeat; our strict reader refuses that."""
        found = []

        def pairs(items):
            found.append(len({k for k, _ in items}) < len(items))
            return dict(items)
        json.loads(text, object_pairs_hook=pairs)
        return any(found)

    def run_corpus(self, t, pick, walks):
        w, texts = Walker(t), 0
        for k, (name, schema) in enumerate(corpus()):
            if k % pick:
                continue
            kind = list(KINDS)[k % 2]
            try:
                g = decai.Grammar(t, kind, json.dumps(schema), None)
            except decai.InvalidError:                               # no value at all is valid
                self.assertIn("made", name)
                continue
            for seed in range(walks):
                try:
                    text = w.walk(g, random.Random(1000 * k + seed), wild=(0, 10, 25)[seed % 3])
                except AssertionError as e:
                    if str(e) == "no end" and any(p in json.dumps(schema) for p in ("foo|", "x+y?", "^v[0-9]+")):
                        continue                                     # a word that chance does not find
                    raise AssertionError("%s: %s" % (name, json.dumps(schema))) from e
                self.judge(name, schema, text)
                texts += 1
        return texts

    def test_every_text_is_valid(self):
        self.assertGreaterEqual(len(corpus()), 500)
        texts = self.run_corpus(tokenizer("examples/model/decai-actions.q8_0.gguf"), 1, 3)
        print("# %d texts under %d schemas" % (texts, len(corpus())))
        self.assertGreater(texts, 1400)

    def test_large_vocabularies(self):
        for name in ("gpt-2", "llama-spm", "qwen2"):
            path = os.path.join(VECTORS, "ggml-vocab-%s.gguf" % name)
            if not os.path.exists(path):
                self.skipTest("no published vectors")
            self.assertGreater(self.run_corpus(tokenizer(path), 20, 2), 40)

    def test_valid_values_are_let_through(self):
        t, n = tokenizer("examples/model/decai-actions.q8_0.gguf"), 0
        for k, (name, schema) in enumerate(corpus()):
            for kind, separators in KINDS.items():
                try:
                    g = decai.Grammar(t, kind, json.dumps(schema), None)
                except decai.InvalidError:
                    continue
                for seed in range(3):
                    value = schemas.example(schema, random.Random(seed)) if schema is not True else 1
                    if not schemas.valid(schema, value):
                        continue                                     # the maker of examples is plain
                    texts = [json.dumps(value, ensure_ascii=False, separators=separators)]
                    if kind == "json_schema":
                        texts += [json.dumps(value, ensure_ascii=False, indent=2), json.dumps(value, ensure_ascii=False, separators=(",", ":"))]
                    for text in texts:
                        ids = t.encode(text, 0)
                        m = decai.Matcher(g)
                        taken = m.add(ids)
                        self.assertEqual((taken, m.forced_get().complete), (len(ids), 1), "%s: %s under %s" % (name, text, json.dumps(schema)))
                        n += 1
        print("# %d values" % n)
        self.assertGreater(n, 3000)

    def test_invalid_values_are_not(self):
        t = tokenizer("examples/model/decai-actions.q8_0.gguf")
        for schema, texts in (
                ({"type": "integer", "minimum": 7, "maximum": 120}, ["6", "121", "07", "7.0", "-7", "1e1", "1000"]),
                ({"type": "integer", "minimum": -12, "exclusiveMaximum": 3}, ["-13", "3", "-0", "--1", "-20", "10"]),
                ({"type": "number", "minimum": 0.5, "exclusiveMaximum": 3}, ["0.49", "3", "3.0", "0", ".5", "0.5e0", "3.1"]),
                ({"type": "number", "exclusiveMinimum": 0}, ["0", "0.0", "-1", "0.000"]), ({"type": "number", "maximum": -0.25}, ["-0.2", "-0.249", "0", "1"]),
                (schemas.obj(a=schemas.I), ['{"a":1,"a":2}', "{}", '{"b":1}', '{"a":"1"}', '{"a":1,}', '{"a":1}x']),
                ({"type": "string", "maxLength": 3}, ['"abcd"', '"\\u0000"', '"\n"', '"\\ud800"', "'a'"]), ({"enum": ["a"]}, ['"b"', "a"]),
                ({"type": "array", "items": schemas.I, "minItems": 2, "maxItems": 3}, ["[1]", "[1,2,3,4]", "[1,,2]", "[]", "[1,2,]"]),
                ({"type": "string", "format": "date"}, ['"2023-02-29"', '"2023-04-31"', '"0000-01-01"', '"2023-13-01"']),
                ({"type": "object", "properties": {"a": schemas.I}, "additionalProperties": schemas.S}, ['{"b":1}', '{"a":"x"}', '{"b":"x","a":1}'])):
            g = decai.Grammar(t, "json_schema", json.dumps(schema), None)
            for text in texts:
                m, ids = decai.Matcher(g), t.encode(text, 0)
                self.assertFalse(m.add(ids) == len(ids) and m.forced_get().complete, "%s under %s" % (text, schema))

    def test_exact_integers(self):
        """All integers of a range, and no other, beside counting."""
        t, r = tokenizer("examples/model/decai-actions.q8_0.gguf"), random.Random(3)
        for _ in range(60):
            low = r.randrange(-1200, 1200)
            high = low + r.choice([0, 1, 9, 10, 99, 700])
            g = decai.Grammar(t, "json_schema", json.dumps({"type": "integer", "minimum": low, "maximum": high}), None)
            for v in list(range(low - 12, low + 12)) + list(range(high - 12, high + 12)) + [r.randrange(-3000, 3000) for _ in range(20)]:
                m, ids = decai.Matcher(g), t.encode(str(v), 0)
                self.assertEqual(m.add(ids) == len(ids) and m.forced_get().complete == 1, low <= v <= high, (low, high, v))

    def test_exact_decimals(self):
        t, r = tokenizer("examples/model/decai-actions.q8_0.gguf"), random.Random(4)
        for _ in range(80):
            low, high = sorted(r.choice([1, -1]) * r.randrange(3000) / r.choice([1, 10, 100, 1000]) for _ in range(2))
            a, b = r.choice(["minimum", "exclusiveMinimum"]), r.choice(["maximum", "exclusiveMaximum"])
            s = {"type": "number", a: low, b: high}
            try:
                g = decai.Grammar(t, "json_schema", json.dumps(s), None)
            except decai.InvalidError:
                self.assertEqual(low, high)
                continue
            for v in [low, high] + [r.randrange(-4000, 4000) / r.choice([1, 10, 100, 1000]) for _ in range(30)] + [low + d for d in (.001, -.001)] + [high + d for d in (.001, -.001)]:
                for text in {"%.3f" % v, ("%.3f" % v).rstrip("0").rstrip(".")} - {"-0", "-0.000"}:
                    m, ids = decai.Matcher(g), t.encode(text, 0)
                    self.assertEqual(m.add(ids) == len(ids) and m.forced_get().complete == 1, schemas.valid(s, float(text)), (s, text))

    def test_exact_multiples(self):
        """Multiples between bounds, in decimals, and no other, beside fractions."""
        t, r, n = tokenizer("examples/model/decai-actions.q8_0.gguf"), random.Random(5), 0
        for step in ("1", "3", "7", "12", "64", "100", "4096", "0.1", "0.01", "0.50", "0.125", "1.5", "0.3", "0.0001"):
            for kind in ("integer", "number"):
                for low, high in ((None, None), (0, None), (-100, 250), (-7, None), (3, 3.3)):
                    s = {"type": kind, **({} if low is None else {"minimum": low}), **({} if high is None else {"maximum": high})}
                    text = json.dumps(s)[:-1] + ', "multipleOf": %s}' % step
                    try:
                        g = decai.Grammar(t, "json_schema", text, None)
                    except (decai.InvalidError, decai.LimitError):               # none is valid; 4096 between digits of both bounds
                        continue
                    for _ in range(40):
                        v = fractions.Fraction(step) * r.randrange(-60, 300) if r.randrange(2) else fractions.Fraction(r.randrange(-10 ** 6, 10 ** 7), 10 ** r.randrange(5))
                        places = next(d for d in range(9) if (v * 10 ** d).denominator == 1) + r.choice([0, 0, 0, 1, 2])
                        if places and kind == "integer":
                            continue
                        digits = str(abs(v) * 10 ** places).rjust(places + 1, "0")
                        number = "-" * (v < 0) + digits[:len(digits) - places] + ("." + digits[-places:] if places else "")
                        m, ids = decai.Matcher(g), t.encode(number, 0)
                        holds = (v / fractions.Fraction(step)).denominator == 1 and (low is None or v >= low) and (high is None or v <= fractions.Fraction(str(high)))
                        self.assertEqual(m.add(ids) == len(ids) and m.forced_get().complete == 1, holds, (text, number))
                        n += 1
        self.assertGreater(n, 3000)

    def test_refusals_name_the_keyword(self):
        t = tokenizer("examples/model/decai-actions.q8_0.gguf")
        for schema, place in schemas.REFUSED:
            with self.assertRaises(decai.Error) as caught:
                decai.Grammar(t, "json_schema", json.dumps(schema), None)
            self.assertIn("schema: %s" % place, str(caught.exception), schema)
        for bad in ("", "{", '{"a":1,"a":2}', "3"):
            with self.assertRaises(decai.CorruptError):
                decai.Grammar(t, "json_schema", bad, None)
        deep = {"$defs": {"a": {"allOf": [{"properties": {"x": {"allOf": [{"$ref": "#/$defs/a"}, {}]}}}, {"type": "object"}]}}, "$ref": "#/$defs/a"}
        with self.assertRaises(decai.LimitError):
            decai.Grammar(t, "json_schema", json.dumps(deep), None)
        with self.assertRaises(decai.InvalidError):
            decai.Grammar(t, "json_schema", "false", None)


if __name__ == "__main__":
    unittest.main()
