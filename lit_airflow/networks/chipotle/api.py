"""Sending the service's calls: time-outs, what is repeated, and errors of this package's tree.

Source: docs/protocol/chipotle.md#errors and #what-may-be-repeated.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from lit_airflow.clock import Deadline
from lit_airflow.errors import FailureKind, LitError, NetworkError, NodeError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.api_calls import ApiCall, headers
from lit_airflow.networks.chipotle.api_errors import (
    ApiAnswer,
    ApiFailure,
    ApiFailureKind,
    classify,
    error_of,
    lost,
    parsed,
)
from lit_airflow.networks.chipotle.enclave import CertificateChangedError, Guard
from lit_airflow.transport.http import Http, Repeat, Response

_REQUEST_ID = re.compile(r"[0-9a-fA-F-]{8,64}")


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer.

    Attributes:
        content: Its JSON; readers check its shape.
        took_s: Seconds until it began.
        date: The service's clock, cut to seconds; ``None`` if it did not say.
    """

    content: Any = field(repr=False)
    took_s: float
    date: datetime | None


class CallFailedError(NodeError):
    """A call that did not succeed; never leaves this package.

    Attributes:
        failure: What its answer means.
    """

    def __init__(self, failure: ApiFailure, retry_after_s: float | None = None) -> None:
        super().__init__(
            failure.cause, kind=failure.reason, retryable=failure.retryable, retry_after_s=retry_after_s
        )
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Api:
    """The service at one URL.

    Attributes:
        url: The base URL, with ``/core/v1``.
        http: How to send requests.
        guard: Says whether something may be sent; ``None`` if anything may.
    """

    url: str
    http: Http
    guard: Guard | None = None

    def send(self, call: ApiCall, key: Secret | None, deadline: Deadline) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON that a call is answered with; see :meth:`reply`.

        Raises:
            LitError: As :meth:`reply`.
        """
        return self.reply(call, key, deadline).content

    def reply(self, call: ApiCall, key: Secret | None, deadline: Deadline) -> Reply:
        """Return a call's answer.

        Args:
            call: What to send.
            key: The key that it needs; ``None`` for those that need none.
            deadline: When all attempts must end.

        Raises:
            LitError: As :func:`lit_airflow.networks.chipotle.api_errors.error_of` has it.
        """
        try:
            return self.ask(call, key, deadline)
        except CallFailedError as error:
            failure = error.failure
        raise self.error(call, failure)

    def ask(self, call: ApiCall, key: Secret | None, deadline: Deadline) -> Reply:
        """As :meth:`reply`, for callers that look at how a call failed.

        Raises:
            CallFailedError: After the last attempt.
        """
        try:
            return self.ask_once(call, key, deadline)
        except CallFailedError as error:
            if not (call.repeatable and error.retryable):
                raise
            first = error
        from lit_airflow.transport.retry import try_again  # noqa: PLC0415 - only failures pay for tenacity

        return try_again(lambda: self.ask_once(call, key, deadline), first, deadline, threading.Event())

    def ask_once(
        self, call: ApiCall, key: Secret | None, deadline: Deadline, *, new_key: bool = False
    ) -> Reply:
        """Send a call; repeat it only where no connection was made.

        Args:
            call: What to send.
            key: The key that it needs.
            deadline: When the answer must have ended.
            new_key: Whether the key was minted seconds ago, so that a refusal may pass.

        Raises:
            CallFailedError: It did not succeed.
            AttestationError: The guard does not let it be sent.
        """
        response = self._guarded(call, key, Deadline.after(min(call.timeout_s, deadline.left_s())))
        answer = ApiAnswer(response.status, response.headers.get("Content-Type", ""), response.body)
        failure = classify(call.name, answer, probing=new_key)
        if failure is None:
            return Reply(parsed(answer), response.took_s, response.date)
        request_id = response.headers.get("X-Request-Id", "")
        if _REQUEST_ID.fullmatch(request_id):
            failure = replace(failure, cause=f"{failure.cause}, request {request_id}")
        raise CallFailedError(failure, response.retry_after_s)

    def probe(
        self, call: ApiCall, key: Secret, deadline: Deadline, *, new_key: bool = False
    ) -> ApiFailure | None:
        """Send a run once, to see whether a key may; return what is wrong, ``None`` if nothing is.

        Args:
            call: The run.
            key: The usage key.
            deadline: When the answer must have ended.
            new_key: Whether the key was minted seconds ago, so that a refusal may pass.
        """
        try:
            self.ask_once(call, key, deadline, new_key=new_key)
        except CallFailedError as error:
            return error.failure
        return None

    def error(self, call: ApiCall, failure: ApiFailure) -> LitError:
        """Return the error for a failure."""
        return error_of(failure, call.name, self.url)

    def _guarded(self, call: ApiCall, key: Secret | None, deadline: Deadline) -> Response:
        """Send a call once the guard lets it, again once the guard has seen the server's new certificate."""
        if self.guard is None:
            return self._exchange(call, key, deadline)
        self.guard.admit(deadline)
        try:
            return self._exchange(call, key, deadline)
        except CertificateChangedError as error:
            attested = error.attested
        self.guard.admit(deadline, instead_of=attested)
        return self._exchange(call, key, deadline)

    def _exchange(self, call: ApiCall, key: Secret | None, deadline: Deadline) -> Response:
        """Send a call, and return its answer as it came."""
        url = self.url + call.path
        try:
            if call.body is None:
                return self.http.get(url, deadline=deadline, headers=headers(key), repeat=Repeat.NEVER)
            return self.http.post(
                url, call.body, deadline=deadline, headers=headers(key), repeat=Repeat.IF_UNSENT
            )
        except NodeError as error:
            answer = _without_answer(
                call, error.message, error.kind, retryable=error.retryable, sent=error.sent
            )
            failed: NetworkError = CallFailedError(answer)
        except CertificateChangedError as error:
            failed = CertificateChangedError(error.attested, self.url)
        # Outside of the except block, or the error would carry the frames that hold the key and the body.
        raise failed


def _without_answer(
    call: ApiCall, cause: str, kind: FailureKind, *, retryable: bool, sent: bool
) -> ApiFailure:
    if sent:
        return lost(call.name, cause, kind)
    return ApiFailure(ApiFailureKind.UNAVAILABLE, cause, retryable=retryable, reason=kind)
