"""Where plaintext goes, in DAG runs: into a file, into a store, sealed through XCom, or in clear."""

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task

from lit_airflow import LitClient
from lit_airflow.devnet import Devnet
from lit_airflow.hooks import LitHook
from lit_airflow.operators import LitDecryptOperator, LitSessionSigsOperator
from lit_airflow.provider import files
from tests.airflow.running import Run, make_dag, run_dag
from tests.vault.parts import Bao, Connections, conditions_for

pytestmark = pytest.mark.usefixtures("database", "connections")


def sealing(dag_id: str, encrypted: dict[str, Any], *, seals: str, opens: str) -> DAG:
    """One task decrypts and seals, two open."""
    with make_dag(dag_id) as dag:
        session = LitSessionSigsOperator(task_id="session", encrypted=encrypted, lit_conn_id="lit_renewer")
        sealed = LitDecryptOperator(
            task_id="decrypt",
            encrypted=encrypted,
            session=session.output,
            seal_plaintext=True,
            lit_conn_id=seals,
        )

        @task
        def count(sealed: Any) -> int:  # noqa: ANN401 - a sealed plaintext
            return len(LitHook(opens).open_plaintext(sealed))

        @task.lit(session=session.output, lit_conn_id=opens)
        def words(lit: Any, sealed: Any) -> int:  # noqa: ANN401 - OpenSession, and a sealed plaintext
            return len(lit.open(sealed).split())

        count(sealed.output)
        words(sealed.output)
    return dag


@pytest.fixture
def sealer(bao: Bao, connections: Connections) -> str:
    policy = """
        path "transit/encrypt/lit-sessions" { capabilities = ["update"] }
        path "transit/decrypt/lit-sessions" { capabilities = ["update"] }
    """
    connections.vault("vault_sealer", bao.port, bao.role("sealer", policy))
    connections.lit("lit_sealer", "vault_sealer")
    return "lit_sealer"


def test_plaintext_crosses_xcom_sealed(container: dict[str, Any], sealer: str) -> None:
    run = run_dag(sealing("plaintext_sealed", container, seals=sealer, opens="lit_consumer"))
    assert run.states() == dict.fromkeys(("session", "decrypt", "count", "words"), "success")
    assert (run.xcom("count"), run.xcom("words")) == (13, 2)
    assert run.xcom("decrypt")["what"] == "plaintext"
    assert run.rendered("count")["op_args"][0] == run.xcom("decrypt")
    stored = json.dumps([[run.xcom(task_id), run.rendered(task_id)] for task_id in run.states()])
    assert "plaintext" in stored
    assert "the plaintext" not in stored


def test_a_consumer_that_may_not_seal_fails_at_once_and_says_why(
    container: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_dag(sealing("plaintext_denied", container, seals="lit_consumer", opens="lit_consumer"))
    assert run.states()["decrypt"] == "failed"
    shown = "".join(capsys.readouterr())
    assert "Sealing plaintext needs update on transit/encrypt/lit-sessions" in shown
    assert "the plaintext" not in shown


def into(dag_id: str, encrypted: object, output_path: str) -> Run:
    with make_dag(dag_id) as dag:
        session = LitSessionSigsOperator(task_id="session", encrypted=encrypted, lit_conn_id="lit_renewer")  # type: ignore[arg-type]
        LitDecryptOperator(
            task_id="decrypt",
            encrypted=encrypted,  # type: ignore[arg-type]
            session=session.output,
            output_path=output_path,
            lit_conn_id="lit_consumer",
        )
    return run_dag(dag)


def test_plaintext_goes_into_object_storage(container: dict[str, Any], memory: str) -> None:
    files.write(f"{memory}/in.lit.json", json.dumps(container).encode())
    run = into("plaintext_stored", f"{memory}/in.lit.json", f"{memory}/deep/out")
    assert run.state == "success"
    assert run.xcom("decrypt") == f"{memory}/deep/out"
    assert files.read(f"{memory}/deep/out") == b"the plaintext"


def test_what_cannot_be_decrypted_leaves_the_place_as_it_was(
    bao: Bao, net: Devnet, tmp_path: Path, memory: str, dag_id: str
) -> None:
    conditions = conditions_for("0x" + "12" * 20)  # not our wallet's
    container = {**LitClient(net.description).encrypt(b"not for us", conditions), **conditions}
    assert bao
    for number, place in enumerate((str(tmp_path), memory)):
        files.write(f"{place}/out", b"yesterday's")
        run = into(f"{dag_id}_{number}", container, f"{place}/out")
        assert run.states() == {"session": "success", "decrypt": "failed"}
        assert files.read(f"{place}/out") == b"yesterday's"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
