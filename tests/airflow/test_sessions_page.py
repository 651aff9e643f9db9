"""The page inside Airflow's own API server application: who sees what, and what was left by real runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from lit_airflow.devnet import Devnet
from tests.airflow.running import run_dag
from tests.airflow.test_operators import whole_job
from tests.vault.parts import Bao, Connections, encrypted
from tests.versions import AIRFLOW

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

pytestmark = pytest.mark.usefixtures("database", "connections")

Client: TypeAlias = "Callable[[str | None], TestClient]"


@pytest.fixture(scope="module")
def client(database: None) -> Iterator[Client]:
    """The API server, as a user sees it; as nobody where no name is given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "tests.airflow.guarding.PerDag")
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "alice:viewer,bob:viewer,carol:admin")
        with served(patch) as as_user:
            yield as_user


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch, **facts: Any) -> Iterator[Client]:  # noqa: ANN401 - further facts of users
    from airflow.api_fastapi.app import create_app, get_auth_manager, purge_cached_app
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi.testclient import TestClient

    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret of these tests, of more than 64 bytes " * 2)
    purge_cached_app()
    app = create_app(apps="core")

    def as_user(name: str | None) -> TestClient:
        client = TestClient(app)
        if name:
            user = SimpleAuthManagerUser(username=name, role="viewer", **facts.get(name, {}))
            client.headers["Authorization"] = f"Bearer {get_auth_manager().generate_jwt(user)}"
        return client

    yield as_user
    purge_cached_app()


@pytest.fixture(scope="module")
def leftover(database: None, bao: Bao, devnet: Devnet) -> dict[str, Any]:
    """Finished runs of three DAGs; the ticket of the first."""
    container = encrypted(bao, devnet)
    with pytest.MonkeyPatch.context() as patch:
        Connections.of_the_sandbox(patch, bao, devnet)
        runs = {name: run_dag(whole_job(name, container)) for name in ("alice_s", "bobs", "alice_no_xcom")}
    assert {run.state for run in runs.values()} == {"success"}
    ticket: dict[str, Any] = runs["alice_s"].xcom("session")
    return ticket


@pytest.mark.parametrize("path", ["/lit/", "/lit/page.css", "/lit/page.js"])
def test_nobody_sees_it_without_logging_in(client: Client, path: str) -> None:
    assert client(None).get(path).status_code == 401
    assert client("carol").get(path).status_code == 403
    assert client("alice").get(path).status_code == 200


def test_a_user_sees_the_sessions_of_the_dags_it_may_read(client: Client, leftover: dict[str, Any]) -> None:
    shown = {name: client(name).get("/lit/").text for name in ("alice", "bob")}
    assert ">alice_s " in shown["alice"]
    assert "bobs" not in shown["alice"]
    assert ">bobs " in shown["bob"]
    assert "alice" not in shown["bob"]
    assert "alice_no_xcom" not in shown["alice"]
    assert leftover["wallet"] in shown["alice"]
    for html in shown.values():
        assert leftover["sealed"] not in html
        assert "vault:v1:" not in html


