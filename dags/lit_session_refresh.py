"""One session for several DAGs: this file keeps it fresh, and any DAG asks for it by name.

``lit_session_refresh`` runs every ten minutes. While the published session has more than 25 minutes left, it stays;
else the task takes the wallet's key from Vault for one signature and publishes a new session. So one run may fail,
and another be late, before anybody is without.

``lit_session_consumer`` runs whenever that is done. It never needs the key: it asks Vault for the session called
``orders``. A DAG with any other schedule may do the same.

Set the Airflow Variable ``lit_orders_encrypted``, the path of the encrypted CSV, and two connections of type Lit:
``lit_renewer``, whose Vault role may read the key and publish, and ``lit_consumer``, whose role may only fetch.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, task

from lit_airflow.assets import session_asset
from lit_airflow.operators import LitSessionSigsOperator

NAME = "orders"
ENCRYPTED = "{{ var.value.lit_orders_encrypted }}"
START = datetime(2026, 1, 1, tzinfo=UTC)
RETRYING = {"retries": 2, "retry_delay": timedelta(seconds=30)}


@dag(
    schedule=timedelta(minutes=10),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=RETRYING,
    doc_md=__doc__,
    tags=["lit"],
)
def lit_session_refresh() -> None:
    """Publish a session that may decrypt the orders, if the published one does not last."""
    LitSessionSigsOperator(
        task_id="session", encrypted=ENCRYPTED, name=NAME, lead_s=25 * 60, lit_conn_id="lit_renewer"
    )


@dag(
    schedule=session_asset(NAME),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=RETRYING,
    doc_md=__doc__,
    tags=["lit"],
)
def lit_session_consumer() -> None:
    """Count the orders with the published session."""

    @task.lit(session=NAME, lit_conn_id="lit_consumer")
    def count(lit: Any, path: str) -> int:  # noqa: ANN401 - lit_airflow.decorators.OpenSession
        """How many orders there are; of the plaintext itself, nothing goes to XCom."""
        return len(lit.decrypt(path).splitlines()) - 1

    count(ENCRYPTED)


lit_session_refresh()
lit_session_consumer()
