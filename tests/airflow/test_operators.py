"""The operators in DAG runs, on a real network and a real Vault server."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Context, task

from lit_airflow import LitClient, Scope, Wallet
from lit_airflow.devnet import Devnet
from lit_airflow.devnet.node import AnsweredRequest
from lit_airflow.errors import SettingsError
from lit_airflow.hooks import LitHook
from lit_airflow.operators import LitDecryptOperator, LitEncryptOperator, LitSessionSigsOperator
from lit_airflow.sandbox.processes import free_port
from lit_airflow.sandbox.vault_server import KV_PATH
from tests.airflow.running import Run, make_dag, run_dag
from tests.vault.parts import KEY_READ, LOGIN, OPENED, SEALED, Bao, Connections, conditions_for, running

pytestmark = pytest.mark.usefixtures("database", "connections")

TEXT = "id,äpfel\n1,2\n"
ALL = ["access-control-condition-decryption=lit-accesscontrolcondition://*"]
OTHER_SCOPE = [
    "access-control-condition-decryption=lit-accesscontrolcondition://" + "0" * 64 + "/" + "1" * 64
]
RETRYING = {"retries": 1, "retry_delay": timedelta(0)}


def whole_job(dag_id: str, encrypted: dict[str, Any], **decrypt: Any) -> DAG:  # noqa: ANN401 - the operator's own
    with make_dag(dag_id, **RETRYING) as dag:
        session = LitSessionSigsOperator(task_id="session", encrypted=encrypted, lit_conn_id="lit_renewer")
        LitDecryptOperator(
            task_id="decrypt",
            encrypted=encrypted,
            session=session.output,
            lit_conn_id="lit_consumer",
            **(decrypt or {"push_plaintext": True}),
        )
    return dag


def asked(net: Devnet) -> list[AnsweredRequest]:
    """What the nodes were asked; not what another process looks for at a port that it once had."""
    return [each for each in net.requests if each.error_code != "not_found"]


def session_only(dag_id: str, **arguments: Any) -> DAG:  # noqa: ANN401 - the operator's own
    with make_dag(dag_id, **RETRYING) as dag:
        LitSessionSigsOperator(task_id="session", **{"lit_conn_id": "lit_renewer", **arguments})
    return dag


def test_encrypt_session_decrypt(bao: Bao, tmp_path: Path, dag_id: str) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "deep" / "er" / "out.csv"
    source.write_text(TEXT)
    conditions = conditions_for(bao.wallet.address)
    with make_dag(dag_id) as dag:
        sealed = LitEncryptOperator(
            task_id="encrypt", input_path=str(source), conditions=conditions, lit_conn_id="lit_renewer"
        )
        session = LitSessionSigsOperator(
            task_id="session", encrypted=sealed.output, lit_conn_id="lit_renewer"
        )
        LitDecryptOperator(
            task_id="decrypt",
            encrypted=sealed.output,
            session=session.output,
            output_path=str(target),
            lit_conn_id="lit_consumer",
        )
    with bao.watched() as paths:
        run = run_dag(dag)
    assert run.states() == dict.fromkeys(("encrypt", "session", "decrypt"), "success")
    assert target.read_text() == TEXT
    assert paths == [LOGIN, KEY_READ, SEALED, LOGIN, OPENED]

    assert set(run.xcom("encrypt")) == {
        "ciphertext",
        "dataToEncryptHash",
        "accessControlConditions",
        "chain",
        "network",
    }
    assert run.xcom("encrypt")["network"] == "custom"
    assert run.xcom("decrypt") == str(target)
    # What is rendered and stored is the ticket as it came, sealed.
    assert run.rendered("decrypt")["session"] == run.xcom("session")
    assert "äpfel" not in json.dumps([run.xcom("encrypt"), run.xcom("session"), run.rendered("decrypt")])


def test_paths_are_templates_and_files_are_for_the_owner(bao: Bao, tmp_path: Path, dag_id: str) -> None:
    source = tmp_path / "in.csv"
    source.write_text(TEXT)
    sealed, opened = str(tmp_path) + "/{{ params.name }}.json", str(tmp_path) + "/{{ dag.dag_id }}.csv"
    with make_dag(dag_id) as dag:
        dag.params = {"name": "sealed"}
        encrypt = LitEncryptOperator(
            task_id="encrypt",
            input_path=str(tmp_path) + "/in.csv",
            conditions=conditions_for("{{ params.wallet }}"),
            output_path="file://" + sealed,
            lit_conn_id="lit_{{ 'renewer' }}",
        )
        session = LitSessionSigsOperator(task_id="session", encrypted=sealed, lit_conn_id="lit_renewer")
        decrypt = LitDecryptOperator(
            task_id="decrypt",
            encrypted=sealed,
            session=session.output,
            output_path=opened,
            lit_conn_id="lit_consumer",
        )
        encrypt >> session >> decrypt
    run = run_dag(dag, run_conf={"wallet": bao.wallet.address})
    assert run.states() == dict.fromkeys(("encrypt", "session", "decrypt"), "success")
    container = json.loads((tmp_path / "sealed.json").read_text())
    assert container["accessControlConditions"][0]["returnValueTest"]["value"] == bao.wallet.address
    written = tmp_path / f"{dag_id}.csv"
    assert written.read_text() == TEXT
    assert {path.stat().st_mode & 0o777 for path in (written, tmp_path / "sealed.json")} == {0o600}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.csv", "sealed.json", written.name])


def test_a_file_that_was_there_is_replaced_whole(
    container: dict[str, Any], tmp_path: Path, dag_id: str
) -> None:
    target = tmp_path / "out"
    target.write_text("x" * 1000)
    target.chmod(0o644)
    reader = target.open()
    assert run_dag(whole_job(dag_id, container, output_path=str(target))).state == "success"
    assert target.read_text() == "the plaintext"
    assert target.stat().st_mode & 0o777 == 0o600
    assert reader.read() == "x" * 1000  # whoever had it open reads the old one to its end
    reader.close()


def test_where_it_cannot_be_written_nothing_is_left(
    container: dict[str, Any], tmp_path: Path, dag_id: str
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    run = run_dag(whole_job(dag_id, container, output_path=str(target)))
    assert tried_again(run, "decrypt")
    assert list(tmp_path.iterdir()) == [target]


def test_bytes_that_are_no_text_are_not_pushed(
    bao: Bao, net: Devnet, dag_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    conditions = conditions_for(bao.wallet.address)
    container = {**LitClient(net.description).encrypt(b"\xff\xfe", conditions), **conditions}
    run = run_dag(whole_job(dag_id, container))
    assert run.states()["decrypt"] == "failed"
    assert "not UTF-8 text" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"output_path": "/x", "push_plaintext": True},
        {"output_path": "/x", "seal_plaintext": True},
        {"push_plaintext": True, "seal_plaintext": True},
    ],
)
def test_the_plaintext_has_one_place_to_go(arguments: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="Give one of output_path"):
        LitDecryptOperator(task_id="decrypt", encrypted={}, session={}, **arguments)


def test_a_second_run_passes_the_ticket_on(bao: Bao, container: dict[str, Any], dag_id: str) -> None:
    dag = whole_job(dag_id, container)
    first = run_dag(dag)
    with bao.watched() as paths:
        second = run_dag(dag)
    assert second.state == "success"
    assert session_key(second) == session_key(first)
    assert second.xcom("session")["run_id"] == second.dag_run.run_id  # sealed anew, for this run
    assert paths == [LOGIN, OPENED, SEALED, LOGIN, OPENED]  # the renewer did not ask for the key


def session_key(run: Run) -> str:
    return str(run.xcom("session")["session_public_key"])


def test_a_run_looks_for_tickets_in_its_past_only(bao: Bao, container: dict[str, Any], dag_id: str) -> None:
    dag = session_only(dag_id, encrypted=container)
    first = run_dag(dag, logical_date=datetime(2026, 2, 1, tzinfo=UTC))
    second = run_dag(dag, logical_date=datetime(2026, 2, 2, tzinfo=UTC))
    assert session_key(second) == session_key(first)
    with bao.watched() as paths:
        earlier = run_dag(dag, logical_date=datetime(2026, 1, 31, tzinfo=UTC))
    assert earlier.state == "success"
    assert paths == [LOGIN, KEY_READ, SEALED]  # a backfill does not look into its future


def change_lead(connections: Connections, _bao: Bao) -> None:
    connections.lit("lit_renewer", vault_path=KV_PATH, session_ttl_s=7200, renewal_lead_s=3700)


def change_wallet(connections: Connections, bao: Bao) -> None:
    bao.write("lit/second", {"private_key": "22" * 32})
    policy = """
        path "secret/data/lit/second" { capabilities = ["read"] }
        path "transit/encrypt/lit-sessions" { capabilities = ["update"] }
    """
    connections.vault("vault_second", bao.port, bao.role("second", policy))
    address = "0x1563915e194D8CfBA1943570603F7606A3115508"
    connections.lit("lit_renewer", "vault_second", vault_path="lit/second", wallet_address=address)


def change_seal(connections: Connections, _bao: Bao) -> None:
    secret = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
    connections.lit("lit_renewer", vault_path=KV_PATH, seal="fernet", seal_secret=secret)


@pytest.mark.parametrize("change", [change_lead, change_wallet, change_seal])
def test_another_setting_renews(
    bao: Bao,
    connections: Connections,
    container: dict[str, Any],
    dag_id: str,
    change: Callable[[Connections, Bao], None],
) -> None:
    dag = session_only(dag_id, encrypted=container)
    first = run_dag(dag)
    change(connections, bao)
    with bao.watched() as paths:
        second = run_dag(dag)
    assert second.state == "success"
    assert session_key(second) != session_key(first)
    assert paths[0] == LOGIN
    assert len([path for path in paths if path.startswith("secret/data/")]) == 1


def test_another_network_renews(
    bao: Bao, net: Devnet, connections: Connections, dag_id: str, *, container: dict[str, Any], tmp_path: Path
) -> None:
    dag = session_only(dag_id, encrypted=container)
    first = run_dag(dag)
    described = tmp_path / "network.json"
    described.write_text(json.dumps(net.description))
    connections.lit("lit_renewer", vault_path=KV_PATH, network=str(described), rpc_url="", staking_address="")
    with bao.watched() as paths:
        second = run_dag(dag)
    assert second.xcom("session")["network"] == str(described)
    assert session_key(second) != session_key(first)
    assert paths == [LOGIN, KEY_READ, SEALED]


def test_another_scope_renews_and_a_wider_one_serves(
    bao: Bao, container: dict[str, Any], dag_id: str
) -> None:
    for allow, renewed in ((OTHER_SCOPE, True), (OTHER_SCOPE, False), (ALL, True)):
        with bao.watched() as paths:
            assert run_dag(session_only(dag_id, allow=allow)).state == "success"
        assert (KEY_READ in paths) == renewed
    with bao.watched() as paths:
        assert run_dag(session_only(dag_id, encrypted=container)).state == "success"
    assert paths == [LOGIN, OPENED, SEALED]


def failed(run: Run, task_id: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What was logged of a task that failed for good at its first try, though it has another."""
    task = run.task(task_id)
    assert (str(task.state), task.try_number, task.max_tries) == ("failed", 1, 1)
    return "".join(capsys.readouterr())


