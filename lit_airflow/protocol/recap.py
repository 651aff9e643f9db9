"""The capability object inside a sign-in message (ERC-5573): wording, URN, and what it covers.

Source: ERC-5573; spec of the protocol, sections 5.3 and 5.4; the ``siwe-recap`` package decides on wording.
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
from lit_airflow.protocol.scope import RECAP_ABILITIES, Resource, ResourceAbility, restriction
from lit_airflow.text import is_encodable

URN_PREFIX = "urn:recap:"
PREAMBLE = "I further authorize the stated URI to perform the following actions on my behalf:"

_ABILITY = re.compile(r"[a-zA-Z0-9.*_+-]+/[a-zA-Z0-9.*_+-]+")

Attenuations = dict[str, dict[str, list[dict[str, Any]]]]


def canonical_json(value: object) -> str:
    """JSON without blanks, keys sorted at every level by UTF-16 code units, non-ASCII left as it is."""
    return json.dumps(_sorted(value), separators=(",", ":"), ensure_ascii=False)


def _sorted(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value, key=_utf16)}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return value


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


@dataclass(slots=True)
class Recap:
    """Capabilities: resource key -> ability -> list of restrictions (``{}`` where there is none)."""

    attenuations: Attenuations = field(default_factory=dict)
    proofs: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, requests: Iterable[ResourceAbility]) -> Recap:
        """The object that a sign-in message with these requests carries: merged request by request.

        The same plain request twice stays ``[{}]``; restrictions of later requests are appended.
        """
        recap = cls()
        for request in requests:
            abilities = recap.attenuations.setdefault(request.resource.key, {})
            restriction = [dict(request.data or {})]
            held = abilities.get(request.recap_ability, [])
            abilities[request.recap_ability] = held + restriction if any(held) else restriction
        return recap

    def add(self, resource: Resource, ability: str, data: Mapping[str, Any] | None = None) -> None:
        """Append one restriction by hand; unlike :meth:`of`, nothing is merged.

        Args:
            resource: What the ability applies to.
            ability: A ReCap ability, ``namespace/name``; ``*/*`` grants all.
            data: The restriction, none by default.

        Raises:
            SiweError: The ability has not that form.
            ScopeError: The restriction is no JSON object.
        """
        _check_ability(ability)
        self.attenuations.setdefault(resource.key, {}).setdefault(ability, []).append(restriction(data or {}))

    def urn(self) -> str:
        """``urn:recap:`` and the unpadded base64url of the canonical JSON.

        Raises:
            SiweError: It holds half of a surrogate pair, which has no UTF-8.
        """
        text = canonical_json({"att": self.attenuations, "prf": self.proofs})
        if not is_encodable(text):
            raise SiweError("The ReCap holds half of a character.")
        return URN_PREFIX + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def from_urn(cls, urn: str) -> Recap:
        """Read a ReCap URN.

        Raises:
            SiweError: Another URI, not base64url of JSON, not of a ReCap's shape, or without UTF-8.
        """
        if not urn.startswith(URN_PREFIX):
            raise SiweError("The resource is not a ReCap URN.")
        encoded = urn[len(URN_PREFIX) :]
        try:
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
            decoded = json.loads(raw)
        except (binascii.Error, ValueError, RecursionError) as error:
            raise SiweError("The ReCap is not base64url of JSON.") from error
        if not isinstance(decoded, dict):
            raise SiweError("The ReCap is not a JSON object.")
        recap = cls(_attenuations(decoded.get("att")), _proofs(decoded.get("prf")))
        recap.urn()  # or it could be read and not be written
        return recap

    def statement(self) -> str:
        """The sentence a wallet shows: the preamble, then one numbered clause per resource and namespace."""
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
        """Whether this grants a Lit ability on a resource, as nodes decide it.

        An entry for the kind's wildcard, where present, is the only one looked at; ``*/*`` grants all.
        """
        wanted = RECAP_ABILITIES.get((resource.prefix, ability))
        if wanted is None:
            return False
        entry = self.attenuations.get(resource.wildcard.key)
        if entry is None:
            entry = self.attenuations.get(resource.key, {})
        return wanted in entry or "*/*" in entry


def _attenuations(found: object) -> Attenuations:
    if not isinstance(found, dict):
        raise SiweError("The ReCap has no attenuations.")
    for key, abilities in found.items():
        if not isinstance(abilities, dict):
            raise SiweError(f"The ReCap's entry {key!r} is not an object.")
        for ability, restrictions in abilities.items():
            _check_ability(ability)
            if not isinstance(restrictions, list) or not all(isinstance(r, dict) for r in restrictions):
                raise SiweError(f"The restrictions of {ability!r} are not a list of objects.")
    if json.dumps(found) != json.dumps(_sorted(found)):
        raise SiweError("The ReCap's objects are not sorted.")
    return found


def _check_ability(ability: str) -> None:
    if not _ABILITY.fullmatch(ability):
        raise SiweError(f"{ability!r} is no ReCap ability.")


def _proofs(found: object) -> list[str]:
    if not isinstance(found, list) or not all(isinstance(proof, str) for proof in found):
        raise SiweError("The ReCap's proofs are not a list of text.")
    return found
