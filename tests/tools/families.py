"""Small models of random weights of every family that safetensors are read of,
made, saved and run by the package transformers, and run by this library from the
saved files. One line each: family, relative RMS difference of the last logits
(of the mean vector for encoders), and that against another prompt's, a control.
Needs transformers, torch and numpy; for tests/python/test_families.py.
"""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join("bindings", "python"))
import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers as T  # noqa: E402

import decai  # noqa: E402

VOCAB = 200
SHAPE = {"vocab_size": VOCAB, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
         "max_position_embeddings": 128}
GQA = dict(SHAPE, num_key_value_heads=2, bos_token_id=1, eos_token_id=2, pad_token_id=0)


def llama(**more):
    return lambda: T.LlamaForCausalLM(T.LlamaConfig(**GQA, **more))


FAMILIES = {
    "llama": llama(tie_word_embeddings=False),
    "llama, tied, biases": llama(tie_word_embeddings=True, attention_bias=True),
    "llama, heads of 32": llama(head_dim=32),
    "llama 3 rotation": llama(rope_parameters={"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                                               "high_freq_factor": 4.0, "original_max_position_embeddings": 64}),
    "llama, linear rotation": llama(rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}),
    "mistral, window": lambda: T.MistralForCausalLM(T.MistralConfig(**GQA, sliding_window=8)),
    "qwen2": lambda: T.Qwen2ForCausalLM(T.Qwen2Config(**GQA)),
    "qwen2, yarn": lambda: T.Qwen2ForCausalLM(T.Qwen2Config(**GQA, rope_parameters={
        "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32})),
    "qwen3": lambda: T.Qwen3ForCausalLM(T.Qwen3Config(**GQA, head_dim=32)),
    "gemma": lambda: T.GemmaForCausalLM(T.GemmaConfig(**GQA, head_dim=16)),
    "gemma2": lambda: T.Gemma2ForCausalLM(T.Gemma2Config(**GQA, head_dim=16, query_pre_attn_scalar=16, sliding_window=8)),
    "gemma3": lambda: T.Gemma3ForCausalLM(T.Gemma3TextConfig(**dict(GQA, num_hidden_layers=7), head_dim=16,
                                                             query_pre_attn_scalar=16, sliding_window=8)),
    "phi3": lambda: T.Phi3ForCausalLM(T.Phi3Config(**GQA)),
    "gpt2": lambda: T.GPT2LMHeadModel(T.GPT2Config(vocab_size=VOCAB, n_embd=64, n_layer=3, n_head=4, n_positions=128)),
    "bert": lambda: T.BertModel(T.BertConfig(**SHAPE)),
    "nomic bert": lambda: T.NomicBertModel(T.NomicBertConfig(**SHAPE), add_pooling_layer=False),
}


def theirs(model, ids):
    with torch.no_grad():
        out = model(torch.tensor([ids]))
    return (out.logits[0, -1] if "logits" in out else out.last_hidden_state[0].mean(0)).float().numpy()


def ours(context, path, ids, encoder):
    engine = decai.Engine(decai.Model.load(context, path))
    if encoder:
        return np.array(engine.encode(ids, [len(ids)], 0))
    session = decai.Session(engine)
    session.add(ids)
    session.next()
    return np.array(session.logits_get())


def difference(a, b, encoder):
    if encoder:  # a vector's length is not part of an embedding
        a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return float(np.sqrt(((a - b) ** 2).sum() / (b ** 2).sum()))


def main():
    torch.manual_seed(1)
    torch.set_num_threads(1)
    random = np.random.RandomState(3)
    ids, others = ([int(i) for i in random.randint(3, VOCAB, 48)] for _ in range(2))
    context = decai.Context()
    for name, make in FAMILIES.items():
        model = make().eval()
        for p in model.parameters():
            torch.nn.init.normal_(p, 0.1 if p.dim() == 1 else 0, 0.3 if p.dim() == 1 else 0.08)
        model.tie_weights()
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            encoder = "bert" in name
            got = ours(context, os.path.join(folder, "model.safetensors"), ids, encoder)
            print("%s: %.3e %.3e" % (name, difference(got, theirs(model, ids), encoder),
                                     difference(got, theirs(model, others), encoder)), flush=True)


main()
