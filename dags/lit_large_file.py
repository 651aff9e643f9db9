"""Encrypt and decrypt a file of any size in a few megabytes of memory.

The DAG writes a file of random bytes, encrypts it as an envelope (Lit encrypts a data key, and the data key
encrypts the file in segments), decrypts it with a session for this file only, and compares the two files.
While a task works on the file, it logs its progress every ten seconds.

Run it with ``{"megabytes": 1000}``. Create two Airflow Variables: ``lit_large_folder``, a local folder or
an object-storage URL, and ``lit_wallet``, the address of the wallet that can decrypt. Create two
connections of type Lit: ``lit_renewer``, whose Vault role can read that wallet's key, and ``lit_consumer``,
whose role cannot.
"""

import hashlib
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from lit_airflow.operators import LitDecryptOperator, LitEncryptOperator, LitSessionSigsOperator
from lit_airflow.provider import files

FOLDER = "{{ var.value.lit_large_folder }}"
PLAIN, SEALED, OPENED = f"{FOLDER}/plain", f"{FOLDER}/sealed.lit", f"{FOLDER}/opened"
ONLY_THE_WALLET = {
    "chain": "ethereum",
    "accessControlConditions": [
        {
            "contractAddress": "",
            "standardContractType": "",
            "chain": "ethereum",
            "method": "",
            "parameters": [":userAddress"],
            "returnValueTest": {"comparator": "=", "value": "{{ var.value.lit_wallet }}"},
        }
    ],
}


@task
def make(path: str, params: Any = None) -> None:  # noqa: ANN401 - Airflow passes the run's params
    """Write a file of random bytes."""
    with files.writing(path) as target:
        for _ in range(params["megabytes"]):
            target.write(os.urandom(10**6))


@task
def compare(*paths: str) -> str:
    """Return the SHA-256 of the files; fail if they differ."""
    digests = set()
    for path in paths:
        with files.reading(path) as source:
            digests.add(hashlib.file_digest(source, "sha256").hexdigest())  # type: ignore[arg-type]
    (digest,) = digests
    return digest


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    params={"megabytes": Param(64, type="integer", minimum=0, maximum=100_000)},
    doc_md=__doc__,
    tags=["lit"],
)
def lit_large_file() -> None:
    """Make a file, encrypt it, open a session for it, decrypt it and compare."""
    encrypt = LitEncryptOperator(
        task_id="encrypt",
        input_path=PLAIN,
        conditions=ONLY_THE_WALLET,
        output_path=SEALED,
        envelope=True,  # for a file of any length
        lit_conn_id="lit_consumer",
    )
    session = LitSessionSigsOperator(task_id="session", encrypted=SEALED, lit_conn_id="lit_renewer")
    decrypt = LitDecryptOperator(
        task_id="decrypt",
        encrypted=SEALED,
        session=session.output,
        output_path=OPENED,
        lit_conn_id="lit_consumer",
    )
    make(PLAIN) >> encrypt >> session >> decrypt >> compare(PLAIN, OPENED)


lit_large_file()
