"""The example DAGs as they stand in ``dags/``, and what else operators do, with Chipotle behind the connections."""

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.hooks import LitHook
from lit_airflow.operators import (
    LitDecryptManyOperator,
    LitDecryptOperator,
    LitEncryptOperator,
    LitKeepAliveOperator,
    LitSessionSigsOperator,
)
from lit_airflow.provider import sessions_page
from lit_airflow.sandbox.examples import example_dags
from tests.airflow.running import Run, make_dag, run_dag
from tests.airflow.test_example_dags import ORDERS, example
from tests.airflow.test_lineage import emitted, names, tags
from tests.airflow.test_plaintext import sealing
from tests.airflow.test_telemetry import Metrics, metrics
from tests.pipelines.conftest import GATE_PATH, READS_GATE
from tests.vault.parts import KEY_READ, Bao, Connections, conditions_for

__all__ = ["metrics"]

pytestmark = pytest.mark.usefixtures("database", "chipotle_connections")

FEW = 12
"""Orders of the example's data set that are encrypted here; each part of them is a task of its own."""


@pytest.fixture
def dag_of(bao: Bao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], DAG]:
    """A DAG of an example file, the Variables set that the files ask for."""
    orders = tmp_path / "orders.csv"
    orders.write_text("\n".join(ORDERS.read_text().splitlines()[: FEW + 1]) + "\n")
    container = LitHook("lit_consumer").encrypt(orders.read_bytes(), conditions_for(bao.wallet.address))
    encrypted = tmp_path / "orders.csv.lit.json"
    encrypted.write_text(json.dumps(container))
    monkeypatch.setenv("AIRFLOW_VAR_LIT_ORDERS_ENCRYPTED", str(encrypted))
    monkeypatch.setenv("AIRFLOW_VAR_LIT_ORDERS_PLAINTEXT", str(tmp_path / "opened.csv"))
    monkeypatch.setenv("AIRFLOW_VAR_LIT_LARGE_FOLDER", str(tmp_path / "large"))
    monkeypatch.setenv("AIRFLOW_VAR_LIT_WALLET", bao.wallet.address)
    return lambda file, dag_id: getattr(example(file), dag_id)()


@pytest.fixture
def sealed(bao: Bao) -> dict[str, Any]:
    """A container for the wallet in Vault."""
    return LitHook("lit_consumer").encrypt(b"the plaintext", conditions_for(bao.wallet.address))


def test_every_example_is_run_on_chipotle() -> None:
    """Here, in ``test_actions.py``, ``test_rotation.py``, and ``tests/airflow/test_enclave.py``."""
    assert {file.stem for file in example_dags().glob("*.py")} == {
        "lit_decrypt_report",
        "lit_large_file",
        "lit_mapped_decryptions",
        "lit_rotate_api_key",
        "lit_run_action",
        "lit_session_refresh",
        "lit_sign_report",
        "lit_time_lock",
        "lit_verify_enclave",
    }


def test_a_report_with_its_metrics_and_its_session_on_the_page(
    dag_of: Callable[[str, str], DAG], metrics: Metrics, chipotle: Chipotle
) -> None:
    run = run_dag(dag_of("lit_decrypt_report", "lit_decrypt_report"))
    assert run.states() == dict.fromkeys(("session", "decrypt", "report"), "success")
    assert run.xcom("report")["rows"] == FEW
    counted = metrics.read()
    assert (counted["lit.session.made"], counted["lit.decrypts"]) == (1, 1)
    ticket = run.xcom("session")
    now = run.dag_run.end_date
    row = sessions_page.Row("lit_decrypt_report", run.dag_run.run_id, "session", -1, now, ticket)
    html = sessions_page.render([row], [], now=now)
    assert ticket["wallet"] in html
    assert "chipotle" in html
    assert ticket["sealed"] not in html
    assert chipotle.description["gate_key"] not in json.dumps(run.rendered("decrypt"))


def test_mapped_decryptions_add_up(bao: Bao, dag_of: Callable[[str, str], DAG]) -> None:
    with bao.watched() as paths:
        run = run_dag(dag_of("lit_mapped_decryptions", "lit_mapped_decryptions"))
    assert run.state == "success"
    rows = list(csv.DictReader(ORDERS.read_text().splitlines()[: FEW + 1]))
    total = sum(int(row["quantity"]) * Decimal(row["unit_price"]) for row in rows)
    assert Decimal(str(run.xcom("total"))) == total
    mapped = [task for task in run.dag_run.get_task_instances() if task.task_id == "revenue"]
    assert len(mapped) == len({(row["region"], row["date"][:7]) for row in rows}) > 1
    assert paths.count(KEY_READ) == 2


def test_a_session_is_kept_fresh_and_asked_for_by_name(bao: Bao, dag_of: Callable[[str, str], DAG]) -> None:
    refresh = dag_of("lit_session_refresh", "lit_session_refresh")
    with bao.watched() as paths:
        assert run_dag(refresh).state == "success"
        assert run_dag(refresh).state == "success"
    assert paths.count(KEY_READ) == 1
    with bao.watched() as paths:
        run = run_dag(dag_of("lit_session_refresh", "lit_session_consumer"))
    assert run.xcom("count") == FEW
    assert KEY_READ not in paths


