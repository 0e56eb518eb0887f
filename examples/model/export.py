"""Writes a training checkpoint as GGUF version 3, in three precisions.

GGUF file: "GGUF", u32 version, u64 tensors, u64 metadata pairs; the pairs; per
tensor its name, dimensions (fastest first), type and offset; padding to 32;
the data, each tensor at a multiple of 32. All little-endian.

Matrices become, in blocks of 32 values along a row (which is along the sum of
a dot product):

  f16   2 bytes a value
  q8_0  f16 scale d = max|x| / 127, then 32 int8 = round(x / d)
  q4_0  f16 scale d = (the value of largest magnitude) / -8, then 16 bytes:
        byte i has value i in its low half and value i + 16 in its high half,
        each floor(x / d + 8.5) capped at 15 and read back as d * (q - 8)

Scales divide before they are rounded to f16, as ggml does it, so the bytes are
the ones its tools would write. Norm weights stay f32. There is no
output.weight: readers fall back to token_embd, to which it is tied.

  python export.py checkpoint.npz .
"""

import argparse
import json
import os
import struct

import numpy as np

import bpe

ALIGN = 32
U32, F32_VALUE, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
# precision: (ggml tensor type, general.file_type)
PRECISIONS = {"f32": (0, 0), "f16": (1, 1), "q4_0": (2, 2), "q8_0": (8, 7)}

# Only the last message is rendered: each request is answered by itself.
TEMPLATE = ("{{ bos_token }}{% for message in messages %}{% if loop.last %}"
            "{{ message['content'] }}<|sep|>{% endif %}{% endfor %}")


def away(x):
    """Round half away from zero, which is not numpy's rule but is C's roundf."""
    return np.trunc(x + np.copysign(np.float32(0.5), x))


def q8_0(x):
    b = x.reshape(-1, 32).astype(np.float32)
    d = np.abs(b).max(1, keepdims=True) / np.float32(127)
    inverse = np.divide(np.float32(1), d, out=np.zeros_like(d), where=d != 0)
    q = away(b * inverse).astype(np.int8)
    return np.hstack([d.astype("<f2").view(np.uint8), q.view(np.uint8)]).tobytes()


def q4_0(x):
    b = x.reshape(-1, 32).astype(np.float32)
    top = np.take_along_axis(b, np.abs(b).argmax(1)[:, None], 1)
    d = top / np.float32(-8)
    inverse = np.divide(np.float32(1), d, out=np.zeros_like(d), where=d != 0)
    q = np.minimum(15, (b * inverse + np.float32(8.5)).astype(np.int8)).astype(np.uint8)
    return np.hstack([d.astype("<f2").view(np.uint8), q[:, :16] | q[:, 16:] << 4]).tobytes()


ENCODE = {"f32": lambda x: x.astype("<f4").tobytes(), "f16": lambda x: x.astype("<f2").tobytes(),
          "q8_0": q8_0, "q4_0": q4_0}


def text(s):
    data = s.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def pair(key, kind, value):
    head = text(key) + struct.pack("<I", kind)
    if kind == STRING: return head + text(value)
    if kind != ARRAY: return head + struct.pack({U32: "<I", F32_VALUE: "<f", BOOL: "<?"}[kind], value)
    of, items = value
    head += struct.pack("<IQ", of, len(items))
    return head + b"".join(text(i) if of == STRING else struct.pack("<i", i) for i in items)


