"""Many decryptions, with bad nodes among those that are asked: nothing grows, nothing is left behind."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from lit_airflow import LitClient
from tests.faults.in_memory import CONDITIONS, PLAINTEXT, hold
from tests.faults.simulator import NodeStats

NODES, THRESHOLD = 10, 7
BAD = {0: "silent", 4: "wrong-share", 9: "reset"}
TIMEOUT_S = 30.0  # the silent node keeps a thread and a socket for as long
LONG_TIMEOUT_S = 120.0  # so many at once are slow on a busy machine
MB = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")
# One silent node holds a few threads and sockets at a time, whatever the number of decryptions.
_MOST_MORE = 60
_MOST_GROWTH = 12 * MB


def memory() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def held() -> Counter[str]:
    """How many file descriptors and threads this process has."""
    return Counter(files=len(list(Path("/proc/self/fd").iterdir())), threads=threading.active_count())


@pytest.fixture(autouse=True)
def _no_log() -> Iterator[None]:
    """Pytest would keep every line, and that is more than a client may grow."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@contextmanager
def nothing_is_left() -> Iterator[None]:
    """Whatever is opened within is closed soon after it, without anybody's doing."""
    gc.collect()
    gc.freeze()  # what earlier tests hold need not be looked through each time
    try:
        before = held()
        yield
        while held() - before:
            time.sleep(1)
            gc.collect()
    finally:
        gc.unfreeze()


@pytest.fixture(scope="module")
def network() -> Iterator[dict[str, object]]:
    """A devnet in a process of its own, so that what is counted here is the client's."""
    faults = [argument for node, name in BAD.items() for argument in ("--fault", f"{node}={name}")]
    command = [sys.executable, "-m", "lit_airflow.cli", "devnet", "--nodes", str(NODES)]
    process = subprocess.Popen(
        [*command, "--threshold", str(THRESHOLD), *faults], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(300)
        process.stdout.close()


def decrypt_one_by_one(network: dict[str, object], count: int, tally: NodeStats) -> None:
    lit = LitClient(network, timeout_s=TIMEOUT_S)
    sealed, session = hold(lit)
    before, after_some, most = held(), 0, Counter[str]()
    for number in range(count):
        assert lit.decrypt(sealed, CONDITIONS, session) == PLAINTEXT
        most |= held() - before
        if number == count // 4:
            after_some = memory()
    growth = memory() - after_some
    assert growth < _MOST_GROWTH, f"{growth / MB:.1f} MB more after {count} than after {count // 4}"
    assert all(more <= _MOST_MORE for more in most.values()), most
    tally["load, one by one", "plaintext"] += count


def decrypt_at_once(
    network: dict[str, object], count: int, rounds: int, tally: NodeStats, timeout_s: float = TIMEOUT_S
) -> None:
    sizes = _sizes(network, count, rounds, timeout_s)
    assert sizes[-1] - sizes[0] < _MOST_GROWTH, [size // MB for size in sizes]
    tally["load, at once", "plaintext"] += count * rounds


def _sizes(network: dict[str, object], count: int, rounds: int, timeout_s: float) -> list[int]:
    """The process's memory after each round of so many decryptions at once."""
    lit, sizes = LitClient(network, timeout_s=timeout_s), []
    sealed, session = hold(lit)
    for _ in range(rounds):
        with ThreadPoolExecutor(count) as pool:
            waiting = [pool.submit(lit.decrypt, sealed, CONDITIONS, session) for _ in range(count)]
            assert {each.result() for each in waiting} == {PLAINTEXT}
        sizes.append(memory())
    return sizes


def test_one_by_one_and_at_once(network: dict[str, object], tally: NodeStats) -> None:
    with nothing_is_left():  # which waits until the silent node's time is over
        decrypt_one_by_one(network, 24, tally)
        decrypt_at_once(network, 8, 2, tally)


@pytest.mark.soak
def test_a_thousand_one_by_one(network: dict[str, object], tally: NodeStats) -> None:
    with nothing_is_left():
        decrypt_one_by_one(network, 1000, tally)


@pytest.mark.soak
def test_two_hundred_at_once(network: dict[str, object], tally: NodeStats) -> None:
    with nothing_is_left():
        decrypt_at_once(network, 200, 5, tally, LONG_TIMEOUT_S)
