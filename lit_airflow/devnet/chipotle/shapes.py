"""Validation of request bodies and queries, as strict as the server's types (serde)."""

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
        fits: Checks a value's type.
        default: Value of an omitted field; ``REQUIRED`` if it must be present.
    """

    fits: Fits
    default: object


REQUIRED = object()
Shape = Mapping[str, Field]


def is_text(value: object) -> bool:
    """Whether it is a string."""
    return isinstance(value, str)


def is_flag(value: object) -> bool:
    """Whether it is a boolean."""
    return isinstance(value, bool)


def is_u64(value: object) -> bool:
    """Whether it is an unsigned 64-bit integer."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < U64_LIMIT


def is_i64(value: object) -> bool:
    """Whether it is a signed 64-bit integer."""
    return isinstance(value, int) and not isinstance(value, bool) and -_I64_LIMIT <= value < _I64_LIMIT


def is_list_of(fits: Fits) -> Fits:
    """Return a check for lists of one type."""
    return lambda value: isinstance(value, list) and all(map(fits, value))


TEXT, FLAG = Field(is_text, REQUIRED), Field(is_flag, REQUIRED)
U64, I64 = Field(is_u64, REQUIRED), Field(is_i64, REQUIRED)
TEXTS, U64S = Field(is_list_of(is_text), REQUIRED), Field(is_list_of(is_u64), REQUIRED)
OPTIONAL_TEXT = Field(lambda value: value is None or is_text(value), None)
OPTIONAL_TEXTS: Field = Field(is_list_of(is_text), ())
OPTIONAL_ANYTHING = Field(lambda _value: True, None)
ANYTHING = Field(lambda _value: True, REQUIRED)


def fitted(value: object, shape: Shape) -> dict[str, object]:
    """Return the declared fields with defaults filled in. Other fields are dropped.

    Raises:
        ValueError: Not an object, or a field is missing or has the wrong type.
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
    """Return the numeric parameters of a query.

    Args:
        query: The parameters.
        names: Names -> whether they are required.

    Raises:
        ValueError: A parameter is missing or not an unsigned 64-bit decimal.
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
