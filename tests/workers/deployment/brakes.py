"""Hold a task where a test wants to hurt it: Python tells an audit hook what it is about to do.

A brake is a file ``$BRAKES/DAG_ID/TASK_ID.STAGE``. Whoever comes to the stage writes its process number into the
file and waits there until the file is gone.
"""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

STAGES = {
    "login": ("http.client.send", b"POST /v1/auth/approle/login "),
    "key": ("http.client.send", b"GET /v1/secret/data/lit/wallet "),
    "seal": ("http.client.send", b"POST /v1/transit/encrypt/"),
    "open": ("http.client.send", b"POST /v1/transit/decrypt/"),
    "nodes": ("http.client.send", b"POST /web/encryption/sign"),
    "write": ("os.link", b"/data/."),
}
"""Stage -> the audit event just before it, and what of its arguments tells it from others."""

_EVENTS = {event for event, _ in STAGES.values()}


def install() -> None:
    """In this process and all that it forks."""
    sys.addaudithook(_look)


def _look(event: str, arguments: tuple[object, ...]) -> None:
    if event not in _EVENTS:
        return
    dag_id, task_id = (os.environ.get(f"AIRFLOW_CTX_{name}_ID") for name in ("DAG", "TASK"))
    if dag_id is None:  # no task
        return
    shown = arguments[1] if event == "http.client.send" else repr(arguments).encode()
    for stage, (at, text) in STAGES.items():
        if at == event and isinstance(shown, bytes) and text in shown:
            _wait_at(Path(os.environ["BRAKES"], dag_id, f"{task_id}.{stage}"))


def _wait_at(brake: Path) -> None:
    with suppress(FileNotFoundError):
        descriptor = os.open(brake, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        os.close(descriptor)
        while brake.exists():
            time.sleep(0.05)
