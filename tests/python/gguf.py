"""A small GGUF writer for the tests: a seeded Llama of 2 layers, byte-level BPE."""
import math
import random
import struct

U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
VOCAB, EMBD, FF, HEADS, KV_HEADS, LAYERS, CONTEXT = 320, 64, 96, 4, 2, 2, 128
MERGES = ["t h", "th e", "h e", "he l", "l o", "hel lo"]


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def entry(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def array(key, kind, items):
    return entry(key, ARRAY, struct.pack("<IQ", kind, len(items)) + b"".join(items))


def byte_alphabet():
    """GPT-2's letters for the 256 bytes: printable Latin-1 as itself, the rest from U+0100 on."""
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    letters, extra = [], 0
    for b in range(256):
        if b in plain:
            letters.append(chr(b))
        else:
            letters.append(chr(256 + extra))
            extra += 1
    return letters


def q8_0(values):
    out = b""
    for i in range(0, len(values), 32):
        block = values[i:i + 32]
        scale = struct.unpack("<e", struct.pack("<e", max(map(abs, block)) / 127))[0]
        out += struct.pack("<e32b", scale, *(max(-127, min(127, round(v / scale))) if scale else 0 for v in block))
    return out


def llama(seed=1, tamper=None):
    """The file's bytes. tamper(name, data) may return other data for a tensor."""
    rng = random.Random(seed)
    tokens = byte_alphabet() + [m.replace(" ", "") for m in MERGES]
    tokens += ["<unused%d>" % i for i in range(len(tokens), VOCAB - 2)] + ["<|begin|>", "<|end|>"]
    kinds = [1] * (256 + len(MERGES)) + [5] * (VOCAB - 258 - len(MERGES)) + [3, 3]
    metadata = [
        entry("general.architecture", STRING, text("llama")), entry("general.name", STRING, text("synthetic")),
        array("tokenizer.ggml.tokens", STRING, [text(t) for t in tokens]),
        array("tokenizer.ggml.token_type", I32, [struct.pack("<i", k) for k in kinds]),
        array("tokenizer.ggml.merges", STRING, [text(m) for m in MERGES]),
        entry("tokenizer.ggml.model", STRING, text("gpt2")), entry("tokenizer.ggml.pre", STRING, text("gpt-2")),
        entry("tokenizer.ggml.add_bos_token", BOOL, b"\1"),
    ]
    numbers = {"llama.context_length": CONTEXT, "llama.embedding_length": EMBD, "llama.block_count": LAYERS,
               "llama.feed_forward_length": FF, "llama.attention.head_count": HEADS,
               "llama.attention.head_count_kv": KV_HEADS, "llama.rope.dimension_count": EMBD // HEADS,
               "llama.vocab_size": VOCAB, "tokenizer.ggml.bos_token_id": VOCAB - 2, "tokenizer.ggml.eos_token_id": VOCAB - 1}
    metadata += [entry(k, U32, struct.pack("<I", v)) for k, v in numbers.items()]
    metadata += [entry("llama.attention.layer_norm_rms_epsilon", F32, struct.pack("<f", 1e-5)),
                 entry("llama.rope.freq_base", F32, struct.pack("<f", 10000.0))]
    shapes = [("token_embd", EMBD, VOCAB)]
    for i in range(LAYERS):
        kv = EMBD // HEADS * KV_HEADS
        shapes += [("blk.%d.%s" % (i, n), c, r) for n, c, r in (
            ("attn_norm", EMBD, 0), ("attn_q", EMBD, EMBD), ("attn_k", EMBD, kv), ("attn_v", EMBD, kv),
            ("attn_output", EMBD, EMBD), ("ffn_norm", EMBD, 0), ("ffn_gate", EMBD, FF), ("ffn_up", EMBD, FF),
            ("ffn_down", FF, EMBD))]
    shapes += [("output_norm", EMBD, 0), ("output", EMBD, VOCAB)]
    infos, data = b"", b""
    for name, cols, rows in shapes:
        name += ".weight"
        if rows:
            spread = math.sqrt(3 / cols)
            raw, kind, dims = q8_0([rng.uniform(-spread, spread) for _ in range(cols * rows)]), 8, [cols, rows]
        else:
            raw, kind, dims = struct.pack("<%df" % cols, *(1 + rng.uniform(-.1, .1) for _ in range(cols))), 0, [cols]
        raw = tamper(name, raw) if tamper else raw
        infos += text(name) + struct.pack("<I", len(dims)) + struct.pack("<%dQ" % len(dims), *dims) + struct.pack("<IQ", kind, len(data))
        data += raw + b"\0" * (-len(raw) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(metadata)) + b"".join(metadata) + infos
    return head + b"\0" * (-len(head) % 32) + data


def bert(seed=1, context=32):
    """A seeded BERT of one layer in F32: mean pooling, WordPiece of single letters."""
    rng, embd, ff = random.Random(seed), 32, 48
    letters = [chr(c) for c in range(33, 127)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + ["\u2581" + c for c in letters] + letters
    numbers = {"bert.context_length": context, "bert.embedding_length": embd, "bert.block_count": 1, "bert.feed_forward_length": ff,
               "bert.attention.head_count": 2, "bert.pooling_type": 1, "bert.vocab_size": len(tokens), "tokenizer.ggml.token_type_count": 2,
               "tokenizer.ggml.bos_token_id": 2, "tokenizer.ggml.eos_token_id": 3, "tokenizer.ggml.seperator_token_id": 3,
               "tokenizer.ggml.padding_token_id": 0, "tokenizer.ggml.unknown_token_id": 1, "tokenizer.ggml.mask_token_id": 4}
    metadata = [entry("general.architecture", STRING, text("bert")), entry("tokenizer.ggml.model", STRING, text("bert")),
                array("tokenizer.ggml.tokens", STRING, [text(t) for t in tokens]),
                array("tokenizer.ggml.token_type", I32, [struct.pack("<i", 3 if i < 5 else 1) for i in range(len(tokens))]),
                entry("bert.attention.layer_norm_epsilon", F32, struct.pack("<f", 1e-12)), entry("bert.attention.causal", BOOL, b"\0")]
    metadata += [entry(k, U32, struct.pack("<I", v)) for k, v in numbers.items()]
    shapes = [("token_embd.weight", embd, len(tokens)), ("position_embd.weight", embd, context), ("token_types.weight", embd, 2),
              ("token_embd_norm.weight", embd, 0), ("token_embd_norm.bias", embd, 0)]
    for name, cols, rows in (("attn_q", embd, embd), ("attn_k", embd, embd), ("attn_v", embd, embd), ("attn_output", embd, embd),
                             ("attn_output_norm", embd, 0), ("ffn_up", embd, ff), ("ffn_down", ff, embd), ("layer_output_norm", embd, 0)):
        shapes += [("blk.0.%s.weight" % name, cols, rows), ("blk.0.%s.bias" % name, rows or cols, 0)]
    infos, data = b"", b""
    for name, cols, rows in shapes:
        centre = 1 if name.endswith("norm.weight") else 0
        raw = struct.pack("<%df" % (cols * (rows or 1)), *(centre + rng.uniform(-.4, .4) for _ in range(cols * (rows or 1))))
        dims = [cols, rows] if rows else [cols]
        infos += text(name) + struct.pack("<I", len(dims)) + struct.pack("<%dQ" % len(dims), *dims) + struct.pack("<IQ", 0, len(data))
        data += raw + b"\0" * (-len(raw) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(metadata)) + b"".join(metadata) + infos
    return head + b"\0" * (-len(head) % 32) + data


def split(data):
    """The file of llama() in two: the metadata alone, and all tensors."""
    head, tensors, count = data[:8], *struct.unpack_from("<QQ", data, 8)
    at = 24
    for _ in range(count):
        at = skip_value(data, *skip_text(data, at))
    u16 = 2

    def part(no):
        return [entry("split.no", u16, struct.pack("<H", no)), entry("split.count", u16, struct.pack("<H", 2)),
                entry("split.tensors.count", I32, struct.pack("<i", tensors))]
    first = head + struct.pack("<QQ", 0, count + 3) + data[24:at] + b"".join(part(0))
    end = at
    for _ in range(tensors):
        end, _ = skip_text(data, end)
        end += 4 + 8 * struct.unpack_from("<I", data, end)[0] + 12
    infos = head + struct.pack("<QQ", tensors, 3) + b"".join(part(1)) + data[at:end]
    return first, infos + b"\0" * (-len(infos) % 32) + data[end + -end % 32:]


def skip_text(data, at):
    """Where the bytes behind a string begin, and the u32 there."""
    at += 8 + struct.unpack_from("<Q", data, at)[0]
    return at, struct.unpack_from("<I", data, at)[0]


def skip_value(data, at, kind, inside=False):
    at += 0 if inside else 4
    if kind == STRING:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    if kind != ARRAY:
        return at + {BOOL: 1, 10: 8, 12: 8}.get(kind, 4)
    item, count = struct.unpack_from("<IQ", data, at)
    at += 12
    for _ in range(count):
        at = skip_value(data, at, item, True)
    return at
