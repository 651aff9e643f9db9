"""The bytes on the wire: what is written for nodes and read from them. Rules only, no I/O.

Source: spec of the protocol, sections 1.1, 3.1, 8, 10.3, 11 and 12; ``@lit-protocol/lit-node-client`` 7.4.0.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lit_airflow.errors import (
    AccessDeniedError,
    CiphertextError,
    ConditionsNotMetError,
    NetworkError,
    NodeError,
    PaymentError,
    ProtocolError,
    RateLimitedError,
)
from lit_airflow.networks.datil.consensus import Epoch, Handshake, node_url
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import SessionKey
from lit_airflow.threshold import ciphertext
from lit_airflow.threshold.shares import Share
from lit_airflow.transport.chain import Function
from lit_airflow.transport.clock_skew import wrong_clock

SDK_VERSION = "7.4.0"
HANDSHAKE = "/web/handshake/"
ENCRYPTION_SIGN = "/web/encryption/sign/"

VALIDATORS = Function(
    "getActiveUnkickedValidatorStructsAndCounts",
    "c51d020e",
    outputs=(
        "(uint256,uint256,uint256,uint256,uint256)",
        "uint256",
        "(uint32,uint128,uint32,address,uint256,uint256,uint256)[]",
    ),
)
STAKING_CONTRACT = Function("STAKING_CONTRACT", "da19ddfb", outputs=("bytes32",))
GET_CONTRACT = Function("getContract", "8e8dfd16", ("bytes32", "uint8"), ("address",))

_PUBLIC_KEY = re.compile(r"[0-9a-f]{96}")
_BLOCK_HASH = re.compile(r"0x[0-9a-f]{64}")
_NOT_READY = "ERR"


@dataclass(frozen=True, slots=True)
class Validators:
    """What the staking contract lists.

    Attributes:
        epoch: The chain's epoch.
        threshold: How many nodes must answer.
        nodes: Node URLs in the contract's order.
    """

    epoch: Epoch
    threshold: int
    nodes: tuple[str, ...]


def validators(result: Sequence[Any], *, default_scheme: str) -> Validators:
    """Read the decoded result of :data:`VALIDATORS`.

    Raises:
        ProtocolError: No nodes, no threshold, or fewer nodes than the threshold.
    """
    (length, number, end_time, _, _), threshold, structs = result
    nodes = tuple(node_url(struct[0], struct[2], default_scheme=default_scheme) for struct in structs)
    if threshold < 1 or len(nodes) < threshold:
        raise ProtocolError(
            f"The chain lists {len(nodes)} nodes, and {threshold} are needed.",
            hint="The network is not complete; check staking_address, or try again later.",
        )
    return Validators(Epoch(length, number, end_time), threshold, nodes)


def session_signature(
    key: SessionKey,
    scope: Scope,
    capabilities: Sequence[Mapping[str, Any]],
    times: tuple[str, str],
    node: str,
) -> dict[str, str]:
    """What the session key signs for one node, as the object that node is sent.

    Args:
        key: The session key.
        scope: What the session asks for.
        capabilities: AuthSigs in order; the wallet's delegation last.
        times: When it was issued and when it expires, RFC 3339 texts.
        node: The node's URL, character for character.
    """
    message = {
        "sessionKey": key.public_key,
        "resourceAbilityRequests": scope.to_json(),
        "capabilities": list(capabilities),
        "issuedAt": times[0],
        "expiration": times[1],
        "nodeAddress": node,
    }
    text = compact(message)
    return {
        "sig": key.sign(text),
        "derivedVia": "litSessionSignViaNacl",
        "signedMessage": text,
        "address": key.public_key,
        "algo": "ed25519",
    }


def read_handshake(answer: object) -> Handshake:
    """Check a node's handshake.

    Raises:
        NodeError: A field is missing or malformed, or the node has no network key yet.
    """
    fields = answer if isinstance(answer, dict) else {}
    public_key, nonce = fields.get("subnetPublicKey"), fields.get("latestBlockhash")
    if public_key == _NOT_READY:
        raise NodeError("the node has no network key yet")
    if not isinstance(public_key, str) or not _PUBLIC_KEY.fullmatch(public_key):
        raise NodeError("its handshake has no network key")
    if not isinstance(nonce, str) or not _BLOCK_HASH.fullmatch(nonce):
        raise NodeError("its handshake has no block hash")
    return Handshake(public_key, nonce)


def read_share(answer: object) -> Share:
    """Check a node's signature share.

    Raises:
        NodeError: Something is missing or malformed.
        BadShareError: The share is no point of the group.
    """
    wrapped = answer.get("signatureShare") if isinstance(answer, dict) else None
    encoded = wrapped.get("ProofOfPossession") if isinstance(wrapped, dict) else None
    try:
        return Share.decode(bytes.fromhex(encoded))  # type: ignore[arg-type]  # TypeError is caught
    except (TypeError, ValueError) as error:
        raise NodeError("its answer holds no share") from error


def headers() -> dict[str, str]:
    """The headers of one operation; the request id is new for each, and the same to all nodes."""
    return {
        "X-Lit-SDK-Version": SDK_VERSION,
        "X-Lit-SDK-Type": "Python",
        "X-Request-Id": f"lit_{secrets.token_hex(7)[:13]}",
    }


def compact(body: Mapping[str, Any]) -> str:
    """A request's body: JSON without blanks, keys in the order given, non-ASCII left as it is."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def read_sealed(sealed: Mapping[str, Any]) -> tuple[bytes, str]:
    """The ciphertext's bytes and the data's hash.

    Raises:
        CiphertextError: A key is missing, the base64 is not, or the bytes are no ciphertext.
    """
    encoded, data_hash = sealed.get("ciphertext"), sealed.get("dataToEncryptHash")
    if not isinstance(encoded, str) or not isinstance(data_hash, str):
        raise CiphertextError("What is to be decrypted has the texts ciphertext and dataToEncryptHash.")
    try:
        encrypted = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CiphertextError("The ciphertext is not base64.") from error
    ciphertext.check(encrypted)
    return encrypted, data_hash


