"""Shapes of request bodies and queries, as strict as the server's own types (serde)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lit_airflow.devnet.chipotle.identifiers import U64_LIMIT

_I64_LIMIT = 2**63
Fits = Callable[[object], bool]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a body.

    Attributes:
        fits: Whether a value is of its type.
        default: What stands for a field that is left out; ``REQUIRED`` if it must not be.
    """

    fits: Fits
    default: object


REQUIRED = object()
Shape = Mapping[str, Field]


def is_text(value: object) -> bool:
    """A string."""
    return isinstance(value, str)


def is_flag(value: object) -> bool:
    """``true`` or ``false``."""
    return isinstance(value, bool)


def is_u64(value: object) -> bool:
    """An integer of 64 bits without sign."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < U64_LIMIT


def is_i64(value: object) -> bool:
    """An integer of 64 bits with sign."""
    return isinstance(value, int) and not isinstance(value, bool) and -_I64_LIMIT <= value < _I64_LIMIT


def is_list_of(fits: Fits) -> Fits:
    """A list, all of one type."""
    return lambda value: isinstance(value, list) and all(map(fits, value))


TEXT, FLAG = Field(is_text, REQUIRED), Field(is_flag, REQUIRED)
U64, I64 = Field(is_u64, REQUIRED), Field(is_i64, REQUIRED)
TEXTS, U64S = Field(is_list_of(is_text), REQUIRED), Field(is_list_of(is_u64), REQUIRED)
OPTIONAL_TEXT = Field(lambda value: value is None or is_text(value), None)
OPTIONAL_TEXTS: Field = Field(is_list_of(is_text), ())
OPTIONAL_ANYTHING = Field(lambda _value: True, None)
ANYTHING = Field(lambda _value: True, REQUIRED)


def fitted(value: object, shape: Shape) -> dict[str, object]:
    """Return the fields of a shape, defaults filled in; further fields are left out.

    Raises:
        ValueError: Not an object, or a field that is missing or of another type; the text names it.
    """
    if not isinstance(value, dict):
        raise ValueError("invalid type: an object is expected")  # noqa: TRY004 - one error for all misfits
    found: dict[str, object] = {}
    for name, field in shape.items():
        if name in value:
            if not field.fits(value[name]):
                raise ValueError(f"invalid type or value for `{name}`")
            found[name] = value[name]
        elif field.default is REQUIRED:
            raise ValueError(f"missing field `{name}`")
        else:
            found[name] = field.default
    return found


def fitted_query(query: Mapping[str, str], names: Mapping[str, bool]) -> dict[str, int]:
    """Return the numbers that a query must have.

    Args:
        query: Parameter -> text.
        names: Parameter -> whether it is required.

    Raises:
        ValueError: One is missing or no decimal number of 64 bits.
    """
    found = {}
    for name, required in names.items():
        if name not in query:
            if required:
                raise ValueError(f"missing parameter `{name}`")
            continue
        text = query[name]
        digits = text.removeprefix("+")
        if not (digits.isascii() and digits.isdigit() and int(digits) < U64_LIMIT):
            raise ValueError(f"invalid parameter `{name}`")
        found[name] = int(digits)
    return found
