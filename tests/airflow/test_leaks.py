"""The real demo DAG at DEBUG on a real Airflow: no secret is found in anything it leaves behind."""

import base64
import json
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lit_airflow.hooks import LitHook
from lit_airflow.sandbox import assembly
from lit_airflow.sandbox.assembly import DAG_ID, Sandbox, Wishes, open_sandbox
from lit_airflow.sandbox.progress import Progress
from lit_airflow.sandbox.report import run_report
from lit_airflow.sandbox.stopping import Stopping
from lit_airflow.sandbox.vault_server import AppRole, VaultServer
from lit_airflow.secret import Secret
from lit_airflow.session.session import Session
from tests.airflow.leaks import Hunt, cells_of, files_below, hex_secrets
from tests.vault.parts import Connections

KEY = Secret(secrets.token_bytes(32))
FERNET = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@dataclass
class Scene:
    """A sandbox in which the DAG has run well."""

    parts: Sandbox
    renewer: AppRole
    consumer: AppRole
    hunt: Hunt

    def connection(self, role: str) -> dict[str, Any]:
        roles = [self.renewer, self.consumer]
        connections = assembly._connections(self.parts.vault, roles, self.parts.network, self.parts.wallet)
        return next(c for c in connections if c["connection_id"] == f"lit_{role}")

    def change(self, role: str, **extra: object) -> None:
        """Change fields of a role's Lit connection."""
        connection = self.connection(role)
        connection["extra"] = json.dumps({**connection["extra"], **extra})
        self.parts.api._call("PATCH", f"/api/v2/connections/lit_{role}", connection)

    def run_until(self, task_id: str, states: set[str]) -> tuple[str, str]:
        """One more run, until the task is in one of these states; all that its first try logged."""
        api = self.parts.api
        body = {"logical_date": None, "conf": {}}
        run_id = str(api._call("POST", f"/api/v2/dags/{DAG_ID}/dagRuns", body)["dag_run_id"])
        end = time.monotonic() + 60
        while True:
            task = next(t for t in api.tasks(DAG_ID, run_id) if t.task_id == task_id)
            if task.state in states:
                return run_id, "\n".join(api.log_lines(DAG_ID, run_id, task))
            assert time.monotonic() < end, task
            time.sleep(0.3)

    def end(self, run_id: str) -> None:
        self.parts.api._call("PATCH", f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}", {"state": "failed"})


def everything(parts: Sandbox) -> Iterator[tuple[str, bytes]]:
    """All files of the sandbox (databases, logs of tasks and components, settings), and the tables' cells."""
    yield from files_below(parts.home)
    yield from cells_of(parts.airflow.database)


@pytest.fixture(scope="module")
def roles() -> Iterator[list[AppRole]]:
    """The roles that the sandbox's server gives out; it tells nobody else."""
    noted: list[AppRole] = []
    set_up = VaultServer.set_up

    def note(self: VaultServer, *arguments: object) -> tuple[AppRole, AppRole]:
        made = set_up(self, *arguments)  # type: ignore[arg-type]
        noted.extend(made)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VaultServer, "set_up", note)
        yield noted


@pytest.fixture(scope="module")
def scene(roles: list[AppRole]) -> Iterator[Scene]:
    wishes = Wishes(examples="lit_decrypt_report.py", triggerer=False, log_level="DEBUG", wallet_key=KEY)
    with open_sandbox(Stopping(), Progress(), wishes) as parts:
        run_report(parts, Stopping(), Progress())
        renewer, consumer = roles
        session = open_as_consumer(parts, consumer)
        hunted: dict[str, bytes] = hex_secrets("wallet key", KEY.reveal().hex())
        for role in roles:
            hunted[f"secret_id of {role.name}"] = role.secret_id.reveal()
        assert session.key is not None
        hunted |= hex_secrets("session key", session.key.seed.reveal().hex())
        for number, signed in enumerate(session.session_sigs.values()):
            hunted |= hex_secrets(f"session sig {number}", signed["sig"])
        hunted |= hex_secrets("delegation", session.capabilities[-1]["sig"])
        yield Scene(parts, renewer, consumer, Hunt(hunted))


def open_as_consumer(parts: Sandbox, role: AppRole) -> Session:
    """What the decrypt task held: the ticket out of XCom, opened with its role."""
    run_id = parts.api.wait_for_run(DAG_ID)
    with pytest.MonkeyPatch.context() as patch:
        connections = Connections(patch, parts.network)
        connections.vault("vault_consumer", parts.vault.port, role)
        connections.lit("lit_consumer", "vault_consumer")
        return LitHook("lit_consumer").open_ticket(parts.api.xcom(DAG_ID, run_id, "session"))


def planted(secret: bytes) -> list[bytes]:
    """The secret in each form, in the middle of other text."""
    forms = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    forms.append(json.dumps({"x": secret.decode("latin-1")}).encode())
    for before in range(6):
        neighbours = os.urandom(before) + secret + b"tail"
        forms += [base64.b64encode(neighbours), base64.urlsafe_b64encode(neighbours)]
    return [b"before " + form + b" after" for form in forms]


