from __future__ import annotations

import itertools
import threading

import pytest

from lit_airflow.clock import Deadline
from lit_airflow.errors import NodesUnavailableError
from lit_airflow.networks.base import Committee
from lit_airflow.networks.datil.decryption import Decryption
from lit_airflow.threshold.shares import Recovered, Share
from tests.unit.dealing import Deal

IDENTITY = b"identity"
NETWORK = Deal((11, 22))
COMMITTEE = Committee(("a", "b", "c"), 2, 1, NETWORK.key.hex(), "")


class InTurn(Decryption):
    """Each node answers when the one before it has been heard."""

    def __init__(self, answers: dict[str, Share]) -> None:
        super().__init__(COMMITTEE, IDENTITY)
        self._order = list(answers)
        self._turns = {node: threading.Event() for node in answers}
        self._answers = answers

    def ask_all(self) -> Recovered:
        self._turns[self._order[0]].set()
        return self.run(self._ask, Deadline.after(5))

    def _ask(self, node: str, _cancelled: threading.Event) -> Share:
        assert self._turns[node].wait(5)
        return self._answers[node]

    def _take(self, node: str, took_s: float, share: Share) -> Recovered | None:
        taken = super()._take(node, took_s, share)
        for following in self._order[self._order.index(node) + 1 :][:1]:
            self._turns[following].set()
        return taken


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
@pytest.mark.parametrize("stolen", [1, 2, 3])
def test_a_liar_cannot_take_anothers_number(order: tuple[str, ...], stolen: int) -> None:
    """The first to use a number is not believed more than the second."""
    shares = {node: NETWORK.share(number, IDENTITY) for number, node in enumerate("abc", start=1)}
    shares["a"] = Share(stolen, NETWORK.share(stolen, b"another").point)
    decryption = InTurn({node: shares[node] for node in order})
    assert decryption.ask_all().signature == NETWORK.signature(IDENTITY)
    answered, failed = decryption.report().split("Failed: ")
    assert "b (" in answered
    assert "c (" in answered
    assert ("a (" in failed) == (order.index("a") < 2)


def test_a_stolen_good_share_counts_once() -> None:
    good = NETWORK.share(2, IDENTITY)
    with pytest.raises(NodesUnavailableError) as caught:
        InTurn({"a": good, "b": good, "c": NETWORK.share(3, b"another")}).ask_all()
    assert caught.value.needed == 2
