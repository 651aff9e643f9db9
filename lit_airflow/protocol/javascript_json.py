"""JSON texts as ``JSON.stringify`` writes them.

Conditions are hashed as the SDK writes them, so numbers must be written as JavaScript writes them: ``8.0`` as
``8``, an integer beyond 2^53 as the double that JavaScript reads, and exponents in its own way.

Source: ECMA-262, sections Number::toString, OrdinaryOwnPropertyKeys and JSON.stringify.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal

_ENCODER = json.JSONEncoder(ensure_ascii=False)
_EXACT = 2**53
_LEAST_WITH_EXPONENT = 1e21
_LEAST_WITHOUT_EXPONENT = 1e-6
_ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_INDEX_BOUND = 2**32 - 1


def number(value: float) -> int | float:
    """Return a number as JavaScript holds it: an integer without a fraction, anything else as a double.

    Raises:
        OverflowError: An integer too large for a double.
        ValueError: NaN or an infinity, which JSON does not have.
    """
    if isinstance(value, int) and -_EXACT <= value <= _EXACT:
        return value
    double = float(value)
    if not math.isfinite(double):
        raise ValueError("JSON has no such number")
    if double.is_integer() and abs(double) < _LEAST_WITH_EXPONENT:
        return int(Decimal(repr(double)))  # the shortest digits of the double, filled with zeros
    return double


def compact(value: object) -> str:
    """Return a value as compact JSON; characters outside ASCII are not escaped.

    Keys keep their order, except that JavaScript puts array indices first, in ascending order.

    Raises:
        TypeError: JSON has no such value.
        OverflowError: As :func:`number`.
        ValueError: As :func:`number`.
        RecursionError: It is nested too deeply.
    """
    if isinstance(value, Mapping):
        members = (f"{compact(key)}:{compact(value[key])}" for key in sorted(value, key=_place))
        return f"{{{','.join(members)}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(compact, value))}]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _digits(number(value))
    return _ENCODER.encode(value)


def _place(key: object) -> int:
    if not isinstance(key, str):
        raise TypeError("the keys of JSON are texts")
    if not key[:1].isdigit():
        return _INDEX_BOUND
    is_index = _ARRAY_INDEX.fullmatch(key) and int(key) < _INDEX_BOUND
    return int(key) if is_index else _INDEX_BOUND


def _digits(value: float) -> str:
    text = repr(value)
    if isinstance(value, int) or abs(value) >= _LEAST_WITH_EXPONENT:
        return text
    if abs(value) >= _LEAST_WITHOUT_EXPONENT:
        return f"{Decimal(text):f}"
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}"  # without the zero that Python puts before a single digit
