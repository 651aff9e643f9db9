"""Ours and Lit's JavaScript SDK, process beside process, against one local network in a third process."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from lit_airflow import LitClient, Scope, Session, Wallet
from tests.interop import packages

Json = dict[str, Any]

HERE = Path(__file__).parent
_PATIENCE_S = 10
KEY = "0x" + "11" * 32
ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
COMMITTEES = {2: 2, 3: 2, 7: 5, 10: 7, 30: 20, 60: 40, 100: 67}
"""Nodes -> threshold."""
CONDITIONS = {
    "chain": "ethereum",
    "accessControlConditions": [
        {
            "contractAddress": "",
            "standardContractType": "",
            "chain": "ethereum",
            "method": "",
            "parameters": [":userAddress"],
            "returnValueTest": {"comparator": "=", "value": ADDRESS},
        }
    ],
}
GIVEN = ("", "session", "session and nodes")
"""What a process is given that it would otherwise find out."""
_OF_THE_CHAIN = ("rpc_url", "chain_id", "staking_address")
REQUEST = {
    "resource": "lit-accesscontrolcondition://*",
    "ability": "access-control-condition-decryption",
}


def environment() -> dict[str, str]:
    """Theirs: what is installed keeps its bytecode, so ours does too, whatever this process was told."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "LIT_KEY": KEY}


def commands() -> dict[str, tuple[list[str], Path]]:
    """How each client is started, and in which folder."""
    return {
        "ours": ([sys.executable, str(HERE / "ours.py")], HERE.parents[1]),
        "sdk": ([packages.node(), str(HERE / "sdk.mjs")], packages.installed()),
    }


@dataclass(frozen=True, slots=True)
class Net:
    """A local network in a process of its own."""

    description: Json
    pid: int

    def cpu_ms(self) -> float:
        """What it has used so far."""
        threads = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e6


@contextmanager
def devnet(nodes: int) -> Iterator[Net]:
    """A network of so many nodes; its CPU time is nobody's but its own."""
    command = [sys.executable, "-m", "lit_airflow.cli", "devnet"]
    options = ["--nodes", str(nodes), "--threshold", str(COMMITTEES[nodes])]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Net(json.loads(process.stdout.readline()), process.pid)
        finally:
            process.terminate()


def seal(description: Json, size: int, folder: Path) -> Path:
    """A ciphertext of so many bytes that both decrypt, in a file."""
    path = folder / f"sealed-{size}.json"
    path.write_text(json.dumps(LitClient(description).encrypt(bytes([7]) * size, CONDITIONS)))
    return path


def session(net: Net) -> Session:
    """A session that decrypts everything."""
    scope = Scope.parse([f"{REQUEST['ability']}={REQUEST['resource']}"])
    return LitClient(net.description).open_session(Wallet.from_key(KEY), scope)


