"""Epochs come and go, and nodes with them: which number is sent, who is signed for, who is missed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from lit_airflow import Session
from lit_airflow.errors import ChainUnavailableError, Failure, FailureKind, LitError, NodesUnavailableError
from lit_airflow.transport.http import Http
from tests.client.conftest import PLAINTEXT

if TYPE_CHECKING:
    from lit_airflow.devnet import Devnet
    from tests.client.conftest import Job

Sent = list[tuple[str, Any]]
NO_SIGNATURE = Failure(FailureKind.UNTRUSTED, "the session has no signature for this node")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Path and body of every request that a client sends; they are sent all the same."""
    seen: Sent = []
    post = Http.post

    def noted(http: Http, url: str, body: str, **options: Any) -> Any:  # noqa: ANN401 - as the original
        seen.append((urlsplit(url).path.strip("/"), json.loads(body)))
        return post(http, url, body, **options)

    monkeypatch.setattr(Http, "post", noted)
    return seen


def numbers(sent: Sent, path: str = "web/") -> set[int]:
    """The epoch numbers in what was sent to nodes."""
    return {body["epoch"] for where, body in sent if where.startswith(path)}


@dataclass
class Wrist:
    """A clock that shows what it is set to, in seconds since the epoch began."""

    epoch_start: float
    shows: float = 0.0

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.epoch_start + self.shows, UTC)


def clock_of(net: Devnet, ago_s: float = 30) -> Wrist:
    """A clock for an epoch that began a moment ago; the nodes accept what it says up to a minute ahead."""
    net.set_epoch_start(ago_s)
    state = requests.get(str(net.description["control_url"]), timeout=300).json()
    return Wrist(state["epoch_start"])


def bare(session: Session, *nodes: str) -> Session:
    """The session as session sigs only, without its key; of these nodes, or of all."""
    sigs = session.session_sigs
    return Session.from_session_sigs({node: sigs[node] for node in nodes or sigs})


class TestFirst45Seconds:
    @pytest.mark.parametrize(
        ("shows", "behind"), [(0, 1), (30, 1), (44, 1), (44.999, 1), (45, 0), (45.001, 0), (80, 0)]
    )
    def test_which_number_is_sent(self, job: Job, sent: Sent, shows: float, behind: int) -> None:
        job.net.advance_epoch(3)
        clock = clock_of(job.net)
        clock.shows = shows
        lit = job.new_client(clock=clock)
        assert lit.decrypt(job.sealed, job.conditions, job.session) == PLAINTEXT
        assert numbers(sent, "web/handshake") == numbers(sent, "web/encryption") == {4 - behind}
        assert lit.sdk.survey().epoch == 4 - behind

    @pytest.mark.parametrize(("advances", "number"), [(0, 1), (1, 2), (2, 2), (3, 3)])
    def test_the_first_epochs_have_none_before(
        self, job: Job, sent: Sent, advances: int, number: int
    ) -> None:
        for _ in range(advances):
            job.net.advance_epoch()
        clock = clock_of(job.net)
        lit = job.new_client(clock=clock)
        assert lit.decrypt(job.sealed, job.conditions, job.session) == PLAINTEXT
        assert numbers(sent) == {number}

    def test_a_client_that_lives_through_it(self, job: Job, sent: Sent) -> None:
        """It surveys once, and sends the new number from the 45th second on all the same."""
        job.net.advance_epoch(3)
        clock = clock_of(job.net)
        lit = job.new_client(clock=clock)
        session = None
        for shows, number in ((44.5, 3), (44.9, 3), (45, 4), (46, 4)):
            clock.shows = shows
            sent.clear()
            session = session or lit.open_session(job.wallet, job.session.scope)
            assert lit.decrypt(job.sealed, job.conditions, session) == PLAINTEXT
            assert lit.sdk.survey().epoch == number
            assert numbers(sent, "web/encryption") == {number}
        assert [path for path, _ in sent if path.startswith("web/handshake")] == []

    def test_both_sides_of_it_at_once(self, job: Job) -> None:
        """Two clients whose clocks differ: either number is served, with shares that belong together."""
        job.net.advance_epoch(3)
        early = clock_of(job.net)
        late = Wrist(early.epoch_start, 46)
        for clock in (early, late, early, late):
            lit = job.new_client(clock=clock)
            assert lit.decrypt(job.sealed, job.conditions, job.session) == PLAINTEXT
        assert {status for _, _, status, _ in job.net.requests} == {200}

    def test_a_joiner_is_missed_and_not_needed(self, job: Job, caplog: pytest.LogCaptureFixture) -> None:
        """Of the epoch before it has no share."""
        job.net.advance_epoch(3)
        joined = job.net.add_node()
        job.net.stop_node(0)
        lit = job.new_client(clock=clock_of(job.net))
        assert lit.decrypt(job.sealed, job.conditions, job.session) == PLAINTEXT
        job.net.stop_node(1)
        with pytest.raises(NodesUnavailableError) as caught:
            lit.decrypt(job.sealed, job.conditions, job.session)
        failure = caught.value.failures[job.net.node_url(joined)]
        assert (failure.kind, failure.message) == (FailureKind.BUSY, "HTTP 500 NodeSystemFault")
        assert caught.value.retryable
        settled = job.new_client()
        job.net.set_epoch_start(46)
        assert settled.decrypt(job.sealed, job.conditions, job.session) == PLAINTEXT


