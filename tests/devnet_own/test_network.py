"""The network over real sockets: endpoints, faults, control API, start and stop."""

from __future__ import annotations

import gc
import socket
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import requests
from eth_abi.abi import decode

from lit_airflow.devnet import Devnet, serve
from lit_airflow.devnet.faults import FAULTS
from lit_airflow.devnet.parsing import MAX_JSON_BYTES
from lit_airflow.errors import SettingsError
from tests.devnet_own.wire_client import (
    HEADERS,
    Json,
    WireClient,
    cases,
    combine,
    is_free,
    share_of,
    verifies,
)


def control(net: Devnet, path: str, body: Json | None = None) -> requests.Response:
    return requests.post(net.description["control_url"] + path, json=body or {}, timeout=300)


class TestDescription:
    def test_fields(self, net: Devnet) -> None:
        description = net.description
        assert list(description) == [
            "network",
            "generation",
            "rpc_url",
            "chain_id",
            "staking_address",
            "nodes",
            "threshold",
            "epoch",
            "network_public_key",
            "control_url",
        ]
        assert (description["network"], description["generation"]) == ("custom", "datil")
        assert (len(description["nodes"]), description["threshold"], description["epoch"]) == (3, 2, 1)
        assert len(bytes.fromhex(description["network_public_key"])) == 48

    def test_chain_is_served(self, net: Devnet) -> None:
        calls = [{"id": 1, "method": "eth_chainId"}, {"id": 2, "method": "nonsense"}]
        response = requests.post(net.description["rpc_url"], json=calls, timeout=300)
        assert response.headers["content-type"] == "application/json"
        assert [("result" in each) for each in response.json()] == [True, False]


class TestHandshake:
    @pytest.mark.parametrize("path", ["/web/handshake", "/web/handshake/"])
    def test_answer(self, net: Devnet, client: WireClient, path: str) -> None:
        response = client.handshake(net, 0, path=path)
        answer = response.json()
        assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
        key = net.description["network_public_key"]
        assert {answer[k] for k in ("subnetPublicKey", "networkPublicKey", "networkPublicKeySet")} == {key}
        assert (answer["serverPublicKey"], answer["clientSdkVersion"], answer["attestation"]) == (
            "",
            "7.4.0",
            None,
        )
        assert answer["hdRootPubkeys"] == []
        assert answer["latestBlockhash"].startswith("0x")
        assert len(bytes.fromhex(answer["latestBlockhash"][2:])) == 32

    def test_block_hash_is_everybodys_and_changes(self, net: Devnet, client: WireClient) -> None:
        net.set_clock_offset(0)
        now = {client.handshake(net, node).json()["latestBlockhash"] for node in range(3)}
        net.set_clock_offset(120)
        later = {client.handshake(net, node).json()["latestBlockhash"] for node in range(3)}
        assert len(now) <= 2  # a block may have come in between
        assert not now & later

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"X-Request-Id": None}, "CoreApiMissingRequiredXRequestIdHeader"),
            ({"X-Lit-SDK-Version": None}, "CoreApiInvalidXSDKVersionHeader"),
            ({"X-Lit-SDK-Version": "0.0.0"}, "CoreApiInvalidXSDKVersionHeader"),
            ({"X-Lit-SDK-Version": "seven"}, "CoreApiInvalidXSDKVersionHeader"),
        ],
    )
    def test_headers(self, net: Devnet, client: WireClient, change: Json, code: str) -> None:
        headers = {k: v for k, v in {**HEADERS, **change}.items() if v is not None}
        response = client.handshake(net, 0, headers=headers)
        assert (response.status_code, response.json()["errorCode"]) == (400, code)

    @pytest.mark.parametrize("change", [{"challenge": "xyz"}, {"challenge": None}, {"clientPublicKey": 1}])
    def test_body(self, net: Devnet, client: WireClient, change: Json) -> None:
        response = client.handshake(net, 0, **change)
        assert (response.status_code, response.json()["errorCode"]) == (422, "NodeBadInput")

    @pytest.mark.parametrize("case", cases("wire"))
    def test_recorded_bodies(self, net: Devnet, case: Json) -> None:
        shakes = [t for t in case["transcript"] if "handshake" in t["request"]["path"]]
        assert shakes
        for step, url in zip(shakes, net.description["nodes"], strict=True):
            asked = step["request"]
            response = requests.post(
                url + asked["path"], data=asked["raw_body"], headers=asked["headers"], timeout=300
            )
            assert response.status_code == 200
            assert list(response.json()) == list(step["response"]["body"])


