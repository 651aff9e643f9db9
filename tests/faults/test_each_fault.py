"""Every fault by itself, over real sockets: as many bad nodes as may be, and one more."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from lit_airflow import LitClient, Session
from lit_airflow.devnet import Devnet
from lit_airflow.devnet.faults import CHAIN_FAULTS, FAULTS
from lit_airflow.errors import (
    AccessDeniedError,
    ChainUnavailableError,
    LitError,
    NetworkError,
    NodesUnavailableError,
    PaymentError,
    ProtocolError,
    RateLimitedError,
)
from tests.faults.in_memory import CONDITIONS, PLAINTEXT, Sealed, hold
from tests.faults.simulator import NodeStats

NODES, THRESHOLD = 5, 3
TIMEOUT_S = 300.0
# With these the client waits to its time-out, so that is short; all others end by themselves.
ENDLESS = {"silent", "slow", "slower", "drip"}
SHORT_S = 1.5
SECONDS = {"slow": 3600.0, "slower": 3600.0, "drip": 1.0, "overloaded-for": 3600.0}
# With these a node still gives a good share.
HARMLESS = {
    "extra-fields",
    "unknown-blockhash",
    "old-blockhash",
    "ten-minutes-ahead",
    "other-text",
    "epoch-moves",
    "node-joins",
}
# With these, three bad nodes of five are still no harm: three old shares make a signature too, each of three
# neighbours' shares is a good one, and who is needed does not leave.
STILL_ENOUGH = {"stale-share", "other-epoch", "duplicate-share", "node-leaves"}
# With these it gives no share, but shakes hands as it should.
LATE = {
    "rate-limited": PaymentError,
    "ten-minutes-behind": AccessDeniedError,
}
# What the error says of each bad node; of those that are not named, "its share may be wrong".
CAUSES = {
    "down": "connection refused",
    "silent": "no answer in time",
    "slow": "no answer in time",
    "slower": "no answer in time",
    "drip": "in time",
    "reset": "the connection",
    "overloaded": "HTTP 429",
    "overloaded-for": "HTTP 429",
    "broken": "HTTP 500",
    "bad-gateway": "HTTP 502",
    "redirect": "HTTP 307",
    "garbled": "not JSON",
    "not-json": "not JSON",
    "deep": "not JSON",
    "huge": "longer than",
    "bomb": "",
    "other-shape": "no network key",
    "missing-fields": "no network key",
    "wrong-types": "no network key",
    "err-key": "no network key yet",
    "bad-share": "do not encode a point",
    "off-curve": "do not encode a point",
    "outside-subgroup": "do not encode a point",
    "identity-share": "identity",
    "zero-identifier": "identifier of the share is zero",
}


@pytest.fixture(scope="module")
def lasting() -> Iterator[Devnet]:
    with Devnet(NODES, THRESHOLD) as net:
        net.advance_epoch()  # so that there is an epoch before
        yield net


@pytest.fixture(scope="module")
def held(lasting: Devnet) -> tuple[Sealed, Session]:
    return hold(LitClient(lasting.description, timeout_s=TIMEOUT_S))


@pytest.fixture
def net(lasting: Devnet) -> Iterator[Devnet]:
    yield lasting
    for each in list(lasting.network.nodes):
        lasting.set_fault(each.node.index, None)
    lasting.set_fault("chain", None)
    while len(lasting.network.nodes.numbers()) > NODES:
        lasting.remove_node(lasting.network.nodes.numbers()[0])
    while len(lasting.network.nodes.numbers()) < NODES:
        lasting.add_node()


def spoil(net: Devnet, fault: str, count: int) -> list[str]:
    """Give so many nodes a fault; their URLs."""
    bad = net.network.nodes.numbers()[:count]
    urls = [net.node_url(node) for node in bad]
    for node in bad:
        net.set_fault(node, fault, SECONDS.get(fault))
    return urls


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("surveyed", [False, True], ids=["fresh", "surveyed"])
def test_as_many_bad_nodes_as_may_be(
    net: Devnet,
    held: tuple[Sealed, Session],
    tally: NodeStats,
    caplog: pytest.LogCaptureFixture,
    *,
    fault: str,
    surveyed: bool,
) -> None:
    caplog.set_level(logging.INFO, "lit_airflow")
    lit = LitClient(net.description, timeout_s=TIMEOUT_S)
    if surveyed:
        lit.sdk.survey()
    caplog.clear()
    bad = spoil(net, fault, NODES - THRESHOLD)
    assert lit.decrypt(held[0], CONDITIONS, held[1]) == PLAINTEXT
    tally[fault, "plaintext"] += 1
    (report,) = [record.message for record in caplog.records if record.message.startswith("Decrypted")]
    _, failed = report.split("Failed: ")
    for url in net.description["nodes"]:  # type: ignore[attr-defined]
        assert url in bad or url not in failed


def refusal(net: Devnet, held: tuple[Sealed, Session], limits: list[float]) -> NetworkError:
    """The error of a decryption. Tries the next limit while the machine is too busy even for the healthy chain."""
    for timeout_s in limits:
        with pytest.raises(NetworkError) as caught:
            LitClient(net.description, timeout_s=timeout_s).decrypt(held[0], CONDITIONS, held[1])
        if not isinstance(caught.value, ChainUnavailableError):
            break
    return caught.value


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - HARMLESS - STILL_ENOUGH))
def test_one_bad_node_too_many(
    net: Devnet, held: tuple[Sealed, Session], tally: NodeStats, fault: str
) -> None:
    bad = spoil(net, fault, NODES - THRESHOLD + 1)
    error = refusal(net, held, [SHORT_S, 4 * SHORT_S, TIMEOUT_S] if fault in ENDLESS else [TIMEOUT_S])
    tally[fault, type(error).__name__] += 1
    if fault in LATE:
        assert isinstance(error, LATE[fault])
        return
    if fault in {"wrong-key", "false-key"}:
        assert isinstance(error, ProtocolError)
        return
    assert isinstance(error, NodesUnavailableError | RateLimitedError)
    if isinstance(error, NodesUnavailableError):
        assert error.needed == THRESHOLD
        assert error.reached < THRESHOLD
        assert set(bad) <= set(error.failures)
        for url in bad:
            assert CAUSES.get(fault, "its share may be wrong") in str(error.failures[url])


@pytest.mark.parametrize("fault", sorted(HARMLESS | STILL_ENOUGH))
def test_what_does_no_harm(net: Devnet, held: tuple[Sealed, Session], tally: NodeStats, fault: str) -> None:
    spoil(net, fault, NODES if fault in HARMLESS else NODES - THRESHOLD + 1)
    lit = LitClient(net.description, timeout_s=TIMEOUT_S)
    assert lit.decrypt(held[0], CONDITIONS, held[1]) == PLAINTEXT
    tally[fault, "plaintext"] += 1


CHAIN_MAY = {"extra-fields", "paused"}
CHAIN_LISTS_WRONGLY = {"nobody", "too-few", "none-needed", "nonsense", "no-contract"}


@pytest.mark.parametrize("fault", CHAIN_FAULTS)
def test_the_chain(net: Devnet, held: tuple[Sealed, Session], tally: NodeStats, fault: str) -> None:
    """A client that knows the nodes goes on; one that does not says what is wrong with the chain."""
    net.set_fault("chain", None)
    knows = LitClient(net.description, timeout_s=TIMEOUT_S)
    knows.sdk.survey()
    net.set_fault("chain", fault, SECONDS.get(fault))
    assert knows.decrypt(held[0], CONDITIONS, held[1]) == PLAINTEXT
    timeout_s = SHORT_S if fault in ENDLESS else TIMEOUT_S
    lit = LitClient({**net.description, "network_public_key": ""}, timeout_s=timeout_s)
    calls = (lambda: lit.decrypt(held[0], CONDITIONS, held[1]), lambda: lit.encrypt(b"x", CONDITIONS))
    for call in calls:
        try:
            call()
        except LitError as error:
            outcome: type[BaseException] = type(error)
        else:
            outcome = type(None)
        tally[f"chain {fault}", "plaintext" if outcome is type(None) else outcome.__name__] += 1
        if fault in CHAIN_MAY:
            assert outcome is type(None)
        elif fault in CHAIN_LISTS_WRONGLY:
            assert outcome is ProtocolError
        elif fault == "strangers":
            assert outcome is NodesUnavailableError
        else:
            assert outcome is ChainUnavailableError
