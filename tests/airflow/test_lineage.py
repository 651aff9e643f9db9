"""What OpenLineage learns: Airflow's own extractor and adapter, and the client's file transport."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.bases.operator import BaseOperator
from cryptography.fernet import Fernet

from lit_airflow import Conditions, LitClient, Wallet
from lit_airflow.decorators import OpenSession, lit_task
from lit_airflow.devnet import Devnet
from lit_airflow.hooks import LitHook
from lit_airflow.operators import LitDecryptManyOperator, LitDecryptOperator, LitEncryptOperator
from lit_airflow.provider import files
from lit_airflow.provider.lineage import MAX_FLOWS, dataset_name

WALLET = Wallet.from_key("11" * 32)
CONDITIONS = Conditions.for_wallet(WALLET.address)
TAGS = {"lit.network": "custom", "lit.conditions_hash": CONDITIONS.hash}
PLAINTEXT = b"the plaintext"


class Task:
    """What the operators need of a task instance."""

    dag_id, task_id, run_id, map_index = "dag", "task", "run", -1

    def xcom_push(self, key: str, value: object) -> None: ...


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Iterator[Devnet]:
    with Devnet(nodes=3, threshold=2) as running:
        extra = {
            **{name: running.description[name] for name in ("network", "rpc_url", "staking_address")},
            "seal": "fernet",
            "seal_secret": Fernet.generate_key().decode(),
        }
        monkeypatch.setenv("AIRFLOW_CONN_LIT_DEFAULT", json.dumps({"conn_type": "lit", "extra": extra}))
        yield running


def ticket(net: Devnet, *containers: dict[str, Any]) -> dict[str, Any]:
    client = LitClient(net.description)
    scope = client.scope_of(containers[0], containers[0])
    for each in containers[1:]:
        scope |= client.scope_of(each, each)
    return dict(LitHook().make_ticket(client.open_session(WALLET, scope)))


def extracted(operator: BaseOperator) -> Any:  # noqa: ANN401 - OperatorLineage
    """Run a task, and return what Airflow's extractor finds."""
    # Here: every process that collects the tests would import it, which takes more than a second.
    from airflow.providers.openlineage.extractors.base import DefaultExtractor

    operator.execute({"ti": Task()})  # type: ignore[typeddict-item]
    found = DefaultExtractor(operator).extract_on_complete(Task())
    assert found is not None
    return found


def emitted(operator: BaseOperator, log: Path) -> dict[str, Any]:
    """Run a task, and return the event that OpenLineage's backend gets."""
    from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport.file import FileConfig, FileTransport

    found = extracted(operator)
    transport = FileTransport(FileConfig(log_file_path=str(log), append=True))
    adapter = OpenLineageAdapter(client=OpenLineageClient(transport=transport))
    adapter.complete_task(
        run_id="01938f2e-0000-7000-8000-000000000000", job_name="dag.task", end_time="2026-01-01T00:00:00+00:00",
        task=found, nominal_start_time=None, nominal_end_time=None, owners=None, tags=None, job_description=None,
    )  # fmt: skip
    event: dict[str, Any] = json.loads(log.read_text().splitlines()[-1])
    return event


def names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["namespace"], each["name"]) for each in datasets]


def tags(dataset: dict[str, Any]) -> dict[str, str]:
    fields = dataset.get("facets", {}).get("tags", {}).get("tags", [])
    return {field["key"]: field["value"] for field in fields}


@pytest.mark.parametrize("size", [10, 2 * 1024 * 1024])
def test_encrypt_and_decrypt_files(net: Devnet, tmp_path: Path, size: int) -> None:
    given, sealed, opened = tmp_path / "in", tmp_path / "in.lit", tmp_path / "out"
    given.write_bytes(bytes(size))
    event = emitted(
        LitEncryptOperator(
            task_id="e", input_path=given, output_path=sealed, conditions=CONDITIONS.to_json()
        ),
        tmp_path / "log",
    )
    assert names(event["inputs"]) == [("file", str(given))]
    assert names(event["outputs"]) == [("file", str(sealed))]
    assert tags(event["inputs"][0]) == {}
    assert tags(event["outputs"][0]) == {"lit.encrypted": "true", **TAGS}

    session = ticket(net, dict(files.read_container(sealed)))
    event = emitted(
        LitDecryptOperator(task_id="d", encrypted=sealed, session=session, output_path=opened),
        tmp_path / "log",
    )
    assert names(event["inputs"]) == [("file", str(sealed))]
    assert names(event["outputs"]) == [("file", str(opened))]
    assert tags(event["inputs"][0]) == {"lit.encrypted": "true", **TAGS}
    assert tags(event["outputs"][0]) == {"lit.decrypted": "true", **TAGS}


@pytest.mark.parametrize("how", ["seal_plaintext", "push_plaintext"])
def test_containers_and_plaintext_in_xcom(net: Devnet, tmp_path: Path, how: str) -> None:
    container = LitClient(net.description).make_container(PLAINTEXT, CONDITIONS)
    operator = LitDecryptOperator(
        task_id="d", encrypted=container, session=ticket(net, container), **{how: True}
    )
    event = emitted(operator, tmp_path / "log")
    assert names(event["inputs"]) == [("lit://custom", f"{CONDITIONS.hash}/{container['dataToEncryptHash']}")]
    assert names(event["outputs"]) == [("airflow", "xcom/dag/task")]
    assert tags(event["outputs"][0]) == {"lit.decrypted": "true", **TAGS}
    assert PLAINTEXT.decode() not in (tmp_path / "log").read_text()


