"""A node's endpoints: requests in, JSON out, faults in between.

A further endpoint is one more function from ``Call`` to the answer's JSON, and one more row of ``ENDPOINTS``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from lit_airflow.devnet.checks import Place, admit
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import Json, misfit, parse_json
from lit_airflow.devnet.pkp_sessions import CURVE, Registrar, countersign
from lit_airflow.devnet.proofs import session_digest
from lit_airflow.devnet.replies import Reply
from lit_airflow.devnet.responses import Asked
from lit_airflow.devnet.trouble import Event, Trouble

if TYPE_CHECKING:
    from lit_airflow.devnet.blocks import Blocks
    from lit_airflow.devnet.capacity import PaymentLedger
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
        happen: Lets something happen to the network, caused by this node.
        trouble: What is wrong with it.
    """

    index: int
    address: str
    dealer: Dealer
    clock: Callable[[], datetime]
    blocks: Blocks
    pkps: Pkps
    till: PaymentLedger | None
    ledger: Ledger
    seen: Callable[[int, str, int, str | None], None]
    happen: Callable[[Event, int], None]
    trouble: Trouble = field(default_factory=Trouble)

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://{self.address}"

    def now(self) -> datetime:
        """The time, as far as it knows."""
        return self.clock() + timedelta(seconds=self.trouble.fault.clock_off_s)

    def answer(self, asked: Asked) -> Reply:
        """Answer a request, under whatever fault is in force."""
        reply = self.trouble.applied(lambda: _answered(self, asked))
        self.seen(self.index, asked.path, reply.status, reply.code)
        return reply.dated(self.now())


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
    key, fault = node.dealer.public_key, node.trouble.fault
    if fault.event is not None:
        node.trouble = Trouble()
        node.happen(fault.event, node.index)
    return fault.handshake(
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
        now=node.now(),
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
    signed = countersign(call.body, Registrar(node.now(), node.pkps, node.blocks.time_of))
    text = node.trouble.fault.write(signed.text)
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
        return node.trouble.fault.sign(node.dealer, node.index, message, epoch)
    except LookupError as error:  # it joined only afterwards
        raise NodeError("NodeSystemFault", str(error)) from error


Endpoint = Callable[[Node, Call], Json]
ENDPOINTS: dict[str, Endpoint] = {
    "/web/handshake": handshake,
    "/web/encryption/sign": decryption_share,
    "/web/encryption/sign/v1": decryption_share,
    "/web/sign_session_key/v1": session_share,
}


def _answered(node: Node, asked: Asked) -> Reply:
    """What a node answers by itself, whatever is wrong with how it says it."""
    path = asked.path.rstrip("/")
    try:
        endpoint = _endpoint(asked.method, path)
        return Reply.of(endpoint(node, Call(asked.headers, _read(asked.raw), path.endswith("/v1"))))
    except NodeError as refusal:
        return Reply.refusal(refusal, asked.headers.get("x-request-id"))
    except Exception as error:  # noqa: BLE001 - as any server, it answers that it failed
        return Reply.refusal(NodeError("NodeSystemFault", type(error).__name__))


def _endpoint(method: str, path: str) -> Endpoint:
    if method != "POST" or path not in ENDPOINTS:
        raise NodeError("not_found")
    return ENDPOINTS[path]


def _read(raw: bytes) -> object:
    try:
        return parse_json(raw)
    except ValueError:
        raise NodeError("NodeBadInput", "the body is not JSON") from None