class TestShares:
    @pytest.mark.parametrize("path", ["/web/encryption/sign", "/web/encryption/sign/v1"])
    @pytest.mark.parametrize("slash", ["", "/"])
    def test_two_of_three_combine(self, net: Devnet, client: WireClient, path: str, slash: str) -> None:
        responses = [client.request_share(net, node, path + slash) for node in (0, 2)]
        assert [r.json()["shareIndex"] for r in responses] == [0, 2]
        assert all(list(r.json()) == ["result", "signatureShare", "shareIndex"] for r in responses)
        signature = combine([share_of(r) for r in responses])
        assert verifies(net.description["network_public_key"], client.identity(client.body()), signature)

    def test_wallet_alone_is_not_enough_on_the_versioned_path(self, net: Devnet, client: WireClient) -> None:
        auth_sig = client.sign_in(datetime.now(UTC), uri="https://localhost/login")
        assert client.request_share(net, 0, authSig=auth_sig).status_code == 200
        refused = client.request_share(net, 0, "/web/encryption/sign/v1", authSig=auth_sig)
        assert refused.json()["errorCode"] == "NodeCannotProvideAuthSigForEndpoint"

    def test_refusal_in_the_nodes_form(self, net: Devnet, client: WireClient) -> None:
        response = client.request_share(net, 1, dataToEncryptHash=5)
        body = response.json()
        assert (response.status_code, response.headers["content-type"]) == (422, "application/json")
        assert list(body) == ["errorKind", "errorCode", "status", "message", "correlationId", "details"]
        assert (body["errorCode"], body["status"]) == ("NodeBadInput", 422)
        assert body["correlationId"] == HEADERS["X-Request-Id"]
        assert isinstance(body["details"], list)

    @pytest.mark.parametrize(
        ("method", "path", "data", "status"),
        [
            ("POST", "/web/encryption/sign", b"{", 422),
            ("POST", "/nowhere", b"{}", 404),
            ("GET", "/web/handshake", b"", 404),
        ],
    )
    def test_whatever_is_asked_the_answer_is_json(
        self, net: Devnet, method: str, path: str, data: bytes, status: int
    ) -> None:
        response = requests.request(method, net.description["nodes"][0] + path, data=data, timeout=300)
        assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
        assert response.json()["errorCode"]

    def test_log_of_requests(self, net: Devnet, client: WireClient) -> None:
        client.handshake(net, 0)
        client.request_share(net, 1)
        client.request_share(net, 2, epoch="x")
        assert net.requests == [
            (0, "/web/handshake/", 200, None),
            (1, "/web/encryption/sign/", 200, None),
            (2, "/web/encryption/sign/", 422, "NodeBadInput"),
        ]

    def test_state_given_by_the_test(self, client: WireClient) -> None:
        balance = client.condition(
            method="eth_getBalance",
            parameters=[":userAddress", "latest"],
            returnValueTest={"comparator": ">=", "value": "5"},
        )
        with Devnet(2, 2, state={f"ethereum:{client.address}": 4}) as net:
            assert client.request_share(net, 0, conditions=[balance]).status_code == 401
            net.set_state({f"ethereum:{client.address}": 5})
            assert client.request_share(net, 0, conditions=[balance]).status_code == 200
            control(net, "/state", {f"ethereum:{client.address.lower()}": 3})
            assert client.request_share(net, 0, conditions=[balance]).status_code == 401


class TestEpochs:
    def test_previous_number_gets_previous_shares(self, net: Devnet, client: WireClient) -> None:
        before = share_of(client.request_share(net, 0, epoch=1))
        assert net.advance_epoch() == 2
        assert net.description["epoch"] == 2
        now = share_of(client.request_share(net, 0, epoch=2))
        assert share_of(client.request_share(net, 0, epoch=1)) == before != now
        assert (
            share_of(client.request_share(net, 0, epoch=0))
            == share_of(client.request_share(net, 0, epoch=99))
            == now
        )
        pair = [now, share_of(client.request_share(net, 1, epoch=2))]
        identity = client.identity(client.body())
        assert verifies(net.description["network_public_key"], identity, combine(pair))
        mixed = [before, pair[1]]
        assert not verifies(net.description["network_public_key"], identity, combine(mixed))

    def test_clients_send_the_current_number(self, net: Devnet) -> None:
        for _ in range(4):
            net.advance_epoch()
        facts = {"to": net.description["staking_address"], "data": "0x900cf0cf"}
        call = {"id": 1, "method": "eth_call", "params": [facts, "latest"]}
        result = requests.post(net.description["rpc_url"], json=call, timeout=300).json()["result"]
        ((length, number, end, *_),) = decode(
            ["(uint256,uint256,uint256,uint256,uint256)"], bytes.fromhex(result[2:])
        )
        assert number == 5
        assert time.time() >= end - length + 45


