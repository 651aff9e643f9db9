from __future__ import annotations

import base64
from typing import Any

import pytest

from lit_airflow.errors import (
    AccessDeniedError,
    ChainUnavailableError,
    CiphertextError,
    ConditionsNotMetError,
    NodeError,
    ProtocolError,
)
from lit_airflow.networks.chipotle.gate_answers import read_key, read_outcomes, refusal
from lit_airflow.networks.chipotle.sealing import public_key_of, reply_info, reply_secret_key, seal
from tests.unit.networks.chipotle.making import GATE, LOCK_SECRET, SESSION_KEY

REPLY_SECRET = reply_secret_key(SESSION_KEY)
KEY = {"ok": True, "gate": 1, "publicKey": GATE, "address": "0x" + "ab" * 20}


def answer(plaintext: bytes) -> dict[str, Any]:
    sealed = seal(public_key_of(REPLY_SECRET), reply_info(), plaintext)
    return {"ok": True, "sealed": base64.b64encode(sealed).decode()}


def test_the_answer_to_the_question_for_the_key() -> None:
    read = read_key(KEY)
    assert (read.public_key, read.version, read.address) == (GATE, 1, KEY["address"])


@pytest.mark.parametrize(
    "response",
    [
        None,
        "",
        [],
        {**KEY, "ok": 1},
        {**KEY, "gate": True},
        {**KEY, "gate": "1"},
        {**KEY, "publicKey": GATE.upper()},
        {**KEY, "publicKey": GATE + "\n"},
        {**KEY, "address": "0x" + "AB" * 20},
        {"ok": False, "code": "NodeBadInput", "message": ""},
    ],
)
def test_what_is_not_a_key(response: object) -> None:
    with pytest.raises(ProtocolError):
        read_key(response)


def test_outcomes_come_in_order_and_each_by_itself() -> None:
    response = {"ok": True, "items": [answer(b"a"), {"ok": False, "code": "NodeRpcError"}, answer(b"ccc")]}
    first, second, third = read_outcomes(response, 3)
    assert first.open(REPLY_SECRET, 1) == b"a"
    assert third.open(REPLY_SECRET, 3) == b"ccc"
    with pytest.raises(ChainUnavailableError):
        second.open(REPLY_SECRET, 2)


def test_a_refusal_of_all_is_each_ones_own_error() -> None:
    outcomes = read_outcomes({"ok": False, "code": "NodeParserError", "message": "m"}, 3)
    errors = [outcome.error for outcome in outcomes]
    assert [type(error) for error in errors] == [AccessDeniedError] * 3
    assert len(set(map(id, errors))) == 3


@pytest.mark.parametrize(
    "response",
    [
        None,
        "ok",
        5,
        [answer(b"a")],
        {},
        {"ok": True},
        {"ok": True, "sealed": 5},
        {"ok": True, "sealed": "*"},
        {"ok": "true", "sealed": ""},
        {"ok": False},
        {"ok": False, "code": 5},
        {"ok": False, "code": "with blanks"},
        {"ok": False, "code": "x" * 81},
    ],
)
def test_what_is_not_an_outcome(response: object) -> None:
    with pytest.raises(ProtocolError):
        read_outcomes(response, 1)
    with pytest.raises(ProtocolError):
        read_outcomes({"ok": True, "items": [answer(b"a"), response]}, 2)


@pytest.mark.parametrize("items", [None, {}, [], [answer(b"a")], [answer(b"a")] * 3])
def test_another_number_of_outcomes(items: object) -> None:
    with pytest.raises(ProtocolError):
        read_outcomes({"ok": True, "items": items}, 2)


def test_the_size_is_known_before() -> None:
    (outcome,) = read_outcomes(answer(b"secret"), 1)
    for size in (5, 7):
        with pytest.raises(CiphertextError):
            outcome.open(REPLY_SECRET, size)


def test_an_answer_to_another_session() -> None:
    (outcome,) = read_outcomes(answer(b"secret"), 1)
    with pytest.raises(CiphertextError):
        outcome.open(LOCK_SECRET, 6)


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        ("NodeAccessControlConditionsReturnedNotAuthorized", ConditionsNotMetError, False),
        ("GateCiphertextError", CiphertextError, False),
        ("NodeRpcError", ChainUnavailableError, True),
        ("NodeSystemFault", NodeError, True),
        ("NodeNotAuthorized", AccessDeniedError, False),
        ("NodeSIWECapabilityInvalid", AccessDeniedError, False),
        ("SomethingNew", AccessDeniedError, False),
    ],
)
def test_codes(code: str, kind: type[Exception], retryable: bool) -> None:  # noqa: FBT001 - a table
    error = refusal(code)
    assert type(error) is kind
    assert error.retryable is retryable
    assert not isinstance(error, AccessDeniedError) or error.code == code


def test_a_foreign_gate_key_is_named_as_the_danger_that_it_is() -> None:
    assert "unreadable" in refusal("NodeNotAuthorized").hint


def test_texts_of_the_service_are_not_passed_on() -> None:
    (outcome,) = read_outcomes({"ok": False, "code": "NodeBadInput", "message": "plaintext!"}, 1)
    assert "plaintext!" not in str(outcome.error)
