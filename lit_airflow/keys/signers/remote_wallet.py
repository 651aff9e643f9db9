"""A wallet whose key is elsewhere: a signature is used only if it is this wallet's signature of the text.

Source: EIP-191 version 0x45; EIP-2 for the low ``s``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from lit_airflow.errors import SignatureError, SiweError
from lit_airflow.keys.wallet import CURVE_ORDER, recover
from lit_airflow.text import is_encodable

_SIGNATURE = re.compile(r"(0x)?([0-9a-fA-F]{130})")
_RECOVERY_IDS = {0: 0, 1: 1, 27: 0, 28: 1}


@dataclass(frozen=True, slots=True)
class RemoteWallet:
    """A wallet whose key stays with a remote signer.

    Attributes:
        address: The wallet's address, EIP-55 checksummed.
        where: The signer's name in messages.
        ask: Sends a text to the signer and returns its answer.
    """

    address: str
    where: str
    ask: Callable[[str], object] = field(repr=False)

    def sign(self, text: str) -> str:
        """Return the EIP-191 signature of ``text``: ``0x`` and 130 hex digits, r, s, v with v 27 or 28 and s low.

        Raises:
            SignerUnavailableError: The signer does not answer.
            SignerDeniedError: The signer refuses.
            SignatureError: The answer is not this wallet's signature of this text.
            SiweError: The text contains an unpaired surrogate.
        """
        if not is_encodable(text):
            raise SiweError("The text to sign contains an unpaired surrogate.")
        signature = self._verified(self.ask(text), text)
        if isinstance(signature, SignatureError):
            raise signature
        return signature

    def _verified(self, answer: object, text: str) -> str | SignatureError:
        """Return the signature, or the error: another wallet's signature must not be in a frame that raises."""
        signature = _canonical(answer)
        try:
            signed_by = "" if signature is None else recover(text, signature)
        except SiweError:
            signed_by = ""
        if signature is None or not signed_by:
            return SignatureError(
                f"The signer {self.where} did not return a signature.",
                hint="It must return 65 bytes of hex: r, s, and v of 0, 1, 27 or 28. Check signer in the Lit "
                "connection.",
            )
        if signed_by != self.address:
            return SignatureError(
                f"The signer {self.where} did not sign this text as {self.address}.",
                hint="Check wallet_address in the Lit connection; for an engine in Vault, also signer_takes.",
            )
        return signature


def prefixed(text: str) -> bytes:
    """Return what EIP-191's ``personal_sign`` hashes: the prefix, the text's length in bytes, the text."""
    raw = text.encode()
    return b"\x19Ethereum Signed Message:\n" + str(len(raw)).encode() + raw


def _canonical(answer: object) -> str | None:
    """Bring a signature with or without ``0x``, with v from 0 or 27, with a high or low s, into one form."""
    match = _SIGNATURE.fullmatch(answer.strip()) if isinstance(answer, str) else None
    raw = bytes.fromhex(match[2]) if match is not None else bytes(65)
    recovery_id = _RECOVERY_IDS.get(raw[64])
    s = int.from_bytes(raw[32:64], "big")
    if match is None or recovery_id is None or s > CURVE_ORDER:
        return None
    if 2 * s > CURVE_ORDER:
        s, recovery_id = CURVE_ORDER - s, 1 - recovery_id
    return "0x" + (raw[:32] + s.to_bytes(32, "big") + bytes([27 + recovery_id])).hex()