class TestFaults:
    def test_down_refuses_connections_and_comes_back_on_its_port(
        self, net: Devnet, client: WireClient
    ) -> None:
        with requests.Session() as kept:
            url = net.description["nodes"][1]
            assert kept.get(url, timeout=300).status_code == 404
            for _ in range(3):
                net.stop_node(1)
                address = url.removeprefix("http://").split(":")
                with socket.socket() as probe:
                    assert probe.connect_ex((address[0], int(address[1]))) != 0
                with pytest.raises(requests.ConnectionError):
                    kept.get(url, timeout=300)
                assert client.request_share(net, 0).status_code == 200
                net.start_node(1)
                assert client.request_share(net, 1).status_code == 200

    def test_silent_accepts_and_never_answers(self, net: Devnet, client: WireClient) -> None:
        net.set_fault(0, "silent")
        with pytest.raises(requests.ReadTimeout):
            client.request_share(net, 0, timeout=0.3)
        net.start_node(0)
        assert client.request_share(net, 0).status_code == 200
        assert [entry[0] for entry in net.requests] == [0]

    def test_slow_keeps_nobody_else_waiting(self, net: Devnet, client: WireClient) -> None:
        net.slow_node(0, 3600)
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(client.request_share, net, 0)
            assert client.request_share(net, 1).status_code == 200
            assert not late.done()
            net.stop_node(0)
            with pytest.raises(requests.ConnectionError):
                late.result()

    def test_slow_answers_after_its_seconds(self, net: Devnet, client: WireClient) -> None:
        net.slow_node(0, 0.5)
        begun = time.monotonic()
        assert client.request_share(net, 0).status_code == 200
        assert time.monotonic() - begun >= 0.5

    @pytest.mark.parametrize("fault", ["wrong-share", "stale-share", "wrong-identifier"])
    def test_lies_are_well_formed(self, net: Devnet, client: WireClient, fault: str) -> None:
        net.advance_epoch()
        identity, key = client.identity(client.body()), net.description["network_public_key"]
        good = [share_of(client.request_share(net, node, epoch=2)) for node in range(3)]
        net.lie(0, fault)
        lie = share_of(client.request_share(net, 0, epoch=2))
        assert lie != good[0]
        assert (len(lie), lie[0]) == (97, 2 if fault == "wrong-identifier" else 1)
        assert verifies(key, identity, combine(good[1:]))
        assert not verifies(key, identity, combine([lie, good[2]]))
        net.start_node(0)
        assert share_of(client.request_share(net, 0, epoch=2)) == good[0]

    def test_bad_share_is_no_point(self, net: Devnet, client: WireClient) -> None:
        net.lie(2, "bad-share")
        share = share_of(client.request_share(net, 2))
        assert (len(share), share[0]) == (97, 3)
        with pytest.raises(ValueError, match=r".+"):
            combine([share])

    def test_keys(self, net: Devnet, client: WireClient) -> None:
        net.set_fault(0, "wrong-key")
        net.set_fault(1, "err-key")
        wrong, err, good = (client.handshake(net, node).json()["subnetPublicKey"] for node in range(3))
        assert err == "ERR"
        assert wrong != good
        assert len(wrong) == len(good)

    @pytest.mark.parametrize(
        ("fault", "status", "code"),
        [
            ("rate-limited", 402, "rate_limit_exceeded"),
            ("overloaded", 429, "NodeConcurrencyOverload"),
            ("broken", 500, "NodeSystemFault"),
        ],
    )
    def test_refusals(self, net: Devnet, client: WireClient, fault: str, status: int, code: str) -> None:
        net.set_fault(1, fault)
        response = client.request_share(net, 1)
        assert (response.status_code, response.json()["errorCode"]) == (status, code)
        assert ("errorKind" in response.json()) is not (code == "rate_limit_exceeded")
        assert client.handshake(net, 1).status_code == (200 if fault == "rate-limited" else status)

    def test_garbled(self, net: Devnet, client: WireClient) -> None:
        net.set_fault(1, "garbled")
        assert client.request_share(net, 1).headers["content-type"].startswith("text/html")

    def test_clock(self, net: Devnet, client: WireClient) -> None:
        net.set_clock_offset(-90)
        assert client.request_share(net, 0).json()["errorCode"] == "NodeIatOutsideGracePeriod"
        net.set_clock_offset(3600)
        assert client.request_share(net, 0).json()["errorCode"] == "NodeExpWrongOrTooLarge"
        net.set_clock_offset(0)
        assert client.request_share(net, 0).status_code == 200

    def test_unknown(self, net: Devnet) -> None:
        for node, fault, seconds, error in (
            (3, "down", None, IndexError),
            (-1, None, None, IndexError),
            (0, "nonsense", None, ValueError),
            (0, "slow", None, ValueError),
            (0, "slow", -1, ValueError),
            (0, "down", 1, ValueError),
        ):
            with pytest.raises(error):
                net.set_fault(node, fault, seconds)


