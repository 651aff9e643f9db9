"""Coverage-guided fuzzing, for long: every reader in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

SECONDS = 6


@pytest.mark.soak
@pytest.mark.parametrize("name", TARGETS)
def test_guided(name: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.fuzz",
        name,
        f"-max_total_time={SECONDS}",
        f"-artifact_prefix={tmp_path}/",
    ]
    done = subprocess.run(command, cwd=pytestconfig.rootpath, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
