"""Strict readers for what comes over the wire: JSON shapes, hex, RFC 3339 times."""

from __future__ import annotations

import binascii
import json
import re
from datetime import UTC, datetime

Json = dict[str, object]
"""A JSON object as it was received."""

_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)")


def parse_json(raw: str | bytes) -> object:
    """Read JSON as the standard has it: no ``NaN``, no nesting without end.

    Raises:
        ValueError: Not JSON.
    """
    try:
        return json.loads(raw, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _unicode(text: str) -> bool:
    """Half a surrogate pair is no text: it has no UTF-8, so nothing can be signed or hashed over it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def misfit(value: object, shape: object, path: str = "") -> str:
    """Say where a JSON value departs from a shape.

    A shape is a type, ``[shape]`` for a list, ``{key: shape}`` for an object, a tuple for alternatives; a
    key that ends in ``?`` may be absent or null. Further keys of an object are allowed.

    Returns:
        One line naming the place, empty when the value fits.
    """
    if isinstance(shape, tuple):
        wrong = [misfit(value, each, path) for each in shape]
        return "" if "" in wrong else wrong[0]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{path or 'body'}: a list is expected"
        return next(filter(None, (misfit(v, shape[0], f"{path}[{i}]") for i, v in enumerate(value))), "")
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{path or 'body'}: an object is expected"
        return next(filter(None, (_misfit_key(value, key, want, path) for key, want in shape.items())), "")
    good = isinstance(value, shape) if isinstance(shape, type) else False
    if isinstance(value, str):
        good = good and _unicode(value)
    if shape is int and isinstance(value, bool):
        good = False
    return "" if good else f"{path or 'body'}: {getattr(shape, '__name__', shape)} is expected"


def _misfit_key(value: Json, key: str, want: object, path: str) -> str:
    name = key.removesuffix("?")
    if value.get(name) is None and name != key:
        return ""
    if name not in value:
        return f"{path}.{name}: missing"
    return misfit(value[name], want, f"{path}.{name}")


def unhex(text: str, size: int) -> bytes:
    """Read exactly ``size`` bytes of hex, either case, without prefix or blanks.

    Raises:
        ValueError: Anything else.
    """
    try:
        raw = binascii.unhexlify(text)
    except binascii.Error as error:
        raise ValueError("not hex") from error
    if len(raw) != size:
        raise ValueError(f"{size} bytes are expected, not {len(raw)}")
    return raw


def rfc3339(text: str) -> datetime:
    """Read a time with a zone; digits beyond microseconds are cut.

    Raises:
        ValueError: Not RFC 3339, or an impossible date.
    """
    found = _RFC_3339.fullmatch(text)
    if not found:
        raise ValueError("not an RFC 3339 time with a zone")
    day, clock, fraction, zone = found.groups()
    fraction = (fraction or "0")[:6].ljust(6, "0")
    zone = "+00:00" if zone in "Zz" else zone
    return datetime.fromisoformat(f"{day}T{clock}.{fraction}{zone}").astimezone(UTC)
