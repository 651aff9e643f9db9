import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sandbox.running import Run


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Run]]:
    """Start ``python -c CODE`` with its temporary files in a folder of the test; end it with the test."""
    runs: list[Run] = []

    def begin(code: str) -> Run:
        folder, log = tmp_path / "temporary", tmp_path / "stderr.txt"
        folder.mkdir()
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment | {"TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
            start_new_session=True,
        )
        runs.append(Run(process, folder, log))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGTERM)
        run.process.communicate(timeout=900)


@pytest.fixture
def start_demo(start: Callable[[str], Run]) -> Callable[..., Run]:
    def begin(network: str = "datil") -> Run:
        return start(f"import sys; from lit_airflow.sandbox import demo; sys.exit(demo(network={network!r}))")

    return begin


@pytest.fixture
def start_sandbox(start: Callable[[str], Run]) -> Callable[[Path], tuple[Run, dict[str, object]]]:
    def begin(dags: Path) -> tuple[Run, dict[str, object]]:
        code = "import sys, pathlib; from lit_airflow.sandbox import sandbox"
        run = start(f"{code}; sys.exit(sandbox(pathlib.Path({str(dags)!r})))")
        assert run.process.stdout is not None
        line = run.process.stdout.readline()
        assert line, run.log.read_text()
        return run, json.loads(line)

    return begin
