"""Many files with one session, in DAG runs: in order, each by itself, what fails named at the end."""

import io
import json
import logging
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.local import LocalFileSystem

from lit_airflow.devnet import Devnet
from lit_airflow.errors import CiphertextError, LitError, SettingsError, SomeFailedError
from lit_airflow.hooks import LitHook
from lit_airflow.operators import LitDecryptManyOperator, LitSessionSigsOperator
from lit_airflow.protocol.session import Session
from lit_airflow.provider import file_io, files
from tests.airflow.running import Run, make_dag, run_dag
from tests.vault.parts import KEY_READ, LOGIN, OPENED, Bao, conditions_for

pytestmark = pytest.mark.usefixtures("database", "connections")

EVERYTHING = ["access-control-condition-decryption=lit-accesscontrolcondition://*"]


here_and_in_a_store = pytest.mark.parametrize("folder", ["here", "in a store"], indirect=True)


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    in_a_store = getattr(request, "param", "here") == "in a store"
    return request.getfixturevalue("memory") if in_a_store else str(tmp_path)


def seal(bao: Bao, folder: str, name: str, plaintext: str, *, as_envelope: bool = False) -> str:
    """Encrypt for the wallet in Vault; the path."""
    hook, path = LitHook("lit_consumer"), f"{folder}/{name}"
    conditions = conditions_for(bao.wallet.address)
    if as_envelope:
        files.write(f"{folder}/plain", plaintext.encode())
        file_io.encrypt_file(hook, f"{folder}/plain", path, conditions)
    else:
        files.write(path, json.dumps(hook.encrypt(plaintext.encode(), conditions)).encode())
    return path


@pytest.fixture
def sealed(bao: Bao, folder: str) -> list[str]:
    """Four containers and an envelope."""
    return [
        seal(bao, folder, f"in/{n}.csv.lit{'' if n == 3 else '.json'}", f"number {n}", as_envelope=n == 3)
        for n in range(5)
    ]


def decrypt(dag_id: str, encrypted: Any, folder: str, **default_args: object) -> Run:  # noqa: ANN401 - the operator's own
    with make_dag(dag_id, **default_args) as dag:
        scope = {"encrypted": encrypted} if isinstance(encrypted, str) else {"allow": EVERYTHING}
        session = LitSessionSigsOperator(task_id="session", **scope, lit_conn_id="lit_renewer")
        LitDecryptManyOperator(
            task_id="decrypt",
            encrypted=encrypted,
            session=session.output,
            output_dir=f"{folder}/out",
            processes=2 if "://" in folder else 1,
            lit_conn_id="lit_consumer",
        )
    return run_dag(dag)


@here_and_in_a_store
def test_a_folder_of_them_with_one_session(bao: Bao, folder: str, sealed: list[str], dag_id: str) -> None:
    assert sealed
    with bao.watched() as paths:
        run = decrypt(dag_id, f"{folder}/in/*.lit*", folder)
    assert run.state == "success"
    written = [f"{folder}/out/{n}.csv" for n in range(5)]
    assert run.xcom("decrypt") == written
    assert [files.read(path).decode() for path in written] == [f"number {n}" for n in range(5)]
    assert (paths.count(KEY_READ), paths[-2:]) == (1, [LOGIN, OPENED])
    assert len(run.xcom("session")["scope"]) == 5


