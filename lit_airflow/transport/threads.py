"""Daemon threads that are reused: starting one takes as long as the work it does.

A thread that gets no job for two seconds ends, so nothing is left of a client that is no longer used.
``concurrent.futures`` is not used because it joins its threads when the interpreter exits: one that waits for
a silent server would delay that (``docs/adr/0004``).
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

_IDLE_S = 2.0

Job = Callable[[], object]
Item = TypeVar("Item")
Made = TypeVar("Made")
Slot = queue.SimpleQueue[tuple[Made | None, BaseException | None]]


class ThreadPool:
    """As many threads as there are jobs at a time; a job never waits for another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Not a SimpleQueue: with several waiting threads, its get(timeout=…) may wait forever before Python 3.13.
        self._jobs: queue.Queue[Job] = queue.Queue()
        self._idle = 0  # waiting threads less the jobs that are already theirs

    def start(self, job: Job) -> None:
        """Run ``job`` in a thread at once. It must not raise."""
        with self._lock:
            if self._idle:
                self._idle -= 1
                self._jobs.put(job)
                return
        threading.Thread(target=self._work, args=(job,), name="lit-ask", daemon=True).start()

    def _work(self, job: Job) -> None:
        following: Job | None = job
        del job  # it may hold a session: drop it as soon as it is done
        while following is not None:
            following()
            following = None
            following = self._next()

    def _next(self) -> Job | None:
        with self._lock:
            self._idle += 1
        try:
            return self._jobs.get(timeout=_IDLE_S)
        except queue.Empty:
            pass
        with self._lock:
            if self._idle:
                self._idle -= 1
                return None
        # A job was queued for every waiting thread in this very moment: one of them is for this thread.
        return self._jobs.get()


_pool = ThreadPool()


def start(job: Job) -> None:
    """Run ``job`` in one of this process's threads at once. It must not raise."""
    _pool.start(job)


def in_order(work: Callable[[Item], Made], items: Iterable[Item], at_once: int) -> Iterator[Made]:
    """Yield what ``work`` returns for each item, in the items' order.

    Args:
        work: Called in other threads; what it raises is raised here, in its turn.
        items: Fetched as they are needed.
        at_once: How many are in work or wait to be taken; the next is fetched when one has been taken.
    """
    slots: deque[Slot[Made]] = deque()
    for item in items:
        slot: Slot[Made] = queue.SimpleQueue()
        start(partial(_fill, slot, work, item))
        slots.append(slot)
        del item  # its worker holds the only reference
        if len(slots) >= at_once:
            yield _taken(slots.popleft())
    while slots:
        yield _taken(slots.popleft())


def _fill(slot: Slot[Made], work: Callable[[Item], Made], item: Item) -> None:
    try:
        slot.put((work(item), None))
    except BaseException as error:  # noqa: BLE001 - raised in the thread that takes the result
        slot.put((None, error))


def _taken(slot: Slot[Made]) -> Made:
    made, error = slot.get()
    if error is not None:
        raise error
    return made  # type: ignore[return-value]  # it is None only if work returned that


def _after_fork() -> None:
    """Start over: a forked process has none of its parent's threads."""
    global _pool  # noqa: PLW0603 - one pool per process
    _pool = ThreadPool()


os.register_at_fork(after_in_child=_after_fork)
