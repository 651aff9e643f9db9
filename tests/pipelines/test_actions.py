"""Actions and signatures as tasks of DAGs, on the local Chipotle: the example DAGs, and what may go wrong."""

import json
import logging
import os
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from airflow.models.xcom import XComModel
from airflow.sdk import DAG, task
from airflow.utils.session import create_session

from lit_airflow import Conditions
from lit_airflow.action_operators import _as_json
from lit_airflow.errors import NodesUnavailableError, SettingsError
from lit_airflow.hooks import LitHook
from lit_airflow.keys.wallet import recover
from lit_airflow.networks.chipotle.cid import cid_v0
from lit_airflow.networks.contract import Verdict
from lit_airflow.operators import (
    LitActionOperator,
    LitDecryptManyOperator,
    LitDecryptOperator,
    LitSessionSigsOperator,
    LitSignOperator,
)
from lit_airflow.provider import sessions_page
from lit_airflow.provider.doctor import examine
from lit_airflow.provider.spending import COSTS
from lit_airflow.sandbox import vault_server
from lit_airflow.sandbox.connections import connections as sandbox_connections
from lit_airflow.sandbox.examples import example_dags
from lit_airflow.sandbox.networks import open_local_network
from tests.airflow.running import Run, make_dag, run_dag
from tests.airflow.test_example_dags import example
from tests.airflow.test_telemetry import Metrics, metrics
from tests.pipelines.conftest import ACTIONS_PATH, Acting
from tests.vault.parts import Bao, Connections

__all__ = ["metrics"]

pytestmark = pytest.mark.usefixtures("database")

ON = {"lit_conn_id": "lit_actions"}
# With what Jinja and editors would change: its own brackets, a line end of Windows, none at the end.
ECHO = (
    'async function main(params) {\r\n  console.log("seen \\u001b[31m", `{{ ${params.a} }}`);\n'
    "  return params;\n}"
)
SLOW = """async function main(params) {
  await new Promise((resolve) => setTimeout(resolve, 2100));
  return {};
}
"""


def pushed(run: Run, key: str) -> list[Any]:
    with create_session() as session:
        rows = (
            session.query(XComModel)
            .filter_by(run_id=run.dag_run.run_id, dag_id=run.dag_run.dag_id, key=key)
            .order_by(XComModel.map_index)
        )
        return [XComModel.deserialize_value(row) for row in rows]


def test_the_example_that_runs_an_action(acting: Acting, caplog: pytest.LogCaptureFixture) -> None:
    module = example("lit_run_action")
    acting.permit(module.SCORE)
    run = run_dag(module.lit_run_action())
    assert run.state == "success"
    assert run.xcom("score") == {"run": run.dag_run.run_id, "mean": 6}
    (costs,) = pushed(run, COSTS)
    assert (costs["runs"], costs["cents"]) == (1, max(1, int(costs["seconds"])))


