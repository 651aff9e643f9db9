"""Every fault by name, over real sockets: what comes over the wire is what the row promises, and no more."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
import requests
from py_arkworks_bls12381 import G2Point

from lit_airflow.devnet import Devnet, serve
from lit_airflow.devnet.faults import CHAIN_FAULTS, FAULTS
from lit_airflow.errors import SettingsError
from tests.devnet_own.wire_client import Json, WireClient, combine, share_of, verifies

MB = 1024 * 1024
LATE = {"silent"}
VALIDATORS = {"to": "", "data": "0xc51d020e"}


def raw_answer(net: Devnet, timeout: float = 300) -> tuple[bytes, Exception | None, float]:
    """The body that node 0 sends to a handshake, how it ended, and how long it took."""
    parts = urlsplit(net.node_url(0))
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=timeout)
    body = json.dumps({"clientPublicKey": "test", "challenge": "5a" * 32, "epoch": 1})
    headers = {"X-Request-Id": "lit_0", "X-Lit-SDK-Version": "7.4.0"}
    begun, got = time.monotonic(), b""
    try:
        connection.request("POST", "/web/handshake", body, headers)
        answer = connection.getresponse()
        while chunk := answer.read1(MB):
            got += chunk
    except (OSError, TimeoutError) as error:
        return got, error, time.monotonic() - begun
    finally:
        connection.close()
    return got, None, time.monotonic() - begun


class TestHowAnAnswerTravels:
    def test_slower_each_time(self, net: Devnet, client: WireClient) -> None:
        net.set_fault(0, "slower", 0.1)
        took = []
        for _ in range(3):
            begun = time.monotonic()
            assert client.handshake(net, 0).status_code == 200
            took.append(time.monotonic() - begun)
        assert [seconds >= 0.1 * n for n, seconds in enumerate(took, 1)] == [True] * 3

    def test_drip(self, net: Devnet) -> None:
        net.set_fault(0, "drip", 0.002)
        body, error, took = raw_answer(net)
        assert error is None
        assert json.loads(body)["clientSdkVersion"] == "7.4.0"
        assert took > 0.002 * len(body)

    def test_a_drip_stops_when_nobody_listens(self, net: Devnet) -> None:
        net.set_fault(0, "drip", 30)
        body, error, _ = raw_answer(net, timeout=0.3)
        assert (len(body), type(error)) == (1, TimeoutError)

    def test_reset_in_mid_body(self, net: Devnet) -> None:
        net.set_fault(0, "reset")
        body, error, _ = raw_answer(net)
        assert isinstance(error, ConnectionResetError)
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)

    def test_huge(self, net: Devnet) -> None:
        net.set_fault(0, "huge")
        body, error, _ = raw_answer(net)
        assert (len(body), error) == (50 * MB, None)

    def test_bomb(self, net: Devnet, client: WireClient) -> None:
        net.set_fault(0, "bomb")
        assert len(raw_answer(net)[0]) < 100_000
        assert len(client.handshake(net, 0).content) == 50 * MB


ANSWERS: dict[str, Callable[[requests.Response], bool]] = {
    "overloaded-for": lambda answer: (answer.status_code, answer.headers.get("Retry-After")) == (429, "7"),
    "bad-gateway": lambda answer: answer.status_code == 502 and answer.text.startswith("<html>"),
    "redirect": lambda answer: (answer.status_code, answer.headers.get("Location")) == (307, "/followed"),
    "not-json": lambda answer: answer.status_code == 200 and answer.text.endswith("nonsense"),
    "other-shape": lambda answer: isinstance(answer.json(), list),
    "deep": lambda answer: answer.text.startswith("[[[[") and len(answer.text) == 200_000,
    "missing-fields": lambda answer: len(answer.json()) == 1,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(net: Devnet, client: WireClient, name: str) -> None:
    net.set_fault(0, name, 7 if FAULTS[name].takes_seconds else None)
    url = net.node_url(0)
    for path in ("/web/handshake", "/web/encryption/sign"):
        body = client.body(url) if "sign" in path else {"clientPublicKey": "test", "challenge": "5a" * 32}
        headers = {"X-Request-Id": "lit_0", "X-Lit-SDK-Version": "7.4.0"}
        answer = requests.post(url + path, json=body, headers=headers, timeout=300, allow_redirects=False)
        assert ANSWERS[name](answer)
    assert not ANSWERS[name](client.handshake(net, 1))


def test_fields_and_types(net: Devnet, client: WireClient) -> None:
    good = client.request_share(net, 1).json()
    net.set_fault(1, "extra-fields")
    more = client.request_share(net, 1).json()
    assert more.items() > good.items()
    net.set_fault(1, "wrong-types")
    other = client.request_share(net, 1).json()
    assert other.keys() == good.keys()
    assert all(type(other[name]) is not type(value) for name, value in good.items())


def test_a_refusal_stays_a_refusal_whatever_is_done_to_content(net: Devnet, client: WireClient) -> None:
    code = "NodeMissingAccessControlConditions"
    for name in ("extra-fields", "wrong-types", "missing-fields"):
        net.set_fault(0, name)
        assert client.request_share(net, 0, accessControlConditions=None).json()["errorCode"] == code


class TestShares:
    @pytest.mark.parametrize(
        ("name", "is_on_the_curve"), [("bad-share", False), ("off-curve", False), ("outside-subgroup", True)]
    )
    def test_points_that_are_none(
        self,
        net: Devnet,
        client: WireClient,
        name: str,
        is_on_the_curve: bool,  # noqa: FBT001
    ) -> None:
        net.lie(2, name)
        share = share_of(client.request_share(net, 2))
        assert (len(share), share[0]) == (97, 3)
        with pytest.raises(ValueError, match=r".+"):
            G2Point.from_compressed_bytes(share[1:])
        if is_on_the_curve:
            assert not G2Point.from_compressed_bytes_unchecked(share[1:]).is_in_subgroup()
        else:
            with pytest.raises(ValueError, match=r".+"):
                G2Point.from_compressed_bytes_unchecked(share[1:])

    def test_identity(self, net: Devnet, client: WireClient) -> None:
        net.lie(2, "identity-share")
        assert G2Point.from_compressed_bytes(share_of(client.request_share(net, 2))[1:]) == G2Point.identity()

    def test_whose_share_it_is(self, net: Devnet, client: WireClient) -> None:
        good = [share_of(client.request_share(net, node)) for node in range(3)]
        seen = {}
        for name in ("duplicate-share", "wrong-identifier", "zero-identifier"):
            net.lie(0, name)
            seen[name] = share_of(client.request_share(net, 0))
        assert seen["duplicate-share"] == good[1]
        assert seen["wrong-identifier"] == good[1][:1] + good[0][1:]
        assert seen["zero-identifier"] == b"\0" + good[0][1:]


class TestHandshakes:
    def test_block_hashes(self, net: Devnet, client: WireClient) -> None:
        net.set_fault(0, "unknown-blockhash")
        first, second = (client.handshake(net, 0).json()["latestBlockhash"] for _ in range(2))
        assert first != second
        net.set_fault(0, "old-blockhash")
        assert client.handshake(net, 0).json()["latestBlockhash"] == "0x" + "0" * 64

    def test_other_epoch(self, net: Devnet, client: WireClient) -> None:
        net.advance_epoch()
        identity, key = client.identity(client.body()), str(net.description["network_public_key"])
        net.lie(0, "other-epoch")
        mixed = [share_of(client.request_share(net, node, epoch=2)) for node in (0, 1)]
        assert not verifies(key, identity, combine(mixed))


class TestTheNetworksLife:
    @pytest.mark.parametrize(
        ("name", "code"),
        [("ten-minutes-behind", "NodeIatOutsideGracePeriod"), ("ten-minutes-ahead", None)],
    )
    def test_one_nodes_clock(self, net: Devnet, client: WireClient, name: str, code: str | None) -> None:
        net.set_fault(0, name)
        assert client.request_share(net, 0).json().get("errorCode") == code
        assert client.request_share(net, 1).status_code == 200

    def test_ahead_means_over_sooner(self, net: Devnet, client: WireClient) -> None:
        """The client's sessions last ten minutes, and nodes allow one more."""
        net.set_clock_offset(61)
        net.set_fault(0, "ten-minutes-ahead")
        assert client.request_share(net, 0).json()["errorCode"] == "NodeExpWrongOrTooLarge"

    def test_the_epoch_moves_once(self, net: Devnet, client: WireClient) -> None:
        net.set_fault(0, "epoch-moves")
        for _ in range(2):
            assert client.handshake(net, 0).status_code == 200
        assert net.description["epoch"] == 2

    def test_a_node_joins_once(self, net: Devnet, client: WireClient) -> None:
        net.set_fault(0, "node-joins")
        for _ in range(2):
            assert client.handshake(net, 0).status_code == 200
        eventually(lambda: len(nodes(net)) == 4)
        assert net.description["epoch"] == 2

    def test_it_leaves(self, net: Devnet, client: WireClient) -> None:
        url = net.node_url(0)
        net.set_fault(0, "node-leaves")
        assert client.handshake(net, 0).status_code == 200
        eventually(lambda: url not in nodes(net))
        with pytest.raises(requests.ConnectionError):
            requests.post(url, timeout=300)

    def test_it_cannot_leave_where_it_is_needed(self, client: WireClient) -> None:
        with Devnet(nodes=2, threshold=2) as net:
            net.set_fault(0, "node-leaves")
            assert client.handshake(net, 0).status_code == 200
            assert client.handshake(net, 0).status_code == 200
            assert len(nodes(net)) == 2


