from __future__ import annotations

import subprocess
import sys
import threading
import time
import weakref

import pytest

from lit_airflow.transport import threads
from lit_airflow.transport.threads import ThreadPool


def started(before: set[threading.Thread]) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread not in before]


def test_a_thread_stays_for_the_next_job() -> None:
    before, mine, done = set(threading.enumerate()), ThreadPool(), threading.Event()
    for _ in range(20):
        mine.start(done.set)
        assert done.wait(300)
        done.clear()
        time.sleep(0.005)  # for it to come back
    assert len(started(before)) < 5


def test_no_job_waits_for_another() -> None:
    """Neither when threads are started for them, nor when threads wait for jobs."""
    mine = ThreadPool()
    for count in (50, 20, 80):
        everybody = threading.Barrier(count + 1)
        for _ in range(count):
            mine.start(lambda everybody=everybody: everybody.wait(300))  # type: ignore[misc]
        everybody.wait(300)
        time.sleep(0.01)  # for some threads to come back


def test_the_threads_are_daemons_and_end_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_IDLE_S", 0.05)
    before, mine, everybody = set(threading.enumerate()), ThreadPool(), threading.Barrier(6)
    for _ in range(5):
        mine.start(lambda: everybody.wait(300))
    everybody.wait(300)
    for thread in started(before):
        assert thread.daemon
        thread.join(300)
    assert started(before) == []


def test_no_job_is_lost_to_a_thread_that_has_just_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_IDLE_S", 0.0001)
    mine, count = ThreadPool(), 2_000
    done = threading.Semaphore(0)
    for _ in range(count):
        mine.start(done.release)
    for _ in range(count):
        assert done.acquire(timeout=300)


def test_all_threads_end_although_jobs_come_as_their_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_IDLE_S", 0.002)
    for number in range(50):
        before, mine, everybody = set(threading.enumerate()), ThreadPool(), threading.Barrier(16)
        for _ in range(16):
            mine.start(lambda everybody=everybody: everybody.wait(300))  # type: ignore[misc]
        time.sleep(0.001 + number % 10 * 0.0001)
        for _ in range(8):
            mine.start(int)
        for thread in started(before):
            thread.join(60)
        assert started(before) == []


def test_what_a_job_holds_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as it is done, though its thread waits for another."""
    monkeypatch.setattr(threads, "_IDLE_S", 3600)

    class Held:
        pass

    gone = threading.Event()
    held = Held()
    weakref.finalize(held, gone.set)
    ThreadPool().start(lambda held=held: None)  # type: ignore[misc]
    del held
    assert gone.wait(60)


def test_a_job_that_fails_costs_its_thread_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _args: None)
    mine, done = ThreadPool(), threading.Event()
    mine.start(lambda: 1 / 0)
    mine.start(done.set)
    assert done.wait(300)


def test_after_a_fork() -> None:
    """Airflow forks its task processes: the child's jobs must not wait for threads that only the parent has."""
    program = """
import os, threading, time
from lit_airflow.transport import threads

done = threading.Event()
threads.start(done.set)
assert done.wait(300)
time.sleep(0.1)
child = os.fork()
done.clear()
threads.start(done.set)
assert done.wait(300)
if child == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=900)