def denial(error: Exception, skew_s: float | None = None) -> NetworkError | None:
    """What a refusal means, if it is one.

    Args:
        error: What became of a request.
        skew_s: Seconds by which our clock is ahead of the nodes', where that is known.
    """
    if not isinstance(error, NodeError) or error.status not in (400, 401, 403, 404, 422):
        return None
    if error.code == "NodeAccessControlConditionsReturnedNotAuthorized":
        return ConditionsNotMetError(
            "The wallet does not meet the access control conditions.",
            code=error.code,
            hint="Check that the session's wallet is the one the conditions name.",
        )
    if error.code == "NodePKPNotAuthorized":
        return AccessDeniedError(
            "No authentication method permits the use of this PKP.",
            code=error.code,
            hint="Check that the method's wallet may use the PKP, and that its sign-in has not expired.",
        )
    return AccessDeniedError(
        f"The nodes refused the request: {error.code or error.status}.",
        code=error.code,
        hint=wrong_clock(skew_s)
        or "The session may not cover this resource, or this clock may be off by more than a minute.",
    )


def overload(error: Exception) -> NetworkError | None:
    """The error for being too busy, if it is that."""
    if not isinstance(error, NodeError) or error.status != 429:  # noqa: PLR2004 - Too Many Requests
        return None
    return RateLimitedError("The nodes are too busy.", retry_after_s=error.retry_after_s)


def bill(error: Exception, contract: str = "") -> NetworkError | None:
    """The error for an unpaid request, if it is that; its hint names the contract of what pays, if known."""
    if not isinstance(error, NodeError) or error.code != "rate_limit_exceeded":
        return None
    token = f"a rate-limit NFT of the contract {contract}" if contract else "a rate-limit NFT"
    return PaymentError(
        "The network wants a capacity credit for this request.",
        hint=f"Give the wallet {token}, or carry a capacity delegation in the session.",
    )
