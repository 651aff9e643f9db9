"""Auth managers: under one, users read the DAGs that are named after them; under the other, those of their team."""

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class PerDag(SimpleAuthManager):
    """Alice and Bob see the page, and the DAGs named after them; the XComs of ``…no_xcom`` are nobody's."""

    def is_authorized_view(self, *, access_view: AccessView, user: Any) -> bool:  # noqa: ANN401 - Airflow's interface
        return access_view == AccessView.PLUGINS and user.username in {"alice", "bob"}

    def is_authorized_dag(
        self,
        *,
        method: str,
        user: Any,  # noqa: ANN401
        access_entity: DagAccessEntity | None = None,
        details: Any = None,  # noqa: ANN401
    ) -> bool:
        if details is None or not details.id.startswith(user.username):
            return False
        return not (access_entity == DagAccessEntity.XCOM and "no_xcom" in details.id)


class PerTeam(SimpleAuthManager):
    """Everybody sees every view and every DAG; the XComs of a team's DAGs are for that team."""

    def is_authorized_view(self, *, access_view: AccessView, user: Any) -> bool:  # noqa: ANN401
        return True

    def is_authorized_dag(
        self,
        *,
        method: str,
        user: Any,  # noqa: ANN401
        access_entity: DagAccessEntity | None = None,
        details: Any = None,  # noqa: ANN401
    ) -> bool:
        if method != "GET" or access_entity != DagAccessEntity.XCOM:
            return method == "GET"
        return details is not None and (details.team_name is None or details.team_name in user.teams)
