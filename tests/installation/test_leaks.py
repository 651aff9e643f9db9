"""Every example DAG and every failure at DEBUG on a real Airflow: no secret is in anything they leave behind."""

import base64
import json
import os
import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg2
import pytest

from lit_airflow import clock
from lit_airflow.hooks import LitHook
from lit_airflow.keys.wallet import Wallet
from lit_airflow.protocol.session import Session
from lit_airflow.sandbox.examples import DAG_ID
from lit_airflow.sandbox.processes import SandboxError
from lit_airflow.sandbox.progress import Progress
from lit_airflow.sandbox.report import run_report
from lit_airflow.sandbox.stop_signal import StopSignal
from tests.installation.beside import ON_CHIPOTLE
from tests.installation.dags import EXAMPLES, FERNET, OWN, WRONG_SECRET_ID
from tests.installation.leaks import Hunt, cells_of_sqlite, files_below, hex_secrets, session_secrets
from tests.installation.runs import ASKED_OF, Runs
from tests.installation.server import KEY


@dataclass
class Scan:
    """What has run, and what must not be found of it."""

    runs: Runs
    hunt: Hunt


@pytest.fixture(scope="module")
def scan(runs: Runs) -> Scan:
    installation = runs.installation
    hunted: dict[str, bytes] = hex_secrets("wallet key", KEY.reveal().hex())
    for role in ("renewer", "consumer"):
        hunted[f"secret_id of {role}"] = installation.connections[f"vault_{role}"]["password"].encode()
    hunted["refused secret_id"] = WRONG_SECRET_ID.encode()
    hunted["API key"] = installation.api_key.encode()
    hunted["Fernet key"] = FERNET.encode()
    hunted["Airflow password"] = installation.parts.airflow.password.reveal()
    hunted["plaintext"] = installation.parts.dataset.read_bytes().splitlines()[1]
    for name, session in sessions(runs):
        hunted |= session_secrets(name, session)
    return Scan(runs, Hunt(hunted))


def sessions(runs: Runs) -> Iterator[tuple[str, Session]]:
    """Those of all tickets that went through XCom, and the published one, opened as their consumers did."""
    installation, on_chipotle = runs.installation, f"lit_consumer_{ON_CHIPOTLE}"
    with pytest.MonkeyPatch.context() as patch:
        for conn_id in ("vault_consumer", "lit_consumer", on_chipotle):
            connection = {k: v for k, v in installation.connections[conn_id].items() if k != "connection_id"}
            patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        hook = LitHook("lit_consumer")
        yield "published", hook.hold("orders").session
        with closing(psycopg2.connect(installation.database.dsn)) as database, database.cursor() as cursor:
            cursor.execute("SELECT dag_id, task_id, CAST(value AS TEXT) FROM xcom WHERE key = 'return_value'")
            for number, (dag_id, task_id, value) in enumerate(cursor.fetchall()):
                if "session_public_key" not in value:
                    continue
                stored = json.loads(value)
                ticket = json.loads(stored) if isinstance(stored, str) else stored
                # Some are over by now: what they held is searched for all the same.
                end = clock.parse_iso(ticket["expires_at"])
                patch.setattr(clock, "now", lambda: end - timedelta(seconds=1))  # noqa: B023 - called at once
                opener = LitHook(on_chipotle) if dag_id == ON_CHIPOTLE else hook
                yield f"{dag_id}.{task_id}#{number}", opener.open_ticket(ticket)


def planted(secret: bytes) -> list[bytes]:
    """The secret in each form, in the middle of other text."""
    forms = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    forms.append(json.dumps({"x": secret.decode("latin-1")}).encode())
    for before in range(6):
        neighbours = os.urandom(before) + secret + b"tail"
        forms += [base64.b64encode(neighbours), base64.urlsafe_b64encode(neighbours)]
    return [b"before " + form + b" after" for form in forms]


def test_the_search_finds_what_is_planted(scan: Scan) -> None:
    """Otherwise finding nothing would mean nothing."""
    for name, secret in scan.hunt.secrets.items():
        for content in planted(secret):
            assert name in scan.hunt.found_in(content), name
    assert scan.hunt.found_in(b"X-Vault-Token: s.AbCdEfGhIjKlMnOpQrStUvWx") == {"a token"}
    assert scan.hunt.found_in(b"hvs.CAESIAbCdEfGhIjKlMnOpQrStUvWx") == {"a token"}
    assert scan.hunt.found_in(b"nothing of note") == set()


def test_the_search_finds_what_is_planted_in_a_database(scan: Scan, tmp_path: Path) -> None:
    """Also where a long value is cut up by page boundaries, where JSON escapes it, and where it is compressed."""
    database, secret = tmp_path / "db", scan.hunt.secrets["wallet key (bytes)"]
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE stored (value)")
    for content in planted(secret):
        for padding in range(3900, 4200, 16):
            connection.execute("INSERT INTO stored VALUES (?)", [b" " * padding + content])
        connection.execute("INSERT INTO stored VALUES (?)", [zlib.compress(b" " * 4000 + content)])
    twice = json.dumps({"x": json.dumps({"y": secret.decode("latin-1")})})
    connection.execute("INSERT INTO stored VALUES (?)", [twice])
    connection.commit()
    connection.close()
    leaks = scan.hunt.leaks(cells_of_sqlite(database))
    assert len(leaks) == 16 * (19 + 1) + 1
    assert all("wallet key (bytes)" in found for found in leaks.values())


