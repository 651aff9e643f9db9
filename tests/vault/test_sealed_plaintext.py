"""Plaintext sealed for XCom: who may seal and open, and what does not open."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.fernet import Fernet

from lit_airflow import LitClient, Scope
from lit_airflow.devnet import Devnet
from lit_airflow.errors import (
    CiphertextError,
    LitError,
    SettingsError,
    TicketError,
    VaultDeniedError,
    VaultUnavailableError,
)
from lit_airflow.handoff.sealed_plaintext import MAX_BYTES
from lit_airflow.hooks import LitHook
from lit_airflow.protocol.session import Session
from lit_airflow.sandbox.processes import free_port
from lit_airflow.sandbox.vault_server import KV_PATH
from tests.vault.parts import LOGIN, OPENED, SEALED, Bao, Connections, forms, running, told

pytestmark = pytest.mark.usefixtures("connections")

PLAINTEXT = b"who earns what: \xff\x00 42"


@pytest.fixture(params=["transit", "fernet"])
def seal(request: pytest.FixtureRequest, connections: Connections) -> str:
    """Both roles, with this seal."""
    if request.param == "fernet":
        secret = Fernet.generate_key().decode()
        connections.lit("lit_renewer", vault_path=KV_PATH, seal="fernet", seal_secret=secret)
        connections.lit("lit_consumer", "vault_consumer", seal="fernet", seal_secret=secret)
    return str(request.param)


def through_xcom(value: Mapping[str, Any]) -> dict[str, Any]:
    """As Airflow stores it."""
    stored: dict[str, Any] = json.loads(json.dumps(value))
    return stored


def refused(sealed: object, kind: type[LitError] = CiphertextError, **expected: str) -> LitError:
    with pytest.raises(kind) as caught:
        LitHook("lit_consumer").open_plaintext(sealed, **expected)
    assert not [form for form in forms(PLAINTEXT) if form in told(caught.value).encode()]
    return caught.value


@pytest.mark.parametrize("plaintext", [b"", PLAINTEXT, bytes(MAX_BYTES)], ids=["empty", "some", "most"])
def test_a_consumer_opens_what_another_task_sealed(seal: str, plaintext: bytes) -> None:
    sealed = through_xcom(LitHook("lit_renewer").seal_plaintext(plaintext))
    assert LitHook("lit_consumer").open_plaintext(sealed) == plaintext
    assert sealed["seal"] == seal
    assert all(isinstance(value, str | int) for value in sealed.values())


def test_nothing_of_it_is_in_clear(seal: str) -> None:
    stored = json.dumps(LitHook("lit_renewer").seal_plaintext(PLAINTEXT)).encode()
    assert not [form for form in forms(PLAINTEXT) if form in stored]


def test_sealing_and_opening_ask_vault_once_each(bao: Bao) -> None:
    with bao.watched() as paths:
        sealed = LitHook("lit_renewer").seal_plaintext(PLAINTEXT)
        LitHook("lit_consumer").open_plaintext(sealed)
    assert paths == [LOGIN, SEALED, LOGIN, OPENED]


def test_a_role_that_only_decrypts_is_told_what_it_lacks() -> None:
    with pytest.raises(VaultDeniedError) as caught:
        LitHook("lit_consumer").seal_plaintext(PLAINTEXT)
    assert "needs update on transit/encrypt/lit-sessions" in caught.value.hint
    assert not [form for form in forms(PLAINTEXT) if form in told(caught.value).encode()]


def test_a_role_of_its_own_seals_and_reads_no_key(bao: Bao, connections: Connections) -> None:
    policy = """
        path "transit/encrypt/lit-sessions" { capabilities = ["update"] }
        path "transit/decrypt/lit-sessions" { capabilities = ["update"] }
    """
    connections.vault("vault_sealer", bao.port, bao.role("sealer", policy))
    connections.lit("lit_sealer", "vault_sealer", vault_path=KV_PATH)
    sealed = LitHook("lit_sealer").seal_plaintext(PLAINTEXT)
    assert LitHook("lit_consumer").open_plaintext(sealed) == PLAINTEXT
    with pytest.raises(VaultDeniedError):
        LitHook("lit_sealer").get_wallet()


def test_more_than_xcom_is_for_is_refused_before_vault_is_asked(bao: Bao, seal: str) -> None:
    assert seal
    with bao.watched() as paths, pytest.raises(SettingsError, match="output_path"):
        LitHook("lit_renewer").seal_plaintext(bytes(MAX_BYTES + 1))
    assert paths == []


@pytest.mark.parametrize(
    "change",
    [
        {"v": 1},
        {"v": None},
        {"v": 10**4400},
        {"data_hash": "00" * 32},
        {"made_by": "nightly.another"},
        {"dag_id": "another"},
        {"run_id": None},
        {"sealed_at": "2026-01-01T00:00:00.000Z"},
        {"what": "ticket"},
        {"sealed": None},
        {"sealed": "vault:v1:AAAA"},
        {"sealed": "§"},
        {"seal": "none"},
        {"more": "facts"},
    ],
    ids=lambda change: str(change)[:40] if "v" not in change or change["v"] != 10**4400 else "large",
)
def test_a_changed_one_does_not_open(seal: str, change: dict[str, Any]) -> None:
    assert seal
    refused(LitHook("lit_renewer").seal_plaintext(PLAINTEXT) | change)


@pytest.mark.parametrize(
    ("where", "told_of"),
    [
        ({"dag_id": "payroll"}, "run monday of the DAG nightly"),
        ({"run_id": "tuesday"}, "run monday of the DAG nightly"),
    ],
)
def test_one_of_another_dag_or_run_does_not_open(bao: Bao, where: dict[str, str], told_of: str) -> None:
    """A password of production in place of the sandbox's, or last year's in place of this year's."""
    with running("decrypt"):
        sealed = LitHook("lit_renewer").seal_plaintext(PLAINTEXT)
    with running("use"):
        assert LitHook("lit_consumer").open_plaintext(sealed) == PLAINTEXT
    with bao.watched() as paths, running("use", **where):
        assert told_of in str(refused(sealed)).replace('"', "")
    assert paths == []