def test_what_fails_is_named_and_the_rest_is_written(
    folder: str,
    sealed: list[str],
    dag_id: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    conditions = conditions_for("0x" + "12" * 20)
    foreign = LitHook("lit_consumer").encrypt(b"not for us", conditions)
    files.write(f"{folder}/in/foreign.lit.json", json.dumps(foreign).encode())
    files.write(sealed[3], files.read(sealed[3])[:-1])
    given = [sealed[4], f"{folder}/in/absent.lit.json", sealed[3], f"{folder}/in/foreign.lit.json", sealed[0]]
    run = decrypt(dag_id, given, folder, retries=2, retry_delay=timedelta(0))
    assert run.states() == {"session": "success", "decrypt": "failed"}
    assert run.task("decrypt").try_number == 1  # nothing of this is mended by trying again
    assert [path for path in (0, 3, 4) if _exists(f"{folder}/out/{path}.csv")] == [0, 4]
    shown = "".join(capsys.readouterr())
    assert "SomeFailedError: 3 of 5 files could not be decrypted." in shown
    assert re.search(r"How the servers answered: http://127\.0\.0\.1:\d+ answered \d", shown)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert [line for line in told if "2 failed (SettingsError 1, ConditionsNotMetError 1)." in line]
    assert not [line for line in told if "Answered: " in line]
    for what in (
        "/absent.lit.json not found",
        f"{sealed[3]}: The envelope cannot be decrypted",
        "foreign.lit.json: ",
    ):
        assert what in shown


def _exists(path: str) -> bool:
    try:
        return files.size(path) > 0
    except SettingsError:
        return False


@pytest.fixture
def session(bao: Bao) -> Session:
    from lit_airflow import Scope

    assert bao
    return LitHook("lit_renewer").open_session(Scope.parse(EVERYTHING))


def test_if_trying_again_helps_one_it_may_be_tried_again(
    net: Devnet, folder: str, sealed: list[str], session: Session
) -> None:
    hook = LitHook("lit_consumer")
    hook.client.sdk.survey()  # the nodes are known, and then two are gone
    net.stop_node(0)
    net.stop_node(1)
    with pytest.raises(SomeFailedError) as caught:
        file_io.decrypt_files(
            hook, file_io.output_paths([*sealed[:2], f"{folder}/absent"], f"{folder}/out"), session
        )
    assert caught.value.retryable
    assert list(caught.value.failures) == [*sealed[:2], f"{folder}/absent"]
    told = str(hook.node_stats)
    for node in (0, 1):
        url = re.escape(net.node_url(node))
        assert re.search(rf"{url} answered 0, .* failed 2 \(last: connection refused\)", told)


@here_and_in_a_store
def test_many_into_memory_in_their_order(folder: str, sealed: list[str], session: Session) -> None:
    hook = LitHook("lit_consumer")
    container = files.read_container(sealed[1])
    files.write(sealed[3], files.read(sealed[3])[:-1])
    given = (each for each in (sealed[2], container, f"{folder}/absent", sealed[3], sealed[0]))
    outcomes = list(file_io.decrypt_many(hook, given, session, at_once=2))
    assert [outcome.index for outcome in outcomes] == [0, 1, 2, 3, 4]
    assert [outcome.plaintext for outcome in outcomes] == [b"number 2", b"number 1", None, None, b"number 0"]
    assert isinstance(outcomes[2].error, SettingsError)
    assert isinstance(outcomes[3].error, CiphertextError)


def test_no_more_than_ten_are_told_and_all_are_known(folder: str, session: Session) -> None:
    targets = file_io.output_paths([f"{folder}/{n}" for n in range(12)], f"{folder}/out")
    with pytest.raises(SomeFailedError, match=r"12 of 12 .* And 2 more\.") as caught:
        file_io.decrypt_files(LitHook("lit_consumer"), targets, session)
    assert len(caught.value.failures) == 12
    assert not caught.value.retryable


def test_names_of_plaintexts() -> None:
    given = ["s3://b/in/a.csv.lit.json", "/x/b.csv.lit", "c.json", "/x/.lit/d"]
    assert file_io.output_paths(given, "s3://b/out/") == {
        "s3://b/in/a.csv.lit.json": "s3://b/out/a.csv",
        "/x/b.csv.lit": "s3://b/out/b.csv",
        "c.json": "s3://b/out/c.json",
        "/x/.lit/d": "s3://b/out/d",
    }


@pytest.mark.parametrize(
    ("given", "lost"),
    [
        (["/a/x.lit", "/b/x.lit"], "/out/x"),
        (["/a/x.lit", "/b/x.lit.json"], "/out/x"),
        (["/out/x"], "/out/x"),
        (["/a/x", "/out/x"], "/out/x"),
        (["file:///out/x"], "/out/x"),
    ],
)
def test_nothing_is_written_over(given: list[str], lost: str) -> None:
    with pytest.raises(SettingsError, match=f"{lost} would be overwritten"):
        file_io.output_paths(given, "/out")


def test_a_file_that_can_have_no_output_costs_the_others_nothing() -> None:
    refused: dict[str, LitError] = {}
    given = ["/in/a.lit", "/in/a.lit.json", "/in/.lit.json", "/in/..lit", "/out/b", "/in/b.lit", "/in/c.lit"]
    assert file_io.output_paths(given, "/out", refused) == {"/in/c.lit": "/out/c"}
    assert list(refused) == given[:-1]
    assert "\n" not in str(refused.popitem()[1])
    with pytest.raises(SettingsError, match="no file name"):  # a mistake of the author's
        file_io.output_paths(["/in/.lit\n/.lit"], "/out", refused)


UNREADABLE = {
    "empty": b"",
    "not JSON": b"report",
    "a list": b"[]",
    "not UTF-8": b"\xff{}",
    "nested": b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "no container": b"{}",
    "a damaged head": b"lit-envelope/2 {}\n",
    "another network's": json.dumps(
        {
            "ciphertext": "",
            "dataToEncryptHash": "ab" * 32,
            "network": "datil",
            **conditions_for("0x" + "12" * 20),
        }
    ).encode(),
}


def test_what_cannot_be_read_is_named_and_the_session_is_for_the_rest(
    folder: str, sealed: list[str], dag_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody else may put files where the pattern matches."""
    for name, contents in UNREADABLE.items():
        files.write(f"{folder}/in/{name}\x1b[0m.lit.json", contents)
    run = decrypt(dag_id, f"{folder}/in/*.lit*", folder)
    assert run.states() == {"session": "success", "decrypt": "failed"}
    assert len(run.xcom("session")["scope"]) == 5
    assert [files.read(f"{folder}/out/{n}.csv").decode() for n in range(5)] == [
        f"number {n}" for n in range(5)
    ]
    shown = "".join(capsys.readouterr())
    for name in UNREADABLE:
        assert re.search(rf"Left out of the session: \S*/in/{name}\\x1b\[0m\.lit\.json", shown)
    assert f"{len(UNREADABLE)} of {len(UNREADABLE) + 5} files could not be decrypted." in shown
    assert "\x1b" not in shown


@here_and_in_a_store
def test_no_more_than_ten_that_cannot_be_read_are_named(
    folder: str, sealed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(12):
        files.write(f"{folder}/in/{number}.txt.lit.json", b"")
    hook = LitHook("lit_consumer")
    assert len(file_io.scope_of(hook, f"{folder}/in/*.lit*").requests) == len(sealed)
    told = "".join(capsys.readouterr())
    assert told.count("Left out of the session: ") == 10
    assert "2 more files are left out of the session." in told
    with pytest.raises(SettingsError, match=r"None of the 12 files that match .* can be read\. .*/0\.txt"):
        file_io.scope_of(hook, f"{folder}/in/*.txt.lit.json")


@here_and_in_a_store
@pytest.mark.parametrize("given", ["a list", "a path"])
def test_what_the_author_named_has_to_be_readable(folder: str, sealed: list[str], given: str) -> None:
    files.write(f"{folder}/in/bad.lit.json", b"")
    path = f"{folder}/in/bad.lit.json"
    with pytest.raises(SettingsError, match=r"bad\.lit\.json is neither"):
        file_io.scope_of(LitHook("lit_consumer"), [sealed[0], path] if given == "a list" else path)


def test_a_connection_that_cannot_be_used_is_not_the_failure_of_a_file(
    folder: str, sealed: list[str]
) -> None:
    assert sealed
    with pytest.raises(SettingsError, match="no_such_connection"):
        file_io.scope_of(LitHook("no_such_connection"), f"{folder}/in/*.lit*")


class _Refusing(LocalFileSystem):
    """A store that lists files, and refuses reads of some: at once, or at the first byte."""

    def _open(self, path: str, mode: str = "rb", *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - fsspec's
        if mode == "rb" and path.endswith("/denied.lit.json"):
            raise RuntimeError("403")
        if mode == "rb" and path.endswith("/late.lit.json"):
            return _Late()
        return super()._open(path, mode, *args, **kwargs)


class _Late(io.RawIOBase):
    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        raise RuntimeError(f"403 ({size})")

    def readline(self, size: int | None = -1, /) -> bytes:
        raise RuntimeError(f"403 ({size})")


def test_errors_of_a_stores_driver_are_those_of_one_file(
    bao: Bao, session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # With a connection of its own: the store without one is every test's.
    attach("local", conn_id="refusing", fs=_Refusing(auto_mkdir=True))
    folder, hook = f"local://refusing@{tmp_path}", LitHook("lit_consumer")
    for name in ("a", "denied", "late", "z"):
        seal(bao, folder, f"in/{name}.lit.json", name)
    pattern = f"{folder}/in/*.lit.json"
    assert len(file_io.scope_of(hook, pattern).requests) == 2
    told = "".join(capsys.readouterr())
    for name in ("denied", "late"):
        assert f"{name}.lit.json cannot be read (RuntimeError)" in told
    targets = file_io.output_paths(files.listed(pattern), tmp_path / "out")
    with pytest.raises(SomeFailedError, match="2 of 4 files could not be decrypted"):
        file_io.decrypt_files(hook, targets, session)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "z"]


@here_and_in_a_store
def test_patterns(folder: str) -> None:
    for name in ("b.lit", "a.lit", "a.csv", "deep/c.lit"):
        files.write(f"{folder}/{name}", b"x")
    found = files.listed(f"{folder}/*.lit")
    assert [path.rpartition("/")[2] for path in found] == ["a.lit", "b.lit"]
    assert [files.read(path) for path in found] == [b"x", b"x"]
    assert files.listed({"a": "container"}) == [{"a": "container"}]
    assert files.listed(["*", {}]) == ["*", {}]
    assert [path.rpartition("/")[2] for path in files.listed(f"{folder}/*/*.lit")] == ["c.lit"]
    assert len(files.listed(f"{folder}/**/*.lit")) == 3
    assert files.listed(f"{folder}/not there") == [f"{folder}/not there"]
    with pytest.raises(SettingsError, match="No file matches"):
        files.listed(f"{folder}/*.pdf")
