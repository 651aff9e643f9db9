"""``python -m tests.bench.shared_devnet NODES THRESHOLD PROCESSES``: one network that several processes serve.

All accept connections on the same ports, so that the network is not the ceiling of what is measured. Prints the
description and the processes' numbers, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lit_airflow.devnet.network import LocalNetwork
from tests.bench.comparison import COMMITTEES, Net

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class SharedNet(Net):
    """A running one.

    Attributes:
        processes: The numbers of the processes that serve.
    """

    processes: tuple[int, ...]


@contextmanager
def running(nodes: int, processes: int) -> Iterator[SharedNet]:
    """Start one, with so many processes."""
    command = [sys.executable, "-m", "tests.bench.shared_devnet"]
    numbers = [str(number) for number in (nodes, COMMITTEES[nodes], processes)]
    with subprocess.Popen(
        [*command, *numbers], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            told = json.loads(process.stdout.readline())
            yield SharedNet(told["description"], process.pid, tuple(told["processes"]))
        finally:
            process.stdin.close()
            process.wait()


async def _serve(network: LocalNetwork) -> None:
    await network.open()
    await asyncio.Event().wait()


def _child(network: LocalNetwork) -> int:
    """Serve in a process that ends with this one, forked: the keys are those that were dealt before."""
    child = os.fork()
    if not child:
        asyncio.run(_serve(network))
        os._exit(1)
    return child


def main(nodes: int, threshold: int, processes: int) -> None:
    """Serve."""
    network = LocalNetwork(nodes, threshold)
    children = [_child(network) for _ in range(processes)]
    sys.stdout.write(json.dumps({"description": network.description(), "processes": children}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    for child in children:
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
