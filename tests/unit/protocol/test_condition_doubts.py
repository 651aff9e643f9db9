from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from lit_airflow.errors import ConditionError
from lit_airflow.protocol.condition_doubts import Severity
from lit_airflow.protocol.conditions import Conditions

ALICE = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
BOB = "0x792c9d2351b4d0e2af56d9cf9772d0eb0d39fa97"
CONTRACT = "0x7C7757a9675f06F3BE4618bB68732c4aB25D2e88"
AND, OR = {"operator": "and"}, {"operator": "or"}
NOW = datetime(2027, 1, 1, tzinfo=UTC)
SECONDS = int(NOW.timestamp())


def basic(
    kind: str = "", method: str = "", parameters: Sequence[str] = (":userAddress",), **test: str
) -> dict[str, Any]:
    return {
        "contractAddress": CONTRACT if kind not in {"", "timestamp"} else "",
        "standardContractType": kind,
        "chain": "ethereum",
        "method": method,
        "parameters": list(parameters),
        "returnValueTest": {"comparator": "=", "value": ALICE} | test,
    }


def time(comparator: str, value: str) -> dict[str, Any]:
    return basic("timestamp", "eth_getBlockByNumber", ["latest"], comparator=comparator, value=value)


def conditions(*items: object) -> Conditions:
    return Conditions.parse({"accessControlConditions": list(items), "chain": "ethereum"})


def function(
    inputs: str,
    *arguments: str,
    output: str = "bool",
    value: str = "true",
    comparator: str = "=",
    **other: object,
) -> Conditions:
    types = inputs.split(",") if inputs else []
    abi = {
        "name": "check",
        "inputs": [{"name": f"i{index}", "type": kind} for index, kind in enumerate(types)],
        "outputs": [{"name": "", "type": output}],
        "stateMutability": "view",
    }
    item = {
        "contractAddress": CONTRACT,
        "functionName": "check",
        "functionParams": list(arguments),
        "functionAbi": abi,
        "chain": "sepolia",
        "returnValueTest": {"key": "", "comparator": comparator, "value": value},
    }
    return Conditions.parse({"evmContractConditions": [item | other], "chain": "ethereum"})


REFUSED = [
    (conditions(basic(value="someone.eth")), "[0].returnValueTest.value"),
    (conditions(basic(value=f"{ALICE}\n")), "[0].returnValueTest.value"),
    (conditions(basic(value=f" {ALICE}")), "[0].returnValueTest.value"),
    (conditions(basic(value=ALICE[:-1])), "[0].returnValueTest.value"),
    (conditions(basic(value="")), "[0].returnValueTest.value"),
    (conditions(basic(value=":userAdress")), "[0].returnValueTest.value"),
    (conditions(basic(comparator="contains")), "[0].returnValueTest.comparator"),
    (conditions(basic(parameters=[":userAdress"])), "[0].parameters[0]"),
    (conditions(basic(parameters=[])), "[0].parameters"),
    (conditions(basic(comparator="<", value=f"0x{'0' * 40}")), "[0].returnValueTest.value"),
    (conditions(basic(method="getBalance")), "[0].method"),
    (conditions(basic(method="eth_getBalance", comparator=">=", value="0.1")), "[0].returnValueTest.value"),
    (conditions(basic(method="eth_getBalance", comparator=">=", value="0x10")), "[0].returnValueTest.value"),
    (conditions(basic(method="eth_getBalance", comparator=">", value="-1")), "[0].returnValueTest.value"),
    (conditions(basic(method="eth_getBalance", comparator="<", value="0")), "[0].returnValueTest.value"),
    (
        conditions(basic(method="eth_getBalance", comparator="contains", value="1")),
        "[0].returnValueTest.comparator",
    ),
    (conditions(basic(method="eth_getBalance", parameters=["a.eth"], value="1")), "[0].parameters[0]"),
    (conditions(basic("ERC20", "balanceOf", value="1,5")), "[0].returnValueTest.value"),
    (conditions(basic("ERC20", "balanceOf", parameters=[], value="1")), "[0].parameters"),
    (conditions(basic("ERC1155", "balanceOf", value="1")), "[0].parameters"),
    (conditions(basic("ERC721", "ownerOf", ["seven"], value=":userAddress")), "[0].parameters[0]"),
    (
        conditions(basic("ERC20", "balanceOf", value="1") | {"contractAddress": "usdc.eth"}),
        "[0].contractAddress",
    ),
    (conditions(basic("SIWE", parameters=["domain"], value="example.com")), "[0].parameters"),
    (conditions(time(">=", "2027-01-01")), "[0].returnValueTest.value"),
    (conditions(time(">=", str(2**256))), "[0].returnValueTest.value"),
    (conditions(time("contains", "1")), "[0].returnValueTest.comparator"),
    (conditions(time("<", str(SECONDS))), "[0].returnValueTest.value"),
    (conditions(basic(), AND, basic(value=BOB)), ""),
    (conditions(basic(), AND, [basic(value=BOB), OR, basic(value=CONTRACT)]), ""),
    (conditions(time(">=", str(SECONDS + 10)), AND, time("<", str(SECONDS + 10))), ""),
    (conditions(basic(), AND, time("<", str(SECONDS - 10))), "[2].returnValueTest.value"),
    (function("address,uint256", ":userAddress"), "[0].functionParams"),
    (function("", ":userAddress"), "[0].functionParams"),
    (function("address", "me"), "[0].functionParams[0]"),
    (function("uint8", "300"), "[0].functionParams[0]"),
    (function("uint256", "-1"), "[0].functionParams[0]"),
    (function("uint256", "one"), "[0].functionParams[0]"),
    (function("bytes4", "0x1234"), "[0].functionParams[0]"),
    (function("bool", "yes"), "[0].functionParams[0]"),
    (function("tuple", "(1,2)"), "[0].functionAbi.inputs[0].type"),
    (function("uint257", "1"), "[0].functionAbi.inputs[0].type"),
    (function("", value="yes"), "[0].returnValueTest.value"),
    (function("", output="address", value="a.eth"), "[0].returnValueTest.value"),
    (function("", output="uint256", value="1e18"), "[0].returnValueTest.value"),
    (function("", output="uint256", value="1", comparator="contains"), "[0].returnValueTest.comparator"),
    (function("", contractAddress=""), "[0].contractAddress"),
    (function("", functionName="other"), "[0].functionAbi.name"),
]


