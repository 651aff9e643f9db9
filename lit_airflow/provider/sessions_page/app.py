"""The page as an application inside Airflow's API server.

A plugin's application has no permissions of its own. So all of this one stands behind Airflow's view "plugins", a
row is shown to whoever may read its DAG and the XComs in it, and of XComs nothing is read but those under the two
keys of :mod:`lit_airflow.provider.xcom_facts`: no ticket comes near it.
"""

from __future__ import annotations

import functools
import json
from datetime import datetime, timedelta

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from airflow.models.xcom import XComModel
from fastapi import Depends, FastAPI, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from lit_airflow import clock
from lit_airflow.provider import sessions_page, xcom_facts
from lit_airflow.provider.sessions_page import Row

# The longest session. Where tasks leave more than can be shown, the newest are.
_SESSIONS_BACK = timedelta(days=31)
_NODES_BACK = timedelta(days=1)
_MOST_ROWS = 2000
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
    """The application: one page, its style and its script.

    Args:
        airflow: Path under which Airflow is served; empty for the root.
    """
    access = Depends(requires_access_view(AccessView.PLUGINS))
    app = FastAPI(title="Lit sessions", dependencies=[access], openapi_url=None)

    @app.get("/")
    def page(user: GetUserDep, session: SessionDep) -> Response:
        manager, now = get_auth_manager(), clock.now()

        @functools.cache
        def readable(dag_id: str) -> bool:
            return manager.is_authorized_dag(
                method="GET", access_entity=DagAccessEntity.XCOM, details=DagDetails(id=dag_id), user=user
            )

        dag_ids = manager.get_authorized_dag_ids(user=user, method="GET")
        sessions, nodes = (
            [row for row in _rows(session, key, dag_ids, since) if readable(row.dag_id)]
            for key, since in (
                (xcom_facts.SESSION, now - _SESSIONS_BACK),
                (xcom_facts.NODES, now - _NODES_BACK),
            )
        )
        html = sessions_page.render(sessions, nodes, now=now, airflow=airflow)
        return Response(html, media_type="text/html", headers=_HEADERS)

    @app.get("/page.css")
    def style() -> Response:
        return Response(sessions_page.part("page.css"), media_type="text/css", headers=_HEADERS)

    @app.get("/page.js")
    def script() -> Response:
        return Response(sessions_page.part("page.js"), media_type="text/javascript", headers=_HEADERS)

    return app


def _rows(session: Session, key: str, dag_ids: set[str], since: datetime) -> list[Row]:
    """The newest of what tasks left under a key; the key is indexed, and few XComs have it."""
    found = session.execute(
        select(
            XComModel.dag_id,
            XComModel.run_id,
            XComModel.task_id,
            XComModel.map_index,
            XComModel.timestamp,
            XComModel.value,
        )
        .where(XComModel.key == key, XComModel.dag_id.in_(dag_ids), XComModel.timestamp >= since)
        .order_by(XComModel.timestamp.desc())
        .limit(_MOST_ROWS)
    )
    return [
        Row(dag_id, run_id, task_id, map_index, at, _json(value))
        for dag_id, run_id, task_id, map_index, at, value in found
    ]


def _json(stored: object) -> object:
    """XCom's JSON, which some releases store as text."""
    if not isinstance(stored, str):
        return stored
    try:
        value: object = json.loads(stored)
    except ValueError:  # a reference of a custom XCom backend
        return None
    return value
