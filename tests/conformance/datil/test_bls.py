from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from itertools import permutations
from random import Random
from typing import Any, Final

import pytest

from lit_airflow.errors import BadShareError, CiphertextError, NotEnoughSharesError
from lit_airflow.threshold import ciphertext, curve, shares
from lit_airflow.threshold.shares import Share

ORDERS: Final = 24


class Case:
    """One case, decoded."""

    def __init__(self, case: dict[str, Any], whole_file: dict[str, Any]) -> None:
        self.wanted = case
        self.key = bytes.fromhex(whole_file["public_key"])
        self.threshold = whole_file["threshold"]
        self.identity = bytes.fromhex(case["identity_hex"])
        self.plaintext = bytes.fromhex(case["message_hex"])
        self.shares = [Share.decode(bytes.fromhex(share["hex"])) for share in case["shares"]]
        self.signature = shares.combine(self.shares, self.threshold)
        self.ciphertext = base64.b64decode(case["ciphertext_base64"])


def test_case(case: dict[str, Any], whole_file: dict[str, Any]) -> None:
    bls = Case(case, whole_file)
    check_combined(bls)
    check_dealt(bls, whole_file)
    check_opened(bls)
    check_sealed(bls)
    assert case["expected_errors"].keys() <= REFUSED.keys()
    for name in case["expected_errors"]:
        REFUSED[name](bls)


def check_combined(bls: Case) -> None:
    assert bls.signature.to_compressed_bytes().hex() == bls.wanted["signature_hex"]
    assert bls.identity.decode() == bls.wanted["identity_text"]
    assert [share.identifier for share in bls.shares] == [s["identifier"] for s in bls.wanted["shares"]]
    assert shares.verify(bls.key, bls.identity, bytes.fromhex(bls.wanted["signature_hex"]))
    same = [shares.combine(order, bls.threshold) == bls.signature for order in orders(bls.shares)]
    assert all(same) is bls.wanted["combine_order_independent"]
    recovered = shares.recover(bls.shares, bls.threshold, bls.key, bls.identity)
    assert recovered is not None
    assert (recovered.signature == bls.signature, recovered.bad) == (True, ())


def orders(dealt: list[Share]) -> Iterator[Sequence[Share]]:
    """All orders of up to four shares. More have too many: each share comes first once, then random ones."""
    if len(dealt) <= 4:
        yield from permutations(dealt)
        return
    yield from (dealt[first:] + dealt[:first] for first in range(len(dealt)))
    draw = Random(0)
    yield from (draw.sample(dealt, len(dealt)) for _ in range(ORDERS - len(dealt)))


def check_dealt(bls: Case, whole_file: dict[str, Any]) -> None:
    secret = curve.scalar(bytes.fromhex(whole_file["secret_key_hex"]))
    assert curve.times_generator(secret).to_compressed_bytes() == bls.key
    dealt = {s["identifier"]: bytes.fromhex(s["scalar_hex"]) for s in whole_file["secret_shares"]}
    assert len(dealt) == whole_file["node_count"]
    for share in bls.shares:
        assert share.point == curve.hash_to_g2(bls.identity) * curve.scalar(dealt[share.identifier])


def check_opened(bls: Case) -> None:
    assert ciphertext.unseal(bls.signature, bls.ciphertext) == bls.plaintext
    assert hashlib.sha256(bls.plaintext).hexdigest() == bls.wanted["message_sha256"]


def check_sealed(bls: Case) -> None:
    inner = bls.wanted["internals"]
    sealed = ciphertext.seal(bls.key, bls.plaintext, bls.identity, alpha=bytes.fromhex(inner["alpha_hex"]))
    assert base64.b64encode(sealed).decode() == bls.wanted["ciphertext_base64"]
    assert (sealed[:48].hex(), sealed[48:80].hex()) == (inner["u_hex"], inner["v_hex"])
    assert (len(sealed), sealed[-1]) == (inner["ciphertext_length"], inner["scheme_byte"])
    r = curve.scalar(bytes.fromhex(inner["r_scalar_hex"]))
    assert curve.times_generator(r).to_compressed_bytes().hex() == inner["u_hex"]


def wrong_identity(bls: Case) -> None:
    other = bls.identity + b"!"
    assert not shares.verify(bls.key, other, bls.signature.to_compressed_bytes())
    assert shares.recover(bls.shares, bls.threshold, bls.key, other) is None
    with pytest.raises(CiphertextError):
        ciphertext.unseal(bls.signature, ciphertext.seal(bls.key, bls.plaintext, other))


def below_threshold(bls: Case) -> None:
    with pytest.raises(NotEnoughSharesError) as caught:
        shares.combine(bls.shares[: bls.threshold - 1], bls.threshold)
    assert (caught.value.needed, caught.value.good) == (bls.threshold, bls.threshold - 1)


def duplicate_share(bls: Case) -> None:
    with pytest.raises(BadShareError):
        shares.combine([bls.shares[0], *bls.shares], bls.threshold)


def tampered_v(bls: Case) -> None:
    altered = bytearray(bls.ciphertext)
    altered[50] ^= 1
    with pytest.raises(CiphertextError):
        ciphertext.unseal(bls.signature, bytes(altered))


REFUSED = {
    "wrong_identity": wrong_identity,
    "below_threshold": below_threshold,
    "duplicate_share": duplicate_share,
    "tampered_v": tampered_v,
}
