"""One condition: whether gate 1 can judge it, and what it asks of a chain.

Source: docs/protocol/gate.md#expression and #what-gate-1-evaluates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lit_airflow.errors import ConditionError
from lit_airflow.networks.chipotle.condition_values import (
    ADDRESS,
    NUMBER,
    Comparison,
    check_address,
    check_contract,
    check_parameter,
    comparison_of,
)
from lit_airflow.protocol.conditions import UNIFIED, USER_ADDRESS
from lit_airflow.text import as_json, quoted

JUDGED = (
    "The gate judges wallet addresses, times, balances, balanceOf of ERC20, ERC721 and ERC1155, ownerOf of ERC721, "
    "and functions of contracts."
)
_BASIC_TEXTS = ("contractAddress", "chain", "standardContractType", "method")
_FUNCTION_TEXTS = ("contractAddress", "functionName", "chain")
_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")

# (contract type, method) -> types of the parameters, and how the result is compared.
_TOKEN_METHODS: Mapping[tuple[str, str], tuple[tuple[str, ...], Comparison]] = {
    ("ERC20", "balanceOf"): (("address",), NUMBER),
    ("ERC721", "balanceOf"): (("address",), NUMBER),
    ("ERC721", "ownerOf"): (("uint256",), ADDRESS),
    ("ERC1155", "balanceOf"): (("address", "uint256"), NUMBER),
}
_CONTRACT_TYPES = {"", *(kind for kind, _ in _TOKEN_METHODS)}


@dataclass(frozen=True, slots=True)
class ChainRead:
    """One question to a chain.

    Attributes:
        chain: The chain's name, as in ``rpc``.
        call: What is asked, in a form that is the same for the same question.
    """

    chain: str
    call: tuple[str, ...]


def read_condition(item: Mapping[str, Any], at: str, field: str) -> ChainRead | None:
    """Check one condition in canonical form; return what it asks of a chain, if anything.

    In a unified list the canonical form no longer names the kind; a key that only this kind has tells it.

    Args:
        item: The condition.
        at: Its path, for messages.
        field: The list that it stands in.

    Raises:
        ConditionError: A kind, method, type, parameter, comparator or value that the gate does not know.
    """
    if field == "evmContractConditions" or (field == UNIFIED and "functionAbi" in item):
        return _function(item, at)
    if field == UNIFIED and "standardContractType" not in item:
        raise ConditionError(f"{at} is of a kind that the gate does not judge.", field=at, hint=JUDGED)
    return _basic(item, at)


def _basic(item: Mapping[str, Any], at: str) -> ChainRead | None:
    contract, chain, kind, method = _texts(item, _BASIC_TEXTS, at)
    parameters = _list_of_texts(item, "parameters", at)
    parameters_at = f"{at}.parameters"
    if kind == "timestamp":
        _check_test(item, NUMBER, at)
        return None
    if (kind, method) == ("", ""):
        if parameters != (USER_ADDRESS,):
            raise ConditionError(
                f"{parameters_at} must be {as_json([USER_ADDRESS])} where no contract and method are named.",
                field=parameters_at,
            )
        _check_test(item, ADDRESS, at)
        return None
    if (kind, method) == ("", "eth_getBalance"):
        return _balance(item, chain, parameters, at)
    if (kind, method) not in _TOKEN_METHODS:
        wrong = "method" if kind in _CONTRACT_TYPES else "standardContractType"
        raise ConditionError(
            f"{at}: the gate does not judge the method {quoted(method)} of the contract type {quoted(kind)}.",
            field=f"{at}.{wrong}",
            hint=JUDGED,
        )
    types, comparison = _TOKEN_METHODS[kind, method]
    check_contract(contract, f"{at}.contractAddress")
    _check_parameters(types, parameters, parameters_at)
    _check_test(item, comparison, at)
    return _call(chain, contract, method, types, parameters)


def _balance(item: Mapping[str, Any], chain: str, parameters: tuple[str, ...], at: str) -> ChainRead:
    if len(parameters) not in (1, 2) or parameters[1:] not in ((), ("latest",)):
        raise ConditionError(
            f"{at}.parameters must be an address, and perhaps 'latest' after it.", field=f"{at}.parameters"
        )
    check_address(parameters[0], f"{at}.parameters[0]")
    _check_test(item, NUMBER, at)
    return ChainRead(chain, ("eth_getBalance", parameters[0].lower()))


def _function(item: Mapping[str, Any], at: str) -> ChainRead:
    contract, name, chain = _texts(item, _FUNCTION_TEXTS, at)
    parameters = _list_of_texts(item, "functionParams", at)
    inputs, outputs = _abi(item.get("functionAbi"), name, f"{at}.functionAbi")
    check_contract(contract, f"{at}.contractAddress")
    if not _IDENTIFIER.fullmatch(name):
        raise ConditionError(f"{at}.functionName is not an identifier.", field=f"{at}.functionName")
    types = tuple(kind for _, kind in inputs)
    for index, kind in enumerate(types):
        comparison_of(kind, f"{at}.functionAbi.inputs[{index}].type")
    comparisons = [
        comparison_of(kind, f"{at}.functionAbi.outputs[{index}].type")
        for index, (_, kind) in enumerate(outputs)
    ]
    _check_parameters(types, parameters, f"{at}.functionParams")
    key_at = f"{at}.returnValueTest.key"
    key = _test(item, at).get("key")
    if not isinstance(key, str):
        raise ConditionError(f"{key_at} must be a text.", field=key_at)
    named = [c for c, (output, _) in zip(comparisons, outputs, strict=True) if output == key]
    chosen = named if key else comparisons
    if len(chosen) != 1:
        raise ConditionError(
            f"{key_at} must name exactly one output; '' does where there is one.", field=key_at
        )
    _check_test(item, chosen[0], at)
    return _call(chain, contract, name, types, parameters)


def _abi(abi: object, name: str, at: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Check the canonical ABI of a function; return names and types of its inputs and outputs."""
    if not isinstance(abi, Mapping):
        raise ConditionError(f"{at} must be the function's ABI, an object.", field=at)
    abi_name, _ = _texts(abi, ("name", "stateMutability"), at)
    if abi_name != name:
        raise ConditionError(f"{at}.name must be functionName.", field=f"{at}.name")
    if not isinstance(abi.get("constant"), bool):
        raise ConditionError(f"{at}.constant must be true, false or absent.", field=f"{at}.constant")
    sides: list[list[tuple[str, str]]] = []
    for side in ("inputs", "outputs"):
        parameters = []
        for index, parameter in enumerate(abi.get(side, ())):
            parameter_name, kind = _texts(parameter, ("name", "type"), f"{at}.{side}[{index}]")
            parameters.append((parameter_name, kind))
        sides.append(parameters)
    return sides[0], sides[1]


