"""Conditions that read a chain: balances, tokens, and the answers of JSON-RPC servers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.gate.building import Container, Json
from tests.gate.rules.cases import (
    AND,
    BAD_INPUT,
    CONTRACT,
    NOT_MET,
    OPENS,
    OR,
    RPC,
    URL,
    USER,
    VALUE,
    YOU,
    Case,
    asked,
    basic,
    called,
    decrypt,
    function,
    returning,
    word,
)


def cases() -> Iterator[Case]:
    yield from _balances()
    yield from _tokens()
    yield from _answers()
    yield from _several_urls()


def _balances() -> Iterator[Case]:
    for parameters in ([":userAddress"], [":userAddress", "latest"], [USER], [USER.lower(), "latest"]):
        one = basic("", "eth_getBalance", parameters, "=", "255")
        yield asked(f"balance of {parameters}", OPENS, one, returning("ff"))
    for parameters in (
        [],
        ["x"],
        [":userAddress", "earliest"],
        [":userAddress", ""],
        [":userAddress", "latest", "latest"],
        ["latest"],
    ):
        yield asked(f"balance of {parameters}", BAD_INPUT, basic("", "eth_getBalance", parameters))
    for data in ("", "0" * 65, "g"):
        yield asked(
            f"balance 0x{data[:5]}", RPC, basic("", "eth_getBalance", [":userAddress"]), returning(data)
        )
    yield asked(
        "balance of 64 digits",
        OPENS,
        basic("", "eth_getBalance", [":userAddress"], "=", "1"),
        returning("0" * 63 + "1"),
    )
    largest = basic("", "eth_getBalance", [":userAddress"], "=", str(2**256 - 1))
    yield asked("largest balance", OPENS, largest, returning("F" * 64))
    other = basic("", "eth_getBalance", [":userAddress"]) | {"chain": "polygon"}
    yield asked("chain that rpc does not name", BAD_INPUT, other, returning("1"))
    inherited = basic("", "eth_getBalance", [":userAddress"]) | {"chain": "constructor"}
    yield asked("chain named constructor", BAD_INPUT, inherited, returning("1"))
    without_contract = basic("", "eth_getBalance", [":userAddress"]) | {"contractAddress": "x"}
    yield asked("balance looks at no contract", OPENS, without_contract, returning("1"))


def _tokens() -> Iterator[Case]:
    from eth_abi import encode
    from eth_utils import function_signature_to_4byte_selector

    def row(signature: str, types: Sequence[str], values: Sequence[Json], result: str) -> Json:
        data = function_signature_to_4byte_selector(signature) + encode(types, values)
        params = [{"to": CONTRACT, "data": f"0x{data.hex()}"}, "latest"]
        return {URL: [{"method": "eth_call", "params": params, "result": f"0x{result}"}]}

    holder = row("balanceOf(address)", ["address"], [USER], word(3))
    for type_ in ("ERC20", "ERC721"):
        yield asked(f"{type_} balance", OPENS, basic(type_, "balanceOf", [":userAddress"], "=", "3"), holder)
        yield asked(
            f"{type_} balance of a literal",
            OPENS,
            basic(type_, "balanceOf", [USER.lower()], "=", "3"),
            holder,
        )
        for parameters in ([], [":userAddress", "1"], ["1"], [USER[2:]], [":userAddress "]):
            yield asked(f"{type_} of {parameters}", BAD_INPUT, basic(type_, "balanceOf", parameters))
    owner = row("ownerOf(uint256)", ["uint256"], [7], word(int(USER, 16)))
    yield asked("ERC721 owner", OPENS, basic("ERC721", "ownerOf", ["7"], "=", ":userAddress"), owner)
    yield asked(
        "ERC721 owner compared as a number", VALUE, basic("ERC721", "ownerOf", ["7"], "=", "7"), owner
    )
    for parameters in ([], ["7", "8"], ["-1"], ["0x7"], [str(2**256)], [":userAddress"]):
        yield asked(
            f"ERC721 owner of {str(parameters)[:12]}",
            BAD_INPUT,
            basic("ERC721", "ownerOf", parameters, "=", USER),
        )
    many = row("balanceOf(address,uint256)", ["address", "uint256"], [USER, 7], word(3))
    yield asked(
        "ERC1155 balance", OPENS, basic("ERC1155", "balanceOf", [":userAddress", "7"], "=", "3"), many
    )
    yield asked("ERC1155 of one parameter", BAD_INPUT, basic("ERC1155", "balanceOf", [":userAddress"]))
    yield asked("ERC1155 in the wrong order", BAD_INPUT, basic("ERC1155", "balanceOf", ["7", ":userAddress"]))
    for contract in (
        "",
        CONTRACT[2:],
        CONTRACT + "0",
        CONTRACT[:-1],
        "0X" + CONTRACT[2:],
        ":userAddress",
        "0x" + "g" * 40,
    ):
        one = basic("ERC20", "balanceOf", [":userAddress"]) | {"contractAddress": contract}
        yield asked(f"contract {contract[:6]!r} of {len(contract)}", BAD_INPUT, one)
    upper = basic("ERC20", "balanceOf", [":userAddress"], "=", "3") | {
        "contractAddress": "0x" + CONTRACT[2:].upper()
    }
    yield asked("contract in upper case", OPENS, upper, holder)


def _answers() -> Iterator[Case]:
    one = basic("", "eth_getBalance", [":userAddress"], "=", "1")
    for name, row in {
        "error beside the result": {"error": {"code": 1}},
        "error false": {"error": False},
        "result null": {"result": None},
        "result a number": {"result": 1},
        "result a list": {"result": ["0x1"]},
        "result without 0x": {"result": "1"},
        "result 0X": {"result": "0X1"},
        "result with more in front": {"result": "10x1"},
        "result with a blank": {"result": "0x1 "},
        "result with half a character": {"result": "0x1\ud800"},
        "status 500": {"status": 500},
        "status 404": {"status": 404},
        "status 300": {"status": 300},
        "not JSON": {"text": "<html>"},
        "empty": {"text": ""},
        "null": {"text": "null"},
        "a list": {"text": '[{"result":"0x1"}]'},
        "result in __proto__": {"text": '{"__proto__":{"result":"0x1"}}'},
        "redirected": {"redirect": True},
    }.items():
        yield asked(f"answer: {name}", RPC, one, returning("1", **row))
        second = "https://rpc.two.example/"
        answers = {**returning("1", **row), **returning("1", second)}
        yield asked(f"answer: {name}, second URL", OPENS, one, answers, rpc={"ethereum": [URL, second]})
    for name, row in {
        "error null": {"error": None},
        "status 299": {"status": 299},
        "with blanks and more": {"text": ' {"id": 9, "x": [], "result": "0x1"} '},
    }.items():
        yield asked(f"answer: {name}", OPENS, one, returning("1", **row))
    call = function([], [], ["uint256"], "=", "1")
    longest = 131_074 - 2 - 64
    yield called("result of 131,074 characters", OPENS, call, returning(word(1) + "0" * longest))
    yield called("result of 131,075 characters", RPC, call, returning(word(1) + "0" * (longest + 1)))
    yield called("result of 131,076 characters", RPC, call, returning(word(1) + "0" * (longest + 2)))
    second = "https://rpc.two.example/"
    answers = {**returning(word(1) + "0" * (longest + 1)), **returning(word(1), second)}
    two = Container(conditions=[call], field_name="evmContractConditions", rpc={"ethereum": [URL, second]})
    yield decrypt("a result too long is left for the second URL's", container=two, servers=answers)
    yield called("no server", RPC, call)


def _several_urls() -> Iterator[Case]:
    second = "https://rpc.two.example/"
    two = {"ethereum": [URL, second]}
    one = basic("", "eth_getBalance", [":userAddress"], "=", "1")
    yield asked("first URL dead, second answers", OPENS, one, returning("1", second), rpc=two)
    yield asked("first URL says no", NOT_MET, one, {**returning("2"), **returning("1", second)}, rpc=two)
    yield asked(
        "first URL's answer does not decode", RPC, one, {**returning(""), **returning("1", second)}, rpc=two
    )
    chains_ = {"ethereum": [URL], "polygon": [second]}
    other = {**one, "chain": "polygon"}
    both = Container(conditions=[one, AND, other], rpc=chains_)
    yield decrypt(
        "each chain at its own URL", container=both, servers={**returning("1"), **returning("1", second)}
    )
    yield decrypt("one chain is silent", RPC, container=both, servers=returning("1"))
    either = Container(conditions=[one, OR, other], rpc=chains_)
    yield decrypt("a silent chain that cannot matter", container=either, servers=returning("1"))
    yield decrypt("a silent chain that matters", RPC, container=either, servers=returning("2"))
    never = Container(conditions=[YOU, AND, other], rpc=chains_)
    yield decrypt("a silent chain behind a false one", NOT_MET, container=never)
