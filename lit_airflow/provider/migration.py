"""Migration: files encrypted again for another network, and plaintext out of recovery copies.

A file is a container or an envelope. Each gets an output of its own, written whole or not at all; the files
themselves are only read.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from lit_airflow import envelope
from lit_airflow.client import refuse_data_key
from lit_airflow.errors import LitError, SettingsError, in_file
from lit_airflow.keys.secret import Secret
from lit_airflow.protocol.conditions import CONDITION_FIELDS, Conditions
from lit_airflow.protocol.container import Container
from lit_airflow.provider import file_io, files
from lit_airflow.provider.files import Source
from lit_airflow.text import path_shown

if TYPE_CHECKING:
    from lit_airflow.client import LitClient
    from lit_airflow.networks.contract import Decrypted, Load, Session

ORIGIN = "convertedFrom"
"""Under this key, a converted container names the network and the ciphertext that it was made of."""


class Outcome(StrEnum):
    """What became of a file."""

    CONVERTED = "converted"
    PRESENT = "present"
    """An earlier run has converted it."""
    RECOVERED = "recovered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file.

    Attributes:
        source: Its path.
        target: The path of its output; empty if it can have none.
        outcome: What became of it.
        plaintext_bytes: How much plaintext it holds; 0 where that is not known.
        error: Why it failed.
    """

    source: str
    target: str
    outcome: Outcome
    plaintext_bytes: int = 0
    error: LitError | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the report for programs; contains no secret."""
        report: dict[str, Any] = {
            "source": self.source,
            "target": self.target,
            "outcome": self.outcome,
            "plaintextBytes": self.plaintext_bytes,
        }
        if self.error is not None:
            report["error"] = type(self.error).__name__
            report["message"] = str(self.error)
            report["retryable"] = self.error.retryable
        return report


OnBytes = Callable[[str, int], object]
"""Called while an envelope is processed, with its path and the bytes of plaintext that are done."""


def _ignore(_source: str, _done: int) -> None: ...


def refusals(refused: Mapping[str, LitError]) -> Iterator[FileReport]:
    """Return the reports of files that can have no output; see :func:`file_io.output_paths`."""
    for path, error in refused.items():
        yield FileReport(path, "", Outcome.FAILED, error=error)


def convert(  # noqa: PLR0913 - all but four optional
    old: LitClient,
    new: LitClient,
    targets: Mapping[str, str],
    session: Session,
    *,
    conditions: Conditions | None = None,
    on_bytes: OnBytes = _ignore,
) -> Iterator[FileReport]:
    """Decrypt files on one network and encrypt them for another, under the same conditions.

    Envelopes are streamed. A container whose plaintext is longer than the new network allows becomes an envelope.
    What an earlier run has converted is left alone, so a run that was interrupted can be started again.

    Args:
        old: The network that the files were encrypted for.
        new: The network to encrypt them for.
        targets: Path of a file -> path of its output; see :func:`file_io.relative_output_paths`.
        session: A session of the old network whose scope covers all files.
        conditions: Those of files that do not contain their own.
        on_bytes: Called while an envelope is processed.

    Returns:
        A report for each file: first what was there already, then the others in order, as they are done.

    Raises:
        NetworkError: The old network cannot be used to begin with.
    """
    missing = []
    for path, target in targets.items():
        try:
            if _is_converted(path, target, new, conditions):
                yield FileReport(path, target, Outcome.PRESENT)
            else:
                missing.append(path)
        except LitError as error:
            yield FileReport(path, target, Outcome.FAILED, error=error)

    def read(source: Source) -> Container:
        container = _container(source, conditions)
        new.check_conditions(container.conditions)  # before anything is decrypted or paid for
        return container

    def finish(source: Source, opened: Secret) -> int:
        with files.writing(targets[source.name]) as target:
            return _encrypt_again(source, opened, new, _container(source, conditions), target, on_bytes)

    def decrypt(loads: Iterable[Load]) -> Iterator[Decrypted]:
        return old.decrypt_loads(loads, lambda _: session, data_keys=True)

    outcomes = file_io.finish_each(missing, read, decrypt, finish)
    for path, (outcome, done) in zip(missing, outcomes, strict=True):
        result = Outcome.CONVERTED if outcome.error is None else Outcome.FAILED
        yield FileReport(path, targets[path], result, done or 0, outcome.error)


def recover(
    secret_key: Secret,
    targets: Mapping[str, str],
    *,
    conditions: Conditions | None = None,
    on_bytes: OnBytes = _ignore,
) -> Iterator[FileReport]:
    """Decrypt files by their recovery copies, without any network. Outputs that exist are replaced.

    Args:
        secret_key: The secret half of the recovery key.
        targets: Path of a file -> path of its plaintext.
        conditions: Those of files that do not contain their own.
        on_bytes: Called while an envelope is processed.

    Returns:
        A report for each file in order, as they are done.
    """
    for path, target in targets.items():
        try:
            done = _recover_file(secret_key, path, target, conditions, on_bytes)
        except LitError as error:
            yield FileReport(path, target, Outcome.FAILED, error=error)
        except Exception as error:  # noqa: BLE001 - each store's driver raises its own exceptions
            cause = getattr(error, "strerror", None) or type(error).__name__
            failed = SettingsError(f"A file cannot be read or written ({cause}).", field="path")
            yield FileReport(path, target, Outcome.FAILED, error=failed)
        else:
            yield FileReport(path, target, Outcome.RECOVERED, done)


def _recover_file(
    secret_key: Secret, path: str, target: str, conditions: Conditions | None, on_bytes: OnBytes
) -> int:
    from lit_airflow.protocol.recovery import recover_container  # noqa: PLC0415 - brings cryptography

    with files.opened(path) as source, in_file(path):
        opened = Secret(recover_container(secret_key, _container(source, conditions)))
        with files.writing(target) as plaintext:
            if source.head is None or source.body is None:
                return plaintext.write(refuse_data_key(opened.reveal()))
            return envelope.unseal(
                source.body, plaintext, opened, source.head, progress=partial(on_bytes, path)
            )


def _container(source: Source, conditions: Conditions | None) -> Container:
    fields = source.container
    if conditions is not None and all(fields.get(name) is None for name in CONDITION_FIELDS):
        return Container(fields, conditions)
    return Container.parse(fields)


def _origin(container: Container) -> dict[str, str]:
    """Return what names a container in the one that is made of it.

    It must not be the hash of the data: the new network may keep that hash from readers.
    """
    ciphertext = str(container.fields.get("ciphertext", ""))
    return {
        "network": container.network,
        "ciphertextHash": hashlib.sha256(ciphertext.encode(errors="surrogatepass")).hexdigest(),
    }


def _is_converted(path: str, target: str, new: LitClient, conditions: Conditions | None) -> bool:
    """Return whether the output is there.

    Raises:
        LitError: Something else is there, or one of the two cannot be read.
    """
    if not files.exists(target):
        return False
    with files.opened(path) as source, in_file(path):
        origin = _origin(_container(source, conditions))
    found = files.read_container(target)
    if found.get(ORIGIN) != origin:
        raise SettingsError(
            f"{path_shown(target)} exists, and was not converted from {path_shown(path)}.",
            field="output_dir",
            hint="Write to another folder, or move that file away.",
        )
    with in_file(target):
        new.scope_of(found, found)  # refuses a container of another network
    return True


def _encrypt_again(  # noqa: PLR0913, PLR0917 - each is needed
    source: Source, opened: Secret, new: LitClient, container: Container, target: BinaryIO, on_bytes: OnBytes
) -> int:
    """Write a container or an envelope for the new network; return the bytes of plaintext."""

    def made(data: Secret) -> dict[str, Any]:
        return {**new.make_container(data.reveal(), container.conditions), ORIGIN: _origin(container)}

    if source.head is None or source.body is None:
        plaintext = Secret(refuse_data_key(opened.reveal()))
        if len(plaintext) <= new.traits.max_plaintext_bytes:
            target.write(json.dumps(made(plaintext), indent=1).encode())
            return len(plaintext)
    key = envelope.new_key()
    head = envelope.write_head(made(envelope.tagged_key(key)))
    progress = partial(on_bytes, source.name)
    if source.head is None or source.body is None:
        return envelope.seal(io.BytesIO(plaintext.reveal()), target, key, head, progress=progress)
    return envelope.reseal(source.body, target, opened, source.head, key, head, progress=progress)
