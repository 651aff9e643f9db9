"""Nodes that join and leave: who is listed, who holds shares, and under which number."""

from __future__ import annotations

import itertools
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests
from eth_abi.abi import decode

from lit_airflow.devnet import Devnet
from lit_airflow.devnet.dealer import MAX_NODES, Dealer
from tests.devnet_own.wire_client import HEADERS, Json, WireClient, combine, is_free, share_of, verifies

if TYPE_CHECKING:
    from collections.abc import Iterable

VALIDATOR = "(uint32,uint128,uint32,address,uint256,uint256,uint256)"
DISCOVERY = ["(uint256,uint256,uint256,uint256,uint256)", "uint256", f"{VALIDATOR}[]"]


def chain(net: Devnet) -> Json:
    """What the staking contract says: epoch number and start, threshold, port and account of each node."""
    transaction = {"to": net.description["staking_address"], "data": "0xc51d020e"}
    call = {"id": 1, "method": "eth_call", "params": [transaction, "latest"]}
    result = requests.post(net.description["rpc_url"], json=call, timeout=300).json()["result"]
    (length, number, end, *_), threshold, nodes = decode(DISCOVERY, bytes.fromhex(result[2:]))
    accounts = {f"http://127.0.0.1:{node[2]}": (node[3], node[5]) for node in nodes}
    return {"epoch": number, "start": end - length, "threshold": threshold, "accounts": accounts}


def ask(net: Devnet, client: WireClient, node: int, epoch: int = 0) -> requests.Response:
    url = net.node_url(node)
    body = client.body(url, epoch=epoch)
    return requests.post(f"{url}/web/encryption/sign/", json=body, headers=HEADERS, timeout=300)


def shares(net: Devnet, client: WireClient, nodes: Iterable[int], epoch: int = 0) -> dict[int, bytes]:
    return {node: share_of(ask(net, client, node, epoch)) for node in nodes}


def signs(net: Devnet, client: WireClient, *chosen: bytes) -> bool:
    identity = client.identity(client.body())
    return verifies(str(net.description["network_public_key"]), identity, combine(list(chosen)))


def refuses_connections(url: str) -> bool:
    place = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((str(place.hostname), place.port or 0)) != 0


def test_a_node_joins(net: Devnet, client: WireClient) -> None:
    before, key = chain(net), net.description["network_public_key"]
    assert net.add_node() == 3
    after = chain(net)
    assert (after["epoch"], after["threshold"]) == (before["epoch"] + 1, before["threshold"])
    assert list(after["accounts"]) == [net.node_url(node) for node in range(4)] == net.description["nodes"]
    assert after["accounts"].items() > before["accounts"].items()
    assert len(set(after["accounts"].values())) == 4
    assert net.description["network_public_key"] == key == client.handshake(net, 3).json()["networkPublicKey"]
    given = shares(net, client, range(4), epoch=2)
    assert {node: share[0] for node, share in given.items()} == {0: 1, 1: 2, 2: 3, 3: 4}
    assert all(signs(net, client, *pair) for pair in itertools.combinations(given.values(), 2))
    assert ask(net, client, 3).json()["shareIndex"] == 3


def test_a_node_leaves(net: Devnet, client: WireClient) -> None:
    before, url = chain(net), net.node_url(1)
    net.remove_node(1)
    after = chain(net)
    assert (after["epoch"], after["threshold"]) == (before["epoch"] + 1, before["threshold"])
    assert after["accounts"] == {node: who for node, who in before["accounts"].items() if node != url}
    assert list(after["accounts"]) == net.description["nodes"]
    assert refuses_connections(url)
    given = shares(net, client, [0, 2], epoch=2)
    assert {node: share[0] for node, share in given.items()} == {0: 1, 2: 3}
    assert signs(net, client, *given.values())
    for call in (net.node_url, net.start_node, net.remove_node):
        with pytest.raises(IndexError, match="no node 1, only 0, 2"):
            call(1)
    assert refuses_connections(url)


def test_a_number_is_never_given_away_again(net: Devnet, client: WireClient) -> None:
    gone = net.node_url(2)
    net.remove_node(2)
    assert net.add_node() == 3
    net.remove_node(3)
    assert net.add_node() == 4
    assert net.description["nodes"] == [net.node_url(node) for node in (0, 1, 4)]
    given = shares(net, client, (0, 1, 4))
    assert [share[0] for share in given.values()] == [1, 2, 5]
    assert signs(net, client, given[0], given[4])
    assert signs(net, client, given[1], given[4])
    assert gone not in net.description["nodes"]
    assert refuses_connections(gone)


def test_who_joined_has_no_share_of_the_epoch_before(net: Devnet, client: WireClient) -> None:
    old = shares(net, client, range(3), epoch=1)
    joined = net.add_node()
    assert shares(net, client, range(3), epoch=1) == old
    refused = ask(net, client, joined, epoch=1)
    assert (refused.status_code, refused.json()["errorCode"]) == (500, "NodeSystemFault")
    now = share_of(ask(net, client, joined, epoch=2))
    assert not signs(net, client, old[0], now)
    net.advance_epoch()
    assert share_of(ask(net, client, joined, epoch=2)) == now
    assert share_of(ask(net, client, joined, epoch=3)) != now


def test_who_left_takes_no_share_along(net: Devnet, client: WireClient) -> None:
    old = shares(net, client, range(3), epoch=1)
    net.remove_node(0)
    new = shares(net, client, (1, 2), epoch=2)
    assert shares(net, client, (1, 2), epoch=1) == {1: old[1], 2: old[2]}
    assert not signs(net, client, old[0], new[1])
    assert signs(net, client, new[1], new[2])


