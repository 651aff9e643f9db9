"""The recorded network, played back: our requests must be the recorded ones, its answers must do.

Only the network is a recording. Everything up to the HTTP library's transport is the real client.
"""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
import requests
import urllib3
from eth_abi.abi import encode
from requests.adapters import BaseAdapter

from lit_airflow import LitClient, Scope, Wallet
from lit_airflow.clock import parse_iso
from lit_airflow.errors import AccessDeniedError
from lit_airflow.networks.datil import wire
from lit_airflow.protocol import siwe
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.session import Session, SessionKey

PATIENCE_S = 120.0
RPC = "http://127.0.0.1:8545"
RANDOM = re.compile(r'(?<="challenge":")[0-9a-f]{64}(?=")')


class Recording(BaseAdapter):
    """Answers as recorded, and keeps what it was asked."""

    def __init__(self, case: dict[str, Any]) -> None:
        super().__init__()
        self.asked: dict[str, list[tuple[str, dict[str, str]]]] = defaultdict(list)
        self._one_more = threading.Condition()
        self._answers = {
            entry["node"] + entry["request"]["path"]: (entry["response"]["status"], entry["response"]["body"])
            for entry in case["transcript"]
            if entry["kind"] == "node"
        }
        self._answers[RPC + "/"] = (200, {"jsonrpc": "2.0", "id": 1, "result": listing(case)})

    def send(self, request: requests.PreparedRequest, **_options: object) -> requests.Response:
        url, asked = str(request.url), request.body
        assert isinstance(asked, bytes)
        headers = {name.lower(): str(value) for name, value in request.headers.items()}
        with self._one_more:
            self.asked[url].append((asked.decode(), headers))
            self._one_more.notify_all()
        answer = requests.Response()
        answer.status_code, content = self._answers[url]
        answer.headers["Content-Type"] = "application/json"
        body = io.BytesIO(json.dumps(content).encode())
        answer.raw = urllib3.HTTPResponse(body, preload_content=False)
        return answer

    def wait_for(self, urls: Iterable[str]) -> None:
        """Return when each was asked: the client does not wait for nodes that it does not need."""
        with self._one_more:
            assert self._one_more.wait_for(lambda: all(self.asked[url] for url in urls), timeout=PATIENCE_S)

    def close(self) -> None:
        """Nothing is open."""


def listing(case: dict[str, Any]) -> str:
    """What the staking contract says: a settled epoch and the recorded nodes."""
    nodes = [re.fullmatch(r"http://([0-9.]+):(\d+)", node) for node in case["nodes"]]
    structs = [
        (int.from_bytes(map(int, node[1].split(".")), "big"), 0, int(node[2]), "0x" + "00" * 20, 0, 0, 0)
        for node in nodes
        if node is not None
    ]
    epoch = (3600, case["epoch_sent"], int(parse_iso(case["now"]).timestamp()) + 1800, 0, 60)
    return "0x" + encode(wire.VALIDATORS.outputs, (epoch, case["threshold"], structs)).hex()


class Play:
    """A client that talks to the recording, and a session made anew with the recorded keys."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.sent = {kind: self._recorded(path) for kind, path in PATHS.items()}
        self.recording = Recording(case)
        self.chain = next(entry["request"]["body"] for entry in case["transcript"] if entry["kind"] == "rpc")
        now = parse_iso(case["now"])
        description = {"rpc_url": RPC, "staking_address": self.chain["params"][0]["to"]}
        self.client = LitClient(description, timeout_s=120, clock=lambda: now)
        self.client._network.http._session.mount("http://", self.recording)  # type: ignore[attr-defined]
        signed = json.loads(json.loads(next(iter(self.sent["sign"].values()))[0])["authSig"]["signedMessage"])
        self.session = self._open(signed, parse_iso(signed["expiration"]) - now)
        self.conditions = Conditions.parse({**case["conditions"], "chain": case["chain"]})

    def _open(self, signed: dict[str, Any], ttl: timedelta) -> Session:
        return self.client.open_session(
            Wallet.from_key(self.case["wallet_private_key"]),
            Scope.from_json(signed["resourceAbilityRequests"]),
            ttl_s=ttl.total_seconds(),
            statement=siwe.DEFAULT_STATEMENT,
            session_key=SessionKey.from_hex(self.case["session_key"]["secretKey"]),
        )

    def _recorded(self, path: str) -> dict[str, tuple[str, dict[str, str]]]:
        return {
            entry["node"] + path: (entry["request"]["raw_body"], entry["request"]["headers"])
            for entry in self.case["transcript"]
            if entry["kind"] == "node" and entry["request"]["path"] == path
        }

    def check_requests(self, kind: str) -> None:
        self.recording.wait_for(self.sent[kind])
        for url, (body, headers) in self.sent[kind].items():
            ((our_body, our_headers),) = self.recording.asked[url]
            assert RANDOM.sub("", our_body) == RANDOM.sub("", body)
            assert comparable(our_headers) == comparable(headers)
        ids = {
            asked[0][1]["x-request-id"]
            for url, asked in self.recording.asked.items()
            if url in self.sent[kind]
        }
        assert len(ids) == 1


PATHS = {"handshake": wire.HANDSHAKE, "sign": wire.ENCRYPTION_SIGN}


def comparable(headers: dict[str, str]) -> dict[str, str]:
    """The headers that nodes read; the request id is random and the type names the language."""
    kept = {name: headers[name] for name in ("content-type", "accept", "x-lit-sdk-version")}
    assert headers["x-lit-sdk-type"]
    assert re.fullmatch(r"lit_[0-9a-f]{12,13}", headers["x-request-id"])
    return kept


def test_case(case: dict[str, Any]) -> None:
    play = Play(case)
    committee = play.client.sdk.survey()
    assert list(committee.nodes) == case["nodes"]
    assert (committee.threshold, committee.epoch) == (case["threshold"], case["epoch_sent"])
    assert committee.public_key == case["network_public_key"]
    ((rpc, _),) = play.recording.asked[RPC + "/"]
    assert {k: v for k, v in json.loads(rpc).items() if k != "id"} == play.chain
    play.check_requests("handshake")

    if "ok" in case["decrypt_result"]:
        plain = play.client.decrypt(case["encrypt_result"], play.conditions, play.session)
        assert plain.decode() == case["decrypt_result"]["ok"] == case["data_utf8"]
    else:
        with pytest.raises(AccessDeniedError) as caught:
            play.client.decrypt(case["encrypt_result"], play.conditions, play.session)
        assert f'"errorCode":"{caught.value.code}"' in case["decrypt_result"]["error"]
    play.check_requests("sign")
    check_encrypt(case)


def check_encrypt(case: dict[str, Any]) -> None:
    """What we encrypt opens with the recorded shares."""
    play = Play(case)
    sealed = play.client.encrypt(case["data_utf8"].encode(), play.conditions)
    assert sealed["dataToEncryptHash"] == case["encrypt_result"]["dataToEncryptHash"]
    recorded = base64.b64decode(case["encrypt_result"]["ciphertext"])
    assert len(base64.b64decode(sealed["ciphertext"])) == len(recorded)
    if "ok" in case["decrypt_result"]:
        assert play.client.decrypt(sealed, play.conditions, play.session).decode() == case["data_utf8"]
