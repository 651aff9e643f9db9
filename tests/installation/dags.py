"""What runs on the shared installation: the examples, the demo with something wrong, and DAGs of the tests' own."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes, token_urlsafe
from textwrap import dedent

from lit_airflow.sandbox.examples import DAG_ID, example_dags
from lit_airflow.sandbox.processes import free_port
from tests.installation.beside import ON_CHIPOTLE, write_dag_on_chipotle

TIME_LOCK = "lit_time_lock"
EXAMPLES: dict[str, dict[str, object] | None] = {
    DAG_ID: {},
    "lit_session_refresh": {},
    "lit_session_consumer": None,  # started by the asset that the one above updates
    "lit_mapped_decryptions": {},
    TIME_LOCK: {"message": "Not before its time."},
    "lit_large_file": {"megabytes": 2},
}
"""DAG of ``dags/`` -> the configuration of its run."""

ELSEWHERE = (
    "lit_verify_enclave",
    "lit_enclave_changed",
    "lit_rotate_api_key",
    "lit_run_action",
    "lit_sign_report",
)
"""Examples for another network: ``tests/airflow/test_enclave.py`` and ``tests/pipelines`` run them."""

SCHEDULED = (DAG_ID, "lit_session_refresh")
"""These have a schedule: the scheduler starts their run as soon as they are unpaused."""

FERNET = urlsafe_b64encode(token_bytes(32)).decode()
WRONG_SECRET_ID = token_urlsafe(24)


@dataclass(frozen=True)
class Failure:
    """A way in which the demo DAG fails: one of its connections is another.

    Attributes:
        role: Whose.
        error: What the log says.
        lit: Fields of the Lit connection that differ.
        vault: Of its Vault connection.
    """

    role: str
    error: str
    lit: Mapping[str, object] = field(default_factory=dict)
    vault: Mapping[str, object] = field(default_factory=dict)

    @property
    def task_id(self) -> str:
        """The task that fails."""
        return "session" if self.role == "renewer" else "decrypt"


FAILURES = {
    "another_wallet": Failure("renewer", "WalletKeyError", lit={"wallet_address": "0x" + "11" * 20}),
    "no_login": Failure("renewer", "VaultDeniedError", vault={"password": WRONG_SECRET_ID}),
    "vault_away": Failure("consumer", "VaultUnavailableError", vault={"port": free_port()}),
    "another_seal": Failure("consumer", "TicketError", lit={"seal": "fernet", "seal_secret": FERNET}),
}

OWN = {"long_work": 1, "racing": 2, ON_CHIPOTLE: 1}
"""DAG of ``OWN_DAGS``, or the demo on Chipotle -> how many runs of it go on at the same time."""

OWN_DAGS = """
    import time
    from airflow.sdk import dag, task
    from lit_airflow.hooks import LitHook
    from lit_airflow.operators import LitKeepAliveOperator, LitSessionSigsOperator

    ENCRYPTED = "{{ var.value.lit_orders_encrypted }}"
    # Renewed when half of its life is over; the other half is for a busy machine, where a renewal may come late.
    KEPT = {"encrypted": ENCRYPTED, "name": "kept", "ttl_s": 90, "lead_s": 80, "lit_conn_id": "lit_renewer"}


    @dag(schedule=None)
    def long_work():
        session = LitSessionSigsOperator(task_id="session", **KEPT)

        @task.lit(session="kept", lit_conn_id="lit_consumer")
        def work(lit, path):
            published = first = lit.session.public_key
            while published == first:
                assert lit.decrypt(path)
                time.sleep(1)
                published = LitHook("lit_consumer").hold("kept").session.public_key
            return [first, published]

        session >> [LitKeepAliveOperator(task_id="keep_alive", poll_s=1, **KEPT), work(ENCRYPTED)]


    @dag(schedule=None, max_active_runs=4)
    def racing():
        session = LitSessionSigsOperator(
            task_id="session", encrypted=ENCRYPTED, name="raced", lit_conn_id="lit_renewer"
        )

        @task.lit(session=session.output, lit_conn_id="lit_consumer")
        def ticket(lit, path):
            return len(lit.decrypt(path))

        @task.lit(session="raced", lit_conn_id="lit_consumer")
        def name(lit, path):
            return len(lit.decrypt(path))

        ticket(ENCRYPTED) >> name(ENCRYPTED)


    long_work()
    racing()
"""


def write_dags(folder: Path) -> Path:
    """The demo DAG once for each failure, with the connection that fails; and those of ``OWN``."""
    text = (example_dags() / f"{DAG_ID}.py").read_text()
    folder.mkdir()
    for name, failure in FAILURES.items():
        renamed = text.replace(DAG_ID, name).replace(f'"lit_{failure.role}"', f'"lit_{name}"')
        (folder / f"{name}.py").write_text(
            renamed.replace('"@daily"', "None").replace('"retries": 2', '"retries": 0')
        )
    (folder / "own.py").write_text(dedent(OWN_DAGS))
    write_dag_on_chipotle(folder)
    return folder
