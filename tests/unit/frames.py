"""What a recorder of exceptions with their frames' variables (Sentry, Airflow's development logs) stores."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

TESTS = str(Path(__file__).parents[1])


def recorded(error: BaseException) -> str:
    """The messages, attributes and frames' variables of an error and its causes; the tests' own frames excepted."""
    return "\n".join(_recorded(error))


def _recorded(error: BaseException | None) -> Iterator[str]:
    if error is None:
        return
    yield repr(error)
    yield str(error)
    yield repr(vars(error))
    stack = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), capture_locals=True)
    for frame in stack:
        if not frame.filename.startswith(TESTS):
            yield f"{frame.filename}:{frame.lineno} {frame.locals}"
    yield from _recorded(error.__cause__)
    if not error.__suppress_context__:
        yield from _recorded(error.__context__)


def sent_to_sentry(error: BaseException) -> str:
    """What Sentry's own client sends of an error, with variables, which it records unless told not to."""
    import sentry_sdk

    sent = []

    def keep(event: Mapping[str, object], _: object) -> None:
        """Take what Sentry's serializer made; nothing is sent."""
        sent.append(json.dumps(event))

    client = sentry_sdk.Client(
        "http://key@127.0.0.1:9/1", before_send=keep, default_integrations=False, max_value_length=10**6
    )
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(client)
        scope.capture_exception(_without_frames_of_tests(error))
    client.close()
    [event] = sent
    return event


def _without_frames_of_tests(error: BaseException) -> BaseException:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = _inner(each.__traceback__)
            waiting += [each.__cause__, each.__context__]
    return error


def _inner(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(TESTS):
        trace = trace.tb_next
    return trace