class BenchClient:
    """One of the two, running and warm; a context manager."""

    def __init__(self, name: str, talk: Path) -> None:
        self._name, self._talk = name, talk

    def __enter__(self) -> Self:
        command, folder = commands()[self._name]
        with self._talk.open("ab") as talk:
            self._process = subprocess.Popen(
                [*command, "serve"],
                cwd=folder,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=talk,
                text=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _pipe(self._process.stdout).close()

    def ask(self, command: str, **parameters: object) -> Json:
        """Give one command; what it took."""
        question = _pipe(self._process.stdin)
        question.write(json.dumps({"do": command, **parameters}) + "\n")
        question.flush()
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise SystemExit(f"{self._name}, {command}: {self._talk.read_text()[-2000:]}")
        answer: Json = json.loads(line)
        return answer


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


@dataclass(slots=True)
class Row:
    """One thing measured for both: medians of wall and CPU milliseconds."""

    what: str
    nodes: int
    runs: dict[str, list[Json]] = field(default_factory=lambda: {"ours": [], "sdk": []})

    def median(self, name: str, measure: str) -> float:
        return statistics.median(run[measure] for run in self.runs[name])

    def to_json(self) -> Json:
        """Medians and ratios, the SDK's divided by ours."""
        measures = sorted({measure for run in self.runs["ours"] for measure in run})
        medians = {name: {m: self.median(name, m) for m in measures} for name in self.runs}
        ratios = {m: medians["sdk"][m] / max(medians["ours"][m], 1e-9) for m in measures}
        count = len(self.runs["ours"])
        return {"what": self.what, "nodes": self.nodes, "runs": count, **medians, "ratio": ratios}


def warm(net: Net, nodes: int, sizes: Sequence[int], rounds: int, folder: Path) -> list[Row]:
    """Connect, session sigs, encrypt and decrypt, in turn; the first of each is not counted."""
    paths = {size: seal(net.description, size, folder) for size in sizes}
    talk = folder / "talk.log"
    rows = []
    with BenchClient("ours", talk) as ours, BenchClient("sdk", talk) as sdk:
        both = {"ours": ours, "sdk": sdk}

        def measured(what: str, command: str, times: int, **parameters: object) -> None:
            row = Row(what, nodes)
            for turn in range(times + 1):
                for name, client in both.items():
                    before = net.cpu_ms()
                    took = client.ask(command, **parameters)
                    if turn:
                        row.runs[name].append({**took, "net_cpu_ms": net.cpu_ms() - before})
            rows.append(row)

        measured("connect", "connect", max(3, rounds // 2), network=net.description)
        measured("session sigs", "session", rounds, request=REQUEST)
        for size in sizes:
            times = rounds if size < 1_000_000 else max(2, rounds // 4)
            measured(f"encrypt {_amount(size)}", "encrypt", times, conditions=CONDITIONS, size=size)
            for client in both.values():
                client.ask("load", path=str(paths[size]))
            measured(f"decrypt {_amount(size)}", "decrypt", times, conditions=CONDITIONS, size=size)
    return rows


def _amount(size: int) -> str:
    return f"{size // 1_000_000} MB" if size >= 1_000_000 else f"{size // 1000} kB"


def whole(net: Net, nodes: int, count: int, rounds: int, folder: Path, *, given: str = "") -> Row:
    """Whole processes, cold: one session, opened or given, and ``count`` decryptions of 1 kB.

    Args:
        net: The network.
        nodes: How many it has.
        count: How many decryptions each process does.
        rounds: How many processes of each client are measured.
        folder: Where their task is written.
        given: One of ``GIVEN``. Only ours can be given the nodes; the SDK then asks the chain as always.
    """
    task = folder / "task.json"
    sealed = json.loads(seal(net.description, 1000, folder).read_text())
    parts = {"network": net.description, "conditions": CONDITIONS, "sealed": sealed, "request": REQUEST}
    task.write_text(json.dumps({**parts, "session_sigs": session(net).session_sigs if given else None}))
    listed = {key: value for key, value in net.description.items() if key not in _OF_THE_CHAIN}
    ours = folder / "ours.json"
    parts = json.loads(task.read_text())
    ours.write_text(json.dumps({**parts, "network": listed} if given == GIVEN[2] else parts))
    row = Row(f"process, {count} decryption{'s' * (count > 1)}{f', {given} given' * bool(given)}", nodes)
    for turn in range(rounds + 1):
        for name, (command, where) in commands().items():
            path = str(ours if name == "ours" else task)
            run = _process([*command, "whole", path, str(count)], where, folder / "talk.log")
            if turn:  # the first fills the disk's cache
                row.runs[name].append(run)
    return row


def _process(command: Sequence[str], folder: Path, log: Path) -> Json:
    """Wall time to the first plaintext and to the end, CPU time and the peak of memory of one process."""
    with log.open("ab") as talk:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=talk
        )
    assert process.stdout is not None
    first = process.stdout.readline()
    first_ms = (time.perf_counter() - started) * 1000
    last = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_ms = (time.perf_counter() - started) * 1000
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode or b"first" not in first:
        raise SystemExit(f"{command}: {log.read_text()[-2000:]}")
    cpu_ms = (usage.ru_utime + usage.ru_stime) * 1000
    # Not ru_maxrss: that begins with what this process held when it forked.
    return {"first_ms": first_ms, "wall_ms": wall_ms, "cpu_ms": cpu_ms, **json.loads(last)}
