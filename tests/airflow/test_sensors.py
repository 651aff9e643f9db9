"""Waiting for conditions in DAG runs, on a real network whose chains and clock say what the test wants."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from lit_airflow import LitClient, clock
from lit_airflow.devnet import Devnet
from lit_airflow.hooks import LitHook
from lit_airflow.operators import LitDecryptOperator, LitSessionSigsOperator
from lit_airflow.sensors import LitConditionSensor
from tests.airflow.running import Run, make_dag, run_dag
from tests.vault.parts import Bao, Connections, conditions_for

pytestmark = pytest.mark.usefixtures("database", "connections")

Give = Callable[[int], None]
ANY = ["access-control-condition-decryption=lit-accesscontrolcondition://*"]


def at_block_time(moment: datetime) -> dict[str, Any]:
    condition = {
        "contractAddress": "",
        "standardContractType": "timestamp",
        "chain": "ethereum",
        "method": "eth_getBlockByNumber",
        "parameters": ["latest"],
        "returnValueTest": {"comparator": ">=", "value": str(int(moment.timestamp()))},
    }
    return {"accessControlConditions": [condition], "chain": "ethereum"}


RICH = {
    "accessControlConditions": [
        {
            "contractAddress": "",
            "standardContractType": "",
            "chain": "ethereum",
            "method": "eth_getBalance",
            "parameters": [":userAddress", "latest"],
            "returnValueTest": {"comparator": ">=", "value": "1000"},
        }
    ],
    "chain": "ethereum",
}


@pytest.fixture
def balance(net: Devnet, bao: Bao) -> Give:
    """Give the wallet so many wei."""

    def give(wei: int) -> None:
        net.set_state({f"ethereum:{bao.wallet.address}": wei})

    give(0)
    return give


def sealed_for(net: Devnet, conditions: dict[str, Any]) -> dict[str, Any]:
    return {**LitClient(net.description).encrypt(b"the plaintext", conditions), **conditions}


def waiting(dag_id: str, container: dict[str, Any], **sensor: Any) -> DAG:  # noqa: ANN401 - the sensor's own
    with make_dag(dag_id) as dag:
        session = LitSessionSigsOperator(task_id="session", encrypted=container, lit_conn_id="lit_renewer")
        wait = LitConditionSensor(
            task_id="wait",
            encrypted=container,
            session=session.output,
            lit_conn_id="lit_consumer",
            **{"poke_interval": 0.3, **sensor},
        )
        decrypt = LitDecryptOperator(
            task_id="decrypt",
            encrypted=container,
            session=session.output,
            push_plaintext=True,
            lit_conn_id="lit_consumer",
        )
        wait >> decrypt
    return dag


def asked(net: Devnet) -> int:
    return sum("encryption/sign" in path for _, path, *_ in net.requests)


def assert_opened(run: Run) -> None:
    assert run.states() == dict.fromkeys(("session", "wait", "decrypt"), "success")
    assert run.xcom("decrypt") == "the plaintext"


def once_asked(net: Devnet, seconds: float, act: Callable[[], None]) -> None:
    """Act so long after the nodes have been asked for the first time from now on."""
    before = asked(net)

    def watch() -> None:
        while asked(net) == before:
            time.sleep(0.05)
        time.sleep(seconds)
        act()

    threading.Thread(target=watch, daemon=True).start()


@pytest.mark.parametrize("deferrable", [True, False])
def test_it_waits_until_the_wallet_has_the_balance(net: Devnet, balance: Give, *, deferrable: bool) -> None:
    dag = waiting(f"balance_{deferrable}", sealed_for(net, RICH), deferrable=deferrable)
    before = asked(net)
    once_asked(net, 1.5, lambda: balance(5000))
    assert_opened(run_dag(dag))
    # One decryption and some checks, fewer than every 0.3 s: the waits double.
    assert 3 <= (asked(net) - before) / 3 <= 9


@pytest.mark.parametrize("deferrable", [True, False])
def test_before_a_time_lock_opens_nobody_is_asked(net: Devnet, *, deferrable: bool) -> None:
    opens_at = datetime.now(UTC) + timedelta(seconds=4)
    dag = waiting(f"lock_{deferrable}", sealed_for(net, at_block_time(opens_at)), deferrable=deferrable)
    before = asked(net)
    assert_opened(run_dag(dag))
    assert datetime.now(UTC) > opens_at.replace(microsecond=0)
    assert (
        asked(net) - before <= 2 * 3 * 2
    )  # one check and one decryption; once more if the second was just over


def test_a_lock_that_the_nodes_clock_holds_longer_is_asked_again(net: Devnet) -> None:
    opens_at = datetime.now(UTC) + timedelta(seconds=1)
    dag = waiting("lock_lags", sealed_for(net, at_block_time(opens_at)), deferrable=True)
    net.set_clock_offset(-5)
    try:
        assert_opened(run_dag(dag))
        assert datetime.now(UTC) > opens_at + timedelta(seconds=4)
    finally:
        net.set_clock_offset(0)


def test_in_the_end_it_gives_up(net: Devnet, balance: Give) -> None:
    container = sealed_for(net, RICH)
    expected = {"session": "success"}
    with make_dag("gives_up") as dag:
        session = LitSessionSigsOperator(task_id="session", encrypted=container, lit_conn_id="lit_renewer")
        for deferrable, soft_fail in product((True, False), (True, False)):
            how = f"deferrable_{deferrable}_soft_{soft_fail}"
            wait = LitConditionSensor(
                task_id=f"wait_{how}",
                encrypted=container,
                session=session.output,
                lit_conn_id="lit_consumer",
                deferrable=deferrable,
                soft_fail=soft_fail,
                poke_interval=0.3,
                timeout=0.5,
            )
            wait >> EmptyOperator(task_id=f"after_{how}")
            expected[f"wait_{how}"] = "skipped" if soft_fail else "failed"
            expected[f"after_{how}"] = "skipped" if soft_fail else "upstream_failed"
    assert run_dag(dag).states() == expected


def test_what_cannot_come_right_fails_at_once(container: dict[str, Any]) -> None:
    with make_dag("hopeless", retries=3) as dag:
        other = LitSessionSigsOperator(
            task_id="session",
            allow=[ANY[0].replace("*", "0" * 64 + "/" + "1" * 64)],
            lit_conn_id="lit_renewer",
        )
        LitConditionSensor(
            task_id="wait",
            encrypted=container,
            session=other.output,
            lit_conn_id="lit_consumer",
            deferrable=True,
        )
    run = run_dag(dag)
    assert run.states() == {"session": "success", "wait": "failed"}
    assert run.task("wait").try_number == 1


def test_nodes_that_are_away_and_a_session_yet_to_be_published_are_waited_for(
    net: Devnet, container: dict[str, Any], connections: Connections
) -> None:
    connections.lit("lit_consumer", "vault_consumer", timeout_s=2)
    hook = LitHook("lit_renewer")
    ticket = hook.sessions.make_ticket(hook.open_session(hook.scope_of(container)), name="awaited")
    net.stop_node(0)
    net.stop_node(2)

    def come() -> None:
        net.start_node(0)
        time.sleep(1.5)
        hook.sessions.store().publish("awaited", ticket, clock.now())

    later = threading.Timer(2, come)
    with make_dag("awaiting") as dag:
        LitConditionSensor(
            task_id="wait",
            encrypted=container,
            session="awaited",
            lit_conn_id="lit_consumer",
            deferrable=True,
            poke_interval=0.3,
            timeout=1200,
        )
    later.start()
    assert run_dag(dag).states() == {"wait": "success"}


def test_without_deferring_it_can_free_its_slot(net: Devnet, balance: Give) -> None:
    dag = waiting("rescheduled", sealed_for(net, RICH), deferrable=False, mode="reschedule", poke_interval=1)
    once_asked(net, 1.5, lambda: balance(5000))
    run = run_dag(dag)
    assert_opened(run)


def test_grants_is_false_for_unmet_conditions_alone(net: Devnet, bao: Bao, container: dict[str, Any]) -> None:
    from lit_airflow.errors import AccessDeniedError, ConditionsNotMetError, LitError

    hook = LitHook("lit_renewer")
    elsewhere = sealed_for(net, conditions_for("0x" + "12" * 20))
    session = hook.open_session(
        type(hook.scope_of(container)).parse(ANY),
    )
    assert hook.grants(container, session) is True
    assert hook.grants(elsewhere, session) is False
    with pytest.raises(ConditionsNotMetError):
        hook.decrypt(elsewhere, session)
    net.set_clock_offset(100_000)  # the session is over, for the nodes
    try:
        with pytest.raises(LitError) as caught:
            hook.grants(container, session)
    finally:
        net.set_clock_offset(0)
    assert isinstance(caught.value, AccessDeniedError)
    assert not isinstance(caught.value, ConditionsNotMetError)


def test_a_wrong_setting_is_seen_also_with_soft_fail() -> None:
    hows: dict[str, dict[str, Any]] = {
        "poking": {},
        "rescheduled": {"mode": "reschedule"},
        "deferred": {"deferrable": True},
    }
    with make_dag("soft", retries=3) as dag:
        for name, how in hows.items():
            LitConditionSensor(
                task_id=name,
                encrypted="/no/such/file",
                session="nobody",
                lit_conn_id="lit_consumer",
                soft_fail=True,
                **how,
            )
    assert run_dag(dag).states() == dict.fromkeys(hows, "failed")
