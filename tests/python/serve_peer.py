"""decai serve through the openai package, as programs use it: run by test_serve.py
with a Python that has the package.

  serve_peer.py PORT MODEL PROMPT ANSWER
"""
import asyncio
import sys
import unittest

import openai

PORT, MODEL, PROMPT, ANSWER = sys.argv[1:5]
URL = "http://127.0.0.1:%s/v1" % PORT
MESSAGES = [{"role": "user", "content": PROMPT}]
client = openai.OpenAI(base_url=URL, api_key="none", max_retries=0, timeout=60)


class Routes(unittest.TestCase):
    def test_models(self):
        self.assertEqual([m.id for m in client.models.list()], [MODEL])
        self.assertEqual(client.models.retrieve(MODEL).owned_by, "decai")

    def test_chat(self):
        a = client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=0, seed=1, user="x", logprobs=True, top_logprobs=2,
                                           extra_body={"decai_receipt": True})
        self.assertEqual((a.choices[0].message.content, a.choices[0].finish_reason), (ANSWER, "stop"))
        self.assertEqual((a.usage.prompt_tokens + a.usage.completion_tokens, len(a.choices[0].logprobs.content[0].top_logprobs)), (35, 2))
        self.assertTrue(a.decai_receipt["id"].startswith("0x"))
        raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES, temperature=0, extra_body={"decai_receipt": True})
        self.assertEqual(raw.headers["x-decai-receipt"], raw.parse().decai_receipt["id"])

    def test_chat_stream(self):
        text, usage = "", None
        for chunk in client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=0, stream=True,
                                                    stream_options={"include_usage": True}):
            usage = chunk.usage or usage
            text += "".join(c.delta.content or "" for c in chunk.choices)
        self.assertEqual((text, usage.total_tokens), (ANSWER, 35))

    def test_chat_stream_left_early(self):
        with client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, extra_body={"ignore_eos": True}) as stream:
            for _ in zip(range(3), stream):
                pass
        with client.chat.completions.stream(model=MODEL, messages=MESSAGES, temperature=0) as stream:
            self.assertEqual(stream.get_final_completion().choices[0].message.content, ANSWER)

    def test_completions(self):
        a = client.completions.create(model=MODEL, prompt=[PROMPT + "<|sep|>"], temperature=0, max_tokens=40, logprobs=1, n=2, stop=["zzz"],
                                      logit_bias={"1": -1}, presence_penalty=0.0, frequency_penalty=0.0, top_p=1.0)
        self.assertEqual([c.text for c in a.choices], [ANSWER] * 2)
        self.assertEqual("".join(a.choices[0].logprobs.tokens), ANSWER)
        text = "".join(c.choices[0].text for c in client.completions.create(model=MODEL, prompt=PROMPT + "<|sep|>", temperature=0,
                                                                            max_tokens=40, stream=True))
        self.assertEqual(text, ANSWER)

    def test_responses(self):
        a = client.responses.create(model=MODEL, input=PROMPT, temperature=0)
        self.assertEqual((a.output_text, a.status, a.usage.total_tokens), (ANSWER, "completed", 35))
        text, last = "", None
        for event in client.responses.create(model=MODEL, input=MESSAGES, temperature=0, stream=True):
            text += event.delta if event.type == "response.output_text.delta" else ""
            last = event
        self.assertEqual((text, last.type, last.response.output_text), (ANSWER, "response.completed", ANSWER))
        tools = [{"type": "function", "name": "pay", "parameters": {"type": "object", "additionalProperties": False}, "strict": True}]
        with client.responses.stream(model=MODEL, input=PROMPT, temperature=0, tools=tools, tool_choice="required") as stream:
            kinds, pieces = [], ""
            for event in stream:
                kinds.append(event.type)
                pieces += event.delta if event.type == "response.function_call_arguments.delta" else ""
            called, = stream.get_final_response().output
        self.assertEqual((pieces, kinds.count("response.function_call_arguments.done")), (called.arguments, 1))
        self.assertEqual((called.type, called.name, called.arguments.replace(" ", "")), ("function_call", "pay", "{}"))
        with client.responses.stream(model=MODEL, input=PROMPT, temperature=0) as stream:
            self.assertEqual(stream.get_final_response().output_text, ANSWER)

    def test_tools_and_formats(self):
        schema = {"type": "object", "properties": {"to": {"enum": ["Maria", "Bob"]}}, "required": ["to"], "additionalProperties": False}
        tools = [{"type": "function", "function": {"name": "pay", "strict": True, "parameters": schema}}]
        a = client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=0, tools=tools, tool_choice="required")
        self.assertIn(a.choices[0].message.tool_calls[0].function.arguments.replace(" ", ""), ('{"to":"Maria"}', '{"to":"Bob"}'))
        with client.chat.completions.stream(model=MODEL, messages=MESSAGES, temperature=0, tools=tools, tool_choice="required") as stream:
            pieces = "".join(e.arguments_delta for e in stream if e.type == "tool_calls.function.arguments.delta")
            called = stream.get_final_completion().choices[0].message.tool_calls[0].function
        self.assertEqual(pieces, called.arguments)
        self.assertEqual((called.name, called.parsed_arguments["to"] in ("Maria", "Bob")), ("pay", True))
        a = client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=0,
                                           response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
        self.assertIn("to", a.choices[0].message.content)

    def test_embeddings(self):
        a = client.embeddings.create(model=MODEL, input=["a", "b"])           # the package asks for base64
        b = client.embeddings.create(model=MODEL, input="b", encoding_format="float")
        self.assertEqual(len(a.data[0].embedding), len(b.data[0].embedding))
        for x, y in zip(a.data[1].embedding, b.data[0].embedding):
            self.assertAlmostEqual(x, y, 6)

    def test_errors(self):
        with self.assertRaises(openai.BadRequestError) as e:
            client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=9)
        self.assertEqual((e.exception.param, e.exception.type), ("temperature", "invalid_request_error"))
        with self.assertRaises(openai.NotFoundError) as e:
            client.chat.completions.create(model="other", messages=MESSAGES)
        self.assertEqual(e.exception.code, "model_not_found")
        with self.assertRaises(openai.BadRequestError) as e:
            client.chat.completions.create(model=MODEL, messages=MESSAGES, modalities=["audio"])
        self.assertEqual((e.exception.param, e.exception.code), ("modalities", "unknown_parameter"))

    def test_many_at_once(self):
        async def all_of_them():
            async with openai.AsyncOpenAI(base_url=URL, api_key="none", max_retries=0, timeout=60) as many:
                return await asyncio.gather(*[many.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=0) for _ in range(32)])
        self.assertEqual({a.choices[0].message.content for a in asyncio.run(all_of_them())}, {ANSWER})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
