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
    """As many threads as there are jobs at a time; a job never waits for another.

    Jobs for waiting threads are queued, and each thread that wakes wakes the next. If all were woken at once, they
    would contend for the interpreter.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: deque[Job] = deque()
        # One for each thread that waits. If several waited at one, its get(timeout=…) might never return before
        # Python 3.13.
        self._waiting: list[queue.SimpleQueue[None]] = []
        self._waking = False  # a thread was woken and has not taken its job yet

    def start(self, job: Job) -> None:
        """Run ``job`` in a thread at once. It must not raise."""
        with self._lock:
            if self._is_one_free():
                self._jobs.append(job)
                self._wake()
                return
        threading.Thread(target=self._work, args=([job],), name="lit-ask", daemon=True).start()

    def _is_one_free(self) -> bool:
        return len(self._waiting) + self._waking > len(self._jobs)

    def _wake(self) -> None:
        if self._jobs and not self._waking:
            self._waking = True
            self._waiting.pop().put(None)

    def _work(self, first: list[Job]) -> None:
        bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Taken out, since a thread keeps its arguments: a job may hold a session, and is dropped when it is done.
        following: Job | None = first.pop()
        while following is not None:
            following()
            following = None
            following = self._next(bell)

    def _next(self, bell: queue.SimpleQueue[None]) -> Job | None:
        with self._lock:
            self._waiting.append(bell)
            self._wake()
        while not self._rang(bell):
            with self._lock:
                if bell in self._waiting and self._is_one_free():
                    self._waiting.remove(bell)
                    return None
        with self._lock:
            self._waking = False
            job = self._jobs.popleft()
            self._wake()
        return job

    @staticmethod
    def _rang(bell: queue.SimpleQueue[None]) -> bool:
        try:
            bell.get(timeout=_IDLE_S)
        except queue.Empty:
            return False
        return True


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
