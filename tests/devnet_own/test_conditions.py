"""Conditions: canonical form and hash against recorded ones, and what they mean."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from lit_airflow.devnet.conditions import ConditionList, canonical, parse_conditions
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.evaluation import Requester, require_met
from lit_airflow.devnet.siwe import parse_siwe
from tests.devnet_own.wire_client import Json, WireClient, cases, load

NOW = datetime(2025, 1, 15, 12, 34, 56, tzinfo=UTC)
ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
OTHER = "0xFCAd0B19bB29D4674531d6f115237E16AfCE377c"
TRUE = {"parameters": [":userAddress"], "returnValueTest": {"comparator": "=", "value": ADDRESS}}
FALSE = {"parameters": [":userAddress"], "returnValueTest": {"comparator": "=", "value": OTHER}}
AND, OR = {"operator": "and"}, {"operator": "or"}
# Refused by the clients; a node sees canonical lists, in which nobody has a conditionType.
CLIENTS_ONLY = {"missing conditionType"}


@pytest.mark.parametrize("case", cases("acc"))
def test_recorded_canonical_form(case: Json) -> None:
    before = copy.deepcopy(case["input"])
    if "expected" in case:
        made = canonical(case["kind"], case["input"])
        assert (
            json.dumps(made, separators=(",", ":"), ensure_ascii=False) == case["expected"]["canonical_json"]
        )
        assert ConditionList(case["kind"], case["input"]).hash() == case["expected"]["hash"]
        assert canonical(case["kind"], made) == made
    elif case["name"] in CLIENTS_ONLY:
        assert canonical(case["kind"], case["input"])
    else:
        with pytest.raises(ValueError, match="condition"):
            canonical(case["kind"], case["input"])
    assert case["input"] == before


def test_first_kind_given_wins(client: WireClient) -> None:
    body = {
        "unifiedAccessControlConditions": [client.condition()],
        "accessControlConditions": [client.condition()],
    }
    assert parse_conditions(body).field == "accessControlConditions"
    assert (
        parse_conditions({**body, "accessControlConditions": None}).field == "unifiedAccessControlConditions"
    )


def basic(**change: object) -> Json:
    return {"contractAddress": "", "chain": "ethereum", "standardContractType": "", "method": "", **change}


def compared(comparator: str, value: str, **change: object) -> Json:
    return basic(returnValueTest={"comparator": comparator, "value": value}, **{"parameters": [], **change})


def verdict(
    items: list[Any], state: Json | None = None, field: str = "accessControlConditions"
) -> bool | str:
    """True, False, or the code of what else happened."""
    text = (
        f"example.com wants you to sign in with your Ethereum account:\n{ADDRESS}\n\n\nURI: https://example.com\n"
        "Version: 1\nChain ID: 1\nNonce: 12345678\nIssued At: 2025-01-15T12:34:56Z\nResources:\n"
        "- ipfs://one\n- ipfs://two"
    )
    asker = Requester(ADDRESS, parse_siwe(text))
    known = {key.lower(): value for key, value in (state or {}).items()}
    try:
        require_met(ConditionList(field, items), asker, NOW, known)
    except NodeError as error:
        return False if error.code == "NodeAccessControlConditionsReturnedNotAuthorized" else error.code
    return True


SHAPE = "NodeInvalidBooleanConditionType"


@pytest.mark.parametrize(
    ("items", "met"),
    [
        ("T", True),
        ("F", False),
        ("TT", True),
        ("TF", False),
        ("T|F", True),
        ("F|T", True),
        ("F&T|T", True),
        ("T|T&F", False),
        ("F&(T|T)", False),
        ("T|(F&F)", True),
        ("(T)", True),
        ("((F)|T)&T", True),
        ("|T", SHAPE),
        ("T|", SHAPE),
        ("T||T", SHAPE),
        ("T|(TT)", SHAPE),
        ("(TT)", SHAPE),
        ("T(F)", False),
        ("TT|T", SHAPE),
        ("T|()", SHAPE),
        ("T|(F&)", SHAPE),
    ],
)
def test_expressions(items: str, *, met: bool | str) -> None:
    stack = [[]]
    for sign in items:
        if sign == "(":
            stack.append([])
        elif sign == ")":
            group = stack.pop()
            stack[-1].append(group)
        else:
            stack[-1].append({"T": basic(**TRUE), "F": basic(**FALSE), "&": AND, "|": OR}[sign])
    assert verdict(stack[0]) == met


@pytest.mark.parametrize("field", ["evmContractConditions", "unifiedAccessControlConditions"])
def test_only_basic_lists_may_leave_operators_out(field: str) -> None:
    assert verdict([basic(**TRUE), basic(**TRUE)], field=field) == SHAPE


def test_what_decides_nothing_is_not_looked_up() -> None:
    unknown = compared(">", "1", method="eth_getBalance", parameters=[":userAddress", "latest"])
    assert verdict([basic(**TRUE), OR, unknown]) is True
    assert verdict([basic(**FALSE), AND, unknown]) is False
    assert verdict([unknown, OR, basic(**TRUE)]) == "NodeRpcError"


@pytest.mark.parametrize(
    ("comparator", "value", "met"),
    [
        ("=", ADDRESS.lower(), True),
        ("=", OTHER, False),
        ("<", OTHER, True),
        (">", OTHER, False),
        ("<=", ADDRESS, True),
        (">=", ADDRESS, True),
        ("!=", OTHER, False),
        ("contains", ADDRESS, False),
        ("=", ":userAddress", True),
        ("=", "nobody", "NodeInvalidACCReturnValueTest"),
    ],
)
def test_the_wallets_address(comparator: str, value: str, *, met: bool | str) -> None:
    assert verdict([compared(comparator, value, parameters=[":userAddress"])]) == met


@pytest.mark.parametrize(
    ("comparator", "value", "met"),
    [
        ("=", "a", False),
        ("=", "abc", True),
        ("contains", "b", True),
        ("!contains", "b", False),
        ("!=", "x", True),
        ("<", "abd", True),
        ("nonsense", "abc", False),
    ],
)
def test_texts(comparator: str, value: str, *, met: bool | str) -> None:
    assert verdict([compared(comparator, value, parameters=["abc"])]) is met


def test_clock() -> None:
    seconds = int(NOW.timestamp())
    clock = {"standardContractType": "timestamp", "method": "eth_getBlockByNumber", "parameters": ["latest"]}
    assert verdict([compared(">=", str(seconds), **clock)]) is True
    assert verdict([compared(">", str(seconds), **clock)]) is False
    assert verdict([compared(">", "soon", **clock)]) == "NodeInvalidACCReturnValueTest"
    for huge in (str(2**256), "9" * 5000):
        assert verdict([compared("<", huge, **clock)]) == "NodeInvalidACCReturnValueTest"
    assert verdict([compared("=", "0" * 5000 + str(seconds), **clock)]) is True
    assert verdict([compared(">=", "0" * 5000, **clock)]) is True


def test_balances_come_from_the_state() -> None:
    asked = compared(">=", "1000", method="eth_getBalance", parameters=[":userAddress", "latest"])
    assert verdict([asked]) == "NodeRpcError"
    assert verdict([asked], {f"ethereum:{ADDRESS}": 1000}) is True
    assert verdict([asked], {f"ethereum:{ADDRESS}": 999}) is False


def test_contract_calls_come_from_the_state() -> None:
    contract = "0x89b597199dAc806Ceecfc091e56044D34E59985c"
    owner = compared(
        "=", ":userAddress", standardContractType="ERC721", method="ownerOf", parameters=["3112"]
    )
    owner["contractAddress"] = contract
    key = f"ethereum:{contract}.ownerOf(3112)"
    assert verdict([owner]) == "NodeRpcError"
    assert verdict([owner], {key: ADDRESS.lower()}) is True
    assert verdict([owner], {key: OTHER}) is False


def test_every_kind_of_a_unified_list() -> None:
    recorded = {case["name"]: case for case in load("acc")["cases"]}
    contract = recorded["ERC1155 balance"]["input"][0]
    key = f"polygon:{contract['contractAddress']}.balanceOf({ADDRESS},8)"
    assert verdict([contract], {key: 1}, "evmContractConditions") is True
    assert verdict([contract], {key: 0}, "unifiedAccessControlConditions") is False
    cosmos = recorded["cosmos with method"]["input"]
    balance = {"cosmos:/cosmos/bank/v1beta1/balances/:userAddress": 1000000}
    assert verdict(cosmos, balance, "unifiedAccessControlConditions") is True
    solana = recorded["v1 balance"]["input"]
    assert verdict(solana, {f"solana:getBalance({ADDRESS})": 5}, "solRpcConditions") is False
    assert verdict(solana, field="solRpcConditions") == "NodeRpcError"


def test_an_output_is_picked_by_its_key() -> None:
    contract = copy.deepcopy(
        next(c for c in load("acc")["cases"] if c["name"] == "ERC1155 balance")["input"][0]
    )
    contract["returnValueTest"] = {"key": "active", "comparator": "=", "value": "true"}
    key = f"polygon:{contract['contractAddress']}.balanceOf({ADDRESS},8)"
    assert verdict([contract], {key: {"active": True, "count": 3}}, "evmContractConditions") is True
    assert verdict([contract], {key: {"active": False}}, "evmContractConditions") is False
    assert verdict([contract], {key: {"count": 3}}, "evmContractConditions") is False


def test_the_sign_in_message() -> None:
    assert (
        verdict([compared("=", "example.com", standardContractType="SIWE", parameters=[":domain"])]) is True
    )
    assert (
        verdict([compared("=", "example.org", standardContractType="SIWE", parameters=[":domain"])]) is False
    )
    resources = {"standardContractType": "SIWE", "parameters": [":resources"]}
    assert verdict([compared("contains", "ipfs://two", **resources)]) is True
    assert verdict([compared("contains", "ipfs://three", **resources)]) is False
    assert verdict([compared("!contains", "ipfs://two", **resources)]) is False


def test_what_cannot_be_decided_here() -> None:
    failed = "NodeAccessControlConditionsCheckFailed"
    assert verdict([compared("=", "true", standardContractType="LitAction", method="go")]) == failed
    assert verdict([compared("=", "Qm", parameters=[":currentActionIpfsId"])]) == failed
    assert verdict([compared("=", "1", standardContractType="Nonsense")]) is False
    assert verdict([compared("=", "1", method="eth_nonsense")]) is False


@pytest.mark.parametrize(
    ("found", "comparator", "value", "met"),
    [
        (ADDRESS, "contains", ":userAddress", True),
        (f'["{ADDRESS}"]', "contains", ":userAddress", True),
        ([OTHER, ADDRESS], "contains", ":userAddress", True),
        ([OTHER], "contains", ":userAddress", False),
        (ADDRESS, "!contains", ":userAddress", False),
        (ADDRESS, "=", ADDRESS.lower(), True),
        ([1, 2], "=", "[1,2]", True),
    ],
)
def test_a_result_that_is_an_address_or_a_list_is_a_text_for_contains(
    found: object, comparator: str, value: str, *, met: bool
) -> None:
    condition = {
        "conditionType": "cosmos",
        "path": "/funders",
        "chain": "kyve",
        "returnValueTest": {"key": "$.account", "comparator": comparator, "value": value},
    }
    assert (
        verdict(
            [condition], field="unifiedAccessControlConditions", state={"kyve:/funders": {"$.account": found}}
        )
        is met
    )
