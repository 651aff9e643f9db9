"""The canonical form of access control conditions: which keys are kept, and in which order.

Source: docs/protocol/conditions.md; ``@lit-protocol/access-control-conditions``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lit_airflow.errors import ConditionError

MAX_GROUP_DEPTH = 32

_TEST = ("comparator", "value")
_KEYED_TEST = ("key", *_TEST)
_SOLANA_V1 = ("method", "params", "chain", "returnValueTest")
_SOLANA_V2 = ("method", "params", "pdaParams", "pdaInterface", "pdaKey", "chain", "returnValueTest")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "evmBasic": (
        "contractAddress",
        "chain",
        "standardContractType",
        "method",
        "parameters",
        "returnValueTest",
    ),
    "evmContract": (
        "contractAddress",
        "functionName",
        "functionParams",
        "functionAbi",
        "chain",
        "returnValueTest",
    ),
    "cosmos": ("path", "chain", "method", "parameters", "returnValueTest"),
}


LISTS: Mapping[str, str] = {
    "evmBasic": "accessControlConditions",
    "evmContract": "evmContractConditions",
    "solRpc": "solRpcConditions",
    "cosmos": "unifiedAccessControlConditions",
}
"""The kinds of conditions, and the list that each belongs into."""
_MARKS: Mapping[str, tuple[str, frozenset[str]]] = {
    "solRpc": ("a Solana condition", frozenset({"params", "pdaParams", "pdaInterface", "pdaKey"})),
    "evmContract": ("a call of a contract", frozenset({"functionName", "functionParams", "functionAbi"})),
    "cosmos": ("a Cosmos condition", frozenset({"path"})),
    "evmBasic": ("a basic condition", frozenset({"standardContractType"})),
}


def other_kind(item: Mapping[str, Any], kind: str) -> str:
    """Return what a condition looks like if it is of another kind, and where that belongs; else the empty text."""
    other = _looks_like(item)
    if not other or not _MARKS[kind][1].isdisjoint(item):
        return ""
    name, _ = _MARKS[other]
    return f'This looks like {name}: put it into {LISTS[other]}, or set conditionType to "{other}".'


def list_of(item: Mapping[str, Any]) -> str:
    """Return the name of the list that a condition belongs into, by its keys."""
    return LISTS[_looks_like(item) or "evmBasic"]


def _looks_like(item: Mapping[str, Any]) -> str:
    """Return the kind of a condition by its keys; the empty text if they are of none."""
    return next((kind for kind, (_, keys) in _MARKS.items() if not keys.isdisjoint(item)), "")


def canonical_list(items: Iterable[Any], kind: str | None, path: str, depth: int = 0) -> list[Any]:
    """Return the canonical form of a list of conditions, operators and groups.

    Args:
        items: The list.
        kind: The kind of its conditions; ``None`` if each names its own in ``conditionType``.
        path: The list's path, for errors.
        depth: How many groups it is nested in.

    Raises:
        ConditionError: An item has no canonical form, or groups are nested more than 32 levels deep.
    """
    if depth > MAX_GROUP_DEPTH:
        raise ConditionError(f"Groups are nested more than {MAX_GROUP_DEPTH} levels deep.", field=path)
    canonical: list[Any] = []
    for index, item in enumerate(items):
        at = f"{path}[{index}]"
        if isinstance(item, Sequence) and not isinstance(item, str):
            canonical.append(canonical_list(item, kind, at, depth + 1))
        elif not isinstance(item, Mapping):
            raise ConditionError(f"{at} is neither a condition, an operator nor a group.", field=at)
        elif "operator" in item:
            canonical.append({"operator": item["operator"]})
        else:
            canonical.append(_canonical(item, kind or _own_kind(item, at), at, unified=kind is None))
    return canonical


def _own_kind(item: Mapping[str, Any], at: str) -> str:
    kind = item.get("conditionType")
    if kind not in ("evmBasic", "evmContract", "solRpc", "cosmos"):
        raise ConditionError(
            f"{at}.conditionType is missing or unknown.",
            field=f"{at}.conditionType",
            hint=f'Set it to "{_looks_like(item) or "evmBasic"}".',
        )
    return str(kind)


def _canonical(item: Mapping[str, Any], kind: str, at: str, *, unified: bool) -> dict[str, Any]:
    test = item.get("returnValueTest")
    if not isinstance(test, Mapping):
        raise ConditionError(f"{at}.returnValueTest is missing.", field=f"{at}.returnValueTest")
    values = dict(item)
    values["returnValueTest"] = _only(test, _TEST if kind == "evmBasic" else _KEYED_TEST)
    if kind == "solRpc":
        return _canonical_solana(values, at, unified=unified)
    if kind == "evmContract":
        if "functionAbi" not in item:
            hint = other_kind(item, kind) or "Copy the function from the contract's ABI, an object."
            raise ConditionError(f"{at}.functionAbi is missing.", field=f"{at}.functionAbi", hint=hint)
        values["functionAbi"] = _canonical_abi(item["functionAbi"], f"{at}.functionAbi")
    return _only(values, _KEYS[kind])


def _canonical_solana(values: dict[str, Any], at: str, *, unified: bool) -> dict[str, Any]:
    if not unified and "pdaParams" not in values:
        return _only(values, _SOLANA_V1)
    interface = values.get("pdaInterface")
    if (
        not isinstance(interface, Mapping)
        or not {"offset", "fields"} <= set(interface)
        or "pdaKey" not in values
    ):
        raise ConditionError(
            f"{at} lacks pdaInterface (with offset and fields) or pdaKey.", field=f"{at}.pdaInterface"
        )
    values["pdaInterface"] = _only(interface, ("offset", "fields"))
    return _only(values, _SOLANA_V2)


def _canonical_abi(abi: object, at: str) -> dict[str, Any]:
    if not isinstance(abi, Mapping):
        raise ConditionError(
            f"{at} must be an object.", field=at, hint="Copy the function from the contract's ABI."
        )
    sides = {side: _canonical_parameters(abi.get(side), f"{at}.{side}") for side in ("inputs", "outputs")}
    canonical = _only(abi, ("name",))
    canonical |= {**sides, "constant": abi.get("constant", False)}
    return canonical | _only(abi, ("stateMutability",))


def _canonical_parameters(parameters: object, at: str) -> list[dict[str, Any]]:
    if (
        not isinstance(parameters, Sequence)
        or isinstance(parameters, str)
        or not all(isinstance(parameter, Mapping) for parameter in parameters)
    ):
        raise ConditionError(
            f"{at} must be a list of objects.", field=at, hint="Copy the function from the contract's ABI."
        )
    return [_only(parameter, ("name", "type")) for parameter in parameters]


def _only(source: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: source[key] for key in keys if key in source}