def _call(
    chain: str, contract: str, name: str, types: tuple[str, ...], parameters: tuple[str, ...]
) -> ChainRead:
    """Return one ``eth_call``. Hex is the same in either case; texts are not."""
    arguments = (
        text if kind == "string" or text == USER_ADDRESS else text.lower()
        for kind, text in zip(types, parameters, strict=True)
    )
    return ChainRead(chain, (contract.lower(), f"{name}({','.join(types)})", *arguments))


def _check_parameters(types: tuple[str, ...], parameters: tuple[str, ...], at: str) -> None:
    if len(parameters) != len(types):
        raise ConditionError(f"{at}: {len(types)} parameters are needed, got {len(parameters)}.", field=at)
    for index, (kind, text) in enumerate(zip(types, parameters, strict=True)):
        check_parameter(kind, text, f"{at}[{index}]")


def _check_test(item: Mapping[str, Any], comparison: Comparison, at: str) -> None:
    test_at = f"{at}.returnValueTest"
    comparator, value = _texts(_test(item, at), ("comparator", "value"), test_at)
    if comparator not in comparison.comparators:
        raise ConditionError(
            f"{test_at}.comparator: {comparison.name} is compared with one of {' '.join(comparison.comparators)}, "
            f"got {quoted(comparator)}.",
            field=f"{test_at}.comparator",
        )
    comparison.check_value(value, f"{test_at}.value")


def _test(item: Mapping[str, Any], at: str) -> Mapping[str, Any]:
    test = item.get("returnValueTest")
    if not isinstance(test, Mapping):
        raise ConditionError(f"{at}.returnValueTest is missing.", field=f"{at}.returnValueTest")
    return test


def _texts(source: Mapping[str, Any], keys: Sequence[str], at: str) -> tuple[str, ...]:
    for key in keys:
        if not isinstance(source.get(key), str):
            raise ConditionError(f"{at}.{key} must be a text.", field=f"{at}.{key}")
    return tuple(source[key] for key in keys)


def _list_of_texts(source: Mapping[str, Any], key: str, at: str) -> tuple[str, ...]:
    texts = source.get(key)
    if (
        not isinstance(texts, Sequence)
        or isinstance(texts, str)
        or not all(isinstance(text, str) for text in texts)
    ):
        raise ConditionError(f"{at}.{key} must be a list of texts.", field=f"{at}.{key}")
    return tuple(texts)
