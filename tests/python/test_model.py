"""model and tok through Python on a small file made here."""
import hashlib
import json
import os
import struct
import subprocess
import tempfile
import unittest

import decai
import gguf

ROOMS = {"model", "tok"}


def inspect(path):
    """What the command-line tool shows of a file."""
    tool = os.path.join(os.environ.get("BUILD", "build/release"), "decai")
    shown = json.loads(subprocess.run([tool, "inspect", path, "--json"], capture_output=True, check=True).stdout)
    assert shown["kind"] == "model", shown["kind"]
    return shown["content"]


class Models(unittest.TestCase):
    def setUp(self):
        self.context = decai.Context()
        self.data = gguf.llama()
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "m.gguf")
        with open(self.path, "wb") as f:
            f.write(self.data)

    def tearDown(self):
        self.context.close()
        self.folder.cleanup()

    def test_one_identity_by_every_door(self):
        roots = set()
        for model in (decai.Model.load(self.context, self.path), decai.Model.open(self.context, self.data),
                      self.context.model_load(self.path, {"model.map": 1})):
            roots.add(model.root_get())
            self.assertEqual(model.sha256_get(), hashlib.sha256(self.data).digest())
        self.assertEqual(len(roots), 1)
        changed = decai.Model.open(self.context, gguf.llama(2))
        self.assertNotIn(changed.root_get(), roots)

    def test_a_split_model_is_the_same_model(self):
        whole = decai.Model.load(self.context, self.path)
        first, others = gguf.split(self.data)
        paths = [os.path.join(self.folder.name, "s-%05d-of-00002.gguf" % i) for i in (1, 2)]
        for path, data in zip(paths, (first, others)):
            with open(path, "wb") as f:
                f.write(data)
        for options in ({}, {"model.map": 1}):
            model = self.context.model_load(paths[0], options)
            self.assertEqual(model.root_get(), whole.root_get())
            self.assertEqual(model.tensor_count(), whole.tensor_count())
            digests = [hashlib.sha256(d).digest() for d in (first, others)]
            self.assertEqual(model.sha256_get(), hashlib.sha256(b"".join(digests)).digest())
            files = json.loads(model.format())["files"]
            self.assertEqual([f["sha256"][2:] for f in files], [d.hex() for d in digests])
        shown = inspect(paths[0])
        self.assertEqual([f["name"] for f in shown["files"]], ["s-00001-of-00002.gguf", "s-00002-of-00002.gguf"])
        self.assertEqual(shown["root"], "0x" + whole.root_get().hex())
        os.unlink(paths[1])
        with self.assertRaises(decai.Error) as e:
            decai.Model.load(self.context, paths[0])
        self.assertIn("s-00002-of-00002.gguf", e.exception.detail)

    def test_inspect_names_the_new_types(self):
        kinds = {"Q4_K": (12, 144), "IQ4_XS": (23, 136), "Q6_K": (14, 210), "MXFP4": (39, 17 * 8)}
        infos, at = b"", 0
        for name, (kind, size) in kinds.items():
            infos += gguf.text(name) + struct.pack("<IQIQ", 1, 256, kind, at)
            at += size + -size % 32
        head = b"GGUF" + struct.pack("<IQQ", 3, len(kinds), 0) + infos
        path = os.path.join(self.folder.name, "kinds.gguf")
        with open(path, "wb") as f:
            f.write(head + b"\0" * (-len(head) % 32) + bytes(at))
        self.assertEqual({t["name"]: t["type"] for t in inspect(path)["tensors"]}, {n: n for n in kinds})

    def test_safetensors(self):
        header = {"model.embed_tokens.weight": {"dtype": "BF16", "shape": [4, 8], "data_offsets": [0, 64]},
                  "model.norm.weight": {"dtype": "F16", "shape": [8], "data_offsets": [64, 80]}}
        text = json.dumps(header).encode()
        path = os.path.join(self.folder.name, "model.safetensors")
        with open(path, "wb") as f:
            f.write(len(text).to_bytes(8, "little") + text + bytes(80))
        with self.assertRaises(decai.Error) as e:
            decai.Model.load(self.context, path)
        self.assertIn("config.json", e.exception.detail)
        with open(os.path.join(self.folder.name, "config.json"), "w") as f:
            json.dump({"model_type": "qwen2", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
                       "intermediate_size": 16, "max_position_embeddings": 32, "vocab_size": 4, "rms_norm_eps": 1e-6}, f)
        model = decai.Model.load(self.context, path)
        content = json.loads(model.format())
        self.assertEqual(content["format"], "safetensors")
        self.assertEqual(inspect(path), content)
        self.assertEqual([(t["name"], t["type"], t["dims"]) for t in content["tensors"]],
                         [("output_norm.weight", "F32", [8]), ("token_embd.weight", "BF16", [8, 4])])
        self.assertEqual(model.metadata_get("qwen2.attention.head_count"), b"2")
        self.assertEqual(model.tensor_at(1).type, decai.TENSOR_BF16)

    def test_load_in_the_background(self):
        seen = []
        with decai.Context({"base.threads": 1}) as context:
            started = decai.model_load_start(context, self.path)
            started.task.result(progress=lambda phase, done, total: seen.append((phase, done, total)))
            self.assertTrue(seen)
            self.assertGreaterEqual(started.task.fd(), 0)
            self.assertEqual(started.out.tensor_count(), 2 + 9 * gguf.LAYERS + 1)
            started.task.cancel()                                 # too late: no effect
            started.task.wait(-1)

    def test_tensors_and_metadata(self):
        model = decai.Model.open(self.context, self.data)
        names, i = [], 0
        while (row := model.tensor_at(i)) is not None:
            names.append(row.name)
            i += 1
        self.assertEqual(names, sorted(names))
        self.assertEqual(len(names), model.tensor_count())
        first = model.tensor_at(names.index("token_embd.weight"))
        self.assertEqual((first.type, list(first.dims)), (decai.TENSOR_Q8_0, [gguf.EMBD, gguf.VOCAB, 1, 1]))
        self.assertEqual(len(model.tensor_root_get("token_embd.weight")), 32)
        with self.assertRaises(decai.NotFoundError):
            model.tensor_root_get("no such tensor")
        keys, i = {}, 0
        while (row := model.metadata_at(i)) is not None:
            keys[row.key] = model.metadata_get(row.key)
            i += 1
        self.assertEqual(keys["general.architecture"], b"llama")
        self.assertEqual(keys["llama.block_count"], b"2")
        self.assertEqual(len(json.loads(keys["tokenizer.ggml.tokens"])), gguf.VOCAB)   # needs the second try
        self.assertIn("tensors", json.loads(model.format()))

    def test_tensors_are_shared(self):
        model = decai.Model.open(self.context, self.data)
        name = "output_norm.weight"
        view = model.tensor_get(name)
        self.assertEqual((view.readonly, view.nbytes), (True, 4 * gguf.EMBD))
        with self.assertRaises(LookupError):
            model.tensor_get("none")
        row = decai.tensor.of(model, name)
        self.assertEqual((row.shape, row.type, bytes(row.data)), ((gguf.EMBD,), decai.TENSOR_F32, bytes(view)))
        every = decai.tensor.every(model)
        self.assertEqual(len(every), model.tensor_count())
        self.assertEqual(every["token_embd.weight"].shape, (gguf.VOCAB, gguf.EMBD))
        model.close()                                             # the views still own it
        self.context.close()
        self.assertEqual(bytes(view), bytes(row.data))
        with self.assertRaises(BufferError):
            every["token_embd.weight"].__dlpack__(max_version=(1, 0))     # Q8_0
        with self.assertRaises(LookupError):
            decai.tensor.of(decai.Model.open(decai.Context(), self.data), "none")

    def test_dlpack_capsules(self):
        row = decai.tensor.of(decai.Model.open(self.context, self.data), "output_norm.weight")
        self.assertEqual(row.__dlpack_device__(), (1, 0))
        for version, name in ((None, "dltensor"), ((1, 1), "dltensor_versioned")):
            capsule = row.__dlpack__(max_version=version)
            self.assertIn('"%s"' % name, repr(capsule))
            self.assertEqual(len(decai.tensor._lent), 1)
            del capsule                                           # nobody took it
            self.assertEqual(len(decai.tensor._lent), 0)
        for wrong in ({"stream": 1}, {"dl_device": (2, 0)}, {"copy": False}):
            with self.assertRaises(BufferError):
                row.__dlpack__(**wrong)

    def test_numpy_and_others_take_them(self):
        try:
            import numpy
        except ImportError:
            self.skipTest("numpy is not installed")
        row = decai.tensor.of(decai.Model.open(self.context, self.data), "output_norm.weight")
        shared = numpy.asarray(row)
        self.assertEqual((shared.dtype, shared.shape, shared.flags.writeable), (numpy.float32, (gguf.EMBD,), False))
        self.assertEqual(shared.tobytes(), bytes(row.data))
        packed = numpy.from_dlpack(row)
        self.assertEqual(packed.tobytes(), bytes(row.data))
        if not packed.flags.owndata and tuple(map(int, numpy.__version__.split(".")[:2])) >= (2, 1):
            self.assertEqual(packed.ctypes.data, shared.ctypes.data)      # no copy
        del packed
        self.assertEqual(len(decai.tensor._lent), 0)

    def test_torch_takes_them(self):
        try:
            import torch
        except ImportError:
            self.skipTest("torch is not installed")
        rows = decai.tensor.every(decai.Model.open(self.context, self.data))
        for row in rows.values():
            if row.type == decai.TENSOR_F32:
                t = torch.from_dlpack(row)
                self.assertEqual((tuple(t.shape), t.numpy().tobytes()), (row.shape, bytes(row.data)))
                del t
        self.assertEqual(len(decai.tensor._lent), 0)

    def test_a_hostile_file_is_refused_by_name(self):
        with self.assertRaises(decai.Error) as e:
            decai.Model.open(self.context, self.data[:100])
        self.assertIn(e.exception.name, ("DECAI_E_CORRUPT", "DECAI_E_LIMIT"))
        self.assertTrue(e.exception.detail)

    def test_a_model_outlives_its_context(self):
        model = decai.Model.open(self.context, self.data)
        self.context.close()
        self.assertEqual(len(model.root_get()), 32)


