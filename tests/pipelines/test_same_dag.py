"""One DAG, unchanged, on Datil and on Chipotle: only the connection differs."""

import functools
import operator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task

from lit_airflow import Conditions
from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.errors import CiphertextError
from lit_airflow.hooks import LitHook
from lit_airflow.networks.contract import Verdict
from lit_airflow.operators import (
    LitDecryptManyOperator,
    LitDecryptOperator,
    LitEncryptOperator,
    LitSessionSigsOperator,
)
from lit_airflow.provider.doctor import examine
from lit_airflow.sensors import LitConditionSensor
from tests.airflow.running import Run, make_dag, run_dag
from tests.vault.parts import Bao

pytestmark = pytest.mark.usefixtures("database")

RENEWER = {"lit_conn_id": "lit_renewer"}
CONSUMER = {"lit_conn_id": "lit_consumer"}


@pytest.fixture(params=["datil", "chipotle"])
def network(request: pytest.FixtureRequest) -> str:
    """Each network in turn, as the connections name it."""
    request.getfixturevalue("connections" if request.param == "datil" else "chipotle_connections")
    return {"datil": "custom", "chipotle": "chipotle"}[request.param]


def pipeline(dag_id: str, folder: Path, conditions: dict[str, Any]) -> DAG:
    plain, large = folder / "plain.csv", folder / "large.csv"
    plain.write_text("the plaintext")
    large.write_bytes(b"0123456789abcdef" * 100_000)
    with make_dag(dag_id) as dag:
        sealed = [
            LitEncryptOperator(
                task_id=f"encrypt_{path.stem}",
                input_path=path,
                output_path=path.with_suffix(".csv.lit.json"),
                conditions=conditions,
                **CONSUMER,
            )
            for path in (plain, large)
        ]
        session = LitSessionSigsOperator(
            task_id="session", encrypted=f"{folder}/*.lit.json", name=dag_id, **RENEWER
        )
        wait = LitConditionSensor(task_id="wait", encrypted=sealed[0].output, session=dag_id, **CONSUMER)
        decrypt = LitDecryptOperator(
            task_id="decrypt", encrypted=sealed[0].output, session=dag_id, push_plaintext=True, **CONSUMER
        )
        many = LitDecryptManyOperator(
            task_id="many",
            encrypted=f"{folder}/*.lit.json",
            session=dag_id,
            output_dir=folder / "out",
            **CONSUMER,
        )

        @task.lit(session=dag_id, **CONSUMER)
        def use(lit: Any, paths: list[str]) -> list[int]:  # noqa: ANN401 - OpenSession
            return [len(outcome.result()) for outcome in lit.decrypt_many(paths)]

        sealed >> session >> wait >> [decrypt, many, use([each.output for each in sealed])]
    return dag


def run(dag_id: str, folder: Path, bao: Bao) -> Run:
    conditions = Conditions.for_wallet(bao.wallet.address).to_json()
    return run_dag(pipeline(dag_id, folder, conditions))


def test_the_same_dag(network: str, bao: Bao, dag_id: str, tmp_path: Path) -> None:
    done = run(dag_id, tmp_path, bao)
    assert set(done.states().values()) == {"success"}
    assert done.xcom("decrypt") == "the plaintext"
    assert done.xcom("use") == [13, 1_600_000]
    assert (tmp_path / "out" / "plain.csv").read_text() == "the plaintext"
    assert (tmp_path / "out" / "large.csv").stat().st_size == 1_600_000
    assert done.xcom("session")["network"] == network


def test_the_hook_and_doctor(network: str, bao: Bao) -> None:
    for conn_id in ("lit_renewer", "lit_consumer"):
        good, words = LitHook(conn_id).test_connection()
        assert good, words
        checks = list(examine(LitHook(conn_id)))
        assert [check for check in checks if check.verdict is Verdict.BAD] == []


def test_a_container_of_the_other_network_is_refused_by_name(
    bao: Bao, request: pytest.FixtureRequest
) -> None:
    conditions = Conditions.for_wallet(bao.wallet.address).to_json()
    request.getfixturevalue("connections")
    container = LitHook("lit_consumer").encrypt(b"Datil's", conditions)
    request.getfixturevalue("chipotle_connections")
    with pytest.raises(CiphertextError, match="custom"):
        LitHook("lit_consumer").scope_of(container)
    del container["network"]
    with pytest.raises(CiphertextError, match="names none"):
        LitHook("lit_consumer").scope_of(container)


def test_many_items_share_runs(chipotle_connections: object, chipotle: Chipotle, bao: Bao) -> None:
    hook = LitHook("lit_consumer")
    conditions = Conditions.for_wallet(bao.wallet.address).to_json()
    containers = [hook.encrypt(b"%d" % number, conditions) for number in range(50)]
    scope = functools.reduce(operator.or_, map(hook.scope_of, containers))
    session = LitHook("lit_renewer").open_session(scope)
    before = len(chipotle.bills)
    found = [outcome.result() for outcome in hook.decrypt_many(containers, session)]
    assert found == [b"%d" % number for number in range(50)]
    assert 1 <= hook.spending.runs <= len(chipotle.bills) - before
    assert len(chipotle.bills) - before <= 10  # two, unless the machine is so busy that runs take seconds
