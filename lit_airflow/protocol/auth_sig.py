"""AuthSigs: signed sign-in messages, as nodes receive them.

Source: docs/protocol/siwe.md and docs/protocol/pkp-sessions.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lit_airflow import _moved
from lit_airflow.errors import SessionError
from lit_airflow.keys.secret import NotPicklable, Secret
from lit_airflow.keys.wallet import Signer
from lit_airflow.protocol import siwe
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session_key import SessionKey
from lit_airflow.text import as_json, quoted

DERIVED_VIA_WALLET = "web3.eth.personal.sign"
ALGO_BLS = "LIT_BLS"


@dataclass(frozen=True, slots=True)
class AuthSig(NotPicklable):
    """A signed text and its signer.

    Attributes:
        sig: The signature; ``0x`` hex for wallets, the JSON ``{"ProofOfPossession": hex}`` for the network.
        derived_via: The method of signing.
        signed_message: The text.
        address: The signer's address, EIP-55 checksummed.
        algo: ``None`` for wallets, ``LIT_BLS`` for the signature of the network.
    """

    sig: str
    derived_via: str
    signed_message: str
    address: str
    algo: str | None = None

    def __repr__(self) -> str:
        return f"AuthSig(address={quoted(self.address)}, algo={as_json(self.algo)})"

    def to_json(self) -> dict[str, Any]:
        """Return the object on the wire. Session keys sign it, so the order of its keys matters."""
        network_order = self.algo == ALGO_BLS
        wire: dict[str, Any] = {"sig": self.sig}
        if network_order:
            wire["algo"] = self.algo
        wire |= {
            "derivedVia": self.derived_via,
            "signedMessage": self.signed_message,
            "address": self.address,
        }
        if self.algo is not None and not network_order:
            wire["algo"] = self.algo
        return wire

    def to_secret(self) -> Secret:
        """Return :meth:`to_json` as compact JSON, non-ASCII characters not escaped."""
        text = json.dumps(self.to_json(), separators=(",", ":"), ensure_ascii=False)
        return Secret(text.encode("utf-8", "surrogatepass"))

    @classmethod
    def from_json(cls, wire: Mapping[str, Any]) -> AuthSig:
        """Read the object on the wire.

        Raises:
            SessionError: It is not an object, or a key is missing or not a text.
        """
        auth_sig = _from_wire(wire)
        del wire  # so that the frame of the error does not contain the signature
        if auth_sig is None:
            raise SessionError("An authSig needs the texts sig, derivedVia, signedMessage and address.")
        return auth_sig


def _from_wire(wire: object) -> AuthSig | None:
    """Return the authSig, or ``None``. Does not raise: its frame contains the signature."""
    fields = wire if isinstance(wire, Mapping) else {}
    texts = [fields.get(key) for key in ("sig", "derivedVia", "signedMessage", "address")]
    algo = fields.get("algo")
    if not all(isinstance(text, str) for text in texts) or not isinstance(algo, str | None):
        return None
    sig, derived_via, signed_message, address = map(str, texts)
    return AuthSig(sig, derived_via, signed_message, address, algo)


def sign(signer: Signer, text: str, *, algo: str | None = None) -> AuthSig:
    """Have a wallet sign a text, and return the authSig.

    Args:
        signer: The wallet.
        text: The text.
        algo: See :class:`AuthSig`.

    Raises:
        SecretError: The wallet cannot sign.
    """
    return AuthSig(signer.sign(text), DERIVED_VIA_WALLET, text, signer.address, algo)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRequest:
    """A request for a signature: the parameters that the SDK passes to its ``authNeededCallback``.

    :func:`sign_in` builds the message to sign from ``uri``, ``expiration``, ``nonce`` and ``scope``.

    Attributes:
        chain: The chain that the caller named.
        expiration: When the delegation ends, RFC 3339 text.
        uri: The URI that receives the delegation: that of the session key.
        session_key: The session key.
        nonce: A recent block hash.
        scope: What the wallet delegates.
        now: The time of issue.
        domain: The domain that asks for the signature; ``None`` if the caller named none.
        statement: The statement of an empty ReCap, as the SDK passes it; not part of the message.
        resources: The URN of an empty ReCap, as the SDK passes it; not part of the message.
    """

    chain: str
    expiration: str
    uri: str
    session_key: SessionKey
    nonce: str
    scope: Scope
    now: datetime
    domain: str | None = None
    statement: str = Recap().statement()
    resources: tuple[str, ...] = (Recap().urn(),)


AuthNeeded = Callable[[AuthRequest], AuthSig]
"""Obtains the wallet's signature, in this process or elsewhere."""


def sign_in(request: AuthRequest, signer: Signer, *, statement: str = siwe.DEFAULT_STATEMENT) -> AuthSig:
    """Answer a request: sign a sign-in message with its capabilities.

    Args:
        request: The request.
        signer: The wallet.
        statement: A sentence for people.

    Raises:
        SiweError: A sign-in message cannot contain the domain, statement or resource id.
        SecretError: The wallet cannot sign.
    """
    message = siwe.sign_in(
        address=signer.address,
        nonce=request.nonce,
        now=request.now,
        requests=request.scope.requests,
        domain="localhost" if request.domain is None else request.domain,
        statement=statement,
        uri=request.uri,
        expiration=request.expiration,
    )
    return sign(signer, siwe.write(message))


def __getattr__(name: str) -> object:  # what version 0.1 had here
    return _moved.function(__name__, name)
