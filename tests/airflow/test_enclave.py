"""Verifying the service's build, in DAG runs against a local service in a made-up enclave."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from lit_airflow.assets import enclave_asset
from lit_airflow.hooks import LitHook
from lit_airflow.networks.chipotle import guarded
from lit_airflow.networks.chipotle.tdx import QuoteVerifier
from lit_airflow.operators import LitSessionSigsOperator, LitVerifyEnclaveOperator
from lit_airflow.provider.sessions_page import Row, render
from lit_airflow.sandbox.vault_server import KV_MOUNT, KV_PATH
from tests.airflow.running import Run, make_dag, run_dag
from tests.airflow.test_example_dags import example
from tests.client.chipotle.attested import Attested, attested_service
from tests.vault.parts import Bao

pytestmark = pytest.mark.usefixtures("database")

ALLOW = ["access-control-condition-decryption=lit-accesscontrolcondition://" + "ab" * 32 + "/" + "cd" * 32]


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attested]:
    with attested_service(tmp_path, monkeypatch) as running:
        root = running.enclave.root_der
        monkeypatch.setattr(guarded, "QuoteVerifier", lambda accepted, _: QuoteVerifier(accepted, root))
        yield running


@pytest.fixture
def connect(service: Attested, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make a connection to the service; it pins the build that runs now."""

    def made(conn_id: str, policy: str, **changes: object) -> None:
        extra = {
            "network": "chipotle",
            "api_url": service.net.description["api_url"],
            "gate_key": service.net.description["gate_key"],
            "attestation": policy,
            "compose_hash": service.enclave.compose_hash,
            "collateral": str(service.collateral),
            "vault_conn_id": "vault_renewer",
            **changes,
        }
        connection = json.dumps({"conn_type": "lit", "extra": extra})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection)

    return made


def events(conn_id: str) -> Sequence[dict[str, Any]]:
    """The events of the asset, as Airflow has stored them."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(AssetEvent).join(AssetModel, AssetEvent.asset_id == AssetModel.id)
        found = session.scalars(
            query.where(AssetModel.uri == enclave_asset(conn_id).uri).order_by(AssetEvent.id)
        )
        return [dict(event.extra) for event in found]


def facts(run: Run) -> dict[str, Any]:
    """What the session task pushed for the page."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        query = XComModel.get_many(key="lit_session", dag_ids=run.dag_run.dag_id, run_id=run.dag_run.run_id)
        found: dict[str, Any] = XComModel.deserialize_value(session.execute(query).scalars().one())
        return found


def test_the_example_announces_a_build_that_changed(service: Attested, connect: Callable[..., None]) -> None:
    connect("lit_consumer", "require")
    first = run_dag(example("lit_verify_enclave").lit_verify_enclave()).xcom("verify")
    assert (first["build"], first["accepted"]) == (service.enclave.compose_hash, True)
    assert run_dag(example("lit_verify_enclave").lit_verify_enclave()).xcom("verify")["changed"] is False
    assert events("lit_consumer") == []
    compose = str(service.enclave.compose["docker_compose_file"]).replace("1a", "3c")
    service.enclave.compose = {**service.enclave.compose, "docker_compose_file": compose}
    run = run_dag(example("lit_verify_enclave").lit_verify_enclave())
    assert run.state == "success"
    found = run.xcom("verify")
    assert (found["changed"], found["accepted"], found["previous_build"]) == (True, False, first["build"])
    (event,) = events("lit_consumer")
    assert (event["build"], event["previous_build"]) == (service.enclave.compose_hash, first["build"])
    assert run_dag(example("lit_verify_enclave").lit_verify_enclave()).xcom("verify")["changed"] is False
    assert len(events("lit_consumer")) == 1
    consumer = example("lit_verify_enclave").lit_enclave_changed()
    assert list(consumer.timetable.asset_condition.objects) == [enclave_asset("lit_consumer")]


def verifying(dag_id: str, conn_id: str) -> DAG:
    with make_dag(dag_id) as dag:
        LitVerifyEnclaveOperator(task_id="verify", lit_conn_id=conn_id, retries=3)
    return dag


def test_a_broken_link_fails_without_retry(
    service: Attested, connect: Callable[..., None], dag_id: str
) -> None:
    connect("lit_broken", "off")
    service.enclave.renew_certificate(attested=False)
    run = run_dag(verifying(dag_id, "lit_broken"))
    assert run.states() == {"verify": "failed"}
    assert run.task("verify").try_number == 1
    assert events("lit_broken") == []


def test_the_first_run_announces_a_build_that_is_not_accepted(
    connect: Callable[..., None], dag_id: str
) -> None:
    connect("lit_first", "report", compose_hash="00" * 32)
    assert run_dag(verifying(dag_id, "lit_first")).xcom("verify")["changed"] is True
    assert [event["accepted"] for event in events("lit_first")] == [False]


def test_what_others_write_into_xcom_is_not_passed_on(
    service: Attested, connect: Callable[..., None], dag_id: str
) -> None:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    assert service
    connect("lit_edited", "require")
    run_dag(verifying(dag_id, "lit_edited"))
    with create_session() as session:
        theirs = {"build": "x" * 100_000, "machine": ["\n\x1b[2J"]}
        ours = (XComModel.dag_id == dag_id) & (XComModel.key == "return_value")
        session.execute(update(XComModel).where(ours).values(value=theirs))
    found = run_dag(verifying(dag_id, "lit_edited")).xcom("verify")
    assert (found["previous_build"], found["previous_machine"], found["changed"]) == ("", "", False)


def test_a_network_that_proves_no_build(monkeypatch: pytest.MonkeyPatch, dag_id: str) -> None:
    extra = json.dumps({"conn_type": "lit", "extra": {"network": "datil-dev"}})
    monkeypatch.setenv("AIRFLOW_CONN_LIT_OTHER", extra)
    assert run_dag(verifying(dag_id, "lit_other")).state == "failed"
    assert LitHook("lit_other").client.attestation is None


@pytest.fixture
def vault(bao: Bao, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Vault connection of the role that has the wallet."""
    connection = {
        "conn_type": "vault",
        "host": "127.0.0.1",
        "port": bao.port,
        "schema": KV_MOUNT,
        "login": bao.renewer.role_id,
        "password": bao.renewer.secret_id.reveal().decode(),
        "extra": {"auth_type": "approle", "kv_engine_version": 2, "use_tls": False},
    }
    monkeypatch.setenv("AIRFLOW_CONN_VAULT_RENEWER", json.dumps(connection))


@pytest.mark.usefixtures("vault")
@pytest.mark.parametrize(
    ("case", "state"),
    [
        ("off", "not verified"),
        ("report", "verified"),
        ("report broken", "failed"),
        ("require", "verified"),
        ("require broken", None),
    ],
)
def test_a_session_says_what_was_verified(
    service: Attested, connect: Callable[..., None], dag_id: str, case: str, state: str | None
) -> None:
    policy, _, breaks = case.partition(" ")
    connect("lit_renewer", policy, vault_path=KV_PATH)
    if breaks:
        service.enclave.renew_certificate(attested=False)
    with make_dag(dag_id) as dag:
        LitSessionSigsOperator(task_id="session", allow=ALLOW, lit_conn_id="lit_renewer")
    run = run_dag(dag)
    if state is None:
        assert run.states() == {"session": "failed"}
        assert service.received() == []
        return
    found = facts(run)
    assert found["attestation"] == state
    row = partial(Row, run_id="r", task_id="session", map_index=-1, at=datetime.now(UTC), dag_id=dag_id)
    assert f"build {state}" in render([row(value=found)], [], now=datetime.now(UTC))
