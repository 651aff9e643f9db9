"""One capability of a session: a sign-in message, and proof of who signed it."""

from __future__ import annotations

from datetime import datetime

from lit_airflow.devnet.proofs import network_signed, wallet_of
from lit_airflow.devnet.siwe import SignIn, read_sign_in

CONTRACT_SIGNATURES = frozenset({"EIP1271", "EIP1271_SHA256"})
"""``derivedVia`` of signatures that only a contract can verify; the devnet has no contracts to ask."""


def read_capability(capability: dict[str, str], now: datetime, network_key: bytes) -> SignIn:
    """Read a capability that is in time and signed, by its wallet or, for a PKP, by the network.

    Args:
        capability: The authSig.
        now: The node's clock; there is no grace here.
        network_key: The network's BLS key, 48 bytes compressed.

    Raises:
        ValueError: It does not parse, is not in time, was signed by somebody else, or by a contract.
    """
    if capability["derivedVia"] in CONTRACT_SIGNATURES:
        raise ValueError("contract signatures need a chain")
    text = capability["signedMessage"]
    message = read_sign_in(text)
    _check_in_time(message, now)
    if (capability["derivedVia"], capability.get("algo")) == ("lit.bls", "LIT_BLS"):
        if message.expires_at is None or not message.issued_at <= now < message.expires_at:
            raise ValueError("the message of a PKP is not in time")
        if not network_signed(network_key, capability["sig"], text):
            raise ValueError("the network did not sign the message")
    elif wallet_of(text, capability["sig"]) != message.address:
        raise ValueError("the wallet did not sign the message")
    if capability["address"].lower() != message.address.lower():
        raise ValueError("the address field is not the wallet's")
    return message


def _check_in_time(message: SignIn, now: datetime) -> None:
    if message.expires_at is not None and message.expires_at < now:
        raise ValueError("the message has expired")
    if message.not_before is not None and message.not_before >= now:
        raise ValueError("the message is not valid yet")
