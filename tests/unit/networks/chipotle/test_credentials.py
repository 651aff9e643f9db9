from __future__ import annotations

import json
from typing import Any

import pytest

from lit_airflow.errors import CredentialsError, SecretNotFoundError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.credentials import Credentials
from tests.unit.networks.chipotle.making import GATE, LOCK, LOCK_SECRET

SALT, API_KEY = "5a" * 32, "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
OTHER_GATE = "00" * 32
ENTRY: dict[str, Any] = {
    "api_key": API_KEY,
    "gates": {GATE: {"version": 1, "salt": SALT}},
    "locks": {LOCK: LOCK_SECRET.reveal().hex()},
}


def parse(**changes: object) -> Credentials:
    return Credentials.parse({**ENTRY, **changes}, where="secret/lit/chipotle")


@pytest.mark.parametrize("as_text", [False, True])
def test_what_decrypting_roles_read(as_text: bool) -> None:  # noqa: FBT001 - generated
    tables = {name: json.dumps(ENTRY[name]) if as_text else ENTRY[name] for name in ("gates", "locks")}
    read = parse(**tables)
    assert read.api_key == Secret(API_KEY.encode())
    assert (read.gate(GATE).version, read.gate(GATE).salt) == (1, Secret(SALT.encode()))
    assert read.lock(LOCK) == LOCK_SECRET
    assert read.newest_gate() == GATE


def test_nothing_secret_shows() -> None:
    shown = repr(parse())
    assert not any(secret in shown for secret in (API_KEY, SALT, LOCK_SECRET.reveal().hex()))


def test_gates_and_locks_may_be_missing() -> None:
    for nothing in (None, "", " "):
        read = parse(gates=nothing, locks=nothing)
        for ask in (read.newest_gate, lambda read=read: read.gate(GATE), lambda read=read: read.lock(LOCK)):
            with pytest.raises(SecretNotFoundError, match="secret/lit/chipotle"):
                ask()


def test_the_newest_gate() -> None:
    row = {"version": 1, "salt": SALT}
    assert parse(gates={GATE: row, OTHER_GATE: row}).newest_gate() == OTHER_GATE
    assert parse(gates={GATE: {**row, "version": "2"}, OTHER_GATE: row}).newest_gate() == GATE


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"api_key": 5}, "api_key"),
        ({"api_key": "with blank"}, "api_key"),
        ({"api_key": "ключ"}, "api_key"),
        ({"api_key": "key\n"}, "api_key"),
        ({"gates": "{"}, "gates"),
        ({"gates": "[" * 100_000}, "gates"),
        ({"gates": []}, "gates"),
        ({"gates": {"0x" + GATE: {}}}, "gates"),
        ({"gates": {GATE: None}}, f"gates.{GATE}.version"),
        ({"gates": {GATE: {"version": True, "salt": SALT}}}, f"gates.{GATE}.version"),
        ({"gates": {GATE: {"version": 0, "salt": SALT}}}, f"gates.{GATE}.version"),
        ({"gates": {GATE: {"version": "٣", "salt": SALT}}}, f"gates.{GATE}.version"),
        ({"gates": {GATE: {"version": 1}}}, f"gates.{GATE}.salt"),
        ({"gates": {GATE: {"version": 1, "salt": SALT.upper()}}}, f"gates.{GATE}.salt"),
        ({"locks": {LOCK: 5}}, f"locks.{LOCK}"),
        ({"locks": {LOCK: "0x" + "11" * 31}}, f"locks.{LOCK}"),
        ({"locks": {LOCK: "11" * 32}}, f"locks.{LOCK}"),
    ],
)
def test_malformed_fields_are_named_and_not_shown(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(CredentialsError) as caught:
        parse(**changes)
    message = str(caught.value)
    assert message.startswith(f"secret/lit/chipotle: {named} ")
    assert not any(secret in message for secret in (API_KEY, SALT, SALT.upper(), "11" * 31, "with blank"))


@pytest.mark.parametrize("api_key", [None, ""])
def test_without_a_key(api_key: object) -> None:
    with pytest.raises(SecretNotFoundError, match="api_key"):
        parse(api_key=api_key)
