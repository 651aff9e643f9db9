"""Five well-known providers to compare imports with, and what S3 needs: installed once, apart from all else."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "providers.txt"
STORE = HERE.parents[1] / "build" / "providers"
UV = Path(sys.executable).with_name("uv")
MODULES = (
    "airflow.providers.cncf.kubernetes.operators.pod",
    "airflow.providers.http.operators.http",
    "airflow.providers.postgres.hooks.postgres",
    "airflow.providers.slack.operators.slack",
    "airflow.providers.ssh.operators.ssh",
)


def installed(requirements: Path = REQUIREMENTS) -> Path:
    """A folder for ``PYTHONPATH`` with what ``constraints.txt`` does not bring."""
    folder = STORE / sha256(requirements.read_bytes()).hexdigest()[:16]
    if not folder.is_dir():
        STORE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=STORE, prefix="new-") as temporary:
            fresh = Path(temporary) / "packages"
            options = ["-q", "--no-deps", "--require-hashes", "--compile-bytecode"]
            where = ["--python", sys.executable, "--target", str(fresh)]
            subprocess.run([UV, "pip", "install", *options, *where, "-r", requirements], check=True)
            fresh.rename(folder)
    return folder
