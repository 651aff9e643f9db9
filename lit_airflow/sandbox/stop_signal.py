"""StopSignal on request: SIGINT, SIGTERM and SIGHUP end the sandbox where it next looks, and nowhere else.

An exception out of a signal handler can strike between starting a process and noting its number, and then the
process is left behind. So the handler only notes the signal, and whoever waits asks.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lit_airflow.clock import Deadline, sleep

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SLICE_S = 0.1


class StopRequestedError(Exception):
    """Somebody asked us to stop; not a failure, and it never leaves the sandbox.

    Attributes:
        signal: Which signal it was.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number


class StopSignal:
    """Knows whether somebody asked us to stop."""

    def __init__(self) -> None:
        self._signal: int | None = None

    def request(self, number: int = signal.SIGTERM) -> None:
        """Ask for it; the first one counts."""
        if self._signal is None:
            self._signal = number

    def check(self) -> None:
        """Return if nobody asked.

        Raises:
            StopRequestedError: Somebody did.
        """
        if self._signal is not None:
            raise StopRequestedError(self._signal)

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond a request to stop.

        Raises:
            StopRequestedError: Before, or while, sleeping.
        """
        # No threading.Event: its set() in a handler can deadlock with the wait() that the signal interrupted.
        deadline = Deadline.after(seconds)
        self.check()
        while left := deadline.left_s():
            sleep(min(left, _SLICE_S))
            self.check()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Take the signals for as long as the block lasts, the cleaning up inside it included."""
        before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.request(number)
