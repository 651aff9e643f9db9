"""CIDs of Lit Actions: CIDv0, as ``ipfs add`` computes it with default settings.

Source: UnixFS and dag-pb, balanced layout, chunks of 256 KiB, 174 links to a node.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

CHUNK_BYTES = 262_144
_LINKS = 174
_MULTIHASH_SHA2_256 = b"\x12\x20"
_UNIXFS_FILE = b"\x08\x02"
_SEVEN_BITS = 0x7F
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class _Node:
    """A DAG node: its multihash, the file bytes below it, the encoded size of its subtree."""

    multihash: bytes
    file_bytes: int
    tree_bytes: int


def action_cid(source: str) -> str:
    """Return the CID of a source text: ``Qm`` and 44 more characters."""
    data = source.encode()
    nodes = [_leaf(data[at : at + CHUNK_BYTES]) for at in range(0, len(data) or 1, CHUNK_BYTES)]
    while len(nodes) > 1:
        nodes = [_parent(nodes[at : at + _LINKS]) for at in range(0, len(nodes), _LINKS)]
    return _base58(nodes[0].multihash)


def _leaf(chunk: bytes) -> _Node:
    content = _field(0x12, chunk) if chunk else b""
    encoded = _field(0x0A, _UNIXFS_FILE + content + b"\x18" + _varint(len(chunk)))
    return _node(encoded, len(chunk), 0)


def _parent(children: list[_Node]) -> _Node:
    links = b"".join(
        _field(0x12, _field(0x0A, child.multihash) + b"\x12\x00\x18" + _varint(child.tree_bytes))
        for child in children
    )
    file_bytes = sum(child.file_bytes for child in children)
    sizes = b"".join(b"\x20" + _varint(child.file_bytes) for child in children)
    encoded = links + _field(0x0A, _UNIXFS_FILE + b"\x18" + _varint(file_bytes) + sizes)
    return _node(encoded, file_bytes, sum(child.tree_bytes for child in children))


def _node(encoded: bytes, file_bytes: int, below: int) -> _Node:
    return _Node(_MULTIHASH_SHA2_256 + sha256(encoded).digest(), file_bytes, len(encoded) + below)


def _field(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > _SEVEN_BITS:
        encoded.append(number & _SEVEN_BITS | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _base58(raw: bytes) -> str:
    """Encode a multihash. It never starts with a zero byte, so leading zeros need no handling."""
    number, digits = int.from_bytes(raw), ""
    while number:
        number, digit = divmod(number, len(_BASE58))
        digits = _BASE58[digit] + digits
    return digits
