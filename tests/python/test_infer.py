"""compute and infer through Python: one answer on every backend."""
import json
import math
import unittest

import decai
import gguf

ROOMS = {"compute", "infer", "model", "tok"}
PROMPT = [1, 2, 3, 65, 66, 67, 68, 256, 257]


class Devices(unittest.TestCase):
    def test_scalar_and_native_are_there_and_right(self):
        with decai.Context() as context:
            found, i = [], 0
            while (text := context.device_at(i)) is not None:
                found.append(json.loads(text))
                i += 1
            self.assertEqual([d["backend"] for d in found[:2]], ["scalar", "native"])
            for d in found[:2]:
                context.device_verify(d["index"])


class Sessions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.context = decai.Context()
        cls.model = decai.Model.open(cls.context, gguf.llama())

    def run_once(self, engine_options, session_options):
        engine = decai.Engine(self.model, engine_options)
        session = decai.Session(engine, session_options)
        session.add(PROMPT)
        tokens = list(session)
        return session, tokens

    def test_one_hash_on_every_backend_and_batch(self):
        seen = set()
        for backend in ("scalar", "native", "auto"):
            for batch in (1, 7, 64):
                session, tokens = self.run_once({"compute.backend": backend, "infer.batch": batch},
                                                {"infer.max_tokens": 12, "infer.activation_tree": 1, "infer.seed": 3,
                                                 "infer.temperature": 0.8})
                seen.add((tuple(tokens), session.hash_get(), session.root_get()))
        self.assertEqual(len(seen), 1)

    def test_a_scheduler_gives_what_sessions_give(self):
        engine = decai.Engine(self.model, {"compute.backend": "native"})
        options = [{"infer.max_tokens": 4 + i, "infer.seed": i, "infer.temperature": 0.5 * i} for i in range(5)]
        alone = []
        for o in options:
            session = decai.Session(engine, o)
            session.add(PROMPT)
            alone.append((list(session), session.hash_get()))
        scheduler = decai.Scheduler(engine, {"infer.active": 4})
        scheduler.draft_set(engine)
        sessions = [decai.Session(engine, o) for o in options]
        for i, session in enumerate(sessions):
            scheduler.submit(session, i + 1, 0, PROMPT)
        said = json.loads(scheduler.format())
        self.assertEqual((said["queued"], len(said["requests"]), said["draft_model"]), (5, 5, True))
        with self.assertRaises(decai.StateError):
            scheduler.draft_set(None)
        with self.assertRaises(decai.BusyError):
            sessions[0].hash_get()
        tokens = [[] for _ in options]
        for event in scheduler:
            if event.kind == decai.EVENT_TOKEN:
                tokens[event.request - 1].append(event.value)
                top = scheduler.top_get(event.request, 3)
                self.assertEqual(top.tokens[0], event.value)
                self.assertEqual(len(top.logprobs), 4)
            self.assertNotEqual(event.kind, decai.EVENT_FAILED)
        self.assertEqual([(t, s.hash_get()) for t, s in zip(tokens, sessions)], alone)
        sessions[0].start()
        scheduler.submit(sessions[0], 9, -1, PROMPT)
        scheduler.cancel(9)
        self.assertEqual(scheduler.next(-1).kind, decai.EVENT_CANCELLED)
        self.assertIsNone(scheduler.next(0))

    def test_a_shelf_of_models(self):
        other = decai.Model.open(self.context, gguf.llama())
        shelf = decai.Shelf(self.context, {"compute.backend": "native"})
        shelf.add(self.model, "one")
        shelf.add(other, "two")
        with self.assertRaises(decai.NotFoundError):
            shelf.get("three")
        engine = shelf.get("two")
        session = decai.Session(engine, {"infer.max_tokens": 3})
        session.add(PROMPT)
        self.assertEqual(len(list(session)), 3)
        said = json.loads(shelf.format())
        self.assertEqual([m["ready"] for m in said["models"]], [False, True])
        self.assertEqual((said["gets"], said["created"]), (1, 1))

    def test_what_a_session_says(self):
        session, tokens = self.run_once({"compute.backend": "native"}, {"infer.max_tokens": 5})
        self.assertLessEqual(len(tokens), 5)
        count = session.count()
        self.assertEqual((count.prompt, count.generated), (len(PROMPT), len(tokens)))
        logits = session.logits_get()
        self.assertEqual(len(logits), gguf.VOCAB)
        self.assertEqual(logits.index(max(logits)), tokens[-1])
        before = session.hash_get()
        session.start()
        session.add(PROMPT)
        self.assertEqual(list(session), tokens)
        self.assertEqual(session.hash_get(), before)

    def test_cancel_and_overflow(self):
        engine = decai.Engine(self.model, {"infer.context": 16})
        self.assertEqual(json.loads(engine.format())["context"], 16)
        session = decai.Session(engine)
        with self.assertRaises(decai.LimitError):
            session.add([1] * 17)
        session.add([1] * 15)
        session.cancel()
        with self.assertRaises(decai.CancelledError):
            session.next()

    def test_an_engine_made_in_the_background(self):
        made = decai.Engine.create_start(self.model, {"compute.backend": "native"})
        made.task.result()
        session = decai.Session(made.out, {"infer.max_tokens": 4})
        session.add(PROMPT)
        here, _ = self.run_once({"compute.backend": "native"}, {"infer.max_tokens": 4})
        self.assertEqual(list(session), list(self.run_once({"compute.backend": "native"}, {"infer.max_tokens": 4})[1]))
        self.assertEqual(session.hash_get(), here.hash_get())

    def test_vectors_do_not_depend_on_company(self):
        engine = decai.Engine(self.model)
        flags = decai.EMBED_NORMALISE
        together = engine.encode(PROMPT + [7] + PROMPT[:3], [len(PROMPT), 1, 3], flags)
        alone = engine.encode(PROMPT, [len(PROMPT)], flags) + engine.encode([7], [1], flags) + engine.encode(PROMPT[:3], [3], flags)
        self.assertEqual(together, alone)
        width = len(together) // 3
        self.assertAlmostEqual(sum(v * v for v in together[:width]), 1, places=5)
        with self.assertRaises(decai.InvalidError):
            engine.encode(PROMPT, [len(PROMPT) - 1], 0)

    def test_how_likely_tokens_were(self):
        engine = decai.Engine(self.model)
        session = decai.Session(engine, {"infer.logprobs": 1})
        session.add(PROMPT[:4])
        session.add(PROMPT[4:])
        found = session.logprobs_get()
        self.assertEqual((len(found), found[0]), (len(PROMPT), 0))
        # The last one again, from the logits before it.
        before = decai.Session(engine)
        before.add(PROMPT[:-1])
        before.next()
        logits = before.logits_get()
        top = max(logits)
        want = logits[PROMPT[-1]] - top - math.log(sum(math.exp(v - top) for v in logits))
        self.assertAlmostEqual(found[-1], want, places=5)

    def test_likeliest_tokens(self):
        session, tokens = self.run_once({"compute.backend": "native"}, {"infer.max_tokens": 5, "infer.temperature": 2.0})
        found = session.top_get(20)
        self.assertEqual((len(found.tokens), len(found.logprobs), found.tokens[0]), (21, 21, tokens[-1]))
        logits = session.logits_get()
        self.assertEqual(found.tokens[1:], sorted(range(len(logits)), key=lambda i: (-logits[i], i))[:20])
        top = max(logits)
        log_sum = math.log(sum(math.exp(v - top) for v in logits))
        for token, logprob in zip(*found):
            self.assertAlmostEqual(logprob, logits[token] - top - log_sum, places=5)
        with self.assertRaises(decai.LimitError):
            session.top_get(decai.TOP_MAX + 1)

    def test_sampling_options(self):
        _, plain = self.run_once({}, {"infer.max_tokens": 12})
        _, banned = self.run_once({}, {"infer.max_tokens": 12, "infer.logit_bias": "%d:-inf" % plain[0]})
        self.assertNotIn(plain[0], banned)
        _, once = self.run_once({}, {"infer.max_tokens": 12, "infer.presence_penalty": 900.0, "infer.penalty_last_n": -1})
        self.assertEqual(len(set(once)), len(once))
        draws = {"infer.max_tokens": 12, "infer.temperature": 1.2, "infer.seed": 4}
        for more in ({"infer.min_p": 0.1}, {"infer.typical_p": 0.5}, {"infer.top_n_sigma": 0.5}, {"infer.mirostat": 2},
                     {"infer.xtc_probability": 1.0, "infer.xtc_threshold": 0.01}, {"infer.dry_multiplier": 2.0}):
            self.assertEqual(*(self.run_once({}, {**draws, **more})[1] for _ in range(2)))
        with self.assertRaises(decai.InvalidError) as caught:
            self.run_once({}, {"infer.mirostat": 2, "infer.min_p": 0.1})
        self.assertIn("infer.min_p", str(caught.exception))

    def test_a_token_outside_the_vocabulary(self):
        session = decai.Session(decai.Engine(self.model))
        with self.assertRaises(decai.InvalidError):
            session.add([gguf.VOCAB])


if __name__ == "__main__":
    unittest.main()
