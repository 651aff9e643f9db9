from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest

from lit_airflow.clock import iso
from lit_airflow.provider.sessions_page import (
    Row,
    duration,
    made_per_hour,
    render,
    short,
    shown_nodes,
    shown_sessions,
)

NOW = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
WALLET = "0x" + "ab" * 20
SCOPE = [
    {"resource": "lit-accesscontrolcondition://*", "ability": "access-control-condition-decryption"},
]


def facts(
    made: timedelta = timedelta(minutes=-30), lasts: timedelta = timedelta(hours=1), **more: object
) -> dict[str, object]:
    made_at = NOW + made
    return {
        "network": "custom",
        "wallet": WALLET,
        "session_public_key": f"{made}",
        "scope": SCOPE,
        "issued_at": iso(made_at),
        "expires_at": iso(made_at + lasts),
        "name": "",
        "renewed": True,
        **more,
    }


def row(value: object, dag_id: str = "nightly", **place: Any) -> Row:  # noqa: ANN401
    return Row(
        **{"run_id": "r1", "task_id": "session", "map_index": -1, "at": NOW, **place},
        dag_id=dag_id,
        value=value,
    )


def test_the_newest_row_of_a_task_counts() -> None:
    rows = [row(facts(), run_id="new"), row(facts(timedelta(hours=-2)), run_id="old")]
    [shown] = shown_sessions(rows, NOW)
    assert (shown.row.run_id, shown.left, shown.time_left, shown.state) == ("new", 0.5, "30 min", "good")
    assert shown.may[0].words == "decrypt any data, with any conditions"


def test_the_first_to_end_stands_first_and_what_has_ended_last() -> None:
    rows = [
        row(facts(timedelta(hours=-3)), "ended"),
        row(facts(), "long"),
        row(facts(timedelta(minutes=-56)), "soon"),
        row(facts(timedelta(days=-2)), "forgotten"),
        row(facts(), "long", map_index=1, task_id="session"),
    ]
    shown = shown_sessions(rows, NOW)
    assert [(each.row.dag_id, each.state) for each in shown] == [
        ("soon", "soon"),
        ("long", "good"),
        ("long", "good"),
        ("ended", "ended"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        [1],
        {},
        facts(scope="x"),
        facts(scope=[{"resource": "no resource", "ability": "x"}]),
        facts(expires_at="soon"),
        facts(expires_at=5),
        facts(lasts=timedelta(0)),
    ],
)
def test_what_is_no_sessions_facts_is_left_out(value: object) -> None:
    assert shown_sessions([row(value)], NOW) == []
    assert "No session yet" in render([row(value)], [row(value)], now=NOW)


def test_sessions_are_counted_once_in_the_hour_they_were_made() -> None:
    hours = [0.1, 0.9, 1.1, 23.9, 24.1, -0.1]
    rows = [row(facts(timedelta(hours=-each))) for each in hours]
    counts = made_per_hour([*rows, *rows], NOW)
    assert (len(counts), counts[0], counts[22], counts[23]) == (24, 1, 1, 2)
    assert sum(counts) == 4


def test_nodes_are_summed_up_and_the_last_cause_is_kept() -> None:
    newest = {"a": {"answered": 1, "took_ms": 30, "left_out": 0, "failed": 1, "cause": "its share is wrong"}}
    older = {
        "a": {"answered": 1, "took_ms": 50, "left_out": 0, "failed": 1, "cause": "connection refused"},
        "b": {"answered": 0, "took_ms": 0, "left_out": 2, "failed": 0, "cause": ""},
        "c": "nonsense",
    }
    earlier = NOW - timedelta(hours=1)
    first, second = shown_nodes([row(newest), row(older, at=earlier), row(None)])
    assert (first.url, first.answered, first.mean_ms, first.failed, first.cause) == (
        "a",
        2,
        40,
        2,
        "its share is wrong",
    )
    assert (first.answered_at, first.failed_at) == (NOW, NOW)
    assert (second.url, second.answered, second.mean_ms, second.left_out) == ("b", 0, 0, 2)
    assert (second.answered_at, second.failed_at, second.state) == (None, None, "good")


def answers(
    answered: int = 0, failed: int = 0, cause: str = "", left_out: int = 0, kind: str = ""
) -> dict[str, object]:
    counts = {"answered": answered, "took_ms": 9, "left_out": left_out, "failed": failed}
    return {**counts, "cause": cause, "kind": kind}


UNPROVEN = answers(failed=1, cause="its share may be wrong", kind="unproven")
# What tasks of an earlier version left says no kind.
KINDLESS = {key: value for key, value in UNPROVEN.items() if key != "kind"}


