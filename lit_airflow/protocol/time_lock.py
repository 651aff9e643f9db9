"""When a time lock opens: the earliest time at which conditions can be met.

Source: docs/protocol/conditions.md: a condition of the contract type ``timestamp`` compares the time of the
latest block; operators are applied strictly from left to right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.humanize import humanize
from lit_airflow.text import cut

_OFFSET_S = {">=": 0, "=": 0, ">": 1}
_MAX_CONDITIONS_CHARS = 300
_ANY_TIME = 0
_NEVER = 2**256
_MAX_DIGITS = 78  # of an unsigned 256-bit integer


def opens_at(conditions: Conditions) -> datetime | None:
    """Return the time before which the conditions cannot be met.

    Whether they are met from then on, only the nodes can decide.

    Returns:
        An aware UTC time. ``None`` if the conditions do not depend on the time, if one of their alternatives
            does not, or if the time lies beyond the year 9999.
    """
    seconds = _earliest(conditions.items)
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds > _ANY_TIME else None
    except (ValueError, OverflowError, OSError):  # beyond the year 9999
        return None


def not_met_hint(conditions: Conditions, now: datetime) -> str:
    """Return what to look at after the network has found conditions not met.

    Args:
        conditions: The conditions.
        now: The time, aware.
    """
    opens = opens_at(conditions)
    if opens is not None and opens > now:
        return f"They are time-locked until {opens:%Y-%m-%d %H:%M:%S} UTC."
    said = cut(humanize(conditions), _MAX_CONDITIONS_CHARS)
    return f"Check that the session's wallet meets them: {said}"


def _earliest(items: Sequence[Any]) -> int:
    """Return the earliest Unix time in seconds; 0 for any time."""
    earliest = _ANY_TIME
    either = False
    for item in items:
        if isinstance(item, Mapping) and "operator" in item:
            either = item["operator"] == "or"
            continue
        alone = _of_condition(item) if isinstance(item, Mapping) else _earliest(item)
        earliest = min(earliest, alone) if either else max(earliest, alone)
    return earliest


def _of_condition(condition: Mapping[str, Any]) -> int:
    test = condition["returnValueTest"]
    comparator, value = test.get("comparator"), test.get("value")
    if condition.get("standardContractType") != "timestamp" or not isinstance(comparator, str):
        return _ANY_TIME
    offset_s = _OFFSET_S.get(comparator)
    if offset_s is None or not isinstance(value, str) or not (value.isascii() and value.isdigit()):
        return _ANY_TIME
    digits = value.lstrip("0") or "0"
    return _NEVER if len(digits) > _MAX_DIGITS else int(digits) + offset_s
