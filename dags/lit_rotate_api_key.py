"""Rotate the API key that decrypting tasks pay with, on networks that need one.

An API key does not expire, and anyone who has it can spend the account's credit. ``lit_rotate_api_key`` runs once
a day: it makes a new key, waits until it works, writes it to the secret that decrypting roles read,
waits until no task can be using the old key, and revokes that one. Keys that an earlier run has left are revoked
as well.

Prepare the account with ``lit-airflow chipotle setup``, which prints the connection ``lit_account`` for this DAG.
Its Vault role is a third one: it can read the account's key, which neither the renewer nor the consumer can.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag

from lit_airflow.operators import LitRotateApiKeyOperator


@dag(
    schedule=timedelta(days=1),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
    tags=["lit"],
)
def lit_rotate_api_key() -> None:
    """Rotate the API key."""
    LitRotateApiKeyOperator(task_id="rotate", lit_conn_id="lit_account")


lit_rotate_api_key()
