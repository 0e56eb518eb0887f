"""key, wallet and asset through Python: decode, permit, sign; nothing else signs."""
import json
import time
import unittest

import decai
import gguf

ROOMS = {"key", "wallet", "asset", "model", "hash"}
# A widely published key and its address (EIP-155's example).
SECRET = bytes.fromhex("46" * 32)
ADDRESS = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"
MAIL = {
    "types": {"EIP712Domain": [{"name": "name", "type": "string"}, {"name": "chainId", "type": "uint256"}],
              "Note": [{"name": "text", "type": "string"}, {"name": "amount", "type": "uint256"}]},
    "primaryType": "Note", "domain": {"name": "test", "chainId": 1}, "message": {"text": "hello", "amount": "12"},
}


class Keys(unittest.TestCase):
    def test_address_and_public_key(self):
        with decai.Context() as context:
            key = decai.Key.load(context, SECRET)
            self.assertEqual(decai.address_format(key.address_get()), ADDRESS)
            self.assertEqual(decai.address_parse(ADDRESS), key.address_get())
            public = key.public_get()
            self.assertEqual(decai.hash_keccak256(public[1:])[12:], key.address_get())
            self.assertEqual(key.get().test, 0)
            self.assertNotEqual(decai.Key(context).address_get(), decai.Key(context).address_get())
            with self.assertRaises(decai.IntegrityError):
                decai.address_parse(ADDRESS.replace("9d8A", "9D8A"))

    def test_hashes_of_messages(self):
        expected = decai.hash_keccak256(b"\x19Ethereum Signed Message:\n5hello")
        self.assertEqual(decai.message_hash("hello"), expected)

    def test_typed_data(self):
        h = decai.hash_keccak256
        with decai.Context() as context:
            got = context.typed_hash(json.dumps(MAIL))
        domain = h(h("EIP712Domain(string name,uint256 chainId)") + h("test") + (1).to_bytes(32, "big"))
        message = h(h("Note(string text,uint256 amount)") + h("hello") + (12).to_bytes(32, "big"))
        self.assertEqual((got.domain, got.message, got.digest), (domain, message, h(b"\x19\x01" + domain + message)))


class Wallets(unittest.TestCase):
    def setUp(self):
        self.context = decai.Context()
        self.key = decai.Key.load(self.context, SECRET)
        self.wallet = decai.Wallet(self.key, {
            "wallet.chain_id": 1, "wallet.asset": "USDX", "wallet.price_max": "1000", "wallet.total_max": "5000",
            "wallet.manifests": 1, "wallet.receipts": 1})

    def order(self, price="100"):
        return self.context.order_encode(b"\1" * 32, b"\2" * 32, price, "USDX", 2, int(time.time() * 1000) + 60000,
                                         b"\3" * 32, 1)

    def test_an_order_is_signed_after_a_permit(self):
        text = self.order()
        intent = decai.Intent.parse(self.wallet, decai.INTENT_ORDER, text)
        self.assertIn("text", json.loads(intent.format()))
        permit = decai.Permit(self.wallet, intent)
        signature = self.wallet.sign(intent, permit)
        self.assertEqual(self.context.intent_recover(decai.INTENT_ORDER, text, signature, 1), self.key.address_get())
        self.context.intent_verify(decai.INTENT_ORDER, text, signature, self.key.address_get(), 1)
        digest = intent.digest_get()
        self.context.signature_verify(signature, digest, self.key.address_get())
        recovered = self.context.signature_recover(signature, digest)
        self.assertEqual((recovered.address, recovered.public_key), (self.key.address_get(), self.key.public_get()))
        with self.assertRaises(decai.StateError):
            self.wallet.sign(intent, permit)
        with self.assertRaises(decai.IntegrityError):
            self.context.signature_verify(signature, b"\0" * 32, self.key.address_get())

    def test_policy_denies_and_state_survives(self):
        intent = decai.Intent.parse(self.wallet, decai.INTENT_ORDER, self.order("501"))
        with self.assertRaises(decai.DeniedError) as e:
            decai.Permit(self.wallet, intent)
        self.assertTrue(e.exception.detail)
        self.assertIn("price_max", self.wallet.policy_format())
        state = self.wallet.state_encode()
        other = decai.Wallet(self.key, {"wallet.policy": self.wallet.policy_format()})
        other.state_decode(state)
        self.assertEqual(other.policy_format(), self.wallet.policy_format())

    def test_a_manifest(self):
        model = decai.Model.open(self.context, gguf.llama())
        terms = {"asset.name": "synthetic", "asset.owner": ADDRESS, "asset.licence": "MIT", "asset.chain_id": 1,
                 "asset.royalties": ADDRESS + "=250"}
        manifest = decai.Manifest(model, terms)
        same = decai.Manifest.decode(self.context, manifest.encode())
        self.assertEqual(same.id_get(), manifest.id_get())
        self.assertEqual(manifest.id_get(), decai.hash_keccak256(b"decai.manifest.v1\0" + manifest.encode()))
        facts = same.get()
        self.assertEqual((facts.model_root, facts.owner, facts.chain_id), (model.root_get(), self.key.address_get(), 1))
        self.assertEqual(tuple(same.royalty_at(0)), (self.key.address_get(), 250))
        self.assertIsNone(same.royalty_at(1))
        self.assertEqual(json.loads(same.format())["name"], "synthetic")
        same.verify(model)
        with self.assertRaises(decai.IntegrityError):
            same.verify(decai.Model.open(self.context, gguf.llama(2)))
        parsed = decai.Manifest.parse(model, json.dumps({
            "name": "synthetic", "owner": ADDRESS, "licence": "MIT", "chain_id": 1,
            "royalties": [{"to": ADDRESS, "parts": 250}]}))
        self.assertEqual(parsed.encode(), manifest.encode())
        intent = decai.Intent.parse(self.wallet, decai.INTENT_MANIFEST, manifest.encode())
        signature = self.wallet.sign(intent, decai.Permit(self.wallet, intent))
        self.context.intent_verify(decai.INTENT_MANIFEST, manifest.encode(), signature, self.key.address_get(), 1)


if __name__ == "__main__":
    unittest.main()
