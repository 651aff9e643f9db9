from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lit_airflow.errors import SessionError
from lit_airflow.networks.chipotle.sealing import public_key_of, reply_secret_key
from lit_airflow.networks.chipotle.session_signature import gate_session_signature
from lit_airflow.protocol.scope import Scope
from tests.unit.networks.chipotle.making import GATE, SESSION_KEY

SCOPE = Scope.to_decrypt("*")
TIMES = ("2026-11-27T12:00:00.250Z", "2026-11-27T13:00:00.250Z")


def test_it_is_signed_by_the_session_key_for_one_gate() -> None:
    made = gate_session_signature(SESSION_KEY, SCOPE, [{"sig": "0x"}], TIMES, GATE)
    assert list(made) == ["sig", "derivedVia", "signedMessage", "address", "algo"]
    text = made["signedMessage"]
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(SESSION_KEY.public_key)).verify(
        bytes.fromhex(made["sig"]), text.encode()
    )
    signed = json.loads(text)
    assert list(signed)[-2:] == ["nodeAddress", "replyKey"]
    assert signed["nodeAddress"] == f"lit:gate:{GATE}"
    assert signed["replyKey"] == public_key_of(reply_secret_key(SESSION_KEY))
    assert SESSION_KEY.seed.reveal().hex() not in json.dumps(made)


def test_another_gate_gets_another_signature() -> None:
    first = gate_session_signature(SESSION_KEY, SCOPE, [], TIMES, GATE)
    second = gate_session_signature(SESSION_KEY, SCOPE, [], TIMES, "00" * 32)
    assert first["sig"] != second["sig"]


def test_an_unpaired_surrogate_in_a_capability_is_refused() -> None:
    with pytest.raises(SessionError):
        gate_session_signature(SESSION_KEY, SCOPE, [{"sig": "\ud800"}], TIMES, GATE)