@pytest.mark.parametrize("form", ["session", "from JSON", "session sigs"])
def test_a_session_outlives_epochs(job: Job, form: str) -> None:
    session = {
        "session": lambda: job.session,
        "from JSON": lambda: Session.from_json(json.loads(json.dumps(job.session.to_json()))),
        "session sigs": lambda: bare(job.session),
    }[form]()
    for _ in range(3):
        job.net.advance_epoch()
        assert job.lit.decrypt(job.sealed, job.conditions, session) == PLAINTEXT
        assert job.decrypt(session) == PLAINTEXT


class TestANodeThatJoined:
    def test_the_session_key_signs_for_it(self, job: Job) -> None:
        joined = job.net.add_node()
        assert joined not in {job.url(node) for node in range(3)}
        assert job.net.node_url(joined) not in job.session.session_sigs
        for gone in (0, 1):
            job.net.remove_node(gone)
        assert job.decrypt() == PLAINTEXT
        asked = [entry[0] for entry in job.net.requests if entry[1].startswith("/web/encryption")]
        assert sorted(asked) == [2, joined]

    def test_it_takes_part_beside_any_one_old_node(self, job: Job) -> None:
        joined = job.net.add_node()
        restored = Session.from_json(json.loads(json.dumps(job.session.to_json())))
        for session, gone in ((job.session, (0, 1)), (restored, (1, 2)), (restored, (2, 0))):
            for node in gone:
                job.net.stop_node(node)
            assert job.decrypt(session) == PLAINTEXT
            for node in gone:
                job.net.start_node(node)
        assert joined in job.asked_for_shares()

    def test_a_session_that_is_opened_now_is_for_it_too(self, job: Job) -> None:
        joined = job.net.add_node()
        session = job.new_client().open_session(job.wallet, job.session.scope)
        assert list(session.session_sigs) == [*map(job.url, range(3)), job.net.node_url(joined)]
        job.net.remove_node(0)
        job.net.remove_node(1)
        assert job.decrypt(bare(session)) == PLAINTEXT

    def test_without_key_a_threshold_of_old_nodes_is_enough(
        self, job: Job, caplog: pytest.LogCaptureFixture
    ) -> None:
        joined = job.net.node_url(job.net.add_node())
        caplog.set_level(logging.INFO, "lit_airflow")
        job.net.remove_node(0)
        job.net.slow_node(1, 0.2)  # so that what is missing for the joiner is known before the end
        assert job.decrypt(bare(job.session)) == PLAINTEXT
        (report,) = [r.message for r in caplog.records if r.message.startswith("Decrypted")]
        assert report.endswith(f"Failed: {joined} ({NO_SIGNATURE}).")

    def test_without_key_and_too_few_old_nodes(self, job: Job) -> None:
        joined = job.net.node_url(job.net.add_node())
        for gone in (0, 1):
            job.net.remove_node(gone)
        for lit in (job.new_client(), job.lit):
            with pytest.raises(NodesUnavailableError) as caught:
                lit.decrypt(job.sealed, job.conditions, bare(job.session))
            assert caught.value.failures[joined] == NO_SIGNATURE
            assert f"{joined}: {NO_SIGNATURE}" in str(caught.value)
            assert (caught.value.needed, caught.value.reached) == (2, 1)


