"""Between files and a Lit connection: containers and envelopes in, plaintext out, and the way back.

What is encrypted is given as a container, or as a path: of a container's JSON, or of an envelope.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from lit_airflow import envelope, files
from lit_airflow.errors import CiphertextError
from lit_airflow.secret import Secret

if TYPE_CHECKING:
    from lit_airflow.held import HeldSession
    from lit_airflow.hooks import LitHook
    from lit_airflow.session.session import Session

Encrypted = str | Mapping[str, Any]


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
    from lit_airflow.conditions import Conditions  # noqa: PLC0415 - kept out of DAG parsing

    parsed = Conditions.parse(conditions, default_chain=hook.settings.chain)
    progress = files.telling(f"Encrypting {input_path}", files.size(input_path))
    with files.reading(input_path) as source, files.writing(output_path) as target:
        return hook.client.encrypt_file(source, target, parsed, progress=progress)


def decrypt(hook: LitHook, encrypted: Encrypted, session: Session | HeldSession) -> bytes:
    """Decrypt into memory.

    Args:
        hook: The Lit connection at work.
        encrypted: A container, or a path.
        session: A session that may.

    Raises:
        SettingsError: No such file, or nothing encrypted in it.
        LitError: As :meth:`lit_airflow.LitClient.decrypt_file`.
    """
    opened = hook.decrypt(files.read_container(encrypted), session)
    target = io.BytesIO()
    _deliver(encrypted, opened, target)
    return target.getvalue()


def decrypt_file(
    hook: LitHook, encrypted: Encrypted, output_path: str, session: Session | HeldSession
) -> int:
    """Decrypt into a file, an envelope in a few megabytes of memory; every ten seconds the log says how far it is.

    Args:
        hook: The Lit connection at work.
        encrypted: A container, or a path.
        output_path: Where the plaintext goes; who may read it, and when: :func:`lit_airflow.files.writing`.
        session: A session that may.

    Returns:
        Bytes of plaintext.

    Raises:
        LitError: As :func:`decrypt`.
    """
    opened = hook.decrypt(files.read_container(encrypted), session)
    with files.writing(output_path) as target:
        return _deliver(encrypted, opened, target)


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
