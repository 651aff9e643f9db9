"""What a gate does with its secret and the vectors give only the input of: HPKE's key derivation for X25519."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.gate_container import GateContainer
from lit_airflow.networks.chipotle.sealing import public_key_of
from lit_airflow.protocol.conditions import UNIFIED
from lit_airflow.protocol.container import Container

_LABEL = b"HPKE-v1" + b"KEM" + b"\x00\x20"


def gate_secret_key(action_secret: str) -> Secret:
    """``DeriveKeyPair`` of RFC 9180, section 7.1.3."""
    pseudorandom = hmac.digest(b"", _LABEL + b"dkp_prk" + bytes.fromhex(action_secret), hashlib.sha256)
    info = (32).to_bytes(2) + _LABEL + b"sk"
    return Secret(HKDFExpand(SHA256(), 32, info).derive(pseudorandom))


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