class TestANodeThatLeft:
    def test_it_is_not_asked_any_more(self, job: Job) -> None:
        gone = job.url(1)
        job.net.remove_node(1)
        lit = job.new_client()
        assert lit.decrypt(job.sealed, job.conditions, job.session) == PLAINTEXT
        assert gone not in lit.sdk.survey().nodes
        assert lit.sdk.survey().absent == {}
        assert gone in job.session.session_sigs

    def test_it_was_one_of_those_signed_for(self, job: Job) -> None:
        """Session sigs of two nodes, of which one has left, are too few; of all three, they are enough."""
        left = job.net.node_url(2)
        two = bare(job.session, job.url(0), job.url(1))
        job.net.remove_node(0)
        assert job.decrypt(bare(job.session)) == PLAINTEXT
        with pytest.raises(NodesUnavailableError) as caught:
            job.decrypt(two)
        assert caught.value.failures == {left: NO_SIGNATURE}

    def test_beside_it_an_absent_one_is_named(self, job: Job, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(2):
            job.net.add_node()
        gone, absent = job.net.node_url(1), job.net.node_url(3)
        job.net.remove_node(1)
        job.net.stop_node(3)
        caplog.set_level(logging.INFO, "lit_airflow")
        assert job.decrypt() == PLAINTEXT
        warned = [r for r in caplog.records if r.levelno == logging.WARNING]
        assert [r.message for r in warned] == [
            f"Lit nodes missing at the handshake: {absent}: connection refused"
        ]
        assert gone not in caplog.text


class TestAClientThatSurveyedBefore:
    """Its survey is good for half a minute. When that has become too old, it asks the chain once more."""

    def test_all_but_one_have_been_replaced(self, job: Job, sent: Sent) -> None:
        for _ in range(2):
            job.net.add_node()
        for gone in (0, 1):
            job.net.remove_node(gone)
        assert job.lit.decrypt(job.sealed, job.conditions, job.session) == PLAINTEXT
        assert set(job.lit.sdk.survey().nodes) == {job.net.node_url(node) for node in (2, 3, 4)}
        sent.clear()
        assert job.lit.decrypt(job.sealed, job.conditions, job.session) == PLAINTEXT
        assert {path for path, _ in sent} == {"web/encryption/sign"}

    def test_enough_are_left(self, job: Job, sent: Sent) -> None:
        """Then nobody is asked anew: the others still serve the number it knows."""
        job.net.add_node()
        job.net.remove_node(0)
        assert job.lit.decrypt(job.sealed, job.conditions, job.session) == PLAINTEXT
        assert {path for path, _ in sent} == {"web/encryption/sign"}

    def test_nothing_has_changed(self, job: Job, sent: Sent) -> None:
        """Then there is no second round: the first one's failures are what is to be said."""
        job.net.stop_node(0)
        job.net.stop_node(1)
        with pytest.raises(NodesUnavailableError, match="Decrypting") as caught:
            job.lit.decrypt(job.sealed, job.conditions, job.session)
        assert set(caught.value.failures) == {job.url(0), job.url(1)}
        assert [path for path, _ in sent if path.startswith("web/handshake")] == []

    def test_the_chain_does_not_answer(self, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        job.net.add_node()
        for gone in (0, 1):
            job.net.remove_node(gone)
        post = Http.post

        def cut_off(http: Http, url: str, body: str, **options: Any) -> Any:  # noqa: ANN401 - as the original
            chain = str(job.net.description["rpc_url"])
            return post(http, url.replace(chain, "http://127.0.0.1:9"), body, **options)

        monkeypatch.setattr(Http, "post", cut_off)
        with pytest.raises(NodesUnavailableError, match="Decrypting"):
            job.lit.decrypt(job.sealed, job.conditions, job.session)
        with pytest.raises(ChainUnavailableError):
            job.decrypt()

    def test_once_and_within_the_deadline(self, job: Job, sent: Sent) -> None:
        lit = job.new_client(timeout_s=5)
        lit.sdk.survey()
        joined = job.net.add_node()
        for gone in (0, 1):
            job.net.remove_node(gone)
        job.net.set_fault(joined, "silent")
        sent.clear()
        started = time.monotonic()
        with pytest.raises(NodesUnavailableError):
            lit.decrypt(job.sealed, job.conditions, job.session)
        assert time.monotonic() - started < 300
        assert sum("method" in body for _, body in sent) == 2  # to notice, and to survey

    def test_a_pkp_session(self, job: Job) -> None:
        from lit_airflow.protocol.auth_method import eth_wallet_auth_method

        pkp = job.net.mint_pkp(job.wallet.address)
        lit = job.new_client()
        nonce = lit.sdk.survey().nonce
        for _ in range(2):
            job.net.add_node()
        for gone in (0, 1):
            job.net.remove_node(gone)
        method = eth_wallet_auth_method(job.wallet, nonce, datetime.now(UTC))
        session = lit.sdk.open_pkp_session(pkp["publicKey"], [method], job.session.scope)
        assert session.wallet == pkp["ethAddress"]
        assert set(session.session_sigs) == {job.net.node_url(node) for node in (2, 3, 4)}


@pytest.mark.parametrize("seed", range(2))
def test_any_history(job: Job, seed: int) -> None:
    """Nodes join, leave and fall silent; whoever can reach two nodes decrypts, with old sessions and new."""
    import random

    choice = random.Random(seed)
    there, lit = [0, 1, 2], job.lit
    for step in range(5):
        changes: list[Callable[[], object]] = [
            job.net.advance_epoch,
            lambda: there.append(job.net.add_node()),
        ]
        if len(there) > 2:
            changes.append(lambda: job.net.remove_node(there.pop(choice.randrange(len(there)))))
        choice.choice(changes)()
        down = choice.choice(there) if len(there) > 2 else None
        if down is not None:
            job.net.stop_node(down)
        try:
            assert job.decrypt() == lit.decrypt(job.sealed, job.conditions, job.session) == PLAINTEXT
        except LitError as error:
            raise AssertionError(f"seed {seed}, step {step}: nodes {there}, down {down}") from error
        if down is not None:
            job.net.start_node(down)
