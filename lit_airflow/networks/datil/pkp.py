"""A delegation that the network signs for a PKP: ``signSessionKey`` and ``getPkpSessionSigs`` of the SDK.

No wallet signs. The nodes check the authentication methods, put their own facts into the sign-in message (nonce and
time of a block, who was authenticated), and each signs with its share of the network's BLS key.

Source: docs/protocol/pkp-sessions.md; ``@lit-protocol/lit-node-client-nodejs`` 7.4.0.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from lit_airflow.clock import Deadline
from lit_airflow.errors import NodeError, ProtocolError, SiweError
from lit_airflow.networks.committee import Committee
from lit_airflow.networks.datil import wire
from lit_airflow.networks.datil.share_collector import ShareCollector, SignedShare
from lit_airflow.protocol import siwe
from lit_airflow.protocol.auth_method import PkpAccess
from lit_airflow.protocol.auth_sig import ALGO_BLS, AuthRequest, AuthSig
from lit_airflow.protocol.delegation import network_digest
from lit_airflow.protocol.recap import Recap
from lit_airflow.transport.http import Http, Repeat

log = logging.getLogger(__name__)

SIGN_SESSION_KEY = "/web/sign_session_key/v1"
DEFAULT_DOMAIN = "litprotocol.com"
DERIVED_VIA = "lit.bls"
STATEMENT = "Lit Protocol PKP session signature"

_CURVE = "BLS"
_REQUIRED = (
    "signatureShare",
    "curveType",
    "shareIndex",
    "siweMessage",
    "dataSigned",
    "blsRootPubkey",
    "result",
)


def delegation(
    access: PkpAccess, request: AuthRequest, committee: Committee, http: Http, deadline: Deadline
) -> AuthSig:
    """Return the network's delegation from a PKP to a session key, verified under the network's key.

    Args:
        access: The PKP, and the proofs that it may be used.
        request: The session. Its statement goes into the message, as in the SDK.
        committee: The nodes.
        http: How to send requests.
        deadline: When to stop.

    Raises:
        SiweError: A domain or resource that a sign-in message cannot carry.
        AccessDeniedError: The nodes refuse: no method permits this PKP, or one has expired.
        NodesUnavailableError: Too few usable answers; names every node and why.
        ProtocolError: The network signed another message than it was asked for.
    """
    message = _message(access.address, request)
    headers = wire.headers()
    texts: dict[bytes, str] = {}

    def ask(node: str, cancelled: threading.Event) -> SignedShare:
        response = http.post(
            node + SIGN_SESSION_KEY,
            _body(access, request.uri, message, committee.epoch),
            deadline=deadline,
            repeat=Repeat.ALWAYS,
            headers=headers,
            cancelled=cancelled,
        )
        answer = wire.read_answer(response)
        text = _text(answer)
        digest = network_digest(text)
        texts[digest] = text
        return SignedShare(digest, wire.read_share(answer))

    collector = ShareCollector(committee, "Opening a PKP session")
    digest, recovered = collector.collect(ask, deadline)
    text = texts[digest]
    _check(text, access.address, request)
    log.info("The network signed a session for the PKP %s. %s", access.address, collector.report())
    signature = {"ProofOfPossession": recovered.signature.to_compressed_bytes().hex()}
    return AuthSig(wire.compact(signature), DERIVED_VIA, text, access.address, ALGO_BLS)


def _body(access: PkpAccess, session_uri: str, message: str, epoch: int) -> str:
    """Return a request's body. It contains the tokens, so only a call that sends it holds it."""
    return wire.compact(
        {
            "sessionKey": session_uri,
            "authMethods": [method.to_json() for method in access.auth_methods],
            "pkpPublicKey": access.public_key,
            "siweMessage": message,
            "curveType": _CURVE,
            "epoch": epoch,
        }
    )


def _message(address: str, request: AuthRequest) -> str:
    return siwe.write(
        siwe.sign_in(
            address=address,
            nonce=request.nonce,
            now=request.now,
            requests=request.scope.requests,
            domain=request.domain or DEFAULT_DOMAIN,
            statement=f"{STATEMENT} {request.statement}",
            uri=request.uri,
            expiration=request.expiration,
        )
    )


def _text(answer: object) -> str:
    """Return the message that a node signed, from an answer that is complete."""
    fields: Mapping[str, Any] = answer if isinstance(answer, dict) else {}
    missing = [key for key in _REQUIRED if fields.get(key) in (None, "")]
    if missing:
        raise NodeError(f"its answer lacks {', '.join(missing)}")
    text = fields["siweMessage"]
    if not isinstance(text, str) or fields["curveType"] != _CURVE:
        raise NodeError("its answer is not a BLS signature of a message")
    return text


def _check(text: str, address: str, request: AuthRequest) -> None:
    """Check that the signed message carries this session; its nonce and time of issue are the nodes' own."""
    try:
        message = siwe.read(text)
        recap = Recap.from_urn(message.resources[0] if message.resources else "")
    except SiweError as error:
        raise ProtocolError("The network signed a message that does not parse.") from error
    carries = (message.address, message.uri, message.expiration_time) == (
        address,
        request.uri,
        request.expiration,
    )
    if not carries or not all(recap.covers(each.resource, each.ability) for each in request.scope.requests):
        raise ProtocolError("The network signed another session than it was asked for.")
