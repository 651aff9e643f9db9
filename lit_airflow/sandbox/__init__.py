"""The commands ``lit-airflow demo`` and ``lit-airflow sandbox``: the main job on real parts, on this machine.

They start a Vault-API server (OpenBao), a local Lit network and a complete Airflow in a temporary folder, and stop
and remove all of it at the end. Airflow is not imported here; it runs in processes of its own.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from lit_airflow.errors import LitError
from lit_airflow.sandbox.airflow_server import USERNAME
from lit_airflow.sandbox.environment import SandboxOptions, open_sandbox
from lit_airflow.sandbox.examples import DAG_ID
from lit_airflow.sandbox.networks import NETWORKS
from lit_airflow.sandbox.processes import SandboxError
from lit_airflow.sandbox.progress import Progress
from lit_airflow.sandbox.report import run_report
from lit_airflow.sandbox.stop_signal import StopRequestedError, StopSignal

if TYPE_CHECKING:
    from pathlib import Path

    from lit_airflow.sandbox.environment import Sandbox

__all__ = ["NETWORKS", "demo", "sandbox"]

_FAILED = 1
_SIGNALLED = 128  # shells report the end by a signal as 128 plus its number
_CHECK_INTERVAL_S = 1.0


def demo(*, network: str = NETWORKS[0], log_level: str = "INFO") -> int:
    """Run the example DAG once on real parts and show the result.

    Args:
        network: The local network to run, one of ``NETWORKS``.
        log_level: Airflow's log level, for example ``DEBUG``.

    Returns:
        The exit code: 0 if the plaintext is correct, 1 if anything failed, 130 after Ctrl-C.
    """
    progress, stop_signal = Progress(), StopSignal()
    options = SandboxOptions(examples=f"{DAG_ID}.py", triggerer=False, log_level=log_level, network=network)
    with stop_signal.on_signals():
        try:
            with open_sandbox(stop_signal, progress, options) as parts:
                run_report(parts, stop_signal, progress)
        except StopRequestedError as stopped:
            progress.step("stopped; all processes have ended")
            return _SIGNALLED + stopped.signal
        except LitError as error:
            _report_failure(progress, error)
            return _FAILED
    progress.step("done; all processes have ended")
    progress.step(
        f"to see Airflow's pages and logs, run {sys.argv[0]} sandbox --network {network}, which runs until Ctrl-C"
    )
    return 0


def sandbox(dags: Path | None = None, *, network: str = NETWORKS[0]) -> int:
    """Run all parts for the user's own DAGs until SIGTERM or Ctrl-C.

    When everything is ready, prints one line of JSON: ``airflow_url``, ``username``, ``password``, ``vault_addr``,
    ``lit_conn_id`` (role -> connection id), ``wallet`` (its address), ``network`` and ``home``.

    Args:
        dags: A folder with DAG files, which Airflow loads as well as the examples, and again when they change.
        network: The local network to run, one of ``NETWORKS``.

    Returns:
        The exit code: 0 if it was stopped when it was ready, 128 plus the signal if before, 1 if a part failed.
    """
    progress, stop_signal, ready = Progress(), StopSignal(), False
    with stop_signal.on_signals():
        try:
            with open_sandbox(stop_signal, progress, SandboxOptions(dags=dags, network=network)) as parts:
                sys.stdout.write(json.dumps(_announcement(parts)) + "\n")
                sys.stdout.flush()
                ready = True
                progress.step(f"task logs are in {parts.home}/airflow/logs, server logs in {parts.home}/logs")
                progress.step("ready; press Ctrl-C to stop")
                while True:
                    parts.children.check()
                    stop_signal.wait(_CHECK_INTERVAL_S)
        except StopRequestedError as stopped:
            progress.step("stopped; all processes have ended")
            return 0 if ready else _SIGNALLED + stopped.signal
        except LitError as error:
            _report_failure(progress, error)
            return _FAILED


def _announcement(parts: Sandbox) -> dict[str, object]:
    return {
        "airflow_url": parts.airflow.url,
        "username": USERNAME,
        "password": parts.airflow.password.reveal().decode(),
        "vault_addr": parts.vault.address,
        "lit_conn_id": dict(parts.lit_conn_ids),
        "wallet": parts.wallet,
        "network": parts.network.description,
        "home": str(parts.home),
    }


def _report_failure(progress: Progress, error: LitError) -> None:
    progress.failure(str(error), error.details if isinstance(error, SandboxError) else "")
    for note in getattr(error, "__notes__", ()):
        progress.step(note)
