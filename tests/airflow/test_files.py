"""Files on this machine and in object storage: whole or not at all."""

import io
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile

from lit_airflow import envelope
from lit_airflow.errors import CiphertextError, SettingsError
from lit_airflow.provider import files


@pytest.fixture(params=["", "file://", "memory://", "local://"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, memory: str) -> str:
    """An empty folder: a path, its URL, one in a store that is streamed to, and one in a store that is not."""
    attach("local", fs=LocalFileSystem(auto_mkdir=True))
    return memory if request.param == "memory://" else f"{request.param}{tmp_path}"


def listed(folder: str) -> list[str]:
    path = folder.removeprefix("file://")
    place = ObjectStoragePath(path)
    return sorted(child.name for child in place.iterdir()) if place.exists() else []


def test_what_is_written_is_read(folder: str) -> None:
    path = f"{folder}/deep/er/file"
    files.write(path, b"contents")
    assert files.read(path) == b"contents"
    assert files.size(path) == 8
    assert listed(f"{folder}/deep/er") == ["file"]


class InBlocks(AbstractBufferedFile):
    """A file as most stores' drivers give it, which reads in blocks; its ``readline`` takes no limit."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self.fs.cat_file(self.path, start, end)  # type: ignore[no-any-return]


def test_envelopes_in_a_store_that_reads_in_blocks(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path, key = f"{memory}/sealed", envelope.new_key()
    head = envelope.write_head({"ciphertext": "AA"})
    contents = bytes(range(256)) * 5000
    with files.writing(path) as target:
        envelope.seal(io.BytesIO(contents), target, key, head)

    def in_blocks(store: MemoryFileSystem, place: str, mode: str, **_: object) -> InBlocks:
        return InBlocks(store, place, mode)

    monkeypatch.setattr(MemoryFileSystem, "_open", in_blocks)
    with files.opened(path) as source:
        assert source.container == head.container
        assert source.size == files.size(path)
        assert source.body is not None
        assert source.head is not None
        back = io.BytesIO()
        envelope.unseal(source.body, back, envelope.tagged_key(key), source.head)
    assert back.getvalue() == contents


def test_it_is_seen_when_it_is_whole(folder: str) -> None:
    path = f"{folder}/file"
    files.write(path, b"yesterday's")
    with files.writing(path) as target:
        target.write(b"x" * 100)
        assert files.read(path) == b"yesterday's"
        target.write(b"y" * 100)
    assert files.read(path) == b"x" * 100 + b"y" * 100


@pytest.mark.parametrize("fails", [False, True])
def test_two_threads_write_at_once(folder: str, *, fails: bool) -> None:
    """What one of them does when it ends must not end the other's write."""

    def write_other() -> None:
        with suppress(OSError), files.writing(f"{folder}/other") as target:
            target.write(b"other")
            if fails:
                raise OSError("no room")

    other = Thread(target=write_other)
    with files.writing(f"{folder}/file") as target:
        target.write(b"first half, ")
        other.start()
        other.join(0.2)  # it may end now, or wait until this write has ended
        target.write(b"second half")
    other.join()
    assert files.read(f"{folder}/file") == b"first half, second half"
    assert listed(folder) == (["file"] if fails else ["file", "other"])


def test_if_writing_fails_nothing_has_happened(folder: str) -> None:
    def fail_while_writing(path: str) -> None:
        with files.writing(path) as target:
            target.write(b"x" * 100)
            raise OSError("no room")

    files.write(f"{folder}/old", b"yesterday's")
    for name in ("old", "new"):
        with pytest.raises(OSError, match="no room"):
            fail_while_writing(f"{folder}/{name}")
    assert listed(folder) == ["old"]
    assert files.read(f"{folder}/old") == b"yesterday's"
    files.write(f"{folder}/new", b"later")  # and the store works as before
    assert files.read(f"{folder}/new") == b"later"


def test_a_file_that_is_not_there_is_named(folder: str) -> None:
    for action in (files.read, files.size, files.read_container):
        with pytest.raises(SettingsError, match=r"File .*/absent not found") as caught:
            action(f"{folder}/absent")
        assert caught.value.field == "path"


def test_where_a_relative_path_was_looked_for_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as caught:
        files.read("absent")
    assert str(tmp_path) in caught.value.hint


def test_a_local_file_is_for_the_owner(tmp_path: Path) -> None:
    files.write(f"{tmp_path}/file", b"")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_a_container_is_read_from_json_and_from_the_head_of_an_envelope(folder: str) -> None:
    container = {"ciphertext": "AA", "dataToEncryptHash": "00"}
    files.write(f"{folder}/json", b' {"ciphertext": "AA",\n "dataToEncryptHash": "00"}')
    files.write(f"{folder}/envelope", envelope.write_head(container).line + b"\xff" * 100)
    files.write(
        f"{folder}/of version 1",
        b"lit-envelope/1 " + files.read(f"{folder}/json").replace(b"\n", b"") + b"\n",
    )
    assert files.read_container(container) is container
    assert files.read_container(f"{folder}/json") == container
    assert files.read_container(f"{folder}/envelope") == container
    assert files.read_container(f"{folder}/of version 1") == container


@pytest.mark.parametrize("contents", [b"", b"\xff", b"[]", b"{", b"null", b"lit-envelope/3 {}\n"])
def test_a_file_with_nothing_encrypted_is_named(folder: str, contents: bytes) -> None:
    files.write(f"{folder}/file", contents)
    with pytest.raises(SettingsError, match="/file is neither a JSON object nor an envelope"):
        files.read_container(f"{folder}/file")


def test_a_damaged_head_is_not_taken_for_json(folder: str) -> None:
    files.write(f"{folder}/file", envelope.MAGIC + b"{")
    with pytest.raises(CiphertextError, match="first line"):
        files.read_container(f"{folder}/file")


def test_progress_is_logged_now_and_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "lit_airflow.provider.files")
    tell = files.progress_log("Encrypting x", 5_000_000)
    tell(1_000_000)
    assert caplog.messages == []
    monkeypatch.setattr(files, "PROGRESS_EVERY_S", 0.0)
    tell = files.progress_log("Encrypting x", 5_000_000)
    tell(2_000_000)
    tell(5_000_000)
    assert caplog.messages == ["Encrypting x: 2 of 5 MB.", "Encrypting x: 5 of 5 MB."]


def test_object_storage_paths_keep_their_connection(tmp_path: Path) -> None:
    there = ObjectStoragePath("s3://bucket/report.csv", conn_id="mine")
    assert files.path_text(there) == "s3://mine@bucket/report.csv"  # type: ignore[arg-type]
    assert files.listed(there) == ["s3://mine@bucket/report.csv"]  # type: ignore[call-overload]
    here = ObjectStoragePath(f"file://{tmp_path}/report.csv", conn_id="mine")
    with files.writing(here) as target:  # type: ignore[arg-type]
        target.write(b"words")
    assert (tmp_path / "report.csv").read_bytes() == files.read(here) == b"words"  # type: ignore[arg-type]
