"""What an administrator adds where workers differ in what Vault lets them: tasks go where their role is.

Airflow imports this module into every process of the deployment, task processes included.
"""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import brakes

__all__ = ["task_policy"]

PAGE = Path(__file__).parents[3] / "docs" / "workers.md"
WRITTEN: dict[str, Any] = {}

brakes.install()
exec(*re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE), WRITTEN)


def task_policy(task: Any) -> None:  # noqa: ANN401 - any operator
    """As the page says, also of the other network's connection; and with retries that a test need not wait for."""
    WRITTEN["task_policy"](task)
    if getattr(task, "lit_conn_id", None) == "lit_renewer_on_chipotle":
        task.queue = "renewer"
    task.retries = 9
    task.retry_delay = timedelta(seconds=1)


def worker_name() -> str:
    """Airflow notes it as the host on which a task ran: here, the workers share one."""
    return os.environ.get("WORKER", "control")
