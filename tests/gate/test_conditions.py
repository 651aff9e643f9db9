"""Vectors about conditions alone: the gate hashes them as stated, and refuses what a client must refuse."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from tests.gate.building import ACTION_SECRET, GATE_KEY, PLAINTEXT, Container, Session, request_for
from tests.gate.engine import SUITE, Gate, cases

# Refused for the user's sake; a gate judges them nevertheless.
CLIENT_ONLY = {
    "rpc that nothing reads",
    "rpc over http on this machine",
    "rpc over http on this machine, second URL",
    "wallet with a wrong checksum",
}
JUDGED = {None, "NodeAccessControlConditionsReturnedNotAuthorized", "NodeRpcError"}
FORM = {
    "NodeBadInput",
    "NodeMissingAccessControlConditions",
    "NodeInvalidBooleanConditionType",
    "NodeTooManyConditions",
    "NodeInvalidACCReturnValueTest",
}


def code(gate: Gate, body: dict[str, Any], session: Session) -> str | None:
    """The code of a refusal, ``None`` where the container opens."""
    return gate.answer(ACTION_SECRET, json.dumps(body | {"authSig": session.sign()})).get("code")


@pytest.mark.parametrize("case", cases("identities"), ids=lambda case: case["name"])
def test_identity(gate: Gate, case: dict[str, Any]) -> None:
    key = X25519PublicKey.from_public_bytes(bytes.fromhex(GATE_KEY))
    body = {
        case["field"]: case["given"],
        "dataToEncryptHash": case["data_hash"],
        "ciphertext": base64.b64encode(SUITE.encrypt(PLAINTEXT, key, case.get("info", "").encode())).decode(),
        "rpc": case.get("rpc"),
    }
    session = Session(requests=[request_for(f"{case['hash']}/{case['data_hash']}")])
    expected = JUDGED if case["gate_1_evaluates"] else FORM
    assert code(gate, body, session) in expected


@pytest.mark.parametrize("case", cases("encrypt"), ids=lambda case: case["name"])
def test_what_a_client_must_refuse(gate: Gate, case: dict[str, Any]) -> None:
    container = Container(conditions=case["conditions"], field_name=case["field"], rpc=case["rpc"])
    body = container.body() | {case["field"]: case["conditions"]}
    judged = case["accepted"] or case["name"] in CLIENT_ONLY
    found = code(gate, body, Session())
    # The identity of surplus members is not computed here: such containers are judged, but do not open.
    assert found in (JUDGED | {"GateCiphertextError"} if judged else FORM)
