"""A file is there whole or not at all, also for whoever looks while it is written, and after a kill."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lit_airflow import atomic_file

WRITER = """
import sys, time
from pathlib import Path
from lit_airflow import atomic_file
with atomic_file.writing(Path(sys.argv[1])) as target:
    target.write(b"half of it")
    target.flush()
    print("written", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("before", [None, b"what was there"])
def test_whole_when_the_block_ends(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "made" / "report.csv"
    if before is not None:
        path.parent.mkdir()
        path.write_bytes(before)
    with atomic_file.writing(path) as target:
        target.write(b"new")
        target.flush()
        assert (path.read_bytes() if path.exists() else None) == before
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_as_it_was_if_the_block_raises(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_bytes(b"what was there")

    def fail() -> None:
        with atomic_file.writing(path) as target:
            target.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == b"what was there"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_of_a_writer_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        writer.send_signal(signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_nameless_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    test_whole_when_the_block_ends(tmp_path / "one", b"what was there")
    test_as_it_was_if_the_block_raises(tmp_path / "other")
