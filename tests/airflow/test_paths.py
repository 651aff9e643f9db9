"""Paths that are no text, in DAG runs: every operator takes what ``os.fspath`` takes, and ``ObjectStoragePath``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath, task
from cryptography.fernet import Fernet

from lit_airflow import Conditions, Wallet
from lit_airflow.devnet import Devnet
from lit_airflow.errors import SettingsError
from lit_airflow.operators import (
    LitActionOperator,
    LitDecryptManyOperator,
    LitDecryptOperator,
    LitEncryptOperator,
    LitKeepAliveOperator,
    LitSessionSigsOperator,
)
from lit_airflow.provider import files
from lit_airflow.provider.paths import checked_paths, path_text
from lit_airflow.sensors import LitConditionSensor
from tests.airflow.running import make_dag, run_dag

KEY = "ab" * 32
CONDITIONS = Conditions.for_wallet(Wallet.from_key(KEY).address).to_json()


class OwnPath:
    """A path of the kind that libraries write for themselves."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __fspath__(self) -> str:
        return self._text


@pytest.fixture(scope="module")
def net() -> Iterator[Devnet]:
    with Devnet(nodes=3, threshold=2) as running:
        yield running


@pytest.fixture
def connected(net: Devnet, monkeypatch: pytest.MonkeyPatch) -> None:
    network = {name: net.description[name] for name in ("network", "rpc_url", "staking_address")}
    keys = {"signer": "connection", "wallet_secret": KEY, "seal_secret": Fernet.generate_key().decode()}
    extra = {**network, **keys, "seal": "fernet"}
    monkeypatch.setenv("AIRFLOW_CONN_LIT_DEFAULT", json.dumps({"conn_type": "lit", "extra": extra}))


