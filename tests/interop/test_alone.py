"""The SDK by itself on the local network: it finds the nodes on the chain and does the whole job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lit_airflow.devnet import Devnet
from tests.interop import kinds
from tests.interop.packages import wanted
from tests.interop.sdk import RefusedError, Sdk

Json = dict[str, Any]
DECRYPTION = "access-control-condition-decryption"
ANYTHING = [{"resource": "lit-accesscontrolcondition://*", "ability": DECRYPTION}]


def test_it_finds_the_nodes_on_the_chain(sdk: Sdk, network: Json) -> None:
    where = {key: network[key] for key in ("rpc_url", "staking_address")}
    learnt = sdk.ask("connect", network=where)
    assert learnt["nodes"] == network["nodes"]
    assert learnt["connected"] == sorted(network["nodes"])
    assert learnt["threshold"] == network["threshold"]
    assert learnt["epoch"] == network["epoch"]
    assert learnt["networkPublicKey"] == network["network_public_key"]


@pytest.mark.parametrize(("nodes", "threshold", "epoch"), [(2, 2, 1), (4, 3, 7), (7, 5, 3)])
def test_it_does_the_whole_job(sdk: Sdk, nodes: int, threshold: int, epoch: int) -> None:
    with Devnet(nodes=nodes, threshold=threshold, epoch=epoch) as net:
        assert sdk.ask("connect", network=net.description)["epoch"] == epoch
        session_sigs = sdk.ask("session", network=net.description, privateKey=kinds.KEY, requests=ANYTHING)
        assert sorted(session_sigs) == sorted(net.description["nodes"])
        conditions = kinds.SERVED["wallet"]
        sealed = sdk.encrypt(net.description, b"attack at dawn", conditions)
        assert sdk.decrypt(net.description, sealed, conditions, session_sigs) == b"attack at dawn"
        paths = {(path, status) for _, path, status, _ in net.requests}
    assert paths == {("/web/handshake/", 200), ("/web/encryption/sign/", 200)}


def test_a_session_outlives_an_epoch(sdk: Sdk) -> None:
    with Devnet(nodes=3, threshold=2, epoch=4) as net:
        conditions = kinds.SERVED["wallet"]
        sealed = sdk.encrypt(net.description, b"kept", conditions)
        session_sigs = sdk.ask("session", network=net.description, privateKey=kinds.KEY, requests=ANYTHING)
        net.advance_epoch()
        assert sdk.ask("connect", network=net.description)["epoch"] == 5
        assert sdk.decrypt(net.description, sealed, conditions, session_sigs) == b"kept"


def test_it_decrypts_with_one_node_down(sdk: Sdk) -> None:
    with Devnet(nodes=3, threshold=2) as net:
        conditions = kinds.SERVED["wallet"]
        sealed = sdk.encrypt(net.description, b"robust", conditions)
        session_sigs = sdk.ask("session", network=net.description, privateKey=kinds.KEY, requests=ANYTHING)
        net.stop_node(1)
        assert sdk.decrypt(net.description, sealed, conditions, session_sigs) == b"robust"
        net.stop_node(2)
        with pytest.raises(RefusedError):
            sdk.decrypt(net.description, sealed, conditions, session_sigs)


def test_the_packages_are_those_named(folder: Path) -> None:
    modules = folder / "node_modules"
    found = {name: json.loads((modules / name / "package.json").read_text())["version"] for name in wanted()}
    assert found == wanted()
    family = [json.loads(path.read_text()) for path in modules.glob("@lit-protocol/*/package.json")]
    # These two are versioned on their own.
    others = {"@lit-protocol/contracts", "@lit-protocol/accs-schemas", "@lit-protocol/uint8arrays"}
    assert {p["version"] for p in family if p["name"] not in others} == {"7.4.0"}