class TestControlApi:
    def test_state(self, net: Devnet) -> None:
        state = requests.get(net.description["control_url"], timeout=300).json()
        assert state["nodes"][1] == {
            "index": 1,
            "url": net.description["nodes"][1],
            "up": True,
            "fault": None,
            "seconds": None,
        }
        assert set(state["faults"]) == set(FAULTS)
        assert (state["epoch"], state["threshold"], state["clock_offset_s"]) == (1, 2, 0)

    def test_every_fault_can_be_set_and_taken_back(self, net: Devnet, client: WireClient) -> None:
        for name, fault in FAULTS.items():
            body = {"fault": name, **({"seconds": 0.01} if fault.takes_seconds else {})}
            response = control(net, "/nodes/1", body)
            assert response.status_code == 200
            node = response.json()
            assert node["url"] == net.description["nodes"][1]
            assert (node["fault"], node["up"]) == (name, name != "down")
            assert requests.get(net.description["control_url"], timeout=300).json()["nodes"][1] == node
            assert control(net, "/nodes/1", {"fault": None}).json()["fault"] is None
        assert client.request_share(net, 1).status_code == 200

    def test_epoch_and_clock(self, net: Devnet, client: WireClient) -> None:
        assert control(net, "/epoch", {"advance": 2}).json()["epoch"] == 3
        assert control(net, "/epoch").json()["epoch"] == 4
        assert control(net, "/clock", {"offset_s": -90.5}).json()["clock_offset_s"] == -90.5
        assert client.request_share(net, 0).json()["errorCode"] == "NodeIatOutsideGracePeriod"

    @pytest.mark.parametrize(
        ("path", "body", "status", "says"),
        [
            ("/nodes/9", {"fault": "down"}, 404, "no node 9"),
            ("/nodes/x", {"fault": "down"}, 404, "/nodes/x"),
            ("/nodes/0", {"fault": "nonsense"}, 400, "wrong-share"),
            ("/nodes/0", {"fault": "slow"}, 400, "seconds"),
            ("/nodes/0", {"fault": 5}, 400, "fault"),
            ("/nodes/0", {"flaut": "down"}, 400, "flaut"),
            ("/nodes/0", ["down"], 400, "object"),
            ("/epoch", {"advance": 0}, 400, "advance"),
            ("/epoch", {"advance": "1"}, 400, "advance"),
            ("/clock", {}, 400, "offset_s"),
            ("/clock", {"offset_s": 1e300}, 400, "century"),
            ("/elsewhere", {}, 404, "/elsewhere"),
        ],
    )
    def test_what_is_wrong_is_said(self, net: Devnet, path: str, body: Json, status: int, says: str) -> None:
        response = control(net, path, body)
        assert response.status_code == status
        assert says in response.json().get("error", "")


def test_no_port_reads_more_than_json_may_be_long(net: Devnet) -> None:
    """A longer body is read to its end, so that the answer arrives, but not kept."""
    body = b" " * MAX_JSON_BYTES + b"{}"
    headers = {**HEADERS, "content-type": "application/json"}
    node, chain, api = (
        requests.post(str(url), data=body, headers=headers, timeout=300)
        for url in (
            net.node_url(0) + "/web/handshake",
            net.description["rpc_url"],
            f"{net.description['control_url']}/epoch",
        )
    )
    assert (node.status_code, node.json()["errorCode"]) == (422, "NodeBadInput")
    assert chain.json()["error"]["code"] == -32700
    assert (api.status_code, list(api.json())) == (400, ["error"])
    assert net.description["epoch"] == 1


