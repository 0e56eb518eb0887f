"""Answers every held-out request with libdecai's own engine.

One JSON action a line on stdout, in the order of heldout.jsonl: what
`evaluate.py --answers` scores. Needs `import decai` and nothing else.

  python answer.py [MODEL.gguf [backend]] >answers.txt
  python evaluate.py --answers answers.txt
"""

import json
import os
import sys

import decai

HERE = os.path.dirname(os.path.abspath(__file__))


def answers(path, backend="native", requests=None):
    if requests is None:
        with open(os.path.join(HERE, "heldout.jsonl")) as f:
            requests = [json.loads(line)["request"] for line in f]
    with decai.Context() as ctx:
        model = decai.Model.load(ctx, path)
        tok = decai.Tokenizer.create(model)
        engine = decai.Engine.create(model, options={"compute.backend": backend})
        session = decai.Session.create(engine, options={"infer.max_tokens": 96})
        separator = tok.special_get("separator")
        for request in requests:
            session.start()
            session.add(list(tok.encode(request, decai.ENCODE_ADD)) + [separator])
            yield tok.decode(list(session), 0).decode("utf-8", "replace")


if __name__ == "__main__":
    given = sys.argv[1:] + [os.path.join(HERE, "decai-actions.q8_0.gguf"), "native"][len(sys.argv) - 1:]
    for line in answers(given[0], given[1]):
        print(line.replace("\n", " "))
