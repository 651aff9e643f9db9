"""A gate in Python, for schedules that are too many for Deno.

A request is checked as a Datil node of the devnet checks it; ``tests/gate/test_shared_refusals.py`` compares that
with the gate itself. It shares no code with the client.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from lit_airflow.devnet.checks import NodeContext, check_decryption_request
from lit_airflow.devnet.errors import NodeError
from tests.conformance.chipotle.derivation import gate_secret_key
from tests.gate.engine import REPLY_INFO, SUITE

# With these, a batch is refused as a whole.
_OF_THE_SESSION = {
    "NodeIatOutsideGracePeriod",
    "NodeExpWrongOrTooLarge",
    "NodeInvalidAuthSigSessionKeySignature",
    "NodeNotAuthorized",
}
_ADDRESS = "0x" + "11" * 20


@cache
def gate_keys(secret: bytes) -> tuple[X25519PrivateKey, str]:
    """The key pair of a gate whose action secret this is."""
    key = X25519PrivateKey.from_private_bytes(gate_secret_key(secret.hex()).reveal())
    return key, key.public_key().public_bytes_raw().hex()


def answer(secret: bytes, params: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """What the gate answers at this time."""
    key, public = gate_keys(secret)
    if params.get("ask") == "key":
        return {"ok": True, "gate": 1, "publicKey": public, "address": _ADDRESS}
    context = NodeContext(f"lit:gate:{public}", now, sessions_only=True)
    outcomes = [
        _outcome({**item, "authSig": params["authSig"]}, context, key)
        for item in params.get("items", [params])
    ]
    whole = next((each for each in outcomes if each.get("code") in _OF_THE_SESSION), None)
    if whole is not None or "items" not in params:
        return whole or outcomes[0]
    return {"ok": True, "items": outcomes}


def _outcome(body: dict[str, Any], context: NodeContext, key: X25519PrivateKey) -> dict[str, Any]:
    try:
        identity = check_decryption_request(body, context).text
    except NodeError as error:
        return {"ok": False, "code": error.code, "message": "refused"}
    plaintext = opened(key, identity, body["ciphertext"])
    if plaintext is None or sha256(plaintext).hexdigest() != body["dataToEncryptHash"]:
        return {"ok": False, "code": "GateCiphertextError", "message": "does not open"}
    reply_key = json.loads(body["authSig"]["signedMessage"])["replyKey"]
    recipient = X25519PublicKey.from_public_bytes(bytes.fromhex(reply_key))
    return {"ok": True, "sealed": base64.b64encode(SUITE.encrypt(plaintext, recipient, REPLY_INFO)).decode()}


def opened(key: X25519PrivateKey, identity: str, ciphertext: str) -> bytes | None:
    """What was sealed to the gate; ``None`` if it does not open."""
    info = f"lit_airflow gate 1\n{identity}\n{{}}".encode()
    try:
        return SUITE.decrypt(base64.b64decode(ciphertext), key, info)
    except InvalidTag:
        return None
