"""What ``lit-airflow demo`` and ``lit-airflow sandbox`` run: the main job on real parts, all on this machine.

A Vault-API server (OpenBao), a local Lit network and a whole Airflow are started in a folder of their own,
and nothing of them is left afterwards. Airflow is not imported here: it runs in processes of its own.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from lit_airflow.errors import LitError
from lit_airflow.sandbox.airflow_server import USERNAME
from lit_airflow.sandbox.assembly import LIT_CONN_IDS, SandboxOptions, open_sandbox
from lit_airflow.sandbox.processes import SandboxError
from lit_airflow.sandbox.progress import Progress
from lit_airflow.sandbox.report import run_report
from lit_airflow.sandbox.stop_signal import StopRequestedError, StopSignal

if TYPE_CHECKING:
    from pathlib import Path

    from lit_airflow.sandbox.assembly import Sandbox

__all__ = ["demo", "sandbox"]

_FAILED = 1
_SIGNALLED = 128  # what a shell adds to the signal's number
_WATCH_S = 1.0


def demo(*, log_level: str = "INFO") -> int:
    """Run the example DAG once on real parts and show what came out.

    Args:
        log_level: Airflow's, for example ``DEBUG``.

    Returns:
        The exit code: 0 only if the plaintext came back right, 1 if anything failed, 130 after Ctrl-C.
    """
    progress, stopping = Progress(), StopSignal()
    wishes = SandboxOptions(examples="lit_decrypt_report.py", triggerer=False, log_level=log_level)
    with stopping.on_signals():
        try:
            with open_sandbox(stopping, progress, wishes) as parts:
                run_report(parts, stopping, progress)
        except StopRequestedError as stopped:
            progress.step("stopped on request; nothing is left running")
            return _SIGNALLED + stopped.signal
        except LitError as error:
            _explain(progress, error)
            return _FAILED
    progress.step("done; nothing is left running")
    progress.step(f"to look at logs and pages, run {sys.argv[0]} sandbox, which stays up until Ctrl-C")
    return 0


def sandbox(dags: Path | None = None) -> int:
    """Leave everything running for one's own DAGs, until SIGTERM or Ctrl-C.

    When it is ready, one line of JSON on standard output tells ``airflow_url``, ``username``, ``password``,
    ``vault_addr``, ``lit_conn_id`` (role -> connection id), ``wallet`` (its address), ``network`` and ``home``.

    Args:
        dags: A folder of DAG files, loaded beside the examples and read anew when they change.

    Returns:
        The exit code: 0 if it was stopped when ready, 128 + signal if before, 1 if a part failed.
    """
    progress, stopping, ready = Progress(), StopSignal(), False
    with stopping.on_signals():
        try:
            with open_sandbox(stopping, progress, SandboxOptions(dags=dags)) as parts:
                sys.stdout.write(json.dumps(_announcement(parts)) + "\n")
                sys.stdout.flush()
                ready = True
                progress.step(f"logs: of tasks in {parts.home}/airflow/logs, of servers in {parts.home}/logs")
                progress.step("ready, until Ctrl-C")
                while True:
                    parts.children.check()
                    stopping.wait(_WATCH_S)
        except StopRequestedError as stopped:
            progress.step("stopped on request; nothing is left running")
            return 0 if ready else _SIGNALLED + stopped.signal
        except LitError as error:
            _explain(progress, error)
            return _FAILED


def _announcement(parts: Sandbox) -> dict[str, object]:
    return {
        "airflow_url": parts.airflow.url,
        "username": USERNAME,
        "password": parts.airflow.password.reveal().decode(),
        "vault_addr": parts.vault.address,
        "lit_conn_id": LIT_CONN_IDS,
        "wallet": parts.wallet,
        "network": parts.network.description,
        "home": str(parts.home),
    }


def _explain(progress: Progress, error: LitError) -> None:
    progress.failure(str(error), error.details if isinstance(error, SandboxError) else "")
    for note in getattr(error, "__notes__", ()):
        progress.step(note)
