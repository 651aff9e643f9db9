"""Files of tasks: on this machine, or in any store that Airflow's ``ObjectStoragePath`` reaches."""

from __future__ import annotations

import io
import json
import logging
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast, overload

from lit_airflow import atomic_file, envelope
from lit_airflow.clock import Deadline
from lit_airflow.envelope import Progress
from lit_airflow.errors import LitError, SettingsError, in_file
from lit_airflow.json_input import JsonInputError, parse_object
from lit_airflow.provider.paths import FilePath, is_path, path_text
from lit_airflow.text import path_shown, word

log = logging.getLogger(__name__)

Encrypted = FilePath | Mapping[str, Any]
"""A container, or the path of a file with one, or of an envelope."""

MAX_CONTAINER_BYTES = 64 * 1024 * 1024
PROGRESS_EVERY_S = 10.0

# The connection that an ObjectStoragePath may name has no use for a local file.
_FILE_URL = re.compile(r"file://([^/@]*@(?=/)|localhost(?=/))?")
# Stores that show nothing of what is written in a transaction (fsspec's) until it ends, as has been tried.
_DEFERRING = {"s3", "s3a", "memory"}
# A store's object has one transaction for the whole process: what one thread ends would commit or lose the files of
# all others.
_TRANSACTION = threading.Lock()


# URL scheme -> the package that brings its driver.
_DRIVERS: Mapping[str, str] = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "apache-airflow-providers-amazon[s3fs]"),
    **dict.fromkeys(("gs", "gcs"), "apache-airflow-providers-google"),
    **dict.fromkeys(("abfs", "abfss", "adl", "wasb"), "apache-airflow-providers-microsoft-azure"),
    "hdfs": "apache-airflow-providers-apache-hdfs",
    **dict.fromkeys(("sftp", "ssh"), "apache-airflow-providers-sftp[sshfs]"),
    **dict.fromkeys(("http", "https"), "aiohttp"),
}


@dataclass(frozen=True, slots=True)
class Source:
    """Something encrypted, opened once.

    Attributes:
        name: Its path; empty for a container that was given itself.
        container: The container; of an envelope, its data key's.
        head: The envelope's first line; ``None`` if it is not an envelope.
        body: The stream behind that line.
        size: Bytes in the file; 0 where that is not known.
    """

    name: str
    container: Mapping[str, Any]
    head: envelope.Head | None = None
    body: BinaryIO | None = None
    size: int = 0


@contextmanager
def opened(encrypted: Encrypted) -> Iterator[Source]:
    """Open something encrypted, once: nothing can change between reading the container and reading the body.

    Args:
        encrypted: A container, or a path.

    Raises:
        SettingsError: No such file, or neither a JSON object nor an envelope in it.
        CiphertextError: An envelope whose first line is damaged.
    """
    if isinstance(encrypted, Mapping):
        yield Source("", encrypted)
        return
    name = path_text(encrypted)
    with reading(name) as stream:
        with _store_errors(name), in_file(name):  # some stores refuse at the first read only
            head, start = envelope.split_head(stream)
            contents = start + stream.read(MAX_CONTAINER_BYTES) if head is None else b""
        if head is not None:
            yield Source(name, head.container, head, stream, _stream_size(stream))
            return
    yield Source(name, _parsed(contents, name))


def read_container(encrypted: Encrypted) -> Mapping[str, Any]:
    """Return a container: itself, or the one that a file has or begins with.

    Raises:
        LitError: As :func:`opened`.
    """
    with opened(encrypted) as source:
        return source.container


@contextmanager
def reading(path: FilePath) -> Iterator[BinaryIO]:
    """Open a file for reading.

    Args:
        path: A local path or an object-storage URL.

    Raises:
        SettingsError: No such file, not a regular file, or the store does not let it be read.
    """
    with _opened(path_text(path)) as source:
        yield source


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    local = _local(path)
    with _store_errors(path):
        source = _buffered(_object(path).open("rb")) if local is None else _regular(local).open("rb")
    with source:
        yield source


