from __future__ import annotations

from typing import Any

from eth_utils.crypto import keccak

from lit_airflow.clock import parse_iso
from lit_airflow.networks.datil import wire
from lit_airflow.networks.datil.consensus import Epoch
from lit_airflow.networks.descriptions import describe, known_networks
from lit_airflow.transport.chain import Function

EPOCH, _, VALIDATOR_LIST = wire.VALIDATORS.outputs


def function(name: str, inputs: tuple[str, ...] = (), outputs: tuple[str, ...] = ()) -> Function:
    return Function(name, keccak(text=f"{name}({','.join(inputs)})")[:4].hex(), inputs, outputs)


ABI = {
    each.name: each
    for each in (
        wire.VALIDATORS,
        function("epoch", outputs=(EPOCH,)),
        function("currentValidatorCountForConsensus", outputs=("uint256",)),
        function("getValidatorsInCurrentEpoch", outputs=("address[]",)),
        function("getKickedValidators", outputs=("address[]",)),
        function("getValidatorsStructs", ("address[]",), (VALIDATOR_LIST,)),
        function("state", outputs=("uint8",)),
        wire.STAKING_CONTRACT,
        wire.GET_CONTRACT,
    )
}
EPOCH_FIELDS = ("epochLength", "number", "endTime", "retries", "timeout")
VALIDATOR_FIELDS = ("ip", "ipv6", "port", "nodeAddress", "reward", "senderPubKey", "receiverPubKey")


def connection_info(case: dict[str, Any]) -> None:
    assert wire.VALIDATORS.call_data() == case["call"]["data"]
    if case["network"] in known_networks():
        assert case["call"]["to"] == describe(case["network"]).staking_address
    result = wire.VALIDATORS.decode(case["result_data"])
    epoch, count, validators = result
    assert dict(zip(EPOCH_FIELDS, epoch, strict=True)) == case["decoded"]["epoch"]
    assert count == case["decoded"]["count"]
    assert [same_case(dict(zip(VALIDATOR_FIELDS, v, strict=True))) for v in validators] == [
        same_case(v) for v in case["decoded"]["validators"]
    ]
    found = wire.validators(result, default_scheme=scheme(case))
    wanted = case["expected"]
    assert wanted["epochInfo"] == case["decoded"]["epoch"]
    assert found.threshold == wanted["minNodeCount"]
    assert list(found.nodes) == wanted["bootstrapUrls"]
    assert found.epoch.end_time - found.epoch.length_s == wanted["epoch_start_time"]
    assert found.epoch.number == wanted["epochInfo"]["number"]


def scheme(case: dict[str, Any]) -> str:
    if case["node_protocol"]:
        return str(case["node_protocol"]).removesuffix("://")
    place = {"rpc_url": "http://127.0.0.1:8545", "staking_address": case["call"]["to"]}
    return describe({"network": case["network"], **place}).default_scheme


def same_case(value: Any) -> Any:  # noqa: ANN401 - ABI values of any kind
    """ABI values as the file writes them: lists, hex bytes, addresses in one case, long numbers as text."""
    if isinstance(value, dict):
        return {key: same_case(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [same_case(v) for v in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return str(value).lower()


def current_epoch_number(case: dict[str, Any]) -> None:
    chain = case["epoch"]
    epoch = Epoch(chain["epochLength"], chain["number"], chain["endTime"])
    now_s = parse_iso(case["now"]).timestamp()
    assert epoch.current(now_s) == case["expected"]
    assert int(now_s) - (chain["endTime"] - chain["epochLength"]) == case["seconds_after_start"]


def encode(case: dict[str, Any]) -> None:
    called = ABI[case["function"]]
    arguments = [
        bytes.fromhex(value.removeprefix("0x")) if kind == "bytes32" else value
        for kind, value in zip(called.inputs, case["args"], strict=True)
    ]
    assert called.call_data(*arguments) == case["call_data"]
    if "result_data" in case:
        assert same_case(called.decode(case["result_data"])) == same_case(case["result_values"])


def event_topic(case: dict[str, Any]) -> None:
    assert "0x" + keccak(text=case["event"]).hex() == case["topic0"]
    assert ABI["state"].decode(case["example_data"]) == (case["state"],)


OPS = {
    "connection_info": connection_info,
    "current_epoch_number": current_epoch_number,
    "encode": encode,
    "event_topic": event_topic,
}


def test_case(case: dict[str, Any]) -> None:
    OPS[case["op"]](case)
