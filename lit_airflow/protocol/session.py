"""The session: a short-lived key, the wallet's delegation to it, and what it has signed for the nodes.

Source: docs/protocol/session-signatures.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lit_airflow.clock import parse_iso
from lit_airflow.errors import ScopeError, SessionError, SessionExpiredError
from lit_airflow.keys.address import same_address
from lit_airflow.keys.secret import Secret
from lit_airflow.protocol.scope import Scope
from lit_airflow.text import is_encodable, quoted

URI_PREFIX = "lit:session:"
SESSION_SIGS = "session-sigs/1"
"""The kind of these sessions, as tickets name it."""

SessionSigs = dict[str, dict[str, str]]
"""Node URL -> ``{sig, derivedVia, signedMessage, address, algo}``, as the SDK's ``getSessionSigs``."""

_SEED_BYTES = 32
_EXPIRATION_LINE = re.compile(r"^Expiration Time: (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SessionKey:
    """An ed25519 key pair (RFC 8032).

    Attributes:
        seed: The 32 secret bytes.
        public_key: 64 hex digits.
    """

    seed: Secret
    public_key: str = field(init=False)

    def __post_init__(self) -> None:
        if len(self.seed) != _SEED_BYTES:
            raise SessionError("A session key's seed has 32 bytes.")
        public = Ed25519PrivateKey.from_private_bytes(self.seed.reveal()).public_key()
        object.__setattr__(self, "public_key", public.public_bytes_raw().hex())

    @classmethod
    def generate(cls) -> SessionKey:
        """A new key from the operating system's randomness."""
        return cls(Secret(Ed25519PrivateKey.generate().private_bytes_raw()))

    @classmethod
    def from_hex(cls, secret_key: str) -> SessionKey:
        """From hex: the 32-byte seed, or seed and public key as the SDK stores them.

        Raises:
            SessionError: Not hex, another length, or halves that do not belong together.
        """
        try:
            raw = bytes.fromhex(secret_key)
        except ValueError:
            raise SessionError("A session key is 64 or 128 hex digits.") from None
        key = cls(Secret(raw[:_SEED_BYTES]))
        if raw[_SEED_BYTES:] not in (b"", bytes.fromhex(key.public_key)):
            raise SessionError("The session key's halves do not belong together.")
        return key

    @property
    def uri(self) -> str:
        """Who the wallet delegates to: ``lit:session:`` and the public key."""
        return URI_PREFIX + self.public_key

    def sign(self, text: str) -> str:
        """The signature of the text's UTF-8, 128 hex digits.

        Raises:
            SessionError: Half of a surrogate pair, which has no UTF-8; it comes from an authSig to be carried.
        """
        if not is_encodable(text):
            raise SessionError("What is to be signed holds half of a character.")
        return Ed25519PrivateKey.from_private_bytes(self.seed.reveal()).sign(text.encode()).hex()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Session:
    """An open session.

    Attributes:
        network: The network it was opened on; ``None`` where it came as bare session sigs.
        wallet: Who delegated, EIP-55 checksummed.
        public_key: The session key's public half, 64 hex digits.
        scope: What it may do.
        issued_at: When it began, RFC 3339 text as signed.
        expiration: When it ends, RFC 3339 text as signed.
        expires_at: The same as a time; earlier if a delegation inside ends earlier.
        capabilities: The authSigs inside, in signed order: the wallet's delegation is the last.
        session_sigs: What has been signed, by node.
        key: The session key, so that a node which joined later can be signed for; ``None`` if not kept.
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

    def __repr__(self) -> str:
        return f"Session(network={self.network!r}, wallet={self.wallet!r}, expires_at={self.expires_at})"

    @property
    def kind(self) -> str:
        """What a ticket of it holds."""
        return SESSION_SIGS

    def secrets(self) -> Iterator[str]:
        """Yield the texts in it that no log may show: the key's seed and every signature."""
        if self.key is not None:
            yield self.key.seed.reveal().hex()
        yield from (signed["sig"] for signed in self.session_sigs.values())
        yield from (capability["sig"] for capability in self.capabilities)

    def check_delegation(self, wallet: str, now: datetime) -> None:
        """Return nothing if this wallet has delegated this session, for all of its scope.

        Args:
            wallet: The address of the expected wallet.
            now: The time.

        Raises:
            SessionError: Another wallet signed, or none, for another key, a smaller scope, or out of time.
        """
        from lit_airflow.protocol.auth_sig import AuthSig, check_delegation  # noqa: PLC0415 - it imports this module

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
            raise SessionError(f"The session names the wallet {quoted(self.wallet)}, not {wallet}.")

    def check_alive(self, now: datetime) -> None:
        """Return nothing while the session lasts.

        Raises:
            SessionExpiredError: Its time is over.
        """
        if now >= self.expires_at:
            raise SessionExpiredError(
                f"The session of {self.wallet} ended at {self.expires_at:%Y-%m-%d %H:%M:%S} UTC.",
                expired_at=self.expires_at,
                now=now,
                hint="Open a new one: run the task that made it again.",
            )

    def check_covers(self, asked: Scope) -> None:
        """Nothing, if the session may do what is asked.

        Raises:
            ScopeError: It may not.
        """
        if not self.scope.covers(asked):
            raise ScopeError(
                f"The session may not do {asked}.",
                asked=str(asked),
                granted=str(self.scope),
                hint=f"It may do {self.scope}. Open one whose scope covers this: in a DAG, "
                "the session task's encrypted has to name the same file.",
            )

    def to_json(self, *, with_key: bool = True) -> dict[str, Any]:
        """Everything, the session's secrets included: only ever to be sealed."""
        return {
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

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Session:
        """Read back what :meth:`to_json` wrote.

        Raises:
            SessionError: Something is missing or of the wrong type.
        """
        try:
            _check_whole(data)
            capabilities = tuple(data["capabilities"])
            return cls(
                network=data["network"],
                wallet=data["wallet"],
                public_key=data["public_key"],
                scope=Scope.from_json(data["scope"]),
                issued_at=data["issued_at"],
                expiration=data["expiration"],
                expires_at=earliest_end(data["expiration"], capabilities),
                capabilities=capabilities,
                session_sigs=data["session_sigs"],
                key=None if data["seed"] is None else SessionKey.from_hex(data["seed"]),
            )
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise SessionError("The session's contents are incomplete.") from error

    @classmethod
    def from_session_sigs(cls, session_sigs: Mapping[str, Any]) -> Session:
        """A session from bare session sigs, made here or by the SDK; it cannot sign for further nodes.

        Raises:
            SessionError: Empty, or an entry is not a session signature.
        """
        if not isinstance(session_sigs, Mapping) or not session_sigs:
            raise SessionError("Session sigs are a non-empty JSON object: node URL to signature object.")
        try:
            _check_whole(session_sigs)
            signed = json.loads(next(iter(session_sigs.values()))["signedMessage"])
            capabilities = tuple(signed["capabilities"])
            return cls(
                network=None,
                wallet=capabilities[-1]["address"],
                public_key=signed["sessionKey"],
                scope=Scope.from_json(signed["resourceAbilityRequests"]),
                issued_at=signed["issuedAt"],
                expiration=signed["expiration"],
                expires_at=earliest_end(signed["expiration"], capabilities),
                capabilities=capabilities,
                session_sigs={node: dict(sig) for node, sig in session_sigs.items()},
            )
        except (KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
            raise SessionError(
                "The session sigs are not of the shape that getSessionSigs returns."
            ) from error


def _check_whole(contents: Mapping[str, Any]) -> None:
    if not is_encodable(json.dumps(dict(contents), ensure_ascii=False)):
        raise SessionError("The session holds half of a character.")


def earliest_end(expiration: str, capabilities: tuple[Mapping[str, Any], ...]) -> datetime:
    """When a session stops being useful: its own end, or that of the wallet's delegation if sooner.

    Nodes give the session's own text 60 s of grace and the delegation none, so the sooner one counts.

    Raises:
        ValueError: A time that does not parse.
    """
    ends = [parse_iso(expiration)]
    if capabilities:
        ends += [parse_iso(text) for text in _EXPIRATION_LINE.findall(capabilities[-1]["signedMessage"])[-1:]]
    return min(ends)
