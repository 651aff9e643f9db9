"""JSON from outside, parsed within bounds."""

from __future__ import annotations

import json
from typing import NoReturn


def parse_json(raw: str | bytes) -> object:
    """Parse one JSON document (RFC 8259).

    Raises:
        ValueError: It is not JSON, nested too deeply, or contains ``NaN``, ``Infinity`` or a number of thousands of
            digits. The message does not quote the document.
    """
    try:
        return json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ValueError("not valid JSON") from None  # the original holds all of the document


def parse_object(raw: str | bytes) -> dict[str, object]:
    """Parse one JSON object.

    Raises:
        ValueError: As :func:`parse_json`, or it is not an object.
    """
    found = parse_json(raw)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - bad input, not a bad call
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
