"""Sessions for a gate: the wallet's delegation, stored or new, and one signature for the gate's audience.

Source: docs/protocol/gate.md#session and #what-a-client-does.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime

from lit_airflow.clock import iso
from lit_airflow.errors import ScopeError, SessionError
from lit_airflow.keys.wallet import Signer
from lit_airflow.networks import contract
from lit_airflow.networks.chipotle.sealing import audience
from lit_airflow.networks.chipotle.session_signature import gate_session_signature
from lit_airflow.networks.contract import SessionOptions
from lit_airflow.protocol.auth_sig import AuthRequest, AuthSig, sign_in
from lit_airflow.protocol.delegation import is_usable
from lit_airflow.protocol.lifetime import ending
from lit_airflow.protocol.scope import DECRYPTION, Scope
from lit_airflow.protocol.session import SESSION_SIGS, Session, SessionKey, earliest_end
from lit_airflow.text import quoted

_NONCE_BYTES = 16
_NO_KEY_HINT = "Open the session where its key is kept: answers are sealed to it, and tickets carry it."


def open_gate_session(
    signer: Signer, request: AuthRequest, options: SessionOptions, *, network: str, gate: str
) -> Session:
    """Have the wallet delegate to a session key, and sign for one gate. Sends nothing.

    Args:
        signer: The wallet.
        request: What the wallet signs, from :func:`delegation_request`.
        options: How to open it.
        network: The network's name.
        gate: The gate's public key.

    Raises:
        SiweError: A domain, statement or resource that a sign-in message cannot carry.
        SessionError: A capability that cannot be signed.
    """
    key = request.session_key
    delegation = _delegation(signer, request, options, network)
    capabilities = (*(each.to_json() for each in options.capabilities), delegation.to_json())
    times = (iso(request.now), request.expiration)
    return Session(
        network=network,
        wallet=delegation.address,
        public_key=key.public_key,
        scope=request.scope,
        issued_at=times[0],
        expiration=times[1],
        expires_at=earliest_end(times[1], capabilities),
        capabilities=capabilities,
        session_sigs={audience(gate): gate_session_signature(key, request.scope, capabilities, times, gate)},
        key=key,
    )


def delegation_request(scope: Scope, options: SessionOptions, now: datetime) -> AuthRequest:
    """Return what the wallet is asked to sign.

    Raises:
        ScopeError: The session asks for anything but decryption, the only thing that a gate does.
        SettingsError: A lifetime that gates do not accept.
    """
    for each in scope.requests:
        if each.ability != DECRYPTION:
            raise ScopeError(
                f"A gate knows decryption only, not {each}.",
                asked=str(each),
                hint="Leave it out of the scope.",
            )
    storage = options.storage
    key = options.session_key or (storage.session_key() if storage else SessionKey.generate())
    return AuthRequest(
        chain=options.chain,
        expiration=ending(now, ttl_s=options.ttl_s, expiration=options.expiration),
        uri=key.uri,
        session_key=key,
        nonce=secrets.token_hex(_NONCE_BYTES),
        scope=scope,
        now=now,
        domain=options.domain,
    )


def usable_session(session: contract.Session) -> Session:
    """Return a session if a gate's answers to it can be read.

    Raises:
        SessionError: It is of another kind, or came without its key.
    """
    if session.kind != SESSION_SIGS or not isinstance(session, Session):
        raise SessionError(f"A session of kind {quoted(session.kind)} is for another network.")
    if session.key is None:
        raise SessionError(
            "The session has no session key, so answers to it could not be read.", hint=_NO_KEY_HINT
        )
    return session


def signature_for(session: Session, gate: str) -> Mapping[str, str]:
    """Return what a gate is shown: as signed when the session was opened, else signed now.

    Raises:
        SessionError: It is not signed for this gate, and the session has no key to sign with.
    """
    signed = session.session_sigs.get(audience(gate))
    if signed is not None:
        return signed
    if session.key is None:
        raise SessionError(
            "The session is not signed for this gate, and has no key to sign with.", hint=_NO_KEY_HINT
        )
    times = (session.issued_at, session.expiration)
    return gate_session_signature(session.key, session.scope, session.capabilities, times, gate)


def _delegation(signer: Signer, request: AuthRequest, options: SessionOptions, network: str) -> AuthSig:
    """Return the stored signature while it can carry the session, else a new one."""
    storage, wallet = options.storage, options.wallet
    stored = storage.auth_sig(network, wallet) if storage and wallet else None
    if stored is not None and is_usable(stored, request, wallet=wallet, network_public_key=None):
        return stored
    auth_sig = sign_in(request, signer, statement=options.statement)
    if storage:
        storage.keep(network, auth_sig.address, auth_sig)
    return auth_sig
