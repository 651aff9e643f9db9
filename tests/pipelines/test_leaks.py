"""A DAG on Chipotle at DEBUG, with tasks that fail: no secret of the network is in what it leaves behind."""

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from airflow.sdk import task

from lit_airflow import Conditions
from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.errors import LitError
from lit_airflow.hooks import LitHook
from lit_airflow.operators import LitDecryptOperator
from lit_airflow.protocol.session import Session
from tests.airflow.running import Run, run_dag
from tests.client.chipotle.frames import shown_by
from tests.installation.leaks import Hunt, cells_of_sqlite, files_below, hex_secrets, session_secrets
from tests.pipelines.test_same_dag import CONSUMER, pipeline
from tests.vault.parts import Bao

pytestmark = pytest.mark.usefixtures("database", "chipotle_connections")


def network_secrets(chipotle: Chipotle) -> dict[str, bytes]:
    """API key, account key, and what the secret of decrypting roles holds for each gate and lock."""
    description = cast("Mapping[str, Any]", chipotle.description)
    found = {name: description[name].encode() for name in ("api_key", "account_key")}
    for gate in description["gates"].values():
        found |= hex_secrets("salt", gate["salt"])
    for secret in description["locks"].values():
        found |= hex_secrets("lock", secret)
    return found


def failing(dag_id: str, folder: Path, conditions: dict[str, Any]) -> Run:
    """The pipeline, and after it tasks that the gate, the lock and the client refuse."""
    dag = pipeline(dag_id, folder, conditions)
    stranger = Conditions.for_wallet("0x" + "7a" * 20).to_json()
    theirs = LitHook("lit_consumer").encrypt(b"for somebody else", stranger)
    ours = LitHook("lit_consumer").encrypt(b"for the wallet only", conditions)
    broken = {
        "not_covered": theirs,
        "unknown_gate": {**ours, "gate": "ab" * 32},
        "unknown_lock": {**ours, "lock": "ab" * 32},
        "altered": {**ours, "ciphertext": ours["ciphertext"][:-8] + "AAAAAAA="},
    }
    many = dag.get_task("many")
    with dag:
        for name, container in broken.items():
            refused = LitDecryptOperator(
                task_id=name, encrypted=container, session=dag_id, push_plaintext=True, **CONSUMER
            )
            refused.set_upstream(many)

        @task.lit(task_id="refused", session=dag_id, trigger_rule="all_done", **CONSUMER)
        def use(lit: Any) -> list[str]:  # noqa: ANN401 - OpenSession
            outcomes = list(lit.decrypt_many(list(broken.values())))
            return [type(outcome.error).__name__ for outcome in outcomes]

        use().operator.set_upstream(many)
    return run_dag(dag)


def test_no_secret_of_the_network_is_left_behind(
    *,
    bao: Bao,
    chipotle: Chipotle,
    dag_id: str,
    tmp_path: Path,
    airflow_home: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    done = failing(dag_id, tmp_path, Conditions.for_wallet(bao.wallet.address).to_json())
    states = done.states()
    assert states["decrypt"] == states["refused"] == "success"
    assert {states[name] for name in ("not_covered", "unknown_gate", "unknown_lock", "altered")} == {"failed"}
    secrets = network_secrets(chipotle) | hex_secrets("wallet key", bao.key.reveal().hex())
    published = LitHook("lit_consumer").hold(dag_id).session
    secrets |= session_secrets("published", cast("Session", published))
    hunt = Hunt(secrets)

    def places() -> Iterator[tuple[str, bytes]]:
        captured = capfd.readouterr()
        output = captured.out + captured.err
        assert "Decrypted" in output + caplog.text
        yield "output", output.encode()
        yield "log", caplog.text.encode()
        yield from cells_of_sqlite(airflow_home / "airflow.db")
        yield from ((name, content) for name, content in files_below(airflow_home) if ".db" not in name)
        for name in states:
            yield f"rendered fields of {name}", json.dumps(done.rendered(name), default=str).encode()
            yield f"XCom of {name}", json.dumps(done.xcom(name), default=str).encode()

    assert hunt.leaks(places()) == {}


@pytest.mark.parametrize("fault", ["unauthorized", "payment-required", "forbidden", "html", "other-shape"])
def test_no_error_of_the_service_carries_one(bao: Bao, chipotle: Chipotle, fault: str) -> None:
    """Local variables of all frames included, which some error trackers send away."""
    hook = LitHook("lit_consumer")
    container = hook.encrypt(b"a plaintext", Conditions.for_wallet(bao.wallet.address).to_json())
    session = cast("Session", LitHook("lit_renewer").open_session(hook.scope_of(container)))
    hunt = Hunt(network_secrets(chipotle) | session_secrets("the task", session))
    chipotle.set_fault(fault, call="lit_action")
    try:
        with pytest.raises(LitError) as caught:
            hook.decrypt(container, session)
    finally:
        chipotle.clear_faults()
    shown = "\n".join(shown_by(caught.value))
    assert hunt.found_in(shown.encode()) == set()
