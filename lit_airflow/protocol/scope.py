"""What a session may do: resources, abilities, and whether one scope covers another.

Source: docs/protocol/scope.md; ``@lit-protocol/auth-helpers`` 7.4.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lit_airflow.errors import ScopeError
from lit_airflow.json_input import parse_object
from lit_airflow.text import is_encodable, quoted

ACCESS_CONTROL_CONDITION = "lit-accesscontrolcondition"
PKP = "lit-pkp"
RATE_LIMIT_INCREASE = "lit-ratelimitincrease"
LIT_ACTION = "lit-litaction"

DECRYPTION = "access-control-condition-decryption"
RATE_LIMIT_AUTH = "rate-limit-increase-auth"

# (resource prefix, ability) -> the ability's name in a ReCap. Other pairs do not exist.
RECAP_ABILITIES: Mapping[tuple[str, str], str] = {
    (ACCESS_CONTROL_CONDITION, DECRYPTION): "Threshold/Decryption",
    (ACCESS_CONTROL_CONDITION, "access-control-condition-signing"): "Threshold/Signing",
    (PKP, "pkp-signing"): "Threshold/Signing",
    (RATE_LIMIT_INCREASE, RATE_LIMIT_AUTH): "Auth/Auth",
    (LIT_ACTION, "lit-action-execution"): "Threshold/Execution",
}
EXAMPLE_REQUEST = f"{DECRYPTION}={ACCESS_CONTROL_CONDITION}://*"
"""A request as text, for hints and help texts."""
PREFIXES = tuple(dict.fromkeys(prefix for prefix, _ in RECAP_ABILITIES))

_PKP_ID_LENGTH = 64
_HEX = re.compile(r"[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of Lit, such as ``lit-accesscontrolcondition://*``.

    Attributes:
        prefix: One of :data:`PREFIXES`.
        id: ``*`` for all resources of the kind, or one id: ``<hash of conditions>/<hash of data>``, a token id,
            an IPFS CID.

    Raises:
        ScopeError: The prefix is unknown, or the id is not possible.
    """

    prefix: str
    id: str

    def __post_init__(self) -> None:
        if self.prefix not in PREFIXES:
            raise ScopeError(
                f"Unknown Lit resource prefix {quoted(self.prefix)}.",
                hint=f"Use one of {', '.join(PREFIXES)}.",
            )
        if not is_encodable(self.id):
            raise ScopeError("The resource id contains an unpaired surrogate.")
        if self.prefix == PKP:
            object.__setattr__(self, "id", _pkp_id(self.id))

    @classmethod
    def parse(cls, key: str) -> Resource:
        """Parse a resource key, ``prefix://id``.

        Raises:
            ScopeError: It has another form, or an unknown prefix.
        """
        prefix, separator, resource_id = key.partition("://")
        if not separator:
            raise ScopeError(f"{quoted(key)} is not a resource key.", hint="Write it as prefix://id.")
        return cls(prefix, resource_id)

    @property
    def key(self) -> str:
        """The resource as text, ``prefix://id``."""
        return f"{self.prefix}://{self.id}"

    @property
    def wildcard(self) -> Resource:
        """The resource that stands for all resources of this kind."""
        return Resource(self.prefix, "*")

    def to_json(self) -> dict[str, str]:
        """Return the object for session messages; the order of its keys is signed."""
        return {"resource": self.id, "resourcePrefix": self.prefix}


def _pkp_id(text: str) -> str:
    """Pad a token id to 32 bytes of hex; leave a text that is not hex (``*``) unchanged."""
    bare = text.removeprefix("0x")
    if len(bare) > _PKP_ID_LENGTH:
        raise ScopeError("The token id of a PKP has more than 32 bytes of hex.")
    return bare.rjust(_PKP_ID_LENGTH, "0") if _HEX.fullmatch(bare) else bare


