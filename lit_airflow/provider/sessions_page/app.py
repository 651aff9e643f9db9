"""The page as an application inside Airflow's API server.

A plugin's application has no permissions of its own. This one requires Airflow's permission for the view
"plugins", and shows a row to users who may read its DAG and the XComs in it, asked with the DAG's team as
Airflow's own XCom endpoint asks. It reads only the XComs under the two keys of
:mod:`lit_airflow.provider.xcom_facts`, never a ticket, and bounds in
the query how many and how long they are: a task can push anything under these keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from airflow.models.dag import DagModel
from airflow.models.xcom import XComModel
from fastapi import Depends, FastAPI, Response
from sqlalchemy import Text, cast, func, select
from sqlalchemy.orm import Session

from lit_airflow import clock
from lit_airflow.json_input import try_parse
from lit_airflow.provider import sessions_page, xcom_facts
from lit_airflow.provider.sessions_page import Row
from lit_airflow.provider.spending import COSTS

# The longest session. Of more than fits, the newest are shown.
_SESSIONS_BACK = timedelta(days=31)
_NODES_BACK = timedelta(days=1)
_COST_DAYS = 7
_MAX_ROWS = 2000
_MAX_DAGS = 5000
# A ticket's facts for a hundred files have about 30,000.
_MAX_VALUE_CHARS = 200_000
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_app(*, airflow: str = "") -> FastAPI:
    """Return the application: one page, its style and its script.

    Args:
        airflow: Path under which Airflow is served; empty for the root.
    """
    access = Depends(requires_access_view(AccessView.PLUGINS))
    app = FastAPI(title="Lit sessions", dependencies=[access], openapi_url=None)

    @app.get("/")
    def page(user: GetUserDep, session: SessionDep) -> Response:
        manager, now = get_auth_manager(), clock.now()

        def rows(key: str, since: datetime) -> list[Row]:
            found = _dag_ids(session, key, since) & manager.get_authorized_dag_ids(user=user, method="GET")
            teams = _teams(found)
            readable = {
                dag_id
                for dag_id in found
                if manager.is_authorized_dag(
                    method="GET",
                    access_entity=DagAccessEntity.XCOM,
                    details=_details(dag_id, teams),
                    user=user,
                )
            }
            return _rows(session, key, readable, since)

        sessions = rows(xcom_facts.SESSION, now - _SESSIONS_BACK)
        nodes = rows(xcom_facts.NODES, now - _NODES_BACK)
        costs = rows(COSTS, _first_day(now))
        html = sessions_page.render(sessions, nodes, costs=costs, now=now, airflow=airflow)
        return Response(html, media_type="text/html", headers=_HEADERS)

    @app.get("/page.css")
    def style() -> Response:
        return Response(sessions_page.part("page.css"), media_type="text/css", headers=_HEADERS)

    @app.get("/page.js")
    def script() -> Response:
        return Response(sessions_page.part("page.js"), media_type="text/javascript", headers=_HEADERS)

    return app


def _first_day(now: datetime) -> datetime:
    """Return when the first whole day of costs begins, UTC."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=_COST_DAYS - 1)


def _dag_ids(session: Session, key: str, since: datetime) -> set[str]:
    """Return the DAGs that have pushed something under a key."""
    query = select(XComModel.dag_id).where(XComModel.key == key, XComModel.timestamp >= since).distinct()
    return set(session.scalars(query.limit(_MAX_DAGS)))


def _teams(dag_ids: set[str]) -> Mapping[str, str]:
    """Return DAG -> its team; empty where this release of Airflow has no teams."""
    find = getattr(DagModel, "get_dag_id_to_team_name_mapping", None)
    return find(sorted(dag_ids)) if find is not None and dag_ids else {}


def _details(dag_id: str, teams: Mapping[str, str]) -> DagDetails:
    return DagDetails(id=dag_id, team_name=teams[dag_id]) if dag_id in teams else DagDetails(id=dag_id)


def _rows(session: Session, key: str, dag_ids: set[str], since: datetime) -> list[Row]:
    """Return the newest of what tasks pushed under a key, as far as it is not too long; the key is indexed."""
    text = cast(XComModel.value, Text)
    found = session.execute(
        select(
            XComModel.dag_id,
            XComModel.run_id,
            XComModel.task_id,
            XComModel.map_index,
            XComModel.timestamp,
            text,
        )
        .where(
            XComModel.key == key,
            XComModel.dag_id.in_(dag_ids),
            XComModel.timestamp >= since,
            func.length(text) <= _MAX_VALUE_CHARS,
        )
        .order_by(XComModel.timestamp.desc())
        .limit(_MAX_ROWS)
    )
    return [
        Row(dag_id, run_id, task_id, map_index, at, _parsed(value))
        for dag_id, run_id, task_id, map_index, at, value in found
    ]


def _parsed(stored: object) -> object:
    """Return a row's JSON, which some releases store as a JSON text; ``None`` if it cannot be parsed."""
    value = try_parse(stored) if isinstance(stored, str) else stored
    return try_parse(value) if isinstance(value, str) else value
