from __future__ import annotations

import inspect
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from lit_airflow import errors
from lit_airflow.errors import LitError

NOW = datetime(2025, 1, 15, tzinfo=UTC)
ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, LitError)]
# What each kind wants beside its message, by parameter name.
FACTS: dict[str, Any] = {
    "field": "chain",
    "name": "reports",
    "operation": "add_usage_api_key",
    "expired_at": NOW,
    "now": NOW,
    "check": "report",
    "needed": 2,
    "reached": 1,
    "good": 1,
    "bad": 3,
    "hint": "Do this.",
    "asked": "pkp-signing=lit-pkp://1",
    "granted": "pkp-signing=lit-pkp://2",
    "status": 502,
    "code": "rpc_error",
    "retryable": True,
    "retry_after_s": 1.5,
    "node": "http://127.0.0.1:1",
    "nodes": ("http://127.0.0.1:1",),
    "failures": {"http://127.0.0.1:1": errors.Failure(errors.FailureKind.UNREACHABLE, "connection refused")},
    "kind": errors.FailureKind.BUSY,
    "sent": False,
    "cid": "QmWWwqLKgUEvT9ddVbwVYPNqtPLwgTPzsGb4qxgFwEpKkN",
    "seconds": 1.5,
    "cents": 2,
    "limit": "time",
    "estimate_cents": 5,
    "budget_cents": 2,
}
RETRYABLE = {
    "VaultUnavailableError",
    "WorkerDiedError",
    "SessionNotFoundError",
    "SignerUnavailableError",
    "ChainUnavailableError",
    "NodesUnavailableError",
    "RateLimitedError",
}


def example(kind: type[LitError]) -> LitError:
    """An error of this kind with every fact that its constructor takes."""
    parameters = inspect.signature(kind).parameters.values()
    facts = {p.name: FACTS[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY}
    return kind("It failed.", **facts)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_holds_its_facts(kind: type[LitError]) -> None:
    wanted = inspect.signature(kind).parameters
    facts = {
        name: FACTS[name]
        for name, parameter in wanted.items()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    }
    hint = {"hint": "Do this."} if "hint" in wanted else {}
    error = kind("It failed.", **facts, **hint)
    assert {name: getattr(error, name) for name in facts} == facts
    assert str(error) == " ".join(["It failed.", *hint.values()])
    assert error.retryable is (kind.__name__ in RETRYABLE)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_pickles_with_all_its_attributes(kind: type[LitError], protocol: int) -> None:
    error = example(kind)
    assert len(vars(error)) >= 2
    error.add_note("A note.")
    copy = pickle.loads(pickle.dumps(error, protocol))
    assert type(copy) is kind
    assert (str(copy), repr(copy), copy.args) == (str(error), repr(error), error.args)
    assert vars(copy) == vars(error)
    assert copy.retryable == error.retryable


def _fail(kind: str) -> None:
    raise example(getattr(errors, kind))


def test_an_error_leaves_a_process_pool() -> None:
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        failed = pool.submit(_fail, "NodesUnavailableError").exception(timeout=60)
    assert isinstance(failed, errors.NodesUnavailableError)
    assert failed.failures == FACTS["failures"]


def test_a_message_that_was_completed_stays_so() -> None:
    with pytest.raises(errors.ScopeError) as caught, errors.in_file("reports.json"):
        raise errors.ScopeError("Not granted.", asked="a", granted="b")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == "reports.json: Not granted."


def test_an_invalid_argument_is_a_value_error() -> None:
    assert issubclass(errors.SettingsError, ValueError)
    assert issubclass(errors.ConditionError, ValueError)
