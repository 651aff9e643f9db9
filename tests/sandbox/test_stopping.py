import os
import signal
import time

import pytest

from lit_airflow.sandbox.stop_signal import StopRequestedError, StopSignal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_strikes_at_the_next_wait_and_not_before(number: signal.Signals) -> None:
    stopping = StopSignal()
    with stopping.on_signals():
        os.kill(os.getpid(), number)
        reached = True  # an exception out of the handler would have struck here
        with pytest.raises(StopRequestedError) as caught:
            stopping.wait(60)
    assert reached
    assert caught.value.signal == number


def test_a_signal_ends_a_wait_that_has_begun() -> None:
    stopping = StopSignal()
    with stopping.on_signals():
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(StopRequestedError):
            stopping.wait(3600)


def test_a_second_signal_does_not_disturb_the_cleaning_up() -> None:
    stopping = StopSignal()
    cleaned = False
    with stopping.on_signals():
        try:
            stopping.request(signal.SIGINT)
            stopping.check()
        except StopRequestedError:
            os.kill(os.getpid(), signal.SIGINT)
            cleaned = True
    assert cleaned


def test_the_handlers_of_before_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopSignal().on_signals():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_an_undisturbed_wait_takes_its_time() -> None:
    began = time.monotonic()
    StopSignal().wait(0.25)
    assert time.monotonic() - began >= 0.25
