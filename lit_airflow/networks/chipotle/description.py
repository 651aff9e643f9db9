"""The description of a Chipotle network: where the service is, and whom data is sealed to.

Source: docs/protocol/gate.md#who-holds-what.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from lit_airflow.errors import ConditionError, SettingsError
from lit_airflow.json_input import JsonInputError, parse_object
from lit_airflow.networks.chipotle.rpc_urls import check_rpc
from lit_airflow.networks.descriptions import CUSTOM
from lit_airflow.transport.addresses import check_url, is_loopback


class Policy(StrEnum):
    """What a connection demands of the service's proof of its build."""

    OFF = "off"
    REPORT = "report"
    """Verify when a session is opened, and say what was found."""
    REQUIRE = "require"
    """Send nothing to a service that does not prove an accepted build."""


ReadSecret = Callable[[], Mapping[str, Any]]
"""Reads the secret of decrypting roles: ``api_key``, ``gates``, ``locks``."""

API_KEY_FIELD = "api_key"

_KEY_HEX = re.compile(r"[0-9a-f]{64}")
_TCB_NAME = re.compile(r"(?!Revoked)[A-Za-z][A-Za-z0-9-]*")
_KEYS = ("gate_key", "lock_key", "recovery_key")
_SECRET_FIELDS = ("api_key", "gates", "locks")
_OTHER_FIELDS = frozenset({"gates", "locks", "pending_gate", "rotation"})
_LOCAL_HOSTS = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipotleDescription:
    """One network.

    Attributes:
        network: Its name; ``custom`` for one that is not known.
        generation: Which protocol it speaks.
        api_url: The service's base URL, with ``/core/v1``.
        gate_key: What data is sealed to, and what sessions are signed for, 64 hex digits; empty to ask for it.
        lock_key: The deployment's own public key, 64 hex digits; empty for none.
        recovery_key: The data owner's public key, whose secret half is kept offline; empty for none.
        allow_unlocked: Whether containers without a lock are opened although ``lock_key`` is set.
        plain_http: Whether a service on another host may be reached over plain http, which shows the API key.
        rpc: Chain -> URLs of JSON-RPC servers that are believed for it.
        api_key_field: Which field of the secret has the API key.
        attestation: What is demanded of the service's proof of its build.
        compose_hash: The builds to accept, each SHA-256 of a compose text, 64 hex digits.
        machine_hash: The machines to accept, 64 hex digits each; empty for any.
        tcb_accepted: TCB statuses and Intel advisories to accept beside ``UpToDate`` without any.
        collateral: The https URL of a PCCS, or the path of a file; empty for Intel's own server.
        read_secret: Reads the secret of decrypting roles; ``None`` where this role only encrypts or opens sessions.
    """

    network: str = CUSTOM
    generation: str = "chipotle"
    api_url: str = ""
    gate_key: str = ""
    lock_key: str = ""
    recovery_key: str = ""
    allow_unlocked: bool = False
    plain_http: bool = False
    rpc: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False, repr=False)
    api_key_field: str = API_KEY_FIELD
    attestation: Policy = Policy.OFF
    compose_hash: tuple[str, ...] = ()
    machine_hash: tuple[str, ...] = ()
    tcb_accepted: tuple[str, ...] = ()
    collateral: str = ""
    read_secret: ReadSecret | None = field(default=None, repr=False, compare=False)

    @property
    def local(self) -> bool:
        """Whether the service runs on this machine, where containers may name chains on it."""
        return urlsplit(self.api_url).hostname in _LOCAL_HOSTS