@dataclass(frozen=True, slots=True)
class ResourceAbility:
    """A request for one ability on one resource.

    Attributes:
        resource: The resource.
        ability: A Lit ability such as ``access-control-condition-decryption``.
        data: Restriction data, a JSON object; the order of its keys is signed. ``None`` for none.

    Raises:
        ScopeError: The resource does not support the ability, or the restriction is not a JSON object.
    """

    resource: Resource
    ability: str
    data: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if (self.resource.prefix, self.ability) not in RECAP_ABILITIES:
            possible = [a for prefix, a in RECAP_ABILITIES if prefix == self.resource.prefix]
            raise ScopeError(
                f"{self.resource.prefix} resources do not support the ability {quoted(self.ability)}.",
                asked=self.ability,
                hint=f"They support {', '.join(possible)}.",
            )
        if self.data is not None:
            object.__setattr__(self, "data", restriction(self.data))

    @classmethod
    def parse(cls, text: str) -> ResourceAbility:
        """Parse ``ABILITY=RESOURCE``, as on the command line.

        Raises:
            ScopeError: It has another form, an unknown prefix, or an ability that the resource does not
                support.
        """
        if not isinstance(text, str):  # what a template or XCom gives can be anything
            raise ScopeError(f"A request is a text ABILITY=RESOURCE, not {type(text).__name__}.")
        ability, separator, key = text.partition("=")
        if not separator:
            raise ScopeError(
                f"{quoted(text)} is not a request.",
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
        """Return the object for session messages; the order of its keys is signed."""
        request: dict[str, Any] = {"resource": self.resource.to_json(), "ability": self.ability}
        if self.data is not None:
            request["data"] = dict(self.data)
        return request

    @classmethod
    def from_json(cls, request: Mapping[str, Any]) -> ResourceAbility:
        """Parse the object of a session message.

        Raises:
            ScopeError: A key is missing or has the wrong type, or the request is not possible.
        """
        resource = request.get("resource") if isinstance(request, Mapping) else None
        found = resource if isinstance(resource, Mapping) else {}
        texts = (
            found.get("resourcePrefix"),
            found.get("resource"),
            request.get("ability") if found else None,
        )
        if not all(isinstance(text, str) for text in texts):
            raise ScopeError("A resource request needs the texts resource, resourcePrefix and ability.")
        prefix, resource_id, ability = map(str, texts)
        return cls(Resource(prefix, resource_id), ability, request.get("data"))


def restriction(data: object) -> dict[str, Any]:
    """Return a copy of restriction data, as JSON transports it.

    Raises:
        ScopeError: It is not a JSON object, JSON cannot represent it, or it contains an unpaired surrogate.
    """
    if not isinstance(data, Mapping):
        raise ScopeError("A restriction must be a JSON object.")
    try:
        text = json.dumps(dict(data), ensure_ascii=False, allow_nan=False)
        copy = parse_object(text)
    except (TypeError, ValueError, RecursionError):
        raise ScopeError(
            "The restriction contains a value that JSON cannot represent, or is nested too deeply."
        ) from None
    if not is_encodable(text):
        raise ScopeError("The restriction contains an unpaired surrogate.")
    return copy


@dataclass(frozen=True, slots=True)
class Scope:
    """All requests of one session; never empty.

    Ask only for what is needed; a wildcard must be written explicitly.

    Attributes:
        requests: The requests, in signed order.

    Raises:
        ScopeError: There are no requests.
    """

    requests: tuple[ResourceAbility, ...]

    def __post_init__(self) -> None:
        if not self.requests:
            raise ScopeError("The scope is empty.", hint="Request at least one ABILITY=RESOURCE.")

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Scope:
        """Parse a list of ``ABILITY=RESOURCE``.

        Raises:
            ScopeError: It is not a list, an item is not a request, or the list is empty.
        """
        if isinstance(texts, str | bytes | Mapping) or not isinstance(texts, Iterable):
            raise ScopeError(f"A scope must be a list of ABILITY=RESOURCE, not {type(texts).__name__}.")
        return cls(tuple(ResourceAbility.parse(text) for text in texts))

    @classmethod
    def to_decrypt(cls, resource_id: str) -> Scope:
        """Return the scope for decrypting one item.

        Args:
            resource_id: ``<hash of conditions>/<hash of data>``, see :meth:`Conditions.resource_id`.
        """
        return cls((ResourceAbility(Resource(ACCESS_CONTROL_CONDITION, resource_id), DECRYPTION),))

    def __or__(self, other: Scope) -> Scope:
        """Combine two scopes: one narrow session for several containers."""
        return Scope(tuple(dict.fromkeys((*self.requests, *other.requests))))

    def covers(self, asked: Scope) -> bool:
        """Return whether nodes accept every request of ``asked`` in a session of this scope.

        As on the nodes, if a wildcard of the kind is granted, only the wildcard counts.
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
        """The requests for all resources of a kind."""
        return tuple(r for r in self.requests if r.resource.id == "*")

    def to_json(self) -> list[dict[str, Any]]:
        """Return the list for session messages."""
        return [request.to_json() for request in self.requests]

    @classmethod
    def from_json(cls, requests: Iterable[Mapping[str, Any]]) -> Scope:
        """Parse the list of a session message.

        Raises:
            ScopeError: It is not a list, an item is not a request, or the list is empty.
        """
        if not isinstance(requests, Iterable):
            raise ScopeError("A scope must be a list of resource requests.")
        return cls(tuple(ResourceAbility.from_json(request) for request in requests))

    def __str__(self) -> str:
        return ", ".join(str(request) for request in self.requests)
