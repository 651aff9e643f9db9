"""The signed messages inside session sigs: the wallet's delegation, and permissions to use its owner's credits.

Source: docs/protocol/siwe.md, docs/protocol/session-signatures.md and docs/protocol/capacity.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lit_airflow.errors import SiweError
from lit_airflow.inspection.report import Finding
from lit_airflow.inspection.times import moment
from lit_airflow.keys.wallet import recover
from lit_airflow.protocol import siwe
from lit_airflow.protocol.auth_sig import ALGO_BLS
from lit_airflow.protocol.eip4361 import DELEGATION_URI, SignIn
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import URI_PREFIX

_FIELDS = frozenset({"sig", "derivedVia", "signedMessage", "address", "algo"})
_BY_CONTRACT = ("EIP1271", "EIP1271_SHA256")


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability, looked at by itself.

    Attributes:
        name: What it is called in findings.
        message: The sign-in message; ``None`` if that does not parse.
        ends_at: When it ends; ``None`` if never, or if that cannot be read.
        findings: What is wrong with it, whatever it is used for.
        unchecked: What cannot be looked at here.
    """

    name: str
    message: SignIn | None = None
    ends_at: datetime | None = None
    findings: tuple[Finding, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def lender(self) -> str | None:
        """Who lends capacity credits with it, if that is what it does."""
        lends = self.message is not None and self.message.uri == DELEGATION_URI
        return self.message.address if self.message is not None and lends else None


def read(found: object, name: str, now: datetime) -> Capability:
    """Look at one capability: fields, text, time, signature."""
    if not isinstance(found, Mapping) or any(
        not isinstance(found.get(key), str) for key in _FIELDS - {"algo"}
    ):
        text = f"{name} lacks one of the texts sig, derivedVia, signedMessage, address."
        return Capability(name, findings=(Finding("capability-fields", text),))
    findings = []
    unknown = sorted(map(str, found.keys() - _FIELDS))
    if unknown:
        findings.append(Finding("unknown-field", f"{name} has what no node reads: {', '.join(unknown)}."))
    try:
        message = siwe.read(found["signedMessage"])
    except SiweError:
        findings.append(Finding("capability-text", f"{name} is no sign-in message that can be read."))
        return Capability(name, findings=tuple(findings))
    ends_at = moment(message.expiration_time)
    findings += _untimely(message, name, now)
    if found["address"].lower() != message.address.lower():
        text = f"{name} names another wallet beside the signed message than in it."
        findings.append(Finding("capability-address", text))
    wrong, unchecked = _signature(found, message, name)
    return Capability(name, message, ends_at, (*findings, *wrong), unchecked)


def _untimely(message: SignIn, name: str, now: datetime) -> list[Finding]:
    ends_at, begins_at = moment(message.expiration_time), moment(message.not_before)
    given = ((message.expiration_time, ends_at), (message.not_before, begins_at))
    found = [
        Finding("capability-time", f"{name} holds a time that cannot be read.")
        for text, time in given
        if text is not None and time is None
    ]
    if ends_at is not None and now >= ends_at:
        text = f"{name} ended at {ends_at:%Y-%m-%d %H:%M:%S} UTC."
        found.append(Finding("capability-expired", text))
    if begins_at is not None and begins_at > now:
        text = f"{name} begins only at {begins_at:%Y-%m-%d %H:%M:%S} UTC."
        found.append(Finding("capability-not-yet", text))
    return found


def _signature(
    found: Mapping[str, Any], message: SignIn, name: str
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    if found.get("algo") == ALGO_BLS:
        return (), (f"{name}: signed by the network itself, whose key is not in here.",)
    if found["derivedVia"] in _BY_CONTRACT:
        return (), (f"{name}: signed by a contract, which only its chain can confirm.",)
    if found.get("algo") not in (None, "ed25519"):
        return (Finding("capability-kind", f"{name} is signed in a way that is not known here."),), ()
    try:
        good = recover(found["signedMessage"], found["sig"]) == message.address
    except SiweError:
        good = False
    text = f"{name} is not signed by the wallet that it names."
    return () if good else (Finding("capability-signature", text),), ()


def delegation_of(capabilities: list[Capability], public_key: str | None) -> Capability | None:
    """The wallet's delegation: the last one for this session key, else the last one."""
    for capability in reversed(capabilities):
        if capability.message is not None and capability.message.uri == f"{URI_PREFIX}{public_key}":
            return capability
    return capabilities[-1] if capabilities else None


def check_delegation(
    delegation: Capability, public_key: str | None, scope: Scope | None, expires_at: datetime | None
) -> list[Finding]:
    """Whether the delegation carries the session.

    Args:
        delegation: The wallet's delegation.
        public_key: The session key's public half.
        scope: What the session asks for.
        expires_at: When the session's own text ends.
    """
    message = delegation.message
    if message is None:
        return []
    found = []
    if message.uri != f"{URI_PREFIX}{public_key}":
        found.append(Finding("delegation-key", "The wallet delegated to another session key."))
    ends_at = delegation.ends_at
    # The network signs whole seconds.
    if ends_at is not None and expires_at is not None and expires_at - ends_at >= timedelta(seconds=1):
        text = f"The session outlives the wallet's delegation, which ends at {ends_at:%Y-%m-%d %H:%M:%S} UTC."
        found.append(Finding("outlives-delegation", text))
    recaps = [recap for recap in map(_recap, message.resources) if recap is not None]
    if not all((message.statement or "").endswith(recap.statement()) for recap in recaps):
        text = "The statement that the wallet saw does not end with what it allows."
        found.append(Finding("delegation-statement", text))
    for request in scope.requests if scope else ():
        if not any(recap.covers(request.resource, request.ability) for recap in recaps):
            text = f"The wallet did not allow {request.ability} on {request.resource.key}."
            found.append(Finding("delegation-scope", text))
    return found


def _recap(resource: str) -> Recap | None:
    """Nodes skip what is no ReCap."""
    try:
        return Recap.from_urn(resource)
    except SiweError:
        return None
