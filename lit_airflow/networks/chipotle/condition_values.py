"""Parameters and expected values of conditions: which texts the gate can read as which type.

Source: docs/protocol/gate.md#what-gate-1-evaluates.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from lit_airflow.errors import ConditionError
from lit_airflow.keys.address import parse_address
from lit_airflow.protocol.conditions import USER_ADDRESS
from lit_airflow.text import quoted

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,77}")
_INTEGER_TYPE = re.compile(r"(u?)int([1-9][0-9]{0,2})")
_BYTES_TYPE = re.compile(r"bytes([1-9][0-9]?)?")
_HEX_BYTES = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_LOWER_HEX = re.compile(r"0x[0-9a-f]*")
_MOST_INTEGER_BITS = 256
_MOST_FIXED_BYTES = 32


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the gate compares what it looked up with the expected value.

    Attributes:
        name: What is compared, for messages.
        comparators: Those that exist for it.
        check_value: Takes an expected value and its path; raises ``ConditionError`` if it cannot be compared.
    """

    name: str
    comparators: tuple[str, ...]
    check_value: Callable[[str, str], None]


def check_address(text: str, at: str) -> None:
    """Check an address or ``:userAddress``.

    A mixed-case address must have the right checksum (EIP-55): a mistyped one would lock data for ever.

    Raises:
        ConditionError: Neither of them.
    """
    if text == USER_ADDRESS:
        return
    check_contract(text, at, f"{USER_ADDRESS} or an address")


def check_contract(text: str, at: str, wanted: str = "an address") -> None:
    """Check the address of a contract.

    Raises:
        ConditionError: Not ``0x`` and 40 hex digits, or mixed-case with a wrong checksum.
    """
    if not _ADDRESS.fullmatch(text):
        raise ConditionError(f"{at} must be {wanted}: 0x and 40 hex digits.", field=at)
    digits = text[2:]
    mixed = digits not in (digits.lower(), digits.upper())
    if mixed and text != parse_address(text):
        raise ConditionError(
            f"{at}: the address {text} has a wrong checksum.",
            field=at,
            hint="Check for a typing error, or write it in lower case.",
        )


def check_number(text: str, at: str) -> None:
    """Check a decimal number of at most 78 digits.

    Raises:
        ConditionError: A leading zero, a fraction, hex, ``-0``, or no number.
    """
    if not _NUMBER.fullmatch(text):
        raise ConditionError(
            f"{at} must be a whole decimal number of at most 78 digits, got {quoted(text)}.", field=at
        )


def check_parameter(solidity_type: str, text: str, at: str) -> None:
    """Check a function's argument against its type.

    Args:
        solidity_type: One that :func:`comparison_of` takes.
        text: The argument as the condition has it.
        at: Its path, for messages.

    Raises:
        ConditionError: The text is not a value of the type.
    """
    if solidity_type == "address":
        check_address(text, at)
    elif integer := _INTEGER_TYPE.fullmatch(solidity_type):
        _check_integer(text, at, solidity_type, signed=not integer[1], bits=int(integer[2]))
    elif solidity_type == "bool":
        _check_bool(text, at)
    elif solidity_type == "string":
        _check_string(text, at)
    else:
        _check_bytes(text, at, solidity_type)


def comparison_of(solidity_type: str, at: str) -> Comparison:
    """Return how an output of a type is compared.

    Raises:
        ConditionError: A type that the gate does not know: arrays, tuples, ``uint`` without its width.
    """
    if solidity_type == "address":
        return ADDRESS
    if solidity_type == "string":
        return TEXT
    if solidity_type == "bool":
        return _BOOL
    integer = _INTEGER_TYPE.fullmatch(solidity_type)
    if integer and int(integer[2]) % 8 == 0 and int(integer[2]) <= _MOST_INTEGER_BITS:
        return NUMBER
    fixed = _BYTES_TYPE.fullmatch(solidity_type)
    if fixed and int(fixed[1] or 0) <= _MOST_FIXED_BYTES:
        return _BYTES
    raise ConditionError(
        f"{at}: the gate does not know the type {quoted(solidity_type)}.",
        field=at,
        hint="It knows address, bool, string, bytes, bytes1 to bytes32, uint8 to uint256 and int8 to int256.",
    )


def _check_integer(text: str, at: str, solidity_type: str, *, signed: bool, bits: int) -> None:
    check_number(text, at)
    least, beyond = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    if not least <= int(text) < beyond:
        raise ConditionError(f"{at}: {text} does not fit {solidity_type}.", field=at)


def _check_bool(text: str, at: str) -> None:
    if text not in ("true", "false"):
        raise ConditionError(f"{at} must be 'true' or 'false', got {quoted(text)}.", field=at)


def _check_string(text: str, at: str) -> None:
    if text.startswith(":"):
        raise ConditionError(
            f"{at}: {quoted(text)} begins like a substitution, and the gate makes none here.", field=at
        )


def _check_bytes(text: str, at: str, solidity_type: str) -> None:
    width = int(solidity_type.removeprefix("bytes") or 0)
    if not _HEX_BYTES.fullmatch(text) or (width and len(text) != 2 + 2 * width):
        size = f" of {width} bytes" if width else ""
        raise ConditionError(f"{at} must be 0x and hex{size}.", field=at)


def _check_expected_bytes(text: str, at: str) -> None:
    if not _LOWER_HEX.fullmatch(text):
        raise ConditionError(f"{at} must be 0x and lower-case hex.", field=at)


_ORDERED = ("=", "!=", ">", ">=", "<", "<=")
_EQUAL = ("=", "!=")
ADDRESS = Comparison("an address", _ORDERED, check_address)
NUMBER = Comparison("a number", _ORDERED, check_number)
TEXT = Comparison("a text", (*_EQUAL, "contains", "!contains"), _check_string)
_BOOL = Comparison("a truth value", _EQUAL, _check_bool)
_BYTES = Comparison("bytes", _EQUAL, _check_expected_bytes)
