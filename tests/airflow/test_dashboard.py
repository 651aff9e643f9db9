"""The Grafana dashboard shows the metrics that are emitted, all of them, and nothing else."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

from lit_airflow import errors
from lit_airflow.provider import telemetry
from tests.airflow.test_telemetry import Metrics, sending_to

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana.json"


def emitted() -> set[str]:
    """Every metric, as Prometheus gets it from a StatsD exporter."""
    metrics = Metrics()
    with sending_to(metrics.provider):
        with telemetry.making_session():
            pass
        telemetry.session_reused()
        with telemetry.decrypting(datetime.now(UTC)):
            pass
        telemetry.failed(errors.VaultDeniedError("x"))
        names = metrics.read()
    metrics.provider.shutdown()
    return {f"airflow_{name}".replace(".", "_") for name in names}


def shown() -> set[str]:
    """Every metric, or pattern of metrics, that a panel asks for."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    expressions = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    found = set(re.findall(r"airflow_[a-z_.+]+", expressions))
    return {re.sub(r"_(sum|count)$", "", name) for name in found}


def test_every_metric_of_the_dashboard_is_emitted() -> None:
    names = emitted()
    assert [each for each in shown() if not any(re.fullmatch(each, name) for name in names)] == []


def test_every_metric_that_is_emitted_is_shown() -> None:
    patterns = shown()
    assert [name for name in emitted() if not any(re.fullmatch(each, name) for each in patterns)] == []
