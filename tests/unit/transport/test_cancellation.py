from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from lit_airflow.clock import Deadline
from lit_airflow.errors import NodeError
from lit_airflow.transport.http import Http

if TYPE_CHECKING:
    from tests.unit.http_server import FaultyServer

MANY = 40
FEW = 8


class Asked:
    """Many requests to one URL at once, each with an event of its own."""

    def __init__(self, http: Http, url: str) -> None:
        self._http, self._url = http, url
        self.events: list[threading.Event] = []
        self.threads: list[threading.Thread] = []
        self.failures: list[NodeError] = []

    def ask(self) -> None:
        event = threading.Event()
        thread = threading.Thread(target=self._ask, args=(event,), daemon=True)
        self.events.append(event)
        self.threads.append(thread)
        thread.start()

    def _ask(self, event: threading.Event) -> None:
        try:
            self._http.post(self._url, "{}", deadline=Deadline.after(15), cancelled=event)
        except NodeError as error:
            self.failures.append(error)

    def alive(self) -> int:
        return sum(thread.is_alive() for thread in self.threads)


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("path", ["/silent", "/slow-headers", "/slow-body"])
def test_what_nobody_waits_for_is_cut_off(faulty_server: FaultyServer, path: str) -> None:
    asked = Asked(Http(), faulty_server.url + path)
    for _ in range(MANY):
        asked.ask()
    eventually(lambda: faulty_server.count(path) == MANY)
    for event in asked.events:
        event.set()
    asked.ask()
    eventually(lambda: asked.alive() <= FEW + 1)
    # The last one is wanted, and the youngest of the others may go on for now.
    assert [thread.is_alive() for thread in asked.threads[-1:]] == [True]
    assert faulty_server.count(path) <= MANY + 1, "what is cut off is not tried again"


def test_what_is_wanted_is_not(faulty_server: FaultyServer) -> None:
    asked = Asked(Http(), faulty_server.url + "/silent")
    for _ in range(MANY):
        asked.ask()
    eventually(lambda: faulty_server.count("/silent") == MANY)
    assert asked.alive() == MANY


def test_a_connection_that_somebody_else_uses_by_now_is_left_alone(faulty_server: FaultyServer) -> None:
    """Requests that are over before they are given up leave their connections to others."""
    http, url = Http(), faulty_server.url + "/json"
    for _ in range(3 * FEW):
        cancelled = threading.Event()
        assert http.post(url, "{}", deadline=Deadline.after(5), cancelled=cancelled).json() == {"ok": True}
        cancelled.set()
    asked = Asked(http, faulty_server.url + "/json")
    for _ in range(MANY):
        asked.ask()
        asked.events[-1].set()
    for thread in asked.threads:
        thread.join(300)
    assert http.post(url, "{}", deadline=Deadline.after(5)).json() == {"ok": True}
