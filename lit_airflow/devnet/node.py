"""One node: its endpoints, and its responses under a fault.

To add an endpoint, write a function from ``EndpointRequest`` to the JSON of the response and add it to
``ENDPOINTS``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, cast

from lit_airflow.devnet.asgi import HttpRequest
from lit_airflow.devnet.checks import NodeContext, check_decryption_request
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.faults import ActiveFault, Event
from lit_airflow.devnet.parsing import Json, parse_json, shape_error
from lit_airflow.devnet.pkp_sessions import CURVE, PkpContext, check_session_request
from lit_airflow.devnet.responses import HttpResponse
from lit_airflow.devnet.signatures import pkp_session_digest

if TYPE_CHECKING:
    from lit_airflow.devnet.blocks import Blocks
    from lit_airflow.devnet.capacity import PaymentLedger
    from lit_airflow.devnet.dealer import Dealer
    from lit_airflow.devnet.evaluation import ChainState
    from lit_airflow.devnet.pkps import PkpRegistry

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_CHALLENGE = re.compile(r"[0-9a-fA-F]{64}")
_HANDSHAKE: Json = {"clientPublicKey": str, "challenge": str, "epoch?": int}


class AnsweredRequest(NamedTuple):
    """A request that a node answered.

    Attributes:
        node: The node's number.
        path: The path of the URL.
        status: The HTTP status of the response.
        error_code: The node's error code; ``None`` for a success.
    """

    node: int
    path: str
    status: int
    error_code: str | None


@dataclass(slots=True)
class Node:
    """One node of the network.

    Attributes:
        index: Its number, from 0; the identifier of its share is one more.
        address: Its own address, ``host:port``.
        dealer: Holds its key share.
        clock: Returns the network's time.
        blocks: The blocks whose hashes are nonces.
        pkps: All PKPs.
        payments: Charges requests; ``None`` if requests are free.
        chain_state: The answers of the chains that conditions ask.
        record: Called with every request that the node has answered.
        start_event: Called with an event that a fault causes, and the node's number.
        active_fault: The node's fault.
    """

    index: int
    address: str
    dealer: Dealer
    clock: Callable[[], datetime]
    blocks: Blocks
    pkps: PkpRegistry
    payments: PaymentLedger | None
    chain_state: ChainState
    record: Callable[[AnsweredRequest], None]
    start_event: Callable[[Event, int], None]
    active_fault: ActiveFault = field(default_factory=ActiveFault)

    @property
    def url(self) -> str:
        """The URL for clients."""
        return f"http://{self.address}"

    def now(self) -> datetime:
        """Return the time of the node's clock."""
        return self.clock() + timedelta(seconds=self.active_fault.behaviour.clock_offset_s)

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a request, as the active fault changes it."""
        response = self.active_fault.apply(lambda: _correct_response(self, request))
        self.record(AnsweredRequest(self.index, request.path, response.status, response.error_code))
        return response.with_date(self.now())


@dataclass(frozen=True, slots=True)
class EndpointRequest:
    """A request to one of the endpoints.

    Attributes:
        headers: Names in lower case.
        body: The parsed JSON.
        versioned: Whether the path ends in ``/v1``.
    """

    headers: Mapping[str, str]
    body: object
    versioned: bool


def handshake(node: Node, request: EndpointRequest) -> Json:
    """Answer ``/web/handshake``: report the network's key and the latest block hash.

    Raises:
        NodeError: A header is missing or invalid, or the body does not have the shape.

    Source: docs/protocol/handshake.md.
    """
    if not request.headers.get("x-request-id"):
        raise NodeError("CoreApiMissingRequiredXRequestIdHeader")
    version = request.headers.get("x-lit-sdk-version", "")
    if not _VERSION.fullmatch(version) or version == "0.0.0":
        raise NodeError("CoreApiInvalidXSDKVersionHeader", f"not {version!r}")
    if error := shape_error(request.body, _HANDSHAKE):
        raise NodeError("NodeBadInput", error)
    if not _CHALLENGE.fullmatch(cast("dict[str, str]", request.body)["challenge"]):
        raise NodeError("NodeBadInput", ".challenge: 32 bytes of hex are expected")
    key, behaviour = node.dealer.public_key, node.active_fault.behaviour
    if behaviour.event is not None:
        node.active_fault = ActiveFault()
        node.start_event(behaviour.event, node.index)
    return behaviour.handshake(
        {
            "serverPublicKey": "",
            "subnetPublicKey": key,
            "networkPublicKey": key,
            "networkPublicKeySet": key,
            "clientSdkVersion": version,
            "hdRootPubkeys": [],
            "attestation": None,
            "latestBlockhash": node.blocks.latest_hash(),
        }
    )


def decryption_share(node: Node, request: EndpointRequest) -> Json:
    """Answer ``/web/encryption/sign``: sign the identity of a ciphertext that the requester may decrypt.

    Raises:
        NodeError: A check fails.

    Source: docs/protocol/requests.md and docs/protocol/session-signatures.md.
    """
    context = NodeContext(
        address=node.address,
        now=node.now(),
        network_key=bytes.fromhex(node.dealer.public_key),
        chain_state=node.chain_state,
        sessions_only=request.versioned,
        payments=node.payments,
    )
    signing = check_decryption_request(request.body, context)
    share = _signature_share(node, signing.text.encode(), signing.epoch)
    return {
        "result": "success",
        "signatureShare": {"ProofOfPossession": share.hex()},
        "shareIndex": node.index,
    }


def session_share(node: Node, request: EndpointRequest) -> Json:
    """Answer ``/web/sign_session_key/v1``: sign a session for a PKP that the requester may use.

    Raises:
        NodeError: A check fails.

    Source: docs/protocol/pkp-sessions.md.
    """
    context = PkpContext(node.now(), node.pkps, node.blocks.mined_at)
    signing = check_session_request(request.body, context)
    text = node.active_fault.behaviour.pkp_message(signing.text)
    digest = pkp_session_digest(text)
    share = _signature_share(node, digest, signing.epoch)
    return {
        "result": "success",
        "signatureShare": {"ProofOfPossession": share.hex()},
        "shareIndex": node.index,
        "curveType": CURVE,
        "siweMessage": text,
        "dataSigned": digest.hex(),
        "blsRootPubkey": node.dealer.public_key,
    }


def _signature_share(node: Node, message: bytes, epoch: int) -> bytes:
    try:
        return node.active_fault.behaviour.sign(node.dealer, node.index, message, epoch)
    except LookupError as error:  # the node joined after that epoch
        raise NodeError("NodeSystemFault", str(error)) from error


Endpoint = Callable[[Node, EndpointRequest], Json]
ENDPOINTS: dict[str, Endpoint] = {
    "/web/handshake": handshake,
    "/web/encryption/sign": decryption_share,
    "/web/encryption/sign/v1": decryption_share,
    "/web/sign_session_key/v1": session_share,
}


def _correct_response(node: Node, request: HttpRequest) -> HttpResponse:
    """Return the response of the endpoint, before the active fault replaces or changes it."""
    path = request.path.rstrip("/")
    try:
        endpoint = _endpoint(request.method, path)
        parsed = EndpointRequest(request.headers, _parse_body(request.body), path.endswith("/v1"))
        return HttpResponse.success(endpoint(node, parsed))
    except NodeError as refusal:
        return HttpResponse.refusal(refusal, request.headers.get("x-request-id"))
    except Exception as error:  # noqa: BLE001 - an unexpected error must not stop the server
        return HttpResponse.refusal(NodeError("NodeSystemFault", type(error).__name__))


def _endpoint(method: str, path: str) -> Endpoint:
    if method != "POST" or path not in ENDPOINTS:
        raise NodeError("not_found")
    return ENDPOINTS[path]


def _parse_body(raw: bytes) -> object:
    try:
        return parse_json(raw)
    except ValueError:
        raise NodeError("NodeBadInput", "the body is not JSON") from None
