"""Values that must not be shown or stored in clear text."""

from __future__ import annotations

import hmac
from typing import NoReturn


class NotPicklable:
    """Base of classes whose objects contain secrets: pickling and copying them raises ``TypeError``."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"A {type(self).__name__} contains a secret and cannot be pickled.")

    def serialize(self) -> NoReturn:
        """Refuse. Airflow calls this method to write an object into XCom.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            f"A {type(self).__name__} contains a secret and cannot be pushed to XCom; push a ticket."
        )


class Secret(NotPicklable):
    """Bytes whose only exit is :meth:`reveal`.

    ``repr``, ``str``, ``format`` and tracebacks with local variables show ``Secret(…)``. Comparison takes constant
    time. Python cannot erase memory reliably, so keep the object's life short.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = bytes(value)

    def reveal(self) -> bytes:
        """Return the bytes. Never log, format or store the result."""
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

    __hash__ = None  # type: ignore[assignment]  # a lookup by hash would not take constant time