class Told:
    """Records why each task of a run failed, so that one DAG run can try many failing cases."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._shown: dict[str, str] = {}

    def note(self, context: Context) -> None:
        """What was logged until the task had failed; a DAG's ``on_failure_callback``."""
        self._shown[context["ti"].task_id] = "".join(self._capsys.readouterr())

    def of(self, run: Run, task_id: str) -> str:
        """The same for a task that failed for good at its first try, though it has another."""
        task = run.task(task_id)
        assert (str(task.state), task.try_number, task.max_tries) == ("failed", 1, 1)
        return self._shown[task_id]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    return Told(capsys)


def tried_again(run: Run, task_id: str) -> bool:
    task = run.task(task_id)
    return (str(task.state), task.try_number) == ("failed", 2)


def test_a_role_without_the_key_fails_at_once(
    bao: Bao, connections: Connections, dag_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    connections.lit("lit_renewer", "vault_consumer", vault_path=KV_PATH)
    run = run_dag(session_only(dag_id, allow=OTHER_SCOPE))
    shown = failed(run, "session", capsys)
    assert "VaultDeniedError" in shown
    assert "vault_consumer" in shown


BAD_ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({}, "SettingsError"),
    ({"allow": OTHER_SCOPE, "encrypted": "x.json"}, "SettingsError"),
    ({"allow": []}, "ScopeError"),
    ({"allow": ["decrypt=everything"]}, "ScopeError"),
    ({"allow": ["pkp-signing=lit-accesscontrolcondition://*"]}, "ScopeError"),
    ({"encrypted": "/no/such/file.json"}, "SettingsError"),
    ({"encrypted": {"dataToEncryptHash": "00" * 32}}, "ConditionError"),
    ({"encrypted": {**conditions_for("0x" + "12" * 20), "dataToEncryptHash": "00"}}, "ConditionError"),
    ({"allow": OTHER_SCOPE, "ttl_s": 0}, "SettingsError"),
    ({"allow": OTHER_SCOPE, "ttl_s": -5}, "SettingsError"),
    ({"allow": OTHER_SCOPE, "ttl_s": 31 * 24 * 3600}, "SettingsError"),
    ({"allow": OTHER_SCOPE, "lit_conn_id": "lit_absent"}, "SettingsError"),
]


