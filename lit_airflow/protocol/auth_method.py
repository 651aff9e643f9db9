"""Authentication methods: proofs to the network that the caller may use a PKP.

Source: ``AuthMethod`` of the SDK 7.4.0; docs/protocol/pkp-sessions.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lit_airflow.clock import iso
from lit_airflow.errors import SettingsError
from lit_airflow.keys.secret import NotPicklable, Secret
from lit_airflow.keys.wallet import Signer
from lit_airflow.protocol import auth_sig, siwe

ETH_WALLET = 1
"""The type of the method whose proof is an authSig of a wallet."""

DEFAULT_TTL_S = 120.0
"""Enough for one call with clocks a minute apart. Every node that is sent the proof can use it for as long."""
_PUBLIC_KEY = re.compile(r"(?:0x)?(04[0-9a-fA-F]{128})")


class AuthMethod(NotPicklable):
    """A proof of one type.

    Args:
        type: The number of the type, such as :data:`ETH_WALLET`.
        access_token: The token for the nodes, such as the JSON of an authSig; UTF-8.

    Raises:
        SettingsError: The token is not valid UTF-8.
    """

    __slots__ = ("access_token", "type")

    def __init__(self, type: int, access_token: str | Secret) -> None:  # noqa: A002 - the protocol's name
        self.type = type
        if isinstance(access_token, str):
            access_token = Secret(access_token.encode("utf-8", "surrogatepass"))
        if not _is_utf8(access_token):
            raise SettingsError("The access token is not valid UTF-8.", field="auth_methods")
        self.access_token = access_token

    @classmethod
    def of(cls, method: AuthMethod | Mapping[str, Any]) -> AuthMethod:
        """Read the SDK's object ``{"authMethodType": 1, "accessToken": "…"}``.

        Args:
            method: The object. An ``AuthMethod`` is returned unchanged.

        Raises:
            SettingsError: A key is missing or has the wrong type.
        """
        proof = method if isinstance(method, AuthMethod) else _type_and_token(method)
        del method  # so that the frame of the error does not contain the token
        return _checked(proof)

    def to_json(self) -> dict[str, Any]:
        """Return the object on the wire; it contains the token in clear text."""
        return {"authMethodType": self.type, "accessToken": self.access_token.reveal().decode()}

    def __repr__(self) -> str:
        return f"AuthMethod(type={self.type})"


def _checked(proof: AuthMethod | tuple[int, Secret] | None) -> AuthMethod:
    if proof is None:
        raise SettingsError(
            "An authentication method needs the number authMethodType and the text accessToken.",
            field="auth_methods",
        )
    return proof if isinstance(proof, AuthMethod) else AuthMethod(*proof)


def _type_and_token(method: object) -> tuple[int, Secret] | None:
    """Return type and token, or ``None``. Does not raise: its frame contains the token."""
    fields = method if isinstance(method, Mapping) else {}
    kind, token = fields.get("authMethodType"), fields.get("accessToken")
    if not isinstance(kind, int):
        return None
    if isinstance(token, str):
        token = Secret(token.encode("utf-8", "surrogatepass"))
    return (kind, token) if isinstance(token, Secret) else None


def _is_utf8(token: Secret) -> bool:
    """Return whether the token is UTF-8. Does not raise: an UnicodeDecodeError contains the token."""
    try:
        token.reveal().decode()
    except UnicodeDecodeError:
        return False
    return True


def eth_wallet_auth_method(  # noqa: PLR0913 - all but three optional
    signer: Signer,
    nonce: str,
    now: datetime,
    *,
    ttl_s: float = DEFAULT_TTL_S,
    domain: str = "localhost",
    statement: str = "Use a PKP in the name of this wallet.",
) -> AuthMethod:
    """Have a wallet sign a sign-in message, and return it as an authentication method.

    Args:
        signer: The wallet.
        nonce: At least eight letters and digits, such as a recent block hash.
        now: The time of issue.
        ttl_s: Seconds for which nodes accept it.
        domain: The domain in the wallet's sign-in message.
        statement: A sentence for people in that message.

    Raises:
        SettingsError: ``ttl_s`` is not a number, or too large.
        SiweError: A sign-in message cannot contain the domain, nonce or statement.
        SecretError: The wallet cannot sign.
    """
    try:
        expiration = iso(now + timedelta(seconds=ttl_s))
    except (OverflowError, ValueError):
        raise SettingsError(f"ttl_s is too large: {ttl_s:g}.", field="ttl_s") from None
    message = siwe.sign_in(
        address=signer.address,
        nonce=nonce,
        now=now,
        domain=domain,
        statement=statement,
        expiration=expiration,
    )
    return AuthMethod(ETH_WALLET, auth_sig.sign(signer, siwe.write(message)).to_secret())


@dataclass(frozen=True, slots=True)
class PkpAccess:
    """A PKP, and the proofs that the caller may use it.

    Attributes:
        public_key: ``0x04`` and 128 hex digits.
        auth_methods: The proofs; at least one must be permitted for this PKP.
    """

    public_key: str
    auth_methods: tuple[AuthMethod, ...]

    @classmethod
    def of(cls, public_key: str, methods: Sequence[AuthMethod | Mapping[str, Any]]) -> PkpAccess:
        """Read a public key and authentication methods in the SDK's forms.

        Args:
            public_key: Uncompressed, 130 hex digits with or without ``0x``.
            methods: See :meth:`AuthMethod.of`.

        Raises:
            SettingsError: The public key is invalid, there are no methods, or one is invalid.
        """
        proofs = [method if isinstance(method, AuthMethod) else _type_and_token(method) for method in methods]
        del methods  # so that the frames of the errors do not contain the tokens
        found = _PUBLIC_KEY.fullmatch(public_key)
        if found is None:
            raise SettingsError(
                "The public key of a PKP must be 04 and 128 hex digits.",
                field="pkp_public_key",
                hint="Give the uncompressed key, not the token id or the address.",
            )
        if not proofs:
            raise SettingsError("There is no authentication method for the PKP.", field="auth_methods")
        return cls("0x" + found[1], tuple(_checked(proof) for proof in proofs))

    @property
    def address(self) -> str:
        """The PKP's Ethereum address, EIP-55 checksummed."""
        from eth_keys.datatypes import PublicKey  # noqa: PLC0415 - heavy

        raw = bytes.fromhex(self.public_key.removeprefix("0x"))
        return str(PublicKey(raw[1:]).to_checksum_address())
