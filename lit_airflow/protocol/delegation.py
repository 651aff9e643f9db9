"""Whether an authSig delegates a scope to a session key, and whether its signature is valid.

Source: docs/protocol/siwe.md and docs/protocol/pkp-sessions.md.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from lit_airflow.clock import parse_iso
from lit_airflow.errors import SessionError, SiweError, ThresholdError
from lit_airflow.json_input import parse_object
from lit_airflow.keys.address import same_address
from lit_airflow.keys.wallet import recover
from lit_airflow.protocol import siwe
from lit_airflow.protocol.auth_sig import ALGO_BLS, AuthRequest, AuthSig
from lit_airflow.protocol.eip4361 import SignIn
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.scope import Scope
from lit_airflow.text import quoted, word
from lit_airflow.threshold import shares

# Nodes add it to what they sign for a PKP. It says who was authenticated, and grants nothing.
_AUTH_CONTEXT = "lit-resolvedauthcontext://*"


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
    """Check that an authSig delegates a scope to a session key, and is what it claims to be.

    Args:
        auth_sig: The delegation.
        session_uri: ``lit:session:`` and the session's public key.
        scope: What the session requests.
        now: The time.
        wallet: The address of the wallet that must have signed; ``None`` for any.
        expires_by: The latest allowed end of the delegation; ``None`` for any.
        exact_scope: Refuse a delegation of more than ``scope``.
        network_public_key: 96 hex digits; needed for signatures of the network.

    Raises:
        SessionError: It does not; the message says why.
    """
    message = siwe.read(auth_sig.signed_message)
    if not _verifies(auth_sig, message, now, network_public_key):
        raise SessionError(
            "The delegation's signature is not valid, or the delegation is not valid at this time."
        )
    if not same_address(auth_sig.address, message.address):
        raise SessionError("The authSig names another address than the message that was signed.")
    if wallet is not None and not same_address(message.address, wallet):
        raise SessionError(f"The delegation was signed by {message.address}, not by {word(wallet)}.")
    if message.uri != session_uri or not message.resources:
        raise SessionError("The delegation is for another session key.")
    if expires_by is not None and not _ends_by(message, expires_by):
        raise SessionError("The delegation lasts longer than requested.")
    recap = Recap.from_urn(message.resources[0])
    if not all(recap.covers(request.resource, request.ability) for request in scope.requests):
        raise SessionError("The delegation does not cover what the session requests.")
    if auth_sig.algo == ALGO_BLS:
        recap.attenuations.pop(_AUTH_CONTEXT, None)
    if exact_scope and not recap.within(scope):
        raise SessionError("The delegation covers more than requested.")


def fits_request(
    auth_sig: AuthSig, request: AuthRequest, *, wallet: str | None, network_public_key: str | None
) -> None:
    """Check that an authSig answers a request: this key and scope, no more, and no longer.

    The SDK does not check this; there, every node refuses a wrong answer.

    Args:
        auth_sig: The answer.
        request: The request.
        wallet: The address of the wallet that must have signed; ``None`` for any.
        network_public_key: 96 hex digits; needed for signatures of the network.

    Raises:
        SessionError: It does not; the message says why.
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
            f"The authSig does not delegate to this session: {error.message}",
            hint="Sign a message with the request's uri, expiration, nonce and scope; sign_in() builds it.",
        ) from None


def is_usable(
    auth_sig: AuthSig, request: AuthRequest, *, wallet: str | None, network_public_key: str | None
) -> bool:
    """Return whether a stored authSig answers a request; an unreadable one does not."""
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
    """Return whether an authSig cannot be used for a session with this key and scope.

    Args:
        auth_sig: The authSig.
        session_uri: ``lit:session:`` and the session's public key.
        scope: What the session requests.
        now: The time. An authSig that expires at exactly this time has expired.
        network_public_key: 96 hex digits; needed for signatures of the network.

    Raises:
        SiweError: The message is not a valid sign-in message, or its first resource is not a ReCap.
        SessionError: The algorithm is unknown.
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
    raise SessionError(f"Unknown signature algorithm {quoted(auth_sig.algo)}.")


def _in_time(message: SignIn, now: datetime, *, network: bool = False) -> bool:
    try:
        if network and (message.expiration_time is None or parse_iso(message.issued_at) > now):
            return False
        if message.expiration_time is not None and now >= parse_iso(message.expiration_time):
            return False
        return message.not_before is None or parse_iso(message.not_before) <= now
    except ValueError as error:
        raise SiweError(f"The sign-in message contains an invalid time: {error}.") from None


def _ends_by(message: SignIn, moment: datetime) -> bool:
    # The network signs whole seconds.
    return message.expiration_time is not None and parse_iso(message.expiration_time) <= moment + timedelta(
        seconds=1
    )


def network_digest(text: str) -> bytes:
    """Return what the network signs for a PKP: SHA-256("lit_session:" || hex of the text's EIP-191 hash)."""
    from eth_account.messages import _hash_eip191_message, encode_defunct  # noqa: PLC0415 - heavy

    digest = _hash_eip191_message(encode_defunct(text=text)).hex()
    return hashlib.sha256(b"lit_session:" + digest.encode()).digest()


def _network_signed(auth_sig: AuthSig, network_public_key: str | None) -> bool:
    if network_public_key is None:
        return False
    signed = network_digest(auth_sig.signed_message)
    try:
        signature = bytes.fromhex(parse_object(auth_sig.sig)["ProofOfPossession"])
        return shares.verify(bytes.fromhex(network_public_key), signed, signature)
    except (ValueError, KeyError, TypeError, ThresholdError):
        return False
