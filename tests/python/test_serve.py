"""decai serve: every route, every refusal, as HTTP clients see them."""
import base64
import hashlib
import json
import math
import os
import struct
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import decai
import gguf
import serving
from test_serve_load import settle
from serving import ANSWER, CHAT, DECAI, MESSAGES, MODEL, NAME, PROMPT, Served, Server


def tokenizer():
    return decai.Tokenizer(decai.Model.load(decai.Context(), MODEL))


class ServeChat(Served):
    def test_an_answer(self):
        a = self.server.chat()
        self.assertEqual(a.status, 200, a.body)
        self.assertEqual(a.headers["Content-Type"], "application/json")
        self.assertEqual(a.headers["X-Request-Id"], a.json["id"])
        self.assertEqual((a.json["object"], a.json["model"]), ("chat.completion", NAME))
        choice, = a.json["choices"]
        self.assertEqual(choice["message"], {"role": "assistant", "content": ANSWER, "refusal": None})
        self.assertEqual((choice["finish_reason"], choice["logprobs"]), ("stop", None))
        usage = a.json["usage"]
        self.assertEqual((usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]), (19, 16, 35))
        self.assertLess(usage["prompt_tokens_details"]["cached_tokens"], 19)

    def test_a_stream_says_the_same(self):
        a = self.server.chat(stream=True, stream_options={"include_usage": True})
        self.assertEqual(a.headers["Content-Type"], "text/event-stream")
        *chunks, last = a.events
        self.assertEqual({c["object"] for c in chunks}, {"chat.completion.chunk"})
        self.assertEqual(chunks[0]["choices"][0]["delta"], {"role": "assistant", "content": ""})
        self.assertEqual("".join(c["choices"][0]["delta"].get("content", "") for c in chunks), ANSWER)
        self.assertEqual([c["choices"][0]["finish_reason"] for c in chunks], [None] * (len(chunks) - 1) + ["stop"])
        self.assertEqual((last["choices"], last["usage"]["completion_tokens"]), ([], 16))
        self.assertTrue(all(c["usage"] is None for c in chunks))
        self.assertNotIn("usage", self.server.chat(stream=True).events[-1])

    def test_what_ends_an_answer(self):
        a = self.server.chat(max_tokens=3).json
        self.assertEqual((a["choices"][0]["finish_reason"], a["usage"]["completion_tokens"]), ("length", 3))
        self.assertEqual(self.server.chat(max_completion_tokens=16).json["choices"][0]["finish_reason"], "stop")
        for stop in ("amount", ["zzz", "amount"]):
            a = self.server.chat(stop=stop).json["choices"][0]
            self.assertEqual((a["message"]["content"], a["finish_reason"]), ('{"action":"transfer","', "stop"))
            text = "".join(c["choices"][0]["delta"].get("content", "") for c in self.server.chat(stop=stop, stream=True).events)
            self.assertEqual(text, '{"action":"transfer","')
        a = self.server.chat(ignore_eos=True, max_tokens=40).json
        self.assertEqual((a["choices"][0]["finish_reason"], a["usage"]["completion_tokens"]), ("length", 40))
        full = self.server.chat(ignore_eos=True).json     # until the context of 512 is full
        self.assertEqual((full["choices"][0]["finish_reason"], full["usage"]["total_tokens"]), ("length", 513))       # the last one is drawn and need not be held

    def test_seeds_and_choices(self):
        hot = {"temperature": 2, "max_tokens": 12, "ignore_eos": True}
        texts = lambda a: [c["message"]["content"] for c in sorted(a.json["choices"], key=lambda c: c["index"])]  # noqa: E731
        three = texts(self.server.chat(seed=7, n=3, **hot))
        self.assertEqual(len(set(three)), 3)
        self.assertEqual(three, texts(self.server.chat(seed=7, n=3, **hot)))
        self.assertEqual(three, [texts(self.server.chat(seed=7 + i, **hot))[0] for i in range(3)])
        streamed = [""] * 3
        for chunk in self.server.chat(seed=7, n=3, stream=True, **hot).events:
            for c in chunk["choices"]:
                streamed[c["index"]] += c["delta"].get("content", "")
        self.assertEqual(streamed, three)
        more = {**hot, "max_tokens": 80}
        first = texts(self.server.chat(**more))[0]           # another seed each time: sooner or later another answer
        self.assertTrue(any(texts(self.server.chat(**more))[0] != first for _ in range(300)))
        a = self.server.chat(seed=7, n=3, **hot).json["usage"]
        self.assertEqual((a["prompt_tokens"], a["completion_tokens"]), (19, 36))

    def test_what_the_sampler_is_told(self):
        first = self.server.chat(max_tokens=1, logprobs=True, top_logprobs=2).json["choices"][0]["logprobs"]["content"][0]
        ids = tokenizer().id_get(first["token"].encode())
        self.assertEqual(first["token"], '{"action":"transfer","amount":"')
        for value in (-100, -99.5):
            a = self.server.chat(max_tokens=1, logit_bias={str(ids): value}).json["choices"][0]["message"]["content"]
            self.assertEqual(a, first["top_logprobs"][1]["token"])
        for member in ("presence_penalty", "frequency_penalty"):
            plain = self.server.chat(max_tokens=60, ignore_eos=True, temperature=0).json["choices"][0]["message"]["content"]
            other = self.server.chat(max_tokens=60, ignore_eos=True, temperature=0, **{member: 2}).json["choices"][0]["message"]["content"]
            self.assertNotEqual(plain, other)
            self.assertEqual(plain[:3], other[:3])
        hot = {"temperature": 2, "seed": 3, "max_tokens": 30}
        for member in ({"top_k": 1}, {"top_p": 0}, {"min_p": 1}):
            self.assertEqual(self.server.chat(**hot, **member).json["choices"][0]["message"]["content"], ANSWER, member)

    def test_log_probabilities(self):
        a = self.server.chat(logprobs=True, top_logprobs=3).json["choices"][0]
        rows = a["logprobs"]["content"]
        self.assertEqual(len(rows), 15)                   # not the end-of-text token
        self.assertEqual(b"".join(bytes(r["bytes"]) for r in rows).decode(), ANSWER)
        for r in rows:
            self.assertEqual(r["top_logprobs"][0], {k: r[k] for k in ("token", "logprob", "bytes")})
            self.assertEqual([t["logprob"] for t in r["top_logprobs"]], sorted((t["logprob"] for t in r["top_logprobs"]), reverse=True))
            self.assertLessEqual(sum(math.exp(t["logprob"]) for t in r["top_logprobs"]), 1.000001)
        streamed = []
        for chunk in self.server.chat(logprobs=True, top_logprobs=3, stream=True).events:
            streamed += chunk["choices"][0]["logprobs"]["content"]
        self.assertEqual(streamed, rows)
        self.assertEqual(self.server.chat(logprobs=True).json["choices"][0]["logprobs"]["content"][0]["top_logprobs"], [])

    def test_refusals_name_the_member(self):
        for member, value, param in (
                ("temperature", 2.5, "temperature"), ("temperature", "hot", "temperature"), ("temperature", [], "temperature"),
                ("top_p", -0.1, "top_p"), ("n", 0, "n"), ("n", 129, "n"), ("n", 1.5, "n"), ("max_tokens", 0, "max_tokens"),
                ("max_tokens", "9", "max_tokens"), ("seed", -1, "seed"), ("seed", 2 ** 63, "seed"), ("stop", 5, "stop"),
                ("stop", [1], "stop[0]"), ("stop", [""], "stop[0]"), ("stop", ["a"] * 17, "stop"), ("stop", "x" * 1025, "stop"),
                ("logit_bias", [], "logit_bias"), ("logit_bias", {"x": 1}, "logit_bias.x"), ("logit_bias", {"512": 1}, "logit_bias.512"),
                ("logit_bias", {"5": 101}, "logit_bias.5"), ("logit_bias", {"5": "1"}, "logit_bias.5"), ("stream", 1, "stream"),
                ("stream_options", {"include_usage": 1}, "stream_options.include_usage"), ("stream_options", {"x": True}, "stream_options.x"),
                ("top_logprobs", 3, "top_logprobs"), ("logprobs", "yes", "logprobs"), ("fly", 1, "fly"), ("functions", [], "functions"),
                ("store", True, "store"), ("messages", [], "messages"), ("messages", "x", "messages"), ("messages", [1], "messages[0]"),
                ("messages", [{"content": "x"}], "messages[0].role"), ("messages", [{"role": "king", "content": "x"}], "messages[0].role"),
                ("messages", [{"role": "user"}], "messages[0].content"), ("messages", [{"role": "user", "content": 5}], "messages[0].content"),
                ("messages", [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], "messages[0].content[0].type"),
                ("model", "gpt-4o", "model"), ("model", 5, "model"), ("decai_receipt", "yes", "decai_receipt")):
            a = self.server.chat(**{member: value})
            self.assertEqual(a.status, 404 if value == "gpt-4o" else 400, (member, value, a.body))
            self.assertEqual((a.error["param"], a.error["type"]), (param, "invalid_request_error"), (member, value))
            self.assertIn(param, a.error["message"])
        for body, param in (({"model": NAME}, "messages"), ([1], None), ("{", None), (b"\xff", None), ("", None)):
            a = self.server.post(CHAT, body)
            self.assertEqual((a.status, a.error["param"]), (400, param), body)
        self.assertIn("line 1, column 2", self.server.post(CHAT, "{").error["message"])
        a = self.server.chat([{"role": "user", "content": "x" * 4000}])
        self.assertEqual((a.status, a.error["code"]), (400, "context_length_exceeded"))
        self.assertEqual(self.server.chat(user="someone", seed=None, stop=None).status, 200)

    def test_what_an_answer_must_look_like(self):
        answer = lambda **m: self.server.chat(seed=1, **m).json["choices"][0]  # noqa: E731
        schema = {"type": "object", "properties": {"to": {"enum": ["Maria", "Bob"]}, "amount": {"type": "integer", "minimum": 10, "maximum": 99}},
                  "required": ["to", "amount"], "additionalProperties": False}
        format_ = {"type": "json_schema", "json_schema": {"name": "pay", "strict": True, "schema": schema}}
        for members in ({}, {"temperature": 2}, {"temperature": 1, "top_k": 3, "n": 2}):
            for choice in self.server.chat(seed=3, response_format=format_, **members).json["choices"]:
                found = json.loads(choice["message"]["content"])
                self.assertEqual((set(found), choice["finish_reason"]), ({"to", "amount"}, "stop"))
                self.assertIn(found["to"], ("Maria", "Bob"))
                self.assertIn(found["amount"], range(10, 100))
        self.assertIsInstance(json.loads(answer(response_format={"type": "json_object"})["message"]["content"]), dict)
        self.assertEqual(answer(response_format={"type": "text"})["message"]["content"], ANSWER)
        for _ in range(2):                                # the second finds the grammar of the first
            self.assertIn(answer(grammar='root ::= "yes" | "no"', temperature=2)["message"]["content"], ("yes", "no"))
        a = self.server.post("/v1/responses", {"model": NAME, "input": PROMPT, "temperature": 0,
                                               "text": {"format": {"type": "json_schema", "name": "pay", "schema": schema}}}).json
        self.assertEqual(set(json.loads(a["output"][0]["content"][0]["text"])), {"to", "amount"})
        self.assertEqual(a["text"]["format"]["name"], "pay")
        for value, param in (({"type": "xml"}, "response_format.type"), ({}, "response_format.type"), ("text", "response_format"),
                             ({"type": "json_schema"}, "response_format.json_schema"),
                             ({"type": "json_schema", "json_schema": {"name": "x"}}, "response_format.json_schema.schema"),
                             ({"type": "json_schema", "json_schema": {"fly": 1}}, "response_format.json_schema.fly"),
                             ({"type": "json_schema", "json_schema": {"schema": {"not": {}}}}, "response_format.json_schema.schema")):
            a = self.server.chat(response_format=value)
            self.assertEqual((a.status, a.error["param"]), (400, param), a.body)
        self.assertIn("#/not", a.error["message"])
        self.assertEqual(self.server.chat(grammar="root ::= (").error["param"], "grammar")
        self.assertEqual(self.server.chat(grammar='root ::= "x"', ignore_eos=True).status, 400)

    def test_parts_and_names_of_messages(self):
        parts = [{"type": "text", "text": "send 25 "}, {"type": "text", "text": "usdc to Maria"}]
        self.assertEqual(self.server.chat([{"role": "user", "content": parts}]).json["choices"][0]["message"]["content"], ANSWER)