def metadata(c, tok, precision):
    a = "llama."
    return [
        pair("general.architecture", STRING, "llama"),
        pair("general.name", STRING, "decai-actions"),
        pair("general.description", STRING, "Turns a request in plain English into one JSON action"),
        pair("general.license", STRING, "MIT"),
        pair("general.alignment", U32, ALIGN),
        pair("general.file_type", U32, PRECISIONS[precision][1]),
        pair("general.quantization_version", U32, 2),
        pair(a + "block_count", U32, c["layers"]),
        pair(a + "context_length", U32, c["context"]),
        pair(a + "embedding_length", U32, c["d"]),
        pair(a + "feed_forward_length", U32, c["ff"]),
        pair(a + "attention.head_count", U32, c["heads"]),
        pair(a + "attention.head_count_kv", U32, c["kv_heads"]),
        pair(a + "attention.key_length", U32, c["head_dim"]),
        pair(a + "attention.value_length", U32, c["head_dim"]),
        pair(a + "attention.layer_norm_rms_epsilon", F32_VALUE, c["eps"]),
        pair(a + "rope.dimension_count", U32, c["head_dim"]),
        pair(a + "rope.freq_base", F32_VALUE, c["rope_base"]),
        pair(a + "vocab_size", U32, c["vocab"]),
        pair("tokenizer.ggml.model", STRING, "gpt2"),
        pair("tokenizer.ggml.pre", STRING, "smollm"),
        pair("tokenizer.ggml.tokens", ARRAY, (STRING, tok.tokens)),
        pair("tokenizer.ggml.token_type", ARRAY, (I32, tok.types)),
        pair("tokenizer.ggml.merges", ARRAY, (STRING, [x + " " + y for x, y in tok.merges])),
        pair("tokenizer.ggml.bos_token_id", U32, bpe.BOS),
        pair("tokenizer.ggml.eos_token_id", U32, bpe.EOS),
        pair("tokenizer.ggml.padding_token_id", U32, bpe.EOS),
        # The format spells it so; tools that know the key put it after the request.
        pair("tokenizer.ggml.seperator_token_id", U32, bpe.SEP),
        pair("tokenizer.ggml.add_bos_token", BOOL, True),
        pair("tokenizer.ggml.add_eos_token", BOOL, False),
        pair("tokenizer.chat_template", STRING, TEMPLATE),
    ]


def tensors(p, c):
    """(name, rows by columns) in the order llama.cpp's converter writes."""
    yield "token_embd.weight", p["token_embd"]
    for i in range(c["layers"]):
        for n in ("attn_norm", "ffn_down", "ffn_gate", "ffn_up", "ffn_norm",
                  "attn_k", "attn_output", "attn_q", "attn_v"):
            x = p[f"blk.{i}.{n}"]
            # Training multiplies x @ W, a reader multiplies W by x.
            yield f"blk.{i}.{n}.weight", x.T if x.ndim == 2 else x
    yield "output_norm.weight", p["output_norm"]


def write(path, p, c, tok, precision):
    meta = metadata(c, tok, precision)
    infos, data = b"", b""
    names = 0
    for name, x in tensors(p, c):
        kind = precision if x.ndim == 2 else "f32"
        dims = x.shape[::-1]
        infos += text(name) + struct.pack("<I%dQ" % len(dims), len(dims), *dims)
        infos += struct.pack("<IQ", PRECISIONS[kind][0], len(data))
        data += ENCODE[kind](np.ascontiguousarray(x, np.float32))
        data += b"\0" * (-len(data) % ALIGN)
        names += 1
    head = b"GGUF" + struct.pack("<IQQ", 3, names, len(meta)) + b"".join(meta) + infos
    head += b"\0" * (-len(head) % ALIGN)
    # Written beside and renamed: a reader never sees half a model.
    with open(path + ".tmp", "wb") as f:
        f.write(head + data)
    os.replace(path + ".tmp", path)
    return len(head) + len(data)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("checkpoint")
    ap.add_argument("folder")
    ap.add_argument("--precisions", default="f16,q8_0,q4_0")
    a = ap.parse_args()
    z = np.load(a.checkpoint)
    c = json.loads(str(z["config"]))
    p = {k[2:]: z[k] for k in z.files if k.startswith("p/")}
    tok = bpe.Tokenizer.load()
    for precision in a.precisions.split(","):
        path = os.path.join(a.folder, "decai-actions.%s.gguf" % precision)
        print(path, write(path, p, c, tok, precision), "bytes")


if __name__ == "__main__":
    main()
