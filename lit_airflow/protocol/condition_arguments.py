"""Arguments and compared values of conditions: which texts nodes can read as which type.

A text that contains a substitution such as ``:userAddress`` is never judged: nodes replace it.

Source: docs/protocol/conditions.md#what-nodes-evaluate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lit_airflow.keys.address import is_address

SUBSTITUTIONS = (":userAddress", ":litParam", ":currentActionIpfsId")
"""What nodes replace in parameters and values; ``:litParam`` is followed by a name."""

UINT256_BOUND = 2**256
ADDRESS_BOUND = 2**160

_MAX_DIGITS = 78
_MAX_TYPE_CHARS = 200
_DECIMAL = re.compile(r"-?[0-9]{1,90}")
_HEX = re.compile(r"(0x)?(?:[0-9a-fA-F]{2})*")
_INTEGER_TYPE = re.compile(r"(u?)int([0-9]*)")
_BYTES_TYPE = re.compile(r"bytes([0-9]*)")
_BOOLS = ("true", "false")
_ORDERED = ("=", "!=", ">", ">=", "<", "<=")


@dataclass(frozen=True, slots=True)
class Comparison:
    """How nodes compare a result.

    Attributes:
        name: What is compared, for messages.
        wanted: How a value is written, for messages.
        comparators: Those that can hold; ``None`` for all.
        bound: One more than the greatest value of an ordered type; ``None`` for a type without an order.
        read: Returns a value's number, or ``None`` if nodes cannot read the text as this type.
    """

    name: str
    wanted: str
    comparators: Sequence[str] | None
    bound: int | None
    read: Callable[[str], int | None]


def is_substituted(text: str) -> bool:
    """Return whether nodes replace a part of the text."""
    return any(name in text for name in SUBSTITUTIONS)


def whole_number(text: str) -> int | None:
    """Read an unsigned integer of 256 bits in decimal; ``None`` for anything else."""
    digits = text.lstrip("0")
    if not text.isascii() or not text.isdecimal() or len(digits) > _MAX_DIGITS:
        return None
    number = int(digits or "0")
    return number if number < UINT256_BOUND else None


def _address_number(text: str) -> int | None:
    return int(text, 16) if is_address(text) else None


def _bool_number(text: str) -> int | None:
    return _BOOLS.index(text.lower()) if text.lower() in _BOOLS else None


ADDRESS = Comparison(
    "an address", "an address: 0x and 40 hex digits", _ORDERED, ADDRESS_BOUND, _address_number
)
NUMBER = Comparison(
    "a number", "a whole number in decimal, below 2^256", _ORDERED, UINT256_BOUND, whole_number
)
BOOL = Comparison("a truth value", '"true" or "false"', None, None, _bool_number)


def comparison_of(solidity_type: str) -> Comparison | None:
    """Return how nodes compare a result of a type; ``None`` where any text may be right."""
    if solidity_type == "address":
        return ADDRESS
    if solidity_type == "bool":
        return BOOL
    integer = _INTEGER_TYPE.fullmatch(solidity_type)
    return NUMBER if integer and integer[1] else None


def is_type(solidity_type: str) -> bool:
    """Return whether nodes can read the type of a function's parameter: a valid one, and no bare tuple."""
    from eth_abi.abi import is_encodable_type  # noqa: PLC0415 - needed only to encrypt

    # The time that parsing takes grows faster than the length.
    return len(solidity_type) <= _MAX_TYPE_CHARS and bool(is_encodable_type(solidity_type))


def is_argument(text: str, solidity_type: str) -> bool:
    """Return whether nodes can read an argument as its type; arrays and texts are not looked into."""
    if is_substituted(text):
        return True
    if solidity_type == "address":
        return is_address(text) or is_address(f"0x{text}")
    if solidity_type == "bool":
        return text in {*_BOOLS, "0", "1"}
    if integer := _INTEGER_TYPE.fullmatch(solidity_type):
        return _fits(text, signed=not integer[1], bits=int(integer[2] or 256))
    if fixed := _BYTES_TYPE.fullmatch(solidity_type):
        found = _HEX.fullmatch(text)
        width = 2 * int(fixed[1] or 0)
        return found is not None and (not width or len(text.removeprefix("0x")) == width)
    return True


def _fits(text: str, *, signed: bool, bits: int) -> bool:
    if not _DECIMAL.fullmatch(text):
        return _HEX.fullmatch(text) is not None and text.startswith("0x")
    least, beyond = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    return bool(least <= int(text) < beyond)
