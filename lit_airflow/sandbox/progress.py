"""What people see: steps on standard error as they happen, results on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from lit_airflow.clock import Deadline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_AGES = 10.0**6
# A pipe has no width of its own, and 80 columns cut node addresses in two.
_PIPE_COLUMNS = 110


class Progress:
    """Prints steps with the seconds since the beginning. Plain text where there is no terminal."""

    def __init__(self) -> None:
        self._steps = _console(stderr=True)
        self._results = _console(stderr=False)
        # The monotonic clock is read as what is left until a deadline far away.
        self._beginning = Deadline.after(_AGES)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return _AGES - self._beginning.left_s()

    def step(self, text: str) -> None:
        """Something happened."""
        self._steps.print(f"[dim]{self.seconds:6.1f} s[/]  {escape(text)}", soft_wrap=True)

    def failure(self, text: str, details: str = "") -> None:
        """Something went wrong; ``details`` is, for example, the end of a log."""
        self._steps.print(f"[bold red]failed:[/] {escape(text)}", soft_wrap=True)
        for line in details.splitlines():
            self._steps.print(f"    [dim]{escape(line)}[/]", soft_wrap=True)

    def text(self, title: str, lines: Iterable[str] = ()) -> None:
        """A part of the result."""
        self._results.print(f"\n[bold]{escape(title)}[/]", soft_wrap=True)
        for line in lines:
            self._results.print(f"  {escape(line)}", soft_wrap=True)

    def rows(self, title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A part of the result, as a table; the last column goes right."""
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
