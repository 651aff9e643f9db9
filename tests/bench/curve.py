"""Cryptography alone, beside the operations of the curve libraries that no decryption or session can do without."""

from __future__ import annotations

import secrets
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from py_arkworks_bls12381 import GT, G2Point

from lit_airflow.clock import Deadline
from lit_airflow.keys.wallet import Wallet
from lit_airflow.networks.contract import SessionOptions
from lit_airflow.protocol import siwe
from lit_airflow.protocol.scope import Scope
from lit_airflow.threshold import ciphertext, curve, shares
from tests.bench.comparison import KEY
from tests.bench.measure import medians_ms
from tests.surveying import surveyed

IDENTITY = b"lit-accesscontrolcondition://bench"
SCOPE = Scope.parse(
    [f"access-control-condition-decryption=lit-accesscontrolcondition://{'a' * 64}/{'b' * 64}"]
)


def dealt(threshold: int) -> tuple[bytes, list[bytes]]:
    """A network's key and a threshold of shares of its signature of ``IDENTITY``."""
    polynomial = [curve.scalar(secrets.token_bytes(48)) for _ in range(threshold)]
    signed = curve.hash_to_g2(IDENTITY)

    def share(identifier: int) -> bytes:
        at, value = curve.scalar(bytes([identifier])), curve.scalar(b"")
        for coefficient in reversed(polynomial):
            value = value * at + coefficient
        return bytes([identifier]) + (signed * value).to_compressed_bytes()

    key = curve.times_generator(polynomial[0]).to_compressed_bytes()
    return key, [share(i + 1) for i in range(threshold)]


def decryption(threshold: int, repetitions: int) -> dict[str, Any]:
    """From a threshold of encoded shares to 1 kB of plaintext, and the operations inside that must be."""
    key, encoded = dealt(threshold)
    plaintext = secrets.token_bytes(1000)
    sealed = ciphertext.seal(key, plaintext, IDENTITY)
    held = [shares.Share.decode(share) for share in encoded]
    points, factors = [share.point for share in held], curve.lagrange([s.identifier for s in held])
    whole = curve.combine(points, factors)
    u, public = curve.public_key(sealed[:48]), curve.public_key(key)

    def ours() -> None:
        opened = []

        def opens(candidate: G2Point) -> bool:
            opened.append(ciphertext.unseal(candidate, sealed))
            return True

        held = [shares.Share.decode(share) for share in encoded]
        shares.recover(held, threshold, key, IDENTITY, opens=opens)
        if opened != [plaintext]:
            raise SystemExit("the decryption that was timed is wrong")

    took = medians_ms(
        repetitions,
        ours=ours,
        decode=lambda: [G2Point.from_compressed_bytes(share[1:]) for share in encoded],
        combine=lambda: G2Point.multiexp_unchecked(points, factors),
        pairing=lambda: GT.pairing(u, whole),
        spared=lambda: curve.signs(public, IDENTITY, whole),
    )
    least = took["decode"] + took["combine"] + took["pairing"]
    return {
        "threshold": threshold,
        **took,
        "least": least,
        "ratio": took["ours"] / least,
    }


def session(nodes: int, repetitions: int) -> dict[str, Any]:
    """Session sigs without a network, beside one wallet signature and one ed25519 signature per node."""
    urls = tuple(f"https://10.0.0.{i}:443" for i in range(nodes))
    network = surveyed(urls, max(2, nodes * 2 // 3), nonce="0x" + "ab" * 32)
    wallet = Wallet.from_key(KEY)
    options, deadline = SessionOptions(ttl_s=600), Deadline.after(3600)
    opened = network.open_session(wallet, SCOPE, options, deadline)
    delegation = opened.capabilities[-1]["signedMessage"]
    texts = [sig["signedMessage"].encode() for sig in opened.session_sigs.values()]
    key = Ed25519PrivateKey.generate()

    took = medians_ms(
        repetitions,
        ours=lambda: network.open_session(wallet, SCOPE, options, deadline),
        wallet=lambda: wallet.sign(delegation),
        node_signatures=lambda: [key.sign(text) for text in texts],
        reading=lambda: siwe.read(delegation),
    )
    least = took["wallet"] + took["node_signatures"]
    return {"nodes": nodes, **took, "least": least, "ratio": took["ours"] / least}
