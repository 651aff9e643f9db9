"""Encrypted files that others may write: opened once, delivered as what they are, written where they belong."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lit_airflow import Scope
from lit_airflow.errors import CiphertextError, LitError, SomeFailedError
from lit_airflow.hooks import LitHook
from lit_airflow.networks.contract import Session
from lit_airflow.operators import LitDecryptOperator, LitSessionSigsOperator
from lit_airflow.provider import file_io, files
from tests.airflow.running import make_dag, run_dag
from tests.vault.parts import Bao, conditions_for

pytestmark = pytest.mark.usefixtures("database", "connections")

ALL = Scope.parse(["access-control-condition-decryption=lit-accesscontrolcondition://*"])
OPENED: list[str] = []


@contextmanager
def counted() -> Iterator[list[str]]:
    """The files that this process opened in the block; Python itself tells of them."""
    if not OPENED:
        sys.addaudithook(lambda event, args: OPENED.append(str(args[0])) if event == "open" else None)
    OPENED[:] = [""]
    found: list[str] = []
    yield found
    found += OPENED[1:]


@pytest.fixture
def session(bao: Bao) -> Session:
    return LitHook("lit_renewer").open_session(ALL)


@pytest.fixture
def sealed(bao: Bao, tmp_path: Path) -> list[Path]:
    """A container and an envelope."""
    hook, conditions = LitHook("lit_consumer"), conditions_for(bao.wallet.address)
    found = [tmp_path / "in" / "box.lit.json", tmp_path / "in" / "file.lit"]
    files.write(tmp_path / "plain", b"the plaintext")
    files.write_container(found[0], hook.encrypt(b"the plaintext", conditions))
    file_io.encrypt_file(hook, tmp_path / "plain", found[1], conditions)
    return found


def test_a_file_is_opened_once(sealed: list[Path], session: Session, tmp_path: Path) -> None:
    """Between two openings somebody could replace it, and what was checked would not be what is decrypted."""
    hook = LitHook("lit_consumer")
    targets = file_io.output_paths(sealed, tmp_path / "out")
    with counted() as opened:
        for path in sealed:
            assert file_io.decrypt(hook, path, session) == b"the plaintext"
            assert file_io.decrypt_file(hook, path, tmp_path / "once", session) == 13
        assert [each.result() for each in file_io.decrypt_many(hook, sealed, session)] == [
            b"the plaintext"
        ] * 2
        file_io.decrypt_files(hook, targets, session)
    assert {str(path): opened.count(str(path)) for path in sealed} == {str(path): 4 for path in sealed}
    assert {Path(path).read_bytes() for path in targets.values()} == {b"the plaintext"}


def test_a_task_opens_it_once(sealed: list[Path], tmp_path: Path, dag_id: str) -> None:
    places: dict[str, dict[str, Any]] = {
        "write": {"output_path": str(tmp_path / "out")},
        "push": {"push_plaintext": True},
        "seal": {"seal_plaintext": True},
    }
    with make_dag(dag_id) as dag:
        session = LitSessionSigsOperator(
            task_id="session", encrypted=[str(path) for path in sealed], lit_conn_id="lit_renewer"
        )
        for (name, place), (number, path) in product(places.items(), enumerate(sealed)):
            LitDecryptOperator(
                task_id=f"{name}_{number}",
                encrypted=str(path),
                session=session.output,
                lit_conn_id="lit_renewer",
                **place,
            )
    with counted() as opened:
        run = run_dag(dag)
    assert run.state == "success"
    # Once by the session task, which asks for a session for it, and once by each of the three that decrypt it.
    assert {str(path): opened.count(str(path)) for path in sealed} == {str(path): 4 for path in sealed}
    hashes = [files.read_container(path)["dataToEncryptHash"] for path in sealed]
    assert [run.xcom(f"seal_{number}")["data_hash"] for number in range(2)] == hashes


def head(envelope: Path) -> dict[str, Any]:
    """The container in an envelope's first line."""
    found: dict[str, Any] = json.loads(envelope.read_bytes().split(b"\n", 1)[0].partition(b" ")[2])
    return found


