from __future__ import annotations

import pytest

from lit_airflow.errors import Failure, FailureKind, NodeError
from lit_airflow.networks.committee import Committee, Handshake

NODES = ("https://127.0.0.1:443", "https://8.8.8.8:443")


def test_a_public_networks_nodes_have_public_addresses() -> None:
    committee = Committee(NODES, 1, 1, "", "", public=True)
    committee.check_may_ask(NODES[1])
    with pytest.raises(NodeError, match="not a public address"):
        committee.check_may_ask(NODES[0])
    Committee(NODES, 1, 1, "", "").check_may_ask(NODES[0])


@pytest.mark.parametrize("kind", FailureKind)
def test_a_node_without_a_usable_handshake_is_asked_for_nothing(kind: FailureKind) -> None:
    committee = Committee(NODES, 1, 1, "", "", absent={NODES[1]: Failure(kind, "why")})
    committee.check_may_ask(NODES[0])
    with pytest.raises(NodeError, match="why") as caught:
        committee.check_may_ask(NODES[1])
    assert (caught.value.kind, caught.value.sent) == (kind, False)


@pytest.mark.parametrize(
    ("told", "skew_s"),
    [((), None), ((None,), None), ((3.0,), 3.0), ((-600.0, 0.0, 1.0), 0.0), ((None, 2.0, 4.0), 3.0)],
)
def test_the_clocks_median(told: tuple[float | None, ...], skew_s: float | None) -> None:
    handshakes = {f"http://{i}:1": Handshake("", "", skew_s=each) for i, each in enumerate(told)}
    assert Committee(tuple(handshakes), 1, 1, "", "", handshakes=handshakes).skew_s == skew_s
