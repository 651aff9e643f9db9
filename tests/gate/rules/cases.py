"""What the rules' cases are made of: the shape of the vectors, and requests that open but for what is given."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from tests.gate.building import (
    ACTION_SECRET,
    GRANT_ALL,
    PLAINTEXT,
    REPLY_SECRET,
    STRANGER,
    WALLET,
    Container,
    Json,
    Session,
    is_wallet,
    recap_statement,
)
from tests.gate.engine import NOW_MS

Case = dict[str, Any]

DAY_MS = 24 * 3600 * 1000
BAD_INPUT = "NodeBadInput"
NOT_MET = "NodeAccessControlConditionsReturnedNotAuthorized"
NO_CAPABILITY = "NodeSIWECapabilityInvalid"
NOT_THE_SESSION = "NodeAuthSigSignedMessageConversionError"
NO_AUTH_SIG = "NodeInvalidMultipleAuthSigs"
CIPHERTEXT = "GateCiphertextError"
RPC = "NodeRpcError"
SHAPE = "NodeInvalidBooleanConditionType"
VALUE = "NodeInvalidACCReturnValueTest"
OPENS: Json = {"ok": True, "plaintext": base64.b64encode(PLAINTEXT).decode()}

URL = "https://rpc.one.example/v1"
CONTRACT = "0x" + "7b" * 20
USER = WALLET.address


def refusal(code: str) -> Json:
    return {"ok": False, "code": code}


def case(
    name: str,
    params: Json,
    expected: Json | str,
    *,
    rpc: Json = None,
    text: str | None = None,
    now: int = NOW_MS,
) -> Case:
    made: Case = {
        "name": name,
        "secret": ACTION_SECRET,
        "now": now,
        "reply_secret": REPLY_SECRET.private_bytes_raw().hex(),
        "rpc": rpc or {},
        "expected": refusal(expected) if isinstance(expected, str) else expected,
    }
    return made | ({"params": params} if text is None else {"params_text": text})


def decrypt(
    name: str,
    expected: Json | str = OPENS,
    *,
    container: Container | None = None,
    session: Session | None = None,
    servers: Json = None,
    **changes: Json,
) -> Case:
    """A request that opens, but for what is given; ``changes`` replace its members, ``...`` removes one."""
    body = (container or Container()).body() | {"authSig": (session or Session()).sign()} | changes
    return case(name, {key: value for key, value in body.items() if value is not ...}, expected, rpc=servers)


def without(mapping: Mapping[str, Json], name: str) -> dict[str, Json]:
    return {key: value for key, value in mapping.items() if key != name}


AND, OR = {"operator": "and"}, {"operator": "or"}
ME, YOU = is_wallet(), is_wallet(STRANGER.address)

BAD_NUMBERS = (
    "",
    "00",
    "01",
    "-0",
    "-01",
    "+1",
    " 1",
    "1 ",
    "1.0",
    "1e3",
    "0x10",
    "1n",
    "1_0",
    "--1",
    "-",
    "9" * 79,
    "\u0661",
    "1\n",
    ":userAddress",
)


def stated(text: str) -> str:
    return f"{text} {recap_statement(GRANT_ALL)}"


def basic(
    type_: str, method: str, parameters: Sequence[Json], comparator: str = ">=", value: str = "0"
) -> Json:
    return {
        "contractAddress": CONTRACT,
        "chain": "ethereum",
        "standardContractType": type_,
        "method": method,
        "parameters": list(parameters),
        "returnValueTest": {"comparator": comparator, "value": value},
    }


def word(number: int) -> str:
    return f"{number % 2**256:064x}"


def returning(data: str, url: str = URL, *, name: str = "f", **row: Json) -> Json:
    """Answers of a server that gives one result to every call of ``name()`` and to the user's balance."""
    from eth_utils import function_signature_to_4byte_selector

    selector = "0x" + function_signature_to_4byte_selector(f"{name}()").hex()
    rows = [
        {"method": "eth_call", "params": [{"to": CONTRACT, "data": selector}, "latest"]},
        {"method": "eth_getBalance", "params": [USER.lower(), "latest"]},
    ]
    return {url: [{**asked, "result": f"0x{data}", **row} for asked in rows]}


def function(
    inputs: Sequence[str],
    params: Sequence[Json],
    outputs: Sequence[str],
    comparator: str,
    value: str,
    *,
    key: str = "",
    name: str = "f",
) -> Json:
    return {
        "contractAddress": CONTRACT,
        "functionName": name,
        "functionParams": list(params),
        "functionAbi": {
            "name": name,
            "inputs": [{"name": f"i{n}", "type": type_} for n, type_ in enumerate(inputs)],
            "outputs": [{"name": f"o{n}", "type": type_} for n, type_ in enumerate(outputs)],
            "constant": False,
            "stateMutability": "view",
        },
        "chain": "ethereum",
        "returnValueTest": {"key": key, "comparator": comparator, "value": value},
    }


def called(name: str, expected: Json | str, condition: Json, servers: Json = None) -> Case:
    container = Container(conditions=[condition], field_name="evmContractConditions", rpc={"ethereum": [URL]})
    return decrypt(name, expected, container=container, servers=servers)


def asked(name: str, expected: Json | str, condition: Json, servers: Json = None, **parts: Json) -> Case:
    container = Container(conditions=[condition], **{"rpc": {"ethereum": [URL]}, **parts})
    return decrypt(name, expected, container=container, servers=servers)
