"""The sensor: wait until a container may be decrypted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    conf,
)

from lit_airflow import clock
from lit_airflow.errors import LitError, in_file
from lit_airflow.hooks import LitHook
from lit_airflow.operator_base import UI_COLOR, fail_without_retry
from lit_airflow.provider.paths import as_template, checked_paths

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context

    from lit_airflow.provider.files import Encrypted

_MOST_DOUBLINGS = 30


class LitConditionSensor(BaseSensorOperator):
    """Wait until the access control conditions hold for the session's wallet: a balance, a role, a time lock.

    The network is asked from a worker. If the conditions contain a time lock, it is not asked before that opens.
    Deferrable, the task takes no worker slot between two checks; the wait between them doubles up to ``max_wait``.
    Not deferrable, ``mode="reschedule"`` frees the slot as well.

    ``soft_fail`` skips the task when the wait times out. A wrong setting fails it even then.
    Retryable errors (too few servers, Vault unavailable, no session published yet) count as not yet; others
    fail the task at once. To wait longer than a session lasts, use a published session that is kept alive.

    Args:
        encrypted: The container, or the path of a file with one, or of an envelope (local or object storage).
            Templated.
        session: The ticket, ``session_task.output``, or the name of a published session. Templated.
        lit_conn_id: A connection of type ``lit`` whose Vault role may open tickets. Templated.
        deferrable: Wait in the triggerer; the default is Airflow's ``[operators] default_deferrable``.
        poke_interval: Seconds until the second check, and the unit of the waits that follow.
        max_wait: The longest wait between two checks, seconds; ten minutes by default.
        **kwargs: ``timeout``, ``soft_fail``, ``mode`` and whatever else Airflow's sensors take.
    """

    ui_color = UI_COLOR
    template_fields: Sequence[str] = ("encrypted", "session", "lit_conn_id")

    def __init__(  # noqa: PLR0913 - all but two optional
        self,
        *,
        encrypted: Encrypted,
        session: Any,  # noqa: ANN401 - a dict or a name at run time, a reference to one when the DAG is written
        lit_conn_id: str = LitHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: float | timedelta = 30.0,
        max_wait: float | timedelta = 600.0,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow's sensors take
    ) -> None:
        super().__init__(poke_interval=poke_interval, max_wait=max_wait, exponential_backoff=True, **kwargs)
        self.encrypted = checked_paths(encrypted)
        self.session = session
        self.lit_conn_id = lit_conn_id
        self.deferrable = deferrable

    def render_template(
        self,
        content: Any,  # noqa: ANN401 - Airflow's interface
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:  # noqa: ANN401 - the same
        """Render paths as text."""
        return super().render_template(as_template(content, seen_oids), context, jinja_env, seen_oids)

    def execute(self, context: Context) -> None:
        """Check, and wait as chosen."""
        if not self.deferrable:
            with self._seen_failing():
                super().execute(context)
            return
        self._check(clock.now(), checks=0)

    def check_again(self, context: Context, event: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Check again after the triggerer.

        It hands back when the wait began and how often the network was asked.
        """
        self._check(clock.parse_iso(event["carry"]["started"]), event["carry"]["checks"])

    def poke(self, context: Context) -> bool:  # noqa: ARG002 - Airflow's interface
        """Return whether the conditions hold now."""
        granted, _ = self._ask()
        return granted

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:  # noqa: ANN401 - Airflow's
        """Continue after the triggerer."""
        with self._seen_failing():
            return super().resume_execution(next_method, next_kwargs, context)

    @contextmanager
    def _seen_failing(self) -> Iterator[None]:
        """Fail the task for what can never work; with ``soft_fail``, Airflow would skip it."""
        try:
            yield
        except AirflowSkipException as skipped:
            cause = skipped.__cause__
            if self.soft_fail and isinstance(cause, AirflowFailException):
                raise cause from cause.__cause__
            raise

    def _ask(self) -> tuple[bool, datetime | None]:
        """Return whether the conditions hold now; if the network was not asked, when the time lock opens."""
        from lit_airflow.provider import files  # noqa: PLC0415 - kept out of DAG parsing

        with fail_without_retry(), in_file(self.encrypted):
            hook = LitHook(self.lit_conn_id)
            encrypted = files.read_container(self.encrypted)
            opens_at = hook.opens_at(encrypted)
            if opens_at is not None and opens_at > clock.now():
                self.log.info("The time lock opens at %s; the network is not asked before.", opens_at)
                return False, opens_at
            try:
                granted = hook.grants(encrypted, hook.hold(self.session))
            except LitError as error:
                if not error.retryable:
                    raise
                self.log.warning("The conditions cannot be checked now: %s", error)
                return False, None
            self.log.info("The conditions hold." if granted else "The conditions do not hold yet.")
            return granted, None

    def _check(self, started: datetime, checks: int) -> None:
        from lit_airflow.triggers import LitMomentTrigger  # noqa: PLC0415 - kept out of DAG parsing

        granted, opens_at = self._ask()
        if granted:
            return
        now = clock.now()
        left_s = self.timeout - (now - started).total_seconds()
        if left_s <= 0:
            message = f"The conditions do not hold after {self.timeout:.0f} s."
            if self.soft_fail:
                raise AirflowSkipException(message)
            raise AirflowSensorTimeout(message)
        wait_s = min(self.poke_interval * 2 ** min(checks, _MOST_DOUBLINGS), self._max_wait_s)
        moment = opens_at or now + timedelta(seconds=wait_s)
        # Not as kwargs of defer(): dag.test() drops those.
        carry: dict[str, str | int] = {"started": clock.iso(started), "checks": checks + (opens_at is None)}
        self.defer(
            trigger=LitMomentTrigger(clock.iso(moment), carry),
            method_name="check_again",
            timeout=timedelta(seconds=left_s),
        )

    @property
    def _max_wait_s(self) -> float:
        return self.max_wait.total_seconds() if self.max_wait is not None else float("inf")
