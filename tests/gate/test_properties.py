"""Random requests: nothing invalid opens, nothing throws, and what is valid is judged as Python judges it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from eth_abi import encode
from eth_utils import function_signature_to_4byte_selector
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.gate.building import (
    ACTION_SECRET,
    PLAINTEXT,
    REPLY_SECRET,
    STRANGER,
    WALLET,
    Container,
    Delegation,
    Json,
    Session,
    instant,
    is_wallet,
    request_for,
)
from tests.gate.engine import NOW_MS, Gate, Rpc, opened
from tests.gate.rules.cases import CONTRACT, URL, basic, function, returning, word

NOT_MET = "NodeAccessControlConditionsReturnedNotAuthorized"
# `make soak` sets this.
MANY = os.environ.get("GATE_EXAMPLES")
# The Deno worker is shared by all examples, which hypothesis takes for a mistake.
examples = settings(
    max_examples=int(MANY or 20),
    deadline=None,
    derandomize=MANY is None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
whole_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
texts = st.text(max_size=20)  # with lone surrogates
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def ask(gate: Gate, params: Json, rpc: Json = None) -> dict[str, Any]:
    """The outcome with its plaintext; of a batch, the first that opens."""
    answer = gate.answer(ACTION_SECRET, json.dumps(params), fetch=Rpc(rpc or {}))
    outcomes = [
        opened(outcome, REPLY_SECRET.private_bytes_raw().hex()) for outcome in answer.get("items", [answer])
    ]
    return next((outcome for outcome in outcomes if outcome["ok"]), outcomes[0])


def request(container: Container | None = None, session: Session | None = None) -> dict[str, Json]:
    return (container or Container()).body() | {"authSig": (session or Session()).sign()}


def paths(value: Json, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    members = (
        value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    )
    for key, inner in members:
        found += paths(inner, (*path, key))
    return found


def changed(value: Json, path: tuple[Any, ...], new: Json) -> Json:
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = changed(value[path[0]], path[1:], new)
    return copied


def at(value: Json, path: tuple[Any, ...]) -> Json:
    return at(value[path[0]], path[1:]) if path else value


# ---- nothing invalid opens, nothing throws


@examples
@given(json_values)
def test_any_json_is_refused(gate: Gate, params: Json) -> None:
    assert ask(gate, params)["ok"] is False


@examples
@given(
    json_values,
    st.sampled_from(["authSig", "items", "rpc", "accessControlConditions", "evmContractConditions"]),
)
def test_any_json_in_a_member_is_refused(gate: Gate, value: Json, name: str) -> None:
    if (name == "rpc" and not value) or (name == "evmContractConditions" and value is None):
        return  # null counts as absent, and an empty object is no RPCs
    assert ask(gate, request() | {name: value})["ok"] is False


@st.composite
def spoiled_texts(draw: st.DrawFn, text: str) -> str:
    """The text with one character removed, added or replaced."""
    place = draw(st.integers(0, len(text)))
    kept = draw(st.integers(0, 1))
    new = draw(st.characters() | st.sampled_from(list('0aA.- \n":/')) | st.just(""))
    return text[:place] + new + text[place + kept :]


@st.composite
def spoiled(draw: st.DrawFn, value: Json) -> tuple[tuple[Any, ...], Json]:
    """A place in the value, and the value with that place changed."""
    path = draw(st.sampled_from(paths(value)))
    old = at(value, path)
    new = draw(json_values | (spoiled_texts(old) if isinstance(old, str) else json_values))
    return path, changed(value, path, new)


@examples
@given(st.data())
def test_a_changed_request_does_not_open(gate: Gate, data: st.DataObject) -> None:
    valid = request()
    path, params = data.draw(spoiled(valid))
    if path == ("chain",) or _same(params, valid):
        return
    assert ask(gate, params)["ok"] is False, path


def _same(params: Json, valid: Mapping[str, Json]) -> bool:
    """Whether the request is the valid one but for what a gate does not look at."""
    if params == valid:
        return True
    try:  # unused bits of the last digit
        sealed = base64.b64decode(params["ciphertext"], validate=True)
        same_bytes = sealed == base64.b64decode(valid["ciphertext"])
    except (ValueError, TypeError, KeyError):
        return False
    # A condition may have further members, and the wallet's address is compared without case.
    return (
        same_bytes
        and len(params["ciphertext"]) == len(valid["ciphertext"])
        and {**params, "ciphertext": 0} == {**valid, "ciphertext": 0}
    )


@examples
@given(st.data())
def test_a_changed_session_that_is_signed_again_does_not_open(gate: Gate, data: st.DataObject) -> None:
    members = json.loads(Session().message())
    path, text = data.draw(spoiled(members))
    free = {("capabilities", 0, "derivedVia"), ("capabilities", 0, "algo")}
    if path in free or text == members or path in {("issuedAt",), ("expiration",)}:
        return
    written = json.dumps(text)
    answer = ask(gate, request(session=Session(text=written)))
    # A wallet signature may be written in upper case or without its prefix, and an address in any case.
    if answer["ok"]:
        assert path[-1] in {"sig", "address"}
        assert str(at(text, path)).lower().removeprefix("0x") == str(at(members, path)).lower().removeprefix(
            "0x"
        )


@examples
@given(st.data())
def test_a_changed_delegation_does_not_open(gate: Gate, data: st.DataObject) -> None:
    """The session's key signs whatever it likes, but not for the wallet."""
    session = Session()
    delegation = Delegation().sign(session.key)
    text = data.draw(spoiled_texts(delegation["signedMessage"]))
    if text == delegation["signedMessage"]:
        return
    capability = delegation | {"signedMessage": text}
    written = json.dumps({**json.loads(session.message()), "capabilities": [capability]})
    assert ask(gate, request(session=Session(text=written)))["ok"] is False


