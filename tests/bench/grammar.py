"""What a mask costs: python tests/bench/grammar.py [VOCABULARY.gguf ...]

For each vocabulary and schema: making the grammar, the first walk over an answer (masks
are worked out), and later ones (they are remembered); microseconds of processor time a
token, into a buffer that is there. Beside it, where they are installed, on the same
tokens:

    llguidance   a matcher made anew, its first walk, later ones after reset
    xgrammar     one compiler (one thread) a vocabulary, first and later walks
    llama.cpp    its grammar sampler over all candidates (llama-cpp-python)

"-": not installed, or it refuses the schema or the answer. CASES are mask_decode.py's too.
Judges nothing.
"""
import ctypes
import json
import os
import sys
import time

import decai

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tools"))
import schemas  # noqa: E402
from schemas import I, S, array, obj, one_of, text, whole  # noqa: E402

VECTORS = os.path.join(os.environ.get("DECAI_VECTORS", "../shared/vectors"), "tokenizers")
TOOLS = dict(schemas.tools())
PLACES = ["%s/%s %02d" % (a, b, i) for i in range(8) for a in ("north", "south", "upper") for b in ("warehouse", "reading-room")]

# name: schema, answer
CASES = {
    "weather": (TOOLS["weather"], '{"city": "San Francisco, California", "unit": "celsius", "days": 7}'),
    "order": (TOOLS["order"], '{"items": [{"sku": "AB-12", "count": 3}, {"sku": "ZX-9000", "count": 12}], "ship_to": {"street": "1 Long Street", "city": "Bonn", "zip": "53113"}}'),
    "send_mail": (TOOLS["send_mail"], '{"to": ["a.b@example.org"], "subject": "The numbers of May", "body": "Dear all, please find the numbers of May below. They are better than those of April."}'),
    "json": (TOOLS["json"], '{"a": [1, 2.5, {"b": null, "c": [true, false, "text with spaces and so on"]}], "d": {"e": "f"}}'),
    "limits": (obj("title summary", title=text(minLength=1, maxLength=60), summary=text(maxLength=100), note=text(maxLength=255)),
               '{"title": "The mill on the river", "summary": "A mill is sold, and three people in the town each think that it was promised to them.", "note": "Second edition, revised by the author; caf\u00e9 scene left out."}'),
    "enums": (obj("place state", place=one_of(*PLACES), state=one_of("open", "closed", "under repair", "opening soon"), floor=whole(minimum=-2, maximum=40)),
              '{"place": "upper/reading-room 05", "state": "under repair", "floor": 12}'),
    "nested": (obj("people", people=array(obj("name roles", name=text(maxLength=100), roles=array(text(maxLength=20), maxItems=8), age=whole(minimum=0, maximum=150)))),
               '{"people": [{"name": "Ada Lovelace", "roles": ["author", "analyst"], "age": 36}, {"name": "Charles Babbage", "roles": ["inventor"], "age": 79}]}'),
    "numbers": (obj(low=whole(minimum=-1000, maximum=1000), share={"type": "number", "minimum": 0, "maximum": 1}, port=whole(minimum=1, maximum=65535), level=I),
                '{"low": -273, "share": 0.125, "port": 8080, "level": 123456}'),
    "patterns": (obj(when=text(format="date-time"), mail=text(format="email"), words=text(pattern=r"^\w+(\s\w+)*$"), code=text(pattern="^[A-Z]{2}-[0-9]{4}$")),
                 '{"when": "2024-05-31T12:00:00Z", "mail": "first.last@example.org", "words": "plain words of a sentence", "code": "AB-2041"}'),
    "free": ({"type": "object", "additionalProperties": S}, '{"colour": "green", "shape of it": "a wide, flat box", "weight": "three pounds"}'),
}


def clock(f):
    start = time.process_time()
    value = f()
    return value, (time.process_time() - start) * 1e6


class Walk:
    """Microseconds a token and the worst of them; also: us, one by one."""

    def __init__(self, ids, mask, allowed, accept):
        self.each = []
        for i in ids:
            _, us = clock(mask)
            self.each.append(us)
            if not allowed(i) or not accept(i):
                raise ValueError("the answer is not in the grammar")
        self.mean, self.worst = sum(self.each) / len(self.each), max(self.each)


