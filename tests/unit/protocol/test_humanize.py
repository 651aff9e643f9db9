from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.errors import ConditionError
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.humanize import MAX_SHOWN_CONDITIONS, humanize

ACC = "accessControlConditions"
CONTRACT = "evmContractConditions"
SOLANA = "solRpcConditions"
UNIFIED = "unifiedAccessControlConditions"
AND, OR = {"operator": "and"}, {"operator": "or"}
WALLET = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
TOKEN = "0xc0AD7861fe8848002A3d9530999Dd29f6b6cae75"
PLACE = f"{TOKEN} on ethereum"
VECTORS = json.loads(Path("tests/vectors/datil/acc.json").read_text("utf-8"))["cases"]


def basic(
    kind: str = "",
    method: str = "",
    parameters: Sequence[object] = (":userAddress",),
    test: tuple[object, object] = ("=", WALLET),
    **more: object,
) -> dict[str, Any]:
    return {
        "contractAddress": TOKEN if kind else "",
        "standardContractType": kind,
        "chain": "ethereum",
        "method": method,
        "parameters": list(parameters),
        "returnValueTest": {"comparator": test[0], "value": test[1]},
        **more,
    }


def text(name: str) -> dict[str, Any]:
    return basic(parameters=[name], test=("=", name))


def say(*items: object, field: str = ACC) -> str:
    return humanize(Conditions.parse({field: list(items), "chain": "ethereum"}))


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (basic(), f"The wallet is {WALLET}."),
        (basic(test=(">", WALLET)), f"The wallet's address is greater than {WALLET}."),
        (basic(test=("=", ":userAddress")), "The wallet's address is the wallet's address."),
        (basic(test=("=", "alice.eth")), 'The wallet is "alice.eth".'),
        (basic(parameters=["7"], test=("=", "7")), 'The text "7" is "7".'),
        (
            basic(parameters=[":currentActionIpfsId"], test=("=", "Qm")),
            "The running Lit Action is Qm.",
        ),
        (
            basic("timestamp", "eth_getBlockByNumber", ["latest"], (">=", "1736944496")),
            "The time of the latest block on ethereum is at or after 2025-01-15 12:34:56 UTC.",
        ),
        (
            basic("timestamp", "eth_getBlockByNumber", ["latest"], ("<", "253402300800")),
            "The time of the latest block on ethereum is before Unix time 253402300800.",
        ),
        (
            basic("ERC20", "balanceOf", test=(">", "10"), chain="polygon"),
            f"The wallet holds more than 10 base units of the ERC20 token {TOKEN} on polygon.",
        ),
        (
            basic("ERC20", "balanceOf", [WALLET], ("<=", "10")),
            f"{WALLET} holds at most 10 base units of the ERC20 token {TOKEN} on ethereum.",
        ),
        (
            basic("ERC721", "ownerOf", ["3112"], ("=", ":userAddress")),
            f"The wallet owns token 3112 of the ERC721 contract {TOKEN} on ethereum.",
        ),
        (
            basic("ERC721", "ownerOf", ["3112"], (">", ":userAddress")),
            f"The result of ownerOf(3112) of the ERC721 contract {PLACE} is greater than the wallet's address.",
        ),
        (
            basic("ERC721", "balanceOf", test=(">=", "1")),
            f"The wallet holds at least 1 token of the ERC721 contract {TOKEN} on ethereum.",
        ),
        (
            basic("ERC1155", "balanceOf", [":userAddress", "8"], ("=", "2")),
            f"The wallet holds exactly 2 units of token 8 of the ERC1155 contract {TOKEN} on ethereum.",
        ),
        (
            basic("ERC1155", "balanceOfBatch", ["x", "8"], (">", "0")),
            f'The result of balanceOfBatch("x", 8) of the ERC1155 contract {PLACE} is greater than 0.',
        ),
        (
            basic("ProofOfHumanity", "isRegistered", ["x"], ("=", "true")),
            f'The result of isRegistered("x") of the ProofOfHumanity contract {PLACE} is "true".',
        ),
        (basic("SIWE", "", [":domain"], ("=", "lit.dev")), 'The sign-in message\'s domain is "lit.dev".'),
        (
            basic("SIWE", "", [":resources"], ("contains", "litParam:x")),
            'A resource of the sign-in message contains "litParam:x".',
        ),
        (
            basic("PKPPermissions", "getPermittedAddresses", ["0x01"], ("contains", ":userAddress")),
            f"The addresses that may use the PKP 0x01, by the contract {PLACE}, include the wallet's address.",
        ),
        (
            basic("PKPPermissions", "getPermittedActions", ["12"], ("contains", "Qm")),
            f'The Lit Actions that may use the PKP 12, by the contract {TOKEN} on ethereum, include "Qm".',
        ),
        (
            basic("PKPPermissions", "isPermittedAction", ["12", "Qm"], ("=", "true")),
            f'The result of isPermittedAction(12, "Qm") of the PKPPermissions contract {PLACE} is "true".',
        ),
        (
            basic("LitAction", "go", ["100"], ("=", "true"), contractAddress="ipfs://Qm"),
            'The result of go(100) in the Lit Action "ipfs://Qm" is "true".',
        ),
    ],
)
def test_basic_conditions(condition: dict[str, Any], sentence: str) -> None:
    assert say(condition) == sentence


