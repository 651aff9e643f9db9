"""Parsing and hashing of keys, numbers and addresses.

Source: lit-api-server ``utils/parse_with_hash.rs``, April 2026.
"""

from __future__ import annotations

import binascii

from eth_utils.crypto import keccak

U256_BYTES = 32
U64_LIMIT = 2**64
_U256_LIMIT = 2**256
_ADDRESS_BYTES = 20
_HASH_TEXT_LENGTH = 66
_HEX_PREFIXES = ("0x", "0X")


def keccak_number(data: bytes) -> int:
    """Return keccak-256 as an integer, as the account contract stores it."""
    return int.from_bytes(keccak(data))


def key_hash(key: str) -> int:
    """Return the on-chain id of an account key, usage key or CID: the hash of its text."""
    return keccak_number(key.encode())


def wallet_account_hash(address: int) -> int:
    """Return the on-chain id of a ChainSecured account: the hash of the owner's 20 address bytes."""
    return keccak_number(address.to_bytes(_ADDRESS_BYTES))


def usage_key_hash(argument: str) -> int:
    """Return the hash of the key that a ``usage_api_key`` argument means.

    Args:
        argument: A key, or its hash as ``0x`` and 64 hex digits. Surrounding blanks are ignored.
    """
    text = argument.strip()
    if text.startswith(_HEX_PREFIXES) and len(text) == _HASH_TEXT_LENGTH:
        try:
            return int.from_bytes(binascii.unhexlify(text[2:]))
        except binascii.Error:
            pass
    return key_hash(text)


def parse_number(text: str) -> int:
    """Parse a decimal number, or ``0x`` and an even number of hex digits, up to 256 bits.

    Raises:
        ValueError: Malformed.
    """
    text = text.strip()
    if text.startswith(_HEX_PREFIXES):
        return _number(unhex(text))
    if not (text.isascii() and text.isdigit()):
        raise ValueError("invalid decimal for U256")
    number = int(text)
    if number >= _U256_LIMIT:
        raise ValueError("invalid decimal for U256")
    return number


def parse_hash(text: str) -> int:
    """Parse a hex number with or without ``0x``, up to 256 bits.

    Raises:
        ValueError: Malformed.
    """
    return _number(unhex(text.strip()))


def parse_address(text: str) -> int:
    """Parse 20 bytes of hex with or without ``0x``.

    Raises:
        ValueError: Malformed.
    """
    raw = unhex(text.strip())
    if len(raw) != _ADDRESS_BYTES:
        raise ValueError(f"invalid address: expected 20 bytes, got {len(raw)}")
    return int.from_bytes(raw)


def unhex(text: str) -> bytes:
    """Decode hex with or without ``0x``.

    Raises:
        ValueError: Not hex.
    """
    digits = text[2:] if text.startswith(_HEX_PREFIXES) else text
    try:
        return binascii.unhexlify(digits)
    except ValueError as error:
        raise ValueError("invalid hex") from error


def hex_number(number: int) -> str:
    """Format as ``0x`` and 64 hex digits."""
    return f"0x{number:064x}"


def hex_address(address: int) -> str:
    """Format as ``0x`` and 40 lower-case hex digits."""
    return f"0x{address:040x}"


def _number(raw: bytes) -> int:
    if len(raw) > U256_BYTES:
        raise ValueError("invalid hex for U256")
    return int.from_bytes(raw)