def describe(given: Mapping[str, Any], known: Mapping[str, Any] | None) -> ChipotleDescription:
    """Return the description of a Chipotle network.

    Args:
        given: What the user wrote: the attributes of :class:`ChipotleDescription` as keys; for the local network
            also the secret's fields ``api_key``, ``gates`` and ``locks``. Programs may give ``read_secret``,
            a function that returns these. Lists may be texts with commas. Unknown keys are ignored.
        known: The public network's own row, which ``given`` overrides.

    Raises:
        SettingsError: A value that cannot be right.
    """
    row = {**(known or {}), **{key: value for key, value in given.items() if value not in (None, "")}}
    api_url = row.get("api_url", "")
    for name in ("allow_unlocked", "plain_http"):
        if not isinstance(row.get(name, False), bool):
            raise SettingsError(f"{name} must be true or false.", field=name)
    plain_http = row.get("plain_http", False)
    parts = check_url(api_url, "api_url")
    if parts.scheme != "https" and not is_loopback(str(parts.hostname)) and not plain_http:
        raise SettingsError(
            "api_url names another host and is not https: the API key could be read on the way.",
            field="api_url",
            hint="Use https, or set plain_http in a network description.",
        )
    if "@" in parts.netloc:
        raise SettingsError(
            "api_url must not contain a user name or password: it is shown as the server's name.",
            field="api_url",
        )
    for name in _KEYS:
        key = row.get(name, "")
        if key and not (isinstance(key, str) and _KEY_HEX.fullmatch(key)):
            raise SettingsError(f"{name} must be 64 lower-case hex digits.", field=name)
    api_key_field = row.get("api_key_field", API_KEY_FIELD)
    if not isinstance(api_key_field, str) or api_key_field in _OTHER_FIELDS:
        raise SettingsError(
            "api_key_field must name a field of its own.",
            field="api_key_field",
            hint=f"Not one of {', '.join(sorted(_OTHER_FIELDS))}.",
        )
    read_secret = given.get("read_secret")
    if not callable(read_secret):
        read_secret = _inline_secret(given)
        api_key_field = API_KEY_FIELD if read_secret else api_key_field
    return ChipotleDescription(
        network=str(row.get("network", CUSTOM)),
        api_url=api_url.rstrip("/"),
        allow_unlocked=row.get("allow_unlocked", False),
        plain_http=plain_http,
        rpc=_rpc(row.get("rpc", {})),
        api_key_field=api_key_field,
        read_secret=read_secret,
        **_attestation(row),
        **{name: row.get(name, "") for name in _KEYS},
    )


def _rpc(given: object) -> Mapping[str, Sequence[str]]:
    """Return the URLs; a connection's field gives them as a JSON text."""
    try:
        rpc = parse_object(given) if isinstance(given, str) else given
        check_rpc(rpc, local=True)  # type: ignore[arg-type]  # it checks for an object
    except JsonInputError as error:
        raise SettingsError(f"rpc cannot be read: {error}", field="rpc") from None
    except ConditionError as error:
        raise SettingsError(error.message, field=error.field, hint=error.hint) from None
    return rpc  # type: ignore[return-value]  # checked


def _attestation(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields about attestation."""
    try:
        policy = Policy(row.get("attestation", Policy.OFF))
    except ValueError:
        raise SettingsError(f"attestation must be {', '.join(Policy)}.", field="attestation") from None
    if policy is not Policy.OFF and urlsplit(row["api_url"]).scheme != "https":
        raise SettingsError(
            "attestation needs an https api_url: what is attested is the certificate of the connection.",
            field="api_url",
        )
    collateral = row.get("collateral", "")
    if not isinstance(collateral, str):
        raise SettingsError("collateral must be an https URL or a path.", field="collateral")
    if "://" in collateral:
        parts = check_url(collateral, "collateral")
        if parts.scheme != "https" and parts.hostname not in _LOCAL_HOSTS:
            raise SettingsError("collateral must be an https URL or a path.", field="collateral")
    return {
        "attestation": policy,
        "compose_hash": _listed(row, "compose_hash", _KEY_HEX, "64 lower-case hex digits"),
        "machine_hash": _listed(row, "machine_hash", _KEY_HEX, "64 lower-case hex digits"),
        "tcb_accepted": _listed(row, "tcb_accepted", _TCB_NAME, "a TCB status or the name of an advisory"),
        "collateral": collateral,
    }


def _listed(row: Mapping[str, Any], name: str, form: re.Pattern[str], words: str) -> tuple[str, ...]:
    given = row.get(name, ())
    parts = given.replace(",", " ").split() if isinstance(given, str) else given
    if not isinstance(parts, list | tuple) or not all(
        isinstance(each, str) and form.fullmatch(each) for each in parts
    ):
        raise SettingsError(f"Each of {name} must be {words}.", field=name)
    return tuple(parts)


def _inline_secret(given: Mapping[str, Any]) -> ReadSecret | None:
    secret = {name: given[name] for name in _SECRET_FIELDS if given.get(name) not in (None, "")}
    return (lambda: secret) if secret else None