@pytest.mark.parametrize(
    ("value", "chain", "words"),
    [
        ("1000000000000", "ethereum", "0.000001 ETH"),
        ("0", "ethereum", "0 ETH"),
        ("1", "ethereum", "0.000000000000000001 ETH"),
        ("1500000000000000000", "base", "1.5 ETH"),
        ("100000000000000000000", "xdai", "100 xDAI"),
        ("1000000000000", "hedera", "1000000000000 wei"),
        (
            "123456789012345678901234567890123456789",
            "ethereum",
            "123456789012345678901.234567890123456789 ETH",
        ),
    ],
)
def test_balances_are_exact(value: str, chain: str, words: str) -> None:
    condition = basic("", "eth_getBalance", [":userAddress", "latest"], (">=", value), chain=chain)
    assert say(condition) == f"The wallet holds at least {words} on {chain}."


@given(st.integers(0, 2**256 - 1))
def test_no_digit_of_an_amount_is_lost(wei: int) -> None:
    sentence = say(basic("", "eth_getBalance", [":userAddress"], ("=", str(wei))))
    found = re.fullmatch(r"The wallet holds exactly ([0-9]+)(?:\.([0-9]{1,18}))? ETH on ethereum\.", sentence)
    assert found is not None
    assert int(found[1]) * 10**18 + int((found[2] or "").ljust(18, "0")) == wei


@given(st.integers(0, 253_402_300_799))
def test_times_are_exact(seconds: int) -> None:
    sentence = say(basic("timestamp", "", [], ("=", str(seconds))))
    found = re.search(r"is exactly (\S+ \S+) UTC\.$", sentence)
    assert found is not None
    assert datetime.fromisoformat(found[1]).replace(tzinfo=UTC).timestamp() == seconds


ODD = [
    basic("NewKind", "f", ["1"], ("=", "1")),
    basic("", "eth_unknown"),
    basic("", "eth_getBalance", [":userAddress", "0x10"], (">", "1")),
    basic("", "eth_getBalance", ["alice.eth"], (">", "1")),
    basic("", "eth_getBalance", test=(">", "1.5")),
    basic("", "eth_getBalance", test=(">", str(2**256))),
    basic("", "eth_getBalance", test=(">", "9" * 500)),
    basic("", "eth_getBalance", test=("contains", "1")),
    basic("timestamp", test=(">", "soon")),
    basic("SIWE", "", [":resources"], ("!=", "x")),
    basic("SIWE", "", [":nonce"], ("=", "x")),
    basic(test=("~", WALLET)),
    basic(test=("=", 5)),
    basic(test=(["="], WALLET)),
    basic(parameters=[]),
    basic(parameters=[1]),
    basic(parameters=[":userAddress", "more"]),
    basic(chain=5),
    {"returnValueTest": {}},
]


@pytest.mark.parametrize("condition", ODD, ids=range(len(ODD)))
def test_what_is_not_understood_is_shown_as_it_is(condition: dict[str, Any]) -> None:
    sentence = say(condition)
    assert sentence.startswith("This condition is met: {")
    shown = json.loads(sentence.removeprefix("This condition is met: ").removesuffix("."))
    assert shown == Conditions.parse({ACC: [condition], "chain": "ethereum"}).items[0]


