"""Stop on SIGINT, SIGTERM or SIGHUP, but only at the points where the code checks for it.

An exception raised by a signal handler could interrupt the code between the start of a process and the recording of
its number, and the process would be left running. So the handler only records the signal.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lit_airflow.clock import Deadline, sleep

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CHECK_INTERVAL_S = 0.1


class StopRequestedError(Exception):
    """A stop was requested. This is not a failure; the commands of the sandbox catch it.

    Attributes:
        signal: The number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number


class StopSignal:
    """Whether a stop was requested."""

    def __init__(self) -> None:
        self._signal: int | None = None

    def request(self, number: int = signal.SIGTERM) -> None:
        """Request a stop; later requests are ignored.

        Args:
            number: The signal to report.
        """
        if self._signal is None:
            self._signal = number

    def check(self) -> None:
        """Return if no stop was requested.

        Raises:
            StopRequestedError: A stop was requested.
        """
        if self._signal is not None:
            raise StopRequestedError(self._signal)

    def wait(self, seconds: float) -> None:
        """Sleep until the time is over or a stop is requested.

        Raises:
            StopRequestedError: A stop was requested before or during the wait.
        """
        # Not a threading.Event: its set() in a handler can deadlock with the wait() that the signal interrupted.
        deadline = Deadline.after(seconds)
        self.check()
        while left := deadline.left_s():
            sleep(min(left, _CHECK_INTERVAL_S))
            self.check()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Handle the signals inside the block, and restore the previous handlers afterwards."""
        before = {number: signal.signal(number, self._record) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _record(self, number: int, _frame: FrameType | None) -> None:
        self.request(number)
