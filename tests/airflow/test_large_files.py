"""Files of any size in DAG runs: envelopes, here and in object storage."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from lit_airflow.envelope import ENVELOPE_FROM_BYTES, KEY_TAG, MAGIC, SEGMENT_BYTES
from lit_airflow.errors import SettingsError
from lit_airflow.hooks import LitHook
from lit_airflow.operators import (
    LitDecryptOperator,
    LitEncryptOperator,
    LitSessionSigsOperator,
)
from lit_airflow.provider import file_io, files
from tests.airflow.running import make_dag, run_dag
from tests.vault.parts import KEY_READ, LOGIN, OPENED, SEALED, Bao, conditions_for, forms

pytestmark = pytest.mark.usefixtures("database", "connections")

CONTENTS = os.urandom(2 * SEGMENT_BYTES + 100)


@pytest.fixture(params=["here", "in a store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, memory: str) -> str:
    return memory if request.param == "in a store" else str(tmp_path)


def there_and_back(dag_id: str, folder: str, bao: Bao, **encrypt: Any) -> DAG:  # noqa: ANN401 - the operator's own
    with make_dag(dag_id) as dag:
        sealed = LitEncryptOperator(
            task_id="encrypt",
            input_path=f"{folder}/in",
            conditions=conditions_for(bao.wallet.address),
            output_path=f"{folder}/sealed",
            lit_conn_id="lit_consumer",
            **encrypt,
        )
        session = LitSessionSigsOperator(
            task_id="session", encrypted=sealed.output, lit_conn_id="lit_renewer"
        )
        LitDecryptOperator(
            task_id="decrypt",
            encrypted=sealed.output,
            session=session.output,
            output_path=f"{folder}/out",
            lit_conn_id="lit_consumer",
        )
    return dag


def test_a_large_file_goes_there_and_back_as_an_envelope(bao: Bao, folder: str, dag_id: str) -> None:
    files.write(f"{folder}/in", CONTENTS)
    with bao.watched() as paths:
        run = run_dag(there_and_back(dag_id, folder, bao))
    assert run.states() == dict.fromkeys(("encrypt", "session", "decrypt"), "success")
    assert files.read(f"{folder}/sealed").startswith(MAGIC)
    assert files.read(f"{folder}/out") == CONTENTS
    assert paths == [LOGIN, KEY_READ, SEALED, LOGIN, OPENED]
    (granted,) = run.xcom("session")["scope"]
    assert granted["resource"].endswith("/" + files.read_container(f"{folder}/sealed")["dataToEncryptHash"])


WRITTEN = {
    "small": (ENVELOPE_FROM_BYTES - 1, None, b"{"),
    "large": (ENVELOPE_FROM_BYTES, None, MAGIC),
    "small_envelope": (10, True, MAGIC),
    "empty_envelope": (0, True, MAGIC),
    "large_container": (ENVELOPE_FROM_BYTES, False, b"{"),
}
"""Name -> size in bytes, the operator's ``envelope``, and how the file begins that is written."""


def test_which_of_the_two_is_written(bao: Bao, tmp_path: Path, dag_id: str) -> None:
    with make_dag(dag_id) as dag:
        written = [
            LitEncryptOperator(
                task_id=name,
                input_path=str(tmp_path / name),
                conditions=conditions_for(bao.wallet.address),
                output_path=f"{tmp_path}/{name}.lit",
                lit_conn_id="lit_consumer",
                envelope=envelope,
            )
            for name, (_, envelope, _) in WRITTEN.items()
        ]
        paths = [each.output for each in written]
        session = LitSessionSigsOperator(task_id="session", encrypted=paths, lit_conn_id="lit_renewer")
        for name, path in zip(WRITTEN, paths, strict=True):
            LitDecryptOperator(
                task_id=f"decrypt_{name}",
                encrypted=path,
                session=session.output,
                output_path=f"{tmp_path}/{name}.out",
                lit_conn_id="lit_consumer",
            )
    contents = {name: os.urandom(size) for name, (size, _, _) in WRITTEN.items()}
    for name, given in contents.items():
        (tmp_path / name).write_bytes(given)
    run = run_dag(dag)
    assert run.state == "success"
    for name, (_, _, expected) in WRITTEN.items():
        assert (tmp_path / f"{name}.lit").read_bytes().startswith(expected), name
        assert (tmp_path / f"{name}.out").read_bytes() == contents[name]


