"""A daily report on a dataset that only one wallet can decrypt.

Create two Airflow Variables: ``lit_orders_encrypted``, the path of the encrypted CSV file, and
``lit_orders_plaintext``, the path for the decrypted file. Create two connections of type Lit:
``lit_renewer``, whose Vault role can read the wallet key, and ``lit_consumer``, whose role cannot.
"""

import csv
import hashlib
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from airflow.sdk import ObjectStoragePath, dag, task

from lit_airflow.operators import LitDecryptOperator, LitSessionSigsOperator

ENCRYPTED = "{{ var.value.lit_orders_encrypted }}"
PLAINTEXT = "{{ var.value.lit_orders_plaintext }}"


@task
def report(path: str) -> dict[str, object]:
    """Return rows, digest and revenue per region. The plaintext itself does not go to XCom."""
    raw = ObjectStoragePath(path).read_bytes()
    rows = list(csv.DictReader(raw.decode().splitlines()))
    revenue: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        revenue[row["region"]] += int(row["quantity"]) * Decimal(row["unit_price"])
    return {
        "sha256": hashlib.sha256(raw).hexdigest(),
        "rows": len(rows),
        "revenue": {region: str(amount) for region, amount in sorted(revenue.items())},
    }


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    tags=["lit"],
)
def lit_decrypt_report() -> None:
    """Open a session for this dataset only, decrypt it and report on it."""
    session = LitSessionSigsOperator(task_id="session", encrypted=ENCRYPTED, lit_conn_id="lit_renewer")
    decrypt = LitDecryptOperator(
        task_id="decrypt",
        encrypted=ENCRYPTED,
        session=session.output,
        output_path=PLAINTEXT,
        lit_conn_id="lit_consumer",
    )
    report(decrypt.output)


lit_decrypt_report()
