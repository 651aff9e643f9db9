"""This machine's clock against the nodes', told by the answers to the handshake."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from lit_airflow.errors import AccessDeniedError
from lit_airflow.networks.contract import Verdict

if TYPE_CHECKING:
    from lit_airflow.clock import Clock
    from tests.client.conftest import Job


def off_by(seconds: float) -> Clock:
    return lambda: datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize("ahead_s", [-3600, -90, 0, 20, 3600])
def test_it_is_measured(job: Job, ahead_s: float) -> None:
    measured = job.new_client(clock=off_by(ahead_s)).sdk.survey().skew_s
    assert measured == pytest.approx(ahead_s, abs=1.1)


def test_one_node_with_a_wrong_clock_changes_nothing(job: Job) -> None:
    job.net.set_fault(1, "ten-minutes-ahead")
    committee = job.new_client().sdk.survey()
    assert committee.handshakes[job.url(1)].skew_s == pytest.approx(-600, abs=1.1)
    assert committee.skew_s == pytest.approx(0, abs=1.1)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("ten-minutes-ahead", r"its clock is (599|600|601) s ahead of the other servers'"),
        ("ten-minutes-behind", r"its clock is (599|600|601) s behind the other servers'"),
    ],
)
def test_doctor_names_the_node(job: Job, fault: str, said: str) -> None:
    job.net.set_fault(1, fault)
    checks = {check.name: check for check in job.new_client().diagnose()}
    assert checks[job.url(1)].verdict is Verdict.NOTE
    assert re.search(said, checks[job.url(1)].found)
    assert checks[job.url(0)].verdict is checks["clock"].verdict is Verdict.GOOD


@pytest.mark.parametrize(
    ("ahead_s", "said"), [(90, "90 s ahead of the servers'"), (-90, "90 s behind the servers'")]
)
def test_a_wrong_clock_is_said_in_the_log(
    job: Job, caplog: pytest.LogCaptureFixture, ahead_s: float, said: str
) -> None:
    with caplog.at_level(logging.WARNING):
        job.new_client(clock=off_by(ahead_s + 0.001)).sdk.survey()
    (told,) = [text for text in caplog.messages if "clock" in text]
    assert said in told or said.replace("90", "91") in told or said.replace("90", "89") in told


def test_a_clock_that_is_about_right_is_not(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        job.new_client(clock=off_by(3)).sdk.survey()
    assert [text for text in caplog.messages if "clock" in text] == []


def test_a_refusal_for_the_clock_says_so(job: Job) -> None:
    """The session begins in the nodes' future: it is not its scope that is wrong."""
    lit = job.new_client(clock=off_by(300))
    session = lit.open_session(job.wallet, job.session.scope, ttl_s=600)
    with pytest.raises(AccessDeniedError) as caught:
        lit.decrypt(job.sealed, job.conditions, session)
    assert caught.value.code == "NodeIatOutsideGracePeriod"
    assert caught.value.hint.startswith("This machine's clock is ")
    assert "ahead of the servers'" in caught.value.hint