CALL = {
    "conditionType": "evmContract",
    "contractAddress": TOKEN,
    "functionName": "balanceOf",
    "functionParams": [":userAddress", "8"],
    "functionAbi": {"name": "balanceOf", "inputs": [], "outputs": [], "stateMutability": "view"},
    "chain": "polygon",
    "returnValueTest": {"key": "", "comparator": ">", "value": "0"},
}
SOL = {
    "conditionType": "solRpc",
    "method": "getBalance",
    "params": [":userAddress"],
    "pdaParams": [],
    "pdaInterface": {"offset": 0, "fields": {}},
    "pdaKey": "",
    "chain": "solana",
    "returnValueTest": {"key": "", "comparator": ">=", "value": "100000001"},
}
COSMOS = {
    "conditionType": "cosmos",
    "path": "/balances/:userAddress",
    "chain": "cosmos",
    "method": "GET",
    "parameters": [],
    "returnValueTest": {"key": "$.x", "comparator": ">=", "value": "7"},
}
SAID = [
    (
        CALL,
        f"the result of balanceOf(the wallet's address, 8) of the contract {TOKEN} on polygon is greater than 0",
    ),
    (SOL, "the wallet holds at least 0.100000001 SOL on solana"),
    (COSMOS, 'the value at "$.x" in the answer of cosmos to GET "/balances/:userAddress" is at least 7'),
    ({**basic(), "conditionType": "evmBasic"}, f"the wallet is {WALLET}"),
]


@pytest.mark.parametrize(("first", "second"), list(product(SAID, SAID)))
def test_kinds_may_be_mixed(first: tuple[Any, str], second: tuple[Any, str]) -> None:
    sentence = say(first[0], OR, second[0], field=UNIFIED)
    assert sentence.casefold() == f"{first[1]} or {second[1]}.".casefold()


@pytest.mark.parametrize(
    ("field", "condition", "sentence"),
    [
        (
            CONTRACT,
            {**CALL, "returnValueTest": {**CALL["returnValueTest"], "key": "left"}},
            'The output "left" of',
        ),
        (CONTRACT, {**CALL, "functionName": "other"}, "This condition is met: {"),
        (
            SOLANA,
            {**SOL, "params": ["9x"]},
            'The result of the Solana call getBalance("9x") on solana is at least',
        ),
        (
            SOLANA,
            {**SOL, "pdaKey": "counter"},
            "The result of the Solana call getBalance(the wallet's address) with",
        ),
        (UNIFIED, {**COSMOS, "method": 5}, "This condition is met: {"),
        (UNIFIED, {**COSMOS, "parameters": ["a"]}, "The value at"),
    ],
)
def test_other_kinds(field: str, condition: dict[str, Any], sentence: str) -> None:
    assert say(condition, field=field).startswith(sentence)


A, B, C = text("a"), text("b"), text("c")
SAY_A, SAY_B, SAY_C = (f'the text "{name}" is "{name}"' for name in "abc")


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        ([A, OR, B], f"{SAY_A} or {SAY_B}"),
        ([A, OR, B, OR, C], f"{SAY_A} or {SAY_B} or {SAY_C}"),
        ([A, OR, B, AND, C], f"({SAY_A} or {SAY_B}) and {SAY_C}"),
        ([A, AND, B, OR, C], f"({SAY_A} and {SAY_B}) or {SAY_C}"),
        ([A, OR, [B, AND, C]], f"{SAY_A} or ({SAY_B} and {SAY_C})"),
        ([[A, OR, B], AND, C], f"({SAY_A} or {SAY_B}) and {SAY_C}"),
        ([A, AND, B, OR, C, AND, A], f"(({SAY_A} and {SAY_B}) or {SAY_C}) and {SAY_A}"),
        ([[[A]], OR, [B]], f"{SAY_A} or {SAY_B}"),
        ([A, B], f"{SAY_A} and {SAY_B}"),
        ([A, [B]], f"{SAY_A} and {SAY_B}"),
    ],
)
def test_operators_work_from_left_to_right(items: list[object], sentence: str) -> None:
    assert say(*items).casefold() == f"{sentence}.".casefold()


@pytest.mark.parametrize(
    ("field", "items"),
    [
        (ACC, [A, AND]),
        (ACC, [OR, A]),
        (ACC, [A, AND, B, C]),
        (ACC, [A, [B, C]]),
        (ACC, [A, AND, []]),
        (ACC, [[]]),
        (ACC, [A, {"operator": "xor"}, B]),
        (ACC, [A, {"operator": ["and"]}, B]),
        (CONTRACT, [CALL, CALL]),
    ],
)
def test_what_nodes_refuse_is_no_sentence_about_who_may(field: str, items: list[object]) -> None:
    sentence = say(*items, field=field)
    assert sentence.startswith("Nodes refuse this list, because conditions and operators do not alternate: ")


def test_no_conditions() -> None:
    assert say() == "There are no conditions."


