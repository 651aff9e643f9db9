"""Which task of which run made a ticket or sealed a plaintext, or uses one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that a ticket belongs to, or is used in; as the ticket's facts bind it.

    Attributes:
        dag_id: The DAG; empty outside any task.
        run_id: The DAG run.
        task_id: The task.
    """

    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""

    @property
    def task(self) -> str:
        """``dag_id.task_id``; empty outside any task."""
        return f"{self.dag_id}.{self.task_id}" if self.dag_id else ""
