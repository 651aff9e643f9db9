"""Sessions: a short-lived key, the wallet's delegation to it, and the signatures it made for the nodes.

Source: docs/protocol/session-signatures.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lit_airflow.clock import parse_iso
from lit_airflow.errors import LitError, ScopeError, SessionError, SessionExpiredError
from lit_airflow.json_input import parse_object, try_parse
from lit_airflow.keys.address import same_address
from lit_airflow.keys.secret import NotPicklable, Secret
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session_fields import earliest_end, is_encodable_json, is_key, is_signature
from lit_airflow.protocol.session_key import URI_PREFIX, SessionKey
from lit_airflow.text import cut, printable, word

__all__ = ["SESSION_SIGS", "URI_PREFIX", "Session", "SessionKey", "SessionSigs", "earliest_end"]

SESSION_SIGS = "session-sigs/1"
"""The kind of these sessions, as tickets name it."""

SessionSigs = dict[str, dict[str, str]]
"""Node URL -> ``{sig, derivedVia, signedMessage, address, algo}``, as the SDK's ``getSessionSigs``."""

_TEXTS = ("wallet", "public_key", "issued_at", "expiration")
_MAX_SCOPE_CHARS = 1000


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Session(NotPicklable):
    """An open session. Contains secrets: seal it before it leaves the process.

    Attributes:
        network: The network it was opened on; ``None`` if it was read from session sigs.
        wallet: The address of the wallet that delegated, EIP-55 checksummed.
        public_key: The public key of the session key, 64 hex digits.
        scope: What the session may do.
        issued_at: When it begins, RFC 3339 text as signed.
        expiration: When it ends, RFC 3339 text as signed.
        expires_at: When it ends; earlier than ``expiration`` if the wallet's delegation ends earlier.
        capabilities: The authSigs it carries, in signed order; the last is the wallet's delegation.
        session_sigs: Its signatures, by node.
        key: The session key, for signing for nodes that join later; ``None`` if it was not kept.
        committee: What its opener found out about the nodes, JSON, for other processes; ``None`` if that was not
            kept. Nothing here believes it.
    """

    network: str | None
    wallet: str
    public_key: str
    scope: Scope
    issued_at: str
    expiration: str
    expires_at: datetime
    capabilities: tuple[Mapping[str, Any], ...]
    session_sigs: SessionSigs
    key: SessionKey | None = None
    committee: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Session(network={self.network!r}, wallet={self.wallet!r}, expires_at={self.expires_at})"

    @property
    def kind(self) -> str:
        """The kind of session, as tickets name it."""
        return SESSION_SIGS

    def secrets(self) -> Iterator[str]:
        """Yield the secret texts: the key's seed and all signatures."""
        if self.key is not None:
            yield self.key.seed.reveal().hex()
        yield from (capability["sig"] for capability in self.capabilities)
        yield from (signed["sig"] for signed in self.session_sigs.values())

    def root_secrets(self) -> Iterator[str]:
        """Yield those without which the others open nothing: the key's seed and what the session carries.

        A node takes a signature of the session key only with the text that it signs, and that text contains the
        signature of the wallet's delegation, which nobody can guess. Where that is hidden, the former need not be.
        """
        if self.key is not None:
            yield self.key.seed.reveal().hex()
        yield from (capability["sig"] for capability in self.capabilities)

    def check_delegation(self, wallet: str, now: datetime) -> None:
        """Check that a wallet delegated all of this session's scope to its key.

        Args:
            wallet: The address of the expected wallet.
            now: The time.

        Raises:
            SessionError: Another wallet or none did, or the delegation is not valid at this time.
        """
        # Not where a session is only used: it brings sign-in messages, ReCaps and wallets.
        from lit_airflow.protocol.auth_sig import AuthSig  # noqa: PLC0415 - see above
        from lit_airflow.protocol.delegation import check_delegation  # noqa: PLC0415 - the same

        if not self.capabilities:
            raise SessionError("The session has no delegation.")
        check_delegation(
            AuthSig.from_json(self.capabilities[-1]),
            session_uri=URI_PREFIX + self.public_key,
            scope=self.scope,
            now=now,
            wallet=wallet,
        )
        if not same_address(self.wallet, wallet):
            raise SessionError(f"The session names the wallet {word(self.wallet)}, not {word(wallet)}.")

    def check_alive(self, now: datetime) -> None:
        """Check that the session has not expired.

        Raises:
            SessionExpiredError: It has.
        """
        if now >= self.expires_at:
            raise SessionExpiredError(
                f"The session of {self.wallet} expired at {self.expires_at:%Y-%m-%d %H:%M:%S} UTC.",
                expired_at=self.expires_at,
                now=now,
                hint="Run the session task again.",
            )

    def check_covers(self, asked: Scope) -> None:
        """Check that the session's scope covers a request.

        Raises:
            ScopeError: It does not.
        """
        if not self.scope.covers(asked):
            raise ScopeError(
                f"The session's scope does not cover {_shown(asked)}.",
                asked=str(asked),
                granted=str(self.scope),
                hint=f"It covers {_shown(self.scope)}. Open a session whose scope covers the request: in a DAG, "
                "give the session task's encrypted parameter the same file.",
            )

    def to_json(self, *, with_key: bool = True) -> dict[str, Any]:
        """Return everything, including the session's secrets. Prefer :meth:`to_secret`.

        Args:
            with_key: Whether to include the session key.
        """
        contents = {
            "network": self.network,
            "wallet": self.wallet,
            "scope": self.scope.to_json(),
            "issued_at": self.issued_at,
            "expiration": self.expiration,
            "capabilities": [dict(capability) for capability in self.capabilities],
            "session_sigs": self.session_sigs,
            "public_key": self.public_key,
            "seed": self.key.seed.reveal().hex() if self.key is not None and with_key else None,
        }
        return contents if self.committee is None else {**contents, "committee": self.committee}

    def to_secret(self, *, with_key: bool = True) -> Secret:
        """Return :meth:`to_json` as compact JSON, for sealing.

        Args:
            with_key: Whether to include the session key.
        """
        return Secret(json.dumps(self.to_json(with_key=with_key), separators=(",", ":")).encode())

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Session:
        """Read what :meth:`to_json` returned.

        Raises:
            SessionError: A field is missing, or has the wrong type.
            ScopeError: The scope is not possible.
        """
        session = _from_contents(data)
        del data  # so that the frame of the error does not contain it
        return _checked(session)

    @classmethod
    def from_secret(cls, contents: Secret) -> Session:
        """Read what :meth:`to_secret` returned.

        Raises:
            SessionError: It is not a JSON object, a field is missing, or has the wrong type.
            ScopeError: The scope is not possible.
        """
        return _checked(_from_contents(try_parse(contents)))

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Session:
        """Create a session from the output of ``lit-airflow session``.

        Args:
            document: Session sigs, or ``{"sessionSigs": {...}, "sessionKey": {"publicKey", "secretKey"}}``.

        Raises:
            SessionError: As :meth:`from_session_sigs`, or the key is malformed or belongs to another session.
            ScopeError: The scope is not possible.
        """
        session = _from_document(document)
        del document  # so that the frame of the error does not contain it
        return _checked(session)

    @classmethod
    def from_session_sigs(cls, session_sigs: Mapping[str, Any]) -> Session:
        """Create a session from session sigs of this package or the SDK. It cannot sign for further nodes.

        Raises:
            SessionError: There are none, or an entry is not a session signature.
            ScopeError: The scope is not possible.
        """
        session = _from_signatures(session_sigs)
        del session_sigs  # so that the frame of the error does not contain them
        return _checked(session)


