"""Access control conditions: canonical form, hash, decryption identity, validation.

Source: docs/protocol/conditions.md; ``@lit-protocol/access-control-conditions`` and ``accs-schemas``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from lit_airflow.errors import ConditionError
from lit_airflow.keys.address import parse_address
from lit_airflow.protocol import javascript_json
from lit_airflow.protocol.canonical_conditions import canonical_list, list_of
from lit_airflow.protocol.condition_doubts import USER_ADDRESS, Doubt, doubts, refuse_hopeless
from lit_airflow.protocol.condition_validation import validate
from lit_airflow.protocol.scope import ACCESS_CONTROL_CONDITION
from lit_airflow.text import is_encodable, quoted

__all__ = ["BASIC", "CONDITION_FIELDS", "UNIFIED", "USER_ADDRESS", "Conditions"]

BASIC = "accessControlConditions"
UNIFIED = "unifiedAccessControlConditions"

# Body field -> the kind of its items. If several are given, the first in this order is used.
_KINDS: Mapping[str, str | None] = {
    BASIC: "evmBasic",
    "evmContractConditions": "evmContract",
    "solRpcConditions": "solRpc",
    UNIFIED: None,  # each item names its own kind in conditionType
}
CONDITION_FIELDS = tuple(_KINDS)
"""The body fields that a list of conditions may stand in."""
_SHA256_HEX = re.compile(r"[0-9a-f]{64}")
_NEAR = 0.85
"""How like a known name a misspelt one is, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """A list of conditions in canonical form.

    Attributes:
        field: The body field of the list, such as ``accessControlConditions``.
        items: Canonical items: conditions, ``{"operator": …}``, and nested lists.
        chain: The ``chain`` parameter: which kind of wallet the nodes expect.
        given: The items as the user wrote them; :meth:`validate` checks these.
        unread: Names of further lists in the same object, which count for nothing; :meth:`validate` refuses them.
    """

    field: str
    items: tuple[Any, ...]
    chain: str
    given: tuple[Any, ...]
    unread: tuple[str, ...] = dataclass_field(default=(), compare=False)
    _text: str | None = dataclass_field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def for_wallet(cls, address: str, *, chain: str = "ethereum") -> Conditions:
        """Return the conditions that only one wallet meets.

        Args:
            address: The wallet's address, in any case.
            chain: The wallet's chain, by Lit's name.

        Raises:
            ConditionError: ``address`` is not an address.
        """
        wallet = parse_address(address)
        if wallet is None:
            raise ConditionError(
                f"{quoted(str(address))} is not a wallet address.",
                field="address",
                hint="Write it as 0x and 40 hex digits.",
            )
        condition = {
            "contractAddress": "",
            "standardContractType": "",
            "chain": chain,
            "method": "",
            "parameters": [USER_ADDRESS],
            "returnValueTest": {"comparator": "=", "value": wallet},
        }
        return cls.parse({BASIC: [condition], "chain": chain})

    @classmethod
    def parse(cls, source: Mapping[str, Any], *, default_chain: str | None = None) -> Conditions:
        """Read the object that the SDK takes: one of the four lists, and ``chain``.

        Other keys, such as those of a container with a ciphertext, are ignored.

        Args:
            source: The object.
            default_chain: Used if ``source`` has no ``chain``.

        Raises:
            ConditionError: The object has none of the lists, no chain, or an item without a canonical form.
        """
        if not isinstance(source, Mapping):
            raise _no_object(source)
        fields = [name for name in _KINDS if source.get(name) is not None]
        if not fields:
            raise _missing(source)
        field, *others = fields
        items = source[field]
        if not isinstance(items, Sequence) or isinstance(items, str):
            raise ConditionError(f"{field} must be a list.", field=field)
        if field == UNIFIED and not items:
            raise ConditionError(f"{field} is empty.", field=field)
        chain = source.get("chain") or default_chain
        if not isinstance(chain, str):
            raise ConditionError(
                "The conditions have no chain.",
                field="chain",
                hint='For Ethereum wallets, set "chain" to "ethereum".',
            )
        if not is_encodable(chain):
            raise ConditionError("The chain contains an unpaired surrogate.", field="chain")
        unread = tuple(name for name in others if source[name])
        return cls(field, tuple(canonical_list(items, _KINDS[field], field)), chain, tuple(items), unread)

    def __hash__(self) -> int:
        return hash(self.canonical_json)

    @property
    def canonical_json(self) -> str:
        """The text that is hashed: compact JSON as JavaScript writes it, keys in canonical order.

        Raises:
            ConditionError: JSON cannot represent a value.
        """
        if self._text is None:
            # It is asked for several times in each use; the items do not change.
            object.__setattr__(self, "_text", self._compact())
        return str(self._text)

    def _compact(self) -> str:
        try:
            return javascript_json.compact(self.items)
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise ConditionError(
                "The conditions contain a value that JSON cannot represent, such as NaN or a number of thousands "
                "of digits.",
                field=self.field,
                hint="Write numbers as texts.",
            ) from None

    @property
    def hash(self) -> str:
        """The SHA-256 of the canonical JSON, 64 hex digits.

        Raises:
            ConditionError: JSON cannot represent a value, or a text contains an unpaired surrogate.
        """
        text = self.canonical_json
        if not is_encodable(text):
            raise ConditionError("The conditions contain an unpaired surrogate.", field=self.field)
        return hashlib.sha256(text.encode()).hexdigest()

    def resource_id(self, data_hash: str) -> str:
        """Return ``<hash of conditions>/<hash of data>``, the id of the resource that decryption needs.

        Args:
            data_hash: The SHA-256 of the plaintext, 64 lower-case hex digits.

        Raises:
            ConditionError: ``data_hash`` is not that, or the conditions have no hash.
        """
        if not _SHA256_HEX.fullmatch(data_hash):
            raise ConditionError(
                "dataToEncryptHash is not the hex of a SHA-256.",
                field="dataToEncryptHash",
                hint="Use the value that encrypt returned together with the ciphertext.",
            )
        return f"{self.hash}/{data_hash}"

    def identity(self, data_hash: str) -> bytes:
        """Return the identity that the data is encrypted for, and that the nodes sign.

        Args:
            data_hash: See :meth:`resource_id`.

        Raises:
            ConditionError: See :meth:`resource_id`.
        """
        return f"{ACCESS_CONTROL_CONDITION}://{self.resource_id(data_hash)}".encode()

    def to_json(self) -> dict[str, Any]:
        """Return the canonical list under its body field, and the chain; numbers as they are hashed.

        Raises:
            ConditionError: As :attr:`canonical_json`.
        """
        return {self.field: json.loads(self.canonical_json), "chain": self.chain}

    def check_schema(self) -> None:
        """Return nothing if the fields are those that the SDK's ``encrypt`` requires, in the right order.

        Raises:
            ConditionError: A field is missing, unknown or of the wrong type; a chain, contract type or
                comparator is unknown; operators and conditions do not alternate; there are more than 30
                conditions; or there are several lists, of which all but the first would count for nothing.
        """
        _ = self.canonical_json
        if self.unread:
            raise ConditionError(
                f"Only {self.field} would count; the object also has {', '.join(self.unread)}.",
                field=self.unread[0],
                hint=f"Write all conditions into one list, {UNIFIED}, each with its conditionType.",
            )
        validate(self.given, self.items, _KINDS[self.field], self.field)

    def doubts(self, *, now: datetime | None = None) -> list[Doubt]:
        """Return why conditions that pass :meth:`check_schema` may never be met, worst first.

        Args:
            now: The time; times before it are over.
        """
        return doubts(self.given, _KINDS[self.field], self.field, now=now)

    def validate(self, *, now: datetime | None = None) -> Conditions:
        """Return these conditions if nodes can judge them, and somebody can meet them.

        What is only unlikely is logged as a warning. Call this before encrypting. Decryption does not: data that
        others encrypted may have looser conditions.

        Args:
            now: The time; times before it are over.

        Raises:
            ConditionError: As :meth:`check_schema`; or nodes cannot judge a condition, or nobody can ever meet
                the conditions.
        """
        self.check_schema()
        refuse_hopeless(self.doubts(now=now))
        return self


