from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from lit_airflow.clock import Deadline
from lit_airflow.errors import CiphertextError, Failure, FailureKind, NodeError, NodesUnavailableError
from lit_airflow.networks.committee import Committee
from lit_airflow.networks.datil.decryption import DecryptionShares
from lit_airflow.networks.datil.share_collector import SignedShare
from lit_airflow.threshold import ciphertext, curve
from lit_airflow.threshold.shares import Recovered, Share
from lit_airflow.transport.fan_out import Outcome
from tests.unit.dealing import Deal

IDENTITY = b"identity"
NETWORK = Deal((11, 22))
PLAINTEXT = b"what the shares open"
SEALED = ciphertext.seal(NETWORK.key, PLAINTEXT, IDENTITY)
COMMITTEE = Committee(("a", "b", "c"), 2, 1, NETWORK.key.hex(), "")


class InTurn(DecryptionShares):
    """Each node answers when the one before it has been heard."""

    def __init__(
        self,
        answers: dict[str, Share],
        encrypted: bytes = SEALED,
        absent: Mapping[str, Failure] | None = None,
    ) -> None:
        super().__init__(replace(COMMITTEE, absent=absent or {}), IDENTITY, encrypted)
        self._order = list(answers)
        self._turns = {node: threading.Event() for node in answers}
        self._answers = answers
        self.asked: set[str] = set()

    def ask_all(self) -> bytes:
        self._turns[self._order[0]].set()
        return self.open(self._ask, Deadline.after(5))

    def _ask(self, node: str, _cancelled: threading.Event) -> Share:
        self.asked.add(node)
        assert self._turns[node].wait(300)
        return self._answers[node]

    def _take(
        self, outcome: Outcome[SignedShare], over: Callable[[], bool]
    ) -> tuple[bytes, Recovered] | None:
        taken = super()._take(outcome, over)
        for following in self._order[self._order.index(outcome.server) + 1 :][:1]:
            self._turns[following].set()
        return taken


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
@pytest.mark.parametrize("stolen", [1, 2, 3])
def test_a_liar_cannot_take_anothers_number(order: tuple[str, ...], stolen: int) -> None:
    """The first to use a number is not believed more than the second."""
    shares = {node: NETWORK.share(number, IDENTITY) for number, node in enumerate("abc", start=1)}
    shares["a"] = Share(stolen, NETWORK.share(stolen, b"another").point)
    decryption = InTurn({node: shares[node] for node in order})
    assert decryption.ask_all() == PLAINTEXT
    answered, failed = str(decryption.report()).split("Failed: ")
    assert "b (" in answered
    assert "c (" in answered
    assert ("a (" in failed) == (order.index("a") < 2)


