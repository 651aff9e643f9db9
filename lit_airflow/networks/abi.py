"""Contract calls in words of 32 bytes: as much of Ethereum's ABI as finding the nodes takes.

``eth_abi`` and what it brings take longer to load than a decryption takes altogether (``docs/adr/0016``); the tests
compare with it. Known are ``uintN``, ``address`` and ``bytes32``, tuples of these, and arrays of either.

Source: the Solidity documentation's contract ABI specification.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

WORD = 32
_ADDRESS_BITS = 160
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def encode(kinds: Sequence[str], values: Sequence[Any]) -> bytes:
    """The arguments of a call.

    Args:
        kinds: Their ABI types.
        values: ``int``, ``0x`` hex for addresses, 32 ``bytes``; tuples and lists of these.

    Raises:
        ValueError: A value does not fit its type.
    """
    heads: list[bytes | None] = []
    tails: list[bytes] = []
    for kind, value in zip(kinds, values, strict=True):
        if kind.endswith("[]"):
            heads.append(None)
            each = [_written(kind[:-2], item) for item in value]
            tails.append(len(each).to_bytes(WORD, "big") + b"".join(each))
        else:
            heads.append(_written(kind, value))
    at = sum(WORD if head is None else len(head) for head in heads)
    written, following = b"", iter(tails)
    for head in heads:
        if head is None:
            written += at.to_bytes(WORD, "big")
            at += len(next(following))
        else:
            written += head
    return written + b"".join(tails)


def decode(kinds: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """The results of a call: ``int``, ``0x`` hex in lower case, ``bytes``; tuples of these for tuples and arrays.

    Raises:
        ValueError: The bytes end too early, or a word does not fit its type.
    """
    at, values = 0, []
    for kind in kinds:
        if kind.endswith("[]"):
            start = _number(data, at, 8 * WORD)
            count = _number(data, start, 8 * WORD)
            one = kind[:-2]
            size = WORD * len(_members(one))
            if count * size > len(data):
                raise ValueError("an array is longer than the data")
            start += WORD
            values.append(tuple(_read(one, data, start + i * size) for i in range(count)))
            at += WORD
        else:
            values.append(_read(kind, data, at))
            at += WORD * len(_members(kind))
    return tuple(values)


def _members(kind: str) -> list[str]:
    return kind.strip("()").split(",")


def _read(kind: str, data: bytes, at: int) -> Any:  # noqa: ANN401 - as the type says
    if kind.startswith("("):
        return tuple(_read(member, data, at + i * WORD) for i, member in enumerate(_members(kind)))
    if kind == "address":
        return f"0x{_number(data, at, _ADDRESS_BITS):040x}"
    if kind == "bytes32":
        return _word(data, at)
    return _number(data, at, int(kind.removeprefix("uint")))


def _written(kind: str, value: Any) -> bytes:  # noqa: ANN401 - as the type says
    if kind.startswith("("):
        return b"".join(_written(*each) for each in zip(_members(kind), value, strict=True))
    if kind == "bytes32":
        if len(value) != WORD:
            raise ValueError("bytes32 has 32 bytes")
        return bytes(value)
    if kind == "address":
        if not _ADDRESS.fullmatch(value):
            raise ValueError("an address is 0x and 40 hex digits")
        value = int(value, 16)
    elif value >> int(kind.removeprefix("uint")):
        raise ValueError(f"a number does not fit {kind}")
    return int(value).to_bytes(WORD, "big")


def _word(data: bytes, at: int) -> bytes:
    if at + WORD > len(data):
        raise ValueError("the data ends too early")
    return data[at : at + WORD]


def _number(data: bytes, at: int, bits: int) -> int:
    number = int.from_bytes(_word(data, at), "big")
    if number >> bits:
        raise ValueError(f"a word is longer than {bits} bits")
    return number
