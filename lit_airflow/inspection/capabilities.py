"""The signed messages inside session sigs: the wallet's delegation, and capacity delegations.

Source: docs/protocol/siwe.md, docs/protocol/session-signatures.md and docs/protocol/capacity.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lit_airflow.errors import SiweError
from lit_airflow.inspection.report import Problem
from lit_airflow.inspection.times import moment
from lit_airflow.keys.address import same_address
from lit_airflow.keys.wallet import recover
from lit_airflow.protocol import siwe
from lit_airflow.protocol.auth_sig import ALGO_BLS
from lit_airflow.protocol.eip4361 import DELEGATION_URI, SignIn
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session_key import URI_PREFIX
from lit_airflow.text import listed, quoted

_FIELDS = frozenset({"sig", "derivedVia", "signedMessage", "address", "algo"})
_BY_CONTRACT = ("EIP1271", "EIP1271_SHA256")


@dataclass(frozen=True, slots=True)
class Capability:
    """A capability, examined by itself.

    Attributes:
        name: Its name in the texts of problems.
        message: The sign-in message; ``None`` if it cannot be parsed.
        ends_at: When it expires; ``None`` for never, or if that cannot be read.
        problems: Its problems, regardless of its use.
        unchecked: What could not be verified.
    """

    name: str
    message: SignIn | None = None
    ends_at: datetime | None = None
    problems: tuple[Problem, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def lender(self) -> str | None:
        """The address of the owner who lends capacity credits; ``None`` if it is not a capacity delegation."""
        lends = self.message is not None and self.message.uri == DELEGATION_URI
        return self.message.address if self.message is not None and lends else None


def read(found: object, name: str, now: datetime) -> Capability:
    """Examine one capability: fields, text, times, signature."""
    if not isinstance(found, Mapping) or any(
        not isinstance(found.get(key), str) for key in _FIELDS - {"algo"}
    ):
        text = f"{name} lacks sig, derivedVia, signedMessage or address."
        return Capability(name, problems=(Problem("capability-fields", text),))
    problems = []
    unknown = sorted(map(str, found.keys() - _FIELDS))
    if unknown:
        problems.append(Problem("unknown-field", f"{name} has unknown fields: {listed(unknown)}."))
    try:
        message = siwe.read(found["signedMessage"])
    except SiweError:
        problems.append(Problem("capability-text", f"{name} is not a valid sign-in message."))
        return Capability(name, problems=tuple(problems))
    ends_at = moment(message.expiration_time)
    problems += _untimely(message, name, now)
    if not same_address(found["address"], message.address):
        text = f"{name} names another address than its signed message."
        problems.append(Problem("capability-address", text))
    wrong, unchecked = _signature(found, message, name)
    return Capability(name, message, ends_at, (*problems, *wrong), unchecked)


def _untimely(message: SignIn, name: str, now: datetime) -> list[Problem]:
    ends_at, begins_at = moment(message.expiration_time), moment(message.not_before)
    given = ((message.expiration_time, ends_at), (message.not_before, begins_at))
    found = [
        Problem("capability-time", f"{name} contains an invalid time.")
        for text, time in given
        if text is not None and time is None
    ]
    if ends_at is not None and now >= ends_at:
        text = f"{name} expired at {ends_at:%Y-%m-%d %H:%M:%S} UTC."
        found.append(Problem("capability-expired", text))
    if begins_at is not None and begins_at > now:
        text = f"{name} is not valid before {begins_at:%Y-%m-%d %H:%M:%S} UTC."
        found.append(Problem("capability-not-yet", text))
    return found


def _signature(
    found: Mapping[str, Any], message: SignIn, name: str
) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    if found.get("algo") == ALGO_BLS:
        return (), (f"{name}: signed by the network, whose public key is not in the document.",)
    if found["derivedVia"] in _BY_CONTRACT:
        return (), (f"{name}: signed by a contract, which only a node of its chain can verify.",)
    if found.get("algo") not in (None, "ed25519"):
        return (Problem("capability-kind", f"{name} has an unknown kind of signature."),), ()
    try:
        good = recover(found["signedMessage"], found["sig"]) == message.address
    except SiweError:
        good = False
    text = f"{name} was not signed by the wallet that it names."
    return () if good else (Problem("capability-signature", text),), ()


def delegation_of(capabilities: list[Capability], public_key: str | None) -> Capability | None:
    """Return the wallet's delegation: the last capability for this session key, or else the last one."""
    for capability in reversed(capabilities):
        if capability.message is not None and capability.message.uri == f"{URI_PREFIX}{public_key}":
            return capability
    return capabilities[-1] if capabilities else None


def check_delegation(
    delegation: Capability, public_key: str | None, scope: Scope | None, expires_at: datetime | None
) -> list[Problem]:
    """Return the problems with the wallet's delegation to the session.

    Args:
        delegation: The wallet's delegation.
        public_key: The public key of the session key.
        scope: What the session requests.
        expires_at: When the session expires, according to its own text.
    """
    message = delegation.message
    if message is None:
        return []
    found = []
    if message.uri != f"{URI_PREFIX}{public_key}":
        found.append(Problem("delegation-key", "The wallet delegated to another session key."))
    ends_at = delegation.ends_at
    # The network signs whole seconds.
    if ends_at is not None and expires_at is not None and expires_at - ends_at >= timedelta(seconds=1):
        text = (
            f"The session lasts longer than the wallet's delegation: until {ends_at:%Y-%m-%d %H:%M:%S} UTC."
        )
        found.append(Problem("outlives-delegation", text))
    recaps = [recap for recap in map(_recap, message.resources) if recap is not None]
    if not all((message.statement or "").endswith(recap.statement()) for recap in recaps):
        text = "The statement that the wallet showed does not end with what it grants."
        found.append(Problem("delegation-statement", text))
    for request in scope.requests if scope else ():
        if not any(recap.covers(request.resource, request.ability) for recap in recaps):
            text = f"The wallet did not grant {request.ability} on {quoted(request.resource.key, 250)}."
            found.append(Problem("delegation-scope", text))
    return found


def _recap(resource: str) -> Recap | None:
    """Parse a ReCap; return ``None`` for another resource, which nodes skip."""
    try:
        return Recap.from_urn(resource)
    except SiweError:
        return None
