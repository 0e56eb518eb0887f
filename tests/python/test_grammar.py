"""Constrained output through Python: grammars, masks, what is forced."""
import json
import re
import unittest

import decai
import gguf

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


PROMPT = [1, 2, 3, 65, 66, 67, 68, 256, 257]
SCHEMA = json.dumps({"type": "object", "properties": {"name": {"type": "string", "maxLength": 6}, "n": {"type": "integer", "minimum": 10, "maximum": 99},
                                                      "ok": {"type": "boolean"}}, "required": ["name", "n", "ok"], "additionalProperties": False})


def bend(name, data):
    """One quant of one matrix changed."""
    if name != "blk.1.ffn_up.weight":
        return data
    data = bytearray(data)
    data[2 + 5] ^= 0x40
    return bytes(data)


class Sessions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = decai.Model.open(CONTEXT, gguf.llama())
        cls.tokenizer = decai.Tokenizer(cls.model)
        cls.engine = decai.Engine(cls.model)

    def session(self, kind="json_schema_compact", text=SCHEMA, engine=None, tokenizer=None, **more):
        session = decai.Session(engine or self.engine, {"infer.max_tokens": 90, "infer.activation_tree": 1, **more})
        session.grammar_set(decai.Grammar(tokenizer or self.tokenizer, kind, text, None))
        return session

    def answer(self, session):
        session.add(PROMPT)
        tokens = list(session)
        return tokens, self.tokenizer.decode(tokens, decai.DECODE_CONTINUE)

    def test_answers_are_texts_of_the_grammar(self):
        for seed in range(12):
            tokens, text = self.answer(self.session(**{"infer.seed": seed, "infer.temperature": 0.1 * seed}))
            value = json.loads(text)                              # it ended by itself
            self.assertEqual(sorted(value), ["n", "name", "ok"])
            self.assertTrue(10 <= value["n"] <= 99 and len(value["name"]) <= 6)
            self.assertLess(len(tokens), 90)

    def test_a_second_answer_and_none(self):
        session = self.session("gbnf", 'root ::= "yes" | "no"', **{"infer.temperature": 0})
        for _ in range(3):                                        # each answer begins the grammar anew
            self.assertIn(self.answer(session)[1], (b"yes", b"no"))
        session.start()
        self.assertIn(self.answer(session)[1], (b"yes", b"no"))
        with self.assertRaises(decai.StateError):
            session.grammar_set(None)                             # an answer has begun
        session.start()
        session.grammar_set(None)
        free = decai.Session(self.engine, {"infer.max_tokens": 90, "infer.activation_tree": 1, "infer.temperature": 0})
        self.assertEqual(self.answer(session)[0], self.answer(free)[0])
        other = decai.Session(self.engine, {"infer.ignore_end": 1})
        with self.assertRaises(decai.InvalidError):
            other.grammar_set(decai.Grammar(self.tokenizer, "gbnf", 'root ::= "a"', None))

    def test_the_same_in_a_scheduler(self):
        """Among others and with guesses, which repeat themselves here."""
        grammar = 'root ::= ("abc " | "abd ")+ "."'
        options = [{"infer.seed": i, "infer.temperature": 0.3 * i, "infer.max_tokens": 60} for i in range(4)]
        alone = [self.answer(self.session("gbnf", grammar, **o))[0] for o in options]
        scheduler = decai.Scheduler(self.engine, {"infer.active": 4})
        sessions = [self.session("gbnf", grammar, **o) for o in options]
        for i, session in enumerate(sessions):
            scheduler.submit(session, i + 1, 0, PROMPT)
        given = {i + 1: [] for i in range(4)}
        while (event := scheduler.next(0)) is not None:
            if event.kind == decai.EVENT_TOKEN:
                given[event.request].append(event.value)
            self.assertNotEqual(event.kind, decai.EVENT_FAILED)
        self.assertEqual([given[i + 1] for i in range(4)], alone)

    def test_a_receipt_names_its_grammar(self):
        session = self.session(**{"infer.seed": 5, "infer.temperature": 0.7})
        self.answer(session)
        receipt = decai.Receipt(session, self.tokenizer, None)
        self.assertIn("grammar", json.loads(receipt.format())["sampler"])
        loaded, opening = decai.Receipt.load(CONTEXT, receipt.encode()), bytes(receipt.opening_get())
        found = loaded.verify(opening, self.engine)
        said = json.loads(found.format())
        self.assertTrue(said["ok"] and said["complete"], said)
        self.assertIn("sampler", said["replayed"])
        self.assertIn(SCHEMA.encode(), opening)
        for old, new in ((b'"maximum": 99', b'"maximum": 98'), (b"json_schema_compact", b"json_schema_compacT")):
            self.assertIn(old, opening)
            with self.assertRaises(decai.IntegrityError) as caught:
                loaded.verify(opening.replace(old, new), self.engine).get()
            self.assertIn("sampler.grammar", str(caught.exception))
        # A run without a grammar is another run: what it opens does not fit.
        free = decai.Session(self.engine, {"infer.max_tokens": 9, "infer.activation_tree": 1})
        self.answer(free)
        with self.assertRaises(decai.IntegrityError):
            loaded.verify(decai.Receipt(free, self.tokenizer, None).opening_get(), self.engine).get()
        self.assertNotIn("grammar", json.loads(decai.Receipt(free, self.tokenizer, None).format())["sampler"])

    def test_a_dispute_over_a_run_with_a_grammar(self):
        cheat = decai.Model.open(CONTEXT, gguf.llama(tamper=bend))
        parties = []
        for model in (self.model, cheat):
            engine, tokenizer = decai.Engine(model), decai.Tokenizer(model)
            session = self.session(engine=engine, tokenizer=tokenizer, **{"infer.temperature": 0.9})
            session.add(PROMPT)
            list(session)
            receipt = decai.Receipt(session, tokenizer, None)
            parties.append((receipt, receipt.opening_get(), engine, model))
        (a, opening_a, engine_a, _), (b, opening_b, engine_b, _) = parties
        lie = decai.Receipt.load(CONTEXT, b.encode().replace(cheat.root_get(), self.model.root_get()))
        opening_b = bytes(opening_b).replace(b.id_get(), lie.id_get())
        with self.assertRaises(decai.IntegrityError):
            lie.verify(opening_b, engine_a).get()
        started = decai.dispute_start(a, opening_a, engine_a, lie, opening_b, engine_b, self.model.root_get())
        started.task.result()
        self.assertEqual(started.dispute.get().loser, 2, json.loads(started.dispute.format()))


if __name__ == "__main__":
    unittest.main()
