"""The TaskFlow decorator ``@task.lit``: a function that gets an open session.

@task.lit(session=session.output, lit_conn_id="lit_consumer")
def report(lit, path):
    return len(lit.decrypt(path))
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    Asset,
    DecoratedOperator,
    context_merge,
    determine_kwargs,
    task_decorator_factory,
)

from lit_airflow.action_operators import noted_costs
from lit_airflow.errors import SettingsError
from lit_airflow.hooks import LitHook
from lit_airflow.operator_base import ReportsLineage, fail_without_retry
from lit_airflow.provider.airflow_compat import handed_out
from lit_airflow.provider.links import LitSessionsLink
from lit_airflow.provider.spending import last_run_s, last_runs, push_costs
from lit_airflow.provider.xcom_facts import push_node_stats

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, TaskDecorator

    from lit_airflow.client import LitClient
    from lit_airflow.handoff.renewal import RenewableSession
    from lit_airflow.networks.actions import ActionRun
    from lit_airflow.networks.contract import Decrypted, Session
    from lit_airflow.protocol.signing import Signed
    from lit_airflow.provider.files import Encrypted
    from lit_airflow.provider.paths import FilePath

_PARAMETER = "lit"


@dataclass(frozen=True, slots=True)
class OpenSession:
    """What the decorated function gets as ``lit``.

    Attributes:
        hook: The Lit connection.
        held: The session, opened from its ticket, renewed when it is due; ``None`` where the task has none.
    """

    hook: LitHook
    held: RenewableSession | None

    @property
    def client(self) -> LitClient:
        """The client of the connection's network."""
        return self.hook.client

    @property
    def session(self) -> Session:
        """The session as it is now. :meth:`decrypt` and the others renew it when it is due.

        Raises:
            SettingsError: The task has none.
        """
        return handed_out(self._needed.session)

    def decrypt(self, encrypted: Encrypted) -> bytes:
        """Decrypt a container, a file with one, or an envelope, into memory.

        Raises:
            LitError: As :func:`lit_airflow.provider.file_io.decrypt`.
        """
        from lit_airflow.provider import file_io  # noqa: PLC0415 - kept out of DAG parsing

        return file_io.decrypt(self.hook, encrypted, self._needed)

    def decrypt_file(self, encrypted: Encrypted, output_path: FilePath) -> int:
        """Decrypt the same into a file, local or in object storage; return its size in bytes.

        Raises:
            LitError: As :func:`lit_airflow.provider.file_io.decrypt_file`.
        """
        from lit_airflow.provider import file_io  # noqa: PLC0415 - kept out of DAG parsing

        return file_io.decrypt_file(self.hook, encrypted, output_path, self._needed)

    def open(self, sealed: object, *, data_hash: str | None = None, made_by: str | None = None) -> bytes:
        """Open plaintext that another task of the run sealed with ``seal_plaintext=True``.

        Raises:
            LitError: As :meth:`lit_airflow.hooks.LitHook.open_plaintext`.
        """
        return self.hook.open_plaintext(sealed, data_hash=data_hash, made_by=made_by)

    def decrypt_many(
        self, encrypted: Iterable[Encrypted], *, at_once: int | None = None, processes: int = 1
    ) -> Iterator[Decrypted]:
        """Decrypt many of what :meth:`decrypt` takes, into memory; one that fails costs the others nothing.

        Args:
            encrypted: Fetched as they are needed.
            at_once: How many are in work, or done and not yet taken.
            processes: How many processes decrypt; see :meth:`lit_airflow.LitClient.decrypt_many`.

        Returns:
            The outcomes in their order, as they are taken.

        Raises:
            LitError: As :func:`lit_airflow.provider.file_io.decrypt_many`.
        """
        from lit_airflow.provider import file_io  # noqa: PLC0415 - kept out of DAG parsing

        return file_io.decrypt_many(self.hook, encrypted, self._needed, at_once=at_once, processes=processes)

    def run_action(self, code: str = "", params: Any = None, **options: Any) -> ActionRun:  # noqa: ANN401 - JSON
        """Run an action with the connection's API key; its console goes to the task's log.

        Args:
            code: The action's text.
            params: What it is given: any JSON, without secrets in clear.
            **options: As for :meth:`lit_airflow.hooks.LitHook.run_action`.

        Returns:
            ``response`` with its JSON type, ``note``, ``logs``, ``cid``, ``cost``.

        Raises:
            LitError: As :meth:`lit_airflow.LitClient.run_action`.
        """
        return self.hook.run_action(code, params, **options)

    def sign(self, **request: Any) -> Signed:  # noqa: ANN401 - message, typed_data or transaction
        """Have the connection's PKP sign; see :meth:`lit_airflow.hooks.LitHook.sign`.

        Raises:
            LitError: As :meth:`lit_airflow.LitClient.sign`.
        """
        return self.hook.sign(**request)

    def encrypt(self, plaintext: bytes, conditions: Mapping[str, Any]) -> dict[str, Any]:
        """Encrypt for wallets that meet the conditions; return the container that :meth:`decrypt` takes.

        Raises:
            LitError: As :meth:`lit_airflow.LitClient.encrypt`.
        """
        container = self.hook.encrypt(plaintext, conditions)
        self.hook.lineage.note_encrypted("", "", container)
        return container

    def encrypt_file(
        self, input_path: FilePath, output_path: FilePath, conditions: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Encrypt a file of any size as an envelope; return the container of its data key.

        Raises:
            LitError: As :func:`lit_airflow.provider.file_io.encrypt_file`.
        """
        from lit_airflow.provider import file_io  # noqa: PLC0415 - kept out of DAG parsing

        return file_io.encrypt_file(self.hook, input_path, output_path, conditions)

    @property
    def _needed(self) -> RenewableSession:
        if self.held is None:
            raise SettingsError(
                "This task has no session.",
                field="session",
                hint="Write @task.lit(session=...) with the output of a session task, or the name of a session.",
            )
        return self.held


class _LitDecoratedOperator(DecoratedOperator, ReportsLineage):
    """Opens the ticket in the task's own process, and calls the function."""

    custom_operator_name = "@task.lit"
    operator_extra_links = (LitSessionsLink(),)
    template_fields: Sequence[str] = (
        *("templates_dict", *DecoratedOperator.template_fields, "session", "lit_conn_id"),
    )

    def __init__(  # noqa: PLR0913 - those of @task, all but one optional
        self,
        *,
        python_callable: Callable[..., Any],
        session: Any = None,  # noqa: ANN401 - a ticket or a name at run time, a reference to one when the DAG is written
        budget_cents: int | None = None,
        expected_s: float | None = None,
        lit_conn_id: str = LitHook.default_conn_name,
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        templates_dict: dict[str, Any] | None = None,
        templates_exts: Sequence[str] | None = None,
        show_return_value_in_logs: bool = False,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow's operators take
    ) -> None:
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            **kwargs,
        )
        self.session = session
        self.budget_cents = budget_cents
        self.expected_s = expected_s
        self.lit_conn_id = lit_conn_id
        self.templates_dict = templates_dict
        if templates_exts:
            self.template_ext = templates_exts
        self.show_return_value_in_logs = show_return_value_in_logs

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - whatever the function returns
        from airflow.sdk.execution_time.callback_runner import (  # noqa: PLC0415 - only where a task runs
            create_executable_runner,
        )
        from airflow.sdk.execution_time.context import context_get_outlet_events  # noqa: PLC0415 - the same

        hook = LitHook(self.lit_conn_id)
        self._lineage = hook.lineage
        with (
            fail_without_retry(),
            push_costs(context["ti"], hook.spending),
            push_node_stats(context["ti"], hook.node_stats),
        ):
            self._check_budget(hook, context)
            lit = OpenSession(hook, None if self.session is None else hook.hold(self.session))
            given = (*self.op_args, *self.op_kwargs.values())
            self.inlets.extend(each for each in given if isinstance(each, Asset))
            context_merge(context, self.op_kwargs, templates_dict=self.templates_dict)
            arguments = determine_kwargs(self.python_callable, self.op_args, context)
            # What a generator yields, such as Metadata of an asset, goes to the events of its outlets.
            runner = create_executable_runner(
                self.python_callable, context_get_outlet_events(context), logger=self.log
            )
            result = runner.run(*self.op_args, **{**arguments, _PARAMETER: lit})
            if inspect.isawaitable(result):
                result = asyncio.run(_awaited(result))
        if self.show_return_value_in_logs:
            self.log.info("Returned value: %s", result)
        return self._handle_output(return_value=result)

    def _check_budget(self, hook: LitHook, context: Context) -> None:
        if self.budget_cents is None or not hook.client.traits.runs_actions:
            return  # nothing is paid by the run
        noted = noted_costs(self, context)
        seconds = last_run_s(noted) if self.expected_s is None else self.expected_s
        hook.check_budget(self.budget_cents, seconds, runs=last_runs(noted))


