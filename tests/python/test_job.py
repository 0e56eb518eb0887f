"""store, job and reward through Python: a whole deal, and an epoch's payout."""
import json
import os
import tempfile
import unittest

import decai

ROOMS = {"store", "job", "reward", "hash"}


class Deal(unittest.TestCase):
    def setUp(self):
        self.now = 1800000000000
        self.context = decai.Context({"seam.clock.wall_ms": lambda: self.now, "seam.clock.mono_ns": lambda: self.now * 10**6})
        self.folder = tempfile.TemporaryDirectory()
        self.store = decai.Store.open(self.context, os.path.join(self.folder.name, "m.db"))
        self.market = decai.Market.open(self.store)
        self.keys = 0

    def tearDown(self):
        self.market.close()
        self.store.close()
        self.folder.cleanup()

    def key(self):
        self.keys += 1
        return "k%d" % self.keys

    def balance(self, account):
        return int(self.market.ledger_get(account, "USDX"))

    def order(self, nonce):
        m = self.market
        text = json.dumps({
            "requester": "alice", "verifier": "victor", "asset": "USDX", "job_spec": "%064x" % nonce, "model_root": "%064x" % 5,
            "prompt": "%064x" % 6, "nonce": "%064x" % nonce, "max_price": "100", "verifier_fee": "7", "stake": "50",
            "bid_deposit": "3", "redundancy": 2, "deadline_ms": self.now + 60000,
            "split": {"provider": 80, "royalties": [{"account": "owner", "parts": 20}]},
            "slash": {"requester": 1, "verifier": 0, "burn": 1}})
        order = m.order_submit(text, "alice", b"signature", self.key())
        self.assertEqual(order, self.context.order_hash(text))
        self.assertEqual(json.loads(m.order_get(order))["requester"], "alice")
        return order

    def funded_order(self, nonce):
        m = self.market
        m.deposit_submit("alice", "USDX", "1000", self.key())
        for p in ("p1", "p2"):
            m.deposit_submit(p, "USDX", "200", self.key())
            m.stake_add(p, "USDX", "120", self.key())
        return self.order(nonce)

    def leased(self, nonce):
        m = self.market
        order = self.funded_order(nonce)
        for i, (p, price) in enumerate((("p1", "40"), ("p2", "60"))):
            row = json.dumps({"order": order.hex(), "provider": p, "price": price})
            self.assertEqual(m.bid_submit(row, self.key()), i + 1)
        self.assertEqual(m.auction_settle(order), 2)
        return order, [m.lease_take(order, p, self.key()).fence for p in ("p1", "p2")]

    def test_one_paid_one_slashed(self):
        m = self.market
        order, fences = self.leased(1)
        self.assertEqual(m.job_get(order), decai.JOB_LEASED)
        self.assertGreater(m.heartbeat_submit(order, fences[0]), self.now)
        for fence in fences:
            m.result_submit(order, fence, b"\7" * 32, b"receipt", self.key())
        self.assertEqual(m.result_get(order, fences[0]), b"receipt")
        m.verdict_submit(order, fences[0], "victor", decai.VERDICT_ACCEPTED, b"{}", self.key())
        with self.assertRaises(decai.StateError):
            m.job_settle(order)                       # one verdict is missing: never closed
        m.verdict_submit(order, fences[1], "victor", decai.VERDICT_REJECTED, b"{}", self.key())
        self.assertEqual(m.job_settle(order), decai.JOB_SETTLED)
        self.assertEqual((self.balance("owner"), self.balance("victor")), (8, 7))
        self.assertEqual((self.balance("stake:p2"), self.balance("ext:burn")), (70, 25))
        self.store.audit()
        self.assertTrue(json.loads(m.ledger_audit()))
        rows = json.loads(m.format("timeline", order))
        self.assertTrue(rows)
        self.assertEqual(self.store.schema_get(), decai.STORE_SCHEMA)
        m.stake_remove("p1", "USDX", "20", self.key())
        m.withdrawal_submit("owner", "USDX", "8", self.key())
        with self.assertRaises(decai.FundsError):
            m.withdrawal_submit("owner", "USDX", "1", self.key())
        m.ledger_audit()

    def test_cancel_and_expiry(self):
        m = self.market
        first, second = self.funded_order(1), self.funded_order(2)
        m.job_cancel(first, "alice")
        self.assertEqual(m.job_get(first), decai.JOB_CANCELLED)
        self.now += 60001
        self.assertEqual(m.run(), 1)
        self.assertEqual(m.job_get(second), decai.JOB_EXPIRED)
        self.assertEqual(self.balance("alice"), 2000)
        m.ledger_audit()

    def test_a_key_is_used_once(self):
        m = self.market
        m.deposit_submit("alice", "USDX", "10", "same")
        m.deposit_submit("alice", "USDX", "10", "same")
        self.assertEqual(self.balance("alice"), 10)
        with self.assertRaises(decai.ExistsError):
            m.deposit_submit("alice", "USDX", "11", "same")


class Payouts(unittest.TestCase):
    def check(self, payout, pot, count):
        facts, total, i = payout.get(), 0, 0
        while (claim := payout.claim_at(i)) is not None:
            total += int.from_bytes(claim.amount, "big")
            proof = payout.claim_prove(i)
            decai.payout_verify(facts.root, i, claim.address, claim.amount, proof)
            with self.assertRaises(decai.IntegrityError):
                decai.payout_verify(facts.root, i + 1, claim.address, claim.amount, proof)
            i += 1
        self.assertEqual((total, i, facts.count), (pot, count, count))

    def test_an_epoch(self):
        with decai.Context() as context, tempfile.TemporaryDirectory() as folder:
            store = decai.Store.open(context, os.path.join(folder, "e.db"))
            for n, name in enumerate(("p1", "p2", "p3")):
                store.work_add(4, name, bytes([n + 1]) * 20, str(n + 1), "job-%d" % n)
            payout = store.epoch_settle(4, "USDX", "1000")
            self.check(payout, 1000, 3)
            again = decai.Payout.load(store, 4)
            self.assertEqual(again.get().root, payout.get().root)
            store.close()

    def test_rows_given_as_text(self):
        rows = json.dumps([{"account": "a%d" % i, "address": "%040x" % (i + 1), "units": str(i + 1)} for i in range(7)])
        with decai.Context() as context:
            self.check(decai.Payout(context, "100", rows), 100, 7)


if __name__ == "__main__":
    unittest.main()