@pytest.mark.parametrize(("hopeless", "at"), REFUSED, ids=range(len(REFUSED)))
def test_nothing_is_encrypted_under_what_nobody_can_meet(hopeless: Conditions, at: str) -> None:
    hopeless.check_schema()
    with pytest.raises(ConditionError) as caught:
        hopeless.validate(now=NOW)
    assert caught.value.field == hopeless.field + at
    assert caught.value.field in str(caught.value)
    assert str(caught.value).isprintable()


UNLIKELY = [
    (conditions(time(">=", f"{SECONDS}000")), "[0].returnValueTest.value", "milliseconds"),
    (conditions(time("<=", f"{SECONDS}000")), "[0].returnValueTest.value", "milliseconds"),
    (conditions(time("=", str(SECONDS + 5))), "[0].returnValueTest.value", "exactly this second"),
    (conditions(basic(value=ALICE.replace("E7E3", "e7E3"))), "[0].returnValueTest.value", "checksum"),
    (conditions(basic(value=f"0x{'0' * 40}")), "[0].returnValueTest.value", "zeros"),
    (
        conditions(basic("SIWE", parameters=[":domain"], value="a.com\u200b")),
        "[0].returnValueTest.value",
        "seen",
    ),
    (conditions(basic(), OR, time("<", str(SECONDS))), "[2].returnValueTest.value", "over"),
    (conditions(basic(comparator="contains"), OR, basic()), "[0].returnValueTest.comparator", "never holds"),
    (function("", output="string", value=" x"), "[0].returnValueTest.value", "white space"),
]


@pytest.mark.parametrize(("unlikely", "at", "why"), UNLIKELY, ids=range(len(UNLIKELY)))
def test_what_is_only_unlikely_is_a_warning(
    unlikely: Conditions, at: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        unlikely.validate(now=NOW)
    (record,) = caplog.records
    assert unlikely.field + at in record.getMessage()
    assert why in record.getMessage()


GOOD = [
    conditions(basic()),
    conditions(basic(value=ALICE.lower())),
    conditions(basic(value=":userAddress")),
    conditions(basic(comparator=">", value=f"0x{'0' * 40}")),
    conditions(basic(parameters=[":litParam:role"], value="admin")),
    conditions(basic(parameters=["a"], value="a")),
    conditions(
        basic(parameters=[":currentActionIpfsId"], value="QmS8vCbK4pY1sTgT3rZ5W7xQe2uNfLhJaRmDkXo9GiBzVw")
    ),
    conditions(basic("LitAction", "go", [], value="true") | {"contractAddress": "ipfs://QmS8"}),
    conditions(basic("MolochDAOv2.1", "members", value="true")),
    conditions(basic(), OR, basic(value=BOB)),
    conditions([basic(), OR, basic(value=BOB)], AND, basic(value=BOB)),
    conditions(time(">=", str(SECONDS + 5)), AND, time("<", str(SECONDS + 10)), AND, basic()),
    conditions(time(">=", "0")),
    function("address,uint256", ":userAddress", "007"),
    function("address,bytes32", ":userAddress", ":litParam.resource"),
    function("bytes32[],string,bytes", "[00,01]", "anything", "0x"),
    function("uint256,int8", f"0x{'0' * 63}1", "-128", value="TRUE"),
    function("", output="uint256[]", value="[1]"),
    function("", output="int256", value="-5"),
]


@pytest.mark.parametrize("good", GOOD, ids=range(len(GOOD)))
def test_what_can_be_met_is_not_doubted(good: Conditions) -> None:
    assert good.validate(now=NOW) is good
    assert good.doubts(now=NOW) == []


def test_many_alternatives_are_not_multiplied_out() -> None:
    either = [basic(), OR, basic(value=BOB)]
    items: list[Any] = [either]
    for _ in range(13):
        items += [AND, either]
    assert conditions(*items).doubts(now=NOW) == []


def test_the_worst_comes_first() -> None:
    found = conditions(time("=", f"{SECONDS}000"), AND, basic(value="a.eth")).doubts(now=NOW)
    assert [doubt.severity for doubt in found] == [Severity.UNREADABLE, Severity.UNLIKELY]
