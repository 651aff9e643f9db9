"""Files of tasks: on this machine, or in any store that Airflow's ``ObjectStoragePath`` reaches."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, overload

from lit_airflow import atomic_file, envelope
from lit_airflow.clock import Deadline
from lit_airflow.envelope import Progress
from lit_airflow.errors import SettingsError

log = logging.getLogger(__name__)

TELL_EVERY_S = 10.0

# Whose drivers have been seen to show nothing of what is written in a transaction until it ends (fsspec's).
_DEFERRING = {"s3", "s3a", "memory"}


@contextmanager
def reading(path: str) -> Iterator[BinaryIO]:
    """A stream from a file.

    Args:
        path: A local path or an object-storage URL.

    Raises:
        SettingsError: No such file.
    """
    local = _local(path)
    try:
        source = _object(path).open("rb") if local is None else local.open("rb")
    except FileNotFoundError:
        raise _missing(path) from None
    with source:
        yield source


@contextmanager
def writing(path: str) -> Iterator[BinaryIO]:
    """A stream into a file that is there, whole, when the block ends, and that is as it was if the block raises.

    A local file can be read by this user only, and its folders are made where missing. Who may read an object is
    its store's affair. Into S3 it is streamed, since nothing is seen there before its upload is completed. For
    other stores it is first written to a nameless temporary file here, and uploaded when it is whole.

    Args:
        path: A local path or an object-storage URL.
    """
    local = _local(path)
    if local is not None:
        with atomic_file.writing(local) as target:
            yield target
        return
    store = _object(path)
    if store.protocol in _DEFERRING:
        with store.fs.transaction, store.open("wb") as target:
            yield target
        return
    with tempfile.TemporaryFile() as whole:
        yield whole
        whole.seek(0)
        with store.fs.transaction, store.open("wb") as target:
            shutil.copyfileobj(whole, target)


def read(path: str) -> bytes:
    """All of a file.

    Raises:
        SettingsError: No such file.
    """
    with reading(path) as source:
        return source.read()


def write(path: str, contents: bytes) -> None:
    """Write a file as :func:`writing` does."""
    with writing(path) as target:
        target.write(contents)


def size(path: str) -> int:
    """Bytes in a file.

    Raises:
        SettingsError: No such file.
    """
    try:
        return int((_local(path) or _object(path)).stat().st_size)
    except FileNotFoundError:
        raise _missing(path) from None


@overload
def listed(given: str | Sequence[str]) -> Sequence[str]: ...
@overload
def listed(
    given: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]],
) -> Sequence[str | Mapping[str, Any]]: ...
def listed(
    given: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]],
) -> Sequence[str | Mapping[str, Any]]:
    """One or many, as a list. A path with ``*`` in it stands for those that fit, sorted.

    Args:
        given: A container, a path or URL, or a list of these; ``*`` fits anything but ``/``, ``**`` also folders.

    Raises:
        SettingsError: Nothing fits.
    """
    if isinstance(given, Mapping):
        return [given]
    if not isinstance(given, str):
        return given
    if "*" not in given:
        return [given]
    folder = given[: given.rfind("/", 0, given.index("*")) + 1]
    place = _local(folder) or _object(folder)
    found = sorted(str(path) for path in place.glob(given.removeprefix(folder)))
    if not found:
        raise SettingsError(f"No file fits {given}.", field="encrypted")
    return found


def read_container(encrypted: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """A container that is given, that lies in a file, or that an envelope begins with (its data key's).

    Raises:
        SettingsError: No such file, or neither a JSON object nor an envelope in it.
        CiphertextError: An envelope whose first line is damaged.
    """
    if isinstance(encrypted, Mapping):
        return encrypted
    with reading(encrypted) as source:
        head = envelope.read_head(source)
    if head is not None:
        return head.container
    try:
        container = json.loads(read(encrypted))
    except (ValueError, RecursionError):
        container = None
    if not isinstance(container, dict):
        raise SettingsError(f"{encrypted} holds no JSON object and is no envelope.", field="encrypted")
    return container


def telling(what: str, total: int) -> Progress:
    """What logs, every ten seconds, how many of ``total`` bytes are done."""
    due = Deadline.after(TELL_EVERY_S)

    def tell(done: int) -> None:
        nonlocal due
        if not due.left_s():
            log.info("%s: %d of %d MB.", what, done // 10**6, total // 10**6)
            due = Deadline.after(TELL_EVERY_S)

    return tell


def _missing(path: str) -> SettingsError:
    local = _local(path)
    relative = local is not None and not local.is_absolute()
    hint = f"It was looked for in {Path.cwd()}; give an absolute path." if relative else ""
    return SettingsError(f"There is no file {path}.", field="path", hint=hint)


def _local(path: str) -> Path | None:
    if path.startswith("file://"):
        return Path(path.removeprefix("file://"))
    return None if "://" in path else Path(path)


def _object(path: str) -> Any:  # noqa: ANN401 - Airflow's ObjectStoragePath
    from airflow.providers.common.compat.sdk import ObjectStoragePath  # noqa: PLC0415 - only where needed

    return ObjectStoragePath(path)
