"""What a node checks before it gives a decryption share, in the order of the Datil node software.

These functions are pure: the request, the time and what the node knows go in; the text to sign or a refusal
comes out. Where that software is laxer than its own rules, the devnet is not: it has no fallback that accepts a
session for its signature alone, it does not trust the ``address`` field of a capability, and one capability that
does not verify does not fail the request in the rate limiter.

Source: docs/protocol/session-signatures.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from lit_airflow.devnet.auth_sig import (
    AUTH_SIG,
    SESSION_URI,
    check_times,
    has_only_auth_sig_keys,
    parse_auth_sig,
    verify_wallet_auth_sig,
)
from lit_airflow.devnet.capability import verify_capability
from lit_airflow.devnet.capacity import PaymentLedger
from lit_airflow.devnet.conditions import parse_conditions
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.evaluation import ChainState, Requester, require_met
from lit_airflow.devnet.parsing import Json, parse_hex, parse_json, parse_rfc3339, shape_error
from lit_airflow.devnet.recap import DECRYPTION, parse_recap
from lit_airflow.devnet.signatures import verify_session_signature
from lit_airflow.devnet.signing_request import SigningRequest, parse_body
from lit_airflow.devnet.siwe import SiweMessage

RESOURCE_PREFIX = "lit-accesscontrolcondition"
_PUBLIC_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_BODY: Json = {"dataToEncryptHash": str, "chain?": str, "authSig": dict}
_SESSION: Json = {
    "sessionKey": str,
    "resourceAbilityRequests": [{"resource": {"resource": str, "resourcePrefix": str}, "ability": str}],
    "capabilities": [AUTH_SIG],
    "issuedAt": str,
    "expiration": str,
    "nodeAddress": str,
}


@dataclass(frozen=True, slots=True)
class NodeContext:
    """What a node knows when it checks a request.

    Attributes:
        address: The node's own address, ``host:port``.
        now: The node's time.
        network_key: The network's BLS key, 48 bytes compressed; empty if there is none.
        chain_state: The answers of the chains that conditions ask.
        sessions_only: Whether the path is versioned, so that it accepts session signatures only.
        payments: Charges requests; ``None`` if requests are free.
    """

    address: str
    now: datetime
    network_key: bytes = b""
    chain_state: ChainState = field(default_factory=dict)
    sessions_only: bool = False
    payments: PaymentLedger | None = None


def check_decryption_request(body: object, context: NodeContext) -> SigningRequest:
    """Check a request for a decryption share.

    Args:
        body: The parsed JSON body.
        context: What the node knows.

    Returns:
        The ciphertext's identity as the text to sign, and the epoch.

    Raises:
        NodeError: The first check that fails.
    """
    request, epoch = parse_body(body, _BODY)
    conditions = parse_conditions(request)
    auth_sig = parse_auth_sig(request["authSig"])
    try:
        resource = f"{conditions.hash()}/{request['dataToEncryptHash']}"
    except UnicodeEncodeError as error:
        raise NodeError("NodeBadInput", "text that is not Unicode") from error
    except ValueError as error:  # an empty unified list
        raise NodeError("NodeMissingAccessControlConditions", str(error)) from error
    requester = _authenticate(auth_sig, resource, context)
    require_met(conditions, requester, context.now, context.chain_state)
    return SigningRequest(f"{RESOURCE_PREFIX}://{resource}", epoch)


def _authenticate(auth_sig: dict[str, str], resource: str, context: NodeContext) -> Requester:
    """Verify an authSig as the kind of signature that its ``derivedVia`` and ``algo`` name."""
    kind, algo = auth_sig["derivedVia"], auth_sig.get("algo")
    if (kind, algo) == ("litSessionSignViaNacl", "ed25519"):
        return _check_session(auth_sig, resource, context)
    if context.sessions_only:
        raise NodeError("NodeCannotProvideAuthSigForEndpoint", f"derivedVia {kind!r}")
    if (kind, algo) == ("lit.bls", "LIT_BLS"):
        raise NodeError("NodeInvalidAuthSig", "a PKP's signature counts inside a session only")
    message = verify_wallet_auth_sig(auth_sig, context.now)
    requester = Requester(message.address, message)
    _charge(requester, [], "", context)
    return requester


def _check_session(auth_sig: dict[str, str], resource: str, context: NodeContext) -> Requester:
    public = _parse_hex(auth_sig["address"], _PUBLIC_KEY_BYTES, "NodeAuthSigAddressConversionError")
    signature = _parse_hex(auth_sig["sig"], _SIGNATURE_BYTES, "NodeAuthSigSignatureConversionError")
    try:
        signed = verify_session_signature(public, signature, auth_sig["signedMessage"])
    except ValueError as error:
        raise NodeError("NodeAuthSigSessionKeyConversionError", str(error)) from error
    if not signed:
        raise NodeError("NodeInvalidAuthSigSessionKeySignature")
    session = _parse_session(auth_sig["signedMessage"])
    _check_requested_resource(session, resource)
    try:
        issued_at = parse_rfc3339(cast("str", session["issuedAt"]))
        expires_at = parse_rfc3339(cast("str", session["expiration"]))
    except ValueError as error:
        raise NodeError("NodeParserError", str(error)) from error
    check_times(issued_at, expires_at, context.now)
    _check_node_address(cast("str", session["nodeAddress"]), context.address)
    uri = SESSION_URI + auth_sig["address"]
    capabilities = cast("list[dict[str, str]]", session["capabilities"])
    requester = _first_valid_capability(capabilities, uri, resource, context)
    _charge(requester, capabilities, uri, context)
    return requester


def _charge(requester: Requester, capabilities: list[dict[str, str]], uri: str, context: NodeContext) -> None:
    if context.payments is not None:
        context.payments.charge(requester.address, capabilities, uri, context.now, context.network_key)


def _parse_hex(text: str, size: int, code: str) -> bytes:
    try:
        return parse_hex(text, size)
    except ValueError as error:
        raise NodeError(code, str(error)) from error


def _parse_session(text: str) -> Json:
    try:
        content = parse_json(text)
    except ValueError as error:
        raise NodeError("NodeAuthSigSignedMessageConversionError", "not JSON") from error
    if error_text := shape_error(content, _SESSION, "session"):
        raise NodeError("NodeAuthSigSignedMessageConversionError", error_text)
    session = cast("Json", content)
    if not all(map(has_only_auth_sig_keys, cast("list[Json]", session["capabilities"]))):
        raise NodeError("NodeAuthSigSignedMessageConversionError", "a capability has an unknown key")
    return session


def _check_requested_resource(session: Json, resource: str) -> None:
    """Check that the session asks for this resource; the ability it asks for is left to the capability."""
    for request in cast("list[dict[str, dict[str, str]]]", session["resourceAbilityRequests"]):
        requested = request["resource"]
        if requested["resourcePrefix"] == RESOURCE_PREFIX and requested["resource"] in ("*", resource):
            return
    raise NodeError("NodeResourceIdNotFound", f"{RESOURCE_PREFIX}://{resource}")


def _check_node_address(signed: str, own: str) -> None:
    address = signed.strip()
    for scheme in ("https://", "http://"):
        if address.startswith(scheme):
            address = address.removeprefix(scheme)
            break
    if address.replace("localhost", "127.0.0.1") != own:
        raise NodeError("NodeNotAuthorized", f"signed for {signed!r}, this is {own!r}")


def _first_valid_capability(
    capabilities: list[dict[str, str]], uri: str, resource: str, context: NodeContext
) -> Requester:
    """Return the wallet of the first capability that grants the request; the ones before it are skipped."""
    failures: list[str] = []
    for index, capability in enumerate(capabilities):
        try:
            return _check_capability(capability, uri, resource, context)
        except ValueError as error:
            failures.append(f"capability {index}: {error}")
    raise NodeError("NodeSIWECapabilityInvalid", "; ".join(failures) or "there are no capabilities")


def _check_capability(capability: dict[str, str], uri: str, resource: str, context: NodeContext) -> Requester:
    message = verify_capability(capability, context.now, context.network_key)
    if message.uri != uri:
        raise ValueError("the message is for another session key")
    _check_grant(message, resource)
    return Requester(message.address, message)


def _check_grant(message: SiweMessage, resource: str) -> None:
    granted = False
    for urn in message.resources:
        try:
            recap = parse_recap(urn)
        except ValueError:
            continue
        if not message.statement.endswith(recap.statement):
            raise ValueError("the statement does not say what the capability grants")
        granted |= recap.covers(RESOURCE_PREFIX, resource, DECRYPTION)
    if not granted:
        raise ValueError("the message grants no decryption of this resource")