class Ours:
    def __init__(self, tokenizer):
        self.tokenizer, self.out = tokenizer, (ctypes.c_uint8 * (tokenizer.count() // 8 + 8))()

    def make(self, schema):
        return clock(lambda: decai.Grammar(self.tokenizer, "json_schema", json.dumps(schema), None))

    def walk(self, grammar, ids):
        m, n, out = decai.Matcher(grammar), ctypes.c_size_t(), self.out
        call, handle, cap = decai._lib.decai_matcher_mask_get, m._pointer(), ctypes.c_size_t(len(out))
        return Walk(ids, lambda: call(handle, out, cap, ctypes.byref(n)), lambda i: out[i // 8] >> i % 8 & 1, lambda i: m.add([i]) == 1)


class Llguidance:
    def __init__(self, tokens, special, end, encode):
        import llguidance
        import llguidance.numpy as arrays
        self.tokens, self.special_token_ids, self.eos_token_id, self.bos_token_id, self.encode = tokens, sorted(special), end, None, encode
        self.kit, self.arrays = llguidance, arrays
        self.tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(self), n_vocab=len(tokens), eos_token=end,
                                                slices=llguidance.LLTokenizer.json_slices())
        self.out = arrays.allocate_token_bitmask(1, len(tokens))

    def __call__(self, text):                    # its forced tokens are the vocabulary's own
        return self.encode(text, 0)

    def make(self, schema):
        def start():
            m = self.kit.LLMatcher(self.tokenizer, self.kit.LLMatcher.grammar_from_json_schema(json.dumps(schema)))
            if m.is_error():
                raise ValueError(m.get_error())
            return m
        return clock(start)

    def walk(self, m, ids):
        m.reset()
        return Walk(ids, lambda: self.arrays.fill_next_token_bitmask(m, self.out), lambda i: int(self.out[0, i // 32]) >> i % 32 & 1, m.consume_token)


class Xgrammar:
    def __init__(self, tokens, special, end):
        import xgrammar
        info = xgrammar.TokenizerInfo([b"" if i in special else t for i, t in enumerate(tokens)], xgrammar.VocabType.RAW, stop_token_ids=[end])
        self.kit, self.compiler = xgrammar, xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        self.out = xgrammar.allocate_token_bitmask(1, len(tokens))

    def make(self, schema):
        return clock(lambda: self.compiler.compile_json_schema(json.dumps(schema), strict_mode=False))

    def walk(self, grammar, ids):
        m = self.kit.GrammarMatcher(grammar)
        return Walk(ids, lambda: m.fill_next_token_bitmask(self.out), lambda i: int(self.out[0, i // 32]) >> i % 32 & 1, m.accept_token)


class Llama:
    """llama.cpp: apply the grammar to all candidates, then accept."""

    def __init__(self, path):
        import llama_cpp
        self.kit = llama_cpp
        self.quiet = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self.quiet, None)
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = True
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), params)
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.count = llama_cpp.llama_vocab_n_tokens(self.vocab)
        self.data = (llama_cpp.llama_token_data * self.count)()

    def make(self, schema):
        return clock(lambda: self.kit.LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False)._grammar)

    def walk(self, grammar, ids):
        kit, data = self.kit, self.data
        sampler = kit.llama_sampler_init_grammar(self.vocab, grammar.encode(), b"root")
        array_of = kit.llama_token_data_array
        if not sampler:
            raise ValueError("the grammar is refused")

        def mask():
            candidates = array_of(data=data, size=self.count, selected=-1, sorted=False)
            kit.llama_sampler_apply(sampler, ctypes.byref(candidates))

        def accept(i):
            for k in range(self.count):
                data[k].id, data[k].logit = k, 0.0
            kit.llama_sampler_accept(sampler, i)
            return True
        try:
            for k in range(self.count):
                data[k].id, data[k].logit = k, 0.0
            return Walk(ids, mask, lambda i: data[i].logit > -1e30, accept)
        finally:
            kit.llama_sampler_free(sampler)


def vocabulary(t):
    """Bytes of each token, the ids of control tokens, the end of text."""
    rows = [t.token_get(i) for i in range(t.count())]
    special = {i for i, r in enumerate(rows) if r.kind in (decai.TOKEN_CONTROL, decai.TOKEN_UNKNOWN)}
    return [bytes(r.out) for r in rows], special, t.special_get("eos")


def peers_of(t, path):
    tokens, special, end = vocabulary(t)
    out = {}
    for name, make in (("llguidance", lambda: Llguidance(tokens, special, end, t.encode)), ("xgrammar", lambda: Xgrammar(tokens, special, end)),
                       ("llama.cpp", lambda: Llama(path))):
        try:
            out[name], us = clock(make)
            print("# %s: its tables of the vocabulary, %.0f us" % (name, us))
        except (ImportError, OSError, RuntimeError) as e:
            print("# no %s: %s" % (name, e))
    return out


def measure(side, schema, ids, again):
    """us: make, first answer a token, its worst, later answers a token, their worst."""
    made, us = side.make(schema)
    first, rest = side.walk(made, ids), [side.walk(made, ids) for _ in range(again)]
    return us, first.mean, first.worst, min(r.mean for r in rest), min(r.worst for r in rest)


def main():
    context = decai.Context()
    paths = sys.argv[1:] or [os.path.join(VECTORS, "ggml-vocab-%s.gguf" % v) for v in ("llama-bpe", "qwen2", "gemma-4")]
    print("%-10s %-10s %-10s %6s %9s %9s %9s %9s %9s" % ("vocabulary", "schema", "side", "tokens", "make us", "first/tok", "worst", "later/tok", "worst"))
    for path in paths:
        with open(path, "rb") as f:
            t = decai.Tokenizer(decai.Model.open(context, f.read()))
        sides = {"ours": Ours(t), **peers_of(t, path)}
        for name, (schema, answer) in CASES.items():
            ids = t.encode(answer, 0)
            for side, object_ in sides.items():
                try:
                    row = "%9.0f %9.1f %9.1f %9.1f %9.1f" % measure(object_, schema, ids, 1 if side == "llama.cpp" else 5)
                except (ValueError, KeyError, RuntimeError) as e:
                    row = "- " + str(e).split("\n")[0][:80]
                print("%-10s %-10s %-10s %6d %s" % (os.path.basename(path)[11:-5], name, side, len(ids), row), flush=True)
    print("load %.1f" % os.getloadavg()[0])


if __name__ == "__main__":
    main()
