"""A message that nobody can read before its time, and a task that waits for that without taking a worker slot.

The message is encrypted under a time lock: the nodes let anybody decrypt it once the latest Ethereum block is late
enough, and nobody before. The sensor knows the time from the conditions and sleeps in the triggerer until then.
Back in a worker, it asks the nodes; if the block is late, it asks again after a while, and then ever less often.

Start it with ``{"opens_in_s": 30, "message": "…"}``. It needs two connections of type Lit: ``lit_renewer``, whose
Vault role may read the wallet key, and ``lit_consumer``, whose role may not. A lock that opens after the session's
end wants a published session instead, and something that keeps it fresh: see ``lit_session_refresh``.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from lit_airflow.hooks import LitHook
from lit_airflow.operators import LitDecryptOperator, LitSessionSigsOperator
from lit_airflow.sensors import LitConditionSensor


@task
def lock(params: Any = None) -> dict[str, Any]:  # noqa: ANN401 - Airflow passes the run's
    """The message, encrypted until then; nothing in the container is secret."""
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
    """Encrypt until a time, wait for it, decrypt."""
    locked = lock()
    session = LitSessionSigsOperator(task_id="session", encrypted=locked, lit_conn_id="lit_renewer")
    wait = LitConditionSensor(
        task_id="wait", encrypted=locked, session=session.output, lit_conn_id="lit_consumer", deferrable=True
    )
    decrypt = LitDecryptOperator(
        task_id="decrypt",
        encrypted=locked,
        session=session.output,
        push_plaintext=True,  # a message that is meant to be read; it stands in XCom from then on
        lit_conn_id="lit_consumer",
    )
    wait >> decrypt


lit_time_lock()