def test_a_time_lock_is_waited_for_in_the_triggerer(dag_of: Callable[[str, str], DAG]) -> None:
    run = run_dag(
        dag_of("lit_time_lock", "lit_time_lock"), run_conf={"opens_in_s": 4, "message": "Good morning."}
    )
    assert (run.state, run.xcom("decrypt")) == ("success", "Good morning.")
    assert run.task("wait").next_method is None


def test_a_large_file_comes_back_as_it_was(tmp_path: Path, dag_of: Callable[[str, str], DAG]) -> None:
    run = run_dag(dag_of("lit_large_file", "lit_large_file"), run_conf={"megabytes": 3})
    assert run.states() == dict.fromkeys(("make", "encrypt", "session", "decrypt", "compare"), "success")
    assert (tmp_path / "large" / "opened").stat().st_size == 3_000_000


def test_plaintext_crosses_xcom_sealed(
    bao: Bao, chipotle_connections: Connections, sealed: dict[str, Any], dag_id: str
) -> None:
    policy = f"""{READS_GATE}
        path "transit/encrypt/lit-sessions" {{ capabilities = ["update"] }}
    """
    chipotle_connections.vault("vault_gate_sealer", bao.port, bao.role("gate-sealer", policy))
    consumer = LitHook("lit_consumer").get_connection("lit_consumer").extra_dejson
    chipotle_connections.lit("lit_sealer", **{**consumer, "vault_conn_id": "vault_gate_sealer"})
    assert consumer["api_key_path"] == GATE_PATH
    run = run_dag(sealing(dag_id, sealed, seals="lit_sealer", opens="lit_consumer"))
    assert run.states() == dict.fromkeys(("session", "decrypt", "count", "words"), "success")
    assert (run.xcom("count"), run.xcom("words")) == (13, 2)
    stored = json.dumps([[run.xcom(task_id), run.rendered(task_id)] for task_id in run.states()])
    assert "the plaintext" not in stored


def kept(dag_id: str, container: dict[str, Any]) -> Run:
    """A short session; a task that keeps it alive renews it at once, and another one uses it by its name."""
    of = {"encrypted": container, "name": dag_id, "lit_conn_id": "lit_renewer"}
    uses = {"encrypted": container, "session": dag_id, "push_plaintext": True, "lit_conn_id": "lit_consumer"}
    with make_dag(dag_id) as dag:
        session = LitSessionSigsOperator(task_id="session", ttl_s=900, lead_s=300, **of)
        work = LitDecryptOperator(task_id="work", **uses)
        keep = LitKeepAliveOperator(task_id="keep", until=["work"], ttl_s=7200, lead_s=3600, poll_s=0.2, **of)
        session >> work >> keep >> LitDecryptOperator(task_id="after", **uses)
    return run_dag(dag)


def test_a_session_is_kept_alive(bao: Bao, sealed: dict[str, Any], dag_id: str) -> None:
    with bao.watched() as paths:
        run = kept(dag_id, sealed)
    assert run.states() == dict.fromkeys(("session", "work", "keep", "after"), "success")
    assert run.xcom("work") == run.xcom("after") == "the plaintext"
    assert paths.count(KEY_READ) == 2
    published: Any = LitHook("lit_consumer").sessions.store().read(dag_id).ticket
    assert published["expires_at"] > run.xcom("session")["expires_at"]


def test_lineage_names_files_and_conditions(bao: Bao, tmp_path: Path) -> None:
    given, encrypted, opened = tmp_path / "in", tmp_path / "in.lit.json", tmp_path / "out"
    given.write_bytes(b"the plaintext")
    consumer = {"lit_conn_id": "lit_consumer"}
    encrypting = LitEncryptOperator(
        task_id="e",
        input_path=given,
        output_path=encrypted,
        conditions=conditions_for(bao.wallet.address),
        **consumer,
    )
    event = emitted(encrypting, tmp_path / "log")
    assert names(event["outputs"]) == [("file", str(encrypted))]
    container = json.loads(encrypted.read_text())
    renewer = LitHook("lit_renewer")
    session = dict(renewer.make_ticket(renewer.open_session(renewer.scope_of(container))))
    expected = {"lit.decrypted": "true", "lit.network": "chipotle"}
    for operator in (
        LitDecryptOperator(task_id="d", encrypted=encrypted, session=session, output_path=opened, **consumer),
        LitDecryptManyOperator(
            task_id="m", encrypted=f"{tmp_path}/*.lit.json", session=session, output_dir=tmp_path, **consumer
        ),
    ):
        event = emitted(operator, tmp_path / "log")
        assert names(event["inputs"]) == [("file", str(encrypted))]
        found = tags(event["outputs"][0])
        assert {name: found[name] for name in expected} == expected
    assert opened.read_bytes() == b"the plaintext"
    assert container["gate"] not in (tmp_path / "log").read_text()
