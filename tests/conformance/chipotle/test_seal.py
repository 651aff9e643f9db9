from __future__ import annotations

import base64
from typing import Any

import pytest

from lit_airflow.errors import CiphertextError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.sealing import OVERHEAD_BYTES, open_sealed, public_key_of, reply_info, seal
from tests.conformance.chipotle.derivation import sealing_steps


def test_case(case: dict[str, Any]) -> None:
    secret_key, info = Secret(bytes.fromhex(case["x25519_secret"])), case["info"].encode()
    sealed, plaintext = base64.b64decode(case["sealed"]), base64.b64decode(case["plaintext"])
    assert public_key_of(secret_key) == case["public_key"]
    assert open_sealed(secret_key, info, sealed) == plaintext
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES
    assert sealing_steps(secret_key.reveal(), sealed[:32], info) == case["steps"]
    if case["name"].startswith("reply"):
        assert info == reply_info()
    assert open_sealed(secret_key, info, seal(case["public_key"], info, plaintext)) == plaintext
    with pytest.raises(CiphertextError):
        open_sealed(secret_key, info + b"\n", sealed)
    with pytest.raises(CiphertextError):
        open_sealed(secret_key, info, bytes([sealed[0] ^ 1]) + sealed[1:])
