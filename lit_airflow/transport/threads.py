"""Daemon threads that stay for the next job: starting one takes as long as the work it does.

Whoever has waited for two seconds in vain ends, so nothing is left of a client that is no longer used.
``concurrent.futures`` does not do: it joins its threads when the interpreter exits, and one that asks a silent node
would hold that up (``docs/adr/0004``).
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

_PATIENCE_S = 2.0

Job = Callable[[], object]
Item = TypeVar("Item")
Made = TypeVar("Made")
Slot = queue.SimpleQueue[tuple[Made | None, Exception | None]]


class ThreadPool:
    """As many threads as there are jobs at one time; a job never waits for another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._idle = 0  # waiting threads less the jobs that are already theirs

    def do(self, job: Job) -> None:
        """Run ``job`` in a thread at once; what it raises ends that thread."""
        with self._lock:
            if self._idle:
                self._idle -= 1
                self._jobs.put(job)
                return
        threading.Thread(target=self._work, args=(job,), name="lit-ask", daemon=True).start()

    def _work(self, job: Job) -> None:
        following: Job | None = job
        del job  # it may hold a session: nothing keeps it once it is done
        while following is not None:
            following()
            following = None
            following = self._next()

    def _next(self) -> Job | None:
        with self._lock:
            self._idle += 1
        try:
            return self._jobs.get(timeout=_PATIENCE_S)
        except queue.Empty:
            pass
        with self._lock:
            if self._idle:
                self._idle -= 1
                return None
        # Every waiting thread has been given a job in this very moment: one in the queue is ours.
        return self._jobs.get()


_crew = ThreadPool()


def do(job: Job) -> None:
    """Run ``job`` in one of this process's threads at once."""
    _crew.do(job)


def in_order(work: Callable[[Item], Made], items: Iterable[Item], at_once: int) -> Iterator[Made]:
    """What ``work`` makes of each item, in the items' order.

    Args:
        work: Called in other threads; what it raises is raised here, in its turn.
        items: Fetched as they are needed.
        at_once: So many are worked at or wait to be taken; the next is fetched when one has been taken.
    """
    slots: deque[Slot[Made]] = deque()
    for item in items:
        slot: Slot[Made] = queue.SimpleQueue()
        do(partial(_fill, slot, work, item))
        slots.append(slot)
        del item  # only its worker holds it
        if len(slots) >= at_once:
            yield _taken(slots.popleft())
    while slots:
        yield _taken(slots.popleft())


def _fill(slot: Slot[Made], work: Callable[[Item], Made], item: Item) -> None:
    try:
        slot.put((work(item), None))
    except Exception as error:  # noqa: BLE001 - carried over to whoever takes it
        slot.put((None, error))


def _taken(slot: Slot[Made]) -> Made:
    made, error = slot.get()
    if error is not None:
        raise error
    return made  # type: ignore[return-value]  # it is None only if work returned that


def _anew() -> None:
    """A forked process has none of its parent's threads."""
    global _crew  # noqa: PLW0603 - one crew per process
    _crew = ThreadPool()


os.register_at_fork(after_in_child=_anew)
