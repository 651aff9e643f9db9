"""What a session asks for: resources and abilities, and whether one scope covers another.

Source: spec of the protocol, sections 5.1, 5.2 and 5.4; ``@lit-protocol/auth-helpers`` 7.4.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lit_airflow.errors import ScopeError
from lit_airflow.text import is_encodable

ACCESS_CONTROL_CONDITION = "lit-accesscontrolcondition"
PKP = "lit-pkp"
RATE_LIMIT_INCREASE = "lit-ratelimitincrease"
LIT_ACTION = "lit-litaction"

DECRYPTION = "access-control-condition-decryption"
RATE_LIMIT_AUTH = "rate-limit-increase-auth"

# (resource prefix, ability) -> the ability's ReCap name. A pair that is not here does not exist.
RECAP_ABILITIES: Mapping[tuple[str, str], str] = {
    (ACCESS_CONTROL_CONDITION, DECRYPTION): "Threshold/Decryption",
    (ACCESS_CONTROL_CONDITION, "access-control-condition-signing"): "Threshold/Signing",
    (PKP, "pkp-signing"): "Threshold/Signing",
    (RATE_LIMIT_INCREASE, RATE_LIMIT_AUTH): "Auth/Auth",
    (LIT_ACTION, "lit-action-execution"): "Threshold/Execution",
}
EXAMPLE_REQUEST = f"{DECRYPTION}={ACCESS_CONTROL_CONDITION}://*"
"""How a request is written, for messages and helps."""
PREFIXES = tuple(dict.fromkeys(prefix for prefix, _ in RECAP_ABILITIES))

_PKP_ID_LENGTH = 64
_HEX = re.compile(r"[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True)
class Resource:
    """A thing at Lit that an ability applies to, such as ``lit-accesscontrolcondition://*``.

    Attributes:
        prefix: One of :data:`PREFIXES`.
        id: ``*`` for all, or the id: ``<hash of conditions>/<hash of data>``, a token id, an IPFS CID.
    """

    prefix: str
    id: str

    def __post_init__(self) -> None:
        if self.prefix not in PREFIXES:
            raise ScopeError(
                f"{self.prefix!r} is no kind of Lit resource.", hint=f"Use one of {', '.join(PREFIXES)}."
            )
        if not is_encodable(self.id):
            raise ScopeError("The resource id holds half of a character.")
        if self.prefix == PKP:
            object.__setattr__(self, "id", _pkp_id(self.id))

    @classmethod
    def parse(cls, key: str) -> Resource:
        """Read a resource key, ``prefix://id``.

        Raises:
            ScopeError: Not of that form, or an unknown prefix.
        """
        prefix, separator, resource_id = key.partition("://")
        if not separator:
            raise ScopeError(f"{key!r} is no resource key.", hint="Write it as prefix://id.")
        return cls(prefix, resource_id)

    @property
    def key(self) -> str:
        """The text form, ``prefix://id``."""
        return f"{self.prefix}://{self.id}"

    @property
    def wildcard(self) -> Resource:
        """The resource that stands for all of this kind."""
        return Resource(self.prefix, "*")

    def to_json(self) -> dict[str, str]:
        """The object that goes into session messages; the order of its keys is signed."""
        return {"resource": self.id, "resourcePrefix": self.prefix}


def _pkp_id(text: str) -> str:
    """Token ids are padded to 32 bytes of hex; what is not hex (``*``) stays as it is."""
    bare = text.removeprefix("0x")
    if len(bare) > _PKP_ID_LENGTH:
        raise ScopeError("A PKP's token id is at most 32 bytes of hex.")
    return bare.rjust(_PKP_ID_LENGTH, "0") if _HEX.fullmatch(bare) else bare


