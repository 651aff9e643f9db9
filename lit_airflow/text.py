"""Text from outside: whether it can be signed and sent, and how it is shown to people.

Python's strings, and JSON's, may contain an unpaired surrogate, for which UTF-8 has no form (RFC 3629, section 3).
"""

from __future__ import annotations

import json

MAX_SHOWN = 80
"""How many characters of a foreign text an error or a log line repeats."""


def is_encodable(text: str) -> bool:
    """Return whether a text has a UTF-8 form."""
    try:
        text.encode()
    except UnicodeEncodeError:  # its repr quotes all of the text
        return False
    return True


def quoted(text: object, limit: int = MAX_SHOWN) -> str:
    """Return a foreign text in double quotes, control characters escaped, cut after ``limit`` characters."""
    whole = text if isinstance(text, str) else str(text)
    shown = printable(json.dumps(whole[:limit], ensure_ascii=False))
    return shown if len(whole) <= limit else f"{shown} (and {len(whole) - limit:,} more characters)"


def printable(text: str) -> str:
    """Return a text with escapes for what is not printable: control characters, surrogates, direction marks."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
