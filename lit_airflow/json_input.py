"""Parse JSON from outside, within bounds.

``json.loads`` accepts what JSON does not have (``NaN``, ``Infinity``) and what later code cannot process:
thousands of digits, an exponent that overflows to infinity, nesting as deep as the interpreter's stack. Its
error contains the whole document. Here a document that is too long, too deep or not JSON gives a
:class:`JsonInputError`, which contains nothing of it. Duplicate keys are accepted; the last one wins, as in
JavaScript.

Source: RFC 8259, sections 4, 6 and 9.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn, Protocol

MAX_LENGTH = 16 * 1024 * 1024
MAX_DEPTH = 64
MAX_NUMBER_CHARS = 80
"""An integer of 256 bits has up to 78 digits; a double is written with fewer than 30 characters."""


class Wrapped(Protocol):
    """Bytes in a wrapper that does not print, such as ``lit_airflow.keys.secret.Secret``."""

    def reveal(self) -> bytes:
        """Return the bytes."""
        ...


class JsonProblem(StrEnum):
    """Why a document was refused. The value completes "The document …"."""

    TOO_LONG = "is too long"
    TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep"
    NUMBER = f"contains a number that is not finite or has more than {MAX_NUMBER_CHARS} characters"
    SYNTAX = "is not valid JSON"
    TYPE = "is not a JSON object"


class JsonInputError(ValueError):
    """A document is not JSON, or exceeds a bound. Contains nothing of the document.

    Attributes:
        problem: Why it was refused.
    """

    def __init__(self, problem: JsonProblem) -> None:
        super().__init__(f"The document {problem}.")
        self.problem = problem

    def __reduce__(self) -> tuple[type[JsonInputError], tuple[JsonProblem]]:
        return type(self), (self.problem,)


def parse(source: str | bytes | bytearray | Wrapped, *, max_length: int = MAX_LENGTH) -> Any:  # noqa: ANN401 - JSON
    """Parse a document.

    Args:
        source: The document; wrapped if it contains secrets, which keeps it out of the error's frames.
        max_length: How long it may be: characters of a ``str``, else bytes.

    Returns: ``None``, bools, ints, finite floats, strs, lists and dicts, nested at most :data:`MAX_DEPTH`
        levels deep.

    Raises:
        JsonInputError: It is longer, deeper, contains a number out of bounds, or is not JSON.
    """
    found = _parsed(source, max_length)
    # Raised outside of any except block: a JSONDecodeError as context would contain the document.
    if isinstance(found, JsonProblem):
        raise JsonInputError(found)
    return found.value


def parse_object(
    source: str | bytes | bytearray | Wrapped, *, max_length: int = MAX_LENGTH
) -> dict[str, Any]:
    """Parse a document that is an object.

    Args:
        source: See :func:`parse`.
        max_length: See :func:`parse`.

    Raises:
        JsonInputError: As :func:`parse`, or it is not an object.
    """
    found = _parsed(source, max_length)
    if isinstance(found, JsonProblem):
        raise JsonInputError(found)
    if not isinstance(found.value, dict):
        del found
        raise JsonInputError(JsonProblem.TYPE)
    return found.value


def try_parse(source: str | bytes | bytearray | Wrapped, *, max_length: int = MAX_LENGTH) -> Any:  # noqa: ANN401 - JSON
    """Parse a document; return ``None`` where :func:`parse` raises.

    Args:
        source: See :func:`parse`.
        max_length: See :func:`parse`.
    """
    found = _parsed(source, max_length)
    return None if isinstance(found, JsonProblem) else found.value


@dataclass(frozen=True, slots=True, repr=False)
class _Parsed:
    value: Any


class _NumberError(ValueError):
    """A number out of bounds, found while parsing."""


def _parsed(source: str | bytes | bytearray | Wrapped, max_length: int) -> _Parsed | JsonProblem:
    """Parse, and return what is wrong instead of raising it."""
    text = source if isinstance(source, str | bytes | bytearray) else source.reveal()
    if len(text) > max_length:
        return JsonProblem.TOO_LONG
    try:
        value = json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=_refuse)
    except _NumberError:
        return JsonProblem.NUMBER
    except RecursionError:
        return JsonProblem.TOO_DEEP
    except ValueError:
        return JsonProblem.SYNTAX
    return JsonProblem.TOO_DEEP if _is_deep(value) else _Parsed(value)


def _integer(digits: str) -> int:
    if len(digits) > MAX_NUMBER_CHARS:
        raise _NumberError
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits) if len(digits) <= MAX_NUMBER_CHARS else math.inf
    if not math.isfinite(number):
        raise _NumberError
    return number


def _refuse(_constant: str) -> NoReturn:
    raise _NumberError


def _is_deep(value: object) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return bool(level)
