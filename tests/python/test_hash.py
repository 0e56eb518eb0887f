"""hash and codec through Python, against values computed here or published."""
import hashlib
import json
import random
import struct
import unittest

import decai

ROOMS = {"hash", "codec"}
H = decai.hash_keccak256 if hasattr(decai, "hash_keccak256") else None


def tree_root(domain, leaves):
    """The native tree of decai/hash.h, written down a second time."""
    d = bytes([len(domain)]) + domain.encode()
    u64 = lambda n: struct.pack(">Q", n)  # noqa: E731
    nodes = [H(b"\0" + d + u64(i) + u64(len(x)) + x) for i, x in enumerate(leaves)]
    level = 0
    while len(nodes) > 1:
        level += 1
        pairs = [nodes[i:i + 2] for i in range(0, len(nodes), 2)]
        nodes = [H(b"\1" + d + bytes([level]) + p[0] + p[1]) if len(p) == 2 else p[0] for p in pairs]
    return H(b"\2" + d + u64(len(leaves)) + (nodes[0] if nodes else bytes(32)))


class Hashes(unittest.TestCase):
    def test_keccak_of_nothing(self):
        # Ethereum's hash of empty code, Yellow Paper section 4.1.
        self.assertEqual(H(b"").hex(), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
        self.assertEqual(H(None), H(b""))
        self.assertEqual(H("abc"), H(bytearray(b"abc")))

    def test_sha256_is_hashlib_s(self):
        with decai.Context() as context:
            for n in (0, 1, 63, 64, 65, 5000):
                data = bytes(range(256)) * 20
                self.assertEqual(context.hash_sha256(data[:n]), hashlib.sha256(data[:n]).digest())


class Trees(unittest.TestCase):
    def test_roots_and_proofs(self):
        with decai.Context() as context:
            leaves = []
            tree = decai.Tree(context, "org.example.test.v1")
            for i in range(9):
                leaves.append(b"leaf %d" % i)
                tree.add(leaves[-1])
                self.assertEqual(tree.count_get(), i + 1)
                root = tree.root_get(i + 1)
                self.assertEqual(root, tree_root("org.example.test.v1", leaves))
                for k in range(i + 1):
                    proof = tree.prove(k, i + 1)
                    decai.tree_verify("org.example.test.v1", root, k, i + 1, leaves[k], proof)
                    with self.assertRaises(decai.IntegrityError):
                        decai.tree_verify("org.example.test.v1", root, k, i + 1, b"other", proof)

    def test_a_claim(self):
        account, amount = bytes(range(20)), (12345).to_bytes(32, "big")
        leaf = H(H(bytes(12) + account + amount))
        other = H(b"the other claim")
        root = H(min(leaf, other) + max(leaf, other))
        decai.claim_verify(root, account, amount, other)
        with self.assertRaises(decai.IntegrityError):
            decai.claim_verify(root, account, (12346).to_bytes(32, "big"), other)


class Codecs(unittest.TestCase):
    def test_hex(self):
        for n in (0, 1, 700, 5000):
            data = bytes(i * 7 & 255 for i in range(n))
            self.assertEqual(decai.hex_encode(data), data.hex())
            self.assertEqual(decai.hex_decode(data.hex().upper()), data)
        with self.assertRaises(decai.CorruptError):
            decai.hex_decode("abc")

    def test_json(self):
        with decai.Context() as context:
            context.json_verify('{"a":[1,2,{"b":null}]}')
            with self.assertRaises(decai.CorruptError) as e:
                context.json_verify('{"a":1,"a":2}')
            self.assertTrue(e.exception.detail)

    def check_value(self, doc, value, want, path):
        """The handle's value is what Python's own reader made of the same text."""
        kinds = {type(None): decai.JSON_NULL, bool: decai.JSON_BOOL, int: decai.JSON_NUMBER, float: decai.JSON_NUMBER,
                 str: decai.JSON_STRING, list: decai.JSON_ARRAY, dict: decai.JSON_OBJECT}
        shown = doc.type_get(value)
        self.assertEqual((shown.type, doc.path_get(value)), (kinds[type(want)], path))
        self.assertEqual(json.loads(doc.format(value)), want)
        if isinstance(want, str):
            self.assertEqual(doc.text_get(value), want)
        if isinstance(want, (list, dict)):
            self.assertEqual(shown.count, len(want))
        for i, item in enumerate(want if isinstance(want, list) else []):
            self.check_value(doc, doc.at(value, i), item, "%s[%d]" % (path, i))
        for i, (key, item) in enumerate(want.items() if isinstance(want, dict) else []):
            child = doc.get(value, key)
            self.assertEqual((doc.at(value, i), doc.key_get(child)), (child, key))
            self.check_value(doc, child, item, path + "." + key if path else key)

    def test_json_values(self):
        random.seed(7)

        def some(depth):
            kind = random.randrange(7 if depth else 5)
            if kind >= 5:
                items = [some(depth - 1) for _ in range(random.randrange(5))]
                return items if kind == 5 else {"k%d\n\u20ac" % i: v for i, v in enumerate(items)}
            return (None, True, random.randrange(-9, 10 ** 20), random.random(), "".join(random.choices('ab"\\\n\u00e9\U0001f600', k=6)))[kind]

        with decai.Context() as context:
            for i in range(200):
                want = some(6)
                text = json.dumps(want, ensure_ascii=i % 2 == 0, indent=i % 3 or None)
                self.check_value(decai.Json.open(context, text), 0, want, "")
            doc = decai.Json.open(context, "[" + "0," * 20000 + "1]")
            self.assertEqual(doc.text_get(doc.at(0, 20000)), "1")
            self.assertIsNone(doc.at(0, 20001))
            self.assertIsNone(doc.get(0, "a"))
            with self.assertRaises(decai.CorruptError):
                decai.Json.open(context, "{")

    def test_cbor(self):
        item = bytes.fromhex("a20183010203024461626364")          # {1: [1, 2, 3], 2: h'61626364'}
        decai.cbor_verify(item)
        with decai.Context() as context:
            self.assertIn("h'61626364'", context.cbor_format(item))
        with self.assertRaises(decai.CorruptError):
            decai.cbor_verify(item + b"\0")
        with self.assertRaises(decai.CorruptError):
            decai.cbor_verify(bytes.fromhex("1801"))               # 1 in two bytes


if __name__ == "__main__":
    unittest.main()
