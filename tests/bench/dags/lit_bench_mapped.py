"""Mapped tasks that do nothing, log in to Vault, or decrypt; ``mapped.py`` gives it to an Airflow of its own."""

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import dag, task

from lit_airflow.operators import LitSessionSigsOperator

ENCRYPTED = "{{ var.value.lit_orders_encrypted }}"
COUNT = 60  # mapped.py writes how many it wants


@dag(schedule="@once", start_date=datetime(2026, 1, 1, tzinfo=UTC), max_active_tasks=1000)
def lit_bench_mapped() -> None:
    """Run one kind after the other, so that each has the machine for itself; open the session when it is needed."""
    session = LitSessionSigsOperator(task_id="session", encrypted=ENCRYPTED, lit_conn_id="lit_renewer")

    @task
    def empty(number: int) -> int:
        return number

    @task
    def login(number: int) -> int:
        """Do with Vault what a decryption does, a login and a request, by Airflow's own hook."""
        from airflow.providers.hashicorp.hooks.vault import VaultHook

        VaultHook("vault_consumer").vault_client.client.auth.token.lookup_self()
        return number

    @task.lit(session=session.output, lit_conn_id="lit_consumer")
    def decrypt(lit: Any, number: int, encrypted: str) -> int:  # noqa: ANN401 - OpenSession
        return number + len(lit.decrypt(encrypted))

    numbers = list(range(COUNT))
    decrypted = decrypt.partial(encrypted=ENCRYPTED).expand(number=numbers)
    empty.expand(number=numbers) >> login.expand(number=numbers) >> session >> decrypted  # type: ignore[operator]


lit_bench_mapped()