def test_what_is_served_may_load_nothing_from_elsewhere_and_is_kept_nowhere(client: Client) -> None:
    answer = client("alice").get("/lit/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert " style=" not in answer.text
    assert client("alice").get("/lit/openapi.json").status_code == 404


def test_nodes_in_trouble_are_shown_also_if_the_task_failed(
    client: Client, container: dict[str, Any], net: Devnet
) -> None:
    dag = whole_job("bob_in_trouble", container)
    assert run_dag(dag).state == "success"
    net.stop_node(0)
    net.stop_node(1)
    run = run_dag(dag)
    assert run.states()["decrypt"] == "failed"
    html = client("bob").get("/lit/").text
    nodes: Any = net.description["nodes"]
    assert html.index(nodes[0]) < html.index(nodes[2])
    assert "connection refused" in html
    assert html.count('<tr class="wrong">') == 2
    net.start_node(0)
    net.start_node(1)
    assert run_dag(dag).state == "success"
    html = client("bob").get("/lit/").text
    assert "connection refused" in html
    assert html.count('<tr class="wrong">') < 2  # two of three were waited for


def test_no_xcom_but_ours_is_read(client: Client, leftover: dict[str, Any]) -> None:
    from airflow import settings
    from sqlalchemy import event

    asked = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:  # noqa: ANN401
        if "xcom" in statement:
            asked.append((statement, str(parameters)))

    event.listen(settings.engine, "before_cursor_execute", note)
    try:
        client("alice").get("/lit/")
    finally:
        event.remove(settings.engine, "before_cursor_execute", note)
    keys = [
        key for key in ("lit_session", "lit_nodes", "lit_costs") for _ in range(2)
    ]  # which DAGs, then their rows
    for (statement, parameters), key in zip(asked, keys, strict=True):
        assert "LIMIT" in statement
        assert key in parameters
        assert "return_value" not in parameters


@pytest.fixture
def put() -> Iterator[Callable[[str], None]]:
    """Replace what the tasks of alice_s pushed about nodes, until the test ends."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select, text

    theirs = "key = 'lit_nodes' AND dag_id = 'alice_s'"
    with create_session() as session:
        kept = session.execute(
            select(text("task_id, value")).select_from(text(XComModel.__tablename__)).where(text(theirs))
        ).all()
    assert kept

    def put(value: str, task_ids: Sequence[str] = tuple(row.task_id for row in kept)) -> None:
        with create_session() as session:
            for task_id in task_ids:
                session.execute(
                    text(
                        f"UPDATE {XComModel.__tablename__} SET value = :value WHERE {theirs} AND task_id = :task_id"
                    ),
                    {"value": value, "task_id": task_id},
                )

    yield put
    for row in kept:
        put(row.value, [row.task_id])


HOSTILE = {
    "400 digits": '{"http://n": {"answered": ' + "9" * 400 + ', "took_ms": ' + "9" * 400 + "}}",
    "5000 digits": '{"http://n": {"answered": 1, "took_ms": ' + "9" * 5000 + "}}",
    "negative": '{"http://n": {"answered": -1, "took_ms": NaN}}',
    "deep": "[" * 50_000,
    "long": '"' + "x" * 1_000_000 + '"',
    "many nodes": "{" + ", ".join(f'"http://{i}": {{"failed": 1}}' for i in range(5000)) + "}",
}
"""What a task may have pushed."""


@pytest.mark.usefixtures("leftover")
def test_nothing_that_a_task_pushes_breaks_the_page(client: Client, put: Callable[[str], None]) -> None:
    for name, value in HOSTILE.items():
        put(value)
        answer = client("alice").get("/lit/")
        assert answer.status_code == 200, name
        assert ">alice_s " in answer.text, name
        assert len(answer.content) < 500_000, name


@pytest.fixture
def teams(database: None) -> Iterator[None]:
    """Two teams without a DAG."""
    from airflow.models.team import Team
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add_all([Team(name="bobs"), Team(name="alices")])
    yield
    _forget_teams()
    with create_session() as session:
        for name in ("bobs", "alices"):
            session.delete(session.get(Team, name))


def give_all_dags_to(name: str) -> None:
    """Give them to this team; when Airflow already serves, because its start resets that."""
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.team import Team
    from airflow.utils.session import create_session

    with create_session() as session:
        bundle = session.get(DagBundleModel, "dags-folder")
        assert bundle is not None
        bundle.teams = [session.get(Team, name)]
    _forget_teams()


def _forget_teams() -> None:
    """Airflow remembers for half a minute which team a DAG belongs to."""
    from airflow.models import dag

    getattr(dag, "clear_team_name_cache", lambda: None)()


if AIRFLOW >= (3, 2):
    # The last one: it starts an API server with another auth manager, which is one for the whole process.
    def test_the_sessions_of_a_team_are_for_the_team(
        monkeypatch: pytest.MonkeyPatch, leftover: dict[str, Any], teams: None
    ) -> None:
        """Whoever may not read a task's XComs by Airflow's own endpoint does not see them on the page."""
        monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
        monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "tests.airflow.guarding.PerTeam")
        monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "alice:viewer:alices,bob:viewer:bobs")
        xcoms = f"/api/v2/dags/bobs/dagRuns/{leftover['run_id']}/taskInstances/session/xcomEntries"
        users = {"alice": {"teams": ["alices"]}, "bob": {"teams": ["bobs"]}}
        with served(monkeypatch, **users) as client:
            give_all_dags_to("bobs")
            found = {name: client(name).get("/lit/") for name in users}
            allowed = {name: client(name).get(xcoms).status_code for name in users}
        assert {name: page.status_code for name, page in found.items()} == dict.fromkeys(users, 200)
        assert allowed["alice"] == 403
        assert allowed["bob"] in (200, 404)  # that run is another DAG's
        assert ">bobs " in found["bob"].text
        for told in (leftover["wallet"], "bobs", "http://127.0.0.1"):
            assert told not in found["alice"].text
