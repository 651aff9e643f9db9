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
from lit_airflow.operators import LitActionOperator, LitDecryptOperator, LitSignOperator
from lit_airflow.protocol.session import Session
from lit_airflow.protocol.signing import SigningPolicy, SigningRequest
from tests.airflow.running import Run, make_dag, run_dag
from tests.client.chipotle.frames import shown_by
from tests.installation.leaks import Hunt, cells_of_sqlite, files_below, hex_secrets, session_secrets
from tests.pipelines.conftest import Acting
from tests.pipelines.test_same_dag import CONSUMER, pipeline
from tests.unit.frames import recorded, sent_to_sentry
from tests.unit.protocol.test_signing import TRANSACTION
from tests.vault.parts import Bao

pytestmark = pytest.mark.usefixtures("database")
on_both = pytest.mark.usefixtures("chipotle_connections")
FAULTS = ("unauthorized", "payment-required", "forbidden", "html", "other-shape")
RESPONSE = "what the action said to nobody else"
# Backwards in the text, which is a rendered field: what a DAG's author writes there is for all readers of the DAG.
SAYS = f"[...{json.dumps(RESPONSE[::-1])}].reverse().join('')"
GIVES = f"async function main() {{ return {{ said: {SAYS} }}; }}"
THROWS = f"async function main() {{ throw new Error({SAYS}); }}"


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


def left_behind(done: Run, output: str, airflow_home: Path) -> Iterator[tuple[str, bytes]]:
    """All that a run leaves: what it wrote, Airflow's database and files, rendered fields, XCom."""
    yield "output and log", output.encode()
    yield from cells_of_sqlite(airflow_home / "airflow.db")
    yield from ((name, content) for name, content in files_below(airflow_home) if ".db" not in name)
    for name in done.states():
        yield f"rendered fields of {name}", json.dumps(done.rendered(name), default=str).encode()
        yield f"XCom of {name}", json.dumps(done.xcom(name), default=str).encode()


@on_both
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

    captured = capfd.readouterr()
    output = captured.out + captured.err + caplog.text
    assert "Decrypted" in output
    assert hunt.leaks(left_behind(done, output, airflow_home)) == {}


@on_both
@pytest.mark.parametrize("fault", FAULTS)
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


def action_secrets(acting: Acting) -> dict[str, bytes]:
    """The API key, the account's key, and what the action answers, which is treated as plaintext."""
    kept = acting.bao.admin.secrets.kv.v2.read_secret("lit/actions", mount_point="secret")
    api_key = kept["data"]["data"]["api_key"]
    account_key = cast("Mapping[str, Any]", acting.net.description)["account_key"]
    return {"API key": api_key.encode(), "account key": account_key.encode(), "response": RESPONSE.encode()}


def test_no_secret_of_actions_and_signatures_is_left_behind(  # noqa: PLR0917 - fixtures
    acting: Acting,
    dag_id: str,
    tmp_path: Path,
    airflow_home: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Responses that are sealed, written or dropped, signatures, and tasks that fail on both sides."""
    caplog.set_level(logging.DEBUG)
    acting.permit(GIVES, THROWS)
    on: dict[str, Any] = {"lit_conn_id": "lit_actions"}
    with make_dag(dag_id) as dag:
        LitActionOperator(task_id="written", code=GIVES, output_path=tmp_path / "said.json", **on)
        LitActionOperator(task_id="sealed", code=GIVES, seal_response=True, **on)
        LitActionOperator(task_id="dropped", code=GIVES, **on)
        LitActionOperator(task_id="thrown", code=THROWS, **on)
        LitActionOperator(task_id="not_permitted", code="async function main() { return 1; }", **on)
        LitSignOperator(task_id="signed", message="the report of today", **on)
        LitSignOperator(task_id="other_chain", transaction={**TRANSACTION, "chainId": 1}, **on)
    done = run_dag(dag)
    failed = {"thrown", "not_permitted", "other_chain"}
    assert done.states() == {name: "failed" if name in failed else "success" for name in dag.task_ids}
    assert RESPONSE in (tmp_path / "said.json").read_text()
    captured = capfd.readouterr()
    output = captured.out + captured.err + caplog.text
    assert "the signature is verified" in output
    assert Hunt(action_secrets(acting)).leaks(left_behind(done, output, airflow_home)) == {}


@pytest.mark.parametrize("fault", [*FAULTS, "none"])
def test_no_error_of_an_action_or_a_signature_carries_one(acting: Acting, fault: str) -> None:
    """Local variables of all frames included; without a fault, an action throws and a key may not sign."""
    acting.permit(GIVES, THROWS)
    hunt = Hunt(action_secrets(acting))
    hook = LitHook("lit_actions")
    unknown_pkp = SigningPolicy.of("0x" + "7a" * 20)
    if fault != "none":
        acting.net.set_fault(fault, call="lit_action")
    try:
        for use in (
            lambda: hook.run_action(GIVES if fault != "none" else THROWS, {"a": 1}),
            lambda: hook.client.sign(SigningRequest.of(message="a"), unknown_pkp, on_cost=hook.spending),
        ):
            with pytest.raises(LitError) as caught:
                use()
            shown = recorded(caught.value) + sent_to_sentry(caught.value)
            assert hunt.found_in(shown.encode()) == set()
    finally:
        acting.net.clear_faults()