def test_the_search_finds_what_is_planted(scene: Scene) -> None:
    """Otherwise finding nothing would mean nothing."""
    for name, secret in scene.hunt.secrets.items():
        for content in planted(secret):
            assert name in scene.hunt.found_in(content), name
    assert len(scene.hunt.secrets) == 2 + 2 + 2 + 3 * 2 + 2
    assert scene.hunt.found_in(b"X-Vault-Token: s.AbCdEfGhIjKlMnOpQrStUvWx") == {"a token"}
    assert scene.hunt.found_in(b"hvs.CAESIAbCdEfGhIjKlMnOpQrStUvWx") == {"a token"}
    assert scene.hunt.found_in(b"nothing of note") == set()


def test_the_search_finds_what_is_planted_in_a_database(scene: Scene, tmp_path: Path) -> None:
    """Also where a long value is cut up by page boundaries, and where JSON escapes it."""
    database, secret = tmp_path / "db", scene.hunt.secrets["session key (bytes)"]
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE stored (value)")
    for content in planted(secret):
        for padding in range(3900, 4200, 16):
            connection.execute("INSERT INTO stored VALUES (?)", [b" " * padding + content])
    twice = json.dumps({"x": json.dumps({"y": secret.decode("latin-1")})})
    connection.execute("INSERT INTO stored VALUES (?)", [twice])
    connection.commit()
    connection.close()
    leaks = scene.hunt.leaks(cells_of(database))
    assert len(leaks) == 16 * 19 + 1
    assert all("session key (bytes)" in found for found in leaks.values())


def test_the_search_reaches_database_logs_and_xcom(scene: Scene) -> None:
    """Public facts of the run, hunted as if they were secret, are found where they should be."""
    places = dict(everything(scene.parts))
    assert len([place for place in places if place.startswith("airflow/logs/")]) >= 3
    assert {f"logs/airflow-{each}.log" for each in ("scheduler", "api-server", "dag-processor")} <= set(
        places
    )
    wallet = Hunt({"wallet": scene.parts.wallet.encode()})
    found = " ".join(wallet.leaks(iter(places.items())))
    assert {"connection", "log", "task_instance"} <= {place.partition(".")[0] for place in places}
    for place in ("airflow/airflow.db", "xcom.value", "rendered_task_instance_fields.", "airflow/logs/"):
        assert place in found
    debug = [content for place, content in places.items() if place.startswith("airflow/logs/")]
    assert b'"level":"debug"' in b"".join(debug)


def test_a_good_run_leaks_nothing(scene: Scene) -> None:
    assert scene.hunt.leaks(everything(scene.parts)) == {}


def test_the_rest_api_leaks_nothing(scene: Scene) -> None:
    api, run_id = scene.parts.api, scene.parts.api.wait_for_run(DAG_ID)
    run = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}"
    answers = {
        path: json.dumps(api._call("GET", path)).encode()
        for path in (
            "/api/v2/connections",
            "/api/v2/variables",
            "/api/v2/eventLogs",
            run,
            f"{run}/taskInstances",
            *(f"{run}/taskInstances/{task}" for task in ("session", "decrypt", "report")),
            *(
                f"{run}/taskInstances/{task}/logs/1?full_content=true"
                for task in ("session", "decrypt", "report")
            ),
            f"{run}/taskInstances/session/xcomEntries/return_value",
        )
    }
    assert scene.hunt.leaks(iter(answers.items())) == {}


def test_the_rest_api_masks_the_seals_key_and_nothing_else(scene: Scene) -> None:
    scene.change("consumer", seal_secret=FERNET)
    answer = scene.parts.api._call("GET", "/api/v2/connections/lit_consumer")
    extra = json.loads(answer["extra"])
    assert extra.pop("seal_secret") == "***"
    assert "***" not in extra.values()
    assert extra["vault_conn_id"] == "vault_consumer"
    fernet = Hunt({"Fernet key": FERNET.encode()})
    assert fernet.leaks(everything(scene.parts)) == {}
    scene.change("consumer")


def test_a_failing_decryption_leaks_nothing(scene: Scene) -> None:
    """Too few nodes: retried, with the error's text and traceback in the log."""
    urls = scene.parts.network.description["nodes"]
    assert isinstance(urls, list)
    for node in (0, 2):
        scene.parts.network.stop_node(node)
    run_id, shown = scene.run_until("decrypt", {"up_for_retry"})
    for node in (0, 2):
        scene.parts.network.start_node(node)
        assert f"{urls[node]}: connection refused" in shown
    scene.end(run_id)
    assert "NodesUnavailableError" in shown
    assert scene.hunt.leaks(everything(scene.parts)) == {}


def test_a_denied_renewal_leaks_nothing(scene: Scene) -> None:
    """A role that may not read the key: it fails at once."""
    scene.change("renewer", vault_conn_id="vault_consumer", session_ttl_s=7200, renewal_lead_s=7100)
    run_id, shown = scene.run_until("session", {"failed", "up_for_retry"})
    scene.change("renewer")
    assert "VaultDeniedError" in shown
    assert "secret/lit/wallet" in shown
    task = next(t for t in scene.parts.api.tasks(DAG_ID, run_id) if t.task_id == "session")
    assert (task.state, task.try_number) == ("failed", 1)
    assert scene.hunt.leaks(everything(scene.parts)) == {}


def test_what_is_found_is_told_by_name_and_place(scene: Scene, tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.log").write_text("nothing")
    (tmp_path / "bad.log").write_bytes(b"key=0x" + KEY.reveal().hex().encode())
    leaks = scene.hunt.leaks(files_below(tmp_path))
    assert leaks == {"bad.log": {"wallet key (text)", "wallet key (bytes)"}}
