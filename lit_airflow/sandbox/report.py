"""Run the example DAG, follow it, check what came out against the original, and show it."""

from __future__ import annotations

import csv
import hashlib
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from lit_airflow.clock import Deadline
from lit_airflow.sandbox.assembly import DAG_ID
from lit_airflow.sandbox.processes import SandboxError

if TYPE_CHECKING:
    from pathlib import Path

    from lit_airflow.sandbox.airflow_rest import AirflowApi, TaskState
    from lit_airflow.sandbox.assembly import Sandbox
    from lit_airflow.sandbox.progress import Progress
    from lit_airflow.sandbox.stop_signal import StopSignal

_RUN_S = 300.0
_POLL_S = 0.3
_SHOWN_LINES = 4
_TAIL = 25
# A retry would only repeat it: all parts are here, and nothing about them changes by waiting.
_LOST: Final = {"failed", "up_for_retry", "upstream_failed"}
_ANSWERED: Final = re.compile(
    r"Decrypted \d+ bytes\. Answered: (?P<answered>.*?)\. .*Failed: (?P<failed>.*)\."
)


def run_report(sandbox: Sandbox, stopping: StopSignal, progress: Progress) -> None:
    """Let the scheduler run the example DAG, check the outcome and show it.

    Raises:
        SandboxError: A task fails, or the plaintext is not what was encrypted.
        StopRequestedError: Somebody asked us to stop.
    """
    api = sandbox.api
    api.wait_for_dag(DAG_ID)
    api.unpause(DAG_ID)
    run_id = api.wait_for_run(DAG_ID)
    progress.step(f"the scheduler started {DAG_ID}, run {run_id}")
    tasks = _follow(api, run_id, stopping, progress)
    ticket = api.xcom(DAG_ID, run_id, "session")
    report = api.xcom(DAG_ID, run_id, "report")
    _verify(sandbox, ticket, report)
    progress.step("the plaintext is what was encrypted, byte for byte")
    _show(sandbox, progress, tasks, report, _nodes(api, run_id, tasks))


def _follow(api: AirflowApi, run_id: str, stopping: StopSignal, progress: Progress) -> list[TaskState]:
    deadline, seen = Deadline.after(_RUN_S), set[tuple[str, str]]()
    while True:
        tasks = api.tasks(DAG_ID, run_id)
        for task in tasks:
            if task.pid and ("running", task.task_id) not in seen:
                seen.add(("running", task.task_id))
                progress.step(f"task {task.task_id} runs, process {task.pid}")
            if task.state in _LOST:
                lines = "\n".join(api.log_lines(DAG_ID, run_id, task)[-_TAIL:])
                raise SandboxError(f"Task {task.task_id} failed.", details=lines)
            if task.finished and ("done", task.task_id) not in seen:
                seen.add(("done", task.task_id))
                progress.step(f"task {task.task_id}: {task.state} after {task.took_s:.1f} s")
        if tasks and all(task.finished for task in tasks):
            return tasks
        if not deadline.left_s():
            raise SandboxError(f"The run has not ended after {_RUN_S:.0f} s.")
        stopping.wait(_POLL_S)


def expected_report(dataset: Path) -> dict[str, object]:
    """What the example DAG must report of a dataset, computed from the dataset itself."""
    raw = dataset.read_bytes()
    revenue: dict[str, Decimal] = {}
    rows = list(csv.DictReader(raw.decode().splitlines()))
    for row in rows:
        amount = int(row["quantity"]) * Decimal(row["unit_price"])
        revenue[row["region"]] = revenue.get(row["region"], Decimal()) + amount
    return {
        "sha256": hashlib.sha256(raw).hexdigest(),
        "rows": len(rows),
        "revenue": {region: str(amount) for region, amount in sorted(revenue.items())},
    }


def _verify(sandbox: Sandbox, ticket: object, report: object) -> None:
    if not isinstance(ticket, dict) or ticket.get("wallet") != sandbox.wallet:
        raise SandboxError(f"The session is not one of {sandbox.wallet}.")
    if sandbox.plaintext.read_bytes() != sandbox.dataset.read_bytes():
        raise SandboxError("The decrypted file is not what was encrypted.")
    if report != expected_report(sandbox.dataset):
        raise SandboxError("The report is not that of the dataset.", details=f"reported: {report}")


def _nodes(api: AirflowApi, run_id: str, tasks: list[TaskState]) -> list[str]:
    decrypt = next(task for task in tasks if task.task_id == "decrypt")
    for line in api.log_lines(DAG_ID, run_id, decrypt):
        if found := _ANSWERED.search(line):
            return [f"answered: {found['answered']}", f"failed:   {found['failed']}"]
    raise SandboxError("The log of the decrypt task does not say which nodes answered.")


def _show(
    sandbox: Sandbox, progress: Progress, tasks: list[TaskState], report: object, nodes: list[str]
) -> None:
    lines = sandbox.plaintext.read_text().splitlines()
    shown = [*lines[:_SHOWN_LINES], f"… and {len(lines) - _SHOWN_LINES} more lines"]
    progress.text("Decrypted", shown)
    if isinstance(report, dict):
        progress.text(
            "Report of the third task", [f"rows     {report['rows']}", f"SHA-256  {report['sha256']}"]
        )
        progress.rows("Revenue", ["region", "EUR"], list(report["revenue"].items()))
    progress.text("Signed by", [sandbox.wallet])
    progress.text("Nodes", nodes)
    took = [(task.task_id, str(task.pid), f"{task.took_s:.2f}") for task in tasks]
    progress.rows("Steps", ["task", "process", "seconds"], took)
