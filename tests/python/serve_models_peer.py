"""Several models of decai serve through the openai package: run by test_serve_models.py
with a Python that has the package.

  serve_models_peer.py PORT ENCODER PROMPT ANSWER MODEL...
"""
import asyncio
import sys
import unittest

import openai

PORT, ENCODER, PROMPT, ANSWER, *MODELS = sys.argv[1:]
URL = "http://127.0.0.1:%s/v1" % PORT
MESSAGES = [{"role": "user", "content": PROMPT}]
client = openai.OpenAI(base_url=URL, api_key="none", max_retries=0, timeout=60)


class Models(unittest.TestCase):
    def test_all_are_listed(self):
        self.assertEqual([m.id for m in client.models.list()], [*MODELS, ENCODER])
        for name in MODELS:
            self.assertEqual(client.models.retrieve(name).id, name)

    def test_interleaved(self):
        async def ask(at, i):
            name = MODELS[i % len(MODELS)]
            if i % 2:
                text = ""
                async for chunk in await at.chat.completions.create(model=name, messages=MESSAGES, temperature=0, stream=True):
                    self.assertEqual(chunk.model, name)
                    text += "".join(c.delta.content or "" for c in chunk.choices)
                return text
            a = await at.chat.completions.create(model=name, messages=MESSAGES, temperature=0)
            self.assertEqual(a.model, name)
            return a.choices[0].message.content

        async def all_of_them():
            async with openai.AsyncOpenAI(base_url=URL, api_key="none", max_retries=0, timeout=60) as at:
                vectors = at.embeddings.create(model=ENCODER, input=["a", "b"] * 20)
                return await asyncio.gather(vectors, *(ask(at, i) for i in range(24)))
        vectors, *said = asyncio.run(all_of_them())
        self.assertEqual(said, [ANSWER] * 24)
        self.assertEqual(len(vectors.data), 40)

    def test_unknown(self):
        for call in (lambda: client.chat.completions.create(model="gpt-4o", messages=MESSAGES),
                     lambda: client.embeddings.create(model="text-embedding-3-small", input="x"),
                     lambda: client.models.retrieve("gpt-4o")):
            with self.assertRaises(openai.NotFoundError) as e:
                call()
            self.assertEqual((e.exception.code, e.exception.param), ("model_not_found", "model"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
