"""Envelopes: files of any size, encrypted with a data key that Lit protects, in a few megabytes of memory.

An envelope is a file with a line that contains the encrypted data key, and a body:

    lit-envelope/2 {"ciphertext": …, "dataToEncryptHash": …, "accessControlConditions": …, "chain": …}⏎
    40 || salt (32) || nonce prefix (7) || segment || segment || … || last segment

The line contains the container of the data key, which ``encrypt`` produces as for any 32 bytes. The body is
Tink's AES256-GCM-HKDF streaming AEAD with segments of 1 MiB. Its associated data is the line, from the first
byte to the line feed: the key of the segments is ``HKDF-SHA256(data key, salt, info=line)``, and the nonce of
each segment is ``prefix || number (4) || 1 if last, else 0``. So a segment can only be decrypted with its own
line and at its own place, and the last segment only as the last: an envelope that was altered, reordered,
truncated or extended is refused.

Source: Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance" (CRYPTO 2015), the STREAM construction; Tink, "AES-GCM-HKDF Streaming AEAD"; record 11,
``docs/adr/0011-large-files-by-envelope.md``.
"""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from lit_airflow.errors import CiphertextError
from lit_airflow.json_input import try_parse
from lit_airflow.keys.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"lit-envelope/2 "
_MAGIC_1 = b"lit-envelope/1 "  # its data key has no tag, and cannot be told from data
KEY_TAG = b"lit-envelope/2 data key\n"
"""The beginning of what Lit encrypts for an envelope, so that data cannot pass as a data key, nor a key as
data."""
KEY_BYTES = 32
SEGMENT_BYTES = 1024 * 1024
ENVELOPE_FROM_BYTES = 1024 * 1024
"""From this size on, a file becomes an envelope unless the caller says otherwise."""

_SALT_BYTES = 32
_PREFIX_BYTES = 7
_TAG_BYTES = 16
_PREAMBLE_BYTES = 1 + _SALT_BYTES + _PREFIX_BYTES
_MAX_HEAD_BYTES = 1024 * 1024  # far more than the container of thirty conditions needs

Progress = Callable[[int], object]
"""Called after each segment with the number of plaintext bytes processed so far."""


class Readable(Protocol):
    """What is read from: a binary stream, of which only this is needed."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of an envelope.

    Attributes:
        container: The container of the data key: ``ciphertext``, ``dataToEncryptHash``, conditions and
            ``chain``.
        line: The line's bytes, the associated data of every segment.
    """

    container: Mapping[str, Any]
    line: bytes

    @property
    def tagged(self) -> bool:
        """Whether the data key is tagged; in version 1 of the format it is not."""
        return not self.line.startswith(_MAGIC_1)


def new_key() -> Secret:
    """Generate a data key. Use one key per file, so that the hash in the container identifies that file."""
    return Secret(secrets.token_bytes(KEY_BYTES))


def tagged_key(key: Secret) -> Secret:
    """Return what Lit encrypts: the tag and the data key."""
    return Secret(KEY_TAG + key.reveal())


def is_data_key(plaintext: bytes) -> bool:
    """Return whether a plaintext is the data key of an envelope, which must never be delivered as data."""
    return plaintext.startswith(KEY_TAG)


def write_head(container: Mapping[str, Any]) -> Head:
    """Return the first line for the container of a data key.

    Raises:
        CiphertextError: The container is too large, nested too deeply, or JSON cannot represent it.
    """
    text = json.dumps(container, separators=(",", ":")).encode()
    if len(text) >= _MAX_HEAD_BYTES:
        raise CiphertextError(
            f"The first line of the envelope would have {len(text)} bytes; the limit is {_MAX_HEAD_BYTES}.",
            hint="Use fewer conditions.",
        )
    if try_parse(text) is None:
        raise CiphertextError(
            "The conditions are nested too deeply, or contain values that JSON cannot represent."
        )
    return Head(container, MAGIC + text + b"\n")


def read_head(source: BinaryIO) -> Head | None:
    """Read the first line, which leaves the stream at the body.

    Args:
        source: The file, at its beginning.

    Returns:
        The line; ``None`` if the file is not an envelope.

    Raises:
        CiphertextError: The file is an envelope with a damaged first line.
    """
    return split_head(source)[0]


def split_head(source: BinaryIO) -> tuple[Head | None, bytes]:
    """Read the first line, or the beginning of a file that is not an envelope.

    Args:
        source: The file, at its beginning.

    Returns:
        The line and nothing; or ``None`` and the bytes that were read from a file that is not an envelope.

    Raises:
        CiphertextError: The file is an envelope with a damaged first line.
    """
    start = _read(source, len(MAGIC))
    if start not in (MAGIC, _MAGIC_1):
        return None, start
    rest = _read_line(source, _MAX_HEAD_BYTES)
    container = try_parse(rest) if rest.endswith(b"\n") else None
    if not isinstance(container, dict):
        raise CiphertextError("The first line of the envelope is damaged.", hint=_HINT)
    return Head(container, start + rest), b""


