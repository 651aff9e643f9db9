"""Encrypt a message with a time lock, and wait without a worker slot until the nodes decrypt it.

The message has a time lock: the nodes let anyone decrypt it once the latest Ethereum block is past that
time. The sensor reads the time from the conditions and waits in the triggerer. Then it asks the nodes from
a worker. If the block is late, it asks again, at increasing intervals.

Run it with ``{"opens_in_s": 30, "message": "…"}``. It needs two connections of type Lit: ``lit_renewer``,
whose Vault role can read the wallet key, and ``lit_consumer``, whose role cannot. If the lock opens after
the session expires, use a published session instead, which another DAG renews: see ``lit_session_refresh``.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from lit_airflow.hooks import LitHook
from lit_airflow.operators import LitDecryptOperator, LitSessionSigsOperator
from lit_airflow.sensors import LitConditionSensor


@task
def lock(params: Any = None) -> dict[str, Any]:  # noqa: ANN401 - Airflow passes the run's params
    """Return the encrypted message; the container contains nothing secret."""
    opens_at = datetime.now(UTC) + timedelta(seconds=params["opens_in_s"])
    condition = {
        "contractAddress": "",
        "standardContractType": "timestamp",
        "chain": "ethereum",
        "method": "eth_getBlockByNumber",
        "parameters": ["latest"],
        "returnValueTest": {"comparator": ">=", "value": str(int(opens_at.timestamp()))},
    }
    conditions = {"accessControlConditions": [condition], "chain": "ethereum"}
    return LitHook("lit_consumer").encrypt(params["message"].encode(), conditions)


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    params={
        "opens_in_s": Param(30, type="integer", minimum=0, maximum=3000),
        "message": Param("Not before its time.", type="string"),
    },
    doc_md=__doc__,
    tags=["lit"],
)
def lit_time_lock() -> None:
    """Encrypt a message with a time lock, wait until it opens, and decrypt."""
    locked = lock()
    session = LitSessionSigsOperator(task_id="session", encrypted=locked, lit_conn_id="lit_renewer")
    wait = LitConditionSensor(
        task_id="wait", encrypted=locked, session=session.output, lit_conn_id="lit_consumer", deferrable=True
    )
    decrypt = LitDecryptOperator(
        task_id="decrypt",
        encrypted=locked,
        session=session.output,
        push_plaintext=True,  # the message is meant to be read, so it may be in XCom
        lit_conn_id="lit_consumer",
    )
    wait >> decrypt


lit_time_lock()