@pytest.mark.parametrize(
    ("newest", "older", "state"),
    [
        (answers(failed=1, cause="connection refused"), answers(answered=1), "wrong"),
        (answers(answered=2), answers(failed=1, cause="connection refused"), "good"),
        (answers(left_out=1), answers(failed=1, cause="connection refused"), "wrong"),
        (answers(answered=1, failed=1, cause="connection refused"), answers(answered=1), "wrong"),
        (UNPROVEN, answers(answered=1), "unproven"),
        (KINDLESS, answers(answered=1), "wrong"),
        (answers(failed=1, cause="it may be wrong", kind="timeout"), answers(answered=1), "wrong"),
        (answers(failed=1, cause="its share is wrong", kind="wrong"), answers(), "wrong"),
        (answers(answered=1), UNPROVEN, "good"),
    ],
)
def test_a_node_is_marked_by_the_last_that_was_heard_of_it(newest: object, older: object, state: str) -> None:
    rows = [row({"a": newest, "b": answers(answered=9)}), row({"a": older}, at=NOW - timedelta(hours=3))]
    shown = {node.url: node for node in shown_nodes(rows)}
    assert (shown["a"].state, shown["b"].state) == (state, "good")
    html = render([], rows, now=NOW)
    assert html.index(">a<") < html.index(">b<")
    assert f'<tr class="{state}">' in html
    assert ("3 h 0 min ago" in html) == (
        NOW - timedelta(hours=3) in {shown["a"].answered_at, shown["a"].failed_at}
    )
    assert ("is proof" in html) == (shown["a"].kind == "unproven")


def test_the_page_escapes_what_tasks_say_and_shows_named_facts_only() -> None:
    evil = "<script>alert(1)</script>"
    nodes = {evil: {"answered": 1, "took_ms": 5, "left_out": 0, "failed": 1, "cause": evil}}
    session = facts(network=evil, wallet=evil, name=evil, sealed="vault:v1:secret")
    html = render([row(session, evil, task_id=evil, run_id=evil)], [row(nodes)], now=NOW)
    assert evil not in html
    assert unescape(html).count(evil) >= 6
    assert "vault:v1:secret" not in html


def test_links_are_quoted_and_stand_below_the_path_of_airflow() -> None:
    html = render(
        [row(facts(), "d", run_id="manual__2026/05+00:00", map_index=3)], [], now=NOW, airflow="/af"
    )
    assert 'href="/af/dags/d/runs/manual__2026%2F05%2B00%3A00/tasks/session/mapped/3"' in html


def test_an_empty_page_says_what_to_do() -> None:
    html = render([], [], now=NOW)
    assert "LitSessionSigsOperator" in html
    assert "<table" not in html


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (12_000, "3 h 20 min"),
        (1_100_000, "12 days"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_only_long_numbers_are_cut() -> None:
    assert short(f"wallet {WALLET} at 12345678") == "wallet 0xababab…abab at 12345678"


@pytest.mark.parametrize("state", ["verified", "failed", "not verified"])
def test_a_session_says_whether_the_build_was_verified(state: str) -> None:
    html = render([row(facts(attestation=state, attestation_found="<b>because</b>"))], [], now=NOW)
    assert f"build {state}" in html
    assert "<b>" not in html
    assert "because" in html


@pytest.mark.parametrize("state", [None, "", "sure", "<i>", 1, ["verified"], {}])
def test_any_other_word_about_the_build_is_not_shown(state: object) -> None:
    assert "build" not in render([row(facts(attestation=state))], [], now=NOW).partition("<table>")[2]


ITEM = f"lit-accesscontrolcondition://{'c0' * 32}/{'d0' * 32}"
ONE_FILE = [{"resource": ITEM, "ability": "access-control-condition-decryption"}]


def test_files_stand_in_place_of_hashes_which_are_shown_on_hover() -> None:
    html = render([row(facts(scope=ONE_FILE, files={ITEM: "s3://bucket/report.lit.json"}))], [], now=NOW)
    assert f'<li title="{ITEM}">decrypt s3://bucket/report.lit.json</li>' in html


def test_the_authors_label_stands_in_place_of_the_files() -> None:
    given = facts(scope=ONE_FILE, files={ITEM: "/data/report.lit.json"}, label="nightly <reports>")
    html = render([row(given)], [], now=NOW)
    assert f'<li title="{ITEM}">nightly &lt;reports&gt;</li>' in html
    assert "/data/report.lit.json" not in html


@pytest.mark.parametrize(
    "wrong", [{"files": 1}, {"files": {ITEM: 1}}, {"label": ["x"]}, {"files": {ITEM: ""}}]
)
def test_labels_of_another_shape_are_left_out(wrong: dict[str, object]) -> None:
    [shown] = shown_sessions([row(facts(scope=ONE_FILE, **wrong))], NOW)
    assert shown.may[0].words.startswith("decrypt ")


def test_a_long_label_is_cut() -> None:
    [shown] = shown_sessions([row(facts(scope=ONE_FILE, label="x" * 10_000))], NOW)
    assert len(shown.may[0].words) == 300
