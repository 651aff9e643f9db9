"""Fetches ethers 5.7.2, the library that every Lit Action has as a global, once per machine.

Deno takes it from the npm registry that the environment configures (``.npmrc`` or ``npm_config_registry``). One
file of the package, the bundle without dependencies, is kept in the user's cache directory. It is used only if
its SHA-256 is the pinned one.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from lit_airflow.errors import SettingsError

VERSION = "5.7.2"
# SHA-256 of dist/ethers.esm.min.js of that version, as published.
SHA256 = "08d4e51b6e59b4547abfc03e673477396dc927783622d8783cde949ca09a62b1"
_FETCH_S = 300.0


def cache_directory() -> Path:
    """Return the directory that keeps what is fetched or compiled once per user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "lit_airflow" / "deno"


def ethers_module(deno: str, directory: Path) -> Path:
    """Return the path of the ethers bundle, fetching it into ``directory`` if it is not there.

    Raises:
        SettingsError: The registry cannot be reached, or serves something else than the pinned file.
    """
    kept = directory / f"ethers-{VERSION}.min.mjs"
    if kept.is_file() and _is_pinned(kept.read_bytes()):
        return kept
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        content = _fetch(deno, Path(scratch))
        part = Path(scratch) / kept.name
        part.write_bytes(content)
        part.replace(kept)
    return kept


def _is_pinned(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == SHA256


def _fetch(deno: str, scratch: Path) -> bytes:
    environment = {**os.environ, "DENO_DIR": str(scratch), "DENO_NO_UPDATE_CHECK": "1"}
    environment.setdefault("DENO_TLS_CA_STORE", "system")
    # npm reads the name in either case, Deno in capitals only.
    if registry := os.environ.get("npm_config_registry"):  # noqa: SIM112 (npm's own spelling)
        environment.setdefault("NPM_CONFIG_REGISTRY", registry)
    command = [deno, "cache", "--quiet", "--no-lock", "--node-modules-dir=none", f"npm:ethers@{VERSION}"]
    try:
        subprocess.run(  # noqa: S603 (a fixed command, no shell)
            command, cwd=scratch, env=environment, check=True, capture_output=True, timeout=_FETCH_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _unavailable("Deno could not fetch it") from error
    for found in scratch.glob(f"npm/*/ethers/{VERSION}/dist/ethers.esm.min.js"):
        content = found.read_bytes()
        if _is_pinned(content):
            return content
    raise _unavailable("the registry's copy is not the pinned file")


def _unavailable(cause: str) -> SettingsError:
    return SettingsError(
        f"ethers {VERSION}, which Lit Actions need, is not available: {cause}.",
        field="ethers",
        hint="Check that the npm registry of this machine's npm configuration can be reached.",
    )
