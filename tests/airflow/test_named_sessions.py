"""Sessions under a name, across DAGs, in DAG runs on a real network and a real Vault server."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import DAG, Asset, task

from lit_airflow.assets import checked_uri, enclave_asset, session_asset
from lit_airflow.errors import SettingsError
from lit_airflow.operators import LitDecryptOperator, LitSessionSigsOperator
from tests.airflow.running import make_dag, run_dag
from tests.vault.parts import KEY_READ, LOGIN, OPENED, SEALED, Bao

pytestmark = pytest.mark.usefixtures("database", "connections")


def published(name: str) -> str:
    return f"secret/data/lit/sessions/{name}"


def metadata(name: str) -> str:
    return f"secret/metadata/lit/sessions/{name}"


def publishing(dag_id: str, name: str, container: dict[str, Any]) -> DAG:
    with make_dag(dag_id) as dag:
        LitSessionSigsOperator(task_id="session", encrypted=container, name=name, lit_conn_id="lit_renewer")
    return dag


def asking(dag_id: str, name: str, container: dict[str, Any]) -> DAG:
    with make_dag(dag_id) as dag:
        LitDecryptOperator(
            task_id="decrypt",
            encrypted=container,
            session=name,
            push_plaintext=True,
            lit_conn_id="lit_consumer",
        )

        @task.lit(session=name, lit_conn_id="lit_consumer")
        def shout(lit: Any) -> list[str]:  # noqa: ANN401 - OpenSession
            assert lit.client is lit.hook.client
            assert lit.session is lit.held.session
            return [lit.decrypt(container).decode().upper(), lit.session.wallet]

        shout()
    return dag


def events(name: str) -> Sequence[Any]:
    """The asset's events, as Airflow has stored them."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(AssetEvent).join(AssetModel, AssetEvent.asset_id == AssetModel.id)
        found = session.scalars(
            query.where(AssetModel.uri == f"lit://sessions/{name}").order_by(AssetEvent.id)
        )
        return [event.extra for event in found]


def test_one_dag_publishes_and_another_asks_by_name(bao: Bao, container: dict[str, Any]) -> None:
    with bao.watched() as paths:
        first = run_dag(publishing("refresh", "invoices", container))
    assert first.state == "success"
    name = published("invoices")
    assert paths == [LOGIN, name, KEY_READ, SEALED, metadata("invoices"), name]
    with bao.watched() as paths:
        run = run_dag(asking("asks", "invoices", container))
    assert run.states() == {"decrypt": "success", "shout": "success"}
    assert run.xcom("decrypt") == "the plaintext"
    assert run.xcom("shout") == ["THE PLAINTEXT", bao.wallet.address]
    assert sorted(paths) == sorted([LOGIN, name, OPENED] * 2)  # and the key was not read
    assert run.rendered("decrypt")["session"] == "invoices"


def test_a_published_session_is_passed_on_also_by_another_dag(bao: Bao, container: dict[str, Any]) -> None:
    first = run_dag(publishing("refresh_a", "shared", container)).xcom("session")
    assert first["made_by"] == "refresh_a.session"
    with bao.watched() as paths:
        second = run_dag(publishing("refresh_b", "shared", container)).xcom("session")
    assert second == first
    assert paths == [LOGIN, published("shared"), OPENED]


def test_each_success_is_an_event_with_public_facts(bao: Bao, container: dict[str, Any]) -> None:
    dag = publishing("eventful", "eventful", container)
    ticket = run_dag(dag).xcom("session")
    run_dag(dag)
    facts = {
        "network": "custom",
        "wallet": bao.wallet.address,
        "expires_at": ticket["expires_at"],
    }
    assert events("eventful") == [{**facts, "renewed": True}, {**facts, "renewed": False}]


class Crashing(LitSessionSigsOperator):
    """Ends at its first try when all is done in Vault, and nothing in XCom."""

    def execute(self, context: Any) -> Any:  # noqa: ANN401 - Airflow's interface
        ticket = super().execute(context)
        if context["ti"].try_number == 1:
            raise RuntimeError("the worker is gone")
        return ticket


@pytest.mark.parametrize(("name", "reads"), [("crashing", 1), ("", 2)])
def test_a_crash_between_vault_and_xcom_costs_a_retry(
    bao: Bao, container: dict[str, Any], name: str, reads: int
) -> None:
    with make_dag(f"crash_{reads}", retries=1, retry_delay=0) as dag:
        session = Crashing(task_id="session", encrypted=container, name=name, lit_conn_id="lit_renewer")
        LitDecryptOperator(
            task_id="decrypt",
            encrypted=container,
            session=session.output,
            push_plaintext=True,
            lit_conn_id="lit_consumer",
        )
    with bao.watched() as paths:
        run = run_dag(dag)
    assert (run.state, run.xcom("decrypt")) == ("success", "the plaintext")
    assert run.task("session").try_number == 2
    assert paths.count(KEY_READ) == reads  # what the first try published, the second passes on


def test_a_name_that_nobody_publishes_is_tried_again(container: dict[str, Any]) -> None:
    dag = asking("lonely", "nobody", container)
    for each in dag.tasks:
        each.retries, each.retry_delay = 1, 0
    run = run_dag(dag)
    assert run.states() == {"decrypt": "failed", "shout": "failed"}
    assert run.task("decrypt").try_number == 2  # the publisher may come in between


@pytest.mark.parametrize("name", ["../wallet", "a/b", "{{ ds }}"])
def test_a_name_that_cannot_be_is_refused_when_the_dag_is_read(name: str) -> None:
    with pytest.raises(SettingsError):
        LitSessionSigsOperator(task_id="session", allow=[], name=name)


def test_the_asset_has_the_sessions_uri() -> None:
    asset = session_asset("reports")
    assert asset.uri == "lit://sessions/reports"
    with make_dag("outlets"):
        outlets = LitSessionSigsOperator(task_id="session", allow=[], name="reports").outlets
    assert outlets == [asset]


@pytest.mark.parametrize(
    "uri", ["lit://sessions/", "lit://sessions/a/b", "lit://other/reports", "lit://sessions/x?y=1"]
)
def test_a_uri_of_no_session_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"published"):
        checked_uri(urlsplit(uri))


def test_airflow_finds_the_handler_of_the_scheme() -> None:
    assert Asset(uri="lit://sessions/reports/").uri == "lit://sessions/reports"
    with pytest.raises(ValueError, match=r"lit://sessions"):
        Asset(uri="lit://other/reports")


def test_the_asset_of_a_build_has_an_airflow_uri() -> None:
    assert enclave_asset("lit_consumer").uri == "lit://enclaves/lit_consumer"
    assert Asset(uri="lit://enclaves/lit_consumer/").uri == "lit://enclaves/lit_consumer"
    with pytest.raises(SettingsError, match=r'the build behind the connection "team/lit"'):
        enclave_asset("team/lit")
    for wrong in ("lit://enclaves/", "lit://enclaves/a/b", "lit://enclave/a", "lit://enclaves/a?b=1"):
        with pytest.raises(ValueError, match=r"lit://sessions|cannot be published as"):
            Asset(uri=wrong)
