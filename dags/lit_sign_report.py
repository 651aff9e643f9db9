"""Sign a report's hash with a key that never leaves the network's enclave, and check the signature downstream.

The connection names the key that signs (``sign_pkp``); what signs is an action that the package ships. The operator
verifies the signature before it hands it on. The last task trusts nobody: it computes the hash again and recovers
the signer.

It needs a connection of type Lit, ``lit_actions``, to a network that signs, with ``sign_pkp``; and an Airflow
Variable ``lit_report``, the path of any file. See docs/actions.md, also on what a PKP is good for today.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import ObjectStoragePath, Variable, dag, task

from lit_airflow.hooks import LitHook
from lit_airflow.keys.wallet import recover
from lit_airflow.operators import LitSignOperator


def statement(run_id: str) -> str:
    """Return what is signed: a sentence that says what the hash is of."""
    digest = hashlib.sha256(ObjectStoragePath(Variable.get("lit_report")).read_bytes()).hexdigest()
    return f"Report of {run_id}, SHA-256 {digest}"


@task
def state(run_id: str | None = None) -> str:
    """Return the text to sign."""
    return statement(str(run_id))


@task
def check(signed: Any, run_id: str | None = None) -> str:  # noqa: ANN401 - a reference to the signature
    """Return who signed the report as it is now."""
    signer = recover(statement(str(run_id)), signed["signature"])
    expected = LitHook("lit_actions").settings.signing_policy().signer
    if signer != expected:
        raise ValueError(
            f"The report was changed since it was signed, or signed by {signer}, not {expected}."
        )
    return signer


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    tags=["lit"],
)
def lit_sign_report() -> None:
    """State, sign, check."""
    signed = LitSignOperator(task_id="sign", message=state(), lit_conn_id="lit_actions")
    check(signed.output)


lit_sign_report()
