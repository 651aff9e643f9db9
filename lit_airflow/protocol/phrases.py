"""Foreign texts inside sentences for people: in quotes, and without characters that a screen would act on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WALLET = ":userAddress"

_BARE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_NUMBER = re.compile(r"[0-9]{1,78}")
_LARGEST = 2**256 - 1

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
        comparator: One that nodes know.
        value: What the result is compared with.
        key: Which part of the result; empty for all of it.
    """

    comparator: str
    value: str
    key: str = ""

    @classmethod
    def of(cls, test: Mapping[str, Any], *, keyed: bool) -> Comparison | None:
        """Read a ``returnValueTest``; ``None`` if a text is missing or the comparator unknown."""
        found = texts(test, *(("comparator", "value", "key") if keyed else ("comparator", "value")))
        return cls(*found) if found is not None and found[0] in _RELATIONS else None

    def amount(self, unit: str, decimals: int = 0) -> str | None:
        """``at least 0.5 ETH``, exact to the last digit; ``None`` if the value is no amount."""
        number = whole(self.value)
        if number is None or self.comparator not in _AMOUNTS:
            return None
        units, rest = divmod(number, 10**decimals)
        fraction = f".{rest:0{decimals}d}".rstrip("0") if rest else ""
        return f"{_AMOUNTS[self.comparator]} {units}{fraction} {unit}"

    def result(self, subject: str) -> str:
        """``<subject> is at least 5``."""
        return f"{subject} {_RELATIONS[self.comparator]} {argument(self.value)}"

    def text(self, subject: str) -> str:
        """``<subject> contains "5"``: the same where the two are compared as texts."""
        value = argument(self.value) if self.value == WALLET else quoted(self.value)
        return f"{subject} {_RELATIONS[self.comparator]} {value}"


def texts(source: Mapping[str, Any], *keys: str) -> tuple[str, ...] | None:
    """The values of these keys, if all of them are texts."""
    found = tuple(source.get(key) for key in keys)
    return tuple(map(str, found)) if all(isinstance(text, str) for text in found) else None


def whole(text: str) -> int | None:
    """An unsigned 256-bit number in decimal, as nodes read it."""
    number = int(text) if _NUMBER.fullmatch(text) else _LARGEST + 1
    return number if number <= _LARGEST else None


def owner(text: str) -> str | None:
    """``the wallet``, or an address; ``None`` for anything else."""
    if text == WALLET:
        return "the wallet"
    return text if _ADDRESS.fullmatch(text) else None


def argument(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """An address or number as it is, another text in quotes, anything else as JSON."""
    if not isinstance(value, str):
        return as_json(value)
    if value == WALLET:
        return "the wallet's address"
    return value if _ADDRESS.fullmatch(value) or _NUMBER.fullmatch(value) else quoted(value)


def call(method: str, parameters: Sequence[Any]) -> str:
    """``balanceOf(the wallet's address, 8)``."""
    return f"{word(method)}({', '.join(map(argument, parameters))})"


def word(text: str) -> str:
    """A name as it is, anything that could be mistaken for more than one in quotes."""
    return text if _BARE.fullmatch(text) else quoted(text)


def quoted(text: str) -> str:
    """The text in double quotes; JSON's escapes for what cannot be seen."""
    return printable(json.dumps(text, ensure_ascii=False))


def as_json(value: Any) -> str:  # noqa: ANN401 - any value at all
    """The value as JSON, or as close to it as it gets."""
    try:
        return printable(json.dumps(value, default=repr))
    except RecursionError:
        return "(nested too deeply to be shown)"
    except (TypeError, ValueError):  # keys that are no text, or a value that holds itself
        return printable(repr(value))


def printable(text: str) -> str:
    """The text with escapes for what is not printable: control characters, half characters, direction marks."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
