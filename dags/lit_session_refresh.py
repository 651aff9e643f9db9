"""Share one session between several DAGs: one DAG renews it, and other DAGs get it by name.

``lit_session_refresh`` runs every ten minutes. If the published session has more than 25 minutes left, it
does nothing; otherwise it reads the wallet key from Vault for one signature and publishes a new session. So
one run can fail and another can be late before the session expires.

``lit_session_consumer`` runs after each of these runs. It does not need the key: it gets the session named
``orders`` from Vault. A DAG with any other schedule can do the same.

Create the Airflow Variable ``lit_orders_encrypted``, the path of the encrypted CSV file, and two
connections of type Lit: ``lit_renewer``, whose Vault role can read the key and publish, and
``lit_consumer``, whose role can only get the session.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, task

from lit_airflow.assets import session_asset
from lit_airflow.operators import LitSessionSigsOperator

NAME = "orders"
ENCRYPTED = "{{ var.value.lit_orders_encrypted }}"
START = datetime(2026, 1, 1, tzinfo=UTC)
RETRIES = {"retries": 2, "retry_delay": timedelta(seconds=30)}


@dag(
    schedule=timedelta(minutes=10),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=RETRIES,
    doc_md=__doc__,
    tags=["lit"],
)
def lit_session_refresh() -> None:
    """Publish a new session for the orders if the published one expires soon."""
    LitSessionSigsOperator(
        task_id="session", encrypted=ENCRYPTED, name=NAME, lead_s=25 * 60, lit_conn_id="lit_renewer"
    )


@dag(
    schedule=session_asset(NAME),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=RETRIES,
    doc_md=__doc__,
    tags=["lit"],
)
def lit_session_consumer() -> None:
    """Count the orders with the published session."""

    @task.lit(session=NAME, lit_conn_id="lit_consumer")
    def count(lit: Any, path: str) -> int:  # noqa: ANN401 - lit_airflow.decorators.OpenSession
        """Return the number of orders. The plaintext itself does not go to XCom."""
        return len(lit.decrypt(path).splitlines()) - 1

    count(ENCRYPTED)


lit_session_refresh()
lit_session_consumer()