def seal(  # noqa: PLR0913 - all but four optional
    source: Readable,
    target: BinaryIO,
    key: Secret,
    head: Head,
    *,
    progress: Progress = int,
    segment_bytes: int = SEGMENT_BYTES,
    salt: bytes | None = None,
    prefix: bytes | None = None,
) -> int:
    """Write an envelope: the line and the body.

    Args:
        source: The plaintext; read to its end.
        target: The file to write to.
        key: The data key, 32 bytes, whose container is in ``head``.
        head: The first line.
        progress: Called after each segment.
        segment_bytes: Length of a segment. Set this and the next two parameters only to reproduce known bodies.
        salt: 32 random bytes.
        prefix: 7 random bytes.

    Returns:
        The number of plaintext bytes.
    """
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    prefix = secrets.token_bytes(_PREFIX_BYTES) if prefix is None else prefix
    cipher = _cipher(key, salt, head.line)
    target.write(head.line)
    target.write(bytes([_PREAMBLE_BYTES]) + salt + prefix)
    done = 0
    room = segment_bytes - _TAG_BYTES
    sealed = _Buffer(segment_bytes)
    for number, (piece, last) in enumerate(_pieces(source, room - _PREAMBLE_BYTES, room)):
        sealed.length = len(piece) + _TAG_BYTES
        cipher.encrypt_into(_nonce(prefix, number, last=last), piece.view(), None, sealed.view())
        sealed.write_to(target)
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
    """Decrypt the body, and verify each segment before it is written.

    Only the last segment proves that none is missing. So write to a file that nobody reads yet, and delete it
    if this function raises.

    Args:
        source: The envelope, at its body: where :func:`read_head` left it.
        target: The file to write the plaintext to.
        opened: What Lit decrypted: the tagged data key; in version 1, the data key.
        head: What :func:`read_head` returned.
        progress: Called after each segment.
        segment_bytes: As for :func:`seal`.

    Returns:
        The number of plaintext bytes.

    Raises:
        CiphertextError: The envelope was altered, reordered, truncated or extended, or key and line do not
            belong to it. The message contains the position of the first damaged segment.
    """
    done = 0
    for piece in _unsealed(source, opened, head, segment_bytes):
        piece.write_to(target)
        done += len(piece)
        progress(done)
    return done


def reseal(  # noqa: PLR0913, PLR0917 - each is needed
    source: BinaryIO,
    target: BinaryIO,
    opened: Secret,
    head: Head,
    new_key: Secret,
    new_head: Head,
    *,
    progress: Progress = int,
) -> int:
    """Encrypt an envelope again under another data key and line, a segment at a time.

    As with :func:`unseal`, delete what was written if this function raises.

    Args:
        source: The envelope, at its body.
        target: The file to write the new envelope to.
        opened: What Lit decrypted.
        head: What :func:`read_head` returned.
        new_key: The new data key, whose container is in ``new_head``.
        new_head: The new first line.
        progress: Called after each segment.

    Returns:
        The number of plaintext bytes.

    Raises:
        CiphertextError: As :func:`unseal`.
    """
    pieces = _PieceReader(_unsealed(source, opened, head, SEGMENT_BYTES))
    return seal(pieces, target, new_key, new_head, progress=progress)


class _PieceReader:
    """Pieces of plaintext, to be read as a stream."""

    def __init__(self, pieces: Iterator[_Buffer]) -> None:
        self._pieces = pieces
        self._piece = _Buffer(0)
        self._at = 0

    def read(self, size: int, /) -> bytes:
        while self._at == len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._piece, self._at = piece, 0
        start, self._at = self._at, min(self._at + size, len(self._piece))
        return bytes(self._piece.view()[start : self._at])


def _unsealed(source: BinaryIO, opened: Secret, head: Head, segment_bytes: int) -> Iterator[_Buffer]:
    """Yield the plaintext of each segment, once it is verified; valid until the next is asked for."""
    key = _untagged(opened, head)
    preamble = _read(source, _PREAMBLE_BYTES)
    if len(preamble) < _PREAMBLE_BYTES or preamble[0] != _PREAMBLE_BYTES:
        raise CiphertextError("The body of the envelope is damaged from its first byte on.", hint=_HINT)
    salt, prefix = preamble[1 : 1 + _SALT_BYTES], preamble[1 + _SALT_BYTES :]
    cipher = _cipher(key, salt, head.line)
    done = 0
    plaintext = _Buffer(segment_bytes)
    for number, (piece, last) in enumerate(_pieces(source, segment_bytes - _PREAMBLE_BYTES, segment_bytes)):
        if not _decrypt_into(plaintext, cipher, _nonce(prefix, number, last=last), piece):
            raise CiphertextError(
                f"The envelope cannot be decrypted from byte {done} of the plaintext on.", hint=_HINT
            )
        done += len(plaintext)
        yield plaintext


