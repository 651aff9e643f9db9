"""Many decryptions: a bounded number at a time, each with its own outcome, in order.

A single item is not faster. While one waits for the servers, another is combined and a third is sent; the
curve library lets other threads run meanwhile. ``docs/performance.md`` says what limits it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

from lit_airflow.errors import LitError, SettingsError
from lit_airflow.networks.contract import Decrypted
from lit_airflow.transport import threads

AT_ONCE = 8
_REPORT_EVERY_S = 10.0
_LOGGED_PER_CAUSE = 10
"""How many items that fail for the same cause are logged one by one; the rest are counted."""

log = logging.getLogger(__name__)

Item = TypeVar("Item")


def decrypt_each(
    decrypt: Callable[[Item], bytes], items: Iterable[Item], at_once: int
) -> Iterator[Decrypted]:
    """Decrypt each item; return the outcomes in the items' order, and log the progress.

    Args:
        decrypt: Decrypts one. A :class:`LitError` is that item's outcome; any other exception ends the batch.
        items: Fetched as they are needed, ``at_once`` ahead at most.
        at_once: How many are in work, or done and not yet taken; it bounds memory and the servers' load.

    Raises:
        SettingsError: ``at_once`` is not positive.
    """
    check_count("at_once", at_once)

    def one(numbered: tuple[int, Item]) -> Decrypted:
        index, item = numbered
        try:
            return Decrypted(index, decrypt(item))
        except LitError as error:
            return Decrypted(index, error=error)

    total = f" of {len(items):,}" if isinstance(items, Sized) else ""
    return _reported(threads.in_order(one, enumerate(items), at_once), total)


def check_count(field: str, given: int) -> None:
    """Check how many of something are to be used.

    Raises:
        SettingsError: Not even one.
    """
    if given < 1:
        raise SettingsError(f"{field} must be at least 1, got {given}.", field=field)


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
            level = logging.WARNING if failed[cause] <= _LOGGED_PER_CAUSE else logging.DEBUG
            log.log(level, "Item %d was not decrypted: %s", outcome.index, outcome.error)
            if failed[cause] == _LOGGED_PER_CAUSE:
                log.warning("Further items that fail with %s are counted, and logged at DEBUG.", cause)
        yield outcome
        if time.monotonic() - reported >= _REPORT_EVERY_S:
            reported = time.monotonic()
            report()
    report()
