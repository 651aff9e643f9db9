"""Run the example DAG, verify its result against the original dataset, and show it."""

from __future__ import annotations

import csv
import hashlib
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from lit_airflow.clock import Deadline
from lit_airflow.sandbox.examples import DAG_ID
from lit_airflow.sandbox.processes import SandboxError

if TYPE_CHECKING:
    from pathlib import Path

    from lit_airflow.sandbox.airflow_rest import AirflowApi, TaskState
    from lit_airflow.sandbox.environment import Sandbox
    from lit_airflow.sandbox.progress import Progress
    from lit_airflow.sandbox.stop_signal import StopSignal

_RUN_S = 300.0
_POLL_S = 0.3
_SHOWN_LINES = 4
_TAIL_LINES = 25
# A retry would fail in the same way, because nothing in the sandbox changes while it waits.
_FAILED: Final = {"failed", "up_for_retry", "upstream_failed"}
_ANSWERED: Final = re.compile(
    r"Decrypted the \d+ bytes of \w+\. Answered: (?P<answered>.*?)\. .*Failed: (?P<failed>.*?)\.(?: Cost: .*)?$"
)


def run_report(sandbox: Sandbox, stop_signal: StopSignal, progress: Progress) -> None:
    """Run the example DAG, verify its result and show it.

    Args:
        sandbox: The running sandbox.
        stop_signal: Checked during every wait.
        progress: Reports the steps and shows the result.

    Raises:
        SandboxError: A task fails, or the plaintext or the report is wrong.
        StopRequestedError: The sandbox was told to stop.
    """
    api = sandbox.api
    api.wait_for_dag(DAG_ID)
    api.unpause(DAG_ID)
    run_id = api.wait_for_run(DAG_ID)
    progress.step(f"the scheduler started {DAG_ID}, run {run_id}")
    tasks = _follow(sandbox, run_id, stop_signal, progress)
    ticket = api.xcom(DAG_ID, run_id, "session")
    report = api.xcom(DAG_ID, run_id, "report")
    _verify(sandbox, ticket, report)
    progress.step("the plaintext is identical to the original")
    _show(sandbox, progress, tasks, report, _nodes(api, run_id, tasks))


def _follow(sandbox: Sandbox, run_id: str, stop_signal: StopSignal, progress: Progress) -> list[TaskState]:
    api, deadline, seen = sandbox.api, Deadline.after(_RUN_S), set[tuple[str, str]]()
    while True:
        sandbox.children.check()
        tasks = api.tasks(DAG_ID, run_id)
        for task in tasks:
            if task.pid and ("running", task.task_id) not in seen:
                seen.add(("running", task.task_id))
                progress.step(f"task {task.task_id} runs, process {task.pid}")
            if task.state in _FAILED:
                lines = "\n".join(api.log_lines(DAG_ID, run_id, task)[-_TAIL_LINES:])
                raise SandboxError(f"Task {task.task_id} failed.", details=lines)
            if task.finished and ("done", task.task_id) not in seen:
                seen.add(("done", task.task_id))
                progress.step(f"task {task.task_id}: {task.state} after {task.took_s:.1f} s")
        if tasks and all(task.finished for task in tasks):
            return tasks
        if not deadline.left_s():
            raise SandboxError(f"The run did not end within {_RUN_S:.0f} s.")
        stop_signal.wait(_POLL_S)


def expected_report(dataset: Path) -> dict[str, object]:
    """Return the report that the example DAG must produce from a dataset."""
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
        raise SandboxError(f"The session does not belong to wallet {sandbox.wallet}.")
    if sandbox.plaintext.read_bytes() != sandbox.dataset.read_bytes():
        raise SandboxError("The decrypted file differs from the original.")
    if report != expected_report(sandbox.dataset):
        raise SandboxError("The report does not match the dataset.", details=f"reported: {report}")


def _nodes(api: AirflowApi, run_id: str, tasks: list[TaskState]) -> list[str]:
    decrypt = next(task for task in tasks if task.task_id == "decrypt")
    for line in api.log_lines(DAG_ID, run_id, decrypt):
        if found := _ANSWERED.search(line):
            return [f"answered: {found['answered']}", f"failed:   {found['failed']}"]
    raise SandboxError("The log of the decrypt task does not name the nodes that answered.")


def _show(
    sandbox: Sandbox, progress: Progress, tasks: list[TaskState], report: object, nodes: list[str]
) -> None:
    lines = sandbox.plaintext.read_text().splitlines()
    shown = [*lines[:_SHOWN_LINES], f"… and {len(lines) - _SHOWN_LINES} more lines"]
    progress.text("Decrypted", shown)
    if isinstance(report, dict):
        progress.text("Report", [f"rows     {report['rows']}", f"SHA-256  {report['sha256']}"])
        progress.rows("Revenue", ["region", "EUR"], list(report["revenue"].items()))
    progress.text("Signed by", [sandbox.wallet])
    progress.text("Nodes", nodes)
    took = [(task.task_id, str(task.pid), f"{task.took_s:.2f}") for task in tasks]
    progress.rows("Steps", ["task", "process", "seconds"], took)
