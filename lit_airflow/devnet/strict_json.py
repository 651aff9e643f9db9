"""Parse JSON as strictly as serde_json, which the nodes of Datil and the server of Chipotle use."""

from __future__ import annotations

import json
from math import isfinite

_DEEPEST = 127
_LEAST_I64, _MOST_U64 = -(2**63), 2**64 - 1
_LONGEST_INTEGER = 20


def parse(text: str | bytes) -> object:
    """Parse one JSON value.

    Unlike Python's parser, it rejects ``NaN`` and ``Infinity``, numbers out of range, unpaired surrogates and more
    than 127 levels. Integers beyond 64 bits become floats.

    Raises:
        ValueError: Malformed JSON.
    """
    text = text.decode() if isinstance(text, bytes) else text
    try:
        value = json.loads(text, parse_constant=_refuse, parse_int=_integer, parse_float=_float)
    except RecursionError as error:
        raise ValueError("recursion limit exceeded") from error
    _check(value)
    return value


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int | float:
    if len(digits) <= _LONGEST_INTEGER and _LEAST_I64 <= int(digits) <= _MOST_U64:
        return int(digits)
    return _float(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise ValueError("number out of range")
    return number


def _check(value: object) -> None:
    """Check depth and surrogates without recursion."""
    level: list[object] = [value]
    for _ in range(_DEEPEST + 1):
        below: list[object] = []
        for each in level:
            if isinstance(each, str):
                each.encode()
            elif isinstance(each, dict):
                "".join(each).encode()
                below += each.values()
            elif isinstance(each, list):
                below += each
        if not below and not any(isinstance(each, (dict, list)) for each in level):
            return
        level = below
    raise ValueError("recursion limit exceeded")