def _checked(session: Session | LitError) -> Session:
    if isinstance(session, LitError):
        raise session
    return session


# The functions below return errors instead of raising them: their frames contain the session's secrets.


def _from_contents(data: object) -> Session | LitError:
    try:
        contents = dict(data)  # type: ignore[call-overload]  # anything at all: a TypeError if it is not a mapping
        if not is_encodable_json(contents):
            return SessionError("The session contains an unpaired surrogate.")
        capabilities = tuple(contents["capabilities"])
        if not all(isinstance(contents[name], str) for name in _TEXTS) or not is_key(contents["public_key"]):
            return SessionError("A field of the session has the wrong type.")
        parse_iso(contents["issued_at"])
        return Session(
            network=contents["network"],
            wallet=contents["wallet"],
            public_key=contents["public_key"],
            scope=Scope.from_json(contents["scope"]),
            issued_at=contents["issued_at"],
            expiration=contents["expiration"],
            expires_at=earliest_end(contents["expiration"], capabilities),
            capabilities=capabilities,
            session_sigs=contents["session_sigs"],
            key=None if contents["seed"] is None else SessionKey.from_hex(contents["seed"]),
            committee=committee if isinstance(committee := contents.get("committee"), Mapping) else None,
        )
    except LitError as error:
        return error.with_traceback(None)
    except (KeyError, TypeError, ValueError, RecursionError):
        return SessionError("The session is incomplete, or a field has the wrong type.")


