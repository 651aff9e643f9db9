"""Which tasks a keep-alive task watches, and what is stored of it; the rest runs under a scheduler."""

from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.module_loading import import_string

from lit_airflow.errors import SettingsError
from lit_airflow.operators import LitDecryptOperator, LitKeepAliveOperator, LitSessionSigsOperator
from lit_airflow.triggers import LitKeepAliveTrigger, LitMomentTrigger
from tests.airflow.running import make_dag

ANY = ["access-control-condition-decryption=lit-accesscontrolcondition://*"]


def work(task_id: str) -> LitDecryptOperator:
    return LitDecryptOperator(task_id=task_id, encrypted={}, session="s", push_plaintext=True)


def keeping(*, upstream: bool = True, **arguments: Any) -> tuple[DAG, LitKeepAliveOperator]:  # noqa: ANN401
    """before >> session >> [keep >> after, first >> second]"""
    with make_dag("keeping") as dag:
        session = LitSessionSigsOperator(task_id="session", allow=ANY, name="s")
        keep = LitKeepAliveOperator(task_id="keep", allow=ANY, name="s", **arguments)
        work("before") >> session >> work("first") >> work("second")
        if upstream:
            session >> keep
        keep >> work("after")
    return dag, keep


def test_it_watches_what_works_beside_it() -> None:
    assert keeping()[1]._watched() == ["first", "second"]


def test_without_anything_before_it_it_watches_all_but_what_waits_for_it() -> None:
    assert keeping(upstream=False)[1]._watched() == ["before", "first", "second", "session"]


def test_it_watches_what_it_is_told_to() -> None:
    assert keeping(until=["second"])[1]._watched() == ["second"]


@pytest.mark.parametrize("until", [[], ["nobody"], ["keep"], ["after"], ["first", "after"]])
def test_what_would_never_end_is_refused(until: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        keeping(until=until)[1]._watched()
    assert caught.value.field == "until"


def test_it_announces_nothing_and_needs_a_name() -> None:
    assert keeping()[1].outlets == []
    with pytest.raises(SettingsError):
        LitKeepAliveOperator(task_id="keep", allow=ANY, name="")


@pytest.mark.parametrize(
    "trigger",
    [
        LitKeepAliveTrigger("2026-01-01T00:00:00.000Z", "d", "r", ["a", "b"], 2.5),
        LitMomentTrigger("2026-01-01T00:00:00.000Z", {"checks": 3}),
    ],
)
def test_a_triggerer_makes_the_same_of_what_is_stored(trigger: Any) -> None:  # noqa: ANN401 - either
    path, arguments = trigger.serialize()
    assert import_string(path)(**arguments).serialize() == (path, arguments)
