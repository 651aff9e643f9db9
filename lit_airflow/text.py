"""Text that can be signed and sent.

Python's strings, and JSON's, may hold half of a surrogate pair. UTF-8 has no form for it (RFC 3629, section 3).
"""

from __future__ import annotations


def is_encodable(text: str) -> bool:
    """Whether no character is half of one."""
    try:
        text.encode()
    except UnicodeEncodeError:  # its repr quotes all of the text, so nobody else gets to see it
        return False
    return True