def _from_document(document: Mapping[str, Any]) -> Session | LitError:
    other = next((text for field, text in _OTHER_DOCUMENTS.items() if field in document), None)
    if other is not None:
        return SessionError(other[0], hint=other[1])
    sigs, pair = document.get("sessionSigs"), document.get("sessionKey")
    if not isinstance(sigs, Mapping) or not isinstance(pair, Mapping):
        return _from_signatures(document)
    session = _from_signatures(sigs)
    if isinstance(session, LitError):
        return session
    try:
        key = SessionKey.from_hex(str(pair.get("secretKey")))
    except SessionError as error:
        return error.with_traceback(None)
    if key.public_key != session.public_key:
        return SessionError("The session key belongs to another session.")
    return replace(session, key=key)


def _from_signatures(session_sigs: object) -> Session | LitError:
    if not isinstance(session_sigs, Mapping) or not session_sigs:
        return SessionError("Session sigs must be a non-empty JSON object: node URL -> signature object.")
    if not all(map(is_signature, session_sigs.values())) or not is_encodable_json(session_sigs):
        return SessionError("An entry of the session sigs is not a signature object.", hint=_HINT)
    try:
        signed = parse_object(next(iter(session_sigs.values()))["signedMessage"])
        capabilities = tuple(signed["capabilities"])
        wallet, public_key = capabilities[-1]["address"], signed["sessionKey"]
        if not isinstance(wallet, str) or not is_key(public_key):
            return SessionError("The signed text of the session sigs names no wallet or key.", hint=_HINT)
        parse_iso(signed["issuedAt"])
        return Session(
            network=None,
            wallet=wallet,
            public_key=public_key,
            scope=Scope.from_json(signed["resourceAbilityRequests"]),
            issued_at=signed["issuedAt"],
            expiration=signed["expiration"],
            expires_at=earliest_end(signed["expiration"], capabilities),
            capabilities=capabilities,
            session_sigs={node: dict(sig) for node, sig in session_sigs.items()},
        )
    except LitError as error:
        return error.with_traceback(None)
    except (KeyError, TypeError, ValueError, IndexError):
        return SessionError("The signed text of the session sigs is incomplete or malformed.", hint=_HINT)


_HINT = "Pass what getSessionSigs returned, unchanged."
# What people give in place of session sigs: a key of the document -> message and hint.
_OTHER_DOCUMENTS = {
    "sealed": (
        "This is a ticket, which contains its session encrypted, not session sigs.",
        "Only tasks with a Lit connection can open it. On the command line, use `lit-airflow session`.",
    ),
    "ciphertext": ("This is a container, not session sigs.", _HINT),
}


def _shown(scope: Scope) -> str:
    return printable(cut(str(scope), _MAX_SCOPE_CHARS))
