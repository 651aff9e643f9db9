"""Access control conditions: canonical form, hash, decryption identity, and what is wrong with them.

Source: spec of the protocol, section 9; ``@lit-protocol/access-control-conditions`` and ``accs-schemas``.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lit_airflow.errors import ConditionError
from lit_airflow.protocol.scope import ACCESS_CONTROL_CONDITION
from lit_airflow.text import is_encodable

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

UNIFIED = "unifiedAccessControlConditions"

# Body field -> the kind of its items; where several are given, the first of this order counts.
_KINDS: Mapping[str, str | None] = {
    "accessControlConditions": "evmBasic",
    "evmContractConditions": "evmContract",
    "solRpcConditions": "solRpc",
    UNIFIED: None,  # each item names its own kind in conditionType
}
_OPERATORS = ("and", "or")
MOST_CONDITIONS = 30
_DEEPEST_GROUP = 32

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


@dataclass(frozen=True, slots=True)
class Conditions:
    """One list of conditions, in canonical form.

    Attributes:
        field: The body field it is sent in, such as ``accessControlConditions``.
        items: Canonical items: conditions, ``{"operator": …}``, and nested lists.
        chain: The ``chain`` parameter: which kind of wallet the nodes should expect.
        given: The items as the user wrote them; what :meth:`validate` judges.
    """

    field: str
    items: tuple[Any, ...]
    chain: str
    given: tuple[Any, ...]

    @classmethod
    def parse(cls, source: Mapping[str, Any], *, default_chain: str | None = None) -> Conditions:
        """Read the object that the SDK takes: one of the four lists, and ``chain``.

        Other keys (of a container with a ciphertext, say) are ignored.

        Args:
            source: The object.
            default_chain: Used where ``source`` has no ``chain``.

        Raises:
            ConditionError: None of the lists, no chain, or an item that has no canonical form.
        """
        if not isinstance(source, Mapping):
            raise ConditionError("Conditions are a JSON object.", field="conditions")
        field = next((name for name in _KINDS if source.get(name) is not None), None)
        if field is None:
            message, hint = "There are no conditions.", f"Give one of {', '.join(_KINDS)}."
            if "ciphertext" in source:
                message = "There are no conditions beside the ciphertext."
                hint = f"Put those it was encrypted for there: one of {', '.join(_KINDS)}, and chain."
            raise ConditionError(message, field="conditions", hint=hint)
        items = source[field]
        if not isinstance(items, Sequence) or isinstance(items, str):
            raise ConditionError(f"{field} is a list.", field=field)
        if field == UNIFIED and not items:
            raise ConditionError("No conditions provided.", field=field)
        chain = source.get("chain") or default_chain
        if not isinstance(chain, str):
            raise ConditionError(
                "The chain is missing.", field="chain", hint='For Ethereum wallets write "chain": "ethereum".'
            )
        if not is_encodable(chain):
            raise ConditionError("The chain holds half of a character.", field="chain")
        canonical = tuple(_canonical_list(items, _KINDS[field], field))
        return cls(field, canonical, chain, tuple(items))

    @property
    def canonical_json(self) -> str:
        """What is hashed: compact JSON, keys in canonical order, non-ASCII left as it is."""
        return json.dumps(self.items, separators=(",", ":"), ensure_ascii=False)

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, 64 hex digits.

        Raises:
            ConditionError: A lone surrogate, which UTF-8 cannot carry.
        """
        text = self.canonical_json
        if not is_encodable(text):
            raise ConditionError("The conditions hold half of a character.", field=self.field)
        return hashlib.sha256(text.encode()).hexdigest()

    def resource_id(self, data_hash: str) -> str:
        """``<hash of conditions>/<hash of data>``: the resource a session must be allowed to decrypt.

        Raises:
            ConditionError: The hash of the data is not 64 hex digits.
        """
        if len(data_hash) != hashlib.sha256().digest_size * 2 or not set(data_hash) <= set(
            "0123456789abcdef"
        ):
            raise ConditionError(
                "dataToEncryptHash is not the hex of a SHA-256.",
                field="dataToEncryptHash",
                hint="It is what encrypt returned beside the ciphertext.",
            )
        return f"{self.hash}/{data_hash}"

    def identity(self, data_hash: str) -> bytes:
        """What the nodes sign, and the ciphertext is locked to."""
        return f"{ACCESS_CONTROL_CONDITION}://{self.resource_id(data_hash)}".encode()

    def to_json(self) -> dict[str, Any]:
        """The canonical list under its body field, and the chain."""
        return {self.field: list(self.items), "chain": self.chain}

    def validate(self) -> Conditions:
        """These conditions, if nodes will be able to read and judge them.

        Run before encrypting. Data that somebody else encrypted may be opened under looser ones.

        Raises:
            ConditionError: A field is missing, unknown or of the wrong type, an unknown chain, contract type
                or comparator, operators and conditions out of order, or more than 30 conditions.
        """
        for item, path in _leaves(self.given, self.field):
            kind = _KINDS[self.field] or item.get("conditionType")
            error = next(iter(sorted(_validator(str(kind)).iter_errors(item), key=_depth)), None)
            if error is not None:
                at = path + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.path)
                raise ConditionError(f"{at}: {_complaint(error)}.", field=at)
        _check_shape(self.items, self.field)
        count = _count(self.items)
        if count > MOST_CONDITIONS:
            raise ConditionError(
                f"{count} conditions; nodes take at most {MOST_CONDITIONS}.", field=self.field
            )
        return self