async def _awaited(result: Awaitable[Any]) -> Any:  # noqa: ANN401 - whatever the function returns
    return await result


def lit_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:  # noqa: ANN401
    """Turn a function whose parameter ``lit`` is an :class:`OpenSession` into a task.

    It may be whatever ``@task`` takes: also ``async def``, one that yields ``Metadata`` of its outlets, or
    one that returns assets.

    Args:
        python_callable: The function.
        **kwargs: ``session`` (a ticket, ``session_task.output``, or the name of a published session; not needed to
            encrypt, run actions or sign), ``lit_conn_id``, and the arguments of ``@task``. ``budget_cents`` refuses
            to start if as many paid runs as the last time are expected to cost more, US cents; ``expected_s`` says
            how long one takes, by default as long as the last time. The log does not show what the function
            returns, unless ``show_return_value_in_logs=True``.
    """
    if python_callable is None:
        return functools.partial(lit_task, **kwargs)  # type: ignore[return-value]  # it returns a decorator
    return task_decorator_factory(
        python_callable=_without_lit(python_callable),
        decorated_operator_class=_LitDecoratedOperator,
        **kwargs,
    )


def _without_lit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as Airflow should see it: without ``lit``, which the DAG's author does not pass."""
    whole = inspect.signature(function)
    if _PARAMETER not in whole.parameters:
        raise SettingsError(
            f"{function.__name__} needs a parameter {_PARAMETER} to use the session.",
            field=_PARAMETER,
            hint=f"Write def {function.__name__}({_PARAMETER}, …).",
        )
    shown = whole.replace(parameters=[p for p in whole.parameters.values() if p.name != _PARAMETER])

    def call(args: tuple[Any, ...], lit: OpenSession, kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        bound = whole.bind_partial()
        bound.arguments |= {**shown.bind(*args, **kwargs).arguments, _PARAMETER: lit}
        return function(*bound.args, **bound.kwargs)

    # Of the function's own kind, by which Airflow decides how to run it.
    if inspect.isasyncgenfunction(function):
        raise SettingsError(
            f"{function.__name__} is an asynchronous generator, which no task can be.",
            field="python_callable",
            hint="Yield Metadata from a function without async, or return a value from one with it.",
        )
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def needs_lit(*args: Any, lit: OpenSession, **kwargs: Any) -> Any:  # noqa: ANN401 - the same
            return await call(args, lit, kwargs)
    elif inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def needs_lit(*args: Any, lit: OpenSession, **kwargs: Any) -> Any:  # noqa: ANN401 - the same
            return (yield from call(args, lit, kwargs))
    else:

        @functools.wraps(function)
        def needs_lit(*args: Any, lit: OpenSession, **kwargs: Any) -> Any:  # noqa: ANN401 - the same
            return call(args, lit, kwargs)

    needs_lit.__signature__ = shown  # type: ignore[attr-defined]  # inspect reads it
    return needs_lit
