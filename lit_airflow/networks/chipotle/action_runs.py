"""Running actions of the user's own: what is checked before a text is sent, and what its answer means.

Unlike a gate, such an action may do something that must not be done twice, so a run whose answer was lost is not
repeated unless the caller says that it may be. What was refused before it ran always may.

Source: docs/protocol/chipotle.md#run-an-action, #errors, #what-may-be-repeated and #limits-and-prices.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from lit_airflow.clock import Deadline
from lit_airflow.errors import (
    AccessDeniedError,
    ActionFailedError,
    ActionLimitError,
    LitError,
    OutcomeUnknownError,
    PaymentError,
    ProtocolError,
    SettingsError,
)
from lit_airflow.json_input import try_parse
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.actions import Action, ActionRun
from lit_airflow.networks.chipotle import api_calls
from lit_airflow.networks.chipotle.api import Api, CallFailedError, Reply
from lit_airflow.networks.chipotle.api_calls import WRITE_CENTS, ApiCall
from lit_airflow.networks.chipotle.api_errors import TOP_UP, ApiFailure, ApiFailureKind
from lit_airflow.networks.chipotle.cid import cid_v0
from lit_airflow.networks.chipotle.credentials import Credentials
from lit_airflow.networks.chipotle.gate_runs import RUN_TIMEOUT_S, settled
from lit_airflow.networks.contract import Cost
from lit_airflow.text import is_encodable, quoted

MAX_REQUEST_BYTES = 10 * 1024 * 1024
"""The longest body that the service reads since April 2026; later builds read longer ones."""

_CIDS_HINT = (
    "The API key's group must contain this CID; any other byte in the text, a line end too, is another CID."
)
_LIMITS = {
    "time": "ran longer than the service allows",
    "memory": "took more memory than the service allows",
    "code": "is longer than the service allows",
}


@dataclass(frozen=True, slots=True)
class Text:
    """An action's text, ready to be sent.

    Attributes:
        code: The text; a gate's contains its salt.
        cid: Its CID; empty for a gate: with the CID, others could ask for its key.
    """

    code: Secret
    cid: str = field(default="")

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return f"The action {self.cid}" if self.cid else "The gate"


def price_cents(seconds: float) -> int:
    """Return what a run costs: one cent for each completed second, and at least one."""
    return max(1, int(seconds)) * WRITE_CENTS


def text_of(action: Action, credentials: Callable[[], Credentials]) -> Text:
    """Return the text to send, after all that can be checked without sending it.

    Raises:
        SettingsError: Neither or both of text and gate, no text in it, or another CID than expected.
        SecretError: The gate is not listed in the connection's secret.
    """
    if bool(action.code) == bool(action.gate):
        raise SettingsError("Give either the action's text or a gate.", field="code")
    if action.gate:
        if action.expected_cid:
            raise SettingsError(
                "A gate's CID is secret, so it cannot be compared with one that is written down.",
                field="expected_cid",
                hint="A gate is named by its public key, which stands for one text only.",
            )
        return Text(credentials().gate(action.gate).text())
    if not action.code.strip():
        raise SettingsError("The action's text is blank.", field="code")
    if not is_encodable(action.code):
        raise SettingsError("The action's text contains an unpaired surrogate.", field="code")
    cid = cid_v0(action.code)
    if action.expected_cid and cid != action.expected_cid:
        raise SettingsError(
            f"The action's text has the CID {cid}, not {quoted(action.expected_cid)}. It was not sent.",
            field="expected_cid",
            hint="Any byte counts, line ends too. If the text was changed on purpose, change expected_cid, and the "
            "group of the API key.",
        )
    return Text(Secret(action.code.encode()), cid)


def run_action(  # noqa: PLR0913 - each is needed
    api: Api,
    key: Secret,
    text: Text,
    params: Any,  # noqa: ANN401 - JSON
    deadline: Deadline,
    *,
    repeatable: bool,
) -> ActionRun:
    """Run an action once, or until it was answered if it may be repeated.

    Args:
        api: The service.
        key: The API key.
        text: What to run.
        params: Any JSON.
        deadline: When to stop waiting.
        repeatable: Whether it may run again when the answer to a run was lost.

    Raises:
        LitError: As :meth:`lit_airflow.networks.actions.ActingNetwork.run_action`.
    """
    call = api_calls.run(text.code, _checked_params(params), timeout_s=RUN_TIMEOUT_S)
    _check_size(call)
    before_s = deadline.left_s()
    try:
        reply = _ask(api, call, key, deadline, repeatable=repeatable)
    except CallFailedError as error:
        failure = settled(api, error.failure, key, deadline)
    else:
        return _read(reply, text)
    raise _error(api, call, failure, text, before_s - deadline.left_s())


def type_note(response: object) -> str:
    """Return what may have become of a response's type on its way; empty where nothing can have.

    The service parses whatever text an action returns as JSON. So a text that happens to be JSON arrives as what it
    says; an object arrives as it was.
    """
    if isinstance(response, dict):
        return ""
    if isinstance(response, str):
        if not response:
            return "The action returned nothing, or an empty text: the service does not tell which."
        if try_parse(response) is None and response.strip() != "null":
            return ""
        return f"The action returned a text in quotes, and the service took the quotes off. {_ADVICE}"
    kind = (
        "an array" if isinstance(response, list) else "null" if response is None else _SCALARS[type(response)]
    )
    return f"The response is {kind}, and may have been a text: the service parses texts as JSON. {_ADVICE}"


_ADVICE = "Have the action return an object, such as {value: ...}, which arrives as it was."
_SCALARS = {bool: "true or false", int: "a number", float: "a number"}


def _checked_params(params: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the parameters, if they are JSON."""
    try:
        text = json.dumps(params, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = ""
    if text and is_encodable(text):
        return params
    del params, text
    raise SettingsError(
        "js_params are not JSON.",
        field="js_params",
        hint="Use objects, lists, texts, finite numbers, true, false and null.",
    )


def _check_size(call: ApiCall) -> None:
    size = len((call.body or "").encode())
    if size > MAX_REQUEST_BYTES:
        raise SettingsError(
            f"Text and js_params have {size} bytes; the service reads {MAX_REQUEST_BYTES}.",
            field="js_params",
            hint="Pass a URL, and have the action fetch what is large.",
        )


def _ask(api: Api, call: ApiCall, key: Secret, deadline: Deadline, *, repeatable: bool) -> Reply:
    def once() -> Reply:
        try:
            return api.ask_once(call, key, deadline)
        except CallFailedError as error:
            failure, retry_after_s = error.failure, error.retry_after_s
        if failure.kind is ApiFailureKind.SERVER and not repeatable:
            failure = replace(failure, kind=ApiFailureKind.UNKNOWN_OUTCOME, retryable=False)
        raise CallFailedError(failure, retry_after_s)

    try:
        return once()
    except CallFailedError as error:
        if not error.retryable:
            raise
        first = error
    from lit_airflow.transport.retry import try_again  # noqa: PLC0415 - only failures pay for tenacity

    return try_again(once, first, deadline, threading.Event())


def _read(reply: Reply, text: Text) -> ActionRun:
    answer = reply.content
    if not isinstance(answer, dict) or "response" not in answer:
        del answer, reply
        raise ProtocolError("What the service answered is not the answer to a run.")
    logs = answer.get("logs")
    return ActionRun(
        response=answer["response"],
        note=type_note(answer["response"]),
        logs=logs if isinstance(logs, str) else "",
        cid=text.cid,
        cost=Cost(reply.took_s, price_cents(reply.took_s)),
    )


def _error(api: Api, call: ApiCall, failure: ApiFailure, text: Text, took_s: float) -> LitError:
    if failure.kind is ApiFailureKind.ACTION:
        return _failed(failure, text, took_s)
    error = api.error(call, failure)
    if isinstance(error, AccessDeniedError) and failure.kind is ApiFailureKind.PERMISSION:
        return AccessDeniedError(
            f"{text.name} may not be run with this API key ({failure.cause}).",
            code=error.code,
            hint=_CIDS_HINT,
        )
    if isinstance(error, OutcomeUnknownError):
        return OutcomeUnknownError(
            f"{text.name} was sent and its answer was lost ({failure.cause}): it may have run or not.",
            operation=call.name,
            hint="Look at what it does before you run it again; if running it twice does no harm, set repeatable.",
        )
    return error


def _failed(failure: ApiFailure, text: Text, took_s: float) -> LitError:
    cents = price_cents(took_s)
    if failure.limit == "funds":
        return PaymentError(
            f"{text.name} was ended because the account's credit ran out.",
            hint=TOP_UP,
        )
    if failure.limit:
        return ActionLimitError(
            f"{text.name} {_LIMITS[failure.limit]} ({failure.cause}).",
            limit=failure.limit,
            cid=text.cid,
            seconds=took_s,
            cents=cents,
            hint="Split the work into several runs.",
        )
    thrown = f"threw {failure.thrown}" if failure.thrown else "failed"
    return ActionFailedError(
        f"{text.name} {thrown} ({failure.cause}).",
        cid=text.cid,
        seconds=took_s,
        cents=cents,
        hint="What it threw is not shown: it may contain data. Catch errors in the action and return what may be "
        "shown; or run it on a local network.",
    )
