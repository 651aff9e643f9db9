"""An engine for tests of accounts and keys: it answers as a gate does, without JavaScript and without its checks.

A run in Deno takes a process of its own. What the gate itself does is tested in ``tests/gate``.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.devnet.deno import ActionRun, Host
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle import sealing
from lit_airflow.networks.chipotle.gate_container import GateContainer
from lit_airflow.protocol.container import Container

_KEM = b"HPKE-v1KEM\x00\x20"
_ADDRESS = "0x" + "11" * 20


class QuickEngine:
    """Runs what a gate's text would do."""

    def run(self, code: str, params_json: str, host: Host) -> ActionRun:
        if "Gate" not in code and "gate" not in code:
            return ActionRun("{}", "", None)
        secret = _secret_key(bytes.fromhex(str(host.calls["getLitActionPrivateKey"]({})).removeprefix("0x")))
        params = json.loads(params_json)
        return ActionRun(json.dumps(_answer(secret, params)), "", None)

    def close(self) -> None:
        """Nothing is open."""


def use_quick_engine(net: Chipotle) -> None:
    """Have a network run gates without Deno."""
    net.network._actions._runner = QuickEngine()  # type: ignore[assignment]


def _answer(secret: Secret, params: dict[str, Any]) -> dict[str, Any]:
    if params.get("ask") == "key":
        return {"ok": True, "gate": 1, "publicKey": sealing.public_key_of(secret), "address": _ADDRESS}
    found = GateContainer.read(Container.parse({"gate": "00" * 32, **params}))
    identity = found.conditions.resource_id(found.data_hash)
    info = sealing.container_info(f"lit-accesscontrolcondition://{identity}".encode(), found.rpc)
    opened = sealing.open_sealed(secret, info, found.ciphertext)
    reply_key = json.loads(params["authSig"]["signedMessage"])["replyKey"]
    sealed = sealing.seal(reply_key, sealing.reply_info(), opened)
    return {"ok": True, "sealed": base64.b64encode(sealed).decode()}


def _secret_key(ikm: bytes) -> Secret:
    """``DeriveKeyPair`` of RFC 9180, section 7.1.3."""
    extracted = HKDF.extract(SHA256(), b"", _KEM + b"dkp_prk" + ikm)
    return Secret(HKDFExpand(SHA256(), 32, (32).to_bytes(2) + _KEM + b"sk").derive(extracted))
