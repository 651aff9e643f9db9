"""The chain's JSON-RPC against encodings recorded from ethers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from eth_abi.abi import decode
from eth_utils.abi import function_signature_to_4byte_selector

from lit_airflow.devnet.chain import CHAIN_ID, REVERTED, STAKING_ADDRESS, StakingState, answer
from tests.devnet_own.wire_client import Json, cases

STATE = StakingState(
    epoch=42,
    epoch_start=1736943600,
    epoch_length_s=600,
    threshold=2,
    host="127.0.0.1",
    ports={0: 7470, 1: 7471, 2: 7472},
    block=99,
)
VALIDATOR = "(uint32,uint128,uint32,address,uint256,uint256,uint256)"
DISCOVERY = ["(uint256,uint256,uint256,uint256,uint256)", "uint256", f"{VALIDATOR}[]"]


def rpc(method: str, *params: object, state: StakingState = STATE) -> Json:
    raw = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)})
    response = answer(raw.encode(), state)
    assert (response["jsonrpc"], response["id"]) == ("2.0", 7)
    return response


def call(data: str, to: str = STAKING_ADDRESS) -> Json:
    return rpc("eth_call", {"to": to, "data": data}, "latest")


@pytest.mark.parametrize("case", cases("eth_calls", op="connection_info"))
def test_discovery_as_recorded(case: Json) -> None:
    """The recorded result and ours differ only in what the nodes are called, so they have one layout."""
    recorded_epoch, recorded_count, recorded_nodes = decode(DISCOVERY, bytes.fromhex(case["result_data"][2:]))
    state = replace(
        STATE,
        epoch=recorded_epoch[1],
        epoch_start=case["expected"]["epoch_start_time"],
        epoch_length_s=recorded_epoch[0],
        ports={index: node[2] for index, node in enumerate(recorded_nodes)},
    )
    transaction = {"to": STAKING_ADDRESS.lower(), "data": case["call"]["data"]}
    made = rpc("eth_call", transaction, "latest", state=state)["result"]
    epoch, count, nodes = decode(DISCOVERY, bytes.fromhex(made[2:]))
    assert len(made) == len(case["result_data"])
    assert (epoch[:3], count) == (recorded_epoch[:3], recorded_count)
    assert [node[1:3] for node in nodes] == [node[1:3] for node in recorded_nodes]
    assert {node[0] for node in nodes} == {0x7F000001}


@pytest.mark.parametrize("case", cases("eth_calls", having="result_data", op="encode"))
def test_single_values_as_recorded(case: Json) -> None:
    """Zero-argument functions of the staking contract; a resolver's are none of them."""
    made = call(case["call_data"])
    if case["function"] in ("STAKING_CONTRACT", "getContract"):
        assert made["error"]["code"] == REVERTED
    elif case["function"] == "getValidatorsInCurrentEpoch":
        accounts = tuple(address.lower() for address in STATE.node_addresses())
        assert decode(["address[]"], bytes.fromhex(made["result"][2:]))[0] == accounts
    elif case["function"] == "epoch":
        assert made["result"][: 2 + 3 * 64] == case["result_data"][: 2 + 3 * 64]
    else:
        assert made["result"] == case["result_data"]


def test_validators_by_address() -> None:
    data = "0x" + function_signature_to_4byte_selector("getValidatorsStructs(address[])").hex()
    (nodes,) = decode([f"{VALIDATOR}[]"], bytes.fromhex(call(data)["result"][2:]))
    assert [node[2] for node in nodes] == [7470, 7471, 7472]


def test_other_methods() -> None:
    assert rpc("eth_chainId")["result"] == hex(CHAIN_ID)
    assert rpc("net_version")["result"] == str(CHAIN_ID)
    assert rpc("eth_blockNumber")["result"] == "0x63"
    assert rpc("eth_getLogs", {"address": STAKING_ADDRESS})["result"] == []


def test_other_contracts_hold_no_code() -> None:
    assert call("0xc51d020e", "0x" + "00" * 20)["result"] == "0x"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", -32700),
        (b"5", -32600),
        (b"[]", -32600),
        (b'{"id":1}', -32600),
        (b'{"id":1,"method":"eth_mine"}', -32601),
        (b'{"id":1,"method":"eth_call"}', -32602),
        (b'{"id":1,"method":"eth_call","params":{}}', -32602),
        (b'{"id":1,"method":"eth_call","params":[{"to":1}]}', -32602),
    ],
)
def test_errors(raw: bytes, code: str) -> None:
    response = answer(raw, STATE)
    assert response["error"]["code"] == code
    assert response["error"]["message"]
    assert "result" not in response


def test_batch() -> None:
    batch = [{"id": 1, "method": "eth_chainId"}, 5, {"id": 3, "method": "net_version", "params": []}]
    responses = answer(json.dumps(batch).encode(), STATE)
    assert [r["id"] for r in responses] == [1, None, 3]
    assert [("result" in r) for r in responses] == [True, False, True]