@pytest.mark.usefixtures("database", "connected")
@pytest.mark.parametrize("of", [Path, ObjectStoragePath])
def test_a_dag_run(of: Callable[[str], Any], dag_id: str, tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text("the plaintext")
    (tmp_path / "large.csv").write_bytes(bytes(2_000_000))
    with make_dag(dag_id) as dag:
        sealed = [
            LitEncryptOperator(
                task_id=f"encrypt_{name}",
                input_path=of(f"{tmp_path}/{name}.csv"),
                output_path=of(f"{tmp_path}/{name}.{{{{ dag.dag_id }}}}.lit.json"),
                conditions=CONDITIONS,
            )
            for name in ("plain", "large")
        ]
        plain, large = (f"{tmp_path}/{name}.{dag_id}.lit.json" for name in ("plain", "large"))
        session = LitSessionSigsOperator(task_id="session", encrypted=[of(plain), of(large)])
        wait = LitConditionSensor(task_id="wait", encrypted=of(plain), session=session.output)
        decrypt = LitDecryptOperator(
            task_id="decrypt",
            encrypted=of(plain),
            session=session.output,
            output_path=of(f"{tmp_path}/new/out"),
        )
        mapped = LitDecryptOperator.partial(
            task_id="mapped", session=session.output, output_path=of(f"{tmp_path}/mapped")
        ).expand(encrypted=[large])
        many = LitDecryptManyOperator(
            task_id="many",
            encrypted=of(f"{tmp_path}/*.{dag_id}.lit.json"),
            session=session.output,
            output_dir=of(f"{tmp_path}/many"),
        )

        @task.lit(session=session.output)
        def function(lit: Any) -> int:  # noqa: ANN401 - OpenSession
            lit.encrypt_file(of(f"{tmp_path}/plain.csv"), of(f"{tmp_path}/again"), CONDITIONS)
            (outcome,) = lit.decrypt_many([of(plain)])
            assert outcome.result() == lit.decrypt(of(plain))
            return int(lit.decrypt_file(of(plain), of(f"{tmp_path}/function")))

        sealed >> session >> wait >> [decrypt, mapped, many, function()]
    run = run_dag(dag)
    assert set(run.states().values()) == {"success"}
    for name in ("new/out", f"many/plain.{dag_id}", "function"):
        assert (tmp_path / name).read_text() == "the plaintext"
    assert (tmp_path / "mapped").stat().st_size == 2_000_000
    assert Path(files.place(run.xcom("decrypt"))) == tmp_path / "new/out"
    assert run.rendered("decrypt")["encrypted"].endswith(f"/plain.{dag_id}.lit.json")
    words = f"The wallet is {Wallet.from_key(KEY).address}."
    assert run.rendered("encrypt_plain")["conditions_in_words"] == words


def rendered(operator: Any, field: str, *from_xcom: object) -> Any:  # noqa: ANN401 - whatever the field holds
    """Render a field as Airflow does; it names what comes from XCom by its id."""
    value = getattr(operator, field)
    seen = {id(each) for each in from_xcom}
    return operator.render_template(
        value, {"task": operator, "ds": "today"}, operator.get_template_env(), seen
    )


@pytest.mark.parametrize("of", [Path, OwnPath, os.fsencode, ObjectStoragePath])
def test_paths_are_rendered_as_text(of: Callable[[str], Any], tmp_path: Path) -> None:
    """Airflow 3.1 calls ``resolve`` of a ``Path``, and Jinja renders text only."""
    here, script = of(f"{tmp_path}/{{{{ ds }}}}.lit"), of(f"{tmp_path}/{{{{ ds }}}}.js")
    (tmp_path / "today.js").write_text("main")
    with make_dag("unused"):
        session = LitSessionSigsOperator(task_id="session", encrypted=[here, {"ciphertext": ""}])
        beside = LitKeepAliveOperator(task_id="beside", name="n", encrypted=here)
        wait = LitConditionSensor(task_id="wait", encrypted=here, session="n")
        code = path_text(script) if of is os.fsencode else script
        action = LitActionOperator(task_id="act", code=code, output_path=here)
    path, other = rendered(session, "encrypted")
    assert isinstance(path, str)
    assert files.place(path) == f"{tmp_path}/today.lit"
    assert other == {"ciphertext": ""}
    for operator, field in ((beside, "encrypted"), (wait, "encrypted"), (action, "output_path")):
        assert rendered(operator, field) == path
    assert rendered(action, "code") == "main"


@pytest.mark.parametrize(
    "of", [str, Path, ObjectStoragePath, lambda text: [text], lambda text: [Path(text), text]]
)
def test_what_xcom_brings_is_no_template(of: Callable[[str], Any]) -> None:
    """A mapped task gets names of files, which strangers may choose."""
    given = of("/in/{{ ds }}.lit")
    with make_dag("unused"):
        decrypt = LitDecryptManyOperator(task_id="many", encrypted=given, session="s", output_dir="/out")
        wait = LitConditionSensor(task_id="wait", encrypted=given, session="s")
    assert rendered(decrypt, "encrypted", given) == rendered(wait, "encrypted", given) == given


@pytest.mark.parametrize("of", [str, Path, ObjectStoragePath])
def test_the_path_of_an_action_that_xcom_brings_is_no_template(
    of: Callable[[str], Any], tmp_path: Path
) -> None:
    (tmp_path / "{{ ds }}.js").write_text("main")
    given = of(f"{tmp_path}/{{{{ ds }}}}.js")
    with make_dag("unused"):
        action = LitActionOperator(task_id="act", code=given)
    assert rendered(action, "code", given) == "main"


def test_a_parameter_that_ends_in_js_is_not_a_file() -> None:
    with make_dag("unused"):
        action = LitActionOperator(task_id="act", code="main", js_params={"source": "https://{{ ds }}/a.js"})
    assert rendered(action, "js_params") == {"source": "https://today/a.js"}


def test_an_entry_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"contents")
    (entry,) = os.scandir(tmp_path)
    assert checked_paths((entry,)) == (f"{tmp_path}/file",)
    assert files.read(entry) == b"contents"


@pytest.mark.parametrize("url", ["s3://bucket/key", "file:///tmp/x"])
def test_a_url_in_a_path(url: str) -> None:
    """``Path`` removes a slash, and what is left is a path in a folder named ``s3:``."""
    for act in (files.read, files.exists, lambda path: files.write(path, b"")):
        with pytest.raises(SettingsError, match=r"removed a slash"):
            act(Path(url))
    with pytest.raises(SettingsError, match=r"removed a slash"):
        LitDecryptOperator(task_id="d", encrypted="", session="s", output_path=Path(url))


def test_the_file_of_an_action_ends_in_js() -> None:
    with pytest.raises(SettingsError, match=r"must end in \.js, unlike /actions/score\.ts"):
        LitActionOperator(task_id="act", code=Path("/actions/score.ts"))
