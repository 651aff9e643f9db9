"""Files of any size: a data key under Lit, the file under AES-256-GCM in segments, a few megabytes of memory.

An envelope is one file: a line that says how the data key is had, then the body.

    lit-envelope/2 {"ciphertext": …, "dataToEncryptHash": …, "accessControlConditions": …, "chain": …}⏎
    40 || salt (32) || nonce prefix (7) || segment || segment || … || last segment

The line holds the container of the data key, as ``encrypt`` makes one of any 32 bytes. The body is Tink's
AES256-GCM-HKDF streaming AEAD with segments of 1 MiB. The line, from its first byte to its line feed, is its
associated data: the key of the segments is ``HKDF-SHA256(data key, salt, info=line)``, the nonce of each
``prefix || number (4) || 1 if last, else 0``. So a segment opens only under its own line, in its own place, and the
last one only as the last: what is altered, moved, cut short or continued does not open.

Source: Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance"
(CRYPTO 2015), the STREAM construction; Tink, "AES-GCM-HKDF Streaming AEAD"; record 11,
``docs/adr/0011-large-files-by-envelope.md``.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from lit_airflow.errors import CiphertextError
from lit_airflow.json_input import try_parse
from lit_airflow.keys.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"lit-envelope/2 "
_MAGIC_1 = b"lit-envelope/1 "  # its data key is 32 bytes, which nothing tells from data
KEY_TAG = b"lit-envelope/2 data key\n"
"""What Lit encrypts begins with this, so that a data key cannot pass as data, nor data as a key."""
KEY_BYTES = 32
SEGMENT_BYTES = 1024 * 1024

_SALT_BYTES = 32
_PREFIX_BYTES = 7
_TAG_BYTES = 16
_PREAMBLE_BYTES = 1 + _SALT_BYTES + _PREFIX_BYTES
# A container of thirty conditions is far below this.
_LONGEST_HEAD = 1024 * 1024

Progress = Callable[[int], object]
"""Called after each segment with how many bytes of plaintext are done."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of an envelope.

    Attributes:
        container: The data key's container: ``ciphertext``, ``dataToEncryptHash``, conditions and ``chain``.
        line: The bytes themselves, which every segment is bound to.
    """

    container: Mapping[str, Any]
    line: bytes

    @property
    def tagged(self) -> bool:
        """Whether the data key is tagged; version 1 of the format does not."""
        return not self.line.startswith(_MAGIC_1)


def new_key() -> Secret:
    """A data key. One file each: what the container's hash names is then this file and no other."""
    return Secret(secrets.token_bytes(KEY_BYTES))


def tagged_key(key: Secret) -> Secret:
    """Return what is encrypted to Lit: the tag and the data key."""
    return Secret(KEY_TAG + key.reveal())


def is_data_key(plaintext: bytes) -> bool:
    """Return whether a plaintext is the data key of an envelope, which must never be delivered as data."""
    return plaintext.startswith(KEY_TAG)


def write_head(container: Mapping[str, Any]) -> Head:
    """The first line for a data key's container.

    Raises:
        CiphertextError: It is longer than any reader takes.
    """
    line = MAGIC + json.dumps(container, separators=(",", ":")).encode() + b"\n"
    if len(line) > _LONGEST_HEAD:
        raise CiphertextError(f"The head of the envelope would have {len(line)} bytes.")
    return Head(container, line)


def read_head(source: BinaryIO) -> Head | None:
    """Return the first line if this is an envelope; the stream is then at the body.

    Raises:
        CiphertextError: It begins like an envelope, and its first line is damaged.
    """
    return split_head(source)[0]


def split_head(source: BinaryIO) -> tuple[Head | None, bytes]:
    """Return the first line if this is an envelope; otherwise the bytes that were read to find out.

    Raises:
        CiphertextError: As :func:`read_head`.
    """
    start = _filled(source, len(MAGIC))
    if start not in (MAGIC, _MAGIC_1):
        return None, start
    rest = source.readline(_LONGEST_HEAD)
    container = try_parse(rest) if rest.endswith(b"\n") else None
    if not isinstance(container, dict):
        raise CiphertextError("The first line of the envelope is damaged.", hint=_HINT)
    return Head(container, start + rest), b""


