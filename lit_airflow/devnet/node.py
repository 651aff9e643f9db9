"""A node's endpoints: requests in, JSON out, faults in between.

A further endpoint is one more function from ``Call`` to the answer's JSON, and one more row of ``ENDPOINTS``.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, cast

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from lit_airflow.devnet.checks import Place, admit
from lit_airflow.devnet.faults import GOOD, Fault
from lit_airflow.devnet.pkp_sessions import CURVE, Registrar, countersign
from lit_airflow.devnet.proofs import session_digest
from lit_airflow.devnet.reading import Json, misfit, parse_json
from lit_airflow.devnet.refusals import NodeError

if TYPE_CHECKING:
    from starlette.requests import Request

    from lit_airflow.devnet.blocks import Blocks
    from lit_airflow.devnet.capacity import Till
    from lit_airflow.devnet.dealer import Dealer
    from lit_airflow.devnet.evaluation import Ledger
    from lit_airflow.devnet.pkps import Pkps

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_CHALLENGE = re.compile(r"[0-9a-fA-F]{64}")
_HANDSHAKE: Json = {"clientPublicKey": str, "challenge": str, "epoch?": int}


@dataclass(slots=True)
class Node:
    """One node: who it is, what it knows, what is wrong with it.

    Attributes:
        index: Its number, from 0; its share's identifier is one more.
        address: What it calls itself, ``host:port``.
        dealer: Holds its share.
        clock: Tells the node's time.
        blocks: The chain whose hashes are nonces.
        pkps: All PKPs.
        till: Where requests are paid; ``None`` where nothing is asked for them.
        ledger: What the chains of conditions say.
        seen: Called once per answer with node, path, status and error code.
        fault: The row in force.
        fault_name: Its name, ``None`` for none.
        delay_s: How long a waiting fault waits.
    """

    index: int
    address: str
    dealer: Dealer
    clock: Callable[[], datetime]
    blocks: Blocks
    pkps: Pkps
    till: Till | None
    ledger: Ledger
    seen: Callable[[int, str, int, str | None], None]
    fault: Fault = field(default=GOOD)
    fault_name: str | None = None
    delay_s: float = 0.0

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://{self.address}"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read."""

    headers: Mapping[str, str]
    body: object
    versioned: bool


def handshake(node: Node, call: Call) -> Json:
    """``/web/handshake``: say which network this is.

    Raises:
        NodeError: A header or the body is not as it must be.
    """
    if not call.headers.get("x-request-id"):
        raise NodeError("CoreApiMissingRequiredXRequestIdHeader")
    version = call.headers.get("x-lit-sdk-version", "")
    if not _VERSION.fullmatch(version) or version == "0.0.0":
        raise NodeError("CoreApiInvalidXSDKVersionHeader", f"not {version!r}")
    if wrong := misfit(call.body, _HANDSHAKE):
        raise NodeError("NodeBadInput", wrong)
    if not _CHALLENGE.fullmatch(cast("dict[str, str]", call.body)["challenge"]):
        raise NodeError("NodeBadInput", ".challenge: 32 bytes of hex are expected")
    key = node.dealer.public_key
    return node.fault.handshake(
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


def decryption_share(node: Node, call: Call) -> Json:
    """``/web/encryption/sign``: sign the identity of one ciphertext, for those who may open it.

    Raises:
        NodeError: A check fails.
    """
    place = Place(
        address=node.address,
        now=node.clock(),
        network_key=bytes.fromhex(node.dealer.public_key),
        ledger=node.ledger,
        sessions_only=call.versioned,
        till=node.till,
    )
    admitted = admit(call.body, place)
    share = _share(node, admitted.identity, admitted.epoch)
    return {
        "result": "success",
        "signatureShare": {"ProofOfPossession": share.hex()},
        "shareIndex": node.index,
    }


def session_share(node: Node, call: Call) -> Json:
    """``/web/sign_session_key/v1``: sign a session for a PKP, for those who may use it.

    Raises:
        NodeError: A check fails.
    """
    signed = countersign(call.body, Registrar(node.clock(), node.pkps, node.blocks.time_of))
    text = node.fault.write(signed.text)
    digest = session_digest(text)
    share = _share(node, digest, signed.epoch)
    return {
        "result": "success",
        "signatureShare": {"ProofOfPossession": share.hex()},
        "shareIndex": node.index,
        "curveType": CURVE,
        "siweMessage": text,
        "dataSigned": digest.hex(),
        "blsRootPubkey": node.dealer.public_key,
    }


def _share(node: Node, message: bytes, epoch: int) -> bytes:
    try:
        return node.fault.sign(node.dealer, node.index, message, epoch)
    except LookupError as error:  # it joined only afterwards
        raise NodeError("NodeSystemFault", str(error)) from error


Endpoint = Callable[[Node, Call], Json]
ENDPOINTS: dict[str, Endpoint] = {
    "/web/handshake": handshake,
    "/web/encryption/sign": decryption_share,
    "/web/encryption/sign/v1": decryption_share,
    "/web/sign_session_key/v1": session_share,
}


def node_app(node: Node) -> Starlette:
    """The ASGI application of one node; every path with and without its trailing slash."""
    routes = [
        Route(path + slash, _serve(node, endpoint), methods=["POST"])
        for path, endpoint in ENDPOINTS.items()
        for slash in ("", "/")
    ]

    async def unknown(request: Request, _error: Exception) -> Response:
        return _answered(node, request, NodeError("not_found"))

    async def failed(request: Request, error: Exception) -> Response:
        return _answered(node, request, NodeError("NodeSystemFault", type(error).__name__))

    return Starlette(routes=routes, exception_handlers={404: unknown, 405: unknown, 500: failed})


def _serve(node: Node, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        raw = await request.body()
        fault = node.fault
        wait_s = None if not fault.answers else node.delay_s if fault.waits else 0.0
        if wait_s != 0.0 and await _client_leaves(request, wait_s):
            return Response()
        if fault.garbles:
            node.seen(node.index, request.url.path, 200, None)
            return HTMLResponse("<html><body>Welcome to nginx!</body></html>")
        try:
            body = parse_json(raw)
        except ValueError:
            return _answered(node, request, NodeError("NodeBadInput", "the body is not JSON"))
        versioned = request.url.path.rstrip("/").endswith("/v1")
        try:
            return _answered(node, request, endpoint(node, Call(request.headers, body, versioned)))
        except NodeError as refusal:
            return _answered(node, request, refusal)

    return serve


def _answered(node: Node, request: Request, result: Json | NodeError) -> Response:
    if not isinstance(result, NodeError):
        node.seen(node.index, request.url.path, 200, None)
        return JSONResponse(result)
    node.seen(node.index, request.url.path, result.status, result.code)
    correlation = request.headers.get("x-request-id") or f"lit_{secrets.token_hex(7)}"
    return JSONResponse(result.body(correlation), status_code=result.status)


async def _client_leaves(request: Request, within_s: float | None) -> bool:
    """Whether the client hangs up within a time (``None``: for ever); its body is read, so nothing else comes."""
    try:
        await asyncio.wait_for(request.receive(), within_s)
    except TimeoutError:
        return False
    return True
