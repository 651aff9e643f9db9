"""Verify one capability of a session: a sign-in message and the signature of the wallet or network behind it."""

from __future__ import annotations

from datetime import datetime

from lit_airflow.devnet.signatures import recover_wallet, verify_network_signature
from lit_airflow.devnet.siwe import SiweMessage, parse_siwe

CONTRACT_SIGNATURES = frozenset({"EIP1271", "EIP1271_SHA256"})
"""``derivedVia`` of signatures that only a contract can verify; the devnet has no contracts to ask."""


def verify_capability(capability: dict[str, str], now: datetime, network_key: bytes) -> SiweMessage:
    """Verify a capability and return its sign-in message.

    The message must be within its validity, without grace, and signed by its wallet or, for a PKP, by the network.

    Args:
        capability: An authSig of the expected shape.
        now: The node's time.
        network_key: The network's BLS key, 48 bytes compressed.

    Raises:
        ValueError: The message does not parse or is not valid now, the signature is by another key, or only a
            contract could verify it.

    Source: docs/protocol/session-signatures.md, "The capability"; docs/protocol/pkp-sessions.md for PKPs.
    """
    if capability["derivedVia"] in CONTRACT_SIGNATURES:
        raise ValueError("contract signatures need a chain")
    text = capability["signedMessage"]
    message = parse_siwe(text)
    _check_validity(message, now)
    if (capability["derivedVia"], capability.get("algo")) == ("lit.bls", "LIT_BLS"):
        if message.expires_at is None or not message.issued_at <= now < message.expires_at:
            raise ValueError("the message of a PKP is not in time")
        if not verify_network_signature(network_key, capability["sig"], text):
            raise ValueError("the network did not sign the message")
    elif recover_wallet(text, capability["sig"]) != message.address:
        raise ValueError("the wallet did not sign the message")
    if capability["address"].lower() != message.address.lower():
        raise ValueError("the address field is not the wallet's")
    return message


def _check_validity(message: SiweMessage, now: datetime) -> None:
    if message.expires_at is not None and message.expires_at < now:
        raise ValueError("the message has expired")
    if message.not_before is not None and message.not_before >= now:
        raise ValueError("the message is not valid yet")
