"""What the commands ``session``, ``encrypt`` and ``decrypt`` read from standard input and write."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import typer

from lit_airflow import envelope
from lit_airflow.clock import Deadline
from lit_airflow.errors import CiphertextError, in_file
from lit_airflow.json_input import try_parse
from lit_airflow.keys.secret import Secret
from lit_airflow.protocol.conditions import CONDITION_FIELDS, Conditions

if TYPE_CHECKING:
    from lit_airflow.client import LitClient
    from lit_airflow.networks.contract import Session
    from lit_airflow.protocol.scope import Scope

_PROGRESS_EVERY_S = 1.0
_MEGABYTE = 10**6


@contextmanager
def writing(output: Path | None) -> Iterator[BinaryIO]:
    """Open a stream to a file that appears whole, with mode 0600, when the block ends; or to standard output.

    Raises:
        typer.BadParameter: The file cannot be written.
    """
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    from lit_airflow import atomic_file  # noqa: PLC0415 - only where a file is written

    try:
        with atomic_file.writing(output) as target:
            yield target
    except OSError as error:
        raise typer.BadParameter(
            f"{output} cannot be written ({error.strerror}).", param_hint="--output"
        ) from None


def new_recovery_key() -> str:
    """Make a recovery key, show its secret half on standard error, and return its public half."""
    from lit_airflow.keys import hpke  # noqa: PLC0415 - brings cryptography

    secret = hpke.generate_secret_key()
    typer.echo(
        "The secret half of the recovery key, shown only now. Keep it offline: it opens data without any network, "
        f"regardless of conditions.\n{secret.reveal().hex()}",
        err=True,
    )
    return hpke.public_key_of(secret)


def write_json(value: object, output: Path | None) -> None:
    """Write one line of JSON."""
    line = Secret(json.dumps(value, ensure_ascii=False).encode() + b"\n")
    del value  # no frame of an error may hold it
    with writing(output) as target:
        target.write(line.reveal())


def scope_of(client: LitClient, path: Path) -> Scope:
    """Return the narrowest scope that decrypts a file: a container with its conditions, or an envelope.

    Raises:
        CiphertextError: Neither is in it.
        ConditionError: It has no conditions, or they have no canonical form.
    """
    with in_file(path):
        with path.open("rb") as source:
            sealed, _ = _read_container(source, str(path))
        return client.scope_of(sealed, sealed)


def encrypt(client: LitClient, source: BinaryIO, conditions: Conditions, output: Path | None) -> None:
    """Encrypt a stream: as a container, or as an envelope where it has more than a mebibyte.

    Args:
        client: The client.
        source: The plaintext.
        conditions: Who may decrypt.
        output: Where to write. A container in a file holds its conditions, as operators read it; standard output
            gets what the SDK's ``encrypt`` returns.

    Raises:
        LitError: As :meth:`lit_airflow.LitClient.encrypt_file`.
    """
    longest = min(envelope.ENVELOPE_FROM_BYTES, client.traits.max_plaintext_bytes)
    start = Secret(source.read(longest + 1))
    if len(start) <= longest:
        make = client.encrypt if output is None else client.make_container
        write_json(make(start.reveal(), conditions), output)
        return
    report = _progress("Encrypted")
    with writing(output) as target:
        client.encrypt_file(
            cast("BinaryIO", io.BufferedReader(_Continued(start, source))),
            target,
            conditions,
            progress=report,
        )
    typer.echo("Wrote an envelope.", err=True)


def decrypt(
    client: LitClient,
    source: BinaryIO,
    conditions: Conditions | None,
    session: Session,
    output: Path | None,
) -> None:
    """Decrypt a stream: a container, with its conditions inside or beside it, or an envelope.

    Args:
        client: The client.
        source: What was encrypted.
        conditions: Its conditions; by default those that it contains.
        session: An open session whose scope covers it.
        output: Where to write the plaintext. To standard output, each megabyte of an envelope is written when it
            has proved right.

    Raises:
        typer.BadParameter: Nothing names the conditions.
        LitError: As :meth:`lit_airflow.LitClient.decrypt_file`.
    """
    sealed, head = _read_container(source, "Standard input")
    if conditions is None:
        if not any(name in sealed for name in CONDITION_FIELDS):
            raise typer.BadParameter(
                "The JSON on standard input contains no conditions, so this option is needed.",
                param_hint="--conditions",
            )
        conditions = Conditions.parse(sealed)
    opened = Secret(client.decrypt(sealed, conditions, session, data_key=head is not None))
    with writing(output) as target:
        if head is None:
            target.write(opened.reveal())
        else:
            envelope.unseal(source, target, opened, head, progress=_progress("Decrypted"))


def _read_container(source: BinaryIO, name: str) -> tuple[Mapping[str, Any], envelope.Head | None]:
    """Read a container, or the first line of an envelope, which leaves the stream at its body."""
    head, start = envelope.split_head(source)
    if head is not None:
        return head.container, head
    sealed = try_parse(start + source.read())
    if not isinstance(sealed, dict):
        raise CiphertextError(
            f"{name} contains neither a JSON object nor an envelope.",
            hint="Give what encrypt or an operator wrote.",
        )
    return sealed, None


def _progress(done_what: str) -> Callable[[int], None]:
    """Return a function that says on standard error, each second at most, how many megabytes are done."""
    due = Deadline.after(0)

    def report(done: int) -> None:
        nonlocal due
        if not due.left_s():
            typer.echo(f"{done_what} {done // _MEGABYTE} MB.", err=True)
            due = Deadline.after(_PROGRESS_EVERY_S)

    return report


class _Continued(io.RawIOBase):
    """A stream whose first bytes were read already.

    Args:
        start: Those bytes.
        rest: The stream behind them.
    """

    def __init__(self, start: Secret, rest: BinaryIO) -> None:
        self._start = io.BytesIO(start.reveal())
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader passes
        read = self._start.readinto(buffer)
        if not read:
            found = self._rest.read(len(buffer))
            read = len(found)
            buffer[:read] = found
        return read
