"""Sealing what crosses XCom: a flat JSON object of public facts, bound to what is sealed beside them.

Used for tickets and for plaintext. A changed fact does not open.

Source: ``docs/adr/0002-what-crosses-xcom.md``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lit_airflow.errors import SettingsError, TicketError
from lit_airflow.keys.secret import Secret

if TYPE_CHECKING:
    from lit_airflow.keys.vault import Vault

RUN_AGAIN = "Delete the XCom of the session task's last run, and run it again."


class Seal(Protocol):
    """A way to seal."""

    @property
    def facts(self) -> dict[str, str]:
        """The facts about the seal itself: ``seal``, and where its key is."""
        ...

    def seal(self, plaintext: Secret, bound: bytes) -> str:
        """Seal; opening needs the same ``bound``.

        Raises:
            SecretError: Vault cannot be used, or this role may not seal.
        """
        ...

    def open(self, sealed: str, bound: bytes) -> Secret:
        """Open what :meth:`seal` made.

        Raises:
            TicketError: Altered, bound to something else, or sealed under another key.
            SecretError: Vault cannot be used, or this role may not open.
        """
        ...


@dataclass(frozen=True, slots=True)
class TransitSeal:
    """A key that never leaves Vault; its policies say which roles may seal and which may open.

    Attributes:
        vault: The server, as this role sees it.
        mount: The Transit engine's mount.
        key: The Transit key's name.
    """

    vault: Vault
    mount: str
    key: str

    @property
    def facts(self) -> dict[str, str]:
        """``seal``, ``transit_mount`` and ``transit_key``."""
        return {"seal": "transit", "transit_mount": self.mount, "transit_key": self.key}

    def seal(self, plaintext: Secret, bound: bytes) -> str:
        """Seal with Transit, ``bound`` as associated data."""
        return self.vault.seal(plaintext, bound, mount=self.mount, key=self.key)

    def open(self, sealed: str, bound: bytes) -> Secret:
        """Open with Transit."""
        return self.vault.open(sealed, bound, mount=self.mount, key=self.key)


class FernetSeal:
    """A key that both sides have, so that both can seal and open.

    Args:
        key: 32 bytes in URL-safe base64.

    Raises:
        SettingsError: The key is not that.
    """

    def __init__(self, key: Secret) -> None:
        from cryptography.fernet import Fernet  # noqa: PLC0415 - only where this seal is chosen

        try:
            self._fernet = Fernet(key.reveal())
        except ValueError:
            raise SettingsError(
                "seal_secret must be 32 bytes in URL-safe base64.",
                field="seal_secret",
                hint="Make one with cryptography.fernet.Fernet.generate_key().",
            ) from None

    @property
    def facts(self) -> dict[str, str]:
        """``seal`` alone."""
        return {"seal": "fernet"}

    def seal(self, plaintext: Secret, bound: bytes) -> str:
        """Seal. Fernet has no associated data, so the hash of ``bound`` goes inside."""
        return self._fernet.encrypt(hashlib.sha256(bound).digest() + plaintext.reveal()).decode()

    def open(self, sealed: str, bound: bytes) -> Secret:
        """Open, and compare the hash."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - see __init__

        try:
            opened = Secret(self._fernet.decrypt(sealed.encode()))
        except (InvalidToken, UnicodeEncodeError):
            raise TicketError(
                "The seal does not open: it was altered, or sealed under another key.", hint=RUN_AGAIN
            ) from None
        digest = hashlib.sha256(bound).digest()
        if not hmac.compare_digest(opened.reveal()[: len(digest)], digest):
            raise TicketError("The public facts beside the seal were altered.", hint=RUN_AGAIN)
        return Secret(opened.reveal()[len(digest) :])


def seal_with_facts(facts: Mapping[str, Any], contents: Secret, seal: Seal) -> dict[str, Any]:
    """Return the facts, those of the seal, and ``sealed``: one flat JSON object.

    Args:
        facts: JSON values that anybody may read.
        contents: What to seal.
        seal: How.

    Raises:
        SecretError: Vault cannot be used, or this role may not seal.
    """
    public = {**facts, **seal.facts}
    return {**public, "sealed": seal.seal(contents, _bound(public))}


def open_with_facts(sealed: Mapping[str, Any], seal: Seal) -> Secret:
    """Return what :func:`seal_with_facts` sealed, if no fact was changed.

    Args:
        sealed: The object; its ``sealed`` is a text.
        seal: How this side opens.

    Raises:
        TicketError: Altered, or sealed under another key.
        SecretError: Vault cannot be used, or this role may not open.
    """
    facts = {key: value for key, value in sealed.items() if key != "sealed"}
    try:
        bound = _bound(facts)
    except (
        TypeError,
        ValueError,
        RecursionError,
    ):  # not JSON, or numbers and depths that Python refuses to write
        raise TicketError("The public facts beside the seal were altered.", hint=RUN_AGAIN) from None
    return seal.open(sealed["sealed"], bound)


def is_sealed_by(sealed: Mapping[str, Any], seal: Seal) -> bool:
    """Return whether an object names this seal and this key."""
    return all(sealed.get(key) == value for key, value in seal.facts.items())


def _bound(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
