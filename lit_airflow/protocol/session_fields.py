"""Checks of the fields of sessions, and the time at which a session ends.

Source: docs/protocol/session-signatures.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lit_airflow.clock import parse_iso
from lit_airflow.text import is_encodable

_SIGNATURE_KEYS = frozenset({"sig", "signedMessage"})
_PUBLIC_KEY = re.compile(r"[0-9a-fA-F]{64}")
_EXPIRATION_LINE = re.compile(r"^Expiration Time: (\S+)$", re.MULTILINE)


def is_key(value: object) -> bool:
    """Return whether the value is a public key: 64 hex digits."""
    return isinstance(value, str) and _PUBLIC_KEY.fullmatch(value) is not None


def is_signature(entry: object) -> bool:
    """Return whether the value has the form of an entry of session sigs."""
    return (
        isinstance(entry, Mapping)
        and entry.keys() >= _SIGNATURE_KEYS
        and all(isinstance(value, str) for value in entry.values())
    )


def is_encodable_json(contents: Mapping[str, Any]) -> bool:
    """Return whether no text in the contents contains an unpaired surrogate."""
    return is_encodable(json.dumps(dict(contents), ensure_ascii=False))


def earliest_end(expiration: str, capabilities: tuple[Mapping[str, Any], ...]) -> datetime:
    """Return when a session becomes unusable: at its own end or at that of the wallet's delegation.

    The earlier one counts. Nodes allow 60 s after the end of the session's own text, but none after that of the
    delegation.

    Args:
        expiration: The session's own end, RFC 3339 text.
        capabilities: The authSigs it carries; the last is the wallet's delegation.

    Raises:
        ValueError: One of the two is not a time.
    """
    ends = [parse_iso(expiration)]
    if capabilities:
        ends += [parse_iso(text) for text in _EXPIRATION_LINE.findall(capabilities[-1]["signedMessage"])[-1:]]
    return min(ends)
