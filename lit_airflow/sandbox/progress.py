"""The output for people: steps on standard error as they happen, results on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from lit_airflow.clock import Deadline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FAR_FUTURE_S = 10.0**6
# A pipe has no width, and the default of 80 columns would break the addresses of nodes.
_PIPE_COLUMNS = 110


class Progress:
    """Prints steps with the seconds since the start; plain text if the output is not a terminal."""

    def __init__(self) -> None:
        self._steps = _console(stderr=True)
        self._results = _console(stderr=False)
        # ``Deadline`` is the package's interface to the monotonic clock.
        self._far_future = Deadline.after(_FAR_FUTURE_S)

    @property
    def seconds(self) -> float:
        """The seconds since the start."""
        return _FAR_FUTURE_S - self._far_future.left_s()

    def step(self, text: str) -> None:
        """Print a step."""
        self._steps.print(f"[dim]{self.seconds:6.1f} s[/]  {escape(text)}", soft_wrap=True)

    def failure(self, text: str, details: str = "") -> None:
        """Print a failure.

        Args:
            text: What failed.
            details: More lines, for example the end of a log.
        """
        self._steps.print(f"[bold red]failed:[/] {escape(text)}", soft_wrap=True)
        for line in details.splitlines():
            self._steps.print(f"    [dim]{escape(line)}[/]", soft_wrap=True)

    def text(self, title: str, lines: Iterable[str] = ()) -> None:
        """Print a titled part of the result."""
        self._results.print(f"\n[bold]{escape(title)}[/]", soft_wrap=True)
        for line in lines:
            self._results.print(f"  {escape(line)}", soft_wrap=True)

    def rows(self, title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a titled table; its last column is right-aligned."""
        table = [header, *rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for row in table:
            *cells, last = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  ".join([*cells, last.strip().rjust(widths[-1])]))
        self.text(title, lines)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, width=_PIPE_COLUMNS)
    return console