def test_bad_arguments_of_a_session_fail_at_once_and_ask_nobody(
    bao: Bao, net: Devnet, dag_id: str, told: Told
) -> None:
    before = len(asked(net))
    with make_dag(dag_id, on_failure_callback=told.note, **RETRYING) as dag:
        for number, (arguments, _) in enumerate(BAD_ARGUMENTS):
            LitSessionSigsOperator(task_id=f"session_{number}", **{"lit_conn_id": "lit_renewer", **arguments})
    with bao.watched() as paths:
        run = run_dag(dag)
    for number, (_, kind) in enumerate(BAD_ARGUMENTS):
        assert kind in told.of(run, f"session_{number}")
    assert paths == []
    assert len(asked(net)) == before


def test_a_missing_vault_connection_is_named(
    connections: Connections, dag_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    connections.lit("lit_renewer", "vault_absent", vault_path=KV_PATH)
    shown = failed(run_dag(session_only(dag_id, allow=OTHER_SCOPE)), "session", capsys)
    assert "vault_absent" in shown


def test_vault_or_chain_away_is_retried(bao: Bao, connections: Connections, dag_id: str) -> None:
    connections.vault("vault_renewer", free_port(), bao.renewer)
    run = run_dag(session_only(dag_id, allow=OTHER_SCOPE))
    assert tried_again(run, "session")
    connections.lit("lit_renewer", vault_path=KV_PATH, rpc_url=f"http://127.0.0.1:{free_port()}", timeout_s=1)
    run = run_dag(session_only(dag_id + "_chain", allow=OTHER_SCOPE))
    assert tried_again(run, "session")


def test_one_absent_node_changes_nothing(net: Devnet, container: dict[str, Any], dag_id: str) -> None:
    net.stop_node(1)
    run = run_dag(whole_job(dag_id, container))
    assert (run.state, run.xcom("decrypt")) == ("success", "the plaintext")


def test_two_absent_nodes_are_named_and_retried(
    net: Devnet, container: dict[str, Any], dag_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dag = whole_job(dag_id, container)
    assert run_dag(dag).state == "success"
    net.stop_node(0)
    net.stop_node(2)
    capsys.readouterr()
    run = run_dag(dag)
    assert tried_again(run, "decrypt")
    shown = "".join(capsys.readouterr())
    nodes = net.description["nodes"]
    assert isinstance(nodes, list)
    for node in (nodes[0], nodes[2]):
        assert f"{node}: connection refused" in shown


DAMAGE: dict[str, Any] = {
    "no_base64": ({"ciphertext": "§§§"}, "CiphertextError"),
    "truncated": (lambda c: {"ciphertext": c["ciphertext"][:80]}, "CiphertextError"),
    "other_conditions": (conditions_for("0x" + "12" * 20), "ScopeError"),
    "other_hash": ({"dataToEncryptHash": "ab" * 32}, "ScopeError"),
    "no_conditions": ({"accessControlConditions": None}, "ConditionError"),
}


def test_a_damaged_container_fails_at_once(
    net: Devnet, container: dict[str, Any], dag_id: str, told: Told
) -> None:
    with make_dag(dag_id, on_failure_callback=told.note, **RETRYING) as dag:
        session = LitSessionSigsOperator(task_id="session", encrypted=container, lit_conn_id="lit_renewer")
        for damage, (change, _) in DAMAGE.items():
            LitDecryptOperator(
                task_id=damage,
                encrypted=container | (change(container) if callable(change) else change),
                session=session.output,
                push_plaintext=True,
                lit_conn_id="lit_consumer",
            )
    before = len(asked(net))
    run = run_dag(dag)
    for damage, (_, kind) in DAMAGE.items():
        assert kind in told.of(run, damage)
    assert [each.path for each in asked(net)[before:] if "handshake" not in each.path] == []


BAD_TICKETS: dict[str, tuple[dict[str, Any], str]] = {
    "version": ({"v": 3}, "TicketError: Unknown ticket version 3"),
    "network": ({"network": "datil"}, "TicketError: The ticket is for the network"),
    "wallet": ({"wallet": "0x" + "12" * 20}, "TicketError: The ticket cannot be opened: it was altered"),
    "transit_key": ({"transit_key": "another"}, "TicketError: The ticket is sealed with"),
    "name": ({"name": ""}, "TicketError: The ticket belongs to"),
    "expires_at": ({"expires_at": "2026-01-01T00:00:00.000Z"}, "SessionExpiredError"),
}


def test_a_bad_ticket_fails_the_decrypt_task_at_once(
    container: dict[str, Any], dag_id: str, told: Told
) -> None:
    ticket = run_dag(session_only(dag_id + "_s", encrypted=container, name="bad")).xcom("session")
    with make_dag(dag_id, on_failure_callback=told.note, **RETRYING) as dag:
        for changed, (change, _) in {"nothing": ({}, ""), **BAD_TICKETS}.items():
            LitDecryptOperator(
                task_id=changed,
                encrypted=container,
                session=ticket | change,
                push_plaintext=True,
                lit_conn_id="lit_consumer",
            )
    run = run_dag(dag)
    assert run.xcom("nothing") == "the plaintext"
    for changed, (_, kind) in BAD_TICKETS.items():
        assert kind in told.of(run, changed)


def decrypt_only(
    dag_id: str, container: dict[str, Any], ticket: object, lit_conn_id: str = "lit_consumer"
) -> DAG:
    with make_dag(dag_id, **RETRYING) as dag:
        LitDecryptOperator(
            task_id="decrypt",
            encrypted=container,
            session=ticket,
            push_plaintext=True,
            lit_conn_id=lit_conn_id,
        )
    return dag


def test_a_ticket_of_another_dag_or_run_fails_the_decrypt_task_at_once(
    bao: Bao, container: dict[str, Any], dag_id: str, told: Told
) -> None:
    first = run_dag(session_only(dag_id, encrypted=container))
    for user, where in (
        (f"{dag_id}_other", f"of the DAG {dag_id}"),
        (dag_id, f"run {first.dag_run.run_id}"),
    ):
        with make_dag(user, on_failure_callback=told.note, **RETRYING) as dag:
            for lit_conn_id in ("lit_consumer", "lit_renewer"):
                LitDecryptOperator(
                    task_id=lit_conn_id,
                    encrypted=container,
                    session=first.xcom("session"),
                    push_plaintext=True,
                    lit_conn_id=lit_conn_id,
                )
        with bao.watched() as paths:
            run = run_dag(dag)
        for lit_conn_id in ("lit_consumer", "lit_renewer"):
            shown = told.of(run, lit_conn_id).replace('"', "")
            assert "TicketError: The ticket belongs to run" in shown
            assert where in shown
        assert paths == []


def test_the_ticket_of_a_published_session_serves_any_dag(container: dict[str, Any], dag_id: str) -> None:
    ticket = run_dag(session_only(dag_id, encrypted=container, name="for-any-dag")).xcom("session")
    run = run_dag(decrypt_only(f"{dag_id}_other", container, ticket))
    assert run.xcom("decrypt") == "the plaintext"


def test_a_ticket_that_has_ended_fails_the_task_of_a_renewer_too(
    bao: Bao, container: dict[str, Any], dag_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with make_dag(dag_id, **RETRYING) as dag:
        session = LitSessionSigsOperator(
            task_id="session", encrypted=container, ttl_s=1, lit_conn_id="lit_renewer"
        )
        wait = PythonOperator(task_id="wait", python_callable=lambda: time.sleep(1.1))
        decrypt = LitDecryptOperator(
            task_id="decrypt",
            encrypted=container,
            session=session.output,
            push_plaintext=True,
            lit_conn_id="lit_renewer",
        )
        session >> wait >> decrypt
    with bao.watched() as paths:
        run = run_dag(dag)
    assert f"SessionExpiredError: The session of the task {dag_id}.session ended at" in failed(
        run, "decrypt", capsys
    ).replace('"', "")
    assert paths.count(KEY_READ) == 1  # for the session task


def test_an_earlier_ticket_that_somebody_replaced_is_not_passed_on(
    bao: Bao, net: Devnet, connections: Connections, container: dict[str, Any], dag_id: str
) -> None:
    """By one that says the same, sealed by a role that may seal, with a session that another wallet delegated."""
    policy = 'path "transit/encrypt/lit-sessions" { capabilities = ["update"] }'
    connections.vault("vault_sealer", bao.port, bao.role("sealer", policy))
    connections.lit("lit_sealer", "vault_sealer")
    dag = session_only(dag_id, encrypted=container)
    first = run_dag(dag)
    scope = LitHook("lit_sealer").scope_of(container)
    own = LitClient(net.description).open_session(Wallet.from_key("22" * 32), scope)
    with running("session", dag_id=dag_id, run_id=first.dag_run.run_id):
        forged = LitHook("lit_sealer").make_ticket(replace(own, wallet=bao.wallet.address))
    differing = {key for key in forged if forged[key] != first.xcom("session")[key]}
    assert differing == {"session_public_key", "issued_at", "expires_at", "sealed"}
    replace_xcom(first, "session", forged)
    second = run_dag(dag)
    assert second.state == "success"
    assert session_key(second) not in (session_key(first), forged["session_public_key"])
    assert LitHook("lit_consumer").open_ticket(second.xcom("session")).wallet == bao.wallet.address


def replace_xcom(run: Run, task_id: str, value: object) -> None:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        XComModel.set(
            key="return_value",
            value=value,
            dag_id=run.dag_run.dag_id,
            task_id=task_id,
            run_id=run.dag_run.run_id,
            session=session,
        )
    assert run.xcom(task_id) == value


def test_a_renewal_in_a_decrypting_task_asks_for_the_container_alone(
    bao: Bao, connections: Connections, container: dict[str, Any], dag_id: str
) -> None:
    connections.lit("lit_renewer", vault_path=KV_PATH, session_ttl_s=120, renewal_lead_s=100)
    with make_dag(dag_id) as dag:
        session = LitSessionSigsOperator(task_id="session", allow=ALL, ttl_s=4, lit_conn_id="lit_renewer")

        @task.lit(session=session.output, lit_conn_id="lit_renewer")
        def scopes(lit: Any) -> list[str]:  # noqa: ANN401 - OpenSession
            found = []
            for _ in range(2):
                assert lit.decrypt(container) == b"the plaintext"
                found.append(str(lit.session.scope))
                time.sleep(2.1)
            return found

        scopes()
    with bao.watched() as paths:
        run = run_dag(dag)
    narrow = str(LitHook("lit_renewer").scope_of(container))
    assert run.xcom("scopes") == [str(Scope.parse(ALL)), narrow]
    assert paths.count(KEY_READ) == 2


def test_conditions_that_do_not_validate_fail_the_encrypt_task_at_once(
    tmp_path: Path, dag_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").write_text("x")
    conditions = conditions_for("0x" + "12" * 20)
    conditions["accessControlConditions"][0]["returnValueTest"]["comparator"] = "roughly"
    with make_dag(dag_id, **RETRYING) as dag:
        LitEncryptOperator(
            task_id="encrypt",
            input_path=str(tmp_path / "in"),
            conditions=conditions,
            output_path=str(tmp_path / "out"),
            lit_conn_id="lit_renewer",
        )
    shown = failed(run_dag(dag), "encrypt", capsys)
    assert "ConditionError" in shown
    assert "comparator" in shown
    assert not (tmp_path / "out").exists()
