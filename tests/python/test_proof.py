"""proof through Python: a receipt, its opening, its verification, a dispute over a tampered model."""
import json
import time
import unittest

import decai
import gguf

ROOMS = {"proof", "infer", "model", "tok", "wallet", "key"}


def bend(name, data):
    """One quant of one matrix changed."""
    if name != "blk.1.ffn_up.weight":
        return data
    data = bytearray(data)
    data[2 + 5] ^= 0x40
    return bytes(data)


class Proofs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.context = decai.Context({"base.threads": 1})
        cls.key = decai.Key.load(cls.context, b"\x46" * 32)
        cls.wallet = decai.Wallet(cls.key, {"wallet.chain_id": 1, "wallet.receipts": 1})
        cls.honest = decai.Model.open(cls.context, gguf.llama())
        cls.cheat = decai.Model.open(cls.context, gguf.llama(tamper=bend))

    def run_model(self, model, tokens=6):
        engine = decai.Engine(model)
        session = decai.Session(engine, {"infer.activation_nodes": 1, "infer.max_tokens": tokens})
        session.add([1, 2, 3, 256, 65, 66])
        produced = list(session)
        expiry = int(time.time() * 1000) + 3600000
        receipt = decai.Receipt(session, decai.Tokenizer(model), {
            "proof.profile": decai.PROFILE_MARKET, "proof.job_id": b"\1" * 32, "proof.nonce": b"\2" * 32,
            "proof.chain_id": 1, "proof.expiry_ms": expiry})
        return engine, receipt, produced

    def sign(self, receipt):
        intent = decai.Intent.parse(self.wallet, decai.INTENT_RECEIPT, receipt.get())
        signature = self.wallet.sign(intent, decai.Permit(self.wallet, intent))
        receipt.add(decai.SIGNATURE_EIP712, self.key.address_get(), signature)

    def test_a_receipt_from_run_to_verdict(self):
        engine, receipt, produced = self.run_model(self.honest)
        self.sign(receipt)
        loaded = decai.Receipt.load(self.context, receipt.encode())
        self.assertEqual(loaded.id_get(), receipt.id_get())
        self.assertEqual(loaded.id_get(), decai.hash_keccak256(b"decai.receipt.v1\0" + loaded.get()))
        self.assertTrue(json.loads(loaded.format()))
        opening = receipt.opening_get()
        self.assertEqual(loaded.opening_decode(opening, 1), produced)
        found = loaded.verify(opening, engine)
        covered = found.get()
        self.assertEqual(covered.committed, 0, json.loads(found.format()))
        bare = loaded.verify(None, None).get()
        self.assertNotEqual(bare.committed, 0)

    def test_a_sampler_in_a_receipt(self):
        engine = decai.Engine(self.honest)
        session = decai.Session(engine, {"infer.activation_tree": 1, "infer.max_tokens": 8, "infer.temperature": 1.2, "infer.min_p": 0.02,
                                         "infer.dry_multiplier": 0.8, "infer.dry_breakers": "13,10", "infer.logit_bias": "65:-inf,66:1.5"})
        session.add([1, 2, 3, 65, 66])
        produced = list(session)
        receipt = decai.Receipt(session, decai.Tokenizer(self.honest))
        shown = json.loads(receipt.format())["sampler"]
        self.assertEqual((shown["min_p_65536"], shown["dry_multiplier"], shown["dry_last_n"]), (1311, 0.8, -1))
        opening = receipt.opening_get()
        loaded = decai.Receipt.load(self.context, receipt.encode())
        self.assertEqual(loaded.opening_decode(opening, 1), produced)
        found = json.loads(loaded.verify(opening, engine).format())
        self.assertEqual((found["ok"], found["complete"]), (True, True))
        # The lists are bound: another bias opens nothing.
        at = opening.rindex(bytes([66])) + 1
        with self.assertRaises(decai.IntegrityError) as caught:
            loaded.opening_decode(opening[:at + 2] + bytes([opening[at + 2] ^ 1]) + opening[at + 3:], 1)
        self.assertIn("logit_bias", str(caught.exception))

    def test_verification_as_a_task(self):
        engine, receipt, _ = self.run_model(self.honest)
        self.sign(receipt)
        started = receipt.verification_start(receipt.opening_get(), engine)
        started.task.result()
        self.assertNotEqual(started.verification.get().replayed, 0)

    def test_a_cheat_is_caught_and_located(self):
        engine_a, a, _ = self.run_model(self.honest)
        engine_b, b, _ = self.run_model(self.cheat)
        # It names the model it was asked to run, not the one it ran.
        lie = decai.Receipt.load(self.context, b.encode().replace(self.cheat.root_get(), self.honest.root_get()))
        opening = b.opening_get().replace(b.id_get(), lie.id_get())
        b = lie
        self.sign(a)
        self.sign(b)
        with self.assertRaises(decai.IntegrityError):
            b.verify(opening, engine_a).get()
        started = decai.dispute_start(a, a.opening_get(), engine_a, b, opening, engine_b, self.honest.root_get())
        started.task.result()
        place = started.dispute.get()
        self.assertEqual((place.loser, place.layer), (2, 1), json.loads(started.dispute.format()))


if __name__ == "__main__":
    unittest.main()
