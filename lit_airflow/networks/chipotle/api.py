"""Sending the service's calls: time-outs, what is repeated, and errors of this package's tree.

Calls that may be repeated are (:data:`lit_airflow.networks.chipotle.api_calls.REPEATABLE`), and calls that were
refused before anything was done.

Source: notes on Chipotle, sections 4 and 5.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lit_airflow.clock import Deadline
from lit_airflow.errors import LitError, NodeError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.api_calls import ApiCall, headers
from lit_airflow.networks.chipotle.api_errors import (
    ApiAnswer,
    Failure,
    Kind,
    classify,
    error_of,
    lost,
    parsed,
)
from lit_airflow.transport.http import Http, Repeat, Response

_REQUEST_ID = re.compile(r"[0-9a-fA-F-]{8,64}")


class CallFailed(NodeError):  # noqa: N818 - like its base, one server's failure
    """A call that did not succeed; never leaves this package.

    Attributes:
        failure: What its answer means.
    """

    def __init__(self, failure: Failure, retry_after_s: float | None = None) -> None:
        super().__init__(failure.cause, retryable=failure.retryable, retry_after_s=retry_after_s)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Api:
    """The service at one URL.

    Attributes:
        url: The base URL, with ``/core/v1``.
        http: How to send.
    """

    url: str
    http: Http

    def send(
        self,
        call: ApiCall,
        key: Secret | None,
        deadline: Deadline,
        *,
        cancelled: threading.Event | None = None,
    ) -> Any:  # noqa: ANN401 - any JSON; readers check its shape
        """Return the JSON that a call is answered with.

        Args:
            call: What to send.
            key: The key that it needs; ``None`` for those that need none.
            deadline: By when all attempts must end.
            cancelled: Set when the answer is no longer wanted.

        Raises:
            LitError: As :func:`lit_airflow.networks.chipotle.api_errors.error_of` has it.
        """
        try:
            return self.attempt(call, key, deadline, cancelled=cancelled)
        except CallFailed as error:
            raise self.error(call, error.failure) from None

    def attempt(
        self,
        call: ApiCall,
        key: Secret | None,
        deadline: Deadline,
        *,
        cancelled: threading.Event | None = None,
    ) -> Any:  # noqa: ANN401 - as send
        """As :meth:`send`, for callers that look at what went wrong.

        Raises:
            CallFailed: After the last attempt.
        """
        cancelled = cancelled or threading.Event()

        def once() -> Any:  # noqa: ANN401 - as send
            return parsed(self._answer(call, key, deadline, cancelled))

        try:
            return once()
        except CallFailed as error:
            if not error.retryable:
                raise
            first = error
        from lit_airflow.transport.retry import try_again  # noqa: PLC0415 - only failures pay for tenacity

        return try_again(once, first, deadline, cancelled)

    def probe(
        self, call: ApiCall, key: Secret, deadline: Deadline, *, new_key: bool = False
    ) -> Failure | None:
        """Send a run once, to see whether a key may; return what is wrong, ``None`` if nothing is.

        Args:
            call: The run.
            key: The usage key.
            deadline: By when the answer must be there.
            new_key: Whether the key was minted seconds ago, so that a refusal may pass.
        """
        try:
            self._answer(call, key, deadline, threading.Event(), probing=new_key)
        except CallFailed as error:
            return error.failure
        return None

    def exchange(
        self, call: ApiCall, key: Secret | None, deadline: Deadline, cancelled: threading.Event | None = None
    ) -> Response:
        """Send a call once and return its answer as it came.

        Raises:
            CallFailed: No answer, or not a whole one.
        """
        within = Deadline.after(min(call.timeout_s, deadline.left_s()))
        sent = headers(key)
        try:
            if call.method == "GET":
                return self.http.get(
                    self.url + call.path,
                    deadline=within,
                    repeat=Repeat.NEVER,
                    headers=sent,
                    cancelled=cancelled,
                )
            return self.http.post(
                self.url + call.path,
                call.body or "",
                deadline=within,
                repeat=Repeat.NEVER,
                headers=sent,
                cancelled=cancelled,
            )
        except NodeError as error:
            cause = error.message
            retryable, was_sent = error.retryable, error.sent
        finally:
            sent.clear()  # a traceback must not find the key here
        if was_sent:
            raise CallFailed(lost(call.name, cause))
        raise CallFailed(Failure(Kind.UNAVAILABLE, cause, retryable=retryable))

    def error(self, call: ApiCall, failure: Failure) -> LitError:
        """Return the error for a failure."""
        return error_of(failure, call.name, self.url)

    def _answer(
        self,
        call: ApiCall,
        key: Secret | None,
        deadline: Deadline,
        cancelled: threading.Event,
        *,
        probing: bool = False,
    ) -> ApiAnswer:
        response = self.exchange(call, key, deadline, cancelled)
        answer = _read(response)
        failure = classify(call.name, answer, probing=probing)
        if failure is None:
            return answer
        if answer.request_id:
            failure = replace(failure, cause=f"{failure.cause}, request {answer.request_id}")
        raise CallFailed(failure, response.retry_after_s)


def _read(response: Response) -> ApiAnswer:
    request_id = _header(response.headers, "X-Request-Id")
    return ApiAnswer(
        status=response.status,
        content_type=_header(response.headers, "Content-Type"),
        body=response.body.decode(errors="replace"),
        request_id=request_id if _REQUEST_ID.fullmatch(request_id) else "",
    )


def _header(sent: Mapping[str, str], name: str) -> str:
    return str(sent.get(name, ""))