class ServeCompletions(Served):
    def ask(self, **members):
        return self.server.post("/v1/completions", {"model": NAME, "prompt": PROMPT + "<|sep|>", "temperature": 0, **members})

    def test_an_answer(self):
        a = self.ask(max_tokens=40).json
        self.assertEqual((a["object"], a["choices"][0]["text"], a["choices"][0]["finish_reason"]), ("text_completion", ANSWER, "stop"))
        self.assertEqual(self.ask(ignore_eos=True).json["usage"]["completion_tokens"], 16)
        text = "".join(c["choices"][0]["text"] for c in self.ask(stream=True, max_tokens=40).events)
        self.assertEqual(text, ANSWER)

    def test_many_prompts_and_ids(self):
        a = self.ask(prompt=[PROMPT + "<|sep|>", "hello<|sep|>"], n=2, max_tokens=40).json["choices"]
        self.assertEqual([c["index"] for c in a], [0, 1, 2, 3])
        self.assertEqual([a[0]["text"], a[2]["text"]], [a[1]["text"], a[3]["text"]])
        self.assertEqual(a[0]["text"], ANSWER)
        ids = list(tokenizer().encode(PROMPT + "<|sep|>", decai.ENCODE_ADD | decai.ENCODE_SPECIAL))
        for prompt in (ids, [ids]):
            self.assertEqual(self.ask(prompt=prompt, max_tokens=40).json["choices"][0]["text"], ANSWER)
        self.assertEqual(self.ask(prompt=[512]).error["param"], "prompt[0]")
        self.assertEqual(self.ask(prompt=[]).error["param"], "prompt")
        self.assertEqual(self.ask(prompt=["a"] * 129).error["param"], "prompt")
        self.assertEqual(self.ask(prompt=["a"] * 65, n=2).error["param"], "n")
        self.assertEqual(self.ask(echo=True).error["param"], "echo")

    def test_log_probabilities(self):
        rows = self.ask(logprobs=2, max_tokens=40).json["choices"][0]["logprobs"]
        self.assertEqual("".join(rows["tokens"]), ANSWER)
        self.assertEqual({len(v) for v in rows.values()}, {15})
        self.assertEqual(rows["top_logprobs"][3][rows["tokens"][3]], rows["token_logprobs"][3])


