"""Cache of a server process for answers from the chain: permissions and derivation paths.

Source: lit-api-server ``accounts/blockchain_cache.rs``, April 2026; event listener that clears the caches of
other processes from June 2026.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

_T = TypeVar("_T")
LIFETIME_S = 3600.0


class AnswerCache(Generic[_T]):
    """Answers per API key, kept until they expire or the key is cleared.

    Attributes:
        lifetime_s: Lifetime of an answer.
    """

    def __init__(self) -> None:
        self.lifetime_s = LIFETIME_S
        self._answers: defaultdict[int, dict[Hashable, tuple[datetime, _T]]] = defaultdict(dict)
        self._to_clear: defaultdict[int, list[datetime]] = defaultdict(list)

    def recall(self, hashed: int, question: Hashable, now: datetime, ask: Callable[[], _T]) -> _T:
        """Return the cached answer, or ask and cache it. Exceptions are not cached."""
        found = self._answers[hashed].get(question)
        if found is not None and self._is_fresh(hashed, found[0], now):
            return found[1]
        answer = ask()
        self._answers[hashed][question] = now, answer
        return answer

    def clear(self, hashes: Iterable[int]) -> None:
        """Clear the answers of some keys."""
        for hashed in hashes:
            self._answers.pop(hashed, None)

    def clear_at(self, hashes: Iterable[int], at: datetime) -> None:
        """Clear the answers of some keys at a future time."""
        for hashed in hashes:
            self._to_clear[hashed].append(at)

    def _is_fresh(self, hashed: int, asked_at: datetime, now: datetime) -> bool:
        if now - asked_at > timedelta(seconds=self.lifetime_s):
            return False
        return not any(asked_at < at <= now for at in self._to_clear[hashed])
