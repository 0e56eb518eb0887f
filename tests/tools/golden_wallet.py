"""Golden values for the wallet's statements, computed without the library.

  golden_wallet.py > tests/golden/wallet.json     standard library only
  golden_wallet.py --peer                         compare with eth-account

Keccak-256 (FIPS 202's permutation with the EVM's padding byte), EIP-712 for the
flat structs used here, RFC 6979 with SHA-256 and secp256k1 (SEC 2) are written
out below, so that these values share no code with what they check.
"""
import hashlib
import hmac
import json
import sys

MASK = (1 << 64) - 1
ROUNDS = []


def constants():
    """The 24 round constants, from the LFSR of FIPS 202 3.2.5."""
    reg = 1
    for _ in range(24):
        value = 0
        for j in range(7):
            if reg & 1:
                value |= 1 << ((1 << j) - 1)
            reg = (reg << 1) ^ (0x171 if reg & 0x80 else 0)
        ROUNDS.append(value)


def rotl(v, n):
    n %= 64
    return ((v << n) | (v >> (64 - n))) & MASK


def permute(a):
    for rc in ROUNDS:
        c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
        d = [c[(x - 1) % 5] ^ rotl(c[(x + 1) % 5], 1) for x in range(5)]
        a = [[a[x][y] ^ d[x] for y in range(5)] for x in range(5)]
        b = [[0] * 5 for _ in range(5)]
        x, y, lane = 1, 0, a[1][0]
        b[0][0] = a[0][0]
        for t in range(24):
            nx, ny = y, (2 * x + 3 * y) % 5
            b[nx][ny] = rotl(a[x][y], (t + 1) * (t + 2) // 2)
            x, y = nx, ny
        a = [[b[x][y] ^ (~b[(x + 1) % 5][y] & b[(x + 2) % 5][y] & MASK) for y in range(5)] for x in range(5)]
        a[0][0] ^= rc
    return a


def keccak(data):
    pad = 136 - len(data) % 136
    data += b"\x81" if pad == 1 else b"\x01" + bytes(pad - 2) + b"\x80"
    a = [[0] * 5 for _ in range(5)]
    for at in range(0, len(data), 136):
        for i in range(17):
            a[i % 5][i // 5] ^= int.from_bytes(data[at + 8 * i:at + 8 * i + 8], "little")
        a = permute(a)
    return b"".join(a[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


# ---- secp256k1 and RFC 6979 ---------------------------------------------------

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
     0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)


def add(p, q):
    if p is None or q is None:
        return p or q
    if p[0] == q[0] and (p[1] + q[1]) % P == 0:
        return None
    if p == q:
        k = 3 * p[0] * p[0] * pow(2 * p[1], -1, P)
    else:
        k = (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
    x = (k * k - p[0] - q[0]) % P
    return x, (k * (p[0] - x) - p[1]) % P


def times(k, p):
    r = None
    while k:
        if k & 1:
            r = add(r, p)
        p = add(p, p)
        k >>= 1
    return r


def nonces(key, digest):
    v, k = b"\x01" * 32, b"\x00" * 32
    seed = key.to_bytes(32, "big") + (int.from_bytes(digest, "big") % N).to_bytes(32, "big")
    for tag in (b"\x00", b"\x01"):
        k = hmac.new(k, v + tag + seed, hashlib.sha256).digest()
        v = hmac.new(k, v, hashlib.sha256).digest()
    while True:
        v = hmac.new(k, v, hashlib.sha256).digest()
        yield int.from_bytes(v, "big")
        k = hmac.new(k, v + b"\x00", hashlib.sha256).digest()
        v = hmac.new(k, v, hashlib.sha256).digest()


def sign(key, digest):
    z = int.from_bytes(digest, "big")
    for k in nonces(key, digest):
        if not 0 < k < N:
            continue
        x, y = times(k, G)
        r = x % N
        s = pow(k, -1, N) * (z + r * key) % N
        if r and s and x < N:
            odd = y & 1
            if s > N // 2:
                s, odd = N - s, odd ^ 1
            return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + odd])


def address(key):
    x, y = times(key, G)
    return keccak(x.to_bytes(32, "big") + y.to_bytes(32, "big"))[12:]


# ---- statements ---------------------------------------------------------------

def word(v):
    return v.to_bytes(32, "big")


def domain(chain):
    return keccak(keccak(b"EIP712Domain(string name,string version,uint256 chainId)") + keccak(b"libdecai")
                  + keccak(b"1") + word(chain))


def digest(chain, kind, *words):
    return keccak(b"\x19\x01" + domain(chain) + keccak(keccak(kind) + b"".join(words)))


ORDER = [("modelRoot", "bytes32"), ("promptHash", "bytes32"), ("maxPrice", "uint256"), ("asset", "string"),
         ("redundancy", "uint64"), ("deadline", "uint64"), ("salt", "bytes32")]


def order(key, chain, root, prompt, price, asset, redundancy, deadline, salt):
    kind = ("Order(" + ",".join(t + " " + n for n, t in ORDER) + ")").encode()
    d = digest(chain, kind, root, prompt, word(price), keccak(asset.encode()), word(redundancy), word(deadline), salt)
    fields = {"EIP712Domain": [("name", "string"), ("version", "string"), ("chainId", "uint256")], "Order": ORDER}
    document = {
        "types": {k: [{"name": n, "type": t} for n, t in v] for k, v in fields.items()},
        "primaryType": "Order",
        "domain": {"name": "libdecai", "version": "1", "chainId": chain},
        "message": {"modelRoot": "0x" + root.hex(), "promptHash": "0x" + prompt.hex(), "maxPrice": str(price),
                    "asset": asset, "redundancy": redundancy, "deadline": deadline, "salt": "0x" + salt.hex()}}
    return {"key": word(key).hex(), "chain_id": chain, "model_root": root.hex(), "prompt_hash": prompt.hex(),
            "max_price": str(price), "asset": asset, "redundancy": redundancy, "deadline_ms": deadline,
            "salt": salt.hex(), "document": json.dumps(document, separators=(",", ":")), "digest": d.hex(),
            "signature": sign(key, d).hex(), "signer": address(key).hex()}


def head(major, v):
    for extra, size in ((24, 0), (1 << 8, 1), (1 << 16, 2), (1 << 32, 4), (1 << 64, 8)):
        if v < extra:
            return bytes([major << 5 | v]) if not size else \
                bytes([major << 5 | 23 + size.bit_length()]) + v.to_bytes(size, "big")


def cbor(v):
    if isinstance(v, int):
        return head(0, v)
    if isinstance(v, bytes):
        return head(2, len(v)) + v
    if isinstance(v, str):
        return head(3, len(v.encode())) + v.encode()
    if isinstance(v, list):
        return head(4, len(v)) + b"".join(map(cbor, v))
    return head(5, len(v)) + b"".join(cbor(k) + cbor(v[k]) for k in sorted(v))


def receipt(key, chain, payload):
    data = cbor(payload)
    ident = keccak(b"decai.receipt.v1\0" + data)
    job = payload.get(12, bytes(32))
    d = digest(chain, b"Receipt(bytes32 receiptId,bytes32 modelRoot,bytes32 jobId,uint64 expiry)",
               ident, payload[3], job, word(payload[15]))
    return {"key": word(key).hex(), "chain_id": chain, "bytes": data.hex(), "id": ident.hex(), "digest": d.hex(),
            "model_root": payload[3].hex(), "job_id": job.hex(), "expiry_ms": payload[15],
            "signature": sign(key, d).hex(), "signer": address(key).hex()}


def manifest(key, chain, root, name, royalties, tensors):
    m = {1: 1, 2: chain, 3: root, 5: bytes(range(32)), 6: name, 7: address(key), 8: "MIT",
         10: [[n, keccak(n.encode())] for n in sorted(tensors)]}
    if royalties:
        m[9] = [[to, parts] for to, parts in royalties]
    data = cbor(m)
    ident = keccak(b"decai.manifest.v1\0" + data)
    d = digest(chain, b"Manifest(bytes32 manifestId,bytes32 modelRoot,address owner)", ident, root,
               bytes(12) + address(key))
    return {"key": word(key).hex(), "chain_id": chain, "bytes": data.hex(), "id": ident.hex(), "digest": d.hex(),
            "signature": sign(key, d).hex(), "signer": address(key).hex()}


def cases():
    root, prompt, salt = (keccak(t) for t in (b"model", b"prompt", b"salt"))
    keys = [1, 0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318, N - 1]
    return {
        "orders": [order(keys[0], 31337, root, prompt, 1000, "credit", 2, 1800000000000, salt),
                   order(keys[1], 1, prompt, salt, 2**256 - 1, "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", 1,
                         2**53 - 1, root),
                   order(keys[2], 2**40, salt, root, 0, "a", 1024, 0, bytes(32))],
        "receipts": [receipt(keys[0], 31337, {1: 1, 3: root, 12: prompt, 15: 1800000000000}),
                     receipt(keys[1], 137, {1: 1, 2: 0, 3: salt, 4: [1, b"x", "y"], 14: 137, 15: 1, 16: {1: 2}}),
                     receipt(keys[2], 1, {3: prompt, 15: 2**63 - 1})],
        "manifests": [manifest(keys[0], 31337, root, "tiny", [], ["b", "a", "ab"]),
                      manifest(keys[1], 1, prompt, "Bär 7B", [(address(5), 250), (address(6), 9750)], [])],
    }


def peer(all_cases):
    from eth_account import Account
    from eth_account.messages import encode_typed_data
    for o in all_cases["orders"]:
        made = Account.sign_message(encode_typed_data(full_message=json.loads(o["document"])), bytes.fromhex(o["key"]))
        assert made.message_hash.hex().removeprefix("0x") == o["digest"], o
        assert made.signature.hex().removeprefix("0x") == o["signature"], o
    for kind, type_fields, names in (
            ("receipts", [("receiptId", "bytes32"), ("modelRoot", "bytes32"), ("jobId", "bytes32"), ("expiry", "uint64")],
             ("id", "model_root", "job_id", "expiry_ms")),):
        for c in all_cases[kind]:
            values = {f[0]: c[n] if f[1] == "uint64" else bytes.fromhex(c[n]) for f, n in zip(type_fields, names)}
            made = Account.sign_typed_data(bytes.fromhex(c["key"]),
                                           {"name": "libdecai", "version": "1", "chainId": c["chain_id"]},
                                           {"Receipt": [{"name": n, "type": t} for n, t in type_fields]}, values)
            assert made.signature.hex().removeprefix("0x") == c["signature"], c
    print("eth-account agrees on", sum(len(all_cases[k]) for k in ("orders", "receipts")), "statements")


constants()
assert keccak(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
if __name__ == "__main__":
    if sys.argv[1:] == ["--peer"]:
        peer(cases())
    else:
        json.dump(cases(), sys.stdout, indent=1, ensure_ascii=False)
        print()
