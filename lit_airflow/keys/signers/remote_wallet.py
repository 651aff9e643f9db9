"""A wallet whose key is elsewhere: what comes back is used only if it is the wallet's signature of the text.

Source: EIP-191 version 0x45; EIP-2 for the low ``s``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from lit_airflow.errors import SignatureError, SiweError
from lit_airflow.keys.wallet import CURVE_ORDER, recover

_SIGNATURE = re.compile(r"(0x)?([0-9a-fA-F]{130})")
_RECOVERY_IDS = {0: 0, 1: 1, 27: 0, 28: 1}


@dataclass(frozen=True, slots=True)
class RemoteWallet:
    """A wallet whose key stays with whoever signs for it.

    Attributes:
        address: The wallet's address, EIP-55 checksummed.
        where: What to call the signer in messages.
        ask: Has a text signed; returns what the signer answered.
    """

    address: str
    where: str
    ask: Callable[[str], object] = field(repr=False)

    def sign(self, text: str) -> str:
        """The EIP-191 signature of ``text``: ``0x`` and 130 hex digits, r, s, v with v 27 or 28 and s low.

        Raises:
            SignerUnavailableError: The signer does not answer.
            SignerDeniedError: It refuses.
            SignatureError: It answers something else than this wallet's signature of this text.
        """
        signature = _canonical(self.ask(text), self.where)
        try:
            signed_by = recover(text, signature)
        except SiweError as error:
            raise _no_signature(self.where) from error
        if signed_by != self.address:
            raise SignatureError(
                f"The signer {self.where} did not sign this text as {self.address}.",
                hint="Check wallet_address, and for an engine in Vault signer_takes, in the Lit connection.",
            )
        return signature


def prefixed(text: str) -> bytes:
    """What EIP-191's ``personal_sign`` hashes: its prefix, the text's length in bytes, the text."""
    raw = text.encode()
    return b"\x19Ethereum Signed Message:\n" + str(len(raw)).encode() + raw


def _canonical(answer: object, where: str) -> str:
    """One form for what is returned with or without ``0x``, with v from 0 or from 27, with a high or a low s."""
    match = _SIGNATURE.fullmatch(answer.strip()) if isinstance(answer, str) else None
    if match is None:
        raise _no_signature(where)
    raw = bytes.fromhex(match[2])
    recovery_id = _RECOVERY_IDS.get(raw[64])
    if recovery_id is None:
        raise _no_signature(where)
    s = int.from_bytes(raw[32:64], "big")
    if 2 * s > CURVE_ORDER:
        s, recovery_id = CURVE_ORDER - s, 1 - recovery_id
        if s < 0:
            raise _no_signature(where)
    return "0x" + (raw[:32] + s.to_bytes(32, "big") + bytes([27 + recovery_id])).hex()


def _no_signature(where: str) -> SignatureError:
    return SignatureError(
        f"What the signer {where} returned is no signature.",
        hint="65 bytes of hex are due: r, s, and v of 0, 1, 27 or 28. Check signer in the Lit connection.",
    )
