"""What an administrator adds where workers differ in what Vault lets them: tasks go where their role is.

Airflow imports this module into every process of the deployment, task processes included.
"""

import os
from datetime import timedelta

import brakes

__all__ = ["task_policy"]

brakes.install()


def task_policy(task: object) -> None:
    """The demo DAG itself names no queue."""
    vars(task)["queue"] = "renewer" if getattr(task, "lit_conn_id", None) == "lit_renewer" else "consumer"
    vars(task)["retries"] = 9
    vars(task)["retry_delay"] = timedelta(seconds=1)


def worker_name() -> str:
    """Airflow notes it as the host on which a task ran: here, the workers share one."""
    return os.environ.get("WORKER", "control")