def test_a_data_key_is_not_delivered_in_place_of_the_file(
    sealed: list[Path], session: Session, tmp_path: Path
) -> None:
    """The envelope is replaced by its own first line: a container that is encrypted as it should be."""
    hook, container = LitHook("lit_consumer"), head(sealed[1])
    files.write_container(sealed[1], container)
    files.write(tmp_path / "out" / "file", b"yesterday's")
    for action in (
        lambda: file_io.decrypt(hook, sealed[1], session),
        lambda: file_io.decrypt(hook, container, session),
        lambda: file_io.decrypt_file(hook, sealed[1], tmp_path / "out" / "file", session),
        lambda: hook.decrypt(container, session),
        lambda: hook.client.decrypt(container, container, session),
    ):
        with pytest.raises(CiphertextError, match="data key"):
            action()
    given = [sealed[1], container, sealed[0]]
    for outcomes in (
        file_io.decrypt_many(hook, given, session),
        hook.decrypt_many([container, container, files.read_container(sealed[0])], session),
    ):
        first, second, good = outcomes
        assert {type(first.error), type(second.error)} == {CiphertextError}
        assert (first.plaintext, second.plaintext, good.plaintext) == (None, None, b"the plaintext")
    with pytest.raises(SomeFailedError, match="data key"):
        file_io.decrypt_files(hook, file_io.output_paths([sealed[1]], tmp_path / "out"), session)
    assert (tmp_path / "out" / "file").read_bytes() == b"yesterday's"


def test_a_plaintext_is_not_taken_for_the_key_of_an_envelope(
    bao: Bao, sealed: list[Path], session: Session
) -> None:
    """An envelope whose container holds 32 bytes of data that somebody else chose."""
    hook = LitHook("lit_consumer")
    container = hook.encrypt(os.urandom(32), conditions_for(bao.wallet.address))
    line = b"lit-envelope/2 " + json.dumps(container).encode() + b"\n"
    sealed[1].write_bytes(line + sealed[1].read_bytes().split(b"\n", 1)[1])
    with pytest.raises(CiphertextError):
        file_io.decrypt(hook, sealed[1], session)


HOSTILE = {
    ".lit.json": True,
    "...lit.json": True,
    "..lit": True,
    "c" * 246 + ".lit.json": False,
    "name\n[INFO] done.lit.json": False,
}
"""Name -> whether it is refused: there is no name for its plaintext."""


@pytest.mark.parametrize(("name", "refused"), HOSTILE.items(), ids=range(len(HOSTILE)))
@pytest.mark.parametrize("is_there", [True, False])
def test_a_file_name_does_no_harm_to_the_rest(
    bao: Bao, session: Session, tmp_path: Path, name: str, *, refused: bool, is_there: bool
) -> None:
    """In a folder that is decrypted with a pattern, one name is somebody else's."""
    hook, conditions = LitHook("lit_consumer"), conditions_for(bao.wallet.address)
    (tmp_path / "in").mkdir()
    for each in ("a.lit.json", "z.lit.json", name):
        container = json.dumps(hook.encrypt(each.encode(), conditions))
        (tmp_path / "in" / each).write_text(container)
    if is_there:
        (tmp_path / "out").mkdir()
    failed: dict[str, LitError] = {}
    targets = file_io.output_paths(files.listed(f"{tmp_path}/in/*.lit*"), tmp_path / "out", failed)
    with pytest.raises(SomeFailedError, match=r"1 of 3 .* no file name") if refused else nullcontext():
        file_io.decrypt_files(hook, targets, session, refused=failed)
    out = tmp_path / "out"
    written = {path.name: path.read_bytes() for path in out.iterdir()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
    assert (written["a"], written["z"], len(written)) == (b"a.lit.json", b"z.lit.json", 2 if refused else 3)
