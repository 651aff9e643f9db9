"""Parts of sentences about conditions: comparisons, amounts, arguments, calls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lit_airflow import text as texts_from_outside
from lit_airflow.keys.address import is_address
from lit_airflow.protocol.conditions import USER_ADDRESS

MAX_TEXT_CHARS = 200
"""Longer than any id that conditions contain: a public key has 132 characters."""
MAX_JSON_CHARS = 1000
RUNNING_ACTION = ":currentActionIpfsId"
"""The parameter that nodes replace with the CID of the Lit Action that asks."""
_PARAMETER = ":litParam:"
_MAX_ARGUMENTS = 20

_NUMBER = re.compile(r"[0-9]{1,78}")
_UINT256_MAX = 2**256 - 1

_AMOUNTS: Mapping[str, str] = {
    ">=": "at least",
    ">": "more than",
    "=": "exactly",
    "<=": "at most",
    "<": "less than",
    "!=": "any amount but",
}
_RELATIONS: Mapping[str, str] = {
    "=": "is",
    "!=": "is not",
    ">": "is greater than",
    ">=": "is at least",
    "<": "is less than",
    "<=": "is at most",
    "contains": "contains",
    "!contains": "does not contain",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a condition compares a result with.

    Attributes:
        comparator: A comparator that nodes know.
        value: What the result is compared with.
        key: Which part of the result is compared; empty for the whole result.
    """

    comparator: str
    value: str
    key: str = ""

    @classmethod
    def of(cls, test: Mapping[str, Any], *, keyed: bool) -> Comparison | None:
        """Read a ``returnValueTest``; return ``None`` if a text is missing or the comparator unknown."""
        found = texts(test, *(("comparator", "value", "key") if keyed else ("comparator", "value")))
        return cls(*found) if found is not None and found[0] in _RELATIONS else None

    def amount(self, unit: str, decimals: int = 0) -> str | None:
        """Return ``at least 0.5 ETH``, with all digits; ``None`` if the value is not an amount."""
        number = whole(self.value)
        if number is None or self.comparator not in _AMOUNTS:
            return None
        units, rest = divmod(number, 10**decimals)
        fraction = f".{rest:0{decimals}d}".rstrip("0") if rest else ""
        return f"{_AMOUNTS[self.comparator]} {units}{fraction} {unit}"

    def result(self, subject: str) -> str:
        """Return ``<subject> is at least 5``."""
        return f"{subject} {_RELATIONS[self.comparator]} {argument(self.value)}"

    def text(self, subject: str) -> str:
        """Return ``<subject> contains "5"``, for values that nodes compare as texts."""
        value = substituted(self.value) or quoted(self.value)
        return f"{subject} {_RELATIONS[self.comparator]} {value}"


def texts(source: Mapping[str, Any], *keys: str) -> tuple[str, ...] | None:
    """Return the values of these keys; ``None`` unless all of them are texts."""
    found = tuple(source.get(key) for key in keys)
    return tuple(map(str, found)) if all(isinstance(text, str) for text in found) else None


def whole(text: str) -> int | None:
    """Parse an unsigned 256-bit integer in decimal; return ``None`` for anything else."""
    number = int(text) if _NUMBER.fullmatch(text) else _UINT256_MAX + 1
    return number if number <= _UINT256_MAX else None


def owner(text: str) -> str | None:
    """Return ``the wallet``, or an address; ``None`` for anything else."""
    if text == USER_ADDRESS:
        return "the wallet"
    return text if is_address(text) else None


def substituted(text: str) -> str | None:
    """Return what a text stands for that nodes replace as a whole; ``None`` for any other text."""
    if text == USER_ADDRESS:
        return "the wallet's address"
    if text == RUNNING_ACTION:
        return "the running Lit Action"
    parameter = text.removeprefix(_PARAMETER)
    return f"the session's parameter {quoted(parameter)}" if parameter not in (text, "") else None


def argument(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return an address or number unchanged, what a substitution stands for, another text in quotes, else JSON."""
    if not isinstance(value, str):
        return as_json(value)
    stands_for = substituted(value)
    if stands_for is not None:
        return stands_for
    return value if is_address(value) or _NUMBER.fullmatch(value) else quoted(value)


def call(method: str, parameters: Sequence[Any]) -> str:
    """Return ``balanceOf(the wallet's address, 8)``."""
    shown = [argument(parameter) for parameter in parameters[:_MAX_ARGUMENTS]]
    more = len(parameters) - len(shown)
    return f"{word(method)}({', '.join([*shown, f'and {more} more'] if more > 0 else shown)})"


def word(text: str) -> str:
    """Return a plain name unchanged, and any other text quoted."""
    return texts_from_outside.word(text, MAX_TEXT_CHARS)


def quoted(text: str) -> str:
    """Return the text in double quotes, with escapes for what cannot be seen, cut."""
    return texts_from_outside.quoted(text, MAX_TEXT_CHARS)


def as_json(value: Any) -> str:  # noqa: ANN401 - any value
    """Return the value as JSON, or as close to it as possible, cut."""
    return texts_from_outside.as_json(value, MAX_JSON_CHARS)