def test_too_few_would_be_left(client: WireClient) -> None:
    with Devnet(nodes=2, threshold=2) as net:
        with pytest.raises(
            ValueError, match=r"node 1 \(http://.*\) cannot leave: 1 would be left, and 2 are"
        ):
            net.remove_node(1)
        assert chain(net)["epoch"] == 1
        assert signs(net, client, *shares(net, client, (0, 1)).values())
        net.add_node()
        net.remove_node(1)
        assert signs(net, client, *shares(net, client, (0, 2)).values())


def test_numbers_end(client: WireClient) -> None:
    with Devnet(nodes=MAX_NODES - 1, threshold=2) as net:
        assert net.add_node() == 254
        assert share_of(ask(net, client, 254))[0] == 255
        with pytest.raises(ValueError, match="numbers end at 254"):
            net.add_node()
        net.remove_node(7)
        with pytest.raises(ValueError, match="none is reused"):
            net.add_node()
        assert len(net.description["nodes"]) == 254


def test_given_ports_go_on(client: WireClient) -> None:
    """After the chain's, the nodes' and the control API's; a port that is taken is skipped."""
    first = next(base for base in range(20_000, 30_000, 10) if all(map(is_free, range(base, base + 7))))
    with Devnet(nodes=2, threshold=2, port=first) as net, socket.socket() as taken:
        taken.bind(("127.0.0.1", first + 4))
        taken.listen()
        net.stop_node(0)
        assert net.node_url(net.add_node()).endswith(f":{first + 5}")
        net.remove_node(2)
        assert net.node_url(net.add_node()).endswith(f":{first + 6}")
        assert ask(net, client, 3).status_code == 200


def test_faults_of_those_who_join_and_beside_those_who_left(net: Devnet, client: WireClient) -> None:
    net.add_node()
    net.remove_node(2)
    good = shares(net, client, (0, 1, 3))
    net.lie(1, "duplicate-share")
    assert share_of(ask(net, client, 1)) == good[3]
    net.lie(3, "duplicate-share")
    assert share_of(ask(net, client, 3)) == good[0]
    net.stop_node(3)
    assert refuses_connections(net.node_url(3))
    net.start_node(3)
    assert share_of(ask(net, client, 3)) == good[3]
    assert {entry[0] for entry in net.requests} == {0, 1, 3}


def test_epoch_start(net: Devnet) -> None:
    assert net.advance_epoch(3) == 4
    begun = chain(net)["start"]
    net.set_epoch_start(0)
    assert 58 <= chain(net)["start"] - begun <= 65
    net.add_node()
    assert chain(net)["start"] < begun + 10
    for ago_s in (-1, 1e9, float("nan")):
        with pytest.raises(ValueError, match="epoch"):
            net.set_epoch_start(ago_s)


class TestControlApi:
    @staticmethod
    def send(net: Devnet, method: str, path: str, body: Json | None = None) -> requests.Response:
        url = f"{net.description['control_url']}{path}"
        return requests.request(method, url, json=body, timeout=300)

    def test_join_and_leave(self, net: Devnet) -> None:
        joined = self.send(net, "POST", "/nodes").json()
        assert [node["index"] for node in joined["nodes"]] == [0, 1, 2, 3]
        assert joined["nodes"][-1] == {
            "index": 3,
            "url": net.node_url(3),
            "up": True,
            "fault": None,
            "seconds": None,
        }
        left = self.send(net, "DELETE", "/nodes/0").json()
        assert [node["index"] for node in left["nodes"]] == [1, 2, 3]
        assert (joined["epoch"], left["epoch"]) == (2, 3)
        assert self.send(net, "POST", "/nodes/3", {"fault": "down"}).json()["up"] is False

    def test_epoch_start(self, net: Devnet) -> None:
        begun = self.send(net, "GET", "/").json()["epoch_start"]
        assert begun == chain(net)["start"]
        assert self.send(net, "POST", "/epoch/start", {"ago_s": 1000}).json()["epoch_start"] < begun - 900

    @pytest.mark.parametrize(
        ("call", "body", "status", "says"),
        [
            ("POST /nodes", {"index": 7}, 400, "index"),
            ("DELETE /nodes/9", None, 404, "no node 9, only 0, 1, 2"),
            ("DELETE /nodes/x", None, 404, "/nodes/x"),
            ("DELETE /nodes", None, 405, "/nodes"),
            ("POST /epoch/start", {}, 400, "ago_s"),
            ("POST /epoch/start", {"ago_s": -1}, 400, "epoch"),
        ],
    )
    def test_what_is_wrong_is_said(
        self, net: Devnet, call: str, body: Json | None, status: int, says: str
    ) -> None:
        response = self.send(net, *call.split(), body)
        assert response.status_code == status
        assert says in response.json()["error"]

    def test_too_few_would_be_left(self, net: Devnet) -> None:
        assert self.send(net, "DELETE", "/nodes/0").status_code == 200
        refused = self.send(net, "DELETE", "/nodes/1")
        assert refused.status_code == 400
        assert "2 are needed" in refused.json()["error"]


@pytest.mark.parametrize("nodes", [[0], [0, 255], [-1, 0], []])
def test_whom_no_shares_can_be_dealt(nodes: list[int]) -> None:
    dealer = Dealer(3, 2)
    with pytest.raises(ValueError, match="n"):
        dealer.reshare(nodes)
    assert (dealer.epoch, dealer.nodes) == (1, (0, 1, 2))