def test_the_example_that_signs_a_report(
    acting: Acting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "report.csv"
    report.write_text("a,b\n1,2\n")
    monkeypatch.setenv("AIRFLOW_VAR_LIT_REPORT", str(report))
    module = example("lit_sign_report")
    run = run_dag(module.lit_sign_report())
    assert set(run.states().values()) == {"success"}
    signer = LitHook("lit_actions").settings.signing_policy().signer
    assert run.xcom("check") == run.xcom("sign")["signer"] == signer
    assert signer.lower() == acting.pkp


def test_the_sandboxs_connections_run_the_examples(
    connections: Connections, bao: Bao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `lit-airflow sandbox --network chipotle` makes them; only the Vault server is the tests' own."""
    (tmp_path / "report.csv").write_text("a,b\n")
    monkeypatch.setenv("AIRFLOW_VAR_LIT_REPORT", str(tmp_path / "report.csv"))
    with open_local_network("chipotle") as local:
        bao.write(vault_server.ACTIONS_PATH, dict(local.acting_secret))
        roles = (bao.renewer, bao.consumer, bao.role("lit-actions", vault_server.ACTIONS_POLICY))
        for made in sandbox_connections(
            ("127.0.0.1", bao.port),
            roles,
            local.connection_fields,
            bao.wallet.address,
            local.decrypting_fields,
            local.acting_fields,
        ):
            conn_id = str(made.pop("connection_id"))
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(made))
        for name in ("lit_run_action", "lit_sign_report"):
            assert run_dag(getattr(example(name), name)()).state == "success"
        # What lit_verify_enclave does: no local service has a quote that leads to Intel's root.
        with pytest.raises(NodesUnavailableError, match="evidence"):
            LitHook("lit_consumer").client.attest()


def test_a_report_that_was_changed_is_noticed(
    acting: Acting, dag_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert acting
    report = tmp_path / "report.csv"
    report.write_text("as it was signed")
    monkeypatch.setenv("AIRFLOW_VAR_LIT_REPORT", str(report))
    module = example("lit_sign_report")
    with make_dag(dag_id) as dag:
        signed = LitSignOperator(task_id="sign", message=module.state(), **ON)

        @task
        def change() -> None:
            report.write_text("as somebody wants it")

        signed >> change() >> module.check(signed.output)
    assert run_dag(dag).states()["check"] == "failed"


def action_dag(dag_id: str, **arguments: Any) -> DAG:  # noqa: ANN401 - the operator's
    with make_dag(dag_id) as dag:
        LitActionOperator(task_id="act", **{**ON, **arguments})
    return dag


def test_a_file_is_sent_byte_for_byte(acting: Acting, dag_id: str, tmp_path: Path) -> None:
    acting.permit(ECHO)
    folder = tmp_path / "actions"
    folder.mkdir()
    (folder / "echo.js").write_bytes(ECHO.encode())
    dag = action_dag(
        dag_id,
        code=f"{tmp_path}/{{{{ 'actions' }}}}/echo.js",
        js_params={"a": "{{ 1 + 1 }}", "n": [1, None]},
        expected_cid=cid_v0(ECHO),
        push_response=True,
    )
    run = run_dag(dag)
    assert run.xcom("act") == {"a": "2", "n": [1, None]}
    assert run.rendered("act")["code"] == ECHO


def test_a_file_beside_the_dag_or_in_its_searchpath(acting: Acting, dag_id: str, tmp_path: Path) -> None:
    acting.permit(ECHO)
    (tmp_path / "echo.js").write_bytes(ECHO.encode())
    with DAG(dag_id, schedule=None, template_searchpath=[str(tmp_path)]) as dag:
        LitActionOperator(task_id="act", code="echo.js", js_params={}, push_response=True, **ON)
        LitActionOperator(task_id="none", code="other.js", **ON)
    assert run_dag(dag).states() == {"act": "success", "none": "failed"}


def test_a_text_with_jinjas_brackets_is_sent_as_it_is(acting: Acting, dag_id: str) -> None:
    acting.permit(ECHO)
    with make_dag(dag_id) as dag:
        LitActionOperator.partial(task_id="act", code=ECHO, push_response=True, **ON).expand(
            js_params=[{"a": 1}, {"a": 2}]
        )
    run = run_dag(dag)
    assert run.state == "success"
    assert [each["a"] for each in pushed(run, "return_value")] == [1, 2]


def test_a_response_that_utf8_cannot_encode_is_written_with_an_escape() -> None:
    assert _as_json({"a": "\ud800"}).reveal() == b'{"a": "\\ud800"}'
    assert _as_json("ü").reveal() == '"ü"'.encode()


def test_a_file_and_a_sealed_response(acting: Acting, dag_id: str, tmp_path: Path) -> None:
    acting.permit(ECHO)
    target = tmp_path / "response.json"
    secret = {"a": "the plaintext of the response"}
    with make_dag(dag_id) as dag:
        # A reference, so that what is secret here stands in no rendered field.
        give = LitActionOperator(task_id="give", code=ECHO, js_params=secret, output_path=target, **ON)
        seal = LitActionOperator(task_id="seal", code=ECHO, js_params=secret, seal_response=True, **ON)
        drop = LitActionOperator(task_id="drop", code=ECHO, js_params=secret, **ON)

        @task.lit(**ON)
        def use(lit: Any, sealed: Any) -> list[Any]:  # noqa: ANN401 - OpenSession, sealed plaintext
            again = lit.run_action(ECHO, {"a": 7}, expected_cid=cid_v0(ECHO))
            opened = json.loads(lit.open(sealed, made_by="seal"))
            signed = lit.sign(message="the message")
            with pytest.raises(SettingsError, match="no session"):
                lit.decrypt({})
            return [again.response["a"], opened == secret, signed.kind]

        [give, drop, use(seal.output)]
    run = run_dag(dag)
    assert set(run.states().values()) == {"success"}
    assert json.loads(target.read_text()) == secret
    assert target.stat().st_mode & 0o777 == 0o600
    assert run.xcom("use") == [7, True, "message"]
    assert run.xcom("give") == str(target)
    assert run.xcom("drop") is None
    assert secret["a"] not in json.dumps(run.xcom("seal"))


@pytest.mark.parametrize("kind", ["transaction", "typed_data"])
def test_what_the_connection_does_not_permit_is_not_signed(acting: Acting, dag_id: str, kind: str) -> None:
    from tests.unit.protocol.test_signing import TRANSACTION, TYPED_DATA, changed

    good = {"transaction": TRANSACTION, "typed_data": TYPED_DATA}[kind]
    bad = {
        "transaction": changed(TRANSACTION, to="0x" + "cd" * 20),
        "typed_data": changed(TYPED_DATA, domain={**TYPED_DATA["domain"], "chainId": 1}),
    }[kind]
    before = len(acting.net.requests)
    with make_dag(dag_id) as dag:
        LitSignOperator(task_id="bad", **{kind: bad}, **ON)
    assert run_dag(dag).state == "failed"
    assert len(acting.net.requests) == before
    with make_dag(f"{dag_id}_good") as dag:
        LitSignOperator(task_id="good", **{kind: good}, **ON)
    assert run_dag(dag).xcom("good")["kind"] == kind


def test_a_budget_refuses_before_anything_is_sent(acting: Acting, dag_id: str) -> None:
    acting.permit(SLOW)
    before = len(acting.net.requests)
    assert run_dag(action_dag(f"{dag_id}_told", code=SLOW, budget_cents=2, expected_s=3)).state == "failed"
    assert len(acting.net.requests) == before
    dag = action_dag(dag_id, code=SLOW, budget_cents=1)
    assert run_dag(dag).state == "success"  # nothing is known of it yet, so it is taken for a second
    sent = len(acting.net.requests)
    assert run_dag(dag).state == "failed"  # the last run took two
    assert len(acting.net.requests) == sent


def decrypting(dag_id: str, folder: Path, budget_cents: int | None, expected_s: float | None = None) -> DAG:
    """What decrypts, each way once, the same two files with a session of its own."""
    budget: dict[str, Any] = {"budget_cents": budget_cents, "expected_s": expected_s}
    on: dict[str, Any] = {"lit_conn_id": "lit_consumer", **budget}
    pattern = f"{folder}/*.lit.json"
    with make_dag(dag_id) as dag:
        session = LitSessionSigsOperator(task_id="session", encrypted=pattern, lit_conn_id="lit_renewer")
        one = LitDecryptOperator(
            task_id="one",
            encrypted=f"{folder}/0.lit.json",
            session=session.output,
            output_path=f"{folder}/one",
            **on,
        )
        many = LitDecryptManyOperator(
            task_id="many", encrypted=pattern, session=session.output, output_dir=f"{folder}/out", **on
        )

        @task.lit(session=session.output, **on)
        def own(lit: Any) -> int:  # noqa: ANN401 - OpenSession
            return len(lit.decrypt(f"{folder}/0.lit.json")) + len(lit.decrypt(f"{folder}/1.lit.json"))

        [one, many, own()]
    return dag


def encrypted_files(folder: Path, acting: Acting) -> None:
    conditions = Conditions.for_wallet(acting.bao.wallet.address).to_json()
    for number in range(2):
        container = LitHook("lit_consumer").encrypt(b"plaintext", conditions)
        (folder / f"{number}.lit.json").write_text(json.dumps(container))


def runs(acting: Acting) -> int:
    return sum(request["call"] == "lit_action" for request in acting.net.requests)


def test_a_budget_on_decryption(
    chipotle_connections: object, acting: Acting, dag_id: str, tmp_path: Path
) -> None:
    assert chipotle_connections
    encrypted_files(tmp_path, acting)
    refused = {"session": "success", "one": "failed", "many": "failed", "own": "failed"}
    before = runs(acting)
    assert run_dag(decrypting(f"{dag_id}_slow", tmp_path, 2, expected_s=3)).states() == refused
    assert runs(acting) == before
    assert set(run_dag(decrypting(dag_id, tmp_path, 5)).states().values()) == {"success"}
    # By what was noted then, one run each pays for the operators, and two for the function.
    states = run_dag(decrypting(dag_id, tmp_path, 1, expected_s=1)).states()
    assert states == {"session": "success", "one": "success", "many": "success", "own": "failed"}


def test_decryption_that_is_not_paid_by_the_run_is_within_every_budget(
    connections: Connections, acting: Acting, dag_id: str, tmp_path: Path
) -> None:
    assert connections
    encrypted_files(tmp_path, acting)
    assert set(run_dag(decrypting(dag_id, tmp_path, 0)).states().values()) == {"success"}


def test_a_low_balance_is_warned_of_once(
    acting: Acting, dag_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    acting.permit(ECHO, low_balance_cents=50_000_000)
    hook = LitHook("lit_actions")
    with caplog.at_level(logging.WARNING, logger="lit_airflow.provider.spending"):
        for _ in range(2):
            hook.run_action(ECHO, {"a": 1})
    warnings = [
        record.getMessage() for record in caplog.records if "low_balance_cents" in record.getMessage()
    ]
    assert len(warnings) == 1
    assert "less than $500000.00" in warnings[0]
    assert hook.spending.to_json()["runs"] == 2


def test_a_balance_that_is_not_known_fails_no_task(acting: Acting, dag_id: str) -> None:
    acting.permit(ECHO, low_balance_cents=1)
    acting.net.set_fault("broken", call="billing/balance")
    try:
        dag = action_dag(dag_id, code=ECHO, js_params={"a": 1}, push_response=True)
        assert run_dag(dag).state == "success"
    finally:
        acting.net.clear_faults()


def test_a_decryption_on_a_paid_network_counts(
    chipotle_connections: object, acting: Acting, dag_id: str
) -> None:
    assert chipotle_connections
    renewer, consumer = LitHook("lit_renewer"), LitHook("lit_consumer")
    container = consumer.encrypt(b"a", Conditions.for_wallet(acting.bao.wallet.address).to_json())
    session = renewer.open_session(renewer.scope_of(container))
    assert consumer.decrypt(container, session) == b"a"
    assert (consumer.spending.runs, consumer.spending.cents >= 1) == (1, True)


def test_nothing_secret_is_left_behind(acting: Acting, dag_id: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither API key nor token in log, XCom, rendered fields; the console's control characters are escaped."""
    acting.permit(ECHO)
    key = acting.bao.admin.secrets.kv.v2.read_secret(
        ACTIONS_PATH.removeprefix("secret/"), mount_point="secret"
    )
    api_key = key["data"]["data"]["api_key"]
    throws = 'async function main() { throw new Error("thrown data"); }'
    with caplog.at_level(logging.DEBUG):
        good = run_dag(action_dag(dag_id, code=ECHO, js_params={"a": 1}, push_response=True))
        bad = run_dag(action_dag(f"{dag_id}_bad", code=throws))
    assert (good.state, bad.state) == ("success", "failed")
    found = [caplog.text, json.dumps(good.rendered("act")), json.dumps(pushed(good, "return_value"))]
    database = Path(os.environ["AIRFLOW_HOME"]).rglob("*.db")
    assert not any(api_key in text for text in found)
    assert not any(api_key.encode() in file.read_bytes() for file in database)
    assert "\x1b" not in caplog.text
    assert "thrown data" not in caplog.text


def test_the_page_shows_costs_per_dag_and_day(acting: Acting, dag_id: str) -> None:
    from datetime import UTC, datetime

    acting.permit(ECHO)
    run = run_dag(action_dag(dag_id, code=ECHO, js_params={"a": 1}))
    now = datetime.now(UTC)
    row = sessions_page.Row(dag_id, run.dag_run.run_id, "act", -1, now, pushed(run, COSTS)[0])
    html = sessions_page.render([], [], costs=[row, row], now=now)
    assert f"<td>{dag_id}</td>" in html
    assert '<td class="number">2</td>' in html


def blocks(page: str) -> list[str]:
    text = (example_dags().parent / "docs" / page).read_text()
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def documented(page: str, name: str, folder: Path) -> Any:  # noqa: ANN401 - a DAG's module
    """A page's DAG, its paths leading elsewhere."""
    (block,) = (block for block in blocks(page) if f"def {name}()" in block)
    file = folder / f"{name}.py"
    file.write_text(block.replace("/data", str(folder)))
    spec = spec_from_file_location(f"documented_{name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_recipe(acting: Acting, tmp_path: Path) -> None:
    module = documented("recipes.md", "counted", tmp_path)
    acting.permit(module.COUNT)
    run = run_dag(module.counted())
    assert set(run.states().values()) == {"success"}
    text = f"Run {run.dag_run.run_id} has 3 rows."
    assert recover(text, run.xcom("sign")["signature"]).lower() == acting.pkp


def test_the_pages_dags(acting: Acting, tmp_path: Path) -> None:
    assert run_dag(documented("actions.md", "statement", tmp_path).statement()).state == "success"
    acting.permit("async function main(params) { return params; }\n")
    (tmp_path / "actions").mkdir()
    (tmp_path / "actions" / "score.js").write_text("async function main(params) { return params; }\n")
    dag = documented("actions.md", "score", tmp_path).score()
    dag.fileloc = str(tmp_path / "score.py")  # as it is where the file itself makes the DAG
    task_ = dag.get_task("score")
    assert run_dag(dag).state == "failed"  # the page names another CID
    task_.expected_cid = cid_v0("async function main(params) { return params; }\n")
    run = run_dag(dag)
    assert json.loads((tmp_path / "score.json").read_text()) == {"run": run.dag_run.run_id}


def test_the_pages_local_network(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = (block for block in blocks("actions.md") if "Chipotle()" in block)
    exec(compile(block, "page", "exec"), {})
    assert capsys.readouterr().out.startswith("{'twice': 42} Qm")


def test_costs_are_metrics_by_dag(acting: Acting, dag_id: str, metrics: Metrics) -> None:
    acting.permit(ECHO, low_balance_cents=1)
    assert run_dag(action_dag(dag_id, code=ECHO, js_params={"a": 1})).state == "success"
    data = metrics.reader.get_metrics_data()
    assert data is not None
    points = {
        metric.name.removeprefix("airflow.lit.cost."): next(iter(metric.data.data_points))
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name.startswith("airflow.lit.cost.")
    }
    assert points["runs"].value == 1
    assert points["cents"].value >= 1
    assert points["seconds"].value >= 1
    assert points["balance_cents"].value > 1000
    for name in ("runs", "cents", "seconds"):
        assert points[name].attributes["dag_id"] == dag_id


def test_doctor_names_the_signers_cid(acting: Acting) -> None:
    checks = {check.name: check for check in examine(LitHook("lit_actions"))}
    assert checks["signing"].verdict is Verdict.NOTE
    assert checks["API key's group"].verdict is Verdict.NOTE  # a secret without gates
    hook = LitHook("lit_actions")
    _, cid = hook.client.signing_code(hook.settings.signing_policy())
    assert cid in checks["signing"].found
    assert acting.pkp[2:10] in checks["signing"].found.lower()


def test_a_network_without_actions_refuses_the_tasks(connections: Connections, dag_id: str) -> None:
    connections.lit("lit_actions", sign_pkp="0x" + "ab" * 20)
    with make_dag(dag_id) as dag:
        LitActionOperator(task_id="act", code=ECHO, **ON)
        LitActionOperator(task_id="budget", code=ECHO, budget_cents=1, **ON)
        LitSignOperator(task_id="sign", message="a", **ON)
    run = run_dag(dag)
    assert set(run.states().values()) == {"failed"}
    for use in (
        lambda: LitHook("lit_actions").run_action(ECHO),
        lambda: LitHook("lit_actions").sign(message="a"),
    ):
        with pytest.raises(SettingsError) as caught:
            use()
        assert caught.value.field == "network"
