"""Evaluate access control conditions without asking any chain.

The devnet compares wallet addresses, texts, numbers, the node's time and the sign-in message itself. It looks up
balances and contract calls in a table that the test provides, and answers for everything that is not in the table
as a node does when its chain does not respond.

Source: docs/protocol/conditions.md.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from eth_utils.address import is_address

from lit_airflow.devnet.conditions import ConditionList, kind_of
from lit_airflow.devnet.errors import NodeError

if TYPE_CHECKING:
    from datetime import datetime

    from lit_airflow.devnet.parsing import Json
    from lit_airflow.devnet.siwe import SiweMessage

ChainState = Mapping[str, object]
"""The answers of the chains: ``"ethereum:0x…"`` -> wei, ``"polygon:0x….balanceOf(0x…,8)"`` -> the call's result
(number, text or boolean; an object if the condition's ``key`` selects an output), ``"solana:getBalance(…)"``,
``"cosmos:/path"``. Keys are compared without case."""

_CONTRACT_TYPES = frozenset(
    {
        "CASK",
        "Creaton",
        "ERC1155",
        "ERC20",
        "ERC721",
        "ERC721MetadataName",
        "MolochDAOv2.1",
        "PKPPermissions",
        "POAP",
        "ProofOfHumanity",
    }
)
_Comparison = Callable[[Any, Any], bool]
_ADDRESS_COMPARISONS: dict[str, _Comparison] = {
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_NUMBER_COMPARISONS = {**_ADDRESS_COMPARISONS, "!=": operator.ne}
_TEXT_COMPARISONS: dict[str, _Comparison] = {
    **_NUMBER_COMPARISONS,
    "contains": lambda text, part: part in text,
    "!contains": lambda text, part: part not in text,
}
_MAX_UINT256 = 2**256 - 1
_MAX_UINT256_DIGITS = 78


@dataclass(frozen=True, slots=True)
class Requester:
    """The wallet that asks for a share.

    Attributes:
        address: Its address, checksummed.
        sign_in: The message that it signed in with.
    """

    address: str
    sign_in: SiweMessage


def state_key(chain: str, subject: str, call: str = "", arguments: list[str] | None = None) -> str:
    """Return the key of a balance or a call in a ``ChainState``.

    Args:
        chain: The chain's name.
        subject: An address; empty for a call without a contract.
        call: The name of the function or method; empty for a balance.
        arguments: The arguments of the call.

    Returns:
        The key in lower case.
    """
    name = ".".join(filter(None, (subject, call)))
    called = "" if arguments is None else f"({','.join(arguments)})"
    return f"{chain}:{name}{called}".lower()


def require_met(conditions: ConditionList, requester: Requester, now: datetime, state: ChainState) -> None:
    """Return if the conditions are met.

    Operators apply strictly from left to right. Conditions that cannot change the result are not evaluated.

    Args:
        conditions: The conditions of the request.
        requester: The wallet that asks.
        now: The node's time.
        state: The answers of the chains; its keys are in lower case.

    Raises:
        NodeError: ``NodeAccessControlConditionsReturnedNotAuthorized`` if they are not met,
            ``NodeInvalidBooleanConditionType`` if operators and conditions are out of order, or another code if a
            condition cannot be evaluated.
    """
    items = conditions.items
    if conditions.field == "accessControlConditions" and not _has_operator(items):
        items = _joined_with_and(items)
    _check_order(items)

    def is_met(condition: Json) -> bool:
        kind = kind_of(conditions.field, condition)
        return _Evaluator(condition, requester, now, state).evaluate(kind)

    if not _evaluate(items, is_met):
        raise NodeError("NodeAccessControlConditionsReturnedNotAuthorized")


def _has_operator(items: list[object]) -> bool:
    return any(_has_operator(i) if isinstance(i, list) else "operator" in cast("Json", i) for i in items)


def _joined_with_and(items: list[object]) -> list[object]:
    """Insert the operators that the older form of a list, in which all conditions must be met, leaves out."""
    joined: list[object] = []
    for item in items:
        joined += [{"operator": "and"}, item] if joined else [item]
    return joined


def _is_operator(item: object) -> bool:
    return isinstance(item, dict) and "operator" in item


def _check_order(items: list[object]) -> None:
    for index, item in enumerate(items):
        if _is_operator(item) != (index % 2 == 1):
            raise NodeError("NodeInvalidBooleanConditionType", f"item {index} is out of order")
        if isinstance(item, list):
            _check_order(item)
    if len(items) % 2 == 0:
        raise NodeError("NodeInvalidBooleanConditionType", "a condition is missing at the end")


def _evaluate(items: list[object], is_met: Callable[[Json], bool]) -> bool:
    result = True
    for index in range(0, len(items), 2):
        if index and (cast("Json", items[index - 1])["operator"] == "or") == result:
            continue  # "true or …" and "false and …" are decided
        item = items[index]
        result = _evaluate(item, is_met) if isinstance(item, list) else is_met(cast("Json", item))
    return result


class _Evaluator:
    """Evaluates one condition for one requester."""

    def __init__(self, condition: Json, requester: Requester, now: datetime, state: ChainState) -> None:
        self._condition = condition
        self._requester = requester
        self._now = now
        self._state = state
        test = cast("dict[str, str]", condition["returnValueTest"])
        self._key = test.get("key", "")
        self._comparator = test["comparator"]
        self._value = self._substitute(test["value"])

    def evaluate(self, kind: str) -> bool:
        if kind == "evmBasic":
            return self._evaluate_basic()
        if kind == "evmContract":
            return self._compare_call(self._text("contractAddress"), "functionName", "functionParams")
        if kind == "cosmos":
            return self._compare_result(self._look_up(state_key(self._text("chain"), self._text("path"))))
        return self._compare_call("", "method", "params")

    def _evaluate_basic(self) -> bool:
        type_, method = self._text("standardContractType"), self._text("method")
        parameters = cast("list[str]", self._condition["parameters"])
        if type_ == "timestamp":
            return self._compare_number(int(self._now.timestamp()))
        if type_ == "SIWE":
            return self._compare_sign_in(parameters[0] if parameters else "")
        if type_ == "LitAction":
            raise NodeError("NodeAccessControlConditionsCheckFailed", "Lit Actions do not run here")
        if type_ in _CONTRACT_TYPES:
            return self._compare_call(self._text("contractAddress"), "method", "parameters")
        if type_ == "" and method == "":
            return self._compare_parameter(parameters[0] if parameters else "")
        if type_ == "" and method == "eth_getBalance":
            subject = self._substitute(parameters[0]) if parameters else ""
            return self._compare_result(self._look_up(state_key(self._text("chain"), subject)))
        return False

    def _compare_parameter(self, parameter: str) -> bool:
        if parameter == ":userAddress":
            return self._compare_address(self._requester.address)
        if parameter.startswith((":currentActionIpfsId", ":litParam")):
            raise NodeError("NodeAccessControlConditionsCheckFailed", f"{parameter} has no value here")
        return self._compare_text(parameter)

    def _compare_sign_in(self, parameter: str) -> bool:
        if parameter == ":domain":
            return self._compare_text(self._requester.sign_in.domain)
        if parameter == ":resources":
            results = [self._compare_text(resource) for resource in self._requester.sign_in.resources]
            return all(results) if self._comparator.startswith("!") else any(results)
        return False

    def _compare_call(self, contract: str, method: str, parameters: str) -> bool:
        """Compare the result of a call; ``method`` and ``parameters`` are keys of the condition."""
        arguments = [
            self._substitute(str(each)) for each in cast("list[object]", self._condition[parameters])
        ]
        key = state_key(self._text("chain"), contract, self._text(method), arguments)
        return self._compare_result(self._look_up(key))

    def _look_up(self, key: str) -> object:
        if key not in self._state:
            raise NodeError("NodeRpcError", f"the local network's state has no {key}")
        result = self._state[key]
        return result.get(self._key) if self._key and isinstance(result, dict) else result

    def _compare_result(self, result: object) -> bool:
        if isinstance(result, bool):
            return self._compare(_TEXT_COMPARISONS, "true" if result else "false", self._value.lower())
        if isinstance(result, int):
            return self._compare_number(result)
        if isinstance(result, list | dict):
            return self._compare_text(json.dumps(result, separators=(",", ":"), ensure_ascii=False))
        if not isinstance(result, str):
            return False
        as_text = self._comparator in {"contains", "!contains"}
        if not as_text and is_address(result) and is_address(self._value):
            return self._compare_address(result)
        return self._compare_text(result)

    def _compare_text(self, text: str) -> bool:
        return self._compare(_TEXT_COMPARISONS, text, self._value)

    def _compare_number(self, number: int) -> bool:
        digits = self._value.lstrip("0") or self._value[-1:]
        is_decimal = digits.isascii() and digits.isdecimal() and len(digits) <= _MAX_UINT256_DIGITS
        if not is_decimal or int(digits) > _MAX_UINT256:
            raise NodeError("NodeInvalidACCReturnValueTest", "a decimal number is expected")
        return self._compare(_NUMBER_COMPARISONS, number, int(digits))

    def _compare_address(self, address: str) -> bool:
        if not is_address(self._value):
            raise NodeError("NodeInvalidACCReturnValueTest", "an address is expected")
        return self._compare(_ADDRESS_COMPARISONS, int(address, 16), int(self._value, 16))

    def _compare(self, comparisons: dict[str, _Comparison], actual: object, wanted: object) -> bool:
        return self._comparator in comparisons and comparisons[self._comparator](actual, wanted)

    def _text(self, key: str) -> str:
        return cast("str", self._condition[key])

    def _substitute(self, text: str) -> str:
        return text.replace(":userAddress", self._requester.address)
