"""decai serve with several models: which one answers, and which are in memory."""
import base64
import json
import os
import random
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import decai
import gguf
import serving
from serving import ANSWER, CHAT, DECAI, MESSAGES, MODEL, Server
from test_serve_load import raw, request, settle

FILES = {kind: "examples/model/decai-actions.%s.gguf" % kind for kind in ("q8_0", "f16", "q4_0")}
MODELS = ["%s=%s" % pair for pair in FILES.items()]


def answer_of(server, model, **members):
    return server.chat(model=model, **members).json["choices"][0]["message"]["content"]


class ServeModels(unittest.TestCase):
    """Three models and an encoder, memory enough for all."""
    @classmethod
    def setUpClass(cls):
        cls.server = None
        if serving.available():
            cls.folder = tempfile.TemporaryDirectory()
            cls.encoder = os.path.join(cls.folder.name, "tiny.gguf")
            with open(cls.encoder, "wb") as f:
                f.write(gguf.bert())
            cls.server = Server(model=MODELS + [cls.encoder])

    def setUp(self):
        if not self.server:
            self.skipTest("the tool was built without libmicrohttpd")

    @classmethod
    def tearDownClass(cls):
        if cls.server:
            cls.folder.cleanup()
            code, said = cls.server.end()
            if code or said:
                raise AssertionError("it ended with %d, saying %r" % (code, said))

    def test_each_is_asked_by_its_name(self):
        roots = {kind: "0x" + decai.Model.load(decai.Context(), path).root_get().hex() for kind, path in FILES.items()}
        rows = self.server.get("/v1/models").json["data"]
        self.assertEqual([r["id"] for r in rows], [*FILES, "tiny"])
        self.assertEqual({r["id"]: r["decai"]["root"] for r in rows if r["id"] in roots}, roots)
        self.assertEqual([r["decai"]["encoder"] for r in rows], [False, False, False, True])
        for kind, root in roots.items():
            a = self.server.chat(model=kind, decai_receipt=True).json
            self.assertEqual((a["model"], a["choices"][0]["message"]["content"]), (kind, ANSWER))
            self.assertEqual(a["system_fingerprint"][-16:], root[2:18])
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "r.cbor")
                for name, part in ((path, "receipt"), (path + ".opening", "opening")):
                    with open(name, "wb") as f:
                        f.write(base64.b64decode(a["decai_receipt"][part]))
                said = json.loads(subprocess.run([DECAI, "verify", path, "--json", "--model", FILES[kind]], capture_output=True, check=True).stdout)
                self.assertTrue(said["ok"])
                shown = subprocess.run([DECAI, "inspect", path, "--json"], capture_output=True, text=True, check=True).stdout
                self.assertIn(root, shown)
            given = {k: a["decai_receipt"][k] for k in ("receipt", "opening")}
            self.assertTrue(self.server.post("/decai/verify", given).json["ok"])
            self.assertEqual(self.server.get("/v1/models/" + kind).json["decai"]["state"], "ready")

    def test_many_at_once(self):
        kinds = list(FILES)
        said = {k: [answer_of(self.server, k, seed=i, temperature=1.5, max_tokens=12, ignore_eos=True) for i in range(4)] for k in kinds}
        with ThreadPoolExecutor(12) as pool:
            for i, text in enumerate(pool.map(lambda i: answer_of(self.server, kinds[i % 3], seed=i // 3 % 4, temperature=1.5, max_tokens=12,
                                                                  ignore_eos=True), range(36))):
                self.assertEqual(text, said[kinds[i % 3]][i // 3 % 4])

    def test_without_a_name_and_with_a_wrong_one(self):
        a = self.server.post(CHAT, {"messages": MESSAGES, "temperature": 0})
        self.assertEqual((a.status, a.json["model"]), (200, "q8_0"))
        for path in (CHAT, "/v1/completions", "/v1/responses", "/v1/embeddings"):
            for name, status, code in (("other", 404, "model_not_found"), ("", 404, "model_not_found"), (5, 400, None)):
                a = self.server.post(path, {"model": name, "messages": MESSAGES})
                self.assertEqual((a.status, a.error["param"], a.error["code"]), (status, "model", code), a.body)
        self.assertEqual(self.server.get("/v1/models/other").error["code"], "model_not_found")

    def test_an_encoder_beside_them(self):
        ask = lambda model, text: self.server.post("/v1/embeddings", {"model": model, "input": text})  # noqa: E731
        line = subprocess.run([DECAI, "embed", self.encoder], input="some words\n", capture_output=True, text=True, check=True).stdout
        self.assertEqual(ask("tiny", "some words").json["data"][0]["embedding"], json.loads(line)["embedding"])
        self.assertEqual(len(ask("q8_0", "some words").json["data"]), 1)
        a = self.server.chat(model="tiny")
        self.assertEqual((a.status, a.error["param"]), (400, "model"))
        self.assertEqual(answer_of(self.server, "q8_0"), ANSWER)

    def test_measured_by_model(self):
        before = self.server.metric("decai_output_tokens_total", "f16"), self.server.metric("decai_output_tokens_total", "q8_0")
        self.server.chat(model="f16")
        after = self.server.metric("decai_output_tokens_total", "f16"), self.server.metric("decai_output_tokens_total", "q8_0")
        self.assertEqual((after[0] - before[0], after[1]), (16, before[1]))
        self.assertGreaterEqual(self.server.metric("gen_ai_server_request_duration_seconds_count", "f16"), 1)
        self.assertEqual(self.server.metric("decai_engine_ready", "f16"), 1)
        self.assertEqual(self.server.metric("decai_engine_failures_total"), 0)

    def test_the_openai_client(self):
        peer = serving.official_client(self)
        done = subprocess.run([peer, "tests/python/serve_models_peer.py", str(self.server.port), "tiny", MESSAGES[0]["content"], ANSWER, *FILES],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class ServeMemory(serving.Starting):
    """Less memory than the models together have."""
    def test_room_for_one(self):
        server = self.start("--memory", "1700K", model=MODELS)
        rows = {m["id"]: m["decai"] for m in server.get("/v1/models").json["data"]}
        self.assertEqual([rows[k]["state"] for k in FILES], ["ready", "absent", "absent"])
        for kind in ("f16", "q8_0", "f16", "q4_0", "q4_0"):
            self.assertEqual(answer_of(server, kind), ANSWER)
            held = sum(m["bytes"] for m in server.get("/decai/status").json["models"] if m["state"] == "ready")
            self.assertLessEqual(held, 1700 << 10)
        self.assertEqual(server.metric("decai_engine_loads_total"), 1 + 4)
        self.assertEqual(server.metric("decai_engine_loads_total", "q4_0"), 1)

    def test_the_openai_client_where_one_fits(self):
        peer = serving.official_client(self)
        with tempfile.TemporaryDirectory() as folder:
            encoder = os.path.join(folder, "tiny.gguf")
            with open(encoder, "wb") as f:
                f.write(gguf.bert())
            server = self.start("--memory", "1700K", model=MODELS + [encoder])
            done = subprocess.run([peer, "tests/python/serve_models_peer.py", str(server.port), "tiny", MESSAGES[0]["content"], ANSWER, *FILES],
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertGreaterEqual(server.metric("decai_engine_loads_total"), len(FILES))

    def test_turns_where_all_are_busy(self):
        server = self.start("--memory", "1700K", model=MODELS)
        kinds, end, counts = list(FILES), time.monotonic() + 9, {k: 0 for k in FILES}

        def client(i):
            while time.monotonic() < end:
                a = server.chat(model=kinds[i % 3])
                self.assertEqual((a.status, a.json["choices"][0]["message"]["content"]), (200, ANSWER))
                counts[kinds[i % 3]] += 1
        with ThreadPoolExecutor(9) as pool:
            list(pool.map(client, range(9)))
        self.assertTrue(all(counts.values()), counts)
        self.assertGreaterEqual(server.metric("decai_engine_loads_total", "f16"), 1)

    def test_among_clients_that_come_and_go(self):
        server = self.start("--memory", "1700K", "--slots", "3", model=MODELS, threads=2)
        given = server.chat(model="q4_0", decai_receipt=True).json["decai_receipt"]
        verify = {k: given[k] for k in ("receipt", "opening")}
        kinds, end, said = list(FILES), time.monotonic() + 8, []

        def client(i):
            rng = random.Random(i)
            while time.monotonic() < end:
                kind, what = rng.choice(kinds), rng.randrange(6)
                body = {"model": kind, "messages": MESSAGES, "temperature": 0, "n": rng.randrange(1, 4), "stream": what == 1}
                if what < 2:
                    a = server.post(CHAT, body)
                    said.append(a.status == 200 and (what == 1 or a.json["choices"][0]["message"]["content"] == ANSWER))
                elif what == 2:
                    said.append(server.post("/v1/embeddings", {"model": kind, "input": ["a", "b"]}).status == 200)
                elif what == 3:
                    said.append(server.post("/decai/verify", verify).json["ok"])
                else:                                     # gone while it waits, or while it is answered
                    s = raw(server, request(dict(body, max_tokens=400, ignore_eos=True, stream=what == 4)))
                    time.sleep(rng.random() * 0.5)
                    s.close()
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(client, range(12)))
        self.assertTrue(all(said) and len(said) > 12, said)
        settle(lambda: server.metric("decai_choices_running") + server.metric("decai_choices_waiting"), 0, 60)
        for kind in kinds:
            self.assertEqual(answer_of(server, kind), ANSWER)
        self.assertEqual(server.metric("decai_engine_failures_total"), 0)

    def test_no_more_context_than_a_model_has(self):
        for asked, context in ((100, 100), (512, 512), (4096, 512)):
            server = Server("--context", str(asked))
            self.assertEqual(server.get("/v1/models").json["data"][0]["decai"]["context"], context)
            self.assertEqual(server.chat(ignore_eos=True).json["usage"]["total_tokens"], context + 1)
            self.assertEqual(server.end(), (0, ""))

    def test_a_draft_counts(self):
        server = self.start("--memory", "2500K", "--draft", "f16=" + FILES["q4_0"], model=MODELS)
        for kind in ("f16", "q8_0", "f16"):
            self.assertEqual(answer_of(server, kind), ANSWER)
        rows = {m["id"]: m["decai"]["bytes"] for m in server.get("/v1/models").json["data"]}
        self.assertGreater(rows["f16"], 2000000)

    def test_while_one_is_loading(self):
        env = serving.preload(SLOW_ENGINE="f16 2500")
        server = self.start(model=MODELS, env=env)
        came = []
        thread = threading.Thread(target=lambda: came.append(answer_of(server, "f16")))
        began = time.monotonic()
        thread.start()
        settle(lambda: server.get("/v1/models/f16").json["decai"]["state"], "loading")
        leaving = raw(server, request({"model": "f16", "messages": MESSAGES, "n": 3}))
        settle(lambda: server.metric("decai_choices_waiting", "f16"), 4)
        for _ in range(5):                                # the others go on
            self.assertEqual(answer_of(server, "q8_0"), ANSWER)
        self.assertGreater(server.metric("decai_engine_loading_seconds", "f16"), 0)
        self.assertEqual(server.metric("decai_engine_loading_seconds", "q8_0"), 0)
        leaving.close()                                   # and who goes away does not wait for it
        settle(lambda: server.metric("decai_choices_waiting", "f16"), 1)
        self.assertEqual(server.metric("decai_cancelled_total"), 1)
        self.assertLess(time.monotonic() - began, 2.4)
        thread.join()
        self.assertEqual(came, [ANSWER])
        self.assertGreater(time.monotonic() - began, 2.4)

    def test_the_end_while_one_is_loading(self):
        env = serving.preload(SLOW_ENGINE="f16 2000")
        for drain, whole in (("30", True), ("0", False)):
            server = Server("--drain", drain, model=MODELS, env=env)
            came = []

            def ask():
                try:
                    came.append(answer_of(server, "f16"))
                except OSError:
                    came.append(None)
            thread = threading.Thread(target=ask)
            thread.start()
            settle(lambda: server.get("/v1/models/f16").json["decai"]["state"], "loading")
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(10), 0)
            thread.join()
            self.assertEqual(came, [ANSWER if whole else None])
            if not whole:
                self.assertLess(time.monotonic() - began, 1.5)
            server.end()

    def test_an_engine_that_cannot_be_made(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "broken.gguf")
            with open(path, "wb") as f:
                f.write(gguf.llama().replace(b"output_norm.weight", b"output_gone.weight"))
            server = self.start(model=[MODELS[0], path])
            a = server.post("/v1/completions", {"model": "broken", "prompt": "x"})
            self.assertEqual((a.status, a.error["code"], a.error["type"]), (500, "engine_failed", "server_error"))
            self.assertIn("output_norm.weight", a.error["message"])
            self.assertEqual(answer_of(server, "q8_0"), ANSWER)
            self.assertEqual(server.metric("decai_engine_failures_total", "broken"), 1)

    def test_what_is_refused_at_the_start(self):
        for args, words in ((("--model", MODEL, "--model", MODEL), 'two are called "decai-actions.q8_0"'),
                            (("--model", "=x"), "is not NAME=FILE"), (("--model", "a="), "is not NAME=FILE"),
                            (("--memory", "1K"), "--memory: decai-actions.q8_0 alone has"),
                            (("--memory", "900K", "--draft", MODEL), "and its --draft have"),
                            (("--memory", "6X"), '--memory: "6X" is not a number of bytes'), (("--memory", "-1"), "is not a number of bytes"),
                            (("--draft", "b=" + MODEL), '--draft: "b" is not a --model\'s name'),
                            (("--template", "b=" + MODEL), '--template: "b" is not a --model\'s name')):
            done = subprocess.run([DECAI, "serve", "--port", "0", *args], capture_output=True, text=True, timeout=30)
            self.assertEqual(done.returncode, 2, (args, done.stderr))
            self.assertIn(words, done.stderr)


class ServeFailures(unittest.TestCase):
    """A scheduler that fails ends the answers that it had, not the server."""
    def start(self, *args, **variables):
        if not serving.available():
            self.skipTest("the tool was built without libmicrohttpd")
        env = serving.preload(**variables)
        return Server(*args, env=env)

    def test_one_that_fails_once(self):
        server = self.start("--slots", "2", FAIL_NEXT="8 1")
        a = server.chat(n=3)
        self.assertEqual((a.status, a.error["code"], a.error["type"]), (500, "engine_failed", "server_error"))
        self.assertIn("DECAI_E_NOMEM", a.error["message"])
        self.assertEqual((server.chat().json["choices"][0]["message"]["content"], server.metric("decai_engine_failures_total")), (ANSWER, 1))
        settle(lambda: server.metric("decai_choices_running") + server.metric("decai_choices_waiting"), 0)
        self.assertEqual(server.end(), (0, ""))

    def test_one_that_fails_in_a_stream(self):
        server = self.start(FAIL_NEXT="8 1")
        events = server.chat(stream=True).body.decode().strip().split("\n\n")
        self.assertEqual(json.loads(events[-1][6:])["error"]["code"], "engine_failed")
        self.assertTrue(json.loads(events[1][6:])["choices"][0]["delta"]["content"])
        self.assertEqual(server.chat().json["choices"][0]["message"]["content"], ANSWER)
        self.assertEqual(server.end(), (0, ""))

    def test_one_that_always_fails(self):
        server = self.start(FAIL_NEXT="1 1000")
        for _ in range(8):
            self.assertEqual(server.chat().status, 500)
        with self.assertRaises(OSError):
            server.chat()
        code, said = server.end()
        self.assertEqual(code, 3)
        self.assertIn("9 schedulers have failed in a row: DECAI_E_NOMEM", said)


if __name__ == "__main__":
    unittest.main()