def seal(  # noqa: PLR0913 - all but four optional
    source: BinaryIO,
    target: BinaryIO,
    key: Secret,
    head: Head,
    *,
    progress: Progress = int,
    segment_bytes: int = SEGMENT_BYTES,
    salt: bytes | None = None,
    prefix: bytes | None = None,
) -> int:
    """Write an envelope: the line, and the body.

    Args:
        source: The plaintext, read to its end.
        target: Where the envelope goes.
        key: The data key, 32 bytes, whose container is in ``head``.
        head: The first line.
        progress: Told how far it has come.
        segment_bytes: Length of a segment; another than 1 MiB only to reproduce known bodies, as are the next two.
        salt: 32 random bytes.
        prefix: 7 random bytes.

    Returns:
        Bytes of plaintext.
    """
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    prefix = secrets.token_bytes(_PREFIX_BYTES) if prefix is None else prefix
    cipher = _cipher(key, salt, head.line)
    target.write(head.line)
    target.write(bytes([_PREAMBLE_BYTES]) + salt + prefix)
    done = 0
    room = segment_bytes - _TAG_BYTES
    for number, (piece, last) in enumerate(_pieces(source, room - _PREAMBLE_BYTES, room)):
        target.write(cipher.encrypt(_nonce(prefix, number, last=last), piece, None))
        done += len(piece)
        progress(done)
    return done


def unseal(  # noqa: PLR0913 - all but four optional
    source: BinaryIO,
    target: BinaryIO,
    opened: Secret,
    head: Head,
    *,
    progress: Progress = int,
    segment_bytes: int = SEGMENT_BYTES,
) -> int:
    """Open the body. A segment is written only when it has proved right; that it was all, only the last one proves.

    So write to a place from which nobody reads yet, and throw that away if this raises.

    Args:
        source: Where :func:`read_head` left it.
        target: Where the plaintext goes.
        opened: What Lit decrypted: the tagged data key, or of version 1 the key.
        head: What :func:`read_head` returned.
        progress: Told how far it has come.
        segment_bytes: As for :func:`seal`.

    Returns:
        Bytes of plaintext.

    Raises:
        CiphertextError: Altered, moved, cut short, continued, or of another key or line; says from which byte on.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - kept out of DAG parsing

    key = _untagged(opened, head)
    preamble = _filled(source, _PREAMBLE_BYTES)
    if len(preamble) < _PREAMBLE_BYTES or preamble[0] != _PREAMBLE_BYTES:
        raise CiphertextError("The envelope's body is damaged from its first byte on.", hint=_HINT)
    salt, prefix = preamble[1 : 1 + _SALT_BYTES], preamble[1 + _SALT_BYTES :]
    cipher = _cipher(key, salt, head.line)
    done = 0
    for number, (piece, last) in enumerate(_pieces(source, segment_bytes - _PREAMBLE_BYTES, segment_bytes)):
        try:
            plaintext = cipher.decrypt(_nonce(prefix, number, last=last), piece, None)
        except InvalidTag:
            raise CiphertextError(
                f"The envelope does not open from byte {done} of the plaintext on.", hint=_HINT
            ) from None
        target.write(plaintext)
        done += len(plaintext)
        progress(done)
    return done


_HINT = "It was altered, cut short or continued; have it encrypted, or copied, again."


def _untagged(opened: Secret, head: Head) -> Secret:
    raw = opened.reveal()
    if head.tagged == is_data_key(raw):
        key = Secret(raw[len(KEY_TAG) :] if head.tagged else raw)
        if len(key) == KEY_BYTES:
            return key
    del raw
    raise CiphertextError("The envelope's container does not hold a data key.", hint=_HINT)


def _cipher(key: Secret, salt: bytes, bound: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - kept out of DAG parsing
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - the same
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 - the same

    return AESGCM(HKDF(SHA256(), length=KEY_BYTES, salt=salt, info=bound).derive(key.reveal()))


def _nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    # Four bytes count to 4 PiB, where to_bytes raises; by then the files have outgrown more than this.
    return prefix + number.to_bytes(4, "big") + bytes([last])


def _pieces(source: BinaryIO, first: int, then: int) -> Iterator[tuple[bytes, bool]]:
    """The stream in pieces of fixed length, the last one shorter or not, and whether each is the last."""
    piece, full = _filled(source, first), first
    while len(piece) == full and (following := _filled(source, then)):
        yield piece, False
        piece, full = following, then
    yield piece, True


def _filled(source: BinaryIO, size: int) -> bytes:
    """``size`` bytes, or fewer at the stream's end; streams may give less than they are asked for."""
    parts = []
    while size and (part := source.read(size)):
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
