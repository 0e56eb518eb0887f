"""The official client over an engine in this process: run by test_openai.py in a
Python that has the package openai; one test a line of its output."""
import asyncio
import base64
import json
import os
import sys
import threading
import unittest

sys.path.insert(0, "bindings/python")
sys.dont_write_bytecode = True
import openai  # noqa: E402
import decai  # noqa: E402
import decai.openai  # noqa: E402

TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}{{ more }}<|sep|>"
ASK = [{"role": "user", "content": "send 25 usdc to Maria"}]
ANSWER = '{"action":"transfer","amount":"25","token":"USDC","to":"Maria"}'


class Client(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.context = decai.Context({"base.threads": 1})
        cls.model = decai.Model.load(cls.context, "examples/model/decai-actions.q8_0.gguf")
        cls.backend = decai.openai.Backend(cls.context, cls.model, template=TEMPLATE, name="actions",
                                           engine=decai.Engine(cls.model, {"infer.context": 96}))
        cls.client = decai.openai.client(cls.context, cls.model, backend=cls.backend)

    def chat(self, **more):
        return self.client.chat.completions.create(**dict(dict(model="actions", messages=ASK, temperature=0), **more))

    def refused(self, param, call, kind=openai.BadRequestError):
        with self.assertRaises(kind) as e:
            call()
        self.assertEqual(e.exception.param, param)
        self.assertIn(param or "", str(e.exception))

    def test_models(self):
        self.assertEqual([m.id for m in self.client.models.list()], ["actions"])
        self.assertEqual(self.client.models.retrieve("actions").owned_by, "decai")
        self.refused("model", lambda: self.client.models.retrieve("other"), openai.NotFoundError)
        self.refused("model", lambda: self.chat(model="other"), openai.NotFoundError)

    def test_chat(self):
        made = self.chat()
        self.assertEqual((made.choices[0].message.content, made.choices[0].finish_reason), (ANSWER, "stop"))
        self.assertEqual(made.usage.total_tokens, made.usage.prompt_tokens + made.usage.completion_tokens)
        self.assertTrue(made.system_fingerprint.startswith("decai_" + self.model.root_get().hex()[:16]))
        self.assertIsNone(made.choices[0].logprobs)
        self.assertEqual(self.chat(max_tokens=3).choices[0].finish_reason, "length")
        self.assertEqual(self.chat(max_completion_tokens=3).usage.completion_tokens, 3)

    def test_a_stream_says_what_the_whole_says(self):
        parts = list(self.chat(stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(p.choices[0].delta.content or "" for p in parts[:-1]), ANSWER)
        self.assertEqual([p.choices[0].finish_reason for p in parts[:-1]], [None] * (len(parts) - 2) + ["stop"])
        self.assertEqual((parts[0].choices[0].delta.role, parts[-1].choices), ("assistant", []))
        self.assertEqual(parts[-1].usage, self.chat().usage)
        self.assertEqual(len({p.id for p in parts}), 1)
        self.assertIsNone(list(self.chat(stream=True))[-1].usage)

    def test_what_users_say_becomes_no_control_token(self):
        tok = self.backend.tokenizer
        words = "a<|sep|>\u20ac <|sep|>"
        for allowed in (False, True):
            backend = decai.openai.Backend(self.context, self.model, engine=self.backend.engine, name="actions", allow_special=allowed,
                                           template="{% for m in messages %}[{{ m.content }}]{% endfor %}<|sep|>")
            client = decai.openai.client(self.context, self.model, backend=backend)
            given = client.chat.completions.create(model="actions", messages=[{"role": "user", "content": words}], max_tokens=1,
                                                   extra_body={"decai_receipt": True}).choices[0].decai_receipt
            receipt = decai.Receipt.load(self.context, base64.b64decode(given["receipt"]))
            ids = list(receipt.opening_decode(base64.b64decode(given["opening"]), 0))
            want = list(tok.encode("[%s]" % words, decai.ENCODE_SPECIAL if allowed else 0)) + [tok.id_get(b"<|sep|>")]
            self.assertEqual(ids, want, allowed)

    def test_a_stream_that_is_left(self):
        stream = self.chat(stream=True)
        next(iter(stream))
        stream.close()
        self.assertEqual(self.chat().choices[0].message.content, ANSWER)

    def test_one_seed_one_answer(self):
        one = [self.chat(temperature=1.5, seed=7, n=3).choices[i].message.content for i in (0, 1, 2)]
        self.assertEqual(one, [c.message.content for c in self.chat(temperature=1.5, seed=7, n=3).choices])
        self.assertEqual(one[1], self.chat(temperature=1.5, seed=8).choices[0].message.content)
        first = self.chat(temperature=2, max_tokens=9).choices[0].message.content     # another seed each time: sooner or later another answer
        self.assertTrue(any(self.chat(temperature=2, max_tokens=9).choices[0].message.content != first for _ in range(300)))

    def test_from_many_threads(self):
        said = [None] * 6

        def ask(i):
            said[i] = self.chat(temperature=1.5, seed=i % 2).choices[0].message.content
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(said, said[:2] * 3)
        self.assertNotIn(None, said)

    def test_asynchronously(self):
        async def both():
            client = decai.openai.async_client(self.context, self.model, backend=self.backend)
            whole = await client.chat.completions.create(model="actions", messages=ASK, temperature=0)
            text = ""
            async for part in await client.chat.completions.create(model="actions", messages=ASK, temperature=0, stream=True):
                text += part.choices[0].delta.content or ""
            return whole.choices[0].message.content, text
        self.assertEqual(asyncio.run(both()), (ANSWER, ANSWER))

    def test_stop_texts(self):
        made = self.chat(stop=["USDC", 'no"such'])
        self.assertEqual((made.choices[0].message.content, made.choices[0].finish_reason), (ANSWER.split("USDC")[0], "stop"))
        parts = list(self.chat(stop="token\":\"US", stream=True))
        self.assertEqual("".join(p.choices[0].delta.content or "" for p in parts), ANSWER.split('token":"US')[0])

    def test_logprobs(self):
        made = self.chat(logprobs=True, top_logprobs=3)
        rows = made.choices[0].logprobs.content
        self.assertEqual("".join(r.token for r in rows), ANSWER)
        for row in rows:
            self.assertEqual(bytes(row.bytes).decode(), row.token)
            self.assertEqual(len(row.top_logprobs), 3)
            self.assertEqual((row.top_logprobs[0].token, row.top_logprobs[0].logprob), (row.token, row.logprob))
        self.assertEqual(self.chat(logprobs=True).choices[0].logprobs.content[0].top_logprobs, [])
        self.assertEqual([r.token for p in self.chat(logprobs=True, stream=True) if p.choices[0].logprobs
                          for r in p.choices[0].logprobs.content], [r.token for r in rows])
        text = self.client.completions.create(model="actions", prompt="hello", logprobs=2, temperature=0)
        shown = text.choices[0].logprobs
        self.assertEqual(len(shown.tokens), text.usage.completion_tokens)
        self.assertTrue(all(len(row) == 2 for row in shown.top_logprobs))

    def test_bias(self):
        first = self.backend.tokenizer.id_get('{"action":"transfer","amount":"')
        self.assertFalse(self.chat(logit_bias={str(first): -100}).choices[0].message.content.startswith('{"action":"transfer"'))

    def test_completions(self):
        ids = self.backend.tokenizer.encode(ASK[0]["content"] + "<|sep|>", decai.ENCODE_SPECIAL)
        made = self.client.completions.create(model="actions", prompt=ids, temperature=0, max_tokens=40)
        self.assertEqual((made.choices[0].text, made.choices[0].finish_reason), (ANSWER, "stop"))
        parts = self.client.completions.create(model="actions", prompt=ids, temperature=0, max_tokens=40, stream=True)
        self.assertEqual("".join(p.choices[0].text for p in parts), ANSWER)
        self.assertEqual(self.client.completions.create(model="actions", prompt="x", temperature=0, extra_body={"top_k": 1, "min_p": 0.1}).object,
                         "text_completion")

    def test_embeddings(self):
        made = self.client.embeddings.create(model="actions", input=["hello", "send 25"])
        plain = self.client.embeddings.create(model="actions", input="hello", encoding_format="float")
        self.assertEqual(len(made.data), 2)
        for a, b in zip(made.data[0].embedding, plain.data[0].embedding):
            self.assertAlmostEqual(a, b, places=6)
        self.assertAlmostEqual(sum(v * v for v in plain.data[0].embedding), 1, places=5)
        self.refused("dimensions", lambda: self.client.embeddings.create(model="actions", input="a", dimensions=7))
        self.refused("input", lambda: self.client.embeddings.create(model="actions", input=[]))

    def test_receipts(self):
        given = self.chat(extra_body={"decai_receipt": True}).choices[0].decai_receipt
        receipt = decai.Receipt.load(self.context, base64.b64decode(given["receipt"]))
        self.assertEqual(receipt.id_get().hex(), given["id"])
        found = json.loads(decai.Receipt.verify(receipt, base64.b64decode(given["opening"]), self.backend.engine).format())
        self.assertTrue(found["ok"], found)
        last = list(self.chat(stream=True, extra_body={"decai_receipt": True}))[-1]
        self.assertEqual(len(last.choices[0].decai_receipt["id"]), 64)

    def test_answers_of_a_form(self):
        schema = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}, "n": {"type": "integer", "minimum": 3, "maximum": 5}},
                  "required": ["city", "n"], "additionalProperties": False}
        for seed in range(4):
            made = self.chat(temperature=2, seed=seed, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
            self.assertEqual(made.choices[0].finish_reason, "stop")
            said = json.loads(made.choices[0].message.content)
            self.assertEqual(sorted(said), ["city", "n"])
            self.assertTrue(said["city"] in ("Paris", "Rome") and 3 <= said["n"] <= 5)
        self.assertIsInstance(json.loads(self.chat(response_format={"type": "json_object"}).choices[0].message.content), dict)
        made = self.chat(extra_body={"grammar": 'root ::= "yes" | "no"'})
        self.assertIn(made.choices[0].message.content, ("yes", "no"))
        parts = list(self.chat(extra_body={"grammar": 'root ::= "yes" | "no"'}, stream=True))
        self.assertEqual("".join(p.choices[0].delta.content or "" for p in parts), made.choices[0].message.content)
        given = self.chat(extra_body={"grammar": 'root ::= "yes" | "no"', "decai_receipt": True}).choices[0].decai_receipt
        receipt = decai.Receipt.load(self.context, base64.b64decode(given["receipt"]))
        found = json.loads(decai.Receipt.verify(receipt, base64.b64decode(given["opening"]), self.backend.engine).format())
        self.assertTrue(found["ok"], found)
        self.refused("response_format", lambda: self.chat(response_format={"type": "xml"}))
        self.refused("response_format", lambda: self.chat(response_format={"type": "json_schema"}))
        self.refused("grammar", lambda: self.chat(extra_body={"grammar": "root ::= ("}))
        with self.assertRaises(openai.BadRequestError) as e:
            self.chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "number", "multipleOf": 1e-7}}})
        self.assertIn("multipleOf", str(e.exception))

    def test_tools(self):
        tools = [{"type": "function", "function": {"name": "weather", "parameters": {
                    "type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"], "additionalProperties": False}}},
                 {"type": "function", "function": {"name": "time"}}]
        made = self.chat(tools=tools, tool_choice="required", temperature=1.8, seed=3, n=6, messages=[{"role": "user", "content": "hi"}])
        for choice in made.choices:
            self.assertEqual((choice.finish_reason, choice.message.content, len(choice.message.tool_calls)), ("tool_calls", None, 1))
            call = choice.message.tool_calls[0].function
            said = json.loads(call.arguments)
            self.assertTrue((call.name == "weather" and said["city"] in ("Paris", "Rome")) or (call.name == "time" and said == {}))
        named = {"type": "function", "function": {"name": "time"}}
        self.assertEqual(self.chat(tools=tools, tool_choice=named).choices[0].message.tool_calls[0].function.name, "time")
        parts = list(self.chat(tools=tools, tool_choice=named, stream=True))
        self.assertEqual([(c[1], json.loads(c[2])) for c in self.put_together(parts)], [("time", {})])
        self.assertEqual(parts[-1].choices[0].finish_reason, "tool_calls")
        self.assertEqual(self.chat(tools=tools, tool_choice="none").choices[0].message.content, ANSWER)
        self.refused("tools", lambda: self.chat(tools=tools))          # the template teaches no calls
        self.refused("tools", lambda: self.chat(tools=[{"type": "other"}]))
        self.refused("tool_choice", lambda: self.chat(tool_choice="required"))
        self.refused("tool_choice", lambda: self.chat(tools=tools, tool_choice={"type": "function", "function": {"name": "x"}}))
        self.refused("tool_choice", lambda: self.chat(tools=tools, tool_choice="required", response_format={"type": "json_object"}))

    def test_calls_as_a_template_teaches_them(self):
        hermes = decai.openai.Backend(self.context, self.model, engine=self.backend.engine, name="actions",
                                      template="{# <tool_call></tool_call> #}" + TEMPLATE)
        if not hermes.call_form:
            self.fail("no form of calls is seen in a template that speaks of them")
        client = decai.openai.client(self.context, self.model, backend=hermes)
        tools = [{"type": "function", "function": {"name": "weather"}}]
        grammar = r"""root ::= "so: <tool_call>\n{\"name\": \"weather\", \"arguments\": {\"a\": 1}}\n</tool_call>" """
        for stream in (False, True):
            made = client.chat.completions.create(model="actions", messages=ASK, tools=tools, stream=stream, extra_body={"grammar": grammar})
            if stream:
                parts = list(made)
                text = "".join(p.choices[0].delta.content or "" for p in parts)
                calls, reason = [c[1:] for c in self.put_together(parts)], parts[-1].choices[0].finish_reason
            else:
                text, calls, reason = made.choices[0].message.content, made.choices[0].message.tool_calls, made.choices[0].finish_reason
                calls = [(c.function.name, c.function.arguments) for c in calls]
            self.assertEqual((text.strip(), calls, reason), ("so:", [("weather", '{"a": 1}')], "tool_calls"))

    @staticmethod
    def put_together(parts):
        """(id, name, arguments) of each call of a stream: a name once and first, then arguments alone, one call after the other."""
        calls = []
        for c in (c for p in parts for c in p.choices[0].delta.tool_calls or []):
            if c.function.name:
                assert c.index == len(calls) and c.id and c.type == "function" and c.function.arguments == "", c
                calls.append([c.id, c.function.name, ""])
            else:
                assert c.index == len(calls) - 1 and not c.id, c
                calls[-1][2] += c.function.arguments
        assert len({c[0] for c in calls}) == len(calls)
        return [tuple(c) for c in calls]

    def test_arguments_come_while_they_are_written(self):
        """Several calls, in fragments, as the client puts them together; each byte is taken apart once."""
        hermes = decai.openai.Backend(self.context, self.model, engine=decai.Engine(self.model, {"infer.context": 512}), name="actions",
                                      template="{# <tool_call></tool_call> #}" + TEMPLATE)
        client = decai.openai.client(self.context, self.model, backend=hermes)
        tools = [{"type": "function", "function": {"name": "weather"}}]
        for times in (4, 16):
            call = r'"<tool_call>{\"name\": \"weather\", \"arguments\": {\"a\": [" %s "0]}}</tool_call>\n"' % ('"1, 2, " ' * times)
            asked = dict(model="actions", messages=ASK, tools=tools, extra_body={"grammar": 'root ::= "<think>hm</think>so: " c c\nc ::= ' + call})
            whole = client.chat.completions.create(**asked).choices[0]
            added, add = [], decai.openai.Parts.add
            decai.openai.Parts.add = lambda answer, text, flags: (added.append(len(text.encode())), add(answer, text, flags))[1]
            try:
                parts = list(client.chat.completions.create(stream=True, **asked))
            finally:
                decai.openai.Parts.add = add
            calls = self.put_together(parts)
            self.assertEqual([c[1:] for c in calls], [(c.function.name, c.function.arguments) for c in whole.message.tool_calls])
            self.assertEqual([json.loads(c[2]) for c in calls], [{"a": [1, 2] * times + [0]}] * 2)
            self.assertGreater(sum(1 for p in parts if p.choices[0].delta.tool_calls), 2 * times)
            self.assertEqual((parts[-1].choices[0].finish_reason, whole.finish_reason), ("tool_calls", "tool_calls"))
            self.assertEqual("".join(getattr(p.choices[0].delta, "reasoning_content", None) or "" for p in parts), "hm")
            self.assertEqual(sum(added), sum(len(c[2]) for c in calls) + len("<think>hm</think>so: ") + 2 * len('<tool_call>{"name": "weather", "arguments": }</tool_call>\n'))
            with client.chat.completions.stream(**asked) as stream:       # the client's own accumulator
                seen = [e.type for e in stream]
                final = stream.get_final_completion().choices[0].message
            self.assertEqual([c.function.arguments for c in final.tool_calls], [c[2] for c in calls])
            self.assertIn("tool_calls.function.arguments.delta", seen)

    def test_strict_where_none_must_come(self):
        tools = [{"type": "function", "function": {"name": "weather", "strict": True, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]
        for mark, fine in (("<tool_call></tool_call>", True), ("<tool_call> <arg_key>", True), ("<|python_tag|>", True), ("<start_of_turn>", False), ("[TOOL_CALLS] [ARGS]", True)):
            backend = decai.openai.Backend(self.context, self.model, engine=self.backend.engine, name="actions", template="{# %s #}" % mark + TEMPLATE)
            client = decai.openai.client(self.context, self.model, backend=backend)
            for more in ({"tools": tools}, {"tools": [{"type": "function", "function": {"name": "weather"}}], "parallel_tool_calls": False}):
                ask = lambda: client.chat.completions.create(model="actions", messages=ASK, temperature=0, **more)  # noqa: B023, E731
                if not fine:
                    self.refused("tools", ask)
                elif mark != "<|python_tag|>":                        # there an answer of JSON is a call; this model writes JSON
                    self.assertEqual(ask().choices[0].message.content, ANSWER)
                else:
                    made = ask().choices[0].message
                    self.assertTrue(made.tool_calls or made.content.strip()[:1] not in ("{", "["), made)

    def test_reasoning_that_the_template_began(self):
        backend = decai.openai.Backend(self.context, self.model, engine=decai.Engine(self.model, {"infer.context": 512}), name="actions",
                                       template="{# <tool_call> #}" + TEMPLATE + "<think>\n")
        client = decai.openai.client(self.context, self.model, backend=backend)
        tools = [{"type": "function", "function": {"name": "weather", "strict": True, "parameters": {"type": "object"}}}]
        grammar = r"""root ::= "hm</think>\nso: <tool_call>{\"name\": \"weather\", \"arguments\": {}}</tool_call>" """
        plain = [{"type": "function", "function": {"name": "weather"}}]
        made = client.chat.completions.create(model="actions", messages=ASK, tools=plain, extra_body={"grammar": grammar}).choices[0].message
        self.assertEqual((made.reasoning_content, made.content.strip(), made.tool_calls[0].function.name), ("hm", "so:", "weather"))
        made = client.chat.completions.create(model="actions", messages=ASK, tools=plain, tool_choice="required").choices[0].message
        self.assertEqual((made.content, made.tool_calls[0].function.name), (None, "weather"))          # no reasoning before what is forced
        made = client.chat.completions.create(model="actions", messages=ASK, tools=plain, response_format={"type": "json_object"}, max_tokens=30).choices[0].message
        self.assertEqual(made.content.strip()[:1], "{")
        made = client.chat.completions.create(model="actions", messages=ASK, tools=tools, max_tokens=40, temperature=0).choices[0].message
        self.assertEqual((made.content or "", len(made.reasoning_content.strip()) > 5), ("", True))    # this model never ends it

    def test_template_variables(self):
        made = self.chat(messages=[{"role": "user", "content": "send 25 usdc "}], extra_body={"chat_template_kwargs": {"more": "to Maria"}})
        self.assertEqual(made.choices[0].message.content, ANSWER)

    def test_refusals_name_the_field(self):
        for field, value in (("temperature", 3), ("top_p", -1), ("n", 0), ("max_tokens", 0), ("presence_penalty", 9), ("stop", 7), ("stop", ["a"] * 65),
                             ("logit_bias", {"x": 1}), ("seed", "a"), ("stream_options", {"other": 1}), ("messages", []), ("messages", "hello"),
                             ("top_logprobs", 5), ("logprobs", 1), ("modalities", ["audio"])):
            self.refused(field, lambda: self.chat(extra_body={field: value}, **({"stream": True} if field == "stream_options" else {})))
        with self.assertRaises(openai.BadRequestError) as e:
            self.chat(messages=[{"role": "user", "content": "word " * 400}])
        self.assertEqual(e.exception.code, "context_length_exceeded")
        with self.assertRaises(openai.BadRequestError) as e:
            self.chat(messages=[{"role": "user", "content": "word " * 400}], stream=True)
        self.assertEqual(e.exception.code, "context_length_exceeded")
        with self.assertRaises(openai.NotFoundError):
            self.client.moderations.create(input="a")

    def test_a_full_context_is_length(self):
        never = {str(t): -100 for t in self.backend.ends}
        made = self.client.completions.create(model="actions", prompt=[5] * 90, max_tokens=50, logit_bias=never)
        self.assertEqual(made.choices[0].finish_reason, "length")
        self.assertIn(made.usage.total_tokens, (96, 97))

    def test_bodies_that_are_no_requests(self):
        for raw in (b"", b"[", b"[]", b"7", b"{", b"[" * 100000, b"\xff", b'{"model":"actions"}', b'{"model":"actions","messages":7}'):
            status, body = self.backend.answer("POST", "/v1/chat/completions", raw)
            self.assertEqual((status, body["error"]["type"]), (400, "invalid_request_error"), raw[:20])
        self.assertEqual(self.backend.answer("GET", "/v1/chat/completions", b"")[0], 405)
        self.assertEqual(self.backend.answer("GET", "/v2/x", b"")[0], 404)


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    unittest.main(verbosity=2)
