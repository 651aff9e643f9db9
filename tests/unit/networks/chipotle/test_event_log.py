"""Event logs of real dstack guests replay; what was changed in them does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dcap_qvl
import pytest

from lit_airflow.errors import AttestationError
from lit_airflow.networks.chipotle.event_log import RuntimeEvent, check_replay, compose_hash, read_events

VECTORS = Path(__file__).parents[3] / "vectors" / "tdx"
FILES = ("dstack_quote-report.json", "dstack_tdx-lite-getquote.json")


def guest(file: str) -> tuple[bytes, list[dict[str, Any]]]:
    """RTMR3 of a guest's quote, and its event log."""
    found = json.loads((VECTORS / file).read_text())
    report = dcap_qvl.Quote.parse(bytes.fromhex(found["quote"])).report
    return report.rt_mr3, json.loads(found["event_log"])


EVENT = {"imr": 3, "event_type": 0x08000001, "event": "a", "event_payload": "", "digest": ""}


def in_register(log: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(row for row in log if row["imr"] == 3 and row["event"] == name)


@pytest.mark.parametrize("file", FILES)
def test_a_real_log_replays(file: str) -> None:
    register, log = guest(file)
    for given in (log, json.dumps(log)):
        events = read_events(given)
        check_replay(events, register)
        payload = in_register(log, "compose-hash")["event_payload"]
        assert compose_hash(events) == payload


def drop(log: list[dict[str, Any]]) -> None:
    log.remove(in_register(log, "instance-id"))


def swap(log: list[dict[str, Any]]) -> None:
    first, second = (log.index(in_register(log, name)) for name in ("app-id", "instance-id"))
    log[first], log[second] = log[second], log[first]


def add(log: list[dict[str, Any]]) -> None:
    log.append({"imr": 3, "event_type": 0x08000001, "digest": "", "event": "more", "event_payload": ""})


def payload(log: list[dict[str, Any]]) -> None:
    in_register(log, "compose-hash")["event_payload"] = "00" * 32


def name(log: list[dict[str, Any]]) -> None:
    in_register(log, "app-id")["event"] = "app"


def kind(log: list[dict[str, Any]]) -> None:
    in_register(log, "app-id")["event_type"] = 1


def digest(log: list[dict[str, Any]]) -> None:
    in_register(log, "app-id")["digest"] = "00" * 48


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("change", [drop, swap, add, payload, name, kind, digest])
def test_a_changed_log_does_not(file: str, change: Callable[[list[dict[str, Any]]], None]) -> None:
    register, log = guest(file)
    change(log)
    with pytest.raises(AttestationError) as caught:
        check_replay(read_events(log), register)
    assert caught.value.check == "event-log"


@pytest.mark.parametrize(
    "log",
    [
        *(None, "", "{}", {}, [1], [{}]),
        [{"imr": 3, "event": "a", "digest": "", "event_type": 0x08000001}],
        *(
            [{**EVENT, "event": name, "digest": digest}]
            for name in (5, None, [], "\ud800")
            for digest in ("", "00" * 48)
        ),
        [{**EVENT, "event_payload": 5}],
        [{**EVENT, "digest": 5}],
    ],
)
def test_what_is_no_log(log: object) -> None:
    with pytest.raises(AttestationError) as caught:
        read_events(log)
    assert caught.value.check == "event-log"


@pytest.mark.parametrize(
    "events",
    [
        [],
        [("compose-hash", b"a"), ("compose-hash", b"b")],
        # The digest of ("compose-hash", ":x") is also that of ("compose-hash:", "x").
        [("compose-hash:", b"x"), ("compose-hash", b"b")],
        [("compose-hash:", b"x")],
    ],
)
def test_a_log_names_one_compose_text(events: list[tuple[str, bytes]]) -> None:
    with pytest.raises(AttestationError) as caught:
        compose_hash([RuntimeEvent(*event) for event in events])
    assert caught.value.check == "compose-hash"
