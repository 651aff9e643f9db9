"""An auth manager under which a user reads the DAGs that are named after it, and only one user sees plugins."""

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
