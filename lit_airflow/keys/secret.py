"""A value that must not be seen: it does not print, format, pickle or compare in the open."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Bytes whose only exit is :meth:`reveal`.

    ``repr``, ``str``, ``format`` and tracebacks with local variables show ``Secret(…)``; pickling and copying
    through pickle raise ``TypeError``. Python cannot wipe memory reliably, so keep the object's life short.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = bytes(value)

    def reveal(self) -> bytes:
        """The bytes themselves. Never log, format or store what this returns."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]  # a dict of secrets would invite looking them up by value

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret does not pickle; seal it instead")