def test_an_envelope_needs_a_place(bao: Bao) -> None:
    with pytest.raises(SettingsError, match="needs output_path"):
        LitEncryptOperator(
            task_id="encrypt", input_path="/x", conditions=conditions_for(bao.wallet.address), envelope=True
        )


def test_an_envelope_can_be_pushed_and_read_into_memory(
    bao: Bao, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").write_text("small, and an envelope all the same")
    dag = there_and_back("large_pushed", str(tmp_path), bao, envelope=True)
    decrypt = dag.get_task("decrypt")
    assert isinstance(decrypt, LitDecryptOperator)
    decrypt.output_path, decrypt.push_plaintext = None, True
    run = run_dag(dag)
    assert run.xcom("decrypt") == "small, and an envelope all the same"
    assert " MB." not in "".join(capsys.readouterr())  # progress is for what takes longer


def test_progress_is_in_the_tasks_log(
    bao: Bao,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(files, "PROGRESS_EVERY_S", 0.0)
    (tmp_path / "in").write_bytes(CONTENTS)
    assert run_dag(there_and_back("large_progress", str(tmp_path), bao)).state == "success"
    assert f"Encrypting {tmp_path}/in: 1 of 2 MB." in caplog.messages
    assert "Encrypting under these conditions: " in "".join(capsys.readouterr())
    assert f"Decrypting {tmp_path}/sealed: 2 of 2 MB." in caplog.messages


@pytest.mark.parametrize(
    ("folder", "kept", "noticed_by"),
    [("here", 100, "session"), ("here", -1, "decrypt"), ("in a store", SEGMENT_BYTES, "decrypt")],
    indirect=["folder"],
)
def test_a_damaged_envelope_fails_at_once_and_leaves_the_place_as_it_was(
    bao: Bao, folder: str, dag_id: str, capsys: pytest.CaptureFixture[str], *, kept: int, noticed_by: str
) -> None:
    files.write(f"{folder}/in", CONTENTS)
    conditions = conditions_for(bao.wallet.address)
    file_io.encrypt_file(LitHook("lit_consumer"), f"{folder}/in", f"{folder}/sealed", conditions)
    files.write(f"{folder}/sealed", files.read(f"{folder}/sealed")[:kept])
    files.write(f"{folder}/out", b"yesterday's")
    with make_dag(dag_id, retries=2) as dag:
        session = LitSessionSigsOperator(
            task_id="session", encrypted=f"{folder}/sealed", lit_conn_id="lit_renewer"
        )
        LitDecryptOperator(
            task_id="decrypt",
            encrypted=f"{folder}/sealed",
            session=session.output,
            output_path=f"{folder}/out",
            lit_conn_id="lit_consumer",
        )
    run = run_dag(dag)
    assert run.states()[noticed_by] == "failed"
    assert run.task(noticed_by).try_number == 1
    assert "CiphertextError" in "".join(capsys.readouterr())
    assert files.read(f"{folder}/out") == b"yesterday's"


def test_what_is_stored_and_logged_has_neither_key_nor_plaintext(
    bao: Bao, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    (tmp_path / "in").write_bytes(b"a line of the plaintext\n" * 100_000)
    run = run_dag(there_and_back("large_stored", str(tmp_path), bao))
    stored = json.dumps([[run.xcom(task_id), run.rendered(task_id)] for task_id in run.states()])
    assert len(stored) < 20_000
    assert "a line of the plaintext" not in stored
    hook = LitHook("lit_consumer")
    container, session = files.read_container(f"{tmp_path}/sealed"), hook.open_ticket(run.xcom("session"))
    key = hook.decrypt(container, session, data_key=True).removeprefix(KEY_TAG)
    assert len(key) == 32
    shown = "".join(capfd.readouterr()) + caplog.text
    assert "Wrote the envelope" in shown
    assert not [form for form in forms(key) if form in (stored + shown).encode()]
