"""hash and codec through Python, against values computed here or published."""
import hashlib
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
