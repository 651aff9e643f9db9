"""What one server process remembers of the chain: answers about permissions, and derivation paths.

Source: lit-api-server ``accounts/blockchain_cache.rs``, April 2026; the listener that clears the memory of other
processes from June 2026.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

_T = TypeVar("_T")
LIFETIME_S = 3600.0


class Memory(Generic[_T]):
    """Answers, remembered per key until they are too old or the key is forgotten.

    Attributes:
        lifetime_s: How long an answer is kept.
    """

    def __init__(self) -> None:
        self.lifetime_s = LIFETIME_S
        self._answers: defaultdict[int, dict[Hashable, tuple[datetime, _T]]] = defaultdict(dict)
        self._to_forget: defaultdict[int, list[datetime]] = defaultdict(list)

    def recall(self, hashed: int, question: Hashable, now: datetime, ask: Callable[[], _T]) -> _T:
        """Return the remembered answer, or ask and remember. An exception of ``ask`` is not remembered."""
        found = self._answers[hashed].get(question)
        if found is not None and self._is_fresh(hashed, found[0], now):
            return found[1]
        answer = ask()
        self._answers[hashed][question] = now, answer
        return answer

    def forget(self, hashes: Iterable[int]) -> None:
        """Forget all about some keys."""
        for hashed in hashes:
            self._answers.pop(hashed, None)

    def forget_at(self, hashes: Iterable[int], at: datetime) -> None:
        """Forget, at a moment that lies ahead, what is known of some keys by then."""
        for hashed in hashes:
            self._to_forget[hashed].append(at)

    def _is_fresh(self, hashed: int, asked_at: datetime, now: datetime) -> bool:
        if now - asked_at > timedelta(seconds=self.lifetime_s):
            return False
        return not any(asked_at < at <= now for at in self._to_forget[hashed])
