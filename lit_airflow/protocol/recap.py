"""ReCaps, the capability objects of sign-in messages (ERC-5573): statement, URN, and what they cover.

Source: ERC-5573; docs/protocol/scope.md; the ``siwe-recap`` package defines the statement.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lit_airflow.errors import SiweError
from lit_airflow.json_input import parse_object
from lit_airflow.protocol import javascript_json
from lit_airflow.protocol.scope import RECAP_ABILITIES, Resource, ResourceAbility, Scope, restriction
from lit_airflow.text import is_encodable, quoted

URN_PREFIX = "urn:recap:"
PREAMBLE = "I further authorize the stated URI to perform the following actions on my behalf:"

_ABILITY = re.compile(r"[a-zA-Z0-9.*_+-]+/[a-zA-Z0-9.*_+-]+")
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)

Attenuations = dict[str, dict[str, list[dict[str, Any]]]]


def canonical_json(value: object) -> str:
    """Return compact JSON, keys sorted at every level by UTF-16 code units, non-ASCII characters not escaped.

    A float without a fraction is written as JavaScript writes it, without a point.

    Raises:
        ValueError: The value contains NaN, an infinity, or an integer of thousands of digits.
        TypeError: The value contains something that JSON does not have.
        RecursionError: The value is nested too deeply.
    """
    return _ENCODER.encode(_sorted(value))


def _sorted(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value, key=_utf16)}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return javascript_json.number(value) if isinstance(value, float) else value


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


@dataclass(slots=True)
class Recap:
    """Capabilities that a wallet grants.

    Attributes:
        attenuations: Resource key -> ability -> list of restrictions; ``{}`` restricts nothing.
        proofs: The CIDs of parent capabilities.
    """

    attenuations: Attenuations = field(default_factory=dict)
    proofs: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, requests: Iterable[ResourceAbility]) -> Recap:
        """Return the ReCap of a sign-in message with these requests.

        A repeated request without restriction stays ``[{}]``; restrictions of later requests are appended.
        """
        recap = cls()
        for request in requests:
            abilities = recap.attenuations.setdefault(request.resource.key, {})
            added = [dict(request.data or {})]
            present = abilities.get(request.recap_ability, [])
            abilities[request.recap_ability] = present + added if any(present) else added
        return recap

    def add(self, resource: Resource, ability: str, data: Mapping[str, Any] | None = None) -> None:
        """Append one restriction; unlike :meth:`of`, merge nothing.

        Args:
            resource: What the ability applies to.
            ability: A ReCap ability, ``namespace/name``; ``*/*`` grants all abilities.
            data: The restriction; none by default.

        Raises:
            SiweError: The ability has another form.
            ScopeError: The restriction is not a JSON object.
        """
        _check_ability(ability)
        self.attenuations.setdefault(resource.key, {}).setdefault(ability, []).append(restriction(data or {}))

    def urn(self) -> str:
        """Return ``urn:recap:`` and the unpadded base64url of the canonical JSON.

        Raises:
            SiweError: JSON cannot represent a restriction, or a text contains an unpaired surrogate.
        """
        try:
            text = canonical_json({"att": self.attenuations, "prf": self.proofs})
        except (TypeError, ValueError, RecursionError):
            raise SiweError("The ReCap contains a value that JSON cannot represent.") from None
        if not is_encodable(text):
            raise SiweError("The ReCap contains an unpaired surrogate.")
        return URN_PREFIX + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def from_urn(cls, urn: str) -> Recap:
        """Parse a ReCap URN.

        Raises:
            SiweError: It is another URI, not base64url of JSON, not a ReCap object, or contains an unpaired
                surrogate.
        """
        if not urn.startswith(URN_PREFIX):
            raise SiweError("The resource is not a ReCap URN.")
        encoded = urn[len(URN_PREFIX) :]
        try:
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
            decoded = parse_object(raw)
        except (binascii.Error, ValueError):
            raise SiweError("The ReCap is not base64url of a JSON object.") from None
        recap = cls(_attenuations(decoded.get("att")), _proofs(decoded.get("prf")))
        recap.urn()  # what can be read must be writable
        return recap

    def statement(self) -> str:
        """Return the statement for the wallet: a preamble, and a numbered clause per resource and namespace."""
        clauses = [PREAMBLE]
        for key in sorted(self.attenuations, key=_utf16):
            namespaces: dict[str, list[str]] = {}
            for ability in self.attenuations[key]:
                namespace, _, name = ability.partition("/")
                namespaces.setdefault(namespace, []).append(name)
            for namespace in sorted(namespaces, key=_utf16):
                names = ", ".join(f"'{name}'" for name in sorted(namespaces[namespace], key=_utf16))
                clauses.append(f"({len(clauses)}) '{namespace}': {names} for '{key}'.")
        return " ".join(clauses)

    def covers(self, resource: Resource, ability: str) -> bool:
        """Return whether nodes find a Lit ability on a resource granted.

        If there is an entry for the kind's wildcard, only that entry counts. ``*/*`` grants all abilities.
        """
        wanted = RECAP_ABILITIES.get((resource.prefix, ability))
        if wanted is None:
            return False
        entry = self.attenuations.get(resource.wildcard.key)
        if entry is None:
            entry = self.attenuations.get(resource.key, {})
        return wanted in entry or "*/*" in entry

    def within(self, scope: Scope) -> bool:
        """Return whether this grants nothing beyond a scope, restrictions included."""
        allowed = Recap.of(scope.requests).attenuations
        return all(
            ability in allowed.get(key, {}) and all(r in allowed[key][ability] for r in restrictions or [{}])
            for key, abilities in self.attenuations.items()
            for ability, restrictions in abilities.items()
        )


def _attenuations(found: object) -> Attenuations:
    if not isinstance(found, dict):
        raise SiweError("The ReCap has no attenuations.")
    for key, abilities in found.items():
        if not isinstance(abilities, dict):
            raise SiweError(f"The ReCap's entry {quoted(key)} is not an object.")
        for ability, restrictions in abilities.items():
            _check_ability(ability)
            if not isinstance(restrictions, list) or not all(isinstance(r, dict) for r in restrictions):
                raise SiweError(f"The restrictions of {quoted(ability)} are not a list of objects.")
    if json.dumps(found) != json.dumps(_sorted(found)):
        raise SiweError("The ReCap's objects are not sorted.")
    return found


def _check_ability(ability: str) -> None:
    if not _ABILITY.fullmatch(ability):
        raise SiweError(f"{quoted(ability)} is not a ReCap ability.", hint="Write it as namespace/name.")


def _proofs(found: object) -> list[str]:
    if not isinstance(found, list) or not all(isinstance(proof, str) for proof in found):
        raise SiweError("The ReCap's proofs are not a list of texts.")
    return found
