"""3: Secret -> Wallet: an address, and the ability to sign a text with it.

``eth_account`` is imported on first use: a task that only decrypts has no wallet and must not pay for it.

Source: EIP-191 version 0x45 (``personal_sign``), RFC 6979, EIP-55.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from lit_airflow.errors import SettingsError, SiweError, WalletKeyError
from lit_airflow.keys.secret import Secret

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

_KEY_BYTES = 32
_SIGNATURE_BYTES = 65
_KEY_HEX = re.compile(r"(0[xX])?([0-9a-fA-F]{64})")
ADDRESS = re.compile(r"(0[xX])?[0-9a-fA-F]{40}")
# The order of secp256k1, SEC 2 section 2.4.1: keys are 1 .. order - 1.
CURVE_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


class Signer(Protocol):
    """Whoever can sign for a wallet: a key in memory, or something elsewhere that holds it."""

    @property
    def address(self) -> str:
        """The wallet's address, EIP-55 checksummed."""
        ...

    def sign(self, text: str) -> str:
        """The EIP-191 signature of ``text``: ``0x`` and 130 hex digits, r, s, v with v 27 or 28."""
        ...


class Wallet:
    """A wallet whose private key is in this process's memory.

    Args:
        account: The signing account.
    """

    __slots__ = ("_account",)

    def __init__(self, account: LocalAccount) -> None:
        self._account = account

    @classmethod
    def from_key(cls, key: str | bytes | Secret) -> Wallet:
        """A wallet from its private key.

        Args:
            key: 32 raw bytes, or 64 hex digits with or without ``0x`` and white space around.

        Raises:
            WalletKeyError: Anything else, zero, or not below the curve's order.
        """
        from eth_account import Account  # noqa: PLC0415 - heavy, see the module's docstring

        return cls(Account.from_key(_key_bytes(key)))

    @property
    def address(self) -> str:
        """The wallet's address, EIP-55 checksummed."""
        return str(self._account.address)

    def sign(self, text: str) -> str:
        """The EIP-191 signature of ``text``: ``0x`` and 130 hex digits, r, s, v with v 27 or 28."""
        from eth_account.messages import encode_defunct  # noqa: PLC0415 - heavy

        signature: str = self._account.sign_message(encode_defunct(text=text)).signature.to_0x_hex()
        return signature

    def expect(self, address: str | None) -> Wallet:
        """This wallet, if it is the expected one; nothing is expected of ``None`` or an empty text.

        Raises:
            SettingsError: ``address`` is no address.
            WalletKeyError: The key belongs to another wallet.
        """
        if not address:
            return self
        if checksummed(address) != self.address:
            raise WalletKeyError(
                f"The key is that of {self.address}, expected was {address}.",
                hint="Correct wallet_address in the Lit connection, or the key in Vault.",
            )
        return self

    def __repr__(self) -> str:
        return f"Wallet({self.address})"


def _key_bytes(key: str | bytes | Secret) -> bytes:
    raw = key.reveal() if isinstance(key, Secret) else key
    if isinstance(raw, bytes) and len(raw) != _KEY_BYTES:
        raw = raw.decode("ascii", errors="replace")
    if isinstance(raw, str):
        match = _KEY_HEX.fullmatch(raw.strip())
        if match is None:
            raise WalletKeyError(
                f"The private key is not 32 bytes of hex: it has {len(raw.strip())} characters.",
                hint="Store it as 64 hex digits, with or without 0x.",
            )
        raw = bytes.fromhex(match[2])
    if not 0 < int.from_bytes(raw, "big") < CURVE_ORDER:
        raise WalletKeyError(
            "The private key is zero or beyond the curve's order.",
            hint="No wallet has such a key; store the one that your wallet exported.",
        )
    return raw


def checksummed(address: str) -> str:
    """An address as EIP-55 writes it.

    Args:
        address: 40 hex digits in any case, with or without ``0x``.

    Raises:
        SettingsError: It is none.
    """
    from eth_utils.address import to_checksum_address  # noqa: PLC0415 - heavy

    if not ADDRESS.fullmatch(address):
        raise SettingsError(f"{address!r} is no wallet address.", field="wallet_address")
    return str(to_checksum_address("0x" + address[-40:]))


def recover(text: str, signature: str) -> str:
    """The address that signed ``text`` under EIP-191.

    Args:
        text: What was signed.
        signature: Hex, with or without ``0x``.

    Raises:
        SiweError: The signature is malformed.
    """
    from eth_account import Account  # noqa: PLC0415 - heavy
    from eth_account.messages import encode_defunct  # noqa: PLC0415 - heavy
    from eth_keys.exceptions import BadSignature  # noqa: PLC0415 - heavy

    try:
        raw = bytes.fromhex(signature.removeprefix("0x"))
        if len(raw) != _SIGNATURE_BYTES:
            raise SiweError(f"A wallet's signature has {_SIGNATURE_BYTES} bytes, not {len(raw)}.")
        return str(Account.recover_message(encode_defunct(text=text), signature=raw))
    except (ValueError, BadSignature) as error:
        raise SiweError("The wallet's signature is malformed.") from error
