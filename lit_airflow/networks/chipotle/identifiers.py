"""How the account contract names keys and groups, and how the service writes balances.

Source: docs/protocol/chipotle.md#keys-and-identifiers, #groups and #configuration-and-billing.
"""

from __future__ import annotations

import re

from lit_airflow.errors import ProtocolError

_DECIMAL = re.compile(r"[0-9]{1,20}")
_HEX = re.compile(r"0[xX][0-9a-fA-F]{1,64}")
_HASH = re.compile(r"0[xX][0-9a-fA-F]{64}")


def key_hash(key: str) -> str:
    """Return the id on the chain of a key or a CID: ``0x`` and 64 hex digits.

    It is keccak-256 of the text as sent, not of what the text encodes.
    """
    return "0x" + _keccak(key.encode()).hex()


def usage_key_hash(argument: str) -> str:
    """Return which key is meant where the service takes a usage key or its hash.

    Args:
        argument: A key, or ``0x`` and 64 hex digits; blanks around it are ignored.
    """
    text = argument.strip()
    return text.lower() if _HASH.fullmatch(text) else key_hash(text)


def wallet_account_hash(address: str) -> str:
    """Return the id of an account that a wallet owns: keccak-256 of the address's 20 bytes."""
    return "0x" + _keccak(bytes.fromhex(address.removeprefix("0x"))).hex()


def group_number(text: object) -> int:
    """Read a group's number: decimal where a group is made, ``0x`` and hex where groups are listed.

    Raises:
        ProtocolError: Neither.
    """
    if isinstance(text, str):
        if _DECIMAL.fullmatch(text):
            return int(text)
        if _HEX.fullmatch(text):
            return int(text, 16)
    raise ProtocolError("The service named a group without a number.")


def credit_cents(balance_cents: int) -> int:
    """Return the credit behind a balance. The service counts what is owed, so credit is negative there."""
    return max(0, -balance_cents)


def _keccak(data: bytes) -> bytes:
    from eth_utils.crypto import keccak  # noqa: PLC0415 - only account management needs it

    return keccak(data)
