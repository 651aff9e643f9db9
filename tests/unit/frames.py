"""What a recorder of exceptions with their frames' variables (Sentry, Airflow's development logs) would store."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

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
