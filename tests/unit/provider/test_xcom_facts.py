"""What tasks leave behind of how the nodes answered."""

from __future__ import annotations

from typing import Any

import pytest

from lit_airflow.errors import Failure, FailureKind, NodesUnavailableError
from lit_airflow.provider.xcom_facts import NODES, NodeStats, push_node_stats

NODE = "https://node.example"


class Task:
    def __init__(self) -> None:
        self.left: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:  # noqa: ANN401 - Airflow's
        self.left[key] = value


def test_an_error_that_was_counted_for_an_item_is_not_counted_again_for_the_task() -> None:
    task, tally = Task(), NodeStats()
    error = NodesUnavailableError(
        "no", needed=2, reached=1, failures={NODE: Failure(FailureKind.TIMEOUT, "silent")}
    )
    tally.failed(error)
    with pytest.raises(NodesUnavailableError), push_node_stats(task, tally):
        raise error
    assert task.left[NODES][NODE]["failed"] == 1


def test_each_error_counts() -> None:
    task, tally = Task(), NodeStats()
    for words in ("silent", "silent", "late"):
        cause = Failure(FailureKind.TIMEOUT, words)
        tally.failed(NodesUnavailableError("no", needed=2, reached=1, failures={NODE: cause}))
    with push_node_stats(task, tally):
        pass
    assert task.left[NODES][NODE] == {
        "answered": 0,
        "took_ms": 0,
        "left_out": 0,
        "failed": 3,
        "cause": "late",
        "kind": "timeout",
    }
