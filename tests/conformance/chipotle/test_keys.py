from __future__ import annotations

from typing import Any

import pytest

from lit_airflow.errors import SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.gate_answers import GateKey, read_key
from lit_airflow.networks.chipotle.sealing import (
    audience,
    open_sealed,
    public_key_of,
    reply_secret_key,
    seal,
)
from lit_airflow.networks.chipotle.setup_checks import check_gate_key
from lit_airflow.protocol.session import SessionKey
from tests.conformance.chipotle.derivation import gate_secret_key
from tests.gate.engine import Gate


def test_case(case: dict[str, Any], gate: Gate) -> None:
    assert gate.run_case(case) == case["expected"]
    secret_key = Secret(bytes.fromhex(case["x25519_secret"]))
    assert gate_secret_key(case["secret"]) == secret_key
    assert public_key_of(secret_key) == case["public_key"]
    assert audience(case["public_key"]) == case["audience"]
    assert open_sealed(secret_key, b"info", seal(case["public_key"], b"info", b"data")) == b"data"
    asked = read_key(case["expected"])
    assert asked == GateKey(case["public_key"], 1, case["address"])
    check_gate_key(asked, case["public_key"], 1)


def test_reply_keys(vectors: dict[str, Any]) -> None:
    for row in vectors["reply_keys"]:
        key = SessionKey.from_hex(row["session_seed"])
        assert key.public_key == row["session_public_key"]
        reply_secret = reply_secret_key(key)
        assert reply_secret == Secret(bytes.fromhex(row["reply_secret"]))
        assert public_key_of(reply_secret) == row["reply_key"]
        with pytest.raises(SettingsError):
            public_key_of(Secret(bytes.fromhex(row["reply_secret"])[:31]))
