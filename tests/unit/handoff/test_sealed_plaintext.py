"""Plaintext that crosses XCom sealed: for one run, from one task, of one container."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.fernet import Fernet

from lit_airflow.errors import CiphertextError, SettingsError, TicketError
from lit_airflow.handoff.seal import FernetSeal, seal_with_facts
from lit_airflow.handoff.sealed_plaintext import MAX_BYTES, open_plaintext, seal_plaintext
from lit_airflow.handoff.ticket import Origin, check_ticket, make_ticket
from lit_airflow.keys.secret import Secret
from tests.unit.protocol.opening import opened

SEAL = FernetSeal(Secret(Fernet.generate_key()))
HERE = Origin("reports", "run 1", "decrypt")
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
DATA_HASH = "ab" * 32
PLAINTEXT = Secret(b"canary")
SEALED: dict[str, Any] = json.loads(
    json.dumps(seal_plaintext(PLAINTEXT, SEAL, data_hash=DATA_HASH, origin=HERE, now=NOW))
)
READER = replace(HERE, task_id="report")
FACTS = {
    "v": 2,
    "what": "plaintext",
    "data_hash": DATA_HASH,
    "made_by": "reports.decrypt",
    "dag_id": "reports",
    "run_id": "run 1",
    "sealed_at": "2026-01-15T12:00:00.000Z",
    "seal": "fernet",
}


def open_(sealed: object, origin: Origin = READER, **expected: Any) -> Secret:  # noqa: ANN401 - texts
    return open_plaintext(sealed, SEAL, origin=origin, **expected)


def test_what_goes_in_comes_out() -> None:
    assert {key: value for key, value in SEALED.items() if key != "sealed"} == FACTS
    assert "canary" not in json.dumps(SEALED)
    for expected in (
        {},
        {"data_hash": DATA_HASH},
        {"made_by": "decrypt"},
        {"made_by": "reports.decrypt"},
        {"made_by": "decrypt", "data_hash": DATA_HASH},
    ):
        assert open_(SEALED, **expected) == PLAINTEXT


@pytest.mark.parametrize("key", sorted(FACTS))
def test_each_fact_is_bound(key: str) -> None:
    changed = {"v": True}.get(key, "another")
    without = {name: value for name, value in SEALED.items() if name != key}
    for sealed in (SEALED | {key: changed}, without, {**SEALED, "further": 1}):
        with pytest.raises(CiphertextError):
            open_(sealed, Origin())


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        (replace(READER, run_id="run 2"), 'run "run 1" of the DAG "reports"'),
        (replace(READER, dag_id="payroll"), 'run "run 1" of the DAG "reports"'),
    ],
)
def test_it_is_for_its_run(origin: Origin, told: str) -> None:
    with pytest.raises(CiphertextError, match=told):
        open_(SEALED, origin)
    assert open_(SEALED, Origin()) == PLAINTEXT


def test_what_binds_it_cannot_be_changed() -> None:
    for changed, origin in (
        ({"run_id": "run 2"}, replace(READER, run_id="run 2")),
        ({"dag_id": "payroll"}, replace(READER, dag_id="payroll")),
    ):
        with pytest.raises(CiphertextError, match="altered"):
            open_({**SEALED, **changed}, origin)


@pytest.mark.parametrize("made_by", ["session", "payroll.decrypt", "", "reports.", "reports.reports.decrypt"])
def test_from_another_task(made_by: str) -> None:
    with pytest.raises(CiphertextError, match=r'sealed by "reports\.decrypt"'):
        open_(SEALED, made_by=made_by)
    forged = {**SEALED, "made_by": made_by}
    with pytest.raises(CiphertextError):
        open_(forged, made_by=made_by)


def test_of_another_container() -> None:
    with pytest.raises(CiphertextError, match="another container"):
        open_(SEALED, data_hash="cd" * 32)
    with pytest.raises(CiphertextError, match="altered"):
        open_({**SEALED, "data_hash": "cd" * 32}, data_hash="cd" * 32)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(CiphertextError, match="under another key") as caught:
        open_plaintext(SEALED, FernetSeal(Secret(Fernet.generate_key())), origin=READER)
    assert caught.value.hint


def test_another_seal() -> None:
    with pytest.raises(CiphertextError, match="another way"):
        open_({**SEALED, "seal": "transit"})


@pytest.mark.parametrize("found", [None, 5, "text", [], {}, {"what": "ticket"}])
def test_what_is_no_sealed_plaintext(found: object) -> None:
    with pytest.raises(CiphertextError, match="not sealed plaintext"):
        open_(found)


@pytest.mark.parametrize(
    "changed",
    [{"v": 1}, {"v": 3}, {"v": "2"}, {"sealed": 5}, *({key: 5} for key in FACTS if key not in ("v", "what"))],
)
def test_a_damaged_one(changed: dict[str, object]) -> None:
    with pytest.raises(CiphertextError):
        open_({**SEALED, **changed})


def test_a_ticket_is_not_taken_for_plaintext_nor_plaintext_for_a_ticket() -> None:
    ticket = make_ticket(opened(), SEAL, network="custom", origin=HERE)
    with pytest.raises(CiphertextError, match="not sealed plaintext"):
        open_(ticket)
    with pytest.raises(CiphertextError):
        open_({**ticket, "what": "plaintext"}, Origin())
    with pytest.raises(TicketError):
        check_ticket(SEALED, SEAL, network="custom")


def test_it_may_be_a_mebibyte_long() -> None:
    sealed = seal_plaintext(Secret(bytes(MAX_BYTES)), SEAL, data_hash="", origin=HERE, now=NOW)
    assert len(open_(sealed)) == MAX_BYTES
    with pytest.raises(SettingsError) as caught:
        seal_plaintext(Secret(bytes(MAX_BYTES + 1)), SEAL, data_hash="", origin=HERE, now=NOW)
    assert caught.value.field == "seal_plaintext"


def test_outside_any_task() -> None:
    sealed = seal_plaintext(PLAINTEXT, SEAL, data_hash="", origin=Origin(), now=NOW)
    assert open_(sealed, Origin()) == PLAINTEXT
    with pytest.raises(CiphertextError, match="was sealed in run"):
        open_(sealed)


def test_contents_by_somebody_who_may_seal_are_what_they_say() -> None:
    """Facts decide where it may be read, and the seal that nobody else wrote them."""
    facts = {key: value for key, value in FACTS.items() if key not in ("seal", "run_id")}
    assert open_(
        seal_with_facts({**facts, "run_id": "run 2"}, PLAINTEXT, SEAL), replace(READER, run_id="run 2")
    )