def nodes(net: Devnet) -> list[str]:
    return list(net.description["nodes"])  # type: ignore[call-overload]


def eventually(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.01)


class TestTheChain:
    def ask(self, net: Devnet, timeout: float = 300) -> requests.Response:
        call = {**VALIDATORS, "to": net.description["staking_address"]}
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"]}
        return requests.post(str(net.description["rpc_url"]), json=body, timeout=timeout)

    def test_every_fault_changes_the_answer_and_can_be_taken_back(self, net: Devnet) -> None:
        control = str(net.description["control_url"])
        good = self.ask(net).content
        for name, fault in CHAIN_FAULTS.items():
            body = {"fault": name, **({"seconds": 3600} if fault.takes_seconds else {})}
            chain = requests.post(control + "/chain", json=body, timeout=300).json()
            assert (chain["url"], chain["fault"], chain["up"]) == (
                net.description["rpc_url"],
                name,
                name != "down",
            )
            try:
                answer = self.ask(net, 0.5 if fault.takes_seconds or name in LATE else 300)
            except requests.RequestException:
                pass
            else:
                same = (answer.status_code, answer.content) == (200, good)
                assert same == (name == "paused"), name  # which is another call
            requests.post(control + "/chain", json={}, timeout=300)
            assert self.ask(net).content == good
        assert set(requests.get(control, timeout=300).json()["chain_faults"]) == set(CHAIN_FAULTS)

    def test_paused(self, net: Devnet) -> None:
        net.set_fault("chain", "paused")
        call = {"to": net.description["staking_address"], "data": "0xc19d93fb"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"]}
        answer = requests.post(str(net.description["rpc_url"]), json=body, timeout=300).json()
        assert int(answer["result"], 16) == 4

    def test_what_is_no_chain_and_no_node(self, net: Devnet) -> None:
        for place, name, error in (("chain", "wrong-share", ValueError), ("china", "down", IndexError)):
            with pytest.raises(error):
                net.set_fault(place, name)


class TestCommandLine:
    def test_faults_from_the_beginning(self, client: WireClient) -> None:
        given = ["--fault", "0=overloaded-for:7", "--fault", "2=down", "--fault", "chain=rpc-error"]
        command = [sys.executable, "-m", "lit_airflow.cli", "devnet", *given]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            description: Json = json.loads(process.stdout.readline())
            state = requests.get(description["control_url"], timeout=300).json()
            assert [node["fault"] for node in state["nodes"]] == ["overloaded-for", None, "down"]
            assert [node["seconds"] for node in state["nodes"]] == [7, None, None]
            assert state["chain"]["fault"] == "rpc-error"
            parts = urlsplit(description["nodes"][2])
            with socket.socket() as probe:
                assert probe.connect_ex((str(parts.hostname), int(str(parts.port)))) != 0
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(300) == 0
            process.stdout.close()

    @pytest.mark.parametrize(
        "given", ["0", "9=down", "0=nonsense", "0=slow", "0=slow:x", "0=down:1", "x=down", "0=slow:inf"]
    )
    def test_what_cannot_be(self, given: str) -> None:
        with pytest.raises(SettingsError, match=f"^{given!r}: ") as caught:
            serve(2, 2, "127.0.0.1", 0, "datil", pytest.fail, threading.Event(), [given])
        assert caught.value.field == "fault"
