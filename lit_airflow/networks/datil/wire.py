"""The wire format: what is written for nodes and read from them. Rules only, no I/O.

Source: docs/protocol/discovery.md, docs/protocol/handshake.md, docs/protocol/session-signatures.md,
docs/protocol/encryption.md, docs/protocol/requests.md and docs/protocol/errors.md;
``@lit-protocol/lit-node-client`` 7.4.0.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lit_airflow.errors import (
    AccessDeniedError,
    AttestationError,
    BadShareError,
    CiphertextError,
    ConditionsNotMetError,
    Failure,
    FailureKind,
    NetworkError,
    NodeError,
    PaymentError,
    ProtocolError,
    RateLimitedError,
)
from lit_airflow.networks.committee import Handshake
from lit_airflow.networks.datil.consensus import Epoch, node_url
from lit_airflow.text import unbase64
from lit_airflow.threshold import ciphertext
from lit_airflow.threshold.shares import Share
from lit_airflow.transport.chain import Function
from lit_airflow.transport.clock_skew import clock_warning
from lit_airflow.transport.http import BUSY_STATUSES, Response

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
# A server's own name for its error; anything else is not repeated in messages.
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
_REFUSALS = (400, 401, 403, 404, 422)
_TOO_MANY_REQUESTS = 429
_NOT_JUDGED = (
    "The nodes could not evaluate a condition",
    "Check contract, function and arguments in the conditions; the nodes' server of that chain may have failed.",
)
_MISORDERED = (
    "The nodes cannot use the operators in the conditions",
    "Conditions must alternate with the operators and, or.",
)
# Refusals that the conditions cause, not the session.
_UNUSABLE_CONDITIONS = {
    "NodeInvalidACCReturnValueTest": (
        "The nodes cannot use a value in the conditions",
        "An address must be 0x and 40 hex digits, a number a decimal one; check returnValueTest.value.",
    ),
    "NodeInvalidBooleanConditionType": _MISORDERED,
    "NodeBadInput": _MISORDERED,
    "NodeRpcError": _NOT_JUDGED,
    "NodeBlockchainError": _NOT_JUDGED,
    "NodeAccessControlConditionsCheckFailed": _NOT_JUDGED,
}
MAX_NODES = 255
"""A share's identifier is one byte, and 0 is the secret itself."""


@dataclass(frozen=True, slots=True)
class ListedValidators:
    """What the staking contract lists.

    Attributes:
        epoch: The chain's epoch.
        threshold: How many nodes must answer.
        nodes: Node URLs in the contract's order.
    """

    epoch: Epoch
    threshold: int
    nodes: tuple[str, ...]


def validators(result: Sequence[Any], *, default_scheme: str) -> ListedValidators:
    """Read the decoded result of :data:`VALIDATORS`.

    Raises:
        ProtocolError: No nodes, no threshold, fewer nodes than the threshold, or more than :data:`MAX_NODES`.
    """
    (length, number, end_time, _, _), threshold, structs = result
    nodes = tuple(node_url(struct[0], struct[2], default_scheme=default_scheme) for struct in structs)
    if len(nodes) > MAX_NODES:
        raise ProtocolError(
            f"The chain lists {len(nodes)} nodes; shares can come from at most {MAX_NODES}.",
            hint="Check rpc_url and staking_address.",
        )
    if threshold < 1 or len(nodes) < threshold:
        raise ProtocolError(
            f"The chain lists {len(nodes)} nodes; {threshold} are needed.",
            hint="The network is not complete; check staking_address, or try again later.",
        )
    return ListedValidators(Epoch(length, number, end_time), threshold, nodes)


def read_answer(response: Response) -> object:
    """Return a node's JSON answer.

    Raises:
        NodeError: An error status, with the node's own ``errorCode``; or the answer is not JSON.
    """
    if response.succeeded:
        content = response.json()
        if content is None:
            raise NodeError("the answer is not JSON", status=response.status)
        return content
    code = _error_code(response)
    busy = response.status in BUSY_STATUSES
    raise NodeError(
        f"HTTP {response.status} {code}".rstrip(),
        kind=FailureKind.BUSY if busy else FailureKind.REFUSED,
        status=response.status,
        code=code,
        retryable=busy,
        retry_after_s=response.retry_after_s,
    )


def _error_code(response: Response) -> str:
    content = response.json()
    claimed = content.get("errorCode") if isinstance(content, dict) else None
    return claimed if isinstance(claimed, str) and _CODE.fullmatch(claimed) else ""