def _canonical_list(items: Iterable[Any], kind: str | None, path: str, depth: int = 0) -> list[Any]:
    if depth > _DEEPEST_GROUP:
        raise ConditionError("Groups are nested too deeply.", field=path)
    canonical: list[Any] = []
    for index, item in enumerate(items):
        at = f"{path}[{index}]"
        if isinstance(item, Sequence) and not isinstance(item, str):
            canonical.append(_canonical_list(item, kind, at, depth + 1))
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
        raise ConditionError(f"{at}.conditionType is missing or unknown.", field=f"{at}.conditionType")
    return str(kind)


def _canonical(item: Mapping[str, Any], kind: str, at: str, *, unified: bool) -> dict[str, Any]:
    test = item.get("returnValueTest")
    if not isinstance(test, Mapping):
        raise ConditionError(f"{at}.returnValueTest is missing.", field=f"{at}.returnValueTest")
    values = dict(item)
    values["returnValueTest"] = _only(test, _TEST if kind == "evmBasic" else _KEYED_TEST)
    if kind == "solRpc":
        return _canonical_solana(values, at, unified=unified)
    if kind == "evmContract" and isinstance(item.get("functionAbi"), Mapping):
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


def _canonical_abi(abi: Mapping[str, Any], at: str) -> dict[str, Any]:
    try:
        inputs, outputs = (
            [_only(p, ("name", "type")) for p in abi.get(side) or ()] for side in ("inputs", "outputs")
        )
    except (TypeError, AttributeError) as error:
        raise ConditionError(
            f"{at} has no usable inputs and outputs.", field=at, hint="Copy the function from its ABI."
        ) from error
    canonical = _only(abi, ("name",))
    canonical |= {"inputs": inputs, "outputs": outputs, "constant": abi.get("constant", False)}
    return canonical | _only(abi, ("stateMutability",))


def _only(source: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: source[key] for key in keys if key in source}


def _leaves(items: Iterable[Any], path: str) -> Iterable[tuple[Mapping[str, Any], str]]:
    for index, item in enumerate(items):
        at = f"{path}[{index}]"
        if isinstance(item, Mapping):
            if "operator" not in item:
                yield item, at
        else:
            yield from _leaves(item, at)


def _check_shape(items: Sequence[Any], path: str) -> None:
    """Condition (operator condition)*, a group counting as a condition."""
    if len(items) % 2 == 0:
        raise ConditionError(
            f"{path}: conditions and operators must alternate, and begin and end with a condition.",
            field=path,
            hint='Put {"operator": "and"} or {"operator": "or"} between two conditions.',
        )
    for index, item in enumerate(items):
        at = f"{path}[{index}]"
        is_operator = isinstance(item, Mapping) and "operator" in item
        if is_operator != bool(index % 2):
            raise ConditionError(
                f"{at}: {'a condition' if is_operator else 'an operator'} is expected here.", field=at
            )
        if is_operator and item["operator"] not in _OPERATORS:
            raise ConditionError(
                f"{at}.operator is {item['operator']!r}; it is 'and' or 'or'.", field=f"{at}.operator"
            )
        if not isinstance(item, Mapping):
            _check_shape(item, at)


def _count(items: Iterable[Any]) -> int:
    return sum(_count(item) if isinstance(item, list) else "operator" not in item for item in items)


@functools.cache
def _validator(kind: str) -> Validator:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - needed only to encrypt

    schema = json.loads(files("lit_airflow.protocol").joinpath("condition_schemas.json").read_text("utf-8"))
    return Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})


def _depth(error: Any) -> int:  # noqa: ANN401 - jsonschema's ValidationError, imported lazily
    return len(error.path)


def _complaint(error: Any) -> str:  # noqa: ANN401 - see above
    """The validator's message, without listing a hundred chain names."""
    if error.validator == "enum" and len(error.validator_value) > MOST_CONDITIONS:
        return f"{error.instance!r} is not a known name"
    return str(error.message)
