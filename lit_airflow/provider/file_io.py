"""Between files and a Lit connection: containers and envelopes in, plaintext out, and the way back.

What is encrypted is given as a container, or as a path: of a container's JSON, or of an envelope.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice, tee
from typing import TYPE_CHECKING, Any, BinaryIO

from lit_airflow import envelope
from lit_airflow.errors import CiphertextError, LitError, SettingsError, SomeFailedError, conditions_of
from lit_airflow.keys.secret import Secret
from lit_airflow.provider import files

if TYPE_CHECKING:
    from lit_airflow.handoff.renewal import RenewableSession
    from lit_airflow.hooks import LitHook
    from lit_airflow.protocol.session import Session
    from lit_airflow.transport.batch import Decrypted

Encrypted = str | Mapping[str, Any]

_ENDING = re.compile(r"\.lit(\.json)?$")
_MOST_TOLD = 10


def encrypt_file(
    hook: LitHook, input_path: str, output_path: str, conditions: Mapping[str, Any]
) -> dict[str, Any]:
    """Encrypt a file of any size as an envelope; every ten seconds the log says how far it is.

    Args:
        hook: The Lit connection at work.
        input_path: What to encrypt, here or in object storage.
        output_path: Where the envelope goes.
        conditions: Who may decrypt.

    Returns:
        The container of the data key, with which the envelope begins.

    Raises:
        SettingsError: There is no file ``input_path``.
        ConditionError: The conditions do not validate.
        NetworkError: The network's key cannot be learnt.
    """
    from lit_airflow.protocol.conditions import Conditions  # noqa: PLC0415 - kept out of DAG parsing
    from lit_airflow.protocol.humanize import humanize  # noqa: PLC0415 - the same

    parsed = Conditions.parse(conditions, default_chain=hook.settings.chain)
    hook.log.info("The conditions of what is encrypted: %s", humanize(parsed))
    progress = files.telling(f"Encrypting {input_path}", files.size(input_path))
    with files.reading(input_path) as source, files.writing(output_path) as target:
        return hook.client.encrypt_file(source, target, parsed, progress=progress)


def decrypt(hook: LitHook, encrypted: Encrypted, session: Session | RenewableSession) -> bytes:
    """Decrypt into memory.

    Args:
        hook: The Lit connection at work.
        encrypted: A container, or a path.
        session: A session that may.

    Raises:
        SettingsError: No such file, or nothing encrypted in it.
        LitError: As :meth:`lit_airflow.LitClient.decrypt_file`.
    """
    with conditions_of(encrypted):
        opened = hook.decrypt(files.read_container(encrypted), session)
    target = io.BytesIO()
    _deliver(encrypted, opened, target)
    return target.getvalue()


def decrypt_file(
    hook: LitHook, encrypted: Encrypted, output_path: str, session: Session | RenewableSession
) -> int:
    """Decrypt into a file, an envelope in a few megabytes of memory; every ten seconds the log says how far it is.

    Args:
        hook: The Lit connection at work.
        encrypted: A container, or a path.
        output_path: Where the plaintext goes; :func:`lit_airflow.provider.files.writing` says who may read it.
        session: A session that may.

    Returns:
        Bytes of plaintext.

    Raises:
        LitError: As :func:`decrypt`.
    """
    with conditions_of(encrypted):
        opened = hook.decrypt(files.read_container(encrypted), session)
    with files.writing(output_path) as target:
        return _deliver(encrypted, opened, target)


def decrypt_many(
    hook: LitHook,
    encrypted: Iterable[Encrypted],
    session: Session | RenewableSession,
    *,
    at_once: int | None = None,
) -> Iterator[Decrypted]:
    """Decrypt many into memory with one session; what fails does so by itself.

    Args:
        hook: The Lit connection at work.
        encrypted: Containers and paths; fetched as they are needed.
        session: A session that may.
        at_once: How many are in work, or done and not yet taken.

    Returns:
        The outcomes in their order, as they are taken.

    Raises:
        LitError: As :meth:`lit_airflow.LitClient.decrypt_many`.
    """
    ahead, behind = tee(encrypted)
    outcomes = hook.decrypt_many(ahead, session, at_once=at_once)
    return (_whole(item, outcome) for item, outcome in zip(behind, outcomes, strict=True))


def targets(sources: Iterable[str], folder: str) -> dict[str, str]:
    """Where the plaintext of each file goes: into ``folder``, under its name less ``.lit.json`` or ``.lit``.

    Raises:
        SettingsError: Two would go to the same place, or one onto itself.
    """
    found = {
        source: f"{folder.rstrip('/')}/{re.sub(_ENDING, '', source.rpartition('/')[2])}" for source in sources
    }
    places = Counter(path.removeprefix("file://") for path in (*found, *found.values()))
    lost = next((path for path, times in places.items() if times > 1), None)
    if lost is not None:
        raise SettingsError(
            f"{lost} would be written over.",
            field="output_dir",
            hint="Each file needs a name of its own, and another place than its plaintext.",
        )
    return found


def decrypt_files(hook: LitHook, targets: Mapping[str, str], session: Session | RenewableSession) -> None:
    """Decrypt many files, each into one of its own, with one session. What fails costs the others nothing.

    Args:
        hook: The Lit connection at work.
        targets: Path of a container or an envelope -> where its plaintext goes.
        session: A session that may.

    Raises:
        SomeFailedError: Some of them; the others are written.
        LitError: All of them, as :meth:`lit_airflow.LitClient.decrypt_many`.
    """
    failures: dict[str, LitError] = {}
    outcomes = hook.decrypt_many(list(targets), session)
    for (source, path), outcome in zip(targets.items(), outcomes, strict=True):
        try:
            opened = outcome.result()
            with files.writing(path) as target:
                _deliver(source, opened, target)
        except LitError as error:
            failures[source] = error
    if not failures:
        return
    told = [f"{source}: {error.message}" for source, error in islice(failures.items(), _MOST_TOLD)]
    more = f" And {len(failures) - _MOST_TOLD} more." if len(failures) > _MOST_TOLD else ""
    raise SomeFailedError(
        f"{len(failures)} of {len(targets)} files could not be decrypted. {' '.join(told)}{more}",
        failures={source: str(error) for source, error in failures.items()},
        retryable=any(error.retryable for error in failures.values()),
        hint="The others are written.",
    )


def _whole(encrypted: Encrypted, outcome: Decrypted) -> Decrypted:
    """What became of an item once its envelope, if it is one, is opened too."""
    try:
        opened, target = outcome.result(), io.BytesIO()
        _deliver(encrypted, opened, target)
    except LitError as error:
        return replace(outcome, plaintext=None, error=error)
    return replace(outcome, plaintext=target.getvalue())


def _deliver(encrypted: Encrypted, opened: bytes, target: BinaryIO) -> int:
    """Write the plaintext, given what Lit opened: the plaintext itself, or the data key of an envelope."""
    if isinstance(encrypted, str):
        with files.reading(encrypted) as source:
            head = envelope.read_head(source)
            if head is not None:
                progress = files.telling(f"Decrypting {encrypted}", files.size(encrypted))
                try:
                    return envelope.unseal(source, target, Secret(opened), head, progress=progress)
                except CiphertextError as error:
                    raise CiphertextError(f"{encrypted}: {error.message}", hint=error.hint) from None
    target.write(opened)
    return len(opened)
