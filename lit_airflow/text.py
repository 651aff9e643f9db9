"""Text from outside: check that it can be encoded, and show it safely in errors, logs and reports.

A condition, a ticket or a server's answer may contain any text. In a message it is always quoted, its control
characters are escaped, and it is cut, so that it can neither pose as part of the message, nor move a terminal's
cursor, nor fill a log.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable

MAX_SHOWN_CHARS = 80
MAX_SHOWN_ITEMS = 10
MAX_SHOWN_PATH_CHARS = 1024
"""The longest key in S3."""

_UNSEEN = re.compile(r"[\s\ufeff\u200b]+")
_URL_SAFE = str.maketrans("-_", "+/")
_BARE_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*")


def is_encodable(text: str) -> bool:
    """Return whether UTF-8 can encode the text: whether it contains no unpaired surrogate (RFC 3629, section 3)."""
    try:
        text.encode()
    except UnicodeEncodeError:  # its repr contains the whole text
        return False
    return True


def unbase64(text: str) -> bytes:
    """Decode base64 as mails, YAML, shells and URLs leave it: with line breaks, URL-safe, without padding.

    The SDK reads the same forms (``Buffer.from(text, "base64")``).

    Raises:
        ValueError: It contains anything else, or ends in the middle of a byte.
    """
    digits = _UNSEEN.sub("", text).rstrip("=").translate(_URL_SAFE)
    return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)


def printable(text: str) -> str:
    """Escape everything that is not printable: control characters, surrogates, direction marks.

    The result is as long as the text requires; see :func:`cut`.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def cut(text: str, max_chars: int = MAX_SHOWN_CHARS) -> str:
    """Return the text, or its first ``max_chars`` characters and how many more there are."""
    more = len(text) - max_chars
    return text if more <= 0 else f"{text[:max_chars]}... ({more} more characters)"


def path_shown(path: str) -> str:
    """Return a path as a message may contain it: unchanged, unless it is very long or has control characters."""
    return printable(cut(path, MAX_SHOWN_PATH_CHARS))


def quoted(text: str, max_chars: int = MAX_SHOWN_CHARS) -> str:
    """Return the text in double quotes, with JSON's escapes, cut after ``max_chars`` of its characters."""
    shown = printable(json.dumps(text[:max_chars], ensure_ascii=False))
    more = len(text) - max_chars
    return shown if more <= 0 else f"{shown} ({more} more characters)"


def word(text: str, max_chars: int = MAX_SHOWN_CHARS) -> str:
    """Return a plain name unchanged, and any other text quoted."""
    bare = len(text) <= max_chars and _BARE_WORD.fullmatch(text)
    return text if bare else quoted(text, max_chars)


def as_json(value: object, max_chars: int = MAX_SHOWN_CHARS) -> str:
    """Return any value as JSON, or as close to it as possible, escaped and cut after ``max_chars`` characters."""
    if isinstance(value, str):
        return quoted(value, max_chars)
    try:
        text = json.dumps(value, default=repr)
    except RecursionError:
        return "(nested too deeply to be shown)"
    except (
        TypeError,
        ValueError,
    ):  # keys that are not texts, a value that contains itself, thousands of digits
        text = f"({type(value).__name__} that JSON cannot represent)"
    return printable(cut(text, max_chars))


def listed(texts: Iterable[str], max_items: int = MAX_SHOWN_ITEMS) -> str:
    """Return the texts as words, separated by commas; after ``max_items`` of them, only how many more there are."""
    found = list(texts)
    shown = ", ".join(word(text) for text in found[:max_items])
    more = len(found) - max_items
    return shown if more <= 0 else f"{shown} and {more} more"
