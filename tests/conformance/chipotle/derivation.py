"""HPKE's derivations that no library shows: a gate's key pair, and the values on the way to a sealing."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.gate_container import GateContainer
from lit_airflow.networks.chipotle.sealing import public_key_of
from lit_airflow.protocol.conditions import UNIFIED
from lit_airflow.protocol.container import Container

_KEM = b"KEM\x00\x20"
_SUITE = b"HPKE\x00\x20\x00\x01\x00\x02"
_BASE_MODE = b"\x00"


def gate_secret_key(action_secret: str) -> Secret:
    """``DeriveKeyPair`` of RFC 9180, section 7.1.3."""
    pseudorandom = _extract(_KEM, b"", b"dkp_prk", bytes.fromhex(action_secret))
    return Secret(_expand(_KEM, pseudorandom, b"sk", b"", 32))


def sealing_steps(secret_key: bytes, enc: bytes, info: bytes) -> dict[str, str]:
    """Return the values on the way to a sealing's key, in hex: RFC 9180, sections 4.1 and 5.1, base mode.

    Args:
        secret_key: The recipient's.
        enc: The encapsulated key.
        info: What the sealing is bound to.
    """
    recipient = X25519PrivateKey.from_private_bytes(secret_key)
    dh = recipient.exchange(X25519PublicKey.from_public_bytes(enc))
    public_key = recipient.public_key().public_bytes_raw()
    shared = _expand(_KEM, _extract(_KEM, b"", b"eae_prk", dh), b"shared_secret", enc + public_key, 32)
    hashes = _extract(_SUITE, b"", b"psk_id_hash", b""), _extract(_SUITE, b"", b"info_hash", info)
    context = _BASE_MODE + b"".join(hashes)
    secret = _extract(_SUITE, shared, b"secret", b"")
    steps = {
        "enc": enc,
        "dh": dh,
        "shared_secret": shared,
        "key_schedule_context": context,
        "secret": secret,
        "key": _expand(_SUITE, secret, b"key", context, 32),
        "base_nonce": _expand(_SUITE, secret, b"base_nonce", context, 12),
    }
    return {name: value.hex() for name, value in steps.items()}


def _extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + secret, hashlib.sha256)


def _expand(suite: bytes, pseudorandom: bytes, label: bytes, info: bytes, size: int) -> bytes:
    labelled = size.to_bytes(2) + b"HPKE-v1" + suite + label + info
    return HKDFExpand(SHA256(), size, labelled).derive(pseudorandom)


def container_of(item: Mapping[str, Any], action_secret: str) -> GateContainer:
    """The container that a request was made for."""
    gate = public_key_of(gate_secret_key(action_secret))
    return GateContainer.read(Container.parse({**_with_kinds(item), "gate": gate}))


def _with_kinds(item: Mapping[str, Any]) -> dict[str, Any]:
    """The conditions as somebody wrote them: the canonical form of a unified list no longer names the kinds."""
    unified = [
        each if "operator" in each else {**each, "conditionType": _kind(each)}
        for each in item.get(UNIFIED) or ()
    ]
    return {**item, UNIFIED: unified} if unified else dict(item)


def _kind(condition: Mapping[str, Any]) -> str:
    return "evmContract" if "functionAbi" in condition else "evmBasic"
