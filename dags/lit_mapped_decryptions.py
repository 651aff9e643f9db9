"""Decrypt many parts of a dataset with one session, in mapped tasks.

The DAG decrypts the orders and encrypts them again in parts, one per region and month, under the same
conditions. It opens one session that can decrypt these parts only. Then a mapped task decrypts each part,
in as many processes as Airflow provides. The wallet key is read at most twice, regardless of the number of
parts.

Create the Airflow Variable ``lit_orders_encrypted``, the path of the encrypted CSV file, and two
connections of type Lit: ``lit_renewer``, whose Vault role can read the wallet key, and ``lit_consumer``,
whose role cannot.
"""

import csv
import io
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from airflow.sdk import dag, task

from lit_airflow.operators import LitSessionSigsOperator
from lit_airflow.provider.files import read_container

ENCRYPTED = "{{ var.value.lit_orders_encrypted }}"


def to_csv(rows: list[dict[str, str]]) -> bytes:
    """Return rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@task
def total(revenues: list[str]) -> str:
    """Return the sum of the revenues of all parts."""
    return str(sum((Decimal(revenue) for revenue in revenues), Decimal()))


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    tags=["lit"],
)
def lit_mapped_decryptions() -> None:
    """Split the orders, open a session for the parts, decrypt each and add up the revenues."""
    whole = LitSessionSigsOperator(task_id="session", encrypted=ENCRYPTED, lit_conn_id="lit_renewer")

    @task.lit(session=whole.output, lit_conn_id="lit_consumer")
    def split(lit: Any, path: str) -> list[dict[str, Any]]:  # noqa: ANN401 - lit_airflow.decorators.OpenSession
        """Return one container per region and month; containers contain nothing secret."""
        rows = list(csv.DictReader(lit.decrypt(path).decode().splitlines()))
        parts: defaultdict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
        for row in rows:
            parts[row["region"], row["date"][:7]].append(row)
        conditions = read_container(path)
        return [lit.encrypt(to_csv(part), conditions) for _, part in sorted(parts.items())]

    parts = split(ENCRYPTED)
    session = LitSessionSigsOperator(task_id="session_for_parts", encrypted=parts, lit_conn_id="lit_renewer")

    @task.lit(session=session.output, lit_conn_id="lit_consumer")
    def revenue(lit: Any, part: dict[str, Any]) -> str:  # noqa: ANN401 - lit_airflow.decorators.OpenSession
        """Return the revenue of the orders in one part."""
        rows = csv.DictReader(lit.decrypt(part).decode().splitlines())
        return str(sum((int(row["quantity"]) * Decimal(row["unit_price"]) for row in rows), Decimal()))

    total(revenue.expand(part=parts))


lit_mapped_decryptions()