def test_a_container_that_is_pushed(net: Devnet, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(PLAINTEXT)
    operator = LitEncryptOperator(task_id="e", input_path=tmp_path / "in", conditions=CONDITIONS.to_json())
    event = emitted(operator, tmp_path / "log")
    assert names(event["outputs"])[0][0] == "lit://custom"
    assert tags(event["outputs"][0]) == {"lit.encrypted": "true", **TAGS}


def test_decrypt_many(net: Devnet, tmp_path: Path) -> None:
    client = LitClient(net.description)
    containers = {name: client.make_container(name.encode(), CONDITIONS) for name in ("a", "b", "c")}
    for name, container in containers.items():
        (tmp_path / f"{name}.lit.json").write_text(json.dumps(container))
    operator = LitDecryptManyOperator(
        task_id="m",
        encrypted=f"{tmp_path}/*.lit.json",
        session=ticket(net, *containers.values()),
        output_dir=tmp_path,
    )
    event = emitted(operator, tmp_path / "log")
    assert names(event["inputs"]) == [("file", f"{tmp_path}/{name}.lit.json") for name in containers]
    assert names(event["outputs"]) == [("file", f"{tmp_path}/{name}") for name in containers]
    assert {json.dumps(tags(each), sort_keys=True) for each in event["outputs"]} == {
        json.dumps({"lit.decrypted": "true", **TAGS}, sort_keys=True)
    }


def test_a_function_with_the_decorator(net: Devnet, tmp_path: Path) -> None:
    client = LitClient(net.description)
    first, second = (client.make_container(each, CONDITIONS) for each in (b"first", b"second"))
    (tmp_path / "first.lit.json").write_text(json.dumps(first))

    def act(lit: OpenSession) -> dict[str, Any]:
        assert lit.decrypt_file(tmp_path / "first.lit.json", tmp_path / "first") == len("first")
        assert [outcome.result() for outcome in lit.decrypt_many([second])] == [b"second"]
        return lit.encrypt(lit.decrypt(second), CONDITIONS.to_json())

    operator = lit_task(act, session=ticket(net, first, second))().operator
    event = emitted(operator, tmp_path / "log")
    sealed = ("lit://custom", f"{CONDITIONS.hash}/{second['dataToEncryptHash']}")
    memory = ("airflow", "xcom/dag/task")
    assert names(event["inputs"]) == [memory, ("file", f"{tmp_path}/first.lit.json"), sealed, sealed]
    assert names(event["outputs"]) == [sealed, ("file", f"{tmp_path}/first"), memory, memory]
    assert tags(event["outputs"][1]) == {"lit.decrypted": "true", **TAGS}


def test_a_function_that_opens_nothing_leaves_lineage_to_its_assets(net: Devnet) -> None:
    assert net

    def act(lit: OpenSession) -> str:
        return lit.hook.lit_conn_id

    found = extracted(lit_task(act)().operator)
    assert (found.inputs, found.outputs) == ([], [])


def test_a_task_that_did_not_begin_says_nothing() -> None:
    operator = LitDecryptOperator(task_id="d", encrypted="x", session="s", output_path="y")
    assert operator.get_openlineage_facets_on_complete(SimpleNamespace()) is None


def test_a_network_of_a_file_is_named_as_the_file_says_and_not_by_its_path(
    net: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "network.json"
    file.write_text(json.dumps(net.description))
    connection = {"conn_type": "lit", "extra": {"network": str(file)}}
    monkeypatch.setenv("AIRFLOW_CONN_LIT_DEFAULT", json.dumps(connection))
    hook = LitHook()
    container = LitClient(net.description).make_container(PLAINTEXT, CONDITIONS)
    del container["network"]
    hook.lineage.note_decrypted("", "", container)
    assert [flow.network for flow in hook.lineage.decrypted] == ["custom"]


def test_more_files_than_one_event_should_name(net: Devnet) -> None:
    hook = LitHook()
    container = LitClient(net.description).make_container(PLAINTEXT, CONDITIONS)
    for number in range(MAX_FLOWS + 1):
        hook.lineage.note_decrypted(f"{number}.lit", f"{number}", container)
    assert len(hook.lineage.decrypted) == MAX_FLOWS


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/report.csv", ("file", "/data/report.csv")),
        ("file:///data/report.csv", ("file", "/data/report.csv")),
        ("file://mine@/data/report.csv", ("file", "/data/report.csv")),
        ("s3://bucket/a/b.csv", ("s3://bucket", "a/b.csv")),
        ("s3://aws_default@bucket/a/b.csv", ("s3://bucket", "a/b.csv")),
        ("gs://bucket/a", ("gs://bucket", "a")),
    ],
)
def test_names_of_datasets(path: str, expected: tuple[str, str]) -> None:
    assert dataset_name(path) == expected
