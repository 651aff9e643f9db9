"""Wallets: an address, and the ability to sign a text or a transaction with its key.

``eth_account`` is imported on first use: a task that only decrypts has no wallet and should not pay for it.

Source: EIP-191 version 0x45 (``personal_sign``), EIP-1559, RFC 6979.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from lit_airflow.errors import SiweError, WalletKeyError
from lit_airflow.keys.address import checksummed
from lit_airflow.keys.secret import NotPicklable, Secret
from lit_airflow.text import is_encodable

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

_KEY_BYTES = 32
_SIGNATURE_BYTES = 65
_KEY_HEX = re.compile(r"(0[xX])?([0-9a-fA-F]{64})")
_HEX_DIGITS = re.compile(r"(0[xX])?[0-9a-fA-F]*")
_QUOTES = "\"'`\u201c\u201d\u2018\u2019"
_PHRASE_LENGTHS = (12, 15, 18, 21, 24)
# The order of secp256k1, SEC 2 section 2.4.1: keys are 1 .. order - 1.
CURVE_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


class Signer(Protocol):
    """Signs for a wallet, with a key in this process or elsewhere."""

    @property
    def address(self) -> str:
        """The wallet's address, EIP-55 checksummed."""
        ...

    def sign(self, text: str) -> str:
        """Return the EIP-191 signature of ``text``: ``0x`` and 130 hex digits, r, s, v with v 27 or 28."""
        ...


class Wallet(NotPicklable):
    """A wallet whose private key is in this process's memory.

    Args:
        account: The signing account.
    """

    __slots__ = ("_account",)

    def __init__(self, account: LocalAccount) -> None:
        self._account = account

    @classmethod
    def from_key(cls, key: str | bytes | Secret) -> Wallet:
        """Create a wallet from its private key.

        Args:
            key: 32 raw bytes, or 64 hex digits with or without ``0x`` and surrounding white space. Prefer a
                ``Secret``: recorders of exceptions store the local variables of the caller.

        Raises:
            WalletKeyError: The key has another form, is zero, or is not below the curve's order.
        """
        account = _account(key)
        del key  # so that the frame of the error does not contain it
        if isinstance(account, WalletKeyError):
            raise account
        return cls(account)

    @property
    def address(self) -> str:
        """The wallet's address, EIP-55 checksummed."""
        return str(self._account.address)

    def sign(self, text: str) -> str:
        """Return the EIP-191 signature of ``text``: ``0x`` and 130 hex digits, r, s, v with v 27 or 28.

        Raises:
            SiweError: The text contains an unpaired surrogate.
        """
        from eth_account.messages import encode_defunct  # noqa: PLC0415 - heavy

        if not is_encodable(text):
            raise SiweError("The text to sign contains an unpaired surrogate.")
        signature: str = self._account.sign_message(encode_defunct(text=text)).signature.to_0x_hex()
        return signature

    def sign_transaction(self, fields: Mapping[str, Any]) -> tuple[str, str]:
        """Return a signed transaction and its hash, both ``0x`` hex.

        Args:
            fields: An EIP-1559 transaction as ``eth_account`` takes it.
        """
        signed = self._account.sign_transaction(dict(fields))
        return signed.raw_transaction.to_0x_hex(), signed.hash.to_0x_hex()

    def expect(self, address: str | None) -> Wallet:
        """Return this wallet if it has the expected address; ``None`` and the empty string expect none.

        Raises:
            SettingsError: ``address`` is not an address.
            WalletKeyError: The key belongs to another wallet.
        """
        if not address:
            return self
        if checksummed(address) != self.address:
            raise WalletKeyError(
                f"The private key belongs to the wallet {self.address}, not to {address}.",
                hint="Correct wallet_address in the Lit connection, or the key.",
            )
        return self

    def __repr__(self) -> str:
        return f"Wallet({self.address})"


def _account(key: str | bytes | Secret) -> LocalAccount | WalletKeyError:
    """Create the account, or return the error: a frame that raises must not contain the key."""
    from eth_account import Account  # noqa: PLC0415 - heavy, see the module's docstring

    raw: object = key.reveal() if isinstance(key, Secret) else key
    if isinstance(raw, bytes) and len(raw) != _KEY_BYTES:
        raw = raw.decode("utf-8", errors="replace")
    if isinstance(raw, str):
        match = _KEY_HEX.fullmatch(raw.strip())
        if match is None:
            return WalletKeyError(
                f"The private key is not 32 bytes of hex: {_form(raw.strip())}.",
                hint="Store it as 64 hex digits, with or without 0x.",
            )
        raw = bytes.fromhex(match[2])
    if not isinstance(raw, bytes):
        return WalletKeyError(
            f"A private key is a text or bytes, and this is of the type {type(raw).__name__}.",
            hint="Give 64 hex digits, with or without 0x.",
        )
    if not 0 < int.from_bytes(raw, "big") < CURVE_ORDER:
        return WalletKeyError(
            "The private key is zero or not below the order of the curve.",
            hint="Store the key that the wallet exported.",
        )
    account: LocalAccount = Account.from_key(raw)
    return account


def _form(text: str) -> str:
    """Say what is wrong with the form of a key, without any of its digits."""
    words = text.split()
    reasons = {
        "it is empty": not text,
        "it is a JSON document, perhaps the whole secret or a keystore": text[:1] in {"{", "["},
        f"it has {len(words)} words, as a recovery phrase has": len(words) in _PHRASE_LENGTHS
        and text.isascii(),
        "quotes stand around it": text.strip(_QUOTES) != text,
        "it contains white space, or a character that cannot be seen": not text.isprintable()
        or len(words) > 1,
        f"it has {len(text)} characters, not all of them hex digits": not _HEX_DIGITS.fullmatch(text),
    }
    return next((reason for reason, holds in reasons.items() if holds), f"it has {len(text)} characters")


def recover(text: str, signature: str) -> str:
    """Return the address that signed ``text`` under EIP-191, EIP-55 checksummed.

    Args:
        text: The signed text.
        signature: 65 bytes of hex, with or without ``0x``.

    Raises:
        SiweError: The signature is malformed.
    """
    address = _recovered(text, signature)
    del signature
    if isinstance(address, SiweError):
        raise address
    return address


def _recovered(text: str, signature: str) -> str | SiweError:
    """Recover the address, or return the error: a signature must not be in a frame that raises."""
    from eth_account import Account  # noqa: PLC0415 - heavy
    from eth_account.messages import encode_defunct  # noqa: PLC0415 - heavy
    from eth_keys.exceptions import BadSignature  # noqa: PLC0415 - heavy

    try:
        raw = bytes.fromhex(signature.removeprefix("0x"))
        if len(raw) != _SIGNATURE_BYTES:
            return SiweError(f"The wallet's signature has {len(raw)} bytes instead of {_SIGNATURE_BYTES}.")
        return str(Account.recover_message(encode_defunct(text=text), signature=raw))
    except (ValueError, BadSignature):  # also a text with an unpaired surrogate
        return SiweError("The wallet's signature is malformed.")
