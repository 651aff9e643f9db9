"""One request of the vectors, as the client sees it: what it would have sent, and what it reads in the answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from lit_airflow.errors import (
    AccessDeniedError,
    ChainUnavailableError,
    CiphertextError,
    ConditionsNotMetError,
    LitError,
)
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.gate_answers import Outcome
from lit_airflow.networks.chipotle.gate_container import GateContainer
from lit_airflow.networks.chipotle.sealing import (
    audience,
    container_info,
    open_sealed,
    public_key_of,
    reply_info,
    seal,
)
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session_signature import signed_text
from tests.conformance.chipotle.derivation import gate_secret_key

ERRORS: Mapping[str, type[LitError]] = {
    "NodeAccessControlConditionsReturnedNotAuthorized": ConditionsNotMetError,
    "NodeRpcError": ChainUnavailableError,
    "GateCiphertextError": CiphertextError,
}


def reply_secret_of(case: Mapping[str, Any]) -> Secret:
    return Secret(bytes.fromhex(case["reply_secret"]))


def sealed_answer(expected: Mapping[str, Any], reply_secret: Secret) -> dict[str, Any]:
    """What a gate answers where the vectors expect this."""
    if not expected["ok"]:
        return {"ok": False, "code": expected["code"], "message": "refused"}
    sealed = seal(public_key_of(reply_secret), reply_info(), base64.b64decode(expected["plaintext"]))
    return {"ok": True, "sealed": base64.b64encode(sealed).decode()}


def check_refusal(outcome: Outcome, code: str, reply_secret: Secret) -> None:
    """A refusal becomes the error that its code stands for."""
    with pytest.raises(ERRORS.get(code, AccessDeniedError)) as caught:
        outcome.open(reply_secret, 0)
    assert not isinstance(caught.value, AccessDeniedError) or caught.value.code == code


def check_opening(
    outcome: Outcome, container: GateContainer, plaintext: str, case: Mapping[str, Any]
) -> None:
    """The gate would open what was sealed with our binding; we open the gate's answer."""
    info = container_info(container.conditions.identity(container.data_hash), container.rpc)
    sealed = open_sealed(gate_secret_key(case["secret"]), info, container.ciphertext)
    given = outcome.open(reply_secret_of(case), container.given_bytes)
    assert sealed == container.unlock(given, None) == base64.b64decode(plaintext)


def check_item(container: GateContainer, wanted: Mapping[str, Any]) -> None:
    """We would have asked for the container with the same words, the conditions in canonical form."""
    ours = container.request_item()
    field = container.conditions.field
    assert ours[field] == list(container.conditions.items)
    assert {key: ours.get(key) for key in ("dataToEncryptHash", "chain", "rpc")} == {
        key: wanted.get(key) for key in ("dataToEncryptHash", "chain", "rpc")
    }
    assert base64.b64decode(ours["ciphertext"]) == base64.b64decode(wanted["ciphertext"])


def check_signed_text(auth_sig: Mapping[str, str], case: Mapping[str, Any]) -> None:
    """We would have had the session key sign the same text, byte for byte."""
    signed = json.loads(auth_sig["signedMessage"])
    ours = signed_text(
        auth_sig["address"],
        Scope.from_json(signed["resourceAbilityRequests"]).to_json(),
        signed["capabilities"],
        (signed["issuedAt"], signed["expiration"]),
        audience(public_key_of(gate_secret_key(case["secret"]))),
        replyKey=public_key_of(reply_secret_of(case)),
    )
    assert ours == auth_sig["signedMessage"]
