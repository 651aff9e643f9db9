"""The example DAGs as they stand in ``dags/``, run in this process, on a real network and a real Vault server."""

import ast
import csv
import json
from collections.abc import Callable
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from airflow.sdk import DAG

from lit_airflow import LitClient
from lit_airflow.devnet import Devnet
from lit_airflow.hooks import LitHook
from lit_airflow.sandbox.examples import example_dags
from tests.airflow.running import run_dag
from tests.vault.parts import KEY_READ, Bao, conditions_for

pytestmark = pytest.mark.usefixtures("database", "connections")

FOLDER = example_dags()
ORDERS = FOLDER / "data" / "orders.csv"
MONTHS = ("2026-01", "2026-07")
"""Those whose orders are decrypted in mapped tasks, one for each region; tests/installation does it with all."""


def seal(orders: str, file: Path, bao: Bao, net: Devnet) -> None:
    conditions = conditions_for(bao.wallet.address)
    container = LitClient(net.description).encrypt(orders.encode(), conditions)
    file.write_text(json.dumps({**container, **conditions}))


@pytest.fixture
def dag_of(
    bao: Bao, net: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], DAG]:
    """A DAG of an example file, the Variables set that the files ask for."""
    encrypted = tmp_path / "orders.csv.lit.json"
    seal(ORDERS.read_text(), encrypted, bao, net)
    monkeypatch.setenv("AIRFLOW_VAR_LIT_ORDERS_ENCRYPTED", str(encrypted))
    monkeypatch.setenv("AIRFLOW_VAR_LIT_ORDERS_PLAINTEXT", str(tmp_path / "orders.csv"))
    monkeypatch.setenv("AIRFLOW_VAR_LIT_LARGE_FOLDER", str(tmp_path / "large"))
    monkeypatch.setenv("AIRFLOW_VAR_LIT_WALLET", bao.wallet.address)

    def found(file: str, dag_id: str) -> DAG:
        spec = spec_from_file_location(file, FOLDER / f"{file}.py")
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        dag: DAG = getattr(module, dag_id)()
        return dag

    return found


def test_a_session_is_kept_fresh_and_asked_for_by_name(bao: Bao, dag_of: Callable[[str, str], DAG]) -> None:
    refresh = dag_of("lit_session_refresh", "lit_session_refresh")
    with bao.watched() as paths:
        assert run_dag(refresh).state == "success"
        assert run_dag(refresh).state == "success"
    assert paths.count(KEY_READ) == 1
    consumer = dag_of("lit_session_refresh", "lit_session_consumer")
    with bao.watched() as paths:
        run = run_dag(consumer)
    assert run.xcom("count") == 400
    assert KEY_READ not in paths


def test_the_consumer_waits_for_what_refresh_announces(dag_of: Callable[[str, str], DAG]) -> None:
    [outlet] = dag_of("lit_session_refresh", "lit_session_refresh").get_task("session").outlets
    consumer = dag_of("lit_session_refresh", "lit_session_consumer")
    assert consumer.timetable.asset_condition == outlet


def test_mapped_decryptions_add_up(
    bao: Bao, net: Devnet, tmp_path: Path, dag_of: Callable[[str, str], DAG]
) -> None:
    dag = dag_of("lit_mapped_decryptions", "lit_mapped_decryptions")
    head, *lines = ORDERS.read_text().splitlines()
    orders = [head, *(line for line in lines if line.split(",")[1][:7] in MONTHS)]
    seal("\n".join(orders), tmp_path / "orders.csv.lit.json", bao, net)
    with bao.watched() as paths:
        run = run_dag(dag)
    assert run.state == "success"
    rows = list(csv.DictReader(orders))
    total = sum(int(row["quantity"]) * Decimal(row["unit_price"]) for row in rows)
    found = Decimal(str(run.xcom("total")))  # out of the database, a text of digits comes as a number
    assert found == total
    parts = {(row["region"], row["date"][:7]) for row in rows}
    mapped = [task for task in run.dag_run.get_task_instances() if task.task_id == "revenue"]
    assert len(mapped) == len(parts) > 4
    assert paths.count(KEY_READ) == 2
    assert len(run.xcom("session_for_parts")["scope"]) == len(parts)


def test_a_time_lock_is_waited_for(dag_of: Callable[[str, str], DAG]) -> None:
    dag = dag_of("lit_time_lock", "lit_time_lock")
    run = run_dag(dag, run_conf={"opens_in_s": 5, "message": "Good morning."})
    assert run.state == "success"
    assert run.xcom("decrypt") == "Good morning."
    assert LitHook("lit_consumer").opens_at(run.xcom("lock")) is not None


def test_a_large_file_comes_back_as_it_was(tmp_path: Path, dag_of: Callable[[str, str], DAG]) -> None:
    run = run_dag(dag_of("lit_large_file", "lit_large_file"), run_conf={"megabytes": 5})
    assert run.states() == dict.fromkeys(("make", "encrypt", "session", "decrypt", "compare"), "success")
    assert len(run.xcom("compare")) == 64
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "large").iterdir()}
    assert sizes["plain"] == sizes["opened"] == 5_000_000
    assert 5_000_000 < sizes["sealed.lit"] < 5_002_000


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.stem)
def test_each_example_says_what_it_is(file: Path) -> None:
    """That reading one loads nothing heavy: tests/airflow/test_imports.py."""
    assert len((ast.get_docstring(ast.parse(file.read_text())) or "").split()) > 40