def _no_object(source: object) -> ConditionError:
    message = "Conditions must be a JSON object."
    hint = f'Write {{"chain": "ethereum", "{BASIC}": […]}}.'
    if isinstance(source, str | bytes):
        message = "Conditions must be a JSON object, and this is a text."
        hint = "A template needs render_template_as_native_obj=True in the DAG; a JSON text needs json.loads."
    elif isinstance(source, Sequence):
        message = "Conditions must be a JSON object, and this is a list."
    return ConditionError(message, field="conditions", hint=hint)


def _missing(source: Mapping[str, Any]) -> ConditionError:
    names = ", ".join(_KINDS)
    if "returnValueTest" in source:
        return ConditionError(
            "This is one condition, not the object with the list.",
            field="conditions",
            hint=f'Write {{"chain": "ethereum", "{list_of(source)}": [{{…}}]}}.',
        )
    known = {name.lower(): name for name in _KINDS}
    for name in source:
        near = get_close_matches(str(name).replace("_", "").lower(), known, n=1, cutoff=_NEAR)
        if near:
            return ConditionError(
                f"The object has no conditions: {quoted(str(name))} is not the name of a list.",
                field="conditions",
                hint=f"Write {known[near[0]]}.",
            )
    if "ciphertext" in source:
        return ConditionError(
            "The ciphertext has no conditions.",
            field="conditions",
            hint=f"Add those it was encrypted for to the same object: one of {names}, and chain.",
        )
    return ConditionError("The object has no conditions.", field="conditions", hint=f"Give one of {names}.")