@examples
@given(st.binary(max_size=120))
def test_random_ciphertexts_do_not_open(gate: Gate, sealed: bytes) -> None:
    params = request() | {"ciphertext": base64.b64encode(sealed).decode()}
    code = "GateCiphertextError" if len(sealed) >= 48 else "NodeBadInput"
    assert ask(gate, params) == {"ok": False, "code": code}


# ---- judged as Python judges


offsets = st.integers(-40 * 86_400_000, 40 * 86_400_000) | st.integers(-61_000, 61_000)
MONTH_MS = 30 * 86_400_000


@examples
@given(offsets, offsets)
def test_session_times(gate: Gate, issued: int, expires: int) -> None:
    session = Session(issued_at=instant(issued), expiration=instant(expires))
    start, end, now = ((NOW_MS + offset) // 1000 for offset in (issued, expires, 0))
    valid = start <= now + 60 and end >= start and end >= now - 60 and end <= start + MONTH_MS // 1000
    assert ask(gate, request(session=session))["ok"] is valid


@examples
@given(offsets, offsets, st.none() | offsets)
def test_delegation_times(gate: Gate, issued: int, expires: int, begins: int | None) -> None:
    delegation = Delegation(
        issued_at=instant(issued),
        expiration=instant(expires),
        not_before=None if begins is None else instant(begins),
    )
    valid = (
        issued <= 60_000 and expires >= 0 and expires <= issued + MONTH_MS and (begins is None or begins < 0)
    )
    assert ask(gate, request(session=Session(delegations=[delegation])))["ok"] is valid


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> tuple[list[Json], bool]:
    """A list of conditions, and whether it holds, left to right."""
    items: list[Json] = []
    holds = False
    for number in range(draw(st.integers(1, 4))):
        if depth and draw(st.booleans()):
            item, met = draw(expressions(depth=depth - 1))
        else:
            met = draw(st.booleans())
            item = is_wallet((WALLET if met else STRANGER).address)
        if number == 0:
            holds = met
        else:
            operator = draw(st.sampled_from(["and", "or"]))
            items.append({"operator": operator})
            holds = (holds and met) if operator == "and" else (holds or met)
        items.append(item)
    return items, holds


def _count(items: list[Json]) -> int:
    return sum(_count(item) if isinstance(item, list) else "operator" not in item for item in items)


@examples
@given(expressions())
def test_expressions(gate: Gate, drawn: tuple[list[Json], bool]) -> None:
    conditions, holds = drawn
    answer = ask(gate, request(Container(conditions=conditions)))
    if _count(conditions) > 30:
        assert answer == {"ok": False, "code": "NodeTooManyConditions"}
    else:
        assert answer["ok"] is holds


COMPARATORS = {
    "=": lambda actual, value: actual == value,
    "!=": lambda actual, value: actual != value,
    ">": lambda actual, value: actual > value,
    ">=": lambda actual, value: actual >= value,
    "<": lambda actual, value: actual < value,
    "<=": lambda actual, value: actual <= value,
}
numbers = st.integers(-3, 3) | st.integers(-(2**255), 2**255 - 1)


@examples
@given(st.sampled_from(sorted(COMPARATORS)), numbers, st.integers(-2, 2) | numbers)
def test_numbers_are_compared_exactly(gate: Gate, comparator: str, actual: int, difference: int) -> None:
    condition = function([], [], ["int256"], comparator, str(value := actual + difference))
    if len(str(abs(value))) > 78:
        return
    met = COMPARATORS[comparator](actual, value)
    assert _called(gate, condition, returning(word(actual))) is met


@examples
@given(whole_texts, whole_texts, st.sampled_from(["=", "!=", "contains", "!contains"]))
def test_texts_are_compared_by_code_units(gate: Gate, actual: str, value: str, comparator: str) -> None:
    value = actual[1:4] if len(value) % 3 == 0 else value
    if value.startswith(":"):
        return
    condition = function([], [], ["string"], comparator, value)
    held = value in actual if "contains" in comparator else value == actual
    expected = held != comparator.startswith("!")
    assert _called(gate, condition, returning(encode(["string"], [actual]).hex())) is expected


def _called(gate: Gate, condition: Json, rpc: Json) -> bool:
    container = Container(conditions=[condition], field_name="evmContractConditions", rpc={"ethereum": [URL]})
    answer = ask(gate, request(container), rpc)
    assert answer["ok"] or answer["code"] == NOT_MET, answer
    return bool(answer["ok"])


@st.composite
def abi_values(draw: st.DrawFn) -> tuple[str, str, Any]:
    """A type, a value as a condition writes it, and the same as eth_abi takes it."""
    kind = draw(st.sampled_from(["address", "bool", "string", "bytes", "bytesN", "uint", "int"]))
    if kind == "address":
        address = f"0x{draw(st.integers(0, 2**160 - 1)):040x}"
        return kind, address, address
    if kind == "bool":
        flag = draw(st.booleans())
        return kind, str(flag).lower(), flag
    if kind == "string":
        text = draw(whole_texts.filter(lambda text: not text.startswith(":")))
        return kind, text, text
    if kind in {"bytes", "bytesN"}:
        size = draw(st.integers(1, 32))
        content = draw(st.binary(min_size=size, max_size=size))
        return ("bytes" if kind == "bytes" else f"bytes{size}"), f"0x{content.hex()}", content
    bits = 8 * draw(st.integers(1, 32))
    least, most = (0, 2**bits - 1) if kind == "uint" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    number = draw(st.integers(least, most) | st.sampled_from([least, most]))
    return f"{kind}{bits}", str(number), number


@examples
@given(st.lists(abi_values(), max_size=5), st.lists(abi_values(), min_size=1, max_size=5), st.data())
def test_functions_are_encoded_and_decoded_as_eth_abi_does(
    gate: Gate, inputs: list[tuple[str, str, Any]], outputs: list[tuple[str, str, Any]], data: st.DataObject
) -> None:
    input_types, params, arguments = zip(*inputs, strict=True) if inputs else ((), (), ())
    output_types, values, results = zip(*outputs, strict=True)
    place = data.draw(st.integers(0, len(outputs) - 1))
    calldata = function_signature_to_4byte_selector(f"f({','.join(input_types)})") + encode(
        input_types, arguments
    )
    row = {
        "method": "eth_call",
        "params": [{"to": CONTRACT, "data": f"0x{calldata.hex()}"}, "latest"],
        "result": f"0x{encode(output_types, results).hex()}",
    }
    for comparator, expected in (("=", True), ("!=", False)):
        condition = function(input_types, params, output_types, comparator, values[place], key=f"o{place}")
        assert _called(gate, condition, {URL: [row]}) is expected


@examples
@given(whole_texts, whole_texts, st.lists(whole_texts, max_size=3))
def test_conditions_are_hashed_as_python_hashes_them(
    gate: Gate, contract: str, chain: str, parameters: list[str]
) -> None:
    clock = basic("timestamp", "", parameters, ">", "0") | {"contractAddress": contract, "chain": chain}
    container = Container(conditions=[clock])
    session = Session(requests=[request_for(container.id)])
    assert ask(gate, request(container, session))["ok"] is True


@examples
@given(st.dictionaries(whole_texts, st.lists(st.just(URL), min_size=1, max_size=4), max_size=5))
def test_rpcs_are_bound(gate: Gate, rpc: dict[str, list[str]]) -> None:
    rpc.pop("__proto__", None)  # in the server's source text it sets a prototype: docs/gate.md
    ordered = {name: rpc[name] for name in sorted(rpc, key=lambda name: name.encode("utf-16-be"))}
    text = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False)
    params = request(Container(rpc=rpc, rpc_text=text))
    assert ask(gate, params)["ok"] is True
    assert ask(gate, params | {"rpc": {**rpc, "x": [URL, URL]}})["code"] == "GateCiphertextError"


@examples
@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans()), min_size=1, max_size=8))
def test_batches_answer_in_order(gate: Gate, drawn: list[tuple[bytes, bool]]) -> None:
    bodies = [
        Container(plaintext=plaintext, conditions=[is_wallet((WALLET if mine else STRANGER).address)]).body()
        for plaintext, mine in drawn
    ]
    params = {"items": bodies, "authSig": Session().sign()}
    answer = gate.answer(ACTION_SECRET, json.dumps(params))
    secret = REPLY_SECRET.private_bytes_raw().hex()
    assert [opened(outcome, secret) for outcome in answer["items"]] == [
        {"ok": True, "plaintext": base64.b64encode(plaintext).decode()}
        if mine
        else {"ok": False, "code": NOT_MET}
        for plaintext, mine in drawn
    ]


def test_the_unchanged_request_opens(gate: Gate) -> None:
    assert ask(gate, request()) == {"ok": True, "plaintext": base64.b64encode(PLAINTEXT).decode()}


@pytest.mark.soak
def test_many_more_examples() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env={**os.environ, "GATE_EXAMPLES": "300"}, check=False)
    assert done.returncode == 0
