"""Verify every day that the service is the enclave that it says it is, and say when its build changes.

The first DAG asks the service for its evidence: quotes by its processor, the log of what was started, the
compose file and the TLS certificate. It verifies how they belong together, and that its own connection ends
in that machine. It fails where a check fails. When build or machine differ from the day before, it adds an
event of an asset.

The second DAG runs on that event. Here it writes the change to its log; send it to the people who decide.

Create a connection of type Lit, ``lit_consumer``, to a network whose service proves its build, and install
the extra ``attestation`` on the workers.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, task

from lit_airflow.assets import enclave_asset
from lit_airflow.operators import LitVerifyEnclaveOperator

log = logging.getLogger(__name__)


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
    doc_md=__doc__,
    tags=["lit"],
)
def lit_verify_enclave() -> None:
    """Verify the service's build."""
    LitVerifyEnclaveOperator(task_id="verify", lit_conn_id="lit_consumer")


@task
def tell(triggering_asset_events: Any = None) -> list[dict[str, Any]]:  # noqa: ANN401 - Airflow passes the events
    """Return what changed: read the service's announcement before you pin a new build."""
    changes = [dict(event.extra) for events in triggering_asset_events.values() for event in events]
    for change in changes:
        log.warning("The service's build was %(previous_build)s and is %(build)s.", change)
    return changes


@dag(
    schedule=[enclave_asset("lit_consumer")],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    doc_md=__doc__,
    tags=["lit"],
)
def lit_enclave_changed() -> None:
    """Tell people that the build changed."""
    tell()


lit_verify_enclave()
lit_enclave_changed()