@dataclass(frozen=True, slots=True)
class ResourceAbility:
    """One request: this ability on this resource.

    Attributes:
        resource: What it applies to.
        ability: A Lit ability such as ``access-control-condition-decryption``.
        data: Restriction data, a JSON object; the order of its keys is signed. ``None`` for none.
    """

    resource: Resource
    ability: str
    data: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if (self.resource.prefix, self.ability) not in RECAP_ABILITIES:
            possible = [a for prefix, a in RECAP_ABILITIES if prefix == self.resource.prefix]
            raise ScopeError(
                f"{self.resource.prefix} resources do not support the ability {self.ability!r}.",
                asked=self.ability,
                hint=f"They support {', '.join(possible)}.",
            )
        if self.data is not None:
            object.__setattr__(self, "data", restriction(self.data))

    @classmethod
    def parse(cls, text: str) -> ResourceAbility:
        """Read ``ABILITY=RESOURCE``, as on the command line.

        Raises:
            ScopeError: Not of that form, an unknown resource kind, or an ability it does not support.
        """
        ability, separator, key = text.partition("=")
        if not separator:
            raise ScopeError(
                f"{text!r} is no request.",
                hint=f"Write it as ABILITY=RESOURCE, such as {EXAMPLE_REQUEST}.",
            )
        return cls(Resource.parse(key), ability)

    def __str__(self) -> str:
        return f"{self.ability}={self.resource.key}"

    @property
    def recap_ability(self) -> str:
        """The ability's name in a ReCap, ``namespace/name``."""
        return RECAP_ABILITIES[self.resource.prefix, self.ability]

    def to_json(self) -> dict[str, Any]:
        """The object that goes into session messages; the order of its keys is signed."""
        request: dict[str, Any] = {"resource": self.resource.to_json(), "ability": self.ability}
        if self.data is not None:
            request["data"] = dict(self.data)
        return request

    @classmethod
    def from_json(cls, request: Mapping[str, Any]) -> ResourceAbility:
        """Read back what :meth:`to_json` wrote, or what the SDK did.

        Raises:
            ScopeError: A key is missing or of the wrong type.
        """
        try:
            resource = request["resource"]
            return cls(
                Resource(str(resource["resourcePrefix"]), str(resource["resource"])),
                str(request["ability"]),
                request.get("data"),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ScopeError("A resource request lacks resource, resourcePrefix or ability.") from error


def restriction(data: object) -> dict[str, Any]:
    """Restriction data as JSON makes it; a copy, so the caller may go on changing what it gave.

    Raises:
        ScopeError: No JSON object, something in it that JSON has not, or half of a surrogate pair.
    """
    if not isinstance(data, Mapping):
        raise ScopeError("A restriction is a JSON object.")
    try:
        text = json.dumps(dict(data), ensure_ascii=False, allow_nan=False)
        copy = dict(json.loads(text))
    except (TypeError, ValueError, RecursionError) as error:
        raise ScopeError("A restriction holds something that JSON has not.") from error
    if not is_encodable(text):
        raise ScopeError("A restriction holds half of a character.")
    return copy


@dataclass(frozen=True, slots=True)
class Scope:
    """Everything one session may do; never empty.

    Narrow by default: ask for what is needed. A wildcard has to be written out.
    """

    requests: tuple[ResourceAbility, ...]

    def __post_init__(self) -> None:
        if not self.requests:
            raise ScopeError("A session must ask for something.", hint="Name at least one ABILITY=RESOURCE.")

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Scope:
        """Read a list of ``ABILITY=RESOURCE``.

        Raises:
            ScopeError: An item does not parse, or the list is empty.
        """
        if isinstance(texts, str):
            raise ScopeError("A scope is a list of ABILITY=RESOURCE, not one text.")
        return cls(tuple(ResourceAbility.parse(text) for text in texts))

    @classmethod
    def to_decrypt(cls, resource_id: str) -> Scope:
        """The scope that decrypts one item; ``resource_id`` is ``<hash of conditions>/<hash of data>``."""
        return cls((ResourceAbility(Resource(ACCESS_CONTROL_CONDITION, resource_id), DECRYPTION),))

    def covers(self, asked: Scope) -> bool:
        """Whether nodes would find every request of ``asked`` in a session of this scope.

        As nodes look: where a wildcard of the kind is granted, only that entry counts.
        """
        return all(self._covers_one(request) for request in asked.requests)

    def _covers_one(self, asked: ResourceAbility) -> bool:
        granted = {(r.resource, r.recap_ability) for r in self.requests}
        resources = {resource for resource, _ in granted}
        wildcard = asked.resource.wildcard
        looked_up = wildcard if wildcard in resources else asked.resource
        return (looked_up, asked.recap_ability) in granted

    @property
    def wildcards(self) -> tuple[ResourceAbility, ...]:
        """The requests that ask for all resources of a kind."""
        return tuple(r for r in self.requests if r.resource.id == "*")

    def to_json(self) -> list[dict[str, Any]]:
        """The list that goes into session messages."""
        return [request.to_json() for request in self.requests]

    @classmethod
    def from_json(cls, requests: Iterable[Mapping[str, Any]]) -> Scope:
        """Read back what :meth:`to_json` wrote.

        Raises:
            ScopeError: An item lacks a key, or the list is empty.
        """
        return cls(tuple(ResourceAbility.from_json(request) for request in requests))

    def __str__(self) -> str:
        return ", ".join(str(request) for request in self.requests)