def test_a_stolen_good_share_counts_once() -> None:
    good = NETWORK.share(2, IDENTITY)
    with pytest.raises(NodesUnavailableError) as caught:
        InTurn({"a": good, "b": good, "c": NETWORK.share(3, b"another")}).ask_all()
    assert caught.value.needed == 2


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What each verification of a signature found."""
    found: list[bool] = []
    signs = curve.signs

    def noted(*arguments: Any) -> bool:  # noqa: ANN401 - as the original
        found.append(signs(*arguments))
        return found[-1]

    monkeypatch.setattr(curve, "signs", noted)
    return found


def good(*identifiers: int) -> dict[str, Share]:
    return {"abc"[identifier - 1]: NETWORK.share(identifier, IDENTITY) for identifier in identifiers}


def test_what_opens_is_not_verified(verified: list[bool]) -> None:
    assert InTurn(good(1, 2, 3)).ask_all() == PLAINTEXT
    assert verified == []


@pytest.mark.parametrize("liar", ["a", "b"])
def test_a_liar_among_the_first_is_found_by_verifying(verified: list[bool], liar: str) -> None:
    answers = {**good(1, 2, 3), liar: NETWORK.share("ab".index(liar) + 1, b"another")}
    decryption = InTurn(answers)
    assert decryption.ask_all() == PLAINTEXT
    assert verified[0] is False
    assert verified[-1] is True
    failed = str(decryption.report()).partition("Failed: ")[2]
    assert failed == f"{liar} (its share is wrong)."
    assert decryption.report().failed == {liar: Failure(FailureKind.WRONG, "its share is wrong")}


def test_who_was_absent_is_not_asked() -> None:
    late = Failure(FailureKind.TIMEOUT, "no handshake within 0.5 s of the others")
    decryption = InTurn(good(1, 2, 3), absent={"b": late})
    assert decryption.ask_all() == PLAINTEXT
    report = decryption.report()
    assert (set(report.answered), report.failed, report.left_out) == ({"a", "c"}, {"b": late}, ())
    assert decryption.asked == {"a", "c"}


def test_too_many_were_absent() -> None:
    """What failed at the handshake is what is said of them, by kind and words."""
    absent = {
        "a": Failure(FailureKind.UNTRUSTED, "it names another network key"),
        "b": Failure(FailureKind.UNREACHABLE, "connection refused"),
    }
    decryption = InTurn(good(1, 2, 3), absent=absent)
    with pytest.raises(NodesUnavailableError) as caught:
        decryption.ask_all()
    assert {node: caught.value.failures[node] for node in absent} == absent
    assert decryption.asked <= {"c"}


def test_who_is_not_waited_for_is_neither_good_nor_bad() -> None:
    decryption = InTurn(good(1, 2, 3))
    decryption.ask_all()
    turnout = decryption.report()
    assert (list(turnout.answered), dict(turnout.failed), turnout.left_out) == (["a", "b"], {}, ("c",))
    assert "Not waited for: c. Failed: none." in str(turnout)


def test_a_ciphertext_that_does_not_open_is_no_nodes_fault(verified: list[bool]) -> None:
    """The signature of the first two verifies: no third answer is waited for, and nobody is blamed."""
    elsewhere = ciphertext.seal(Deal((5, 6)).key, PLAINTEXT, IDENTITY)
    decryption = InTurn(good(1, 2, 3), elsewhere)
    with pytest.raises(CiphertextError, match="cannot be decrypted with this signature"):
        decryption.ask_all()
    assert verified == [True]
    assert "Failed: none" in str(decryption.report())


def test_wrong_shares_alone_open_nothing(verified: list[bool]) -> None:
    lies = {node: NETWORK.share(number, b"another") for number, node in enumerate("abc", start=1)}
    with pytest.raises(NodesUnavailableError, match="its share may be wrong"):
        InTurn(lies).ask_all()
    assert verified
    assert not any(verified)


def test_answers_that_come_all_at_once_and_failures_after_them() -> None:
    """Looking for liars gives way to an answer that is there; also where that is the last, and a failure."""
    lies = {3: b"another", 5: b"a third"}
    nodes = tuple("abcdefgh")
    network = Deal((11, 22, 33, 44))
    committee = Committee(nodes, 4, 1, network.key.hex(), "")
    together = threading.Barrier(len(nodes))

    def ask(node: str, _cancelled: threading.Event) -> Share:
        together.wait(300)
        number = nodes.index(node) + 1
        if number > 6:
            raise NodeError("connection refused")
        return network.share(number, lies.get(number, IDENTITY))

    sealed = ciphertext.seal(network.key, PLAINTEXT, IDENTITY)
    for _ in range(5):
        assert DecryptionShares(committee, IDENTITY, sealed).open(ask, Deadline.after(30)) == PLAINTEXT
        together.reset()


def test_nodes_that_cannot_judge_the_conditions() -> None:
    """Status 502 with the node's own code: what to check is in the conditions, not with the nodes' operators."""

    def ask(_node: str, _cancelled: threading.Event) -> Share:
        raise NodeError("HTTP 502 NodeRpcError", status=502, code="NodeRpcError")

    with pytest.raises(NodesUnavailableError) as caught:
        DecryptionShares(COMMITTEE, IDENTITY, SEALED).open(ask, Deadline.after(5))
    assert caught.value.retryable
    assert caught.value.hint.startswith("The nodes could not evaluate a condition. Check contract")
