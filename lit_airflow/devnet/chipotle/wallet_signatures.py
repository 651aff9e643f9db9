"""Signatures of ChainSecured owners: EIP-191 text in April, EIP-712 typed data from June.

Source: lit-api-server ``core/account_management.rs`` (April 2026) and ``core/eip712.rs`` (later).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from eth_account import Account
from eth_account.messages import SignableMessage, encode_defunct, encode_typed_data

from lit_airflow.devnet.chipotle.identifiers import parse_address
from lit_airflow.devnet.chipotle.state import CHAIN_ID

DOMAIN = {"name": "Lit ChainSecured", "version": "1"}
_SKEW_S = 300
_MOST_BYTES = 4096
_DOMAIN_FIELDS = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
]
_FIELDS = [{"name": "address", "type": "address"}, {"name": "issuedAt", "type": "uint256"}]
_LINES = ("Address:", "Chain ID:", "Issued At:")


def signer_of_text(message: str, signature: str, now: datetime) -> int:
    """Return the signer of a text that contains address, chain id and time.

    Raises:
        ValueError: Missing or wrong line, time off by more than 300 s, or another signer.
    """
    claimed, chain_id, issued_at = (_line(message, start) for start in _LINES)
    address = parse_address(claimed)
    _check_chain(int(chain_id))
    _check_time(int(issued_at), now)
    _check_signer(encode_defunct(text=message), signature, address)
    return address


def signer_of_typed_data(typed_data: object, signature: str, purpose: str, now: datetime) -> int:
    """Return the signer of typed data that contains address, chain id, time and purpose.

    Args:
        typed_data: The typed data as an object or JSON text.
        signature: 65 bytes of hex.
        purpose: The expected primary type.
        now: The server's clock.

    Raises:
        ValueError: Wrong shape, domain or purpose, time off by more than 300 s, or another signer.
    """
    if len(json.dumps(typed_data)) > _MOST_BYTES:
        raise ValueError("typed_data too large")
    data = json.loads(typed_data) if isinstance(typed_data, str) else typed_data
    if not isinstance(data, dict) or set(data) != {"types", "primaryType", "domain", "message"}:
        raise ValueError("typed_data is not a valid EIP-712 typed-data object")
    if data["primaryType"] != purpose:
        raise ValueError("primaryType mismatch: the signature was made for another call")
    _check_domain(data["domain"])
    if data["types"] != {"EIP712Domain": _DOMAIN_FIELDS, purpose: _FIELDS}:
        raise ValueError("the types are not those of this call")
    message = data["message"]
    if not isinstance(message, dict) or set(message) != {"address", "issuedAt"}:
        raise ValueError("the message has other fields")
    address = parse_address(str(message["address"]))
    issued_at = _uint(message["issuedAt"])
    _check_time(issued_at, now)
    domain = {**DOMAIN, "chainId": CHAIN_ID}
    signed = {"address": message["address"], "issuedAt": issued_at}
    _check_signer(encode_typed_data(domain, {purpose: _FIELDS}, signed), signature, address)
    return address


def _check_domain(domain: object) -> None:
    if not isinstance(domain, Mapping) or set(domain) != {*DOMAIN, "chainId"}:
        raise ValueError("the domain must hold name, version and chainId only")
    if any(domain[name] != value for name, value in DOMAIN.items()):
        raise ValueError("domain name or version mismatch")
    _check_chain(_uint(domain["chainId"]))


def _check_chain(chain_id: int) -> None:
    if chain_id != CHAIN_ID:
        raise ValueError("Chain ID mismatch")


def _check_time(issued_at: int, now: datetime) -> None:
    if abs(int(now.timestamp()) - issued_at) > _SKEW_S:
        raise ValueError("the signature's timestamp is too old or too far in the future")


def _check_signer(message: SignableMessage, signature: str, address: int) -> None:
    try:
        signer = Account.recover_message(message, signature=signature.strip())
    except Exception as error:
        # The library raises many exceptions for malformed signatures.
        raise ValueError("invalid signature") from error
    if parse_address(signer) != address:
        raise ValueError("Signature does not match claimed address")


def _line(message: str, start: str) -> str:
    for line in message.splitlines():
        if line.startswith(start):
            return line.removeprefix(start).strip()
    raise ValueError(f"Missing {start[:-1]} line")


def _uint(value: object) -> int:
    """Parse a ``uint256`` as wallets write it: a number, or text in decimal or hex."""
    if isinstance(value, str):
        return int(value, 16 if value.lower().startswith("0x") else 10)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError("a uint256 is expected")
