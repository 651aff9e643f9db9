"""Everything above the networks works with a network of two files that the package has never seen."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import task
from airflow.sdk.exceptions import TaskDeferred

from lit_airflow import Conditions, LitClient, Scope, Wallet
from lit_airflow.cli import app
from lit_airflow.errors import CiphertextError, ConditionError, NodesUnavailableError, SettingsError
from lit_airflow.hooks import LitHook
from lit_airflow.networks.contract import Verdict
from lit_airflow.operators import (
    LitDecryptManyOperator,
    LitDecryptOperator,
    LitEncryptOperator,
    LitKeepAliveOperator,
    LitSessionSigsOperator,
)
from lit_airflow.provider import sessions_page
from lit_airflow.provider.doctor import examine
from lit_airflow.provider.sessions_page import Row
from lit_airflow.sensors import LitConditionSensor
from tests.airflow.running import make_dag, run_dag
from tests.invoking import CliRunner
from tests.toy.server import Handler
from tests.vault.parts import Bao, Connections

pytestmark = pytest.mark.usefixtures("database", "toy_connections")

Toy = tuple[str, list[str]]
RENEWER = {"lit_conn_id": "lit_renewer"}
CONSUMER = {"lit_conn_id": "lit_consumer"}


def conditions_for(wallet: str) -> dict[str, Any]:
    return Conditions.for_wallet(wallet).to_json()


def time_lock(seconds: int) -> dict[str, Any]:
    conditions = conditions_for("0x" + "00" * 20)
    (condition,) = conditions["accessControlConditions"]
    condition |= {
        "standardContractType": "timestamp",
        "method": "eth_getBlockByNumber",
        "parameters": ["latest"],
    }
    condition["returnValueTest"] = {"comparator": ">=", "value": str(int(time.time()) + seconds)}
    return conditions


def test_the_client(toy: Toy) -> None:
    wallet = Wallet.from_key("11" * 32)
    reports = []
    with LitClient(toy[0], on_report=reports.append) as lit:
        container = lit.make_container(b"secret", conditions_for(wallet.address))
        assert toy[1] == []  # encryption is offline
        session = lit.open_session(wallet, lit.scope_of(container, container), ttl_s=60)
        assert lit.decrypt(container, container, session) == b"secret"
        many = lit.decrypt_many([(container, container)] * 3, session, processes=2)  # no effect: one server
        assert [each.result() for each in many] == [b"secret"] * 3
        assert lit.grants(container, container, session)
        other = lit.make_container(b"secret", conditions_for("0x" + "22" * 20))
        assert not lit.grants(other, other, lit.open_session(wallet, lit.scope_of(other, other)))
        with pytest.raises(SettingsError, match="not available"):
            _ = lit.sdk
        with pytest.raises(ConditionError):
            lit.encrypt(b"secret", {"solRpcConditions": [], "chain": "solana"})
        with pytest.raises(CiphertextError, match="toy-main"):
            lit.scope_of({**container, "network": "datil"}, container)
    assert len(reports) == 5
    assert toy[1].count("/sessions") == 2


def test_what_changes_something_is_sent_once(toy: Toy) -> None:
    lit = LitClient(toy[0], timeout_s=120)
    Handler.failing = "/sessions"
    with pytest.raises(NodesUnavailableError, match="refused"):
        lit.open_session(Wallet.from_key("11" * 32), Scope.to_decrypt("0" * 64 + "/" + "1" * 64))
    assert toy[1] == ["/sessions"]
    Handler.failing = "/health"
    with pytest.raises(NodesUnavailableError, match="refused"):
        lit.health()
    assert toy[1] == ["/sessions"] + ["/health"] * 3


def test_every_operator(bao: Bao, dag_id: str, tmp_path: Path, toy: Toy) -> None:
    plain, sealed, out = (tmp_path / name for name in ("plain", "in.lit.json", "out"))
    plain.write_text("the plaintext")
    with make_dag(dag_id) as dag:
        encrypt = LitEncryptOperator(
            task_id="encrypt",
            input_path=plain,
            output_path=sealed,
            conditions=conditions_for(bao.wallet.address),
            **CONSUMER,
        )
        session = LitSessionSigsOperator(task_id="session", encrypted=sealed, **RENEWER)
        waited = LitConditionSensor(task_id="wait", encrypted=sealed, session=session.output, **CONSUMER)
        decrypt = LitDecryptOperator(
            task_id="decrypt",
            encrypted=sealed,
            session=session.output,
            output_path=tmp_path / "one",
            **CONSUMER,
        )
        seal = LitDecryptOperator(
            task_id="seal", encrypted=sealed, session=session.output, seal_plaintext=True, **RENEWER
        )
        many = LitDecryptManyOperator(
            task_id="many", encrypted=[sealed], session=session.output, output_dir=out, **CONSUMER
        )

        @task.lit(session=session.output, **CONSUMER)
        def use(lit: Any, handed_on: Any) -> list[str]:  # noqa: ANN401 - OpenSession, a sealed plaintext
            whole = lit.encrypt(b"again", conditions_for(lit.session.wallet))
            return [lit.decrypt(str(sealed)).decode(), lit.open(handed_on).decode(), whole["network"]]

        encrypt >> session >> waited >> [decrypt, seal, many]
        use(seal.output)
    run = run_dag(dag)
    assert set(run.states().values()) == {"success"}
    assert (tmp_path / "one").read_text() == (out / "in").read_text() == "the plaintext"
    assert run.xcom("use") == ["the plaintext", "the plaintext", "toy-main"]
    ticket = run.xcom("session")
    assert (ticket["v"], ticket["kind"], ticket["network"]) == (2, "toy-bearer/1", toy[0])
    # The session of the first run is passed on, and the server is not asked for another.
    again = run_dag(dag)
    assert again.state == "success"
    assert toy[1].count("/sessions") == 1


def test_named_sessions_and_keep_alive(bao: Bao, dag_id: str, tmp_path: Path, toy: Toy) -> None:
    hook = LitHook("lit_consumer")
    container = hook.encrypt(b"the plaintext", conditions_for(bao.wallet.address))
    with make_dag(dag_id) as dag:
        LitSessionSigsOperator(task_id="session", encrypted=container, name=dag_id, **RENEWER)
    assert run_dag(dag).state == "success"
    with make_dag(f"{dag_id}_other") as other:
        LitDecryptOperator(
            task_id="decrypt", encrypted=container, session=dag_id, push_plaintext=True, **CONSUMER
        )
    assert run_dag(other).xcom("decrypt") == "the plaintext"
    with make_dag(f"{dag_id}_shape"):
        work = EmptyOperator(task_id="work")
        keep = LitKeepAliveOperator(
            task_id="keep", name=dag_id, encrypted=container, until=[work.task_id], lead_s=3599, **RENEWER
        )
    with make_dag(f"{dag_id}_keeper") as keeper:

        @task
        def try_keeping() -> list[str]:
            from airflow.sdk import get_current_context

            context = get_current_context()
            ended = []
            for event in ({"status": "due"}, {"status": "done"}):
                try:
                    keep.resume(context, event)
                except TaskDeferred as deferred:
                    ended.append(type(deferred.trigger).__name__)
                else:
                    ended.append("done")
            return ended

        try_keeping()
    assert run_dag(keeper).xcom("try_keeping") == ["LitKeepAliveTrigger", "done"]


def test_waiting_for_a_time_lock(dag_id: str, toy: Toy) -> None:
    container = LitHook("lit_consumer").encrypt(b"later", time_lock(4))
    with make_dag(dag_id) as dag:
        session = LitSessionSigsOperator(task_id="session", encrypted=container, **RENEWER)
        wait = LitConditionSensor(
            task_id="wait",
            encrypted=container,
            session=session.output,
            poke_interval=1,
            timeout=600,
            **CONSUMER,
        )
        decrypt = LitDecryptOperator(
            task_id="decrypt", encrypted=container, session=session.output, push_plaintext=True, **CONSUMER
        )
        wait >> decrypt
    assert run_dag(dag).xcom("decrypt") == "later"


def test_the_hook_and_doctor(bao: Bao, toy: Toy) -> None:
    good, words = LitHook("lit_renewer").test_connection()
    assert good, words
    assert bao.wallet.address in words
    assert "1 of 1 servers answered" in words
    checks = {check.name: check for check in examine(LitHook("lit_renewer"))}
    assert checks["server"].verdict is Verdict.GOOD
    assert not [check for check in checks.values() if check.verdict is Verdict.BAD]
    done = CliRunner().invoke(app, ["doctor", "--conn-id", "lit_renewer", "--json"])
    assert done.exit_code == 0, done.output


def test_the_command_line(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet = Wallet.from_key("11" * 32)
    monkeypatch.setenv("KEY", "11" * 32)
    conditions = tmp_path / "conditions.json"
    conditions.write_text(json.dumps(conditions_for(wallet.address)))
    done = CliRunner().invoke(
        app, ["encrypt", "--network", toy[0], "--conditions", str(conditions)], input=b"secret"
    )
    assert done.exit_code == 0, done.output
    assert set(json.loads(done.stdout)) == {"ciphertext", "dataToEncryptHash"}


def test_the_page(bao: Bao, dag_id: str, connections: Connections, toy: Toy) -> None:
    hook = LitHook("lit_consumer")
    container = hook.encrypt(b"the plaintext", conditions_for(bao.wallet.address))
    with make_dag(dag_id) as dag:
        session = LitSessionSigsOperator(task_id="session", encrypted=container, **RENEWER)
        LitDecryptOperator(
            task_id="decrypt", encrypted=container, session=session.output, push_plaintext=True, **CONSUMER
        )
    run = run_dag(dag)
    now = datetime.now(UTC)

    def row(task_id: str, key: str) -> Row:
        value = run.task(task_id).xcom_pull(task_ids=task_id, key=key)
        return Row(dag_id, run.dag_run.run_id, task_id, -1, now, value)

    html = sessions_page.render([row("session", "lit_session")], [row("decrypt", "lit_nodes")], now=now)
    assert bao.wallet.address[:8] in html
    assert json.loads(Path(toy[0]).read_text())["api_url"] in html
