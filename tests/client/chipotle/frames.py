"""What an error carries with it: the local variables of every frame that it came through."""

from __future__ import annotations

from collections.abc import Iterator


def shown_by(error: BaseException | None) -> Iterator[str]:
    """All texts that a report of the error may show."""
    while error is not None:
        yield str(error)
        yield repr(vars(error))
        trace = error.__traceback__
        while trace is not None:
            if "lit_airflow" in trace.tb_frame.f_code.co_filename:
                yield from map(repr, trace.tb_frame.f_locals.values())
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
