"""The page "Lit sessions" under Browse in Airflow's user interface.

Airflow asks for the application in the API server only; every other process imports this file for its names.
"""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin
from airflow.providers.common.compat.sdk import conf

from lit_airflow.provider.links import ROUTE

_PREFIX = "/lit"


class LitPlugin(AirflowPlugin):
    """What Airflow's plugin manager finds by the entry point ``airflow.plugins``."""

    name = "lit"

    @functools.cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # made when it is asked for
        """The application that serves the page."""
        from lit_airflow.provider.sessions_page.app import make_app  # noqa: PLC0415 - needs the API server's modules

        app = make_app(airflow=_base_path())
        return [{"app": app, "url_prefix": _PREFIX, "name": "Lit sessions"}]

    @functools.cached_property
    def external_views(self) -> list[dict[str, Any]]:  # type: ignore[override]  # made when it is asked for
        """Its place in the menu."""
        return [
            {
                "name": "Lit sessions",
                "href": f"{_base_path()}{_PREFIX}/",
                "url_route": ROUTE,
                "destination": "nav",
                "category": "browse",
            }
        ]


def _base_path() -> str:
    return urlsplit(str(conf.get("api", "base_url", fallback=""))).path.rstrip("/")