class ServeResponses(Served):
    def ask(self, **members):
        return self.server.post("/v1/responses", {"model": NAME, "input": PROMPT, "temperature": 0, **members})

    def test_an_answer(self):
        a = self.ask(metadata={"a": "b"}, decai_receipt=True)
        item, = a.json["output"]
        self.assertEqual((a.json["object"], a.json["status"], a.json["metadata"]), ("response", "completed", {"a": "b"}))
        self.assertEqual((item["role"], item["status"], item["content"][0]["text"]), ("assistant", "completed", ANSWER))
        self.assertEqual((a.json["usage"]["input_tokens"], a.json["usage"]["output_tokens"]), (19, 16))
        self.assertEqual(a.headers["X-Decai-Receipt"], a.json["decai_receipt"]["id"])
        cut = self.ask(max_output_tokens=3).json
        self.assertEqual((cut["status"], cut["incomplete_details"]), ("incomplete", {"reason": "max_output_tokens"}))
        for given in ([{"role": "user", "content": PROMPT}], [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": PROMPT}]}]):
            self.assertEqual(self.ask(input=given).json["output"], [dict(item, id=mock.ANY)])
        rows = self.ask(include=["message.output_text.logprobs"], top_logprobs=2).json["output"][0]["content"][0]["logprobs"]
        self.assertEqual([len(r["top_logprobs"]) for r in rows], [2] * 15)

    def test_a_stream(self):
        a = self.server.post("/v1/responses", {"model": NAME, "input": PROMPT, "temperature": 0, "stream": True})
        blocks = a.body.decode().strip().split("\n\n")
        events = [(b.split("\n")[0][7:], json.loads(b.split("\n")[1][6:])) for b in blocks]
        self.assertTrue(all(name == e["type"] for name, e in events))
        self.assertEqual([e["sequence_number"] for _, e in events], list(range(len(events))))
        names = [name for name, _ in events]
        self.assertEqual(names[:4], ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"])
        self.assertEqual(names[-4:], ["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"])
        self.assertEqual("".join(e["delta"] for name, e in events if name.endswith("delta")), ANSWER)
        self.assertEqual(events[-1][1]["response"]["output"][0]["content"][0]["text"], ANSWER)

    def test_refusals(self):
        for member, value, param in (("input", None, "input"), ("store", True, "store"), ("previous_response_id", "resp_1", "previous_response_id"),
                                     ("n", 2, "n"), ("max_tokens", 3, "max_tokens"), ("truncation", "auto", "truncation"),
                                     ("include", ["file_search_call.results"], "include[0]"), ("background", True, "background"),
                                     ("text", {"format": {"type": "xml"}}, "text.format.type"), ("metadata", [], "metadata")):
            a = self.ask(**{member: value})
            self.assertEqual((a.status, a.error["param"]), (400, param), (member, a.body))


class ServeEmbeddings(Served):
    def test_vectors(self):
        ask = lambda **m: self.server.post("/v1/embeddings", {"model": NAME, **m})  # noqa: E731
        a = ask(input=["one text", "another", "one text"]).json
        vectors = [d["embedding"] for d in a["data"]]
        self.assertEqual(vectors[0], vectors[2])
        self.assertNotEqual(vectors[0], vectors[1])
        self.assertAlmostEqual(sum(x * x for x in vectors[1]), 1, 5)
        self.assertEqual(ask(input="another").json["data"][0]["embedding"], vectors[1])
        raw = base64.b64decode(ask(input="another", encoding_format="base64").json["data"][0]["embedding"])
        self.assertEqual(raw, struct.pack("<%df" % len(vectors[1]), *vectors[1]))
        many = ask(input=["number %d" % i for i in range(300)]).json["data"]
        self.assertEqual(many[123]["embedding"], ask(input="number 123").json["data"][0]["embedding"])
        for members, param in (({}, "input"), ({"input": []}, "input"), ({"input": ["x", ""]}, None), ({"input": [[]]}, "input[0]"),
                               ({"input": "x " * 4000}, "input"), ({"input": "x", "dimensions": 3}, "dimensions"),
                               ({"input": "x", "encoding_format": "int8"}, "encoding_format"), ({"input": ["x"] * 2049}, "input")):
            a = ask(**members)
            if param:
                self.assertEqual((a.status, a.error["param"]), (400, param), members)


class ServeDraft(unittest.TestCase):
    def setUp(self):
        if not serving.available():
            self.skipTest("the tool was built without libmicrohttpd")

    def test_a_model_that_guesses(self):
        server = Server("--draft", MODEL)
        for seed in range(3):
            self.assertEqual(server.chat(seed=seed).json["choices"][0]["message"]["content"], ANSWER)
        self.assertEqual(server.end(), (0, ""))

    def test_a_model_that_cannot(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "other.gguf")
            with open(path, "wb") as f:
                f.write(gguf.llama())
            done = subprocess.run([DECAI, "serve", "--port", "0", "--draft", path], capture_output=True, text=True, timeout=60)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("--draft", done.stderr)
            self.assertIn("vocabulary", done.stderr)


class ServeEncoder(unittest.TestCase):
    def setUp(self):
        if not serving.available():
            self.skipTest("the tool was built without libmicrohttpd")

    def test_a_model_that_only_embeds(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "tiny.gguf")
            with open(path, "wb") as f:
                f.write(gguf.bert())
            server = Server("--name", "tiny", model=path)
            ask = lambda texts: server.post("/v1/embeddings", {"model": "tiny", "input": texts})  # noqa: E731
            texts = ["word number %d" % i for i in range(400)]
            vectors = [d["embedding"] for d in ask(texts).json["data"]]
            line = subprocess.run([DECAI, "embed", path], input=texts[123] + "\n", capture_output=True, text=True, check=True).stdout
            self.assertEqual(vectors[123], json.loads(line)["embedding"])
            with ThreadPoolExecutor(8) as pool:           # side by side, and the long list does not hold them up
                for i, a in enumerate(pool.map(lambda i: ask(texts if i == 0 else texts[i]), range(40))):
                    self.assertEqual(a.json["data"][0]["embedding"], vectors[i])
            self.assertEqual(ask("x" * 40).error["param"], "input")
            self.assertTrue(server.get("/v1/models").json["data"][0]["decai"]["encoder"])
            for path, body in ((CHAT, {"messages": MESSAGES}), ("/v1/completions", {"prompt": "x"}), ("/v1/responses", {"input": "x"})):
                a = server.post(path, {"model": "tiny", **body})
                self.assertEqual((a.status, a.error["param"]), (400, "model"), a.body)
            self.assertEqual(server.end(), (0, ""))


class ServeAround(Served):
    """Models, health, metrics, methods, sizes, kinds, origins."""
    ARGS = ("--cors", "https://a.example,https://b.example", "--body-max", "5000")

    def test_models(self):
        row, = self.server.get("/v1/models").json["data"]
        self.assertEqual((row["id"], row["object"], row["decai"]["context"]), (NAME, "model", 512))
        self.assertEqual(self.server.get("/v1/models/" + NAME).json, row)
        self.assertEqual(self.server.get("/v1/models/other").status, 404)

    def test_ids_of_texts_and_texts_of_ids(self):
        tok = tokenizer()
        ask = lambda **m: self.server.post("/tokenize", m)  # noqa: E731
        text = "send 25 usdc<|sep|>\u20ac"
        both = decai.ENCODE_ADD | decai.ENCODE_SPECIAL
        for members, flags in (({"content": text}, both), ({"prompt": text, "model": NAME}, both),
                               ({"content": text, "parse_special": False}, decai.ENCODE_ADD),
                               ({"content": text, "add_special": False}, decai.ENCODE_SPECIAL),
                               ({"prompt": text, "add_special_tokens": False, "parse_special": False}, 0)):
            a = ask(**members).json
            want = list(tok.encode(text, flags))
            self.assertEqual((a["tokens"], a["count"], a["max_model_len"]), (want, len(want), 512), members)
        a = ask(content="send 25", with_pieces=True).json
        self.assertEqual(len(a["token_strs"]), a["count"])
        self.assertEqual("".join(a["token_strs"])[-2:], "25")
        self.assertEqual(ask(content="").json["tokens"], list(tok.encode("", both)))
        a = ask(messages=MESSAGES)
        self.assertEqual((a.status, a.json.get("count") if a.status == 200 else a.error["param"]), (200, 19), a.body)
        back = lambda **m: self.server.post("/detokenize", m)  # noqa: E731
        self.assertEqual(back(tokens=list(tok.encode(text, decai.ENCODE_SPECIAL))).json, {"content": text, "prompt": text})
        self.assertEqual(back(tokens=[]).json["content"], "")
        for path, body, param in (("/tokenize", {}, "content"), ("/tokenize", {"content": 5}, "content"), ("/tokenize", {"content": "x", "messages": MESSAGES}, "messages"),
                                  ("/tokenize", {"content": "x", "fly": 1}, "fly"), ("/tokenize", {"model": "x"}, "model"), ("/detokenize", {}, "tokens"),
                                  ("/detokenize", {"tokens": "x"}, "tokens"), ("/detokenize", {"tokens": [512]}, "tokens[0]"),
                                  ("/detokenize", {"tokens": [[1]]}, "tokens[0]")):
            a = self.server.post(path, body)
            self.assertEqual((a.status, a.error["param"]), (404 if param == "model" else 400, param), (path, body))

    def test_every_answer_has_an_id(self):
        ids = [self.server.get(path).headers["X-Request-Id"] for path in ("/health", "/v1/models", "/nothing", "/metrics")]
        ids += [self.server.post(CHAT, "{").headers["X-Request-Id"], self.server.post("/v1/embeddings", {"input": "x"}).headers["X-Request-Id"]]
        self.assertEqual(len(set(ids)), 6)
        for i in ids:
            self.assertRegex(i, "^req_[0-9a-f]{16}$")

    def test_health_and_metrics(self):
        self.assertEqual(self.server.get("/health").json, {"status": "ok"})
        self.server.chat()
        text = self.server.get("/metrics").body.decode()
        for line in text.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+)$')
        for name in ("gen_ai_server_request_duration_seconds", "gen_ai_server_time_to_first_token_seconds", "gen_ai_client_token_usage",
                     "gen_ai_server_time_per_output_token_seconds"):
            self.assertIn("# TYPE %s histogram" % name, text)
            self.assertGreaterEqual(self.server.metric(name + "_count"), 1)
        self.assertGreaterEqual(self.server.metric("decai_output_tokens_total"), 16)
        settle(lambda: self.server.metric("decai_choices_running"), 0)

    def test_the_page_and_what_runs(self):
        a = self.server.get("/")
        policy = a.headers["Content-Security-Policy"]
        for tag in ("script", "style"):
            inside = a.body.split(b"<%s>" % tag.encode())[1].split(b"</%s>" % tag.encode())[0]
            self.assertIn("%s-src 'sha256-%s'" % (tag, base64.b64encode(hashlib.sha256(inside).digest()).decode()), policy)
        self.assertIn("default-src 'none'", policy)
        self.assertNotRegex(a.body.decode(), "(src|href)=\"(https?:)?//")
        self.assertEqual(set(self.server.get("/decai/status").json), {"tokens", "waiting", "memory", "models", "running"})

    def test_paths_methods_kinds_sizes(self):
        self.assertEqual(self.server.get("/v2").status, 404)
        self.assertEqual(self.server.get(CHAT).status, 405)
        self.assertEqual(self.server.post("/health", "{}").status, 405)
        self.assertEqual(self.server.ask("HEAD", "/health").body, b"")
        self.assertEqual(self.server.post(CHAT, "{}", headers={"Content-Type": "text/plain"}).status, 415)
        self.assertEqual(self.server.chat([{"role": "user", "content": "x" * 5000}]).status, 413)
        for size, status in ((4999, 200), (5000, 200), (5001, 413)):
            body = json.dumps({"model": NAME, "messages": MESSAGES, "temperature": 0})
            self.assertEqual(self.server.post(CHAT, body + " " * (size - len(body))).status, status, size)
            chunks = iter((body.encode(), b" " * (size - len(body))))
            connection = self.server.connect()
            connection.request("POST", CHAT, chunks, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}, encode_chunked=True)
            self.assertEqual(connection.getresponse().status, status, size)
            connection.close()

    def test_origins(self):
        host = "127.0.0.1:%d" % self.server.port
        a = self.server.chat(headers={"Origin": "https://a.example"})
        self.assertEqual((a.status, a.headers["Access-Control-Allow-Origin"], a.headers["Vary"]), (200, "https://a.example", "Origin"))
        self.assertEqual(self.server.chat(headers={"Origin": "https://evil.example"}).status, 403)
        self.assertEqual(self.server.chat(headers={"Origin": "null"}).status, 403)
        a = self.server.chat(headers={"Origin": "http://" + host})
        self.assertEqual((a.status, a.headers["Access-Control-Allow-Origin"]), (200, None))
        a = self.server.ask("OPTIONS", CHAT, headers={"Origin": "https://b.example", "Access-Control-Request-Method": "POST"})
        self.assertEqual((a.status, a.headers["Access-Control-Allow-Headers"]), (204, "Authorization, Content-Type"))
        self.assertEqual(self.server.ask("OPTIONS", CHAT, headers={"Origin": "https://evil.example"}).status, 403)
        self.assertEqual(self.server.get("/health", headers={"Host": "evil.example"}).status, 403)
        self.assertEqual(self.server.get("/health", headers={"Host": "localhost:9"}).status, 200)


class ServeLog(unittest.TestCase):
    def test_a_line_a_request(self):
        if not serving.available():
            self.skipTest("the tool was built without libmicrohttpd")
        server = Server("--log", "--api-key-file", self.keys())
        server.key = "k"
        said = [server.chat(), server.chat(temperature=9), server.get("/a\"b%0Ac")]
        code, lines = server.end()
        self.assertEqual(code, 0)
        lines = lines.splitlines()
        self.assertEqual(len(lines), 3, lines)
        for line, answer, rest in zip(lines, said, ('POST "/v1/chat/completions" 200', 'POST "/v1/chat/completions" 400', 'GET "/a\\"b\\u000ac" 404')):
            self.assertRegex(line, "^20..-..-..T..:..:..Z ")
            self.assertIn(" %s %s " % (answer.headers["X-Request-Id"], rest), line)
        self.assertRegex(lines[0], r' \d+\.\d{3} s model="%s" in=19 out=16$' % NAME)

    def keys(self):
        f = tempfile.NamedTemporaryFile("w", suffix=".keys")
        self.addCleanup(f.close)
        f.write("k\n")
        f.flush()
        return f.name


class ServeTemplates(unittest.TestCase):
    def setUp(self):
        if not serving.available():
            self.skipTest("the tool was built without libmicrohttpd")

    def test_conversations_through_a_template(self):
        with tempfile.NamedTemporaryFile("w", suffix=".jinja") as f:
            f.write(serving.TEMPLATE)
            f.flush()
            server = Server("--template", f.name)
            call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}
            usage = lambda m, **k: server.chat(m, max_tokens=1, **k).json["usage"]["prompt_tokens"]  # noqa: E731
            plain = usage([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])
            self.assertEqual(usage([{"role": "developer", "content": "s"}, {"role": "user", "content": "u"}]), plain)
            self.assertGreater(usage([{"role": "system", "content": "s"}, {"role": "user", "name": "bob", "content": "u"}]), plain)
            usage([{"role": "user", "content": "u"}, {"role": "assistant", "content": None, "tool_calls": [call]},
                   {"role": "tool", "tool_call_id": "c1", "content": "3"}])
            a = server.chat([{"role": "assistant", "tool_calls": [{"id": "x"}]}])
            self.assertEqual(a.error["param"], "messages[0].tool_calls[0].function")
            server.end()

    def test_variables_of_a_template(self):
        with tempfile.NamedTemporaryFile("w", suffix=".jinja") as f:
            f.write("{{ messages[0].content }}{% if enable_thinking is defined and not enable_thinking %} no thinking{% endif %}"
                    "{% if reasoning_effort %} {{ reasoning_effort }} effort{% endif %}{{ more }}<|sep|>")
            f.flush()
            server = Server("--template", f.name)
            tok = tokenizer()
            count = lambda words: len(tok.encode(words + "<|sep|>", decai.ENCODE_SPECIAL))  # noqa: E731
            for members, words in (({}, ""), ({"chat_template_kwargs": {}}, ""), ({"chat_template_kwargs": {"enable_thinking": False}}, " no thinking"),
                                   ({"reasoning_effort": "high"}, " high effort"), ({"chat_template_kwargs": {"more": "\u20ac\"x"}}, "\u20ac\"x"),
                                   ({"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}}, " no thinking low effort")):
                a = server.chat([{"role": "user", "content": "u"}], max_tokens=1, **members)
                self.assertEqual((a.status, a.json["usage"]["prompt_tokens"]), (200, count("u" + words)), members)
            ask = {"model": NAME, "input": "u", "max_output_tokens": 1}
            a = server.post("/v1/responses", dict(ask, reasoning={"effort": "high", "summary": None})).json
            self.assertEqual(a["usage"]["input_tokens"], count("u high effort"))
            a = server.post("/tokenize", {"messages": [{"role": "user", "content": "u"}], "chat_template_kwargs": {"more": "m"}}).json
            self.assertEqual(a["count"], count("um"))
            for members, param in (({"chat_template_kwargs": []}, "chat_template_kwargs"), ({"reasoning_effort": "much"}, "reasoning_effort"),
                                   ({"chat_template_kwargs": {"tools": []}}, "chat_template_kwargs.tools"),
                                   ({"chat_template_kwargs": {"add_generation_prompt": False}}, "chat_template_kwargs.add_generation_prompt")):
                a = server.chat(**members)
                self.assertEqual((a.status, a.error["param"]), (400, param), a.body)
            self.assertEqual(server.post("/v1/responses", dict(ask, reasoning={"summary": "auto"})).error["param"], "reasoning.summary")
            self.assertEqual(server.end(), (0, ""))

    def test_what_users_say_becomes_no_control_token(self):
        tok = tokenizer()
        sep, = tok.encode("<|sep|>", decai.ENCODE_SPECIAL)
        with tempfile.NamedTemporaryFile("w", suffix=".jinja") as f:
            f.write("<|sep|>" + serving.TEMPLATE)
            f.flush()
            safe, free = Server("--template", f.name), Server("--template", f.name, "--allow-special")

            def prompt(server, messages, **members):
                a = server.chat(messages, max_tokens=1, decai_receipt=True, **members)
                self.assertEqual(a.status, 200, a.body)
                given = a.json["decai_receipt"]
                receipt = decai.Receipt.load(decai.Context(), base64.b64decode(given["receipt"]))
                return list(receipt.opening_decode(base64.b64decode(given["opening"]), 0))

            word = "<|sep|>"
            call = {"id": "c" + word, "type": "function", "function": {"name": "f", "arguments": json.dumps({"a" + word: ["\u20ac" + word]})}}
            tools = [{"type": "function", "function": {"name": "t" + word}}]
            for messages, text, members in (
                    ([{"role": "user", "content": "a<|sep|>b<|sep|><|sep|>"}], "[user] a<|sep|>b<|sep|><|sep|>", {}),
                    ([{"role": "user", "content": word}], "[user] " + word, {}),
                    ([{"role": "user", "content": [{"type": "text", "text": "<|s"}, {"type": "text", "text": "ep|>"}]}], "[user] " + word, {}),
                    ([{"role": "user", "content": "\U0010fffd<|sep|>"}], "[user] \U0010fffd<|sep|>", {}),
                    ([{"role": "system", "content": "s" + word}, {"role": "user", "name": word, "content": "u"}], "[system] s<|sep|>[user <|sep|>] u", {}),
                    ([{"role": "assistant", "content": word, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": word}],
                     '[assistant] <|sep|> call f {"a<|sep|>": ["\u20ac<|sep|>"]}[tool] <|sep|>', {}),
                    ([{"role": "user", "content": "u"}], "[user] u tool t<|sep|>", {"tools": tools, "tool_choice": "required"}),
                    ([{"role": "user", "content": "<|sep|"}], "[user] <|sep|", {})):
                want = [sep, *tok.encode(text, 0), sep]
                self.assertEqual(prompt(safe, messages, **members), want, text)
                self.assertEqual(prompt(free, messages, **members), list(tok.encode(word + text + word, decai.ENCODE_SPECIAL)))
            every = "\U0010fffd\U000ffffd\U0010fffc\U000ffffc\uf8ff"
            a = safe.chat([{"role": "user", "content": every + word}])
            self.assertEqual((a.status, a.error["param"]), (400, "messages"))
            self.assertEqual(safe.chat([{"role": "user", "content": every}], max_tokens=1).status, 200)
            self.assertEqual((safe.end(), free.end()), ((0, ""), (0, "")))


def streamed(events, index=0):
    """The calls of a choice, put together: first a name and no arguments, then arguments alone."""
    calls = []
    for t in (t for e in events for c in e["choices"] if c["index"] == index for t in c["delta"].get("tool_calls", [])):
        if "name" in t["function"]:
            assert t["index"] == len(calls) and t["function"]["arguments"] == "", t
            calls.append({"id": t["id"], "type": t["type"], "function": dict(t["function"])})
        else:
            assert t["index"] == len(calls) - 1 and set(t) == {"index", "function"}, t
            calls[-1]["function"]["arguments"] += t["function"]["arguments"]
    return calls


class ServeTools(unittest.TestCase):
    """Calls as a template of the kind of Hermes teaches them; a grammar stands in for a model that learned it."""
    TOOLS = [{"type": "function", "function": {"name": "pay", "description": "d", "parameters": {"type": "object"}}}]
    CALL = 'root ::= "<tool_call>\\n{\\"name\\": \\"pay\\", \\"arguments\\": {\\"to\\": \\"Maria\\"}}\\n</tool_call>"'

    @classmethod
    def setUpClass(cls):
        cls.server = None
        if serving.available():
            with tempfile.NamedTemporaryFile("w", suffix=".jinja") as f:
                f.write(serving.TEMPLATE + "{# <tool_call> #}")
                f.flush()
                cls.server = Server("--template", f.name)

    def setUp(self):
        if not self.server:
            self.skipTest("the tool was built without libmicrohttpd")

    @classmethod
    def tearDownClass(cls):
        if cls.server:
            cls.server.end()

    def test_a_call(self):
        a = self.server.chat(tools=self.TOOLS, grammar=self.CALL, decai_receipt=True).json
        choice, = a["choices"]
        call, = choice["message"]["tool_calls"]
        self.assertEqual((choice["finish_reason"], choice["message"]["content"]), ("tool_calls", None))
        self.assertEqual((call["type"], call["function"]["name"], json.loads(call["function"]["arguments"])), ("function", "pay", {"to": "Maria"}))
        self.assertTrue(call["id"].startswith("call_"))
        # and on with its result
        more = MESSAGES + [choice["message"], {"role": "tool", "tool_call_id": call["id"], "content": "done"}]
        self.assertGreater(self.server.chat(more, tools=self.TOOLS, max_tokens=1).json["usage"]["prompt_tokens"], a["usage"]["prompt_tokens"])

    def test_a_call_that_must_come(self):
        parameters = {"type": "object", "properties": {"to": {"enum": ["Maria", "Bob"]}, "amount": {"type": "integer", "minimum": 10, "maximum": 99}},
                      "required": ["to", "amount"], "additionalProperties": False}
        tools = [{"type": "function", "function": {"name": "pay", "strict": True, "parameters": parameters}},
                 {"type": "function", "function": {"name": "wait"}}]
        for choice, names in (("required", {"pay", "wait"}), ({"type": "function", "function": {"name": "pay"}}, {"pay"}),
                              ({"type": "function", "function": {"name": "wait"}}, {"wait"})):
            for stream in (False, True):
                a = self.server.chat(tools=tools, tool_choice=choice, seed=5, temperature=1, stream=stream)
                call, = streamed(a.events) if stream else a.json["choices"][0]["message"]["tool_calls"]
                self.assertIn(call["function"]["name"], names)
                arguments = json.loads(call["function"]["arguments"])
                if call["function"]["name"] == "pay":
                    self.assertEqual((arguments["to"] in ("Maria", "Bob"), arguments["amount"] in range(10, 100)), (True, True))
                else:
                    self.assertEqual(arguments, {})
        plain = Server()                                  # no template has to teach it
        self.assertEqual(plain.chat(tools=tools, tool_choice="required").json["choices"][0]["finish_reason"], "tool_calls")
        plain.end()

    def test_calls_of_the_other_route(self):
        tools = [dict(type="function", **self.TOOLS[0]["function"])]
        ask = lambda **m: self.server.post("/v1/responses", {"model": NAME, "input": PROMPT, "temperature": 0, "tools": tools, **m})  # noqa: E731
        item, = ask(grammar=self.CALL).json["output"]
        self.assertEqual((item["type"], item["name"], json.loads(item["arguments"]), item["status"]), ("function_call", "pay", {"to": "Maria"}, "completed"))
        words = self.CALL.replace('"<tool', '"I will. " "<tool')
        self.assertEqual([o["type"] for o in ask(grammar=words).json["output"]], ["message", "function_call"])
        self.assertEqual(ask(tool_choice={"type": "function", "name": "pay"}, max_output_tokens=200).json["tool_choice"]["name"], "pay")
        result = [{"role": "user", "content": "u"}, {"type": "function_call", "call_id": item["call_id"], "name": "pay", "arguments": item["arguments"]},
                  {"type": "function_call_output", "call_id": item["call_id"], "output": "done"}]
        self.assertEqual(ask(input=result, max_output_tokens=1).status, 200)
        for grammar, kinds in ((self.CALL, ["function_call"]), (words, ["message", "function_call"])):
            a = ask(grammar=grammar, stream=True)
            events = [json.loads(b.split("\n")[1][6:]) for b in a.body.decode().strip().split("\n\n")]
            done = sorted((e["output_index"], e["item"]["type"]) for e in events if e["type"] == "response.output_item.done")
            self.assertEqual(done, list(enumerate(kinds)))           # words may still come behind a call: their end is the last
            self.assertEqual([e["output_index"] for e in events if e["type"] == "response.output_item.added"], list(range(len(kinds))))
            self.assertEqual("".join(e["delta"] for e in events if e["type"].endswith("arguments.delta")), item["arguments"])
            self.assertEqual([o["type"] for o in events[-1]["response"]["output"]], kinds)
            self.assertGreater(len([e for e in events if e["type"].endswith("arguments.delta")]), 1)
            done, = [e for e in events if e["type"].endswith("arguments.done")]
            self.assertEqual((done["arguments"], done["name"], done["output_index"]), (item["arguments"], "pay", kinds.index("function_call")))
        two = self.CALL.replace("root ::=", "root ::= c \"well\" c\nc ::=")
        for grammar, kinds in ((two, ["function_call", "message", "function_call"]), (two.replace('"well"', '"\\n"'), ["function_call"] * 2)):
            a = ask(grammar=grammar, stream=True)
            events = [json.loads(b.split("\n")[1][6:]) for b in a.body.decode().strip().split("\n\n")]
            self.assertEqual([e["item"]["type"] for e in events if e["type"] == "response.output_item.added"], kinds)
            self.assertEqual([e["output_index"] for e in events if e["type"] == "response.output_item.added"], list(range(len(kinds))))
            self.assertEqual([o["type"] for o in events[-1]["response"]["output"]], kinds)
            self.assertEqual([o["type"] for o in ask(grammar=grammar).json["output"]], kinds)
        for members, param in (({"tools": self.TOOLS}, "tools[0].function"), ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
                               ({"input": result[1:2] + [{"type": "function_call_output", "output": "x"}]}, "input[1].call_id"),
                               ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type")):
            a = ask(**members)
            self.assertEqual((a.status, a.error["param"]), (400, param), a.body)

    def test_words_then_two_calls_in_a_stream(self):
        grammar = self.CALL.replace('"<tool', '"I will. " c "\\n" c\nc ::= "<tool')
        for n in (1, 2):
            events = self.server.chat(tools=self.TOOLS, grammar=grammar, stream=True, n=n).events
            for i in range(n):
                mine = [c for e in events for c in e["choices"] if c["index"] == i]
                self.assertEqual("".join(c["delta"].get("content") or "" for c in mine).strip(), "I will.")
                whole = self.server.chat(tools=self.TOOLS, grammar=grammar, n=n).json["choices"][i]["message"]["tool_calls"]
                calls = streamed(events, i)
                self.assertEqual([t["function"] for t in calls], [t["function"] for t in whole])
                self.assertEqual((len({t["id"] for t in calls}), [t["function"]["name"] for t in calls]), (2, ["pay", "pay"]))
                self.assertEqual(mine[-1]["finish_reason"], "tool_calls")

    def test_arguments_come_while_they_are_written(self):
        """Fragments, and an answer twice as long takes twice as many: none is sent twice."""
        sizes = []
        for times in (8, 16, 32):
            grammar = 'root ::= "<tool_call>{\\"name\\": \\"pay\\", \\"arguments\\": {\\"to\\": [" %s "0]}}</tool_call>"' % ('"1,2," ' * times)
            a = self.server.chat(tools=self.TOOLS, grammar=grammar, stream=True)
            deltas = [t for e in a.events for c in e["choices"] for t in c["delta"].get("tool_calls", [])]
            self.assertEqual((deltas[0]["function"], deltas[0]["type"]), ({"name": "pay", "arguments": ""}, "function"))
            self.assertEqual({tuple(sorted(d)) for d in deltas[1:]}, {("function", "index")})
            self.assertGreater(len(deltas), times)
            call, = streamed(a.events)
            self.assertEqual(json.loads(call["function"]["arguments"]), {"to": [1, 2] * times + [0]})
            sizes.append(len(a.body))
        self.assertLess(sizes[2] - sizes[1], 2.2 * (sizes[1] - sizes[0]))

    def test_reasoning_and_cut_calls(self):
        a = self.server.chat(tools=self.TOOLS, grammar='root ::= "<think>hm " "hm</think>x"', stream=True)
        self.assertEqual("".join(e["choices"][0]["delta"].get("reasoning_content", "") for e in a.events), "hm hm")
        for stream in (False, True):
            a = self.server.chat(tools=self.TOOLS, grammar=self.CALL, stream=stream, stop="Mar")
            choice, calls = (a.events[-1]["choices"][0], streamed(a.events)) if stream else (a.json["choices"][0], a.json["choices"][0]["message"]["tool_calls"])
            self.assertEqual((choice["finish_reason"], [c["function"] for c in calls]), ("tool_calls", [{"name": "pay", "arguments": '{"to": "'}]))

    def test_types_of_parameters(self):
        """Marks between which values stand without quotes: the schema says what 7 is."""
        tools = [{"type": "function", "function": {"name": "pay", "parameters": {"type": "object", "properties": {"to": {"type": "string"}, "amount": {"type": "integer"}}}}}]
        grammar = 'root ::= "<tool_call>pay<arg_key>to</arg_key><arg_value>7</arg_value><arg_key>amount</arg_key><arg_value>7</arg_value></tool_call>"'
        with tempfile.NamedTemporaryFile("w", suffix=".jinja") as f:
            f.write(serving.TEMPLATE + "{# <tool_call> <arg_key> #}")
            f.flush()
            server = Server("--template", f.name)
        call, = server.chat(tools=tools, grammar=grammar).json["choices"][0]["message"]["tool_calls"]
        self.assertEqual(call["function"]["arguments"], '{"to":"7","amount":7}')
        a = server.post("/v1/responses", {"model": NAME, "input": PROMPT, "temperature": 0, "tools": [dict(type="function", **tools[0]["function"])], "grammar": grammar})
        self.assertEqual(a.json["output"][0]["arguments"], '{"to":"7","amount":7}')
        server.end()

    def test_strict_where_none_must_come(self):
        """The model writes what it wants; under a bias, what begins a mark; test_answer.py has what follows a mark."""
        parameters = {"type": "object", "properties": {"to": {"enum": ["Maria", "Bob"]}, "amount": {"type": "integer", "minimum": 10, "maximum": 99}},
                      "required": ["to", "amount"], "additionalProperties": False}
        tools = [{"type": "function", "function": {"name": "pay", "strict": True, "parameters": parameters}}]
        a = self.server.chat(tools=tools).json["choices"][0]
        self.assertEqual((a["message"]["content"], a["finish_reason"]), (ANSWER, "stop"))       # nothing is forced
        less = tokenizer().id_get("<")
        for parallel in (True, False):
            for stream in (False, True):
                a = self.server.chat(tools=tools, logit_bias={str(less): 100}, max_tokens=300, seed=7, temperature=1, stream=stream, parallel_tool_calls=parallel)
                self.assertEqual(a.status, 200, a.body)
                message = {"tool_calls": streamed(a.events)} if stream else a.json["choices"][0]["message"]
                for call in message.get("tool_calls", []):
                    arguments = json.loads(call["function"]["arguments"])
                    self.assertEqual((call["function"]["name"], arguments["to"] in ("Maria", "Bob"), arguments["amount"] in range(10, 100), len(arguments)), ("pay", True, True, 2))
        ask = lambda **m: self.server.post("/v1/responses", {"model": NAME, "input": PROMPT, "temperature": 0, "tools": [dict(type="function", **tools[0]["function"])], **m})  # noqa: E731
        self.assertEqual(ask(parallel_tool_calls=False).json["parallel_tool_calls"], False)
        with tempfile.NamedTemporaryFile("w", suffix=".jinja") as f:
            f.write(serving.TEMPLATE + "{# <start_of_turn> #}")
            f.flush()
            server = Server("--template", f.name)
        a = server.chat(tools=tools)
        self.assertEqual((a.status, a.error["param"]), (400, "tools[0].function.strict"))
        self.assertIn("not for this format", a.error["message"])
        server.end()

    def test_reasoning_that_the_template_began(self):
        with tempfile.NamedTemporaryFile("w", suffix=".jinja") as f:
            f.write(serving.TEMPLATE + "<think>\n{# <tool_call> #}")
            f.flush()
            server = Server("--template", f.name)
        grammar = self.CALL.replace('"<tool', '"hm</think> so: " "<tool')
        message = server.chat(tools=self.TOOLS, grammar=grammar).json["choices"][0]["message"]
        self.assertEqual((message["reasoning_content"], message["content"].strip(), message["tool_calls"][0]["function"]["name"]), ("hm", "so:", "pay"))
        a = server.chat(tools=self.TOOLS, grammar=grammar, stream=True)
        self.assertEqual("".join(e["choices"][0]["delta"].get("reasoning_content", "") for e in a.events), "hm")
        message = server.chat(tools=self.TOOLS, tool_choice="required").json["choices"][0]["message"]
        self.assertEqual((message["content"], message["tool_calls"][0]["function"]["name"]), (None, "pay"))
        message = server.chat(tools=self.TOOLS, response_format={"type": "json_object"}, max_tokens=20).json["choices"][0]["message"]
        self.assertEqual(message["content"].strip()[:1], "{")
        strict = [{"type": "function", "function": dict(self.TOOLS[0]["function"], strict=True)}]
        message = server.chat(tools=strict, max_tokens=20).json["choices"][0]["message"]
        self.assertEqual((message["content"], len(message["reasoning_content"]) > 5), ("", True))    # this model never ends it
        server.end()

    def test_no_call(self):
        grammar = 'root ::= "<think>hm</think>no <tool_call" "s."'
        for stream in (False, True):
            a = self.server.chat(tools=self.TOOLS, grammar=grammar, stream=stream)
            if stream:
                self.assertEqual("".join(e["choices"][0]["delta"].get("content") or "" for e in a.events), "no <tool_calls.")
            else:
                message = a.json["choices"][0]["message"]
                self.assertEqual((message["content"], message["reasoning_content"]), ("no <tool_calls.", "hm"))
        self.assertNotIn("tool_calls", message)
        a = self.server.chat(tools=self.TOOLS, tool_choice="none", grammar=self.CALL).json["choices"][0]
        self.assertEqual((a["finish_reason"], a["message"]["content"][:11]), ("stop", "<tool_call>"))
        cut = self.server.chat(tools=self.TOOLS, grammar=self.CALL, max_tokens=5).json["choices"][0]
        self.assertEqual((cut["finish_reason"], "tool_calls" in cut["message"]), ("length", False))
        self.assertEqual(self.server.chat(tools=self.TOOLS, max_tokens=30, ignore_eos=True).json["usage"]["completion_tokens"], 30)

    def test_refusals(self):
        function = {"name": "f"}
        for members, param in (({"tools": {}}, "tools"), ({"tools": [1]}, "tools[0]"), ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
                               ({"tools": [{"type": "function"}]}, "tools[0].function"),
                               ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
                               ({"tools": [{"type": "function", "function": dict(function, strict=True)}], "response_format": {"type": "json_object"}}, "tools[0].function.strict"),
                               ({"tools": [{"type": "function", "function": dict(function, strict=True, parameters={"not": {}})}]}, "tools[0].function.strict"),
                               ({"tools": [{"type": "function", "function": dict(function, fly=1)}]}, "tools[0].function.fly"),
                               ({"tools": [{"type": "function", "function": dict(function, parameters=1)}]}, "tools[0].function.parameters"),
                               ({"tools": self.TOOLS, "tool_choice": "always"}, "tool_choice"), ({"tool_choice": "required"}, "tool_choice"),
                               ({"tools": self.TOOLS, "tool_choice": {"type": "function", "function": function}}, "tool_choice"),
                               ({"tools": self.TOOLS, "tool_choice": {"type": "function"}}, "tool_choice.function"),
                               ({"tools": self.TOOLS, "tool_choice": "required", "response_format": {"type": "json_object"}}, "tool_choice"),
                               ({"tools": self.TOOLS, "parallel_tool_calls": False, "grammar": 'root ::= "x"'}, "parallel_tool_calls")):
            a = self.server.chat(**members)
            self.assertEqual((a.status, a.error["param"]), (400, param), a.body)
        plain = Server()
        self.assertEqual(plain.chat(tools=self.TOOLS).error["param"], "tools")
        plain.end()


class ServeKeys(unittest.TestCase):
    def setUp(self):
        if not serving.available():
            self.skipTest("the tool was built without libmicrohttpd")

    def test_keys_and_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            keys, cert, key = (os.path.join(folder, n) for n in ("keys", "cert.pem", "key.pem"))
            with open(keys, "w") as f:
                f.write("# who may ask\nfirst-key\n\nsecond key\n")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                            "-out", cert, "-days", "2", "-subj", "/CN=localhost"], check=True, capture_output=True)
            server = Server("--api-keys", keys, "--cert", cert, "--key", key)
            a = server.chat()
            self.assertEqual((a.status, a.error["code"], a.headers["WWW-Authenticate"]), (401, "invalid_api_key", "Bearer"))
            for wrong in ("first-ke", "first-key2", "", "# who may ask"):
                self.assertEqual(server.chat(headers={"Authorization": "Bearer " + wrong}).status, 401)
            self.assertEqual(server.get("/health").status, 200)
            self.assertEqual(server.get("/metrics").status, 401)
            for server.key in ("first-key", "second key"):
                self.assertEqual(server.chat().json["choices"][0]["message"]["content"], ANSWER)
                self.assertEqual(server.get("/health", headers={"Host": "any.example"}).status, 200)
            self.assertEqual(len(server.chat(stream=True).events), 17)
            server.end()


class ServePeer(Served):
    def test_the_openai_client_over_every_route(self):
        peer = serving.official_client(self)
        done = subprocess.run([peer, "tests/python/serve_peer.py", str(self.server.port), NAME, PROMPT, ANSWER], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class ServeReadme(Served):
    """What the README shows is done."""
    def blocks(self, kind):
        with open("README.md", encoding="utf-8") as f:
            section = f.read().split("## Serve it\n")[1].split("\n## ")[0]
        return [b.split("```")[0].replace("8080", str(self.server.port)) for b in section.split("```%s\n" % kind)[1:]]

    def test_curl(self):
        if subprocess.run(["sh", "-c", "command -v curl"], capture_output=True).returncode:
            self.skipTest("curl is not installed")
        commands = self.blocks("sh")[1].replace("\\\n", " ").strip().split("\n")
        said = []
        for command in commands:
            self.assertTrue(command.startswith("curl "), command)
            done = subprocess.run(["sh", "-c", command.replace("curl ", "curl -sSf ", 1)], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, (command, done.stderr))
            said.append(done.stdout)
        self.assertEqual(json.loads(said[0])["choices"][0]["message"]["content"], ANSWER)
        self.assertTrue(said[1].endswith("data: [DONE]\n\n"))
        self.assertIn("decai_receipt", json.loads(said[2]))
        self.assertEqual(len(json.loads(said[3])["data"]), 2)
        self.assertIn("gen_ai_server_request_duration_seconds", said[4])

    def test_python(self):
        peer = serving.official_client(self)
        done = subprocess.run([peer, "-c", self.blocks("python")[0]], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout.strip()), (0, ANSWER), done.stderr)


class ServeReceipts(Served):
    def verify(self, found, *args):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "r.cbor")
            with open(path, "wb") as f:
                f.write(base64.b64decode(found["receipt"]))
            with open(path + ".opening", "wb") as f:
                f.write(base64.b64decode(found["opening"]))
            done = subprocess.run([DECAI, "verify", path, "--json", *args], capture_output=True, text=True)
            return done.returncode, json.loads(done.stdout)

    def test_an_answer_carries_its_receipt(self):
        for members in ({}, {"stop": "amount"}, {"temperature": 1.5, "seed": 5, "top_p": 0.9, "frequency_penalty": 1, "logit_bias": {"7": -100}},
                        {"max_tokens": 3}):
            a = self.server.chat(decai_receipt=True, **members)
            found = a.json["decai_receipt"]
            self.assertEqual(a.headers["X-Decai-Receipt"], found["id"])
            code, said = self.verify(found)
            self.assertEqual((code, said["ok"]), (0, True), said)
            streamed = self.server.chat(decai_receipt=True, stream=True, **members).events
            self.assertEqual(self.verify(streamed[-1]["decai_receipt"])[0], 0)
        check = lambda r: self.server.post("/decai/verify", {"receipt": r["receipt"], "opening": r["opening"]})  # noqa: E731
        self.assertEqual(check(found).json["ok"], True)
        bare = self.server.post("/decai/verify", {"receipt": found["receipt"]}).json
        self.assertTrue(bare["committed"])               # without the opening nothing was run again
        ruled = self.server.chat(decai_receipt=True, grammar='root ::= "yes" | "no"').json["decai_receipt"]
        self.assertEqual(check(ruled).json["ok"], True, check(ruled).json)
        for broken, param in (({}, "receipt"), ({"receipt": "!"}, "receipt"), ({"receipt": "AAAA"}, "receipt"), ({"fly": 1}, "fly"),
                              ({"receipt": found["receipt"], "opening": "="}, "opening")):
            self.assertEqual(self.server.post("/decai/verify", broken).error["param"], param)
        raw = bytearray(base64.b64decode(found["receipt"]))
        raw[len(raw) // 2] ^= 1
        wrong = check({**found, "receipt": base64.b64encode(raw).decode()})
        self.assertFalse(wrong.status == 200 and wrong.json["ok"], wrong.body)
        self.assertNotEqual(self.verify({**found, "receipt": base64.b64encode(raw)})[0], 0)
        self.assertNotIn("decai_receipt", self.server.chat().json)
        self.assertEqual(self.server.chat(decai_receipt=False, n=2).status, 200)
        a = self.server.post("/v1/completions", {"model": NAME, "prompt": "hello<|sep|>", "decai_receipt": True, "temperature": 0})
        self.assertEqual(self.verify(a.json["decai_receipt"])[0], 0)

    def test_each_choice_has_its_own(self):
        hot = {"temperature": 2, "seed": 3, "n": 3, "max_tokens": 20, "decai_receipt": True}
        body = {"model": NAME, "prompt": ["hello<|sep|>", PROMPT + "<|sep|>"], "decai_receipt": True, "temperature": 0}
        for path, asked, count in ((CHAT, dict(hot, model=NAME, messages=MESSAGES), 3), ("/v1/completions", body, 2)):
            whole = self.server.post(path, asked)
            self.assertNotIn("decai_receipt", whole.json)
            self.assertIsNone(whole.headers["X-Decai-Receipt"])
            events = self.server.post(path, dict(asked, stream=True)).events
            self.assertFalse([e for e in events if "decai_receipt" in e])
            for choices in (whole.json["choices"], [c for e in events for c in e["choices"] if c["finish_reason"]]):
                self.assertEqual([c["index"] for c in sorted(choices, key=lambda c: c["index"])], list(range(count)))
                self.assertEqual(len({c["decai_receipt"]["id"] for c in choices}), count)
                for c in choices:
                    code, said = self.verify(c["decai_receipt"])
                    self.assertEqual((code, said["ok"], said["committed"]), (0, True, ["signature"]))


if __name__ == "__main__":
    unittest.main()
