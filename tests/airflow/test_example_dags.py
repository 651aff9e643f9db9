"""The example DAGs as they stand in ``dags/``, run in this process, on a real network and a real Vault server."""

import csv
import json
import subprocess
import sys
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


@pytest.fixture
def dag_of(
    bao: Bao, net: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], DAG]:
    """A DAG of an example file, the Variables set that the files ask for."""
    conditions = conditions_for(bao.wallet.address)
    encrypted = tmp_path / "orders.csv.lit.json"
    sealed = LitClient(net.description).encrypt(ORDERS.read_bytes(), conditions)
    encrypted.write_text(json.dumps({**sealed, **conditions}))
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


def test_mapped_decryptions_add_up(bao: Bao, dag_of: Callable[[str, str], DAG]) -> None:
    with bao.watched() as paths:
        run = run_dag(dag_of("lit_mapped_decryptions", "lit_mapped_decryptions"))
    assert run.state == "success"
    rows = list(csv.DictReader(ORDERS.read_text().splitlines()))
    total = sum(int(row["quantity"]) * Decimal(row["unit_price"]) for row in rows)
    found = Decimal(str(run.xcom("total")))  # out of the database, a text of digits comes as a number
    assert found == total
    parts = {(row["region"], row["date"][:7]) for row in rows}
    mapped = [task for task in run.dag_run.get_task_instances() if task.task_id == "revenue"]
    assert len(mapped) == len(parts) > 20
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


def test_each_example_says_what_it_is_and_parses_cheaply() -> None:
    """No cryptography, no Vault library, no HTTP is loaded to read one."""
    files = sorted(str(path) for path in FOLDER.glob("*.py"))
    script = f"""
import runpy, sys
heavy = {{"siwe", "web3", "eth_account", "hvac", "py_arkworks_bls12381", "requests"}}
for file in {files!r}:
    found = runpy.run_path(file)
    print(file, sorted(heavy & set(sys.modules)), len(found["__doc__"].split()) > 40)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-len(files) :] == [f"{file} [] True" for file in files]