def test_what_is_found_is_told_by_name_and_place(scan: Scan, tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.log").write_text(f"nothing {number}")
    (tmp_path / "bad.log").write_bytes(b"key=0x" + KEY.reveal().hex().encode())
    leaks = scan.hunt.leaks(files_below(tmp_path))
    assert leaks == {"bad.log": {"wallet key (text)", "wallet key (bytes)"}}


def test_the_sessions_of_all_dags_are_searched_for(scan: Scan) -> None:
    of = re.compile(r"session key of (.+?)(?:#\d+)? \(text\)")
    found = {match[1] for name in scan.hunt.secrets if (match := of.fullmatch(name))}
    renewing = {f"{dag_id}.session" for dag_id in (*EXAMPLES, *OWN) if dag_id != "lit_session_consumer"}
    assert found >= {*renewing, "lit_mapped_decryptions.session_for_parts", "published"}


def test_the_search_reaches_all_places(scan: Scan) -> None:
    """Public facts of the runs, hunted as if they were secret, are found where they should be."""
    places = dict(scan.runs.everything_stored())
    for component in ("scheduler", "api-server", "dag-processor", "triggerer"):
        assert f"logs/airflow-{component}.log" in places
    wallet = Hunt({"wallet": scan.runs.installation.parts.wallet.encode()})
    found = " ".join(wallet.leaks(iter(places.items())))
    for place in ("dump", "xcom.value", "rendered_task_instance_fields.", "airflow/logs/"):
        assert place in found
    extras = [place for place in found.split() if place.startswith("asset_event.extra")]
    assert extras, found
    moment = Hunt({"trigger": b"lit_airflow.triggers.LitMomentTrigger"})
    assert [place for place in moment.leaks(iter(places.items())) if place.startswith("deferred: ")]
    assert [place for place in places if place.startswith("deferred: arguments of trigger.kwargs")]
    debug = [content for place, content in places.items() if place.startswith("airflow/logs/dag_id=")]
    assert b'"level":"debug"' in b"".join(debug)
    for told in (b"airflow\0scheduler", b"airflow api_server"):  # the latter writes its own title
        assert any(told in content for content in scan.runs.installation.processes)
    assert len(scan.runs.installation.processes) > 10


def test_nothing_leaks_that_is_stored_logged_or_passed_to_a_process(scan: Scan) -> None:
    assert scan.hunt.leaks(scan.runs.everything_stored()) == {}


def test_the_rest_api_and_the_pages_answer_with_no_secret(scan: Scan) -> None:
    """To the administrator; nobody else is answered more."""
    answers = dict(scan.runs.rest_answers())
    for dag_id in ASKED_OF:
        run_id = scan.runs.ids[dag_id][0]
        assert [place for place in answers if f"/{dag_id}/" in place and run_id in place], dag_id
    assert {place.split("/")[1] for place in answers} >= {"api", "ui"}
    tickets = Hunt({"the fact that it is a ticket": b"session_public_key"})
    assert any("xcomEntries" in place for place in tickets.leaks(iter(answers.items())))
    assert scan.hunt.leaks(iter(answers.items())) == {}


def test_the_rest_api_masks_the_seals_key_and_nothing_else(scan: Scan) -> None:
    extra = json.loads(scan.runs.installation.ask("GET", "/api/v2/connections/lit_another_seal")["extra"])
    assert extra.pop("seal_secret") == "***"
    assert "***" not in extra.values()
    assert extra["vault_conn_id"] == "vault_another_seal"


def test_the_vault_servers_audit_log_has_hmacs_where_the_secrets_were(scan: Scan) -> None:
    log = scan.runs.installation.parts.vault.audit_log.read_bytes()
    lines = [json.loads(line) for line in log.splitlines()]
    sealed = [line for line in lines if line["request"]["path"].startswith("transit/encrypt/")]
    assert sealed
    assert all(str(line["request"]["data"]["plaintext"]).startswith("hmac-sha256:") for line in sealed)
    assert scan.hunt.found_in(log) == set()


def test_the_dataset_is_for_the_wallet_whose_key_is_in_vault(scan: Scan) -> None:
    parts = scan.runs.installation.parts
    encrypted = parts.plaintext.with_name("orders.csv.lit.json").read_text()
    assert parts.wallet == Wallet.from_key(KEY).address
    assert parts.wallet in encrypted
    assert "ORD-" not in encrypted


def test_too_few_nodes_fail_the_demo_name_the_absent_and_leak_nothing(scan: Scan) -> None:
    """The task is to be retried, with the error's text and traceback in its log."""
    installation = scan.runs.installation
    network = installation.parts.network
    urls = network.description["nodes"]
    assert isinstance(urls, list)
    installation.parts.plaintext.unlink()
    for node in (0, 2):
        network.stop_node(node)
    run_id = installation.start(DAG_ID)
    with pytest.raises(SandboxError, match=r"Task \w+ failed\.") as caught:
        run_report(installation.parts, StopSignal(), Progress())
    for node in (0, 2):
        network.start_node(node)
    shown = installation.log(DAG_ID, run_id, "decrypt")
    installation.ask("PATCH", f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}", {"state": "failed"})
    assert "NodesUnavailableError" in shown
    for node in (0, 2):
        assert f"{urls[node]}: connection refused" in shown
        assert str(urls[node]) in caught.value.details
    assert not installation.parts.plaintext.exists()
    assert scan.hunt.leaks(scan.runs.everything_stored()) == {}
