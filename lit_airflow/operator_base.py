"""What all operators have in common: how they end, and what they report to OpenLineage."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout, BaseOperator

from lit_airflow.errors import LitError
from lit_airflow.provider import telemetry
from lit_airflow.provider.paths import as_template

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from lit_airflow.provider.lineage import Lineage

UI_COLOR = "#e6e0fa"
_TERMINATED = 128 + signal.SIGTERM  # the exit code that a shell shows


class ReportsLineage:
    """What OpenLineage's default extractor asks of an operator.

    A base behind Airflow's: its metaclass compares an operator's ``__init__`` with that of the first base.
    """

    _lineage: Lineage | None = None

    def get_openlineage_facets_on_complete(
        self,
        task_instance: Any,  # noqa: ANN401 - Airflow's
    ) -> OperatorLineage[Any, Any] | None:
        """Return what the task read and wrote: :mod:`lit_airflow.provider.lineage`."""
        from lit_airflow.provider import lineage  # noqa: PLC0415 - kept out of DAG parsing

        return lineage.facets(self._lineage, task_instance)


class LitOperator(BaseOperator, ReportsLineage):
    """Base of the operators."""

    ui_color = UI_COLOR
    template_fields_renderers: ClassVar[dict[str, str]] = {"conditions": "json", "session": "json"}

    def render_template(
        self,
        content: Any,  # noqa: ANN401 - Airflow's interface
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:  # noqa: ANN401 - the same
        """Render paths as text."""
        return super().render_template(as_template(content, seen_oids), context, jinja_env, seen_oids)

    def on_kill(self) -> None:
        """Stop at once on SIGTERM and clean up: Airflow only calls this, and kills the task some seconds later."""
        if not isinstance(sys.exc_info()[1], AirflowTaskTimeout):  # which ends the task itself
            raise SystemExit(_TERMINATED)


@contextmanager
def fail_without_retry() -> Iterator[None]:
    """Fail the task without retry if the error is not retryable; raise other errors unchanged."""
    try:
        yield
    except LitError as error:
        telemetry.failed(error)
        if error.retryable:
            raise
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error
