"""What one side encrypts the other decrypts, for every kind of condition and every shape of plaintext."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest

from lit_airflow import LitClient, Scope, Wallet
from lit_airflow.errors import AccessDeniedError, CiphertextError, ConditionError, NodesUnavailableError
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.session import Session
from tests.interop import kinds
from tests.interop.sdk import RefusedError, Sdk

Json = dict[str, Any]
SCOPE = ["access-control-condition-decryption=lit-accesscontrolcondition://*"]
NOISE = random.Random(7).randbytes(1_000_000)
PLAINTEXTS = {
    "empty": b"",
    "1 byte": b"\x00",
    "31 bytes": NOISE[:31],
    "32 bytes": NOISE[:32],
    "33 bytes": NOISE[:33],
    "10 kB": NOISE[:10_000],
    "1 MB": NOISE,
    "unicode": "Grüße, 世界 🌍 \u0000 e\u0301 \u202eabc".encode(),
}


@pytest.fixture(scope="module")
def session(lit: LitClient, wallet: Wallet) -> Session:
    return lit.open_session(wallet, Scope.parse(SCOPE))


def both_ways(  # noqa: PLR0917 - two sides, one item
    sdk: Sdk, lit: LitClient, network: Json, session: Session, plaintext: bytes, conditions: Json
) -> None:
    ours, theirs = lit.encrypt(plaintext, conditions), sdk.encrypt(network, plaintext, conditions)
    assert ours["dataToEncryptHash"] == theirs["dataToEncryptHash"]
    assert len(ours["ciphertext"]) == len(theirs["ciphertext"])
    assert sdk.decrypt(network, dict(ours), conditions, session.session_sigs) == plaintext
    assert lit.decrypt(theirs, conditions, session) == plaintext


@pytest.mark.parametrize("conditions", kinds.SERVED.values(), ids=kinds.SERVED)
def test_every_kind(sdk: Sdk, lit: LitClient, network: Json, session: Session, conditions: Json) -> None:
    both_ways(sdk, lit, network, session, b"for whom it may concern", conditions)


@pytest.mark.parametrize("plaintext", PLAINTEXTS.values(), ids=PLAINTEXTS)
def test_every_plaintext(sdk: Sdk, lit: LitClient, network: Json, session: Session, plaintext: bytes) -> None:
    both_ways(sdk, lit, network, session, plaintext, kinds.SERVED["wallet"])


_ALL = {
    f"{group}: {name}": conditions
    for group, cases in (("served", kinds.SERVED), ("unmet", kinds.UNMET), ("unknown", kinds.UNKNOWN))
    for name, conditions in cases.items()
} | {"Solana of the first form": kinds.UNFIT["Solana of the first form"]}


@pytest.mark.parametrize("conditions", _ALL.values(), ids=_ALL)
def test_the_hash_is_the_same(sdk: Sdk, network: Json, conditions: Json) -> None:
    assert sdk.ask("hash", network=network, conditions=conditions) == Conditions.parse(conditions).hash


@pytest.mark.parametrize("conditions", kinds.UNMET.values(), ids=kinds.UNMET)
def test_unmet_is_refused_alike(
    sdk: Sdk, lit: LitClient, network: Json, session: Session, conditions: Json
) -> None:
    code = "NodeAccessControlConditionsReturnedNotAuthorized"
    with pytest.raises(RefusedError) as theirs:
        sdk.decrypt(network, dict(lit.encrypt(b"no", conditions)), conditions, session.session_sigs)
    with pytest.raises(AccessDeniedError) as ours:
        lit.decrypt(sdk.encrypt(network, b"no", conditions), conditions, session)
    assert theirs.value.code == ours.value.code == code


@pytest.mark.parametrize("conditions", kinds.UNKNOWN.values(), ids=kinds.UNKNOWN)
def test_undecidable_is_refused_alike(
    sdk: Sdk, lit: LitClient, network: Json, session: Session, conditions: Json
) -> None:
    with pytest.raises(RefusedError) as theirs:
        sdk.decrypt(network, dict(lit.encrypt(b"no", conditions)), conditions, session.session_sigs)
    with pytest.raises(NodesUnavailableError) as ours:
        lit.decrypt(sdk.encrypt(network, b"no", conditions), conditions, session)
    assert theirs.value.code == "NodeRpcError"
    assert "HTTP 502 NodeRpcError" in map(str, ours.value.failures.values())


@pytest.mark.parametrize("conditions", kinds.UNFIT.values(), ids=kinds.UNFIT)
def test_unfit_is_not_encrypted_for(sdk: Sdk, lit: LitClient, network: Json, conditions: Json) -> None:
    with pytest.raises(RefusedError) as theirs:
        sdk.encrypt(network, b"no", conditions)
    with pytest.raises(ConditionError):
        lit.encrypt(b"no", conditions)
    assert not theirs.value.code.startswith("Node")


def test_a_list_without_operators_is_opened_here(
    sdk: Sdk, lit: LitClient, network: Json, session: Session
) -> None:
    """Nodes join the conditions of such a list with ``and``; we open it, but do not write it."""
    sealed = sdk.encrypt(network, b"of old", kinds.WITHOUT_OPERATOR)
    assert lit.decrypt(sealed, kinds.WITHOUT_OPERATOR, session) == b"of old"
    with pytest.raises(ConditionError):
        lit.encrypt(b"of old", kinds.WITHOUT_OPERATOR)


@pytest.mark.parametrize("at", [0, 20, 50, 80, 100], ids=["form", "point", "mask", "length", "cover"])
def test_altered_is_opened_by_neither(
    sdk: Sdk, lit: LitClient, network: Json, session: Session, at: int
) -> None:
    conditions = kinds.SERVED["wallet"]
    for sealed in (dict(lit.encrypt(b"x" * 40, conditions)), sdk.encrypt(network, b"x" * 40, conditions)):
        raw = bytearray(base64.b64decode(sealed["ciphertext"]))
        raw[at] ^= 1
        altered = {**sealed, "ciphertext": base64.b64encode(raw).decode()}
        with pytest.raises(RefusedError):
            sdk.decrypt(network, altered, conditions, session.session_sigs)
        with pytest.raises(CiphertextError):
            lit.decrypt(altered, conditions, session)
