"""Sessions whose wallet signs elsewhere, in DAG runs: the role cannot read the key, and no task ever has it."""

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from lit_airflow.operators import LitDecryptOperator, LitSessionSigsOperator
from lit_airflow.sandbox.vault_server import POLICIES
from tests.airflow.running import make_dag, run_dag
from tests.vault.parts import KEY_READ, LOGIN, OPENED, SEALED, Bao, Connections, forms
from tests.vault.signing import RefusedError, Signing, signing_server

pytestmark = pytest.mark.usefixtures("database", "connections")

SIGNS = 'path "ethereum/accounts/lit/sign" { capabilities = ["create", "update"] }'


@pytest.fixture
def signing(bao: Bao, connections: Connections) -> Iterator[Signing]:
    """The wallet at a signer; the renewer's role may use it, and not read the key."""
    with signing_server(bao.key.reveal(), vault=bao.address) as server:
        policy = POLICIES["lit-renewer"].replace(f'path "{KEY_READ}"', 'path "nothing"') + SIGNS
        connections.vault("vault_renewer", server.port, bao.role("signing-dag", policy))
        yield server


def connect(connections: Connections, signing: Signing, kind: str) -> None:
    fields: dict[str, object] = {"signer": "vault", "vault_path": "ethereum/accounts/lit"}
    if kind != "vault":
        fields = {"signer": kind, "signer_url": f"http://127.0.0.1:{signing.port}"}
    connections.lit("lit_renewer", wallet_address=signing.key.public_key.to_address(), **fields)


def job(dag_id: str, container: dict[str, Any], target: Path) -> DAG:
    with make_dag(dag_id, retries=1, retry_delay=timedelta(0)) as dag:
        session = LitSessionSigsOperator(task_id="session", encrypted=container, lit_conn_id="lit_renewer")
        LitDecryptOperator(
            task_id="decrypt",
            encrypted=container,
            session=session.output,
            output_path=str(target),
            lit_conn_id="lit_consumer",
        )
    return dag


@pytest.mark.parametrize("kind", ["vault", "web3signer", "eth_sign"])
def test_the_whole_job(  # noqa: PLR0917 - fixtures
    bao: Bao,
    connections: Connections,
    signing: Signing,
    container: dict[str, Any],
    tmp_path: Path,
    dag_id: str,
    kind: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    connect(connections, signing, kind)
    with bao.watched() as paths:
        run = run_dag(job(dag_id, container, tmp_path / "out"))
    assert run.states() == {"session": "success", "decrypt": "success"}
    assert (tmp_path / "out").read_bytes() == b"the plaintext"
    assert [path for path in paths if not path.startswith("sys/")] == [LOGIN, SEALED, LOGIN, OPENED]
    left = json.dumps([run.xcom("session"), run.rendered("decrypt")]) + "".join(capfd.readouterr())
    [asked] = [body for method, path, body in signing.seen if body and "sign" in path + str(body)]
    assert asked
    assert not [form for form in forms(bao.key.reveal()) if form in left.encode()]

    seen = len(signing.seen)
    again = run_dag(job(dag_id, container, tmp_path / "out"))
    key = "session_public_key"
    assert again.xcom("session")[key] == run.xcom("session")[key]
    assert len(signing.seen) == seen  # a ticket that fits needs no signature


def test_a_signer_that_lies_fails_the_task_at_once(
    connections: Connections, signing: Signing, container: dict[str, Any], tmp_path: Path, dag_id: str
) -> None:
    connect(connections, signing, "web3signer")
    signing.altered = lambda signature: signature[:-2] + ("1b" if signature.endswith("1c") else "1c")
    run = run_dag(job(dag_id, container, tmp_path / "out"))
    assert run.states() == {"session": "failed", "decrypt": "upstream_failed"}
    assert run.task("session").try_number == 1
    assert len([path for _, path, _ in signing.seen if "/sign/" in path]) == 1


def test_a_signer_that_is_away_is_worth_another_try(
    connections: Connections, signing: Signing, container: dict[str, Any], tmp_path: Path, dag_id: str
) -> None:
    connect(connections, signing, "web3signer")
    asked = count()

    def alter(signature: str) -> str:
        if next(asked) < 3:  # as often as one task asks
            raise RefusedError(503)
        return signature

    signing.altered = alter
    run = run_dag(job(dag_id, container, tmp_path / "out"))
    assert run.states() == {"session": "success", "decrypt": "success"}
    assert run.task("session").try_number == 2
