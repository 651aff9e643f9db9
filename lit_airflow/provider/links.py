"""From a task to the page that shows its session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseOperatorLink, conf

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

ROUTE = "lit-sessions"


class LitSessionsLink(BaseOperatorLink):
    """The button "Lit sessions" of a task."""

    name = "Lit sessions"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's interface
        """The page, on the server that the configuration names."""
        return f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/plugin/{ROUTE}"