def test_one_of_another_task_or_container_does_not_open(bao: Bao) -> None:
    """Within a run, whoever opens it says from which task or which container it must come."""
    with running("decrypt"):
        sealed = LitHook("lit_renewer").seal_plaintext(PLAINTEXT, data_hash="ab" * 32)
    hook = LitHook("lit_consumer")
    with running("use"):
        assert hook.open_plaintext(sealed, made_by="decrypt", data_hash="ab" * 32) == PLAINTEXT
        assert hook.open_plaintext(sealed, made_by="nightly.decrypt") == PLAINTEXT
        with bao.watched() as paths:
            error = refused(sealed, made_by="another")
            assert 'sealed by "nightly.decrypt", not by "another"' in str(error)
            assert "another container" in str(refused(sealed, data_hash="cd" * 32))
    assert paths == []


@pytest.mark.parametrize("other", [None, "text", 5, [], {}, {"what": "plaintext"}], ids=repr)
def test_what_is_none_is_said_to_be_none(other: object) -> None:
    refused(other)


@pytest.fixture(scope="module")
def session(bao: Bao, devnet: Devnet) -> Session:
    scope = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)
    return LitClient(devnet.description).open_session(bao.wallet, scope)


def test_a_ticket_opens_as_no_plaintext_and_a_plaintext_as_no_ticket(seal: str, session: Session) -> None:
    assert seal
    hook = LitHook("lit_renewer")
    ticket, sealed = hook.make_ticket(session), hook.seal_plaintext(PLAINTEXT)
    refused(ticket)
    refused(ticket | {"what": "plaintext"})
    facts = dict.fromkeys(("data_hash", "made_by", "dag_id", "run_id", "sealed_at"), "")
    refused({**facts, **ticket, "what": "plaintext"})
    refused(sealed | {"sealed": ticket["sealed"]})
    with pytest.raises(TicketError):
        LitHook("lit_consumer").open_ticket(sealed)
    with pytest.raises(TicketError):
        LitHook("lit_consumer").open_ticket(ticket | {"sealed": sealed["sealed"]})


def test_vault_away_can_be_tried_again(bao: Bao, connections: Connections) -> None:
    sealed = LitHook("lit_renewer").seal_plaintext(PLAINTEXT)
    connections.vault("vault_consumer", free_port(), bao.consumer)
    assert refused(sealed, VaultUnavailableError).retryable
