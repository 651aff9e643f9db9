"""Files of tasks: on this machine, or in any store that Airflow's ``ObjectStoragePath`` reaches."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lit_airflow.errors import SettingsError


def read_container(encrypted: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """A container that is given, or that lies in a file, local or in object storage.

    Raises:
        SettingsError: No such file, or no JSON object in it.
    """
    if isinstance(encrypted, Mapping):
        return encrypted
    try:
        container = json.loads(read(encrypted))
    except ValueError:
        container = None
    if not isinstance(container, dict):
        raise SettingsError(f"{encrypted} holds no JSON object.", field="encrypted")
    return container


def read(path: str) -> bytes:
    """All of a file.

    Args:
        path: A local path or an object-storage URL.

    Raises:
        SettingsError: No such file.
    """
    local = _local(path)
    try:
        if local is not None:
            return local.read_bytes()
        with _object(path).open("rb") as source:
            return bytes(source.read())
    except FileNotFoundError:
        raise SettingsError(f"There is no file {path}.", field="path") from None


def write(path: str, contents: bytes) -> None:
    """Write whole or not at all, and for this user only; object stores have rules of their own.

    Args:
        path: A local path, whose folders are made where missing, or an object-storage URL.
        contents: What to write.
    """
    local = _local(path)
    if local is None:
        with _object(path).open("wb") as target:
            target.write(contents)
        return
    local.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=local.parent, prefix=f".{local.name}.")  # made with mode 0600
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as target:
            target.write(contents)
        partial.replace(local)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _local(path: str) -> Path | None:
    if path.startswith("file://"):
        return Path(path.removeprefix("file://"))
    return None if "://" in path else Path(path)


def _object(path: str) -> Any:  # noqa: ANN401 - Airflow's ObjectStoragePath
    from airflow.providers.common.compat.sdk import ObjectStoragePath  # noqa: PLC0415 - only where needed

    return ObjectStoragePath(path)