def serving_threads() -> set[threading.Thread]:
    """This process's threads, but for those of ``http.server``, with which other tests' fixtures answer."""
    return {each for each in threading.enumerate() if "process_request_thread" not in each.name}


class TestStartAndStop:
    def test_nothing_is_left_behind(self, client: WireClient) -> None:
        threads = serving_threads()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(3):
                with Devnet(3, 2) as net, requests.Session() as open_connection:
                    open_connection.get(net.description["nodes"][0], timeout=300)
                    net.set_fault(1, "silent")
                    with pytest.raises(requests.ReadTimeout):
                        client.request_share(net, 1, timeout=0.05)
                    net.stop_node(2)
                    ports = [int(url.rsplit(":", 1)[1]) for url in net.description["nodes"]]
                for port in ports:
                    with socket.socket() as again:
                        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        again.bind(("127.0.0.1", port))
            gc.collect()
        assert serving_threads() <= threads

    def test_stops_while_a_request_waits(self, client: WireClient) -> None:
        with Devnet(2, 2) as net, ThreadPoolExecutor(1) as pool:
            net.slow_node(0, 3600)
            waiting = pool.submit(client.request_share, net, 0)
            time.sleep(0.2)  # as a rule it has arrived by then; if not, it ends in the same way
            net.__exit__(None, None, None)
            with pytest.raises(requests.ConnectionError):
                waiting.result()

    def test_a_hundred_nodes(self, client: WireClient) -> None:
        with Devnet(100, 67) as net, ThreadPoolExecutor(16) as pool:
            shares = list(pool.map(lambda node: share_of(client.request_share(net, node)), range(100)))
            identity = client.identity(client.body())
            key = net.description["network_public_key"]
            assert verifies(key, identity, combine(shares[20:87]))
            assert not verifies(key, identity, combine(shares[:66]))

    def test_given_port(self) -> None:
        free = next(base for base in range(20_000, 30_000, 10) if all(map(is_free, range(base, base + 4))))
        with Devnet(2, 2, port=free) as net:
            d = net.description
            urls = [d["rpc_url"], *d["nodes"], d["control_url"]]
            assert urls == [f"http://127.0.0.1:{free + i}" for i in range(4)]
            with pytest.raises(SettingsError) as caught, Devnet(2, 2, port=free):
                pass
            assert caught.value.field == "address"

    def test_host_by_name(self, client: WireClient) -> None:
        with Devnet(2, 2, host="localhost") as net:
            assert net.description["nodes"][0].startswith("http://127.0.0.1:")
            assert client.request_share(net, 0).status_code == 200

    @pytest.mark.parametrize(
        ("arguments", "field"),
        [
            ({"threshold": 4}, "threshold"),
            ({"threshold": 1}, "threshold"),
            ({"generation": "other"}, "generation"),
            ({"port": 65535}, "port"),
        ],
    )
    def test_wrong_settings(self, arguments: Json, field: str) -> None:
        with pytest.raises(SettingsError) as caught, Devnet(**arguments):
            pass
        assert caught.value.field == field

    def test_not_open(self) -> None:
        with pytest.raises(RuntimeError, match="with"):
            _ = Devnet().description

    def test_serve_announces_once_and_stops(self, client: WireClient) -> None:
        announced, ready, stop = [], threading.Event(), threading.Event()

        def announce(description: Json) -> None:
            announced.append(description)
            ready.set()

        running = threading.Thread(target=serve, args=(3, 2, "127.0.0.1", 0, "datil", announce, stop))
        running.start()
        assert ready.wait(300)
        assert requests.get(announced[0]["control_url"], timeout=300).status_code == 200
        stop.set()
        running.join(300)
        assert not running.is_alive()
        assert len(announced) == 1
        with pytest.raises(requests.ConnectionError):
            requests.get(announced[0]["control_url"], timeout=300)


def test_many_requests(net: Devnet, client: WireClient) -> None:
    """A session asks again and again on one connection."""
    url = net.description["nodes"][0]
    body = client.body(url)
    with requests.Session() as session:
        for _ in range(100):
            assert session.post(url + "/web/encryption/sign", json=body, timeout=300).status_code == 200
