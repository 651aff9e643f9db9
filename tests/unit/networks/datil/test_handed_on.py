"""Which surveys of a session's opener a process uses, and which it makes itself."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lit_airflow.clock import Deadline, iso
from lit_airflow.errors import Failure, FailureKind, NodesUnavailableError
from lit_airflow.networks.datil import handed_on
from lit_airflow.networks.datil.description import DatilDescription
from lit_airflow.networks.datil.handed_on import GOOD_FOR
from lit_airflow.networks.datil.survey import Survey, Surveyor
from lit_airflow.transport.http import Http
from tests.surveying import survey

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "ab" * 48
NODES = ["http://127.0.0.1:7470", "http://127.0.0.1:7471", "https://127.0.0.1:443"]
LISTED = DatilDescription(
    network="custom",
    rpc_url="http://127.0.0.1:1",
    staking_address="0x" + "11" * 20,
    network_public_key=KEY,
    default_scheme="http",
)
GIVEN = replace(LISTED, rpc_url="", nodes=tuple(NODES), threshold=2)
GONE = Failure(FailureKind.TIMEOUT, "no handshake within 0.5 s of the others")
FOUND = handed_on.written(replace(survey(NODES, 2, public_key=KEY), absent={NODES[1]: GONE}), NOW)


def read(description: DatilDescription, found: Any = FOUND, after: timedelta = timedelta(minutes=1)) -> Any:  # noqa: ANN401
    return handed_on.usable(json.loads(json.dumps(found)), description, NOW + after)


@pytest.mark.parametrize("description", [LISTED, GIVEN], ids=["a chain", "given nodes"])
def test_what_was_written_is_read(description: DatilDescription) -> None:
    found, seconds = read(description)
    assert (found.nodes, found.threshold, found.epoch, found.public_key) == (tuple(NODES), 2, 1, KEY)
    assert seconds == 14 * 60
    told = Failure(FailureKind.TIMEOUT, f"{GONE} when the session was opened")
    assert found.absent == {NODES[1]: told}


@pytest.mark.parametrize(
    "description",
    [
        replace(LISTED, network_public_key=""),
        replace(LISTED, network_public_key="cd" * 48),
        replace(LISTED, attestation=True),
        replace(LISTED, network="datil"),  # a public network, whose nodes have no private address
        replace(LISTED, default_scheme="https"),
        replace(GIVEN, nodes=tuple(reversed(NODES))),
        replace(GIVEN, threshold=3),
    ],
)
def test_networks_for_which_it_is_not_used(description: DatilDescription) -> None:
    assert read(description) is None


def test_plain_http_to_another_host_has_to_be_allowed() -> None:
    found = FOUND | {"nodes": ["http://192.0.2.1:7470", *NODES]}
    assert read(LISTED, found) is None
    assert read(replace(LISTED, plain_http=True), found) is not None


@pytest.mark.parametrize(
    ("after", "good"), [(GOOD_FOR, False), (GOOD_FOR * 0.99, True), (-timedelta(seconds=30), True)]
)
def test_its_age(after: timedelta, good: bool) -> None:  # noqa: FBT001
    assert (read(LISTED, after=after) is not None) is good


@pytest.mark.parametrize(
    "change",
    [
        {"at": "soon"},
        {"at": 7},
        {"at": iso(NOW + timedelta(minutes=5))},
        {"public_key": "cd" * 48},
        {"public_key": None},
        {"threshold": 0},
        {"threshold": 4},
        {"threshold": True},
        {"threshold": "2"},
        {"nodes": []},
        {"nodes": 7},
        {"nodes": [[], 1, None]},
        {"nodes": [NODES[0]] * 3},
        {"nodes": ["https://nodes.example.org:443", *NODES]},
        {"nodes": ["http://127.0.0.1:7470/path", *NODES]},
        {"nodes": ["http://user@127.0.0.1:7470", *NODES]},
        {"nodes": ["ftp://127.0.0.1:7470", *NODES]},
        {"nodes": ["http://127.0.0.1:99999", *NODES]},
        {"nodes": ["http://[::1", *NODES]},
        {"nodes": [f"http://127.0.0.1:{port}" for port in range(1, 300)]},
        {"epoch": [1]},
        {"epoch": [1, 2, -3]},
        {"epoch": [1, 2, 3.5]},
        {"epoch": None},
        {"absent": 7},
        {"absent": {NODES[0]: "timeout"}},
        {"absent": {NODES[0]: ["odd", "no answer"]}},
        {"absent": {NODES[0]: ["timeout", 7]}},
        {"absent": {NODES[0]: None}},
    ],
    ids=str,
)
def test_what_nobody_wrote_here_is_not_used(change: dict[str, Any]) -> None:
    assert read(LISTED, FOUND | change) is None


@pytest.mark.parametrize("missing", FOUND)
def test_each_field_is_needed(missing: str) -> None:
    assert read(LISTED, {name: value for name, value in FOUND.items() if name != missing}) is None


def test_of_several_sessions_surveys_the_newest_is_used() -> None:
    surveyor = Surveyor(LISTED, Http(), lambda: NOW)
    for count, seconds in ((1, 60), (2, 600), (3, 300)):
        surveyor.hand_on(survey(NODES[:count], 1), seconds)
    assert surveyor.with_known_nodes(lambda found, _: len(found.nodes), Deadline.after(600)) == 2


def test_nodes_that_do_not_answer_leave_time_to_look_for_others() -> None:
    surveyor, deadline = Surveyor(LISTED, Http(), lambda: NOW), Deadline.after(600)
    surveyor.hand_on(survey(NODES[:1], 1), 60)
    surveyed = survey(NODES[1:], 1)

    def work(found: Survey, until: Deadline) -> Deadline:
        if found.nodes != surveyed.nodes:
            assert 0 < until.left_s() <= 300
            surveyor._latest = (time.monotonic(), surveyed)
            raise NodesUnavailableError("no answer in time", needed=1, reached=0, failures={})
        return until

    assert surveyor.with_known_nodes(work, deadline) == deadline


def test_none() -> None:
    assert read(LISTED, None) is None
