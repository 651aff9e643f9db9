"""``make vectors DIR=…``: what it accepts, what it refuses, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.reading import HERE, Folder, UnreadFile

ROOT = HERE.parents[1]
VECTORS = ROOT / "tests" / "vectors" / "datil"


def test_no_file_is_left_over(unread: UnreadFile) -> None:
    """Runs once for each file that no module here reads: each is a failure."""
    pytest.fail(unread.reason, pytrace=False)


def test_the_shipped_folders_are_read() -> None:
    folder = Folder.read_all(ROOT / "tests" / "vectors")
    assert "datil" in {generation for generation, _ in folder.files}
    assert folder.unread == []


@pytest.fixture
def consensus() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((VECTORS / "consensus.json").read_text())
    return content


@pytest.fixture
def refused() -> list[dict[str, Any]]:
    """A request that the gate refuses, and the same with a code that it is not refused with."""
    content = json.loads((ROOT / "tests" / "vectors" / "gate" / "decrypt.json").read_text())
    good = next(case for case in content["cases"] if not case["expected"]["ok"])
    return [good, {**good, "name": "wrong", "expected": {"ok": False, "code": "NodeParserError"}}]


def run(folder: Path | str, *options: str) -> tuple[int, str, str]:
    """Exit code, standard output and its last line, as ``make vectors`` has them."""
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/conformance"]
    done = subprocess.run(
        [*argv, "--vectors", str(folder), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    output = done.stdout + done.stderr
    return done.returncode, output, (done.stdout.splitlines() or [""])[-1]


def test_one_more_case_and_another_gate_pass(
    tmp_path: Path, consensus: dict[str, Any], refused: list[dict[str, Any]]
) -> None:
    """The named gate refuses with the code that the shipped one, below, does not refuse with."""
    consensus["cases"] += [
        {"op": "most_common", "input": ["z", "z", "y"], "expected": "z"},
        {"op": "most_common", "input": []},
    ]
    (tmp_path / "consensus.json").write_text(json.dumps(consensus))
    (tmp_path / "openapi.json").write_text('{"openapi": "3.0.1", "paths": {}}')
    gate = tmp_path / "other.js"
    gate.write_text('async function main() { return { ok: false, code: "NodeParserError", message: "no" }; }')
    (tmp_path / "decrypt.json").write_text(json.dumps({"cases": refused[1:]}))
    passed = len(consensus["cases"]) + 1
    assert run(tmp_path, "--gate", str(gate))[::2] == (0, f"{passed} passed, 0 failed")


def test_a_wrong_expected_value_a_broken_file_and_an_unknown_one_fail(
    tmp_path: Path, consensus: dict[str, Any], refused: list[dict[str, Any]]
) -> None:
    """A gate is run, not only the client's half of the exchange."""
    good = len(consensus["cases"]) + 1
    (tmp_path / "decrypt.json").write_text(json.dumps({"cases": refused}))
    consensus["cases"].append({"op": "most_common", "input": ["z", "z", "y"], "expected": "y"})
    (tmp_path / "consensus.json").write_text(json.dumps(consensus))
    (tmp_path / "wire.json").write_text('{"cases": [')
    (tmp_path / "surprise.json").write_text('{"about": "?", "cases": [{}]}')
    code, output, last = run(tmp_path)
    assert (code, last) == (1, f"{good} passed, 4 failed")
    assert "surprise.json: no test module reads it" in output


@pytest.mark.parametrize("files", [None, [], ["notes.txt"]], ids=["absent", "empty", "without-vectors"])
def test_a_folder_without_vectors_is_an_error(tmp_path: Path, files: list[str] | None) -> None:
    folder = tmp_path / "vectors"
    if files is not None:
        folder.mkdir()
        for name in files:
            (folder / name).write_text("")
    with pytest.raises(FileNotFoundError, match=str(folder)):
        Folder.read(folder)


def test_an_empty_folder_is_a_usage_error(tmp_path: Path) -> None:
    code, output, _ = run(tmp_path)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert f"there are no vector files in {tmp_path}" in output
