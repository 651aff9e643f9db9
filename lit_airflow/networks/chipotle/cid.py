"""The IPFS CID (version 0) of an action's text, by which the service knows the action.

As ``ipfs add`` makes it by default: chunks of 256 KiB as UnixFS file leaves in dag-pb nodes, a balanced tree of
up to 174 links per node, and the root's SHA-256 multihash in base58.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

_CHUNK_BYTES = 262_144
_MAX_LINKS = 174
_SHA2_256 = b"\x12\x20"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class _Node:
    """A dag-pb node: multihash, bytes of content below it, bytes of all nodes of its subtree."""

    multihash: bytes
    content_bytes: int
    subtree_bytes: int


def cid_v0(text: str) -> str:
    """Return the CID of a text's UTF-8 bytes.

    Raises:
        ValueError: The text is empty.
    """
    content = text.encode()
    if not content:
        raise ValueError("an empty text has no CID here")
    nodes = [_leaf(content[start : start + _CHUNK_BYTES]) for start in range(0, len(content), _CHUNK_BYTES)]
    while len(nodes) > 1:
        nodes = [_parent(nodes[start : start + _MAX_LINKS]) for start in range(0, len(nodes), _MAX_LINKS)]
    return _base58(nodes[0].multihash)


def _leaf(chunk: bytes) -> _Node:
    size = _varint(len(chunk))
    return _node((), b"\x08\x02\x12" + size + chunk + b"\x18" + size, len(chunk))


def _parent(children: Sequence[_Node]) -> _Node:
    length = sum(child.content_bytes for child in children)
    sizes = b"".join(b"\x20" + _varint(child.content_bytes) for child in children)
    return _node(children, b"\x08\x02\x18" + _varint(length) + sizes, length)


def _node(children: Iterable[_Node], unixfs: bytes, content_bytes: int) -> _Node:
    links = [
        _field(0x12, _field(0x0A, child.multihash) + b"\x12\x00\x18" + _varint(child.subtree_bytes))
        for child in children
    ]
    encoded = b"".join(links) + _field(0x0A, unixfs)
    below = sum(child.subtree_bytes for child in children)
    return _Node(_SHA2_256 + sha256(encoded).digest(), content_bytes, len(encoded) + below)


def _field(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """LEB128, as protocol buffers write lengths."""
    groups = bytearray()
    while number > 0x7F:  # noqa: PLR2004 (seven bits to a group)
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def _base58(content: bytes) -> str:
    """Base58 of bytes that do not begin with zero, as a multihash never does."""
    number, digits = int.from_bytes(content), ""
    while number:
        number, digit = divmod(number, len(_BASE58))
        digits = _BASE58[digit] + digits
    return digits