def failure(error: Exception | None) -> Failure:
    """Return why a node gave nothing usable, from how its request ended."""
    message = str(error or "no answer").rstrip(".")
    if isinstance(error, NodeError):
        return Failure(error.kind, message)
    if isinstance(error, BadShareError):
        return Failure(FailureKind.WRONG, message)
    untrusted = isinstance(error, AttestationError)
    return Failure(FailureKind.UNTRUSTED if untrusted else FailureKind.MALFORMED, message)


def read_handshake(answer: object) -> Handshake:
    """Return a node's handshake, checked.

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
    """Return a node's signature share, checked.

    Raises:
        NodeError: Something is missing or malformed.
        BadShareError: The share is not a point of the group.
    """
    wrapped = answer.get("signatureShare") if isinstance(answer, dict) else None
    encoded = wrapped.get("ProofOfPossession") if isinstance(wrapped, dict) else None
    try:
        return Share.decode(bytes.fromhex(encoded))  # type: ignore[arg-type]  # TypeError is caught
    except (TypeError, ValueError) as error:
        raise NodeError("its answer has no share") from error


def headers() -> dict[str, str]:
    """Return the headers of one operation, with a new request id that is the same for all nodes."""
    return {
        "X-Lit-SDK-Version": SDK_VERSION,
        "X-Lit-SDK-Type": "Python",
        "X-Request-Id": f"lit_{secrets.token_hex(7)[:13]}",
    }


def compact(body: Mapping[str, Any]) -> str:
    """Return a request's body: JSON without blanks, keys in the order given, non-ASCII as it is."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def read_sealed(sealed: Mapping[str, Any]) -> tuple[bytes, str]:
    """Return the ciphertext's bytes and the data's hash.

    Raises:
        CiphertextError: A key is missing, or the ciphertext is malformed.
    """
    encoded, data_hash = sealed.get("ciphertext"), sealed.get("dataToEncryptHash")
    if not isinstance(encoded, str) or not isinstance(data_hash, str):
        raise CiphertextError(
            "A container needs the texts ciphertext and dataToEncryptHash.",
            hint="Give what encrypt or the SDK returned, unchanged.",
        )
    try:
        encrypted = unbase64(encoded)
    except ValueError as error:
        raise CiphertextError(
            "The ciphertext is not base64.", hint="It was altered, or made for another network."
        ) from error
    ciphertext.check(encrypted)
    return encrypted, data_hash


def denial(error: Exception, skew_s: float | None = None) -> NetworkError | None:
    """Return the error that a refusal means, or ``None`` if this is not a refusal.

    Args:
        error: How a request ended.
        skew_s: Seconds by which this machine's clock is ahead of the nodes', where that is known.
    """
    if not isinstance(error, NodeError) or error.status not in _REFUSALS:
        return None
    if error.code == "NodeAccessControlConditionsReturnedNotAuthorized":
        return ConditionsNotMetError(
            "The wallet does not meet the access control conditions.",
            code=error.code,
            hint="Check that the session's wallet is the one the conditions name.",
        )
    if error.code in _UNUSABLE_CONDITIONS:
        message, hint = _UNUSABLE_CONDITIONS[error.code]
        return AccessDeniedError(f"{message} ({error.code}).", code=error.code, hint=hint)
    if error.code == "NodePKPNotAuthorized":
        return AccessDeniedError(
            "No authentication method permits the use of this PKP.",
            code=error.code,
            hint="Check that the method's wallet may use the PKP, and that its sign-in message has not expired.",
        )
    return AccessDeniedError(
        f"The nodes refused the request: {error.code or error.status}.",
        code=error.code,
        hint=clock_warning(skew_s)
        or "Check that the session covers this resource, and that this machine's clock is right to a minute.",
    )


def why_not_judged(error: Exception) -> str:
    """Return what to check when nodes fail at evaluating the conditions; the empty text for other failures."""
    found = _UNUSABLE_CONDITIONS.get(error.code) if isinstance(error, NodeError) else None
    return "" if found is None else f"{found[0]}. {found[1]} If they are right, try again later."


def overload(error: Exception) -> NetworkError | None:
    """Return the error for too many requests, or ``None`` if this is not that."""
    if not isinstance(error, NodeError) or error.status != _TOO_MANY_REQUESTS:
        return None
    return RateLimitedError("The nodes are too busy.", retry_after_s=error.retry_after_s)


def bill(error: Exception, contract: str = "") -> NetworkError | None:
    """Return the error for an unpaid request, or ``None``.

    Its hint names the contract that sells credits, if known.
    """
    if not isinstance(error, NodeError) or error.code != "rate_limit_exceeded":
        return None
    token = f"a rate-limit NFT of the contract {contract}" if contract else "a rate-limit NFT"
    return PaymentError(
        "The network requires a capacity credit for this request.",
        hint=f"Give the wallet {token}, or let sessions carry a capacity delegation (capacity_path).",
    )
