"""AuthSigs as they are written for nodes, and read."""

from __future__ import annotations

from typing import Any

import pytest

from lit_airflow.errors import SessionError
from lit_airflow.keys.wallet import Wallet
from lit_airflow.protocol.auth_sig import ALGO_BLS, AuthSig, sign

WIRE = sign(Wallet.from_key("11" * 32), "a text").to_json()


@pytest.mark.parametrize(
    "wire",
    [
        None,
        5,
        "text",
        [],
        {},
        {**WIRE, "algo": 5},
        *({key: value for key, value in WIRE.items() if key != left_out} for left_out in WIRE),
        *({**WIRE, key: 5} for key in WIRE),
    ],
)
def test_wire_forms_that_are_none(wire: Any) -> None:  # noqa: ANN401 - what may come in
    with pytest.raises(SessionError):
        AuthSig.from_json(wire)


@pytest.mark.parametrize(
    ("algo", "keys"),
    [
        (None, ["sig", "derivedVia", "signedMessage", "address"]),
        ("ed25519", ["sig", "derivedVia", "signedMessage", "address", "algo"]),
        (ALGO_BLS, ["sig", "algo", "derivedVia", "signedMessage", "address"]),
    ],
)
def test_the_order_in_which_a_session_key_signs_it(algo: str | None, keys: list[str]) -> None:
    signature = AuthSig("0x01", "a way", "a text", "an address", algo)
    assert list(signature.to_json()) == keys
    assert signature.to_json().get("algo") == algo
    assert AuthSig.from_json(signature.to_json()) == signature
