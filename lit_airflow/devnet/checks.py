"""What a node checks before it gives a share, in the order in which it checks.

Pure: the request, the clock and what the node knows come in, the identity to sign or a refusal comes out.
The order and the codes are those of the Datil node software. Three places where that software is laxer are
not copied: the fallback that lets a session pass on its signature alone, the trust in a capability's
``address`` field, and the rate limiter's second reading of all capabilities.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from lit_airflow.devnet.capability import read_capability
from lit_airflow.devnet.capacity import DELEGATION_URI, PaymentLedger
from lit_airflow.devnet.conditions import read_conditions
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.evaluation import Asker, Ledger, check_met
from lit_airflow.devnet.parsing import Json, misfit, parse_json, rfc3339, unhex
from lit_airflow.devnet.proofs import session_signed, wallet_of
from lit_airflow.devnet.recap import DECRYPTION, read_recap
from lit_airflow.devnet.siwe import SignIn, read_sign_in

RESOURCE_PREFIX = "lit-accesscontrolcondition"
SESSION_URI = "lit:session:"
GRACE_S = 60
LONGEST_S = 30 * 24 * 3600

_AUTH_SIG: Json = {"sig": str, "derivedVia": str, "signedMessage": str, "address": str, "algo?": str}
_AUTH_SIG_KEYS = frozenset(key.removesuffix("?") for key in _AUTH_SIG)
_BODY: Json = {"dataToEncryptHash": str, "chain?": str, "authSig": dict, "epoch?": int}
_SESSION: Json = {
    "sessionKey": str,
    "resourceAbilityRequests": [{"resource": {"resource": str, "resourcePrefix": str}, "ability": str}],
    "capabilities": [_AUTH_SIG],
    "issuedAt": str,
    "expiration": str,
    "nodeAddress": str,
}


@dataclass(frozen=True, slots=True)
class Place:
    """The node that checks, at one moment.

    Attributes:
        address: What the node calls itself, ``host:port``.
        now: Its clock.
        network_key: The network's BLS key, 48 bytes compressed; empty when there is none.
        ledger: What the chains say.
        sessions_only: A versioned path, where a wallet's own signature is not taken.
        till: Where requests are paid; ``None`` where nothing is asked for them.
    """

    address: str
    now: datetime
    network_key: bytes = b""
    ledger: Ledger = field(default_factory=dict)
    sessions_only: bool = False
    till: PaymentLedger | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """What to sign: the identity, with the shares of which epoch (0 for the current one)."""

    identity: bytes
    epoch: int


def admit(body: object, place: Place) -> Admission:
    """Check one request for a decryption share.

    Args:
        body: The parsed JSON body.
        place: The node, its clock and what it knows.

    Raises:
        NodeError: The first check that fails.
    """
    if wrong := misfit(body, _BODY):
        raise NodeError("NodeBadInput", wrong)
    request = cast("Json", body)
    epoch = cast("int | None", request.get("epoch")) or 0
    if epoch < 0:
        raise NodeError("NodeBadInput", ".epoch: negative")
    conditions = read_conditions(request)
    auth_sig = read_auth_sig(request["authSig"])
    try:
        resource = f"{conditions.hash()}/{request['dataToEncryptHash']}"
        identity = f"{RESOURCE_PREFIX}://{resource}".encode()
    except UnicodeEncodeError as error:
        raise NodeError("NodeBadInput", "text that is not Unicode") from error
    except ValueError as error:  # an empty unified list
        raise NodeError("NodeMissingAccessControlConditions", str(error)) from error
    asker = _authenticate(auth_sig, resource, place)
    check_met(conditions, asker, place.now, place.ledger)
    return Admission(identity, epoch)


def read_auth_sig(value: object) -> dict[str, str]:
    """Check an authSig's shape.

    An object with any further key is read as a set of signatures per chain, and is then an empty one.

    Raises:
        NodeError: ``NodeInvalidMultipleAuthSigs``.
    """
    wrong = misfit(value, _AUTH_SIG, ".authSig")
    if wrong or not _AUTH_SIG_KEYS.issuperset(cast("Json", value)):
        raise NodeError("NodeInvalidMultipleAuthSigs", wrong or ".authSig: unknown key")
    return cast("dict[str, str]", value)


def _authenticate(auth_sig: dict[str, str], resource: str, place: Place) -> Asker:
    """Tell the kind of a signature by how it was derived, and check it as that kind."""
    kind, algo = auth_sig["derivedVia"], auth_sig.get("algo")
    if (kind, algo) == ("litSessionSignViaNacl", "ed25519"):
        return _check_session(auth_sig, resource, place)
    if place.sessions_only:
        raise NodeError("NodeCannotProvideAuthSigForEndpoint", f"derivedVia {kind!r}")
    if kind in ("EIP1271", "EIP1271_SHA256"):
        raise NodeError("NodeRpcError", "contract signatures need a chain")
    if (kind, algo) == ("lit.bls", "LIT_BLS"):
        raise NodeError("NodeInvalidAuthSig", "a PKP's signature counts inside a session only")
    asker = check_wallet(auth_sig, place.now)
    _charge(asker, [], "", place)
    return asker


def _check_session(auth_sig: dict[str, str], resource: str, place: Place) -> Asker:
    public = _unhexed(auth_sig["address"], 32, "NodeAuthSigAddressConversionError")
    signature = _unhexed(auth_sig["sig"], 64, "NodeAuthSigSignatureConversionError")
    try:
        signed = session_signed(public, signature, auth_sig["signedMessage"])
    except ValueError as error:
        raise NodeError("NodeAuthSigSessionKeyConversionError", str(error)) from error
    if not signed:
        raise NodeError("NodeInvalidAuthSigSessionKeySignature")
    session = _read_session(auth_sig["signedMessage"])
    _check_resource(session, resource)
    try:
        issued_at, expires_at = (rfc3339(cast("str", session[key])) for key in ("issuedAt", "expiration"))
    except ValueError as error:
        raise NodeError("NodeParserError", str(error)) from error
    check_times(issued_at, expires_at, place.now)
    _check_node(cast("str", session["nodeAddress"]), place.address)
    uri = SESSION_URI + auth_sig["address"]
    capabilities = cast("list[dict[str, str]]", session["capabilities"])
    asker = _first_capability(capabilities, uri, resource, place)
    _charge(asker, capabilities, uri, place)
    return asker


def _charge(asker: Asker, capabilities: list[dict[str, str]], uri: str, place: Place) -> None:
    if place.till is not None:
        place.till.charge(asker.address, capabilities, uri, place.now, place.network_key)


def _unhexed(text: str, size: int, code: str) -> bytes:
    try:
        return unhex(text, size)
    except ValueError as error:
        raise NodeError(code, str(error)) from error


def _read_session(text: str) -> Json:
    try:
        session = parse_json(text)
    except ValueError as error:
        raise NodeError("NodeAuthSigSignedMessageConversionError", "not JSON") from error
    if wrong := misfit(session, _SESSION, "session"):
        raise NodeError("NodeAuthSigSignedMessageConversionError", wrong)
    found = cast("Json", session)
    for capability in cast("list[Json]", found["capabilities"]):
        if not _AUTH_SIG_KEYS.issuperset(capability):
            raise NodeError("NodeAuthSigSignedMessageConversionError", "a capability has an unknown key")
    return found


def _check_resource(session: Json, resource: str) -> None:
    """The session must ask for this resource; what it wants to do with it is left to the capability."""
    for entry in cast("list[dict[str, dict[str, str]]]", session["resourceAbilityRequests"]):
        asked = entry["resource"]
        if asked["resourcePrefix"] == RESOURCE_PREFIX and asked["resource"] in ("*", resource):
            return
    raise NodeError("NodeResourceIdNotFound", f"{RESOURCE_PREFIX}://{resource}")


def check_times(issued_at: datetime, expires_at: datetime, now: datetime) -> None:
    """Refuse what is not in time, in whole seconds and with the nodes' grace.

    Raises:
        NodeError: Issued ahead, expired, or made to last more than 30 days.
    """
    issued, expires, clock = (int(moment.timestamp() // 1) for moment in (issued_at, expires_at, now))
    if issued > clock + GRACE_S:
        raise NodeError("NodeIatOutsideGracePeriod", f"issued {issued - clock} s ahead")
    if expires < issued:
        raise NodeError("NodeExpWrongOrTooLarge", "expires before it was issued")
    if expires < clock - GRACE_S:
        raise NodeError("NodeExpWrongOrTooLarge", f"expired {clock - expires} s ago")
    if expires > issued + LONGEST_S:
        raise NodeError("NodeSIWEMessageError", "lives longer than 30 days")


def _check_node(named: str, own: str) -> None:
    address = named.strip()
    for scheme in ("https://", "http://"):
        if address.startswith(scheme):
            address = address.removeprefix(scheme)
            break
    if address.replace("localhost", "127.0.0.1") != own:
        raise NodeError("NodeNotAuthorized", f"signed for {named!r}, this is {own!r}")


def _first_capability(capabilities: list[dict[str, str]], uri: str, resource: str, place: Place) -> Asker:
    """The first capability that proves the request counts; failures before it are passed over."""
    failures: list[str] = []
    for index, capability in enumerate(capabilities):
        try:
            return _check_capability(capability, uri, resource, place)
        except ValueError as error:
            failures.append(f"capability {index}: {error}")
    raise NodeError("NodeSIWECapabilityInvalid", "; ".join(failures) or "there are no capabilities")


def _check_capability(capability: dict[str, str], uri: str, resource: str, place: Place) -> Asker:
    message = read_capability(capability, place.now, place.network_key)
    if message.uri != uri:
        raise ValueError("the message is for another session key")
    _check_grant(message, resource)
    return Asker(message.address, message)


def _check_grant(message: SignIn, resource: str) -> None:
    granted = False
    for urn in message.resources:
        try:
            recap = read_recap(urn)
        except ValueError:
            continue
        if not message.statement.endswith(recap.statement):
            raise ValueError("the statement does not say what the capability grants")
        granted |= recap.covers(RESOURCE_PREFIX, resource, DECRYPTION)
    if not granted:
        raise ValueError("the message grants no decryption of this resource")


def check_wallet(auth_sig: dict[str, str], now: datetime) -> Asker:
    """Check a wallet's own sign-in, without a session.

    Raises:
        NodeError: Not signed by that wallet, not in time, or made for something else.
    """
    text = auth_sig["signedMessage"]
    try:
        signer = wallet_of(text, auth_sig["sig"])
    except ValueError as error:
        raise NodeError("NodeAuthSigSignatureConversionError", str(error)) from error
    if signer.lower() != auth_sig["address"].lower():
        raise NodeError("NodeInvalidAuthSig", "signed by another wallet than address")
    try:
        message = read_sign_in(text)
    except ValueError as error:
        raise NodeError("NodeSIWEMessageError", str(error)) from error
    if message.address != signer:
        raise NodeError("NodeInvalidAuthSig", "the message is another wallet's")
    if message.uri.startswith((SESSION_URI.rstrip(":"), DELEGATION_URI)):
        raise NodeError("NodeInvalidAuthSig", "a delegation cannot stand for its wallet")
    if message.expires_at is None:
        raise NodeError("NodeSIWEMessageError", "no expiration time")
    check_times(message.issued_at, message.expires_at, now)
    if message.not_before is not None and message.not_before > now + timedelta(seconds=GRACE_S):
        raise NodeError("NodeSIWEMessageError", "not valid yet")
    return Asker(message.address, message)
