"""When a time lock opens: the earliest moment at which conditions can hold.

Source: spec of the protocol, section 9: a condition of the contract type ``timestamp`` compares the time of the
latest block; operators work strictly from left to right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lit_airflow.protocol.conditions import Conditions

_AFTER = {">=": 0, "=": 0, ">": 1}
_ALWAYS = 0


def opens_at(conditions: Conditions) -> datetime | None:
    """The moment before which the conditions cannot hold; ``None`` if they say nothing of time, or a loophole does.

    Whether they hold from then on, only the nodes can tell.
    """
    seconds = _earliest(conditions.items)
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds > _ALWAYS else None
    except (ValueError, OverflowError, OSError):
        return None  # later than the calendar goes


def _earliest(items: Sequence[Any]) -> int:
    """Unix time, seconds; 0 for any time."""
    earliest = _ALWAYS
    either = False
    for item in items:
        if isinstance(item, Mapping) and "operator" in item:
            either = item["operator"] == "or"
            continue
        alone = _of(item) if isinstance(item, Mapping) else _earliest(item)
        earliest = min(earliest, alone) if either else max(earliest, alone)
    return earliest


def _of(condition: Mapping[str, Any]) -> int:
    test = condition["returnValueTest"]
    later = _AFTER.get(test.get("comparator"))
    if condition.get("standardContractType") != "timestamp" or later is None:
        return _ALWAYS
    value = test.get("value")
    return int(value) + later if isinstance(value, str) and value.isascii() and value.isdigit() else _ALWAYS
