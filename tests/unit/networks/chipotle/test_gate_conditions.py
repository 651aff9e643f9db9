"""Beyond the vectors: every kind, type and comparator, and what is counted of chains."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.errors import ConditionError
from lit_airflow.networks.chipotle.gate_conditions import (
    MOST_FETCHES,
    chain_reads,
    check_conditions,
    fetches,
    rpc_of,
)
from lit_airflow.networks.chipotle.rpc_urls import check_rpc
from lit_airflow.protocol.conditions import Conditions
from tests.unit.networks.chipotle.making import (
    RPC,
    TOKEN,
    WALLET,
    balance,
    basic,
    conditions,
    function,
    functions,
    token,
)

OR, AND = {"operator": "or"}, {"operator": "and"}
NUMBERS = ("=", "!=", ">", ">=", "<", "<=")
TEXTS = ("=", "!=", "contains", "!contains")
MOST = "9" * 78


def refused(made: Conditions, rpc: object = None) -> ConditionError:
    """The error of conditions that are wrong by themselves; or with these RPC URLs."""
    judge = chain_reads if rpc is None else partial(check_conditions, rpc=rpc)
    with pytest.raises(ConditionError) as caught:
        judge(made)
    return caught.value


@pytest.mark.parametrize("comparator", NUMBERS)
@pytest.mark.parametrize("value", [WALLET, WALLET.lower(), "0x" + WALLET[2:].upper(), ":userAddress"])
def test_wallets_are_compared_as_numbers(comparator: str, value: str) -> None:
    check_conditions(conditions(basic(comparator=comparator, value=value)), {})


@pytest.mark.parametrize("value", ["0", "1", "-1", MOST, "-" + MOST])
def test_times_and_their_other_fields(value: str) -> None:
    time = basic(standardContractType="timestamp", method="x", parameters=[], chain="?", value=value)
    check_conditions(conditions(time), {})


@pytest.mark.parametrize("value", ["", "-0", "+1", "01", "1e3", "0x1", " 1", "1\n", "1.0", "٣", MOST + "0"])
def test_numbers_that_are_not_decimal(value: str) -> None:
    assert refused(conditions(balance(value=value))).field.endswith("returnValueTest.value")


@pytest.mark.parametrize(
    "condition",
    [
        balance(parameters=[WALLET]),
        token("ERC20", "balanceOf", [WALLET]),
        token("ERC721", "balanceOf", [":userAddress"]),
        token("ERC721", "ownerOf", ["0"], value=WALLET),
        token("ERC1155", "balanceOf", [":userAddress", str(2**256 - 1)]),
    ],
)
def test_what_reads_a_chain(condition: dict[str, Any]) -> None:
    check_conditions(conditions(condition), RPC)
    (read,) = chain_reads(conditions(condition))
    assert read.chain == "ethereum"


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        (balance(parameters=[]), "parameters"),
        (balance(parameters=[":userAddress", "earliest"]), "parameters"),
        (balance(parameters=[":userAddress", "latest", "latest"]), "parameters"),
        (balance(parameters=["vitalik.eth"]), "parameters[0]"),
        (balance(parameters=[WALLET[2:]]), "parameters[0]"),
        (balance(parameters="latest"), "parameters"),
        (balance(parameters=[5]), "parameters"),
        (balance(comparator="contains"), "returnValueTest.comparator"),
        (balance(comparator="constructor"), "returnValueTest.comparator"),
        (balance(value=5), "returnValueTest.value"),
        (balance(chain=None), "chain"),
        (token("ERC20", "balanceOf", [":userAddress"], contractAddress=""), "contractAddress"),
        (token("ERC20", "balanceOf", [":userAddress"], contractAddress=":userAddress"), "contractAddress"),
        (token("ERC20", "ownerOf", ["1"]), "method"),
        (token("ERC20", "balanceOf", []), "parameters"),
        (token("ERC721", "ownerOf", ["-1"]), "parameters[0]"),
        (token("ERC721", "ownerOf", [str(2**256)]), "parameters[0]"),
        (token("ERC721", "ownerOf", [":userAddress"]), "parameters[0]"),
        (token("ERC1155", "balanceOf", [":userAddress"]), "parameters"),
        (token("erc20", "balanceOf", [":userAddress"]), "standardContractType"),
        (basic(method="eth_getCode"), "method"),
        (basic(parameters=[":userAddress", ":userAddress"]), "parameters"),
        (basic(parameters=[]), "parameters"),
    ],
)
def test_what_the_gate_refuses_is_named(condition: dict[str, Any], field: str) -> None:
    assert refused(conditions(condition)).field == f"accessControlConditions[0].{field}"


@pytest.mark.parametrize("key", ["contractAddress", "chain", "standardContractType", "method", "parameters"])
def test_no_key_may_be_missing(key: str) -> None:
    condition = basic()
    del condition[key]
    assert refused(conditions(condition)).field == f"accessControlConditions[0].{key}"


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        ("address", ":userAddress"),
        ("address", WALLET),
        ("bool", "true"),
        ("string", ""),
        ("string", "any: text"),
        ("bytes", "0x"),
        ("bytes", "0xAbcd"),
        ("bytes1", "0x00"),
        ("bytes32", "0x" + "ab" * 32),
        ("uint8", "255"),
        ("uint248", "0"),
        ("uint256", str(2**256 - 1)),
        ("int8", "-128"),
        ("int8", "127"),
        ("int256", str(-(2**255))),
    ],
)
def test_arguments(kind: str, argument: str) -> None:
    check_conditions(functions(function({kind: argument}, "bool")), RPC)


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        ("address", "0x" + "0" * 39),
        ("address", ":useraddress"),
        ("address", "0x01D11722c7603AE13Ff51df1f4c157CA9f88Ef4e"),
        ("bool", "True"),
        ("bool", "1"),
        ("string", ":userAddress"),
        ("bytes", "0xabc"),
        ("bytes", "abcd"),
        ("bytes4", "0xabcdef"),
        ("bytes32", "0x" + "ab" * 33),
        ("uint8", "256"),
        ("uint8", "-1"),
        ("int8", "128"),
        ("int8", "-129"),
        ("uint256", str(2**256)),
    ],
)
def test_arguments_that_do_not_fit(kind: str, argument: str) -> None:
    assert (
        refused(functions(function({kind: argument}, "bool"))).field
        == "evmContractConditions[0].functionParams[0]"
    )


@pytest.mark.parametrize(
    "kind",
    [
        "uint",
        "int",
        "uint7",
        "uint264",
        "uint08",
        "int0",
        "bytes0",
        "bytes33",
        "bytes01",
        "byte",
        "tuple",
        "bool[]",
    ],
)
def test_types_that_the_gate_does_not_know(kind: str) -> None:
    field = "evmContractConditions[0].functionAbi"
    assert refused(functions(function({kind: "1"}, "bool"))).field == f"{field}.inputs[0].type"
    assert refused(functions(function({}, kind))).field == f"{field}.outputs[0].type"


@pytest.mark.parametrize(
    ("output", "value", "comparators"),
    [
        ("address", ":userAddress", NUMBERS),
        ("uint8", MOST, NUMBERS),
        ("int256", "-5", NUMBERS),
        ("string", "", TEXTS),
        ("string", "any text", TEXTS),
        ("bool", "false", ("=", "!=")),
        ("bytes", "0x", ("=", "!=")),
        ("bytes4", "0xabcdef", ("=", "!=")),
    ],
)
def test_outputs_and_comparators(output: str, value: str, comparators: tuple[str, ...]) -> None:
    for comparator in {*NUMBERS, *TEXTS}:
        made = functions(function({}, output, comparator=comparator, value=value))
        if comparator in comparators:
            check_conditions(made, RPC)
        else:
            assert refused(made).field.endswith("comparator")


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("bool", "1"),
        ("bytes", "0xAB"),
        ("bytes", "ab"),
        ("bytes4", ""),
        ("string", ":litParam"),
        ("address", "0x"),
    ],
)
def test_expected_values_that_cannot_be_met(output: str, value: str) -> None:
    assert refused(functions(function({}, output, value=value))).field.endswith("returnValueTest.value")


def test_outputs_are_named() -> None:
    outputs = [{"name": "a", "type": "bool"}, {"name": "b", "type": "uint8"}, {"name": "b", "type": "uint8"}]
    abi = {"name": "f", "inputs": [], "outputs": outputs, "stateMutability": "view"}
    check_conditions(functions(function({}, "bool", functionAbi=abi, key="a")), RPC)
    for key in ("b", "c", ""):
        assert refused(functions(function({}, "bool", functionAbi=abi, key=key))).field.endswith("key")
    alone = {**abi, "outputs": outputs[:1]}
    for key in ("a", ""):
        check_conditions(functions(function({}, "bool", functionAbi=alone, key=key)), RPC)
    assert refused(functions(function({}, "bool", functionAbi=alone, key=None))).field.endswith("key")


@pytest.mark.parametrize("name", ["", "9a", "a b", "a(", "é"])
def test_function_names_are_identifiers(name: str) -> None:
    abi = {"name": name, "inputs": [], "outputs": [{"name": "", "type": "bool"}], "stateMutability": "view"}
    assert refused(functions(function({}, "bool", functionName=name, functionAbi=abi))).field.endswith(
        "functionName"
    )


@pytest.mark.parametrize(
    "abi", [None, "f()", [], {"name": "f"}, {"name": "f", "stateMutability": "view", "constant": 1}]
)
def test_abis_that_are_not_one(abi: object) -> None:
    with pytest.raises(ConditionError) as caught:
        chain_reads(functions(function({}, "bool", functionAbi=abi)))
    assert ".functionAbi" in caught.value.field


@pytest.mark.parametrize(
    "items",
    [
        [],
        [OR],
        [basic(), OR],
        [OR, basic()],
        [basic(), basic()],
        [basic(), OR, OR],
        [[]],
        [basic(), {"operator": "xor"}, basic()],
    ],
)
def test_shapes_that_are_not_an_expression(items: list[Any]) -> None:
    assert refused(conditions(*items)).field.startswith("accessControlConditions")


def test_an_error_names_where_in_the_groups() -> None:
    made = conditions(basic(), OR, [basic(), AND, balance(value="x")])
    assert refused(made).field == "accessControlConditions[2][2].returnValueTest.value"


def test_unpaired_surrogates() -> None:
    assert "surrogate" in refused(conditions(basic(contractAddress="\ud800"))).message


def test_the_same_question_is_counted_once() -> None:
    same = [balance(), OR, balance(parameters=[":userAddress"]), OR, balance(comparator="<", value="7")]
    assert len(chain_reads(conditions(*same))) == 1
    upper = token(
        "ERC721", "balanceOf", ["0x" + WALLET[2:].upper()], contractAddress="0x" + TOKEN[2:].upper()
    )
    assert len(chain_reads(conditions(token("ERC20", "balanceOf", [WALLET]), OR, upper))) == 1
    texts = [function({"string": "a"}, "bool"), OR, function({"string": "A"}, "bool")]
    assert len(chain_reads(functions(*texts))) == 2


def test_requests_are_questions_times_urls() -> None:
    rpc = {"ethereum": ["https://a.example", "https://b.example"], "base": ["https://c.example"]}
    reads = chain_reads(conditions(balance(), AND, balance(chain="base"), AND, balance(parameters=[TOKEN])))
    assert len(fetches(reads, rpc)) == 5


def test_conditions_that_would_use_a_run_up_are_refused() -> None:
    urls = [f"https://r{n}.example" for n in range(4)]
    many: list[Any] = [balance(parameters=[f"0x{n:040x}"]) for n in range(MOST_FETCHES // 4 + 1)]
    items = [part for condition in many for part in (OR, condition)][1:]
    assert "requests" in refused(conditions(*items), {"ethereum": urls}).message
    check_conditions(conditions(*items[:-2]), {"ethereum": urls})


def test_rpc_is_exactly_what_is_read() -> None:
    known = {"ethereum": ["https://e.example"], "base": ["https://b.example"]}
    both = conditions(balance(), OR, balance(chain="base"))
    assert rpc_of(both, known) == known
    assert rpc_of(conditions(basic()), known) == {}
    assert rpc_of(conditions(balance(chain="polygon")), known) == {}
    assert refused(both, {"ethereum": known["ethereum"]}).field == "rpc.base"
    assert refused(conditions(balance()), known).field == "rpc.base"


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "https://" + "a" * 501,
        "https://a@b",
        "https://a\\b",
        "https://a b",
        "https://é.example",
        "HTTPS://a.example",
        "http://127.0.0.2:1",
        "http://localhost.example/",
        "http://localhost/",
        "http://localhost:@evil.example",
        "ftp://a.example",
        " https://a.example",
        "https://a.example\n",
        7,
    ],
)
def test_urls_that_no_gate_takes(url: object) -> None:
    with pytest.raises(ConditionError) as caught:
        check_rpc({"ethereum": ["https://e.example", url]}, local=True)
    assert caught.value.field == "rpc.ethereum[1]"


def test_urls_do_not_show_in_errors() -> None:
    with pytest.raises(ConditionError) as caught:
        check_rpc({"ethereum": ["http://rpc.example/customer-key"]})
    assert "customer-key" not in str(caught.value)


@pytest.mark.parametrize(
    "rpc", [[], "x", {5: ["https://a.example"]}, {"ethereum": "https://a.example"}, {"ethereum": {}}]
)
def test_rpc_of_another_shape(rpc: object) -> None:
    assert refused(conditions(balance()), rpc).field.startswith("rpc")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from([":userAddress", "ethereum", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "type", "inputs", "key", "comparator", "value", "operator"]), inner
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*basic(), *function({}, "bool")]), JSON, max_size=3))
def test_only_our_error_comes_of_any_condition(changes: dict[str, Any]) -> None:
    for field, condition in (
        ("accessControlConditions", basic()),
        ("evmContractConditions", function({}, "bool")),
    ):
        with suppress(ConditionError):
            made = Conditions.parse({field: [condition | changes], "chain": "ethereum"})
            check_conditions(made, RPC)
