"""How cost grows: with the nodes, with the secrets; and what doing many at once gains."""

from __future__ import annotations

import json
import os
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from lit_airflow import LitClient
from lit_airflow.handoff.seal import FernetSeal
from lit_airflow.handoff.ticket import Origin, make_ticket
from lit_airflow.keys.secret import Secret
from tests.bench import comparison, shared_devnet
from tests.bench.comparison import CONDITIONS, Net
from tests.bench.ours import timed

Json = dict[str, Any]

_TIMEOUT_S = 300
_WARM = 40


def by_nodes(net: Net, nodes: int, rounds: int) -> Json:
    """CPU milliseconds of one survey, one session, one decryption; and a ticket's bytes."""
    session = comparison.session(net)
    seal, origin = FernetSeal(Secret(Fernet.generate_key())), Origin("reports", "a run", "session")
    ticket = len(json.dumps(make_ticket(session, seal, network="custom", origin=origin)))
    client = LitClient(net.description)
    sealed = client.encrypt(bytes(1000), CONDITIONS)
    client.sdk.survey()

    def median(work: Any) -> float:  # noqa: ANN401 - any call
        work()
        return statistics.median(timed(work)["cpu_ms"] for _ in range(rounds))

    def connect() -> None:
        LitClient(net.description).sdk.survey()

    return {
        "nodes": nodes,
        "connect": median(connect),
        "session": median(lambda: comparison.session(net)),
        "decrypt": median(lambda: client.decrypt(sealed, CONDITIONS, session)),
        "ticket_bytes": ticket,
    }


def by_secrets(net: Net, nodes: int, counts: Sequence[int]) -> list[Json]:
    """CPU seconds and the peak of memory for so many secrets, with one client and one session."""
    client, session = LitClient(net.description, timeout_s=_TIMEOUT_S), comparison.session(net)
    sealed = client.encrypt(bytes(1000), CONDITIONS)
    rows = []
    for count in counts:
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
        took = timed(lambda count=count: decrypt_all(client, sealed, session, count))  # type: ignore[misc]
        row = {
            "nodes": nodes,
            "secrets": count,
            "cpu_s": took["cpu_ms"] / 1000,
            "wall_s": took["wall_ms"] / 1000,
        }
        rows.append({**row, "peak_mb": _peak_mb("self")})
    return rows


def decrypt_all(client: LitClient, sealed: Json, session: Any, count: int, at_once: int = 8) -> None:  # noqa: ANN401
    """Decrypt one container so many times, in one call."""
    items = ((sealed, CONDITIONS) for _ in range(count))
    for outcome in client.decrypt_many(items, session, at_once=at_once):
        if outcome.error is not None:
            raise outcome.error


def at_once(net: Net, nodes: int, count: int, rounds: int) -> Json:
    """Milliseconds per secret: one by one with client and network on one core; many at once on all cores."""
    client, session = LitClient(net.description), comparison.session(net)
    sealed = client.encrypt(bytes(1000), CONDITIONS)
    took: dict[str, list[float]] = {"one_core": [], "all_cores": [], "ours": [], "nodes_cpu": []}

    def one_by_one() -> None:
        for _ in range(count):
            client.decrypt(sealed, CONDITIONS, session)

    for _ in range(rounds):
        client.sdk.survey()
        with _on_one_core(net.pid, os.getpid()):
            took["one_core"].append(timed(one_by_one)["wall_ms"] / count)
        client.sdk.survey()
        before = net.cpu_ms()
        spent = timed(lambda: decrypt_all(client, sealed, session, count))
        took["all_cores"].append(spent["wall_ms"] / count)
        took["ours"].append(spent["cpu_ms"] / count)
        took["nodes_cpu"].append((net.cpu_ms() - before) / count)
    medians = {name: statistics.median(values) for name, values in took.items()}
    return {"nodes": nodes, **medians, "ratio": medians["one_core"] / medians["all_cores"]}


def in_processes(nodes: int, count: int, rounds: int) -> Json:
    """Milliseconds per secret: one by one on one core; by two processes on all cores; the network in two as well.

    What starting the processes takes is not counted.
    """
    with shared_devnet.running(nodes, processes=2) as net:
        client, session = LitClient(net.description), comparison.session(net)
        sealed = client.encrypt(bytes(1000), CONDITIONS)

        def per_secret_ms(**options: int) -> tuple[float, float]:
            """Wall time, and how much memory the largest worker holds."""
            items = ((sealed, CONDITIONS) for _ in range(_WARM + count))
            outcomes = client.decrypt_many(items, session, **options)
            for _ in range(_WARM):
                next(outcomes).result()
            started = time.perf_counter()
            for outcome in outcomes:
                outcome.result()
                if outcome.index == _WARM + count // 2:
                    peak_mb = max((_peak_mb(pid) for pid in _children()), default=0.0)
            return (time.perf_counter() - started) * 1000 / count, peak_mb

        took: dict[str, list[float]] = {
            "one_core": [],
            "one_process": [],
            "two_processes": [],
            "worker_mb": [],
        }
        for _ in range(rounds):
            with _on_one_core(*net.processes, os.getpid()):
                took["one_core"].append(per_secret_ms(at_once=1)[0])
            took["one_process"].append(per_secret_ms()[0])
            wall_ms, peak_mb = per_secret_ms(processes=2)
            took["two_processes"].append(wall_ms)
            took["worker_mb"].append(peak_mb)
    medians = {name: statistics.median(values) for name, values in took.items()}
    return {"nodes": nodes, **medians, "ratio": medians["one_core"] / medians["two_processes"]}


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _peak_mb(pid: int | str) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


@contextmanager
def _on_one_core(*processes: int) -> Iterator[None]:
    """Everything these processes do, in whichever thread, on the first core."""
    cores = sorted(os.sched_getaffinity(0))
    _pin(processes, cores[:1])
    try:
        yield
    finally:
        _pin(processes, cores)


def _pin(processes: Sequence[int], cores: Sequence[int]) -> None:
    for process in processes:
        for thread in Path(f"/proc/{process}/task").iterdir():
            with suppress(ProcessLookupError):  # it has ended
                os.sched_setaffinity(int(thread.name), cores)
    time.sleep(0.05)
