"""This package as a client; ``sdk.mjs`` is the other one and knows the same commands.

``serve``: a JSON command per line on stdin, ``{"wall_ms", "cpu_ms"}`` per line on stdout; the pipe is not timed.
``whole``: one session and COUNT decryptions, then the process ends; session sigs in the task spare opening one. The
wallet's key is in LIT_KEY.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lit_airflow import LitClient, Scope, Session, Wallet

Json = dict[str, Any]


def say(answer: Json) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def timed(work: Callable[[], object]) -> Json:
    cpu, started = time.process_time(), time.perf_counter()
    work()
    wall_ms = (time.perf_counter() - started) * 1000
    return {"wall_ms": wall_ms, "cpu_ms": (time.process_time() - cpu) * 1000}


def scope_of(request: Json) -> Scope:
    return Scope.parse([f"{request['ability']}={request['resource']}"])


class BenchClient:
    """What the commands of ``serve`` do."""

    def __init__(self) -> None:
        self.wallet = Wallet.from_key(os.environ["LIT_KEY"])
        self.held: Json = {}

    def connect(self, network: Json) -> Json:
        self.held["client"] = LitClient(network)
        return timed(self.held["client"].sdk.survey)

    def session(self, request: Json) -> Json:
        self.held["client"].sdk.survey()
        return timed(lambda: self.open(request))

    def open(self, request: Json) -> None:
        self.held["session"] = self.held["client"].open_session(self.wallet, scope_of(request))

    def encrypt(self, conditions: Json, size: int) -> Json:
        plaintext = bytes([7]) * size
        return timed(lambda: self.held["client"].encrypt(plaintext, conditions))

    def load(self, path: str) -> Json:
        self.held["sealed"] = json.loads(Path(path).read_text())
        return {}

    def decrypt(self, conditions: Json, size: int) -> Json:
        opened = []
        took = timed(
            lambda: opened.append(
                self.held["client"].decrypt(self.held["sealed"], conditions, self.held["session"])
            )
        )
        if len(opened[0]) != size:
            raise SystemExit("decrypted something else")
        return took


def serve() -> None:
    client = BenchClient()
    for line in sys.stdin:
        parameters = json.loads(line)
        say(getattr(client, parameters.pop("do"))(**parameters))


def whole(path: str, count: int) -> None:
    task = json.loads(Path(path).read_text())
    client = LitClient(task["network"])
    if task["session_sigs"]:
        session = Session.from_session_sigs(task["session_sigs"])
    else:
        session = client.open_session(Wallet.from_key(os.environ["LIT_KEY"]), scope_of(task["request"]))
    for done in range(count):
        plaintext = client.decrypt(task["sealed"], task["conditions"], session)
        if done == 0:
            say({"first": len(plaintext)})
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    say({"peak_mb": int(found[1]) / 1024 if found else 0})


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        whole(sys.argv[2], int(sys.argv[3]))
