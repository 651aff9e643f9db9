"""AuthSigs: their shape, their times, and the sign-in of a wallet without a session."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from lit_airflow.devnet.capability import CONTRACT_SIGNATURES
from lit_airflow.devnet.capacity import DELEGATION_URI
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import Json, shape_error
from lit_airflow.devnet.signatures import recover_wallet
from lit_airflow.devnet.siwe import SiweMessage, parse_siwe

SESSION_URI = "lit:session:"
GRACE_S = 60
MAX_LIFETIME_S = 30 * 24 * 3600
AUTH_SIG: Json = {"sig": str, "derivedVia": str, "signedMessage": str, "address": str, "algo?": str}
"""The shape of an authSig."""
_AUTH_SIG_KEYS = frozenset(key.removesuffix("?") for key in AUTH_SIG)


def has_only_auth_sig_keys(auth_sig: Json) -> bool:
    """Return whether an object has no other keys than an authSig may have."""
    return _AUTH_SIG_KEYS.issuperset(auth_sig)


def parse_auth_sig(value: object) -> dict[str, str]:
    """Check the shape of an authSig and return it.

    Nodes take an object with any other key for a map of authSigs by chain, in which they then find none.

    Raises:
        NodeError: ``NodeInvalidMultipleAuthSigs``.
    """
    error = shape_error(value, AUTH_SIG, ".authSig")
    if error or not has_only_auth_sig_keys(cast("Json", value)):
        raise NodeError("NodeInvalidMultipleAuthSigs", error or ".authSig: unknown key")
    return cast("dict[str, str]", value)


def check_times(issued_at: datetime, expires_at: datetime, now: datetime) -> None:
    """Check when something was issued and expires, in whole seconds and with the nodes' grace of a minute.

    Raises:
        NodeError: It was issued in the future, has expired, or lives longer than 30 days.

    Source: docs/protocol/session-signatures.md, "Times".
    """
    issued, expires, clock = (int(moment.timestamp() // 1) for moment in (issued_at, expires_at, now))
    if issued > clock + GRACE_S:
        raise NodeError("NodeIatOutsideGracePeriod", f"issued {issued - clock} s ahead")
    if expires < issued:
        raise NodeError("NodeExpWrongOrTooLarge", "expires before it was issued")
    if expires < clock - GRACE_S:
        raise NodeError("NodeExpWrongOrTooLarge", f"expired {clock - expires} s ago")
    if expires > issued + MAX_LIFETIME_S:
        raise NodeError("NodeSIWEMessageError", "lives longer than 30 days")


def verify_wallet_auth_sig(auth_sig: dict[str, str], now: datetime) -> SiweMessage:
    """Verify the sign-in of a wallet without a session, and return its message.

    Args:
        auth_sig: An authSig of the expected shape.
        now: The node's time.

    Raises:
        NodeError: Another wallet signed it, it is not valid now, it is a delegation, or only a contract could
            verify it.

    Source: docs/protocol/session-signatures.md, "Kinds of AuthSig".
    """
    if auth_sig["derivedVia"] in CONTRACT_SIGNATURES:
        raise NodeError("NodeRpcError", "contract signatures need a chain")
    text = auth_sig["signedMessage"]
    try:
        signer = recover_wallet(text, auth_sig["sig"])
    except ValueError as error:
        raise NodeError("NodeAuthSigSignatureConversionError", str(error)) from error
    if signer.lower() != auth_sig["address"].lower():
        raise NodeError("NodeInvalidAuthSig", "signed by another wallet than address")
    try:
        message = parse_siwe(text)
    except ValueError as error:
        raise NodeError("NodeSIWEMessageError", str(error)) from error
    if message.address != signer:
        raise NodeError("NodeInvalidAuthSig", "the message is another wallet's")
    if message.uri.startswith((SESSION_URI.rstrip(":"), DELEGATION_URI)):
        raise NodeError("NodeInvalidAuthSig", "a delegation cannot stand for its wallet")
    if message.expires_at is None:
        raise NodeError("NodeSIWEMessageError", "no expiration time")
    check_times(message.issued_at, message.expires_at, now)
    if message.not_before is not None and message.not_before > now + timedelta(seconds=GRACE_S):
        raise NodeError("NodeSIWEMessageError", "not valid yet")
    return message
