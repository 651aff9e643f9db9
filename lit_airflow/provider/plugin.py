"""The page "Lit sessions" under Browse in Airflow's user interface, and what a scheduler loads for its tasks.

Airflow asks for the application in the API server only; every other process imports this file for its names.
"""

from __future__ import annotations

import functools
import logging
import multiprocessing
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin
from airflow.providers.common.compat.sdk import conf

from lit_airflow.provider.links import ROUTE

_PREFIX = "/lit"
_LOCAL_EXECUTOR = "LocalExecutor"

log = logging.getLogger(__name__)


class LitPlugin(AirflowPlugin):
    """What Airflow's plugin manager finds by the entry point ``airflow.plugins``."""

    name = "lit"

    @classmethod
    def on_load(cls, *_args: Any, **_kwargs: Any) -> None:  # noqa: ANN401 - Airflow's
        """Load what our tasks need, if this process is the one whose forks become tasks.

        Airflow calls it where it loads the plugins: a scheduler does before it starts its executor.
        """
        if forks_tasks(sys.argv, str(conf.get("core", "executor", fallback=""))):
            _preload()

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


def forks_tasks(argv: Sequence[str], executors: str) -> bool:
    """Whether tasks are forks of this process, or of its forks: that of a scheduler with a LocalExecutor.

    Args:
        argv: The command of the process, and its arguments. Those of its forks are the same.
        executors: ``[core] executor``: names, aliases or paths of classes, with commas between them.
    """
    if list(argv[1:2]) != ["scheduler"] or _LOCAL_EXECUTOR not in executors:
        return False
    # Not get_start_method() alone: it would set the default for good.
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    return method == "fork" and multiprocessing.parent_process() is None


@functools.cache  # A fork inherits that it was tried.
def _preload() -> None:
    try:
        import_module("lit_airflow.preload")  # by name: it imports what is above this package
    except Exception:  # no scheduler may fail because tasks will
        log.warning("What Lit tasks need cannot be loaded; each task will try again.", exc_info=True)
