"""Objects that contain secrets are refused by Airflow's own XCom serialization, alone and inside other values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lit_airflow import Wallet
from lit_airflow.keys.secret import Secret
from lit_airflow.protocol.auth_sig import AuthSig
from tests.unit.protocol.opening import KEY, opened

SESSION = opened()


def serialize(value: object) -> Any:  # noqa: ANN401 - JSON
    try:
        from airflow.sdk.serde import serialize
    except ImportError:  # Airflow 3.1
        from airflow.serialization.serde import serialize
    return serialize(value)


@pytest.mark.parametrize(
    "value",
    [
        SESSION,
        replace(SESSION, key=None),
        KEY,
        AuthSig("0x5a", "web3.eth.personal.sign", "text", "0x12"),
        Wallet.from_key("11" * 32),
        Secret(b"canary"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_contains_a_secret_is_not_pushed(value: object) -> None:
    for pushed in (value, [value], {"session": value}):
        with pytest.raises(TypeError, match="contains a secret and cannot be pushed to XCom"):
            serialize(pushed)


def test_what_contains_none_is_pushed() -> None:
    assert serialize({"wallet": SESSION.wallet}) == {"wallet": SESSION.wallet}
