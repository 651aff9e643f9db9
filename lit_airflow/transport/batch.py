"""Decrypting by the thousand: a bounded number at a time, each with its own outcome, in order.

Nothing is faster about a single item. While one waits for the nodes, another is combined and a third is sent; the
curve library lets other threads run meanwhile. What bounds it all is stated in ``docs/performance.md``.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, field
from typing import TypeVar

from lit_airflow.errors import LitError, SettingsError
from lit_airflow.transport import threads

AT_ONCE = 8
_REPORT_EVERY_S = 10.0
_TOLD_OF_EACH = 10
"""So many items that fail alike are named in the log; the tally counts the others, each outcome has its error."""

log = logging.getLogger(__name__)

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Decrypted:
    """What became of one item: either its plaintext or the reason why not.

    Attributes:
        index: Its place among the items, from 0.
        plaintext: The bytes; ``None`` where it failed.
        error: Why it failed; ``None`` where it did not.
    """

    index: int
    plaintext: bytes | None = field(default=None, repr=False)
    error: LitError | None = None

    def result(self) -> bytes:
        """The plaintext.

        Raises:
            LitError: The item's own error, if it failed.
        """
        if self.error is not None:
            raise self.error
        return self.plaintext or b""


def each(decrypt: Callable[[Item], bytes], items: Iterable[Item], at_once: int) -> Iterator[Decrypted]:
    """Decrypt each item; the outcomes in the items' order, with progress in the log.

    Args:
        decrypt: Decrypts one. A :class:`LitError` is that item's outcome; anything else ends the whole.
        items: Fetched as they are needed, ``at_once`` ahead at most.
        at_once: How many are in work, or done and not yet taken: what bounds memory, and what nodes have to bear.

    Raises:
        SettingsError: ``at_once`` is not positive.
    """
    if at_once < 1:
        raise SettingsError(f"Nothing is done {at_once} at once.", field="at_once")

    def one(numbered: tuple[int, Item]) -> Decrypted:
        index, item = numbered
        try:
            return Decrypted(index, decrypt(item))
        except LitError as error:
            return Decrypted(index, error=error)

    total = f" of {len(items):,}" if isinstance(items, Sized) else ""
    return _reported(threads.in_order(one, enumerate(items), at_once), total)


def _reported(outcomes: Iterator[Decrypted], total: str) -> Iterator[Decrypted]:
    started = reported = time.monotonic()
    done, failed = 0, Counter[str]()

    def report() -> None:
        took_s, good = time.monotonic() - started, done - failed.total()
        causes = ", ".join(f"{cause} {times:,}" for cause, times in failed.most_common())
        why = f" ({causes})" if causes else ""
        log.info(
            "Decrypted %s%s items in %.1f s; %s failed%s.",
            f"{good:,}",
            total,
            took_s,
            f"{failed.total():,}",
            why,
        )

    for outcome in outcomes:
        done += 1
        if outcome.error is not None:
            cause = type(outcome.error).__name__
            failed[cause] += 1
            level = logging.WARNING if failed[cause] <= _TOLD_OF_EACH else logging.DEBUG
            log.log(level, "Item %d does not decrypt: %s", outcome.index, outcome.error)
            if failed[cause] == _TOLD_OF_EACH:
                log.warning("More items that end in %s are counted, and named at DEBUG only.", cause)
        yield outcome
        if time.monotonic() - reported >= _REPORT_EVERY_S:
            reported = time.monotonic()
            report()
    report()
