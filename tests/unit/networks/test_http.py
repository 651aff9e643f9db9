from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from lit_airflow.clock import Deadline
from lit_airflow.errors import NodeError
from lit_airflow.networks.http import Http

if TYPE_CHECKING:
    from tests.unit.networks.conftest import Trouble


def post(url: str, within_s: float = 10, **options: object) -> object:
    return Http().post(url, "{}", deadline=Deadline.after(within_s), **options)  # type: ignore[arg-type]


def test_what_is_sent(trouble: Trouble) -> None:
    body = '{"text":"naïve → 5"}'
    answer = Http().post(
        trouble.url + "/json", body, deadline=Deadline.after(5), headers={"X-Request-Id": "lit_1"}
    )
    assert answer == {"ok": True}
    ((path, headers, sent),) = trouble.seen
    assert (path, sent) == ("/json", body)
    assert headers["content-type"] == headers["accept"] == "application/json"
    assert headers["x-request-id"] == "lit_1"


@pytest.mark.parametrize("path", ["/redirect", "/see-other"])
def test_redirects_are_not_followed(trouble: Trouble, path: str) -> None:
    with pytest.raises(NodeError) as caught:
        post(trouble.url + path)
    assert caught.value.status in (303, 307)
    assert [seen[0] for seen in trouble.seen] == [path]


def test_a_huge_answer_is_not_read_to_its_end(trouble: Trouble, stopwatch: Callable[[], float]) -> None:
    with pytest.raises(NodeError, match="longer than"):
        post(trouble.url + "/huge")
    assert stopwatch() < 5


@pytest.mark.parametrize("path", ["/not-json", "/text", "/no-content", "/deep"])
def test_what_is_not_json(trouble: Trouble, path: str) -> None:
    with pytest.raises(NodeError, match="not JSON") as caught:
        post(trouble.url + path)
    assert not caught.value.retryable
    assert trouble.count(path) == 1


@pytest.mark.parametrize("path", ["/429", "/500"])
def test_what_passes_is_tried_again(trouble: Trouble, path: str) -> None:
    assert post(trouble.url + path) == {"ok": True}
    assert trouble.count(path) == 2


@pytest.mark.parametrize(
    ("path", "status", "code"), [("/500-always", 500, "NodeSystemFault"), ("/html-502", 502, "")]
)
def test_what_does_not_pass_is_given_up(trouble: Trouble, path: str, status: int, code: str) -> None:
    with pytest.raises(NodeError) as caught:
        post(trouble.url + path)
    assert (caught.value.status, caught.value.code, caught.value.retryable) == (status, code, True)
    assert trouble.count(path) == 3
    assert "<html>" not in str(caught.value)


def test_a_refusal_is_not_tried_again(trouble: Trouble) -> None:
    with pytest.raises(NodeError) as caught:
        post(trouble.url + "/401")
    assert (caught.value.status, caught.value.code) == (401, "NodeNotAuthorized")
    assert trouble.count("/401") == 1
    assert "SECRET" not in repr(caught.value) + str(caught.value)


def test_only_a_code_is_repeated(trouble: Trouble) -> None:
    with pytest.raises(NodeError) as caught:
        post(trouble.url + "/strange-code")
    assert str(caught.value) == "HTTP 400"


def test_a_long_retry_after_is_not_waited_for(trouble: Trouble, stopwatch: Callable[[], float]) -> None:
    with pytest.raises(NodeError) as caught:
        post(trouble.url + "/429-for-long", within_s=1)
    assert caught.value.retry_after_s == 3600
    assert stopwatch() < 2


@pytest.mark.parametrize("path", ["/reset", "/hang-up", "/cut-short"])
def test_broken_connections(trouble: Trouble, path: str) -> None:
    with pytest.raises(NodeError) as caught:
        post(trouble.url + path)
    assert caught.value.status is None
    assert caught.value.retryable
    assert trouble.count(path) >= 3


def test_nobody_listens(stopwatch: Callable[[], float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    with pytest.raises(NodeError, match="connection refused"):
        post(url)
    assert stopwatch() < 5


def test_tls_where_there_is_none(trouble: Trouble) -> None:
    with pytest.raises(NodeError, match="TLS failed"):
        post(trouble.url.replace("http:", "https:") + "/json")


@pytest.mark.parametrize("path", ["/silent", "/slow-body"])
def test_the_deadline_holds(trouble: Trouble, stopwatch: Callable[[], float], path: str) -> None:
    """Also where single bytes keep coming, each well within any time-out for one read."""
    with pytest.raises(NodeError, match="in time"):
        post(trouble.url + path, within_s=0.5)
    assert stopwatch() < 2


def test_a_deadline_that_is_over_sends_nothing(trouble: Trouble) -> None:
    with pytest.raises(NodeError, match="in time"):
        post(trouble.url + "/json", within_s=0)
    assert trouble.seen == []


def test_cancelling_stops_the_retries(trouble: Trouble, stopwatch: Callable[[], float]) -> None:
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    with pytest.raises(NodeError):
        post(trouble.url + "/429-for-long", within_s=7200, cancelled=cancelled)
    assert stopwatch() < 5
    assert trouble.count("/429-for-long") <= 2
