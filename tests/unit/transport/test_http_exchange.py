"""One exchange: any status is an answer, nothing is repeated, a failure says whether it may have arrived."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from lit_airflow.clock import Deadline
from lit_airflow.errors import NodeError
from lit_airflow.transport.http import Exchange, Http

if TYPE_CHECKING:
    from tests.unit.http_server import FaultyServer


def exchange(url: str, body: str | None = "{}", within_s: float = 10, most_bytes: int = 1000) -> Exchange:
    method = "GET" if body is None else "POST"
    headers = {"X-Privacy-Mode": "true"}
    return Http().exchange(
        method, url, body, deadline=Deadline.after(within_s), headers=headers, most_bytes=most_bytes
    )


def failure(url: str, **options: float) -> NodeError:
    with pytest.raises(NodeError) as caught:
        exchange(url, **options)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize("body", [None, '{"text":"naïve"}'])
def test_what_is_sent_and_read(faulty_server: FaultyServer, body: str | None) -> None:
    answer = exchange(faulty_server.url + "/json", body)
    assert (answer.status, answer.content) == (200, b'{"ok": true}')
    assert answer.headers["content-type"] == "application/json"
    assert answer.date is not None
    ((_, headers, sent),) = faulty_server.seen
    assert sent == (body or "")
    assert headers["x-privacy-mode"] == "true"
    assert ("content-type" in headers) is (body is not None)


@pytest.mark.parametrize("path", ["/401", "/429", "/500-always", "/html-502"])
def test_refusals_are_answers_and_are_not_repeated(faulty_server: FaultyServer, path: str) -> None:
    answer = exchange(faulty_server.url + path)
    assert answer.status >= 400
    assert answer.content
    assert faulty_server.count(path) == 1


@pytest.mark.parametrize("path", ["/reset", "/hang-up", "/cut-short"])
def test_what_may_have_arrived_is_not_repeated(faulty_server: FaultyServer, path: str) -> None:
    assert failure(faulty_server.url + path).sent
    assert faulty_server.count(path) == 1


def test_what_was_too_slow_may_have_arrived(faulty_server: FaultyServer) -> None:
    assert failure(faulty_server.url + "/silent", within_s=0.3).sent


def test_nothing_arrives_where_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert not failure(f"http://127.0.0.1:{taken.getsockname()[1]}/").sent


def test_nothing_is_sent_when_the_time_is_over(faulty_server: FaultyServer) -> None:
    assert not failure(faulty_server.url + "/json", within_s=0).sent
    assert faulty_server.seen == []


def test_a_long_answer_is_not_read(faulty_server: FaultyServer) -> None:
    assert "longer than 5 bytes" in failure(faulty_server.url + "/json", most_bytes=5).message
