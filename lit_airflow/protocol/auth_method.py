"""How somebody proves to the network that a PKP may be used in their name.

Source: ``AuthMethod`` of the SDK 7.4.0; docs/protocol/pkp-sessions.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lit_airflow.clock import iso
from lit_airflow.errors import SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.wallet import Signer
from lit_airflow.protocol import auth_sig, siwe

ETH_WALLET = 1
"""The type of the method that a wallet's signed sign-in message is."""

DEFAULT_TTL_S = 600.0
_PUBLIC_KEY = re.compile(r"(?:0x)?(04[0-9a-fA-F]{128})")


class AuthMethod:
    """One proof: of what kind, and the token that is shown to the nodes.

    Args:
        type: The number of the kind, such as :data:`ETH_WALLET`.
        access_token: What proves it, such as the JSON of an authSig; never shown or logged.

    Raises:
        SettingsError: The token has no UTF-8.
    """

    __slots__ = ("access_token", "type")

    def __init__(self, type: int, access_token: str | Secret) -> None:  # noqa: A002 - the protocol's name
        self.type = type
        if isinstance(access_token, str):
            access_token = Secret(access_token.encode("utf-8", "surrogatepass"))
        try:
            access_token.reveal().decode()
        except UnicodeDecodeError:
            raise SettingsError("The access token has no UTF-8.", field="auth_methods") from None
        self.access_token = access_token

    @classmethod
    def of(cls, method: AuthMethod | Mapping[str, Any]) -> AuthMethod:
        """A method, or the SDK's object ``{"authMethodType": 1, "accessToken": "…"}``.

        Raises:
            SettingsError: A key is missing or of the wrong type.
        """
        if isinstance(method, AuthMethod):
            return method
        kind, token = method.get("authMethodType"), method.get("accessToken")
        if not isinstance(kind, int) or not isinstance(token, str | Secret):
            raise SettingsError(
                "An authentication method has the number authMethodType and the text accessToken.",
                field="auth_methods",
            )
        return cls(kind, token)

    def to_json(self) -> dict[str, Any]:
        """The object on the wire; it holds the token in clear."""
        return {"authMethodType": self.type, "accessToken": self.access_token.reveal().decode()}

    def __repr__(self) -> str:
        return f"AuthMethod(type={self.type})"


def eth_wallet_auth_method(  # noqa: PLR0913 - all but three optional
    signer: Signer,
    nonce: str,
    now: datetime,
    *,
    ttl_s: float = DEFAULT_TTL_S,
    domain: str = "localhost",
    statement: str = "Use a PKP in the name of this wallet.",
) -> AuthMethod:
    """The proof that a wallet is present: a sign-in message that it signs.

    Args:
        signer: The wallet.
        nonce: At least eight letters and digits; a recent block hash is customary.
        now: The time of issue.
        ttl_s: Seconds for which nodes accept it.
        domain: Who asks, as the wallet's message shows it.
        statement: A sentence for people in that message.

    Raises:
        SiweError: A domain, nonce or statement that a sign-in message cannot carry.
    """
    message = siwe.sign_in(
        address=signer.address,
        nonce=nonce,
        now=now,
        domain=domain,
        statement=statement,
        expiration=iso(now + timedelta(seconds=ttl_s)),
    )
    proof = auth_sig.sign(signer, siwe.write(message)).to_json()
    return AuthMethod(ETH_WALLET, json.dumps(proof, separators=(",", ":"), ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class PkpAccess:
    """A PKP, and the proofs that it may be used.

    Attributes:
        public_key: ``0x04`` and 128 hex digits.
        auth_methods: At least one of them must be permitted for this PKP.
    """

    public_key: str
    auth_methods: tuple[AuthMethod, ...]

    @classmethod
    def of(cls, public_key: str, methods: Sequence[AuthMethod | Mapping[str, Any]]) -> PkpAccess:
        """Read both as the SDK takes them.

        Args:
            public_key: Uncompressed, 130 hex digits with or without ``0x``.
            methods: See :meth:`AuthMethod.of`.

        Raises:
            SettingsError: No public key, or no authentication method.
        """
        found = _PUBLIC_KEY.fullmatch(public_key)
        if found is None:
            raise SettingsError(
                "A PKP's public key is 04 and 128 hex digits.",
                field="pkp_public_key",
                hint="Its token id or address will not do: nodes want the uncompressed key.",
            )
        if not methods:
            raise SettingsError("Without an authentication method no PKP can be used.", field="auth_methods")
        return cls("0x" + found[1], tuple(AuthMethod.of(method) for method in methods))

    @property
    def address(self) -> str:
        """The PKP's Ethereum address, EIP-55 checksummed."""
        from eth_keys.datatypes import PublicKey  # noqa: PLC0415 - heavy

        raw = bytes.fromhex(self.public_key.removeprefix("0x"))
        return str(PublicKey(raw[1:]).to_checksum_address())
