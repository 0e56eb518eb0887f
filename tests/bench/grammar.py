"""What a mask costs: python tests/bench/grammar.py [VOCABULARY.gguf ...]

For each vocabulary and schema: making the grammar, the first walk over an answer (masks
are worked out), and later ones (they are remembered); microseconds of processor time a
token, Python's call included. Beside it llama.cpp's grammar sampler over all candidates on
the same answer (llama-cpp-python); "-": not installed, or it refuses. The share of a decode step follows
from the tokens a second of the model at hand. Judges nothing.
"""
import json
import os
import sys
import time

import decai

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tools"))
import schemas  # noqa: E402

try:
    import llama_cpp
except (ImportError, OSError, RuntimeError):
    llama_cpp = None

VECTORS = os.path.join(os.environ.get("DECAI_VECTORS", "../shared/vectors"), "tokenizers")
ANSWERS = {
    "weather": '{"city": "San Francisco, California", "unit": "celsius", "days": 7}',
    "order": '{"items": [{"sku": "AB-12", "count": 3}, {"sku": "ZX-9000", "count": 12}], "ship_to": {"street": "1 Long Street", "city": "Bonn", "zip": "53113"}}',
    "send_mail": '{"to": ["a.b@example.org"], "subject": "The numbers of May", "body": "Dear all, please find the numbers of May below. They are better than those of April."}',
    "json": '{"a": [1, 2.5, {"b": null, "c": [true, false, "text with spaces and so on"]}], "d": {"e": "f"}}',
}


def clock(f):
    start = time.process_time()
    value = f()
    return value, (time.process_time() - start) * 1e6


def ours(t, schema, ids):
    g, made = clock(lambda: decai.Grammar(t, "json_schema", json.dumps(schema), None))

    def walk():
        m, spent, worst = decai.Matcher(g), 0.0, 0.0
        for i in ids:
            mask, us = clock(m.mask_get)
            spent, worst = spent + us, max(worst, us)
            if m.add([i]) != 1 or not mask[i // 8] >> i % 8 & 1:
                raise SystemExit("the answer is not in the grammar")
        return spent / len(ids), worst
    first, rest = walk(), [walk() for _ in range(5)]
    return made, first, min(r[0] for r in rest), min(r[1] for r in rest)


def theirs(path, schema, ids):
    """llama.cpp: apply the grammar to all candidates, then accept."""
    import ctypes
    llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(path.encode(), params)
    vocab = llama_cpp.llama_model_get_vocab(model)
    n = llama_cpp.llama_vocab_n_tokens(vocab)
    try:
        text = llama_cpp.LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False)._grammar
    except (KeyError, ValueError):                                    # its converter knows less
        return None
    sampler = llama_cpp.llama_sampler_init_grammar(vocab, text.encode(), b"root")
    array = (llama_cpp.llama_token_data * n)()
    spent = 0.0
    for i in ids:
        for k in range(n):
            array[k].id = k
            array[k].logit = 0.0
        data = llama_cpp.llama_token_data_array(data=array, size=n, selected=-1, sorted=False)
        _, us = clock(lambda: llama_cpp.llama_sampler_apply(sampler, ctypes.byref(data)))
        spent += us
        if array[i].logit < -1e30:
            llama_cpp.llama_sampler_free(sampler)
            return None
        llama_cpp.llama_sampler_accept(sampler, i)
    llama_cpp.llama_sampler_free(sampler)
    return spent / len(ids)


def main():
    context = decai.Context()
    paths = sys.argv[1:] or [os.path.join(VECTORS, "ggml-vocab-%s.gguf" % v) for v in ("llama-bpe", "qwen2", "gemma-4")]
    tools = dict(schemas.tools())
    print("%-12s %-10s %8s %10s %12s %12s %10s %10s %8s" % ("vocabulary", "schema", "tokens", "make us", "first us/tok", "first worst", "us/token", "worst", "llama"))
    for path in paths:
        with open(path, "rb") as f:
            t = decai.Tokenizer(decai.Model.open(context, f.read()))
        for name, answer in ANSWERS.items():
            ids = t.encode(answer, 0)
            made, first, rest, worst = ours(t, tools[name], ids)
            other = theirs(path, tools[name], ids) if llama_cpp and len(ids) else None
            print("%-12s %-10s %8d %10.0f %12.0f %12.0f %10.1f %10.1f %8s" % (os.path.basename(path)[11:-5], name, len(ids), made, first[0], first[1], rest, worst,
                                                                            "%.0f" % other if other else "-"), flush=True)
    print("load %.1f" % os.getloadavg()[0])


if __name__ == "__main__":
    main()
