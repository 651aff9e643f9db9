"""Encrypting and decrypting files over a Lit connection: containers and envelopes in, plaintext out, and back.

Something encrypted is given as a container, or as the path of a file with one, or of an envelope. Each is
opened once.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from lit_airflow import envelope
from lit_airflow.client import refuse_data_key
from lit_airflow.errors import CiphertextError, LitError, SettingsError, SomeFailedError, in_file
from lit_airflow.keys.secret import Secret
from lit_airflow.provider import files
from lit_airflow.provider.files import Encrypted, Source
from lit_airflow.provider.paths import FilePath, path_text
from lit_airflow.text import path_shown

if TYPE_CHECKING:
    from lit_airflow.handoff.renewal import RenewableSession
    from lit_airflow.networks.contract import Decrypted, Load, Session
    from lit_airflow.protocol.container import Container
    from lit_airflow.protocol.scope import ResourceAbility, Scope
    from lit_airflow.provider.connection import LitConnection

_SUFFIX = re.compile(r"\.lit(\.json)?$")
_MAX_NAMED = 10

Result = TypeVar("Result")


def encrypt_file(
    hook: LitConnection, input_path: FilePath, output_path: FilePath, conditions: Mapping[str, Any]
) -> dict[str, Any]:
    """Encrypt a file of any size as an envelope; the log reports progress every ten seconds.

    Args:
        hook: The Lit connection.
        input_path: What to encrypt, local or in object storage.
        output_path: Where the envelope goes.
        conditions: The conditions under which it may be decrypted.

    Returns:
        The container of the data key, with which the envelope begins.

    Raises:
        SettingsError: ``input_path`` does not exist.
        ConditionError: The conditions do not validate.
        NetworkError: The network's key cannot be learnt.
    """
    from lit_airflow.protocol.conditions import Conditions  # noqa: PLC0415 - kept out of DAG parsing
    from lit_airflow.protocol.humanize import humanize  # noqa: PLC0415 - the same

    parsed = Conditions.parse(conditions, default_chain=hook.settings.chain)
    hook.log.info("Encrypting under these conditions: %s", humanize(parsed))
    progress = files.progress_log(f"Encrypting {path_shown(str(input_path))}", files.size(input_path))
    with files.reading(input_path) as source, files.writing(output_path) as target:
        container = hook.client.encrypt_file(source, target, parsed, progress=progress)
    hook.lineage.note_encrypted(path_text(input_path), path_text(output_path), container)
    return container


def decrypt(hook: LitConnection, encrypted: Encrypted, session: Session | RenewableSession) -> bytes:
    """Decrypt into memory.

    Args:
        hook: The Lit connection.
        encrypted: A container, or a path.
        session: A session whose scope covers it.

    Raises:
        SettingsError: No such file, or nothing encrypted in it.
        LitError: As :meth:`lit_airflow.LitClient.decrypt_file`.
    """
    opened, _ = decrypt_and_hash(hook, encrypted, session)
    return opened.reveal()


def decrypt_and_hash(
    hook: LitConnection, encrypted: Encrypted, session: Session | RenewableSession
) -> tuple[Secret, str]:
    """Decrypt into memory; return the plaintext, and the ``dataToEncryptHash`` of the container it came from.

    Args:
        hook: The Lit connection.
        encrypted: A container, or a path.
        session: A session whose scope covers it.

    Raises:
        LitError: As :func:`decrypt`.
    """
    target = io.BytesIO()
    with files.opened(encrypted) as source:
        _write_plaintext(source, _opened(hook, source, session), target)
    hook.lineage.note_decrypted(source.name, "", source.container)
    return Secret(target.getvalue()), str(source.container.get("dataToEncryptHash", ""))


def decrypt_file(
    hook: LitConnection, encrypted: Encrypted, output_path: FilePath, session: Session | RenewableSession
) -> int:
    """Decrypt into a file, an envelope in a few megabytes of memory; the log reports progress every ten seconds.

    Args:
        hook: The Lit connection.
        encrypted: A container, or a path.
        output_path: Where the plaintext goes; :func:`lit_airflow.provider.files.writing` says who may read it.
        session: A session whose scope covers it.

    Returns:
        Bytes of plaintext.

    Raises:
        LitError: As :func:`decrypt`.
    """
    with files.opened(encrypted) as source:
        secret = _opened(hook, source, session)
        with files.writing(output_path) as target:
            size = _write_plaintext(source, secret, target)
    hook.lineage.note_decrypted(source.name, path_text(output_path), source.container)
    return size


def decrypt_many(
    hook: LitConnection,
    encrypted: Iterable[Encrypted],
    session: Session | RenewableSession,
    *,
    at_once: int | None = None,
    processes: int = 1,
) -> Iterator[Decrypted]:
    """Decrypt many into memory with one session; one that fails costs the others nothing.

    Args:
        hook: The Lit connection.
        encrypted: Containers and paths; fetched as they are needed.
        session: A session whose scope covers them.
        at_once: How many are in work, or done and not yet taken.
        processes: How many processes decrypt; see :meth:`lit_airflow.LitClient.decrypt_many`.

    Returns:
        The outcomes in order, as they are taken.

    Raises:
        LitError: As :meth:`lit_airflow.LitClient.decrypt_many`.
    """

    def finish(source: Source, secret: Secret) -> bytes:
        target = io.BytesIO()
        _write_plaintext(source, secret, target)
        hook.lineage.note_decrypted(source.name, "", source.container)
        return target.getvalue()

    asked = cache(partial(_scope_of_readable, hook, encrypted)) if isinstance(encrypted, list) else None

    def opened(loads: Iterable[Load]) -> Iterator[Decrypted]:
        return hook.decrypt_many(
            loads, session, at_once=at_once, processes=processes, asked=asked, data_keys=True
        )

    for outcome, written in finish_each(
        encrypted, lambda source: hook.container(source.container), opened, finish
    ):
        yield replace(outcome, plaintext=written)


def scope_of(
    hook: LitConnection, encrypted: Encrypted | Sequence[Encrypted], paths: dict[str, str] | None = None
) -> Scope:
    """Return the narrowest scope that decrypts all of these.

    Of the files that match a pattern, those that cannot be read are logged as warnings and left out: one file that
    somebody put there does not stop the others.

    Args:
        hook: The Lit connection.
        encrypted: A container, a path, a path with ``*``, or a list of containers and paths.
        paths: If given, gets for each resource the path of its file.

    Raises:
        SettingsError: No such file, nothing encrypted in it, or nothing matches that can be read.
        LitError: As :meth:`lit_airflow.LitClient.scope_of`.
    """
    from lit_airflow.protocol.scope import Scope  # noqa: PLC0415 - kept out of DAG parsing

    _ = hook.client  # a connection that cannot be used is not the failure of a file
    found = files.listed(encrypted)
    requests, failures = _requests(hook, found, {} if paths is None else paths)
    if failures and not files.is_pattern(encrypted):
        raise failures[0]
    if failures and not requests:
        raise SettingsError(
            f"None of the {len(found)} files that match {path_shown(str(encrypted))} can be read. "
            f"{failures[0].message}",
            field="encrypted",
        )
    for error in failures[:_MAX_NAMED]:
        hook.log.warning("Left out of the session: %s", error)
    if len(failures) > _MAX_NAMED:
        hook.log.warning("%d more files are left out of the session.", len(failures) - _MAX_NAMED)
    return Scope(requests)


def output_paths(
    sources: Iterable[FilePath], folder: FilePath, refused: dict[str, LitError] | None = None
) -> dict[str, str]:
    """Return where each file's plaintext goes: into ``folder``, under its name without ``.lit.json`` or ``.lit``.

    Args:
        sources: The files.
        folder: Where all plaintexts go.
        refused: If given, gets for each file that can have no output why, and such a file is left out: its name may
            be somebody else's, and must not stop the others.

    Raises:
        SettingsError: A file would have no name there, or its output would replace a given file or another output;
            with ``refused``, each of them.
    """
    names = {path: _stem(path.rpartition("/")[2]) for path in map(path_text, sources)}
    return _outputs(names, folder, refused)


def relative_output_paths(
    patterns: Iterable[FilePath],
    folder: FilePath,
    *,
    decrypted: bool = False,
    refused: dict[str, LitError] | None = None,
) -> dict[str, str]:
    """Return where the output of each file goes: into ``folder``, below it as below the pattern's own folder.

    Args:
        patterns: Paths; ``*`` and ``**`` as for :func:`lit_airflow.provider.files.listed`.
        folder: Where all files go.
        decrypted: Whether the names lose ``.lit.json`` or ``.lit``.
        refused: See :func:`output_paths`.

    Raises:
        SettingsError: Nothing matches, or as :func:`output_paths`.
    """
    found = {path: below for pattern in patterns for path, below in files.matching(pattern).items()}
    names = {path: _stem(below) for path, below in found.items()} if decrypted else found
    return _outputs(names, folder, refused)


def _stem(name: str) -> str:
    return re.sub(_SUFFIX, "", name)


def _outputs(
    names: Mapping[str, str], folder: FilePath, refused: dict[str, LitError] | None
) -> dict[str, str]:
    """Return the path below ``folder`` for each name; of two files with the same one, neither gets it."""
    base = path_text(folder).rstrip("/")
    targets = {path: f"{base}/{name}" for path, name in names.items() if _is_file_name(name)}
    places = Counter(files.place(path) for path in (*names, *targets.values()))
    problems: dict[str, LitError] = {}
    for path in names:
        target = targets.get(path)
        if target is None:
            problems[path] = SettingsError(
                f"The output of {path_shown(path)} would have no file name.",
                field="encrypted",
                hint="Rename the file.",
            )
        elif places[files.place(target)] > 1:
            problems[path] = SettingsError(
                f"{path_shown(target)} would be overwritten.",
                field="output_dir",
                hint="Give each file a different name, and write the output to another folder.",
            )
    good = {path: target for path, target in targets.items() if path not in problems}
    if problems and (refused is None or not good):
        raise next(iter(problems.values()))
    if refused is not None:
        refused |= problems
    return good


def _is_file_name(name: str) -> bool:
    return name.rpartition("/")[2] not in ("", ".", "..")


def decrypt_files(
    hook: LitConnection,
    targets: Mapping[str, str],
    session: Session | RenewableSession,
    *,
    refused: Mapping[str, LitError] | None = None,
    processes: int = 1,
) -> None:
    """Decrypt many files, each into a file of its own, with one session. One that fails costs the others nothing.

    Args:
        hook: The Lit connection.
        targets: Path of a container or an envelope -> path of its plaintext.
        session: A session whose scope covers them.
        refused: Path of a file that has no output -> why; see :func:`output_paths`. They count as failed.
        processes: How many processes decrypt; see :meth:`lit_airflow.LitClient.decrypt_many`.

    Raises:
        SomeFailedError: Some of them failed; the others are written.
        LitError: As :meth:`lit_airflow.LitClient.decrypt_many`.
    """
    failures = dict(refused or {})
    total = len(targets) + len(failures)

    def finish(source: Source, secret: Secret) -> bytes:
        with files.writing(targets[source.name]) as target:
            _write_plaintext(source, secret, target)
        hook.lineage.note_decrypted(source.name, targets[source.name], source.container)
        return b""

    def opened(loads: Iterable[Load]) -> Iterator[Decrypted]:
        asked = cache(partial(_scope_of_readable, hook, targets))
        return hook.decrypt_many(loads, session, processes=processes, asked=asked, data_keys=True)

    outcomes = finish_each(list(targets), lambda source: hook.container(source.container), opened, finish)
    for source, (outcome, _) in zip(targets, outcomes, strict=True):
        if outcome.error is not None:
            failures[source] = outcome.error
    if not failures:
        return
    causes = [
        f"{path_shown(source)}: {error.message}" for source, error in islice(failures.items(), _MAX_NAMED)
    ]
    more = f" And {len(failures) - _MAX_NAMED} more." if len(failures) > _MAX_NAMED else ""
    raise SomeFailedError(
        f"{len(failures)} of {total} files could not be decrypted. {' '.join(causes)}{more}",
        failures={source: str(error) for source, error in failures.items()},
        retryable=any(error.retryable for error in failures.values()),
        hint="The others are written.",
    )


def finish_each(
    encrypted: Iterable[Encrypted],
    read: Callable[[Source], Container],
    decrypt: Callable[[Iterable[Load]], Iterator[Decrypted]],
    finish: Callable[[Source, Secret], Result],
) -> Iterator[tuple[Decrypted, Result | None]]:
    """Decrypt many, and finish each while its file is still open. One that fails costs the others nothing.

    Args:
        encrypted: Containers and paths; fetched as they are needed.
        read: Returns the container of an open source; a ``LitError`` that it raises is the item's outcome.
        decrypt: Decrypts what the given functions read, in order, data keys of envelopes included.
        finish: Is given the source and what Lit opened.

    Returns:
        Each outcome, and what ``finish`` returned.
    """
    waiting: dict[int, tuple[ExitStack, Source]] = {}

    def load(index: int, item: Encrypted) -> Container:
        stack = ExitStack()
        with stack, in_file(item):
            source = stack.enter_context(files.opened(item))
            container = read(source)
            waiting[index] = (stack.pop_all(), source)
        return container

    loads = (
        [partial(load, i, item) for i, item in enumerate(encrypted)]
        if isinstance(encrypted, list)
        else (partial(load, i, item) for i, item in enumerate(encrypted))
    )
    for outcome in decrypt(loads):
        stack, source = waiting.pop(outcome.index, (ExitStack(), None))
        with stack:
            if outcome.error is not None or source is None:
                yield outcome, None
                continue
            try:
                yield outcome, finish(source, Secret(outcome.result()))
            except LitError as error:
                yield replace(outcome, plaintext=None, error=error), None
            except Exception as error:  # noqa: BLE001 - each store's driver raises its own exceptions
                cause = getattr(error, "strerror", None) or type(error).__name__
                failed = SettingsError(f"The output cannot be written ({cause}).", field="output_dir")
                yield replace(outcome, plaintext=None, error=failed), None


def _scope_of_readable(hook: LitConnection, encrypted: Iterable[Encrypted]) -> Scope:
    """Return the scope that decrypts these; one that cannot be read is left out."""
    from lit_airflow.protocol.scope import Scope  # noqa: PLC0415 - kept out of DAG parsing

    return Scope(_requests(hook, encrypted, {})[0])


def _requests(
    hook: LitConnection, encrypted: Iterable[Encrypted], paths: dict[str, str]
) -> tuple[tuple[ResourceAbility, ...], list[LitError]]:
    """Return what decrypting these needs, and why some of them cannot be read."""
    requests: dict[ResourceAbility, None] = {}
    failures = []
    for each in encrypted:
        try:
            with in_file(each):
                asked = hook.scope_of(files.read_container(each)).requests
            requests |= dict.fromkeys(asked)
            if not isinstance(each, Mapping):
                paths |= dict.fromkeys((each_one.resource.key for each_one in asked), path_text(each))
        except LitError as error:
            failures.append(error)
    return tuple(requests), failures


def _opened(hook: LitConnection, source: Source, session: Session | RenewableSession) -> Secret:
    with in_file(source.name):
        if source.name:
            hook.log.info("Decrypting %s.", path_shown(source.name))
        return Secret(hook.decrypt(source.container, session, data_key=source.head is not None))


def _write_plaintext(source: Source, opened: Secret, target: BinaryIO) -> int:
    """Write the plaintext, given what Lit opened: the plaintext itself, or the data key of an envelope."""
    if source.head is None or source.body is None:
        target.write(refuse_data_key(opened.reveal()))
        return len(opened)
    progress = files.progress_log(f"Decrypting {path_shown(source.name)}", source.size)
    try:
        return envelope.unseal(source.body, target, opened, source.head, progress=progress)
    except CiphertextError as error:
        raise CiphertextError(f"{path_shown(source.name)}: {error.message}", hint=error.hint) from None