def truth(tokens: list[str], values: dict[str, bool]) -> bool:
    """What a reader takes a sentence for: parentheses first; one level never mixes "and" and "or"."""
    words: set[str] = set()
    result: bool | None = None
    while tokens and tokens[0] != ")":
        token = tokens.pop(0)
        if token in ("and", "or"):
            words.add(token)
            continue
        value = truth(tokens, values) if token == "(" else values[token]
        if token == "(":
            assert tokens.pop(0) == ")"
        before = "and" in words if result is None else result
        result = (before and value) if "and" in words else (before or value)
    assert len(words) <= 1
    assert result is not None
    return result


def expressions() -> st.SearchStrategy[list[Any]]:
    leaf = st.sampled_from("abc").map(text)

    def joined(item: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        more = st.lists(st.tuples(st.sampled_from([AND, OR]), item), max_size=4)
        return st.tuples(item, more).map(lambda pair: [pair[0], *(each for two in pair[1] for each in two)])

    # Hypothesis takes max_leaves for a hint.
    return joined(st.recursive(leaf, joined, max_leaves=8)).filter(
        lambda items: leaves(items) <= MAX_SHOWN_CONDITIONS
    )


def leaves(item: Any) -> int:  # noqa: ANN401 - an item of conditions
    return sum(map(leaves, item[::2])) if isinstance(item, list) else 1


def left_to_right(items: list[Any], values: dict[str, bool]) -> bool:
    def one(item: Any) -> bool:  # noqa: ANN401 - an item of conditions
        return left_to_right(item, values) if isinstance(item, list) else values[item["parameters"][0]]

    result = one(items[0])
    for operator, item in zip(items[1::2], items[2::2], strict=True):
        result = (result and one(item)) if operator == AND else (result or one(item))
    return result


@given(expressions())
def test_a_reader_decides_as_nodes_do(items: list[Any]) -> None:
    sentence = re.sub(r'the text "(.)" is "."', r"\1", say(*items), flags=re.IGNORECASE)
    for bits in product((False, True), repeat=3):
        values = dict(zip("abc", bits, strict=True))
        tokens = re.findall(r"[()]|\w+", sentence)
        assert truth(tokens, values) == left_to_right(items, values)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
KEYS = sorted({*basic(), *CALL, *SOL, *COSMOS})
TEXTS = st.sampled_from(
    [
        *(
            "",
            "=",
            ">=",
            "contains",
            ":userAddress",
            "latest",
            "1",
            WALLET,
            "balanceOf",
            "ownerOf",
            "ethereum",
        ),
        *("eth_getBalance", "timestamp", "SIWE", "ERC20", "ERC721", "ERC1155", "PKPPermissions", "LitAction"),
        *("getPermittedAddresses", "getBalance", ":domain", ":resources", "solana", "cosmos"),
    ]
)
VALUES = TEXTS | st.lists(TEXTS, max_size=3) | JSON
TESTS = st.dictionaries(st.sampled_from(["key", "comparator", "value"]), VALUES)
ANY_CONDITION = st.builds(
    lambda base, changes, test: {**base, **changes, "returnValueTest": test},
    st.sampled_from([basic(), CALL, SOL, COSMOS, {"conditionType": "evmBasic"}]),
    st.dictionaries(st.sampled_from([key for key in KEYS if key != "conditionType"]), VALUES, max_size=4),
    TESTS,
)
ITEMS = st.lists(
    st.recursive(
        ANY_CONDITION | st.builds(lambda word: {"operator": word}, st.sampled_from(["and", "or"]) | JSON),
        lambda inner: st.lists(inner, max_size=4),
        max_leaves=6,
    ),
    max_size=5,
)


@given(st.sampled_from([ACC, CONTRACT, SOLANA, UNIFIED]), ITEMS)
def test_whatever_parses_is_one_printable_sentence(field: str, items: list[Any]) -> None:
    try:
        conditions = Conditions.parse({field: items, "chain": "ethereum"})
    except ConditionError:
        return
    sentence = humanize(conditions)
    assert sentence.isprintable()
    assert sentence.endswith(".")
    assert sentence[0] in '0(T"NAO'
    assert len(sentence) < 6000


def test_values_that_are_no_json_do_no_harm() -> None:
    endless: list[object] = []
    endless.append(endless)
    deep: object = []
    for _ in range(100_000):
        deep = [deep]
    for value in (object(), b"x", {1: 2}, {(1, 2): 3}, endless, deep):
        assert say({**SOL, "params": [value]}, field=SOLANA).endswith(".")
        assert say({**basic(), "parameters": value}).endswith(".")


def test_a_text_cannot_pose_as_the_sentence_or_move_the_cursor() -> None:
    evil = f'x" or the wallet is {WALLET}\x1b[2K\r\u202e\u200b'
    sentence = say(basic(test=("=", evil)), AND, basic(chain=evil, method="eth_getBalance", test=(">", "1")))
    assert sentence.isprintable()
    assert '"x\\" or the wallet is' in sentence
    assert "\\u001b[2K\\r\\u202e\\u200b" in sentence


def test_a_long_text_or_value_is_cut() -> None:
    sentence = say(basic(test=("=", "x" * 5000)))
    assert sentence == 'The wallet is "' + "x" * 200 + '" (4800 more characters).'
    sentence = say(basic("", "eth_getBalance", test=(">", "9" * 5000)))
    assert sentence.startswith('This condition is met: {"contractAddress": ""')
    assert sentence.endswith(" more characters).")
    assert len(sentence) < 1100
    assert "and 480 more)" in say(basic("ERC20", "f", ["1"] * 500, ("=", "1")))


def chain_of(count: int, operator: dict[str, Any], leaf: dict[str, Any]) -> list[Any]:
    return [leaf, *(part for _ in range(count - 1) for part in (operator, leaf))]


@pytest.mark.parametrize("operator", [AND, OR])
def test_only_the_first_thirty_of_many_conditions_are_shown(operator: dict[str, Any]) -> None:
    whole, begun = say(*chain_of(30, operator, A)), say(*chain_of(20_000, operator, A))
    assert whole.count('the text "a"') == 29
    assert begun == f"Only the first 30 of 20000 conditions are shown: {whole}"


@pytest.mark.parametrize(
    "items",
    [
        [A] * 20_000,
        [[A, B]] * 20_000,
        [AND] * 20_000,
        [[]] * 20_000,
        [{"operator": "x" * 5000}] * 20_000,
        chain_of(20_000, AND, [A, OR, B]),
        chain_of(20_000, AND, [[A]]),
        chain_of(20_000, OR, basic(test=("=", "x" * 5000))),
        [part for index in range(10_000) for part in (A, (AND, OR)[index % 2])] + [A],
    ],
    ids=range(9),
)
def test_however_many_there_are_the_sentence_is_short(items: list[Any]) -> None:
    sentence = say(*items)
    assert sentence.startswith("Only the first ")
    assert sentence.endswith(".")
    assert len(sentence) < 6000


def test_a_group_that_is_cut_is_closed() -> None:
    sentence = say(*chain_of(16, OR, [A, AND, B]))
    assert sentence.startswith("Only the first 30 of 32 conditions are shown: (The text")
    assert sentence.count("(") == sentence.count(")") == 15
    odd = say(*chain_of(29, OR, A), OR, [A, AND, B])
    assert odd.startswith("Only the first 30 of 31 conditions are shown: ")
    assert odd.endswith(' or the text "a" is "a".')


@pytest.mark.parametrize("case", VECTORS, ids=[f"{c['kind']} {c['name']}" for c in VECTORS])
def test_the_vectors_are_all_understood(case: dict[str, Any]) -> None:
    try:
        conditions = Conditions.parse({case["kind"]: case["input"], "chain": "ethereum"})
    except ConditionError:
        assert "expected_error" in case
        return
    sentence = humanize(conditions)
    assert "This condition" not in sentence
    assert "Nodes refuse" not in sentence
    for address in re.findall(r"0x[0-9a-fA-F]{40}", json.dumps(case["input"])):
        assert address in sentence


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        (":currentActionIpfsId", "Qm" + "a" * 44, f"The running Lit Action is Qm{'a' * 44}."),
        (":litParam:role", "admin", 'The session\'s parameter "role" is "admin".'),
        (":litParam:role", ":userAddress", "The session's parameter \"role\" is the wallet's address."),
        (":litParam:", "x", 'The text ":litParam:" is "x".'),
        (":userAdress", "x", 'The text ":userAdress" is "x".'),
    ],
)
def test_what_nodes_replace_is_named(parameter: str, value: str, said: str) -> None:
    condition = {
        "contractAddress": "",
        "standardContractType": "",
        "chain": "ethereum",
        "method": "",
        "parameters": [parameter],
        "returnValueTest": {"comparator": "=", "value": value},
    }
    assert humanize(Conditions.parse({"accessControlConditions": [condition], "chain": "ethereum"})) == said