_HINT = "It was altered, truncated or extended. Encrypt or copy the file again."


def _untagged(opened: Secret, head: Head) -> Secret:
    key = _data_key(opened, tagged=head.tagged)
    if key is None:
        raise CiphertextError("The envelope's container does not contain a data key.", hint=_HINT)
    return key


def _data_key(opened: Secret, *, tagged: bool) -> Secret | None:
    raw = opened.reveal()
    key = Secret(raw[len(KEY_TAG) :] if tagged else raw)
    return key if tagged == is_data_key(raw) and len(key) == KEY_BYTES else None


def _cipher(key: Secret, salt: bytes, bound: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - kept out of DAG parsing
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - the same
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 - the same

    return AESGCM(HKDF(SHA256(), length=KEY_BYTES, salt=salt, info=bound).derive(key.reveal()))


def _decrypt_into(plaintext: _Buffer, cipher: AESGCM, nonce: bytes, segment: _Buffer) -> bool:
    """Decrypt a segment; return whether it is genuine. If not, ``plaintext`` is left empty."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - kept out of DAG parsing

    plaintext.length = max(0, len(segment) - _TAG_BYTES)
    try:
        cipher.decrypt_into(nonce, segment.view(), None, plaintext.view())
    except InvalidTag:
        plaintext.length = 0
        return False
    return True


def _nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    # Four bytes suffice for 4 PiB; beyond that, to_bytes raises an OverflowError.
    return prefix + number.to_bytes(4, "big") + bytes([last])


class _Buffer:
    """Memory for one segment after another: new memory for each costs as much time as encrypting it.

    Like a ``Secret``, it does not show what it holds, which may be plaintext: reading and writing raises errors of
    the file system.

    Attributes:
        length: How many bytes it holds.
    """

    __slots__ = ("_memory", "length")

    def __init__(self, capacity: int) -> None:
        self._memory = memoryview(bytearray(capacity))
        self.length = 0

    def __len__(self) -> int:
        return self.length

    def view(self) -> memoryview:
        """Return the bytes without a copy."""
        return self._memory[: self.length]

    def fill(self, source: Readable, length: int) -> int:
        """Read until it holds ``length`` bytes, or fewer at the stream's end; return how many it holds."""
        more: int | None = 1
        while self.length < length and more:  # a single read may return fewer
            more = self._read(source, length)
            if more is None:  # from a file that does not block; it is not at its end
                raise BlockingIOError("The file has no data now. Give one that waits for data.")
            self.length += more
        return self.length

    def _read(self, source: Readable, length: int) -> int | None:
        start = self.length
        if type(source) is io.BufferedReader:  # a file; subclasses may have a read() of their own
            return source.readinto(self._memory[start:length])
        part = Secret(source.read(length - start))
        self._memory[start : start + len(part)] = part.reveal()
        return len(part)

    def take(self, other: _Buffer) -> None:
        """Hold what another one holds, and empty that."""
        self.length, other.length = other.length, 0
        self._memory[: self.length] = other._memory[: self.length]

    def write_to(self, target: BinaryIO) -> None:
        """Write the bytes. Other streams than files get a copy, because they may keep what they are given."""
        target.write(self.view() if type(target) is io.BufferedWriter else bytes(self.view()))


def _pieces(source: Readable, first: int, then: int) -> Iterator[tuple[_Buffer, bool]]:
    """Yield the stream in pieces of fixed length, the last possibly shorter, and whether each is the last.

    All have the same memory: each is valid until the next is asked for.
    """
    piece, ahead, full = _Buffer(max(first, then)), _Buffer(1), first
    while piece.fill(source, full) == full and ahead.fill(source, 1):
        yield piece, False
        piece.take(ahead)
        full = then
    yield piece, True


def _read(source: Readable, size: int) -> bytes:
    """Read ``size`` bytes that are no secret, or fewer at the stream's end."""
    buffer = _Buffer(size)
    buffer.fill(source, size)
    return bytes(buffer.view())


def _read_line(source: Readable, limit: int) -> bytes:
    """Read to the first line feed, ``limit`` bytes at most. ``readline`` of fsspec's files knows no limit."""
    line = io.BytesIO()
    while line.tell() < limit and (byte := source.read(1)):
        line.write(byte)
        if byte == b"\n":
            break
    return line.getvalue()
