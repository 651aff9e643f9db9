"""What the devnet's Datil node refuses for a reason that the gate shares, the gate refuses with the same code."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from lit_airflow.devnet.checks import NodeContext, check_decryption_request
from lit_airflow.devnet.errors import NodeError
from tests.devnet_own.request_builder import PREFIX, RequestBuilder
from tests.devnet_own.test_refusals import RULES
from tests.devnet_own.wire_client import Json, WireClient
from tests.gate.building import ACTION_SECRET, GATE_KEY, REPLY_SECRET
from tests.gate.engine import NOW_MS, REPLY_INFO, SUITE, Gate

AUDIENCE = f"lit:gate:{GATE_KEY}"
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
# Payment and epochs are Datil's alone, and so is the kind of a capability: a gate verifies a wallet's signature,
# whatever the capability says it is.
NODES_ONLY = {"12", "14"}
KINDS = {"as a PKP's", "as a contract's", "as a contract's, SHA-256"}
SHARED = [
    (rule.split()[0], name, change)
    for rule, rows in RULES.items()
    for name, change, _ in rows
    # An audience has no host.
    if rule.split()[0] not in NODES_ONLY and name not in {*KINDS, "another host"}
]
# docs/protocol/gate.md has these otherwise: (rule's number, name) -> the gate's code.
OTHERWISE = {
    ("1", "no authSig"): "NodeInvalidMultipleAuthSigs",
    ("1", "a text as authSig"): "NodeInvalidMultipleAuthSigs",
    ("3", "the hash in capitals"): "NodeBadInput",
    # Operators are always written.
    ("2", "31"): "NodeInvalidBooleanConditionType",
    ("2", "31 in groups"): "NodeInvalidBooleanConditionType",
    ("3", "the same twice"): "NodeInvalidBooleanConditionType",
    ("13", "and never"): "NodeInvalidBooleanConditionType",
    ("5", "key no point"): "NodeInvalidAuthSigSessionKeySignature",
}


@dataclass(frozen=True)
class GateRequestBuilder(RequestBuilder):
    """Builds the same requests for a gate: with a reply key in the session, and a ciphertext."""

    def body(self, **changes: object) -> Json:
        made = super().body(**changes)
        info = f"lit_airflow gate 1\n{PREFIX}://{self.resource}\n{{}}".encode()
        key = X25519PublicKey.from_public_bytes(bytes.fromhex(GATE_KEY))
        return made | {"ciphertext": base64.b64encode(SUITE.encrypt(b"data", key, info)).decode()}

    def _session(self) -> Json:
        reply_key = REPLY_SECRET.public_key().public_bytes_raw().hex()
        return {**super()._session(), "replyKey": reply_key}


BUILDER = GateRequestBuilder(WireClient(), AUDIENCE, NOW)


def test_the_request_without_a_change_opens(gate: Gate) -> None:
    answer = gate.answer(ACTION_SECRET, json.dumps(BUILDER.good()))
    assert SUITE.decrypt(base64.b64decode(answer["sealed"]), REPLY_SECRET, REPLY_INFO) == b"data"
    assert check_decryption_request(BUILDER.good(), NodeContext(AUDIENCE, NOW)).text == (
        f"{PREFIX}://{BUILDER.resource}"
    )


@pytest.mark.parametrize(
    ("number", "name", "change"),
    [pytest.param(*row, id=f"{row[0]}-{row[1]}") for row in SHARED],
)
def test_refused_with_the_nodes_code(
    gate: Gate, number: str, name: str, change: Callable[[RequestBuilder], dict[str, Any]]
) -> None:
    body = change(BUILDER)
    # On the path that takes session signatures only, as a gate does.
    with pytest.raises(NodeError) as refused:
        check_decryption_request(body, NodeContext(AUDIENCE, NOW, sessions_only=True))
    answer = gate.answer(ACTION_SECRET, json.dumps(body))
    assert answer["ok"] is False
    assert answer["code"] == OTHERWISE.get((number, name), refused.value.code)


def test_what_is_otherwise_exists() -> None:
    assert OTHERWISE.keys() <= {(number, name) for number, name, _ in SHARED}
