"""The wallet's signed sign-in message, as nodes are given it, and when a new one is needed.

Source: docs/protocol/siwe.md and docs/protocol/pkp-sessions.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lit_airflow.clock import parse_iso
from lit_airflow.errors import SessionError, SiweError, ThresholdError
from lit_airflow.keys.address import same_address
from lit_airflow.keys.wallet import Signer, recover
from lit_airflow.protocol import siwe
from lit_airflow.protocol.eip4361 import SignIn
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import SessionKey
from lit_airflow.threshold import shares

DERIVED_VIA_WALLET = "web3.eth.personal.sign"
ALGO_BLS = "LIT_BLS"

# Says who was authenticated. Nodes add it to what they sign for a PKP; it grants nothing.
_AUTH_CONTEXT = "lit-resolvedauthcontext://*"


@dataclass(frozen=True, slots=True)
class AuthSig:
    """A signed text and who signed it.

    Attributes:
        sig: The signature; ``0x`` hex for wallets, the JSON ``{"ProofOfPossession": hex}`` for the network.
        derived_via: How it was made.
        signed_message: The text.
        address: The signer, EIP-55 checksummed.
        algo: ``None`` for wallets, ``LIT_BLS`` for the network's own signature.
    """

    sig: str
    derived_via: str
    signed_message: str
    address: str
    algo: str | None = None

    def __repr__(self) -> str:
        return f"AuthSig(address={self.address!r}, algo={self.algo!r})"

    def to_json(self) -> dict[str, Any]:
        """The object on the wire; the order of its keys is signed by the session key."""
        network_order = self.algo == ALGO_BLS
        wire: dict[str, Any] = {"sig": self.sig}
        if network_order:
            wire["algo"] = self.algo
        wire |= {
            "derivedVia": self.derived_via,
            "signedMessage": self.signed_message,
            "address": self.address,
        }
        if self.algo is not None and not network_order:
            wire["algo"] = self.algo
        return wire

    @classmethod
    def from_json(cls, wire: Mapping[str, Any]) -> AuthSig:
        """Read the object on the wire.

        Raises:
            SessionError: A key is missing or not text, or it is no object at all.
        """
        fields = wire if isinstance(wire, Mapping) else {}
        texts = [fields.get(key) for key in ("sig", "derivedVia", "signedMessage", "address")]
        algo = fields.get("algo")
        if not all(isinstance(text, str) for text in texts) or not isinstance(algo, str | None):
            raise SessionError("An authSig has the texts sig, derivedVia, signedMessage, address.")
        sig, derived_via, signed_message, address = map(str, texts)
        return cls(sig, derived_via, signed_message, address, algo)


def sign(signer: Signer, text: str, *, algo: str | None = None) -> AuthSig:
    """The authSig of a text that the wallet signs."""
    return AuthSig(signer.sign(text), DERIVED_VIA_WALLET, text, signer.address, algo)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRequest:
    """What a signer is asked for: the parameters that the SDK gives its ``authNeededCallback``.

    The message to sign is made of ``uri``, ``expiration``, ``nonce`` and ``scope``; :func:`sign_in` makes it.

    Attributes:
        chain: The chain the caller named.
        expiration: When the delegation is to end, RFC 3339 text.
        uri: Who may act: the session key's URI.
        session_key: That key.
        nonce: A recent block hash.
        scope: What is delegated.
        now: The time of issue.
        domain: Who asks; ``None`` if the caller did not say.
        statement: The sentence of an empty ReCap, as the SDK passes it; not for the message.
        resources: The URN of an empty ReCap, the same.
    """

    chain: str
    expiration: str
    uri: str
    session_key: SessionKey
    nonce: str
    scope: Scope
    now: datetime
    domain: str | None = None
    statement: str = Recap().statement()
    resources: tuple[str, ...] = (Recap().urn(),)


AuthNeeded = Callable[[AuthRequest], AuthSig]
"""Whoever gets the wallet to sign: here, in another process, in another house."""


def sign_in(request: AuthRequest, signer: Signer, *, statement: str = siwe.DEFAULT_STATEMENT) -> AuthSig:
    """The authSig that answers a request: a sign-in message with its capabilities, signed.

    Args:
        request: What is asked for.
        signer: Who signs.
        statement: A sentence for people.

    Raises:
        SiweError: A domain, statement or resource id that a sign-in message cannot carry.
    """
    message = siwe.sign_in(
        address=signer.address,
        nonce=request.nonce,
        now=request.now,
        requests=request.scope.requests,
        domain="localhost" if request.domain is None else request.domain,
        statement=statement,
        uri=request.uri,
        expiration=request.expiration,
    )
    return sign(signer, siwe.write(message))


def check_delegation(  # noqa: PLR0913 - what the delegation must fit
    auth_sig: AuthSig,
    *,
    session_uri: str,
    scope: Scope,
    now: datetime,
    wallet: str | None = None,
    expires_by: datetime | None = None,
    exact_scope: bool = False,
    network_public_key: str | None = None,
) -> None:
    """Return nothing if an AuthSig delegates this scope to this session key, and is what it claims to be.

    Args:
        auth_sig: The delegation.
        session_uri: ``lit:session:`` and the session's public key.
        scope: What the session asks for.
        now: The time.
        wallet: The address of the wallet that must have signed; any if ``None``.
        expires_by: When the delegation must have ended at the latest; any time if ``None``.
        exact_scope: Refuse a delegation of more than ``scope``.
        network_public_key: 96 hex digits; needed for signatures of the network itself.

    Raises:
        SessionError: It does not; says why.
    """
    message = siwe.read(auth_sig.signed_message)
    if not _verifies(auth_sig, message, now, network_public_key):
        raise SessionError("The delegation's signature does not verify, or its time is over.")
    if not same_address(auth_sig.address, message.address):
        raise SessionError("The AuthSig names another address than the message that was signed.")
    if wallet is not None and not same_address(message.address, wallet):
        raise SessionError(f"The delegation was signed by {message.address}, not by {wallet}.")
    if message.uri != session_uri or not message.resources:
        raise SessionError("The delegation is for another session key.")
    if expires_by is not None and not _ends_by(message, expires_by):
        raise SessionError("The delegation lasts longer than was asked for.")
    recap = Recap.from_urn(message.resources[0])
    if not all(recap.covers(request.resource, request.ability) for request in scope.requests):
        raise SessionError("The delegation does not cover what the session asks for.")
    if auth_sig.algo == ALGO_BLS:
        recap.attenuations.pop(_AUTH_CONTEXT, None)
    if exact_scope and not recap.within(scope):
        raise SessionError("The delegation covers more than was asked for.")


def fits_request(
    auth_sig: AuthSig, request: AuthRequest, *, wallet: str | None, network_public_key: str | None
) -> None:
    """Return nothing if an AuthSig answers a request: that key and scope, no more, no longer.

    The SDK does not check this; there, a wrong answer shows only when every node refuses.

    Raises:
        SessionError: It does not; says why.
    """
    if not isinstance(auth_sig, AuthSig):
        raise SessionError("The callback did not return an AuthSig.")
    try:
        check_delegation(
            auth_sig,
            session_uri=request.uri,
            scope=request.scope,
            now=request.now,
            wallet=wallet,
            expires_by=parse_iso(request.expiration),
            exact_scope=True,
            network_public_key=network_public_key,
        )
    except SessionError as error:
        raise SessionError(
            f"The AuthSig does not carry this session: {error.message}",
            hint="Sign a message with the request's uri, expiration, nonce and scope; sign_in() makes it.",
        ) from None


def is_usable(
    auth_sig: AuthSig, request: AuthRequest, *, wallet: str | None, network_public_key: str | None
) -> bool:
    """Return whether a stored AuthSig answers a request; one that cannot be read does not."""
    try:
        fits_request(auth_sig, request, wallet=wallet, network_public_key=network_public_key)
    except SessionError:
        return False
    return True


def needs_new_signature(
    auth_sig: AuthSig,
    *,
    session_uri: str,
    scope: Scope,
    now: datetime,
    network_public_key: str | None = None,
) -> bool:
    """Whether this authSig cannot carry a session of that key and scope.

    Args:
        auth_sig: The signature held.
        session_uri: ``lit:session:`` and the session's public key.
        scope: What the session asks for.
        now: The time; an authSig that expires at this very moment is expired.
        network_public_key: 96 hex digits; needed for signatures of the network itself.

    Raises:
        SiweError: The message does not parse, or its first resource is no ReCap.
        SessionError: An unknown algorithm.
    """
    message = siwe.read(auth_sig.signed_message)
    if not _verifies(auth_sig, message, now, network_public_key):
        return True
    if message.uri != session_uri or not message.resources:
        return True
    recap = Recap.from_urn(message.resources[0])
    return not all(recap.covers(request.resource, request.ability) for request in scope.requests)


def _verifies(auth_sig: AuthSig, message: SignIn, now: datetime, network_public_key: str | None) -> bool:
    if auth_sig.algo == ALGO_BLS:
        return _in_time(message, now, network=True) and _network_signed(auth_sig, network_public_key)
    if auth_sig.algo in (None, "ed25519"):
        if not _in_time(message, now):
            return False
        try:
            return recover(auth_sig.signed_message, auth_sig.sig) == message.address
        except SiweError:
            return False
    raise SessionError(f"{auth_sig.algo!r} is no known signature algorithm.")


def _in_time(message: SignIn, now: datetime, *, network: bool = False) -> bool:
    if network and (message.expiration_time is None or parse_iso(message.issued_at) > now):
        return False
    if message.expiration_time is not None and now >= parse_iso(message.expiration_time):
        return False
    return message.not_before is None or parse_iso(message.not_before) <= now


def _ends_by(message: SignIn, moment: datetime) -> bool:
    # The network signs whole seconds.
    return message.expiration_time is not None and parse_iso(message.expiration_time) <= moment + timedelta(
        seconds=1
    )


def network_digest(text: str) -> bytes:
    """What the network signs for a PKP: SHA-256("lit_session:" || hex of the message's EIP-191 hash)."""
    from eth_account.messages import _hash_eip191_message, encode_defunct  # noqa: PLC0415 - heavy

    digest = _hash_eip191_message(encode_defunct(text=text)).hex()
    return hashlib.sha256(b"lit_session:" + digest.encode()).digest()


def _network_signed(auth_sig: AuthSig, network_public_key: str | None) -> bool:
    if network_public_key is None:
        return False
    signed = network_digest(auth_sig.signed_message)
    try:
        signature = bytes.fromhex(json.loads(auth_sig.sig)["ProofOfPossession"])
        return shares.verify(bytes.fromhex(network_public_key), signed, signature)
    except (ValueError, KeyError, TypeError, ThresholdError):
        return False
