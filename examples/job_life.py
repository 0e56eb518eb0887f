#!/usr/bin/env python3
"""One job's whole life in Python: asked for, matched, run, proven, signed, settled, rewarded.

  PYTHONPATH=bindings/python DECAI_LIBRARY=build/release/libdecai.so python3 examples/job_life.py
"""
import json
import os
import tempfile
import time
import decai

model_file = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "model/decai-actions.q8_0.gguf"), "rb").read()
prompt, nonce, now, chain = b"please send 25 usdc to Maria", os.urandom(32), int(time.time() * 1000), 31337

context = decai.Context({"base.threads": 1})
model = decai.Model.open(context, model_file)               # every size in the file is checked first
tokenizer, root = decai.Tokenizer(model), model.root_get()
ids = tokenizer.encode(prompt, decai.ENCODE_ADD) + [tokenizer.id_get(b"<|sep|>")]

# Asked for: an order with a maximum price; its money goes into escrow.
folder = tempfile.TemporaryDirectory()
market = decai.Market.open(decai.Store.open(context, os.path.join(folder.name, "market.sqlite")))
market.deposit_submit("ada", "USDC", "10000000", "d0")
for name in ("aurora", "boreal", "cirrus"):
    market.deposit_submit(name, "USDC", "3000000", "d-" + name)
    market.stake_add(name, "USDC", "2000000", "s-" + name)
prompt_hash = decai.hash_keccak256(nonce + prompt).hex()
order = market.order_submit(json.dumps({
    "requester": "ada", "verifier": "vera", "asset": "USDC", "job_spec": prompt_hash, "prompt": prompt_hash,
    "model_root": root.hex(), "max_price": "1000000", "verifier_fee": "100000", "stake": "1000000", "redundancy": 2,
    "deadline_ms": now + 600000, "nonce": nonce.hex(), "slash": {"requester": 2, "verifier": 1, "burn": 0},
    "split": {"provider": 9, "royalties": [{"account": "olga", "parts": 1}]}}), "ada", b"", "order")

# Matched: the two cheapest of three win.
for name, price in (("aurora", "700000"), ("boreal", "850000"), ("cirrus", "640000")):
    market.bid_submit(json.dumps({"order": order.hex(), "provider": name, "price": price}), "b-" + name)
market.auction_settle(order)


def work(name, data):
    """Run the job, make a receipt, sign it, deliver it; the model that ran is claimed to be the right one."""
    ran, fence = decai.Model.open(context, data), market.lease_take(order, name, "lease-" + name).fence
    engine = decai.Engine(ran, {"compute.backend": "opencl"})   # falls back to the processor
    session = decai.Session(engine, {"infer.activation_tree": 1, "infer.max_tokens": 96})
    session.add(ids)
    print("%s runs it: %s" % (name, tokenizer.decode(list(session), 0).decode()))
    made = decai.Receipt(session, tokenizer, {"proof.profile": decai.PROFILE_MARKET, "proof.job_id": order,
                         "proof.nonce": nonce, "proof.chain_id": chain, "proof.expiry_ms": now + 3600000})
    receipt = decai.Receipt.load(context, made.encode().replace(ran.root_get(), root))
    opening = made.opening_get().replace(made.id_get(), receipt.id_get())
    key = decai.Key(context)
    wallet = decai.Wallet(key, {"wallet.chain_id": chain, "wallet.receipts": 1})  # signs receipts, nothing else
    intent = decai.intent_parse(wallet, decai.INTENT_RECEIPT, receipt.get())
    receipt.add(decai.SIGNATURE_EIP712, key.address_get(), wallet.sign(intent, decai.Permit(wallet, intent)))
    market.result_submit(order, fence, receipt.id_get(), receipt.encode(), "r-" + name)
    return fence, receipt, opening, engine, key


changed = bytearray(model_file)
changed[len(changed) // 2] ^= 0x10                          # one weight of the cheat's copy
runs = {"cirrus": work("cirrus", model_file), "aurora": work("aurora", bytes(changed))}

# Proven: replay says who, the dispute says where, the verdict goes to the market.
checker = decai.Engine(model, {"compute.backend": "native"})
for name, (fence, receipt, opening, engine, key) in runs.items():
    found = json.loads(decai.Receipt.verify(receipt, opening, checker).format())
    print("%s: %s" % (name, "right" if found["ok"] else "wrong: " + found["reason"]))
    market.verdict_submit(order, fence, "vera", decai.VERDICT_ACCEPTED if found["ok"] else decai.VERDICT_REJECTED, b"", "v-" + name)
task, dispute = decai.dispute_start(*(x for r in runs.values() for x in r[1:4]), root)
task.result()
print("the cheat was in %(tensor)s: token %(token)d, layer %(layer)d, op %(op)d, row %(row)d, leaf %(leaf)d"
      % json.loads(dispute.format()))

# Settled and rewarded; then the ledger is recomputed from its first line.
market.job_settle(order)
print({name: market.ledger_get(name, "USDC") for name in ("ada", "cirrus", "aurora", "olga", "vera")})
payout = decai.payout_create(context, "1000", json.dumps([{"account": "cirrus", "address": runs["cirrus"][4].address_get().hex(), "units": "16"}]))
print("payout root %s; the audit says %s" % (payout.get().root.hex(), json.loads(market.ledger_audit())))
