"""Sessions that last seconds, for minutes: many renewals, no failed decryption, no growth of memory."""

import gc
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lit_airflow import LitClient, clock
from lit_airflow.devnet import Devnet
from lit_airflow.handoff.renewal import RenewableSession
from lit_airflow.hooks import LitHook
from lit_airflow.sandbox.vault_server import KV_PATH
from tests.vault.parts import KEY_READ, Bao, Connections, conditions_for

SECONDS = 180
PAUSE_S = 0.02
TTL_S = 5.0
LEAD_S = 4
NAME = "soaked"
MEGABYTE = 1024 * 1024
MOST_GROWTH = 8 * MEGABYTE


@pytest.fixture(scope="module")
def network() -> Iterator[dict[str, Any]]:
    """A network in a process of its own: what it remembers is not ours."""
    argv = [sys.executable, "-m", "lit_airflow.cli", "devnet", "--nodes", "3", "--threshold", "2"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


@dataclass
class Work:
    """Threads that each do one thing again and again, until they are told to stop.

    Attributes:
        counts: What was done how often.
        errors: What went wrong.
    """

    counts: Counter[str] = field(default_factory=Counter)
    errors: list[BaseException] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, what: str, act: Callable[[], object], every_s: float) -> None:
        def run() -> None:
            while not self.over.wait(every_s):
                try:
                    self.counts[what] += act() is not None
                except Exception as error:  # noqa: BLE001 - every failure counts
                    self.errors.append(error)

        self._threads.append(threading.Thread(target=run, name=what))
        self._threads[-1].start()

    def stop(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join()


def resident() -> int:
    """Bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def renewing(hook: LitHook, container: dict[str, Any]) -> Callable[[], object]:
    """Publish a new session when the published one nears its end, as a refreshing DAG does."""
    scope = hook.scope_of(container)

    def act() -> object:
        sessions = hook.sessions
        published = sessions.store().read(NAME)
        ticket, renewed, _ = sessions.reuse_or_open(
            published.ticket, scope, ttl_s=TTL_S, lead_s=LEAD_S, name=NAME
        )
        if not renewed:
            return None
        assert sessions.store().publish(NAME, ticket, clock.now(), replaces=published)
        return ticket

    return act


def decrypting(hook: LitHook, container: dict[str, Any], held: RenewableSession) -> Callable[[], object]:
    def act() -> object:
        assert hook.decrypt(container, held) == b"the plaintext"
        return True

    return act


@pytest.mark.soak
def test_sessions_that_last_seconds(
    bao: Bao,
    network: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A DAG that publishes, tasks that outlive many sessions by name, and one that renews with its own wallet."""
    logging.disable(logging.INFO)  # pytest would keep every line
    connections = Connections(monkeypatch, cast("Devnet", SimpleNamespace(description=network)))
    connections.vault("vault_renewer", bao.port, bao.renewer)
    connections.vault("vault_consumer", bao.port, bao.consumer)
    address = bao.wallet.address  # named, so that passing a session on reads no key
    connections.lit("lit_renewer", vault_path=KV_PATH, renewal_lead_s=LEAD_S, wallet_address=address)
    connections.lit("lit_consumer", "vault_consumer", renewal_lead_s=LEAD_S)
    conditions = conditions_for(bao.wallet.address)
    container = {**LitClient(network).encrypt(b"the plaintext", conditions), **conditions}

    renewer, alone = LitHook("lit_renewer"), LitHook("lit_renewer")
    publish = renewing(renewer, container)
    publish()
    ticket = alone.make_ticket(alone.open_session(alone.scope_of(container), ttl_s=TTL_S))
    work, own = Work(), alone.hold(ticket)
    keys = {own.session.public_key}
    with bao.watched() as paths:
        work.start("renewals by the publisher", publish, 0.2)
        for number in (1, 2):
            consumer = LitHook("lit_consumer")
            act = decrypting(consumer, container, consumer.hold(NAME))
            work.start(f"decryptions by consumer {number}", act, PAUSE_S)
        work.start("decryptions with a wallet", decrypting(alone, container, own), PAUSE_S)
        started, sizes = time.monotonic(), []
        while time.monotonic() - started < SECONDS:
            time.sleep(0.2)
            keys.add(own.session.public_key)
            gc.collect()  # what is left for the collector is not growth
            sizes.append(resident())
            forget_masks()
        work.stop()
        keys.add(own.session.public_key)  # it may have been renewed since
    logging.disable(logging.NOTSET)

    renewals = work.counts["renewals by the publisher"] + len(keys) - 1
    grown = max(sizes[-10:]) - max(sizes[len(sizes) // 4 :][:10])
    told = [
        f"{SECONDS} s, sessions of {TTL_S:g} s:",
        f"{len(keys) - 1} renewals by the task with a wallet",
        *(f"{count} {what}" for what, count in sorted(work.counts.items())),
        f"{len(work.errors)} failures, {grown / MEGABYTE:+.1f} MB after the first quarter",
    ]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n  ".join(told) + "\n")
    assert work.errors == []
    assert renewals > SECONDS / TTL_S
    assert sum(count for what, count in work.counts.items() if what.startswith("decryptions")) > 3 * SECONDS
    assert paths.count(KEY_READ) == renewals
    assert grown < MOST_GROWTH


def forget_masks() -> None:
    """Airflow's log masker keeps all it was ever told as long as its process lives: as a rule, for one task."""
    from airflow.sdk._shared.secrets_masker import _secrets_masker

    _secrets_masker().reset_masker()