class _StoreFile(io.RawIOBase):
    """A store's file as a raw file: of that, only reading and seeking are the same in all drivers."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        part = self._file.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


def _buffered(file: BinaryIO) -> io.BufferedReader:
    return io.BufferedReader(_StoreFile(file))


@contextmanager
def _store_errors(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise _missing(path) from None
    except LitError:
        raise
    except ImportError as error:
        raise _no_driver(path, error) from None
    except Exception as error:  # noqa: BLE001 - each store's driver raises its own exceptions
        name = type(error).__name__
        raise SettingsError(f"{path_shown(path)} cannot be read ({name}).", field="path") from None


@contextmanager
def writing(path: FilePath) -> Iterator[BinaryIO]:
    """Open a file for writing: it appears, whole, when the block ends; if the block raises, it is as it was.

    A local file is readable by this user only, and missing folders are created. Access to an object is up to its
    store. Into S3 it is streamed, since nothing is visible there before the upload is completed. For other
    stores it is written to a nameless temporary file first, and uploaded when it is whole. Of several threads, one
    writes to object storage at a time.

    Args:
        path: A local path or an object-storage URL.
    """
    text = path_text(path)
    local = _local(text)
    if local is not None:
        with atomic_file.writing(local) as target:
            yield target
        return
    store = _object(text)
    if store.protocol in _DEFERRING:
        with _TRANSACTION, store.fs.transaction, store.open("wb") as target:
            yield target
        return
    with tempfile.TemporaryFile() as whole:
        yield whole
        whole.seek(0)
        with _TRANSACTION, store.fs.transaction, store.open("wb") as target:
            shutil.copyfileobj(whole, target)


def read(path: FilePath) -> bytes:
    """Return the contents of a file.

    Raises:
        SettingsError: As :func:`reading`.
    """
    with reading(path) as source:
        return source.read()


def write(path: FilePath, contents: bytes) -> None:
    """Write a file, as :func:`writing` does."""
    with writing(path) as target:
        target.write(contents)


def write_container(path: FilePath, container: Mapping[str, Any]) -> None:
    """Write a container as JSON."""
    write(path, json.dumps(container, indent=1).encode())


def size(path: FilePath) -> int:
    """Return the bytes in a file.

    Raises:
        SettingsError: No such file, or the store does not say.
    """
    text = path_text(path)
    with _store_errors(text):
        return int((_local(text) or _object(text)).stat().st_size)


def is_pattern(given: Encrypted | Sequence[Encrypted]) -> bool:
    """Return whether this is a path with ``*``, for the files that match."""
    return (isinstance(given, str) or is_path(given)) and "*" in path_text(cast("FilePath", given))


@overload
def listed(given: FilePath | Sequence[FilePath]) -> Sequence[FilePath]: ...
@overload
def listed(given: Encrypted | Sequence[Encrypted]) -> Sequence[Encrypted]: ...
def listed(given: Encrypted | Sequence[Encrypted]) -> Sequence[Encrypted]:
    """Return one or many as a list; a path with ``*`` stands for the files that match, sorted.

    Args:
        given: A container, a path or URL, or a list of these; ``*`` matches anything but ``/``, ``**`` also
            folders.

    Raises:
        SettingsError: Nothing matches, or the store does not list its files.
    """
    if isinstance(given, Mapping):
        return [given]
    if is_path(given) or isinstance(given, str | bytes) or not isinstance(given, Sequence):
        return list(matching(cast("FilePath", given)))
    return given


def matching(pattern: FilePath) -> dict[str, str]:
    """Return the files that a path with ``*`` stands for, sorted: path -> path below the pattern's own folder.

    Args:
        pattern: A path or URL; ``*`` matches anything but ``/``, ``**`` also folders. Without them it stands for
            itself, whether or not it exists.

    Raises:
        SettingsError: Nothing matches.
    """
    text = path_text(pattern)
    if not is_pattern(text):
        return {text: text.rpartition("/")[2]}
    folder = text[: text.rfind("/", 0, text.index("*")) + 1]
    with _store_errors(text):
        base = _local(folder) or _object(folder)
        found = sorted(str(path) for path in base.glob(text.removeprefix(folder)) if _may_be_file(path))
    if not found:
        raise SettingsError(f"No file matches {path_shown(text)}.", field="encrypted")
    above = "" if str(base) == "." else f"{str(base).rstrip('/')}/"
    return {path: path.removeprefix(above) for path in found}


def place(path: FilePath) -> str:
    """Return the same text for all paths of the same place, as far as paths show it."""
    text = path_text(path)
    local = _local(text)
    return text if local is None else str(local.resolve())


def exists(path: FilePath) -> bool:
    """Return whether there is a file, or anything else, at a path.

    Raises:
        SettingsError: The store does not say.
    """
    text = path_text(path)
    with _store_errors(text):
        return bool((_local(text) or _object(text)).exists())


def progress_log(what: str, total: int) -> Progress:
    """Return a function that logs, every ten seconds, how many of ``total`` bytes are done."""
    due = Deadline.after(PROGRESS_EVERY_S)

    def report(done: int) -> None:
        nonlocal due
        if not due.left_s():
            log.info("%s: %d of %d MB.", what, done // 10**6, total // 10**6)
            due = Deadline.after(PROGRESS_EVERY_S)

    return report


def _regular(path: Path) -> Path:
    # A FIFO would block for ever; a folder cannot be read.
    if path.exists() and not path.is_file():
        raise SettingsError(f"{path_shown(str(path))} is not a regular file.", field="path")
    return path


def _parsed(contents: bytes, name: str) -> Mapping[str, Any]:
    try:
        return parse_object(contents)
    except JsonInputError:
        raise SettingsError(
            f"{path_shown(name)} is neither a JSON object nor an envelope.", field="encrypted"
        ) from None


def _may_be_file(path: Any) -> bool:  # noqa: ANN401 - a Path, or Airflow's ObjectStoragePath
    try:
        return not isinstance(path, Path) or path.is_file()
    except OSError:  # reading it will say why
        return True


def _stream_size(stream: BinaryIO) -> int:
    """Return the bytes in a seekable stream, else 0; it stays where it is."""
    try:
        here = stream.tell()
        end = stream.seek(0, io.SEEK_END)
        stream.seek(here)
    except (OSError, ValueError):
        return 0
    return end


def _missing(path: str) -> SettingsError:
    local = _local(path)
    relative = local is not None and not local.is_absolute()
    hint = f"It was looked up in {Path.cwd()}; give an absolute path." if relative else ""
    return SettingsError(f"File {path_shown(path)} not found.", field="path", hint=hint)


def _local(path: str) -> Path | None:
    if path.startswith("file://"):
        return Path(_FILE_URL.sub("", path))
    return None if "://" in path else Path(path)


def _object(path: str) -> Any:  # noqa: ANN401 - Airflow's ObjectStoragePath
    from airflow.providers.common.compat.sdk import ObjectStoragePath  # noqa: PLC0415 - only where needed

    try:
        found = ObjectStoragePath(path)
        _ = found.fs  # Airflow loads the store's driver here
    except (ValueError, ImportError) as error:
        raise _no_driver(path, error) from None
    return found


def _no_driver(path: str, error: Exception) -> SettingsError:
    scheme = path.partition("://")[0]
    package = _DRIVERS.get(scheme.lower())
    # fsspec's own sentence says which package is missing.
    needed = str(error).rstrip(".") if isinstance(error, ImportError) else ""
    named = f"Install {package} on the workers." if package else f"{needed or 'Check the part before ://'}."
    if scheme != scheme.lower():
        named = f"Write {word(scheme.lower())}:// in lower case."
    return SettingsError(
        f"There is no driver for {word(scheme)}:// ({type(error).__name__}), "
        f"so {path_shown(path)} cannot be reached.",
        field="path",
        hint=f"{named} `airflow providers list` shows what is installed.",
    )