class Tokenizers(unittest.TestCase):
    def setUp(self):
        self.context = decai.Context()
        self.tokenizer = decai.Tokenizer(decai.Model.open(self.context, gguf.llama()))

    def test_round_trip(self):
        for text in ("hello the world", "", "\u0107evap\u010di\u0107i \U0001f680", "a\0b"):
            ids = self.tokenizer.encode(text, 0)
            self.assertEqual(self.tokenizer.decode(ids, 0), text.encode())
        self.assertEqual(self.tokenizer.encode("hello", 0), [256 + gguf.MERGES.index("hel lo")])
        self.assertEqual(self.tokenizer.encode("a", decai.ENCODE_ADD), [gguf.VOCAB - 2, ord("a") - 33 + 0x21])

    def test_the_vocabulary(self):
        t = self.tokenizer
        self.assertEqual(t.count(), gguf.VOCAB)
        self.assertEqual(t.token_get(256).out, b"th")
        self.assertEqual(t.token_get(256).kind, decai.TOKEN_NORMAL)
        self.assertEqual(t.id_get("th"), 256)
        self.assertEqual(t.special_get("eos"), gguf.VOCAB - 1)
        self.assertEqual(len(t.hash_get()), 32)

    def test_a_stream_splits_no_character(self):
        stream = decai.TokenStream(self.tokenizer, 0)
        pieces = [stream.add(t) for t in self.tokenizer.encode("\U0001f680 go", 0)] + [stream.add(decai.TOKEN_END)]
        self.assertEqual(b"".join(pieces).decode(), "\U0001f680 go")
        for piece in pieces:
            piece.decode()


if __name__ == "__main__":
    unittest.main()
