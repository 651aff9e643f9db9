"""What a gate answers: its key, or what became of each container.

The service parses what the gate returned as JSON once more, so an answer of another type than an object was not
made by a gate. The texts in an answer are not passed on: a gate's own are fixed, but anything may have arrived.

Source: docs/protocol/gate.md#request-and-answer and #codes-to-errors.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lit_airflow.errors import (
    AccessDeniedError,
    ChainUnavailableError,
    CiphertextError,
    ConditionsNotMetError,
    FailureKind,
    LitError,
    NodeError,
    ProtocolError,
)
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.sealing import GATE_VERSION, OVERHEAD_BYTES, open_sealed, reply_info

_KEY_HEX = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
_CODE = re.compile(r"[A-Za-z]{1,80}")


@dataclass(frozen=True, slots=True)
class GateKey:
    """What a gate reports about itself.

    Attributes:
        public_key: What containers are sealed to, 64 hex digits.
        version: The gate's version.
        address: The address of the action's wallet, lower case.
    """

    public_key: str
    version: int
    address: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one container: either a sealed answer or the reason why not.

    Attributes:
        sealed: The data, sealed to the session's reply key; ``None`` where the gate refused.
        error: Why it refused; ``None`` where it did not.
    """

    sealed: bytes | None = None
    error: LitError | None = None

    def open(self, reply_secret: Secret, given_bytes: int, *, version: int = GATE_VERSION) -> bytes:
        """Return what the gate gave out.

        Args:
            reply_secret: From the session key's seed.
            given_bytes: How many bytes it must be.
            version: The gate's version.

        Raises:
            LitError: The gate's refusal.
            CiphertextError: Sealed to another session, altered, or of another size.
        """
        if self.error is not None:
            raise self.error
        sealed = self.sealed or b""
        if len(sealed) != given_bytes + OVERHEAD_BYTES:
            raise CiphertextError(
                f"The gate's answer seals {len(sealed) - OVERHEAD_BYTES} bytes, the container {given_bytes}."
            )
        return open_sealed(reply_secret, reply_info(version=version), sealed)


def read_key(response: object) -> GateKey:
    """Read the answer to the question for the key.

    Raises:
        ProtocolError: It is not a gate's.
    """
    answer = response if isinstance(response, Mapping) else {}
    key, version, address = (answer.get(name) for name in ("publicKey", "gate", "address"))
    if (
        answer.get("ok") is not True
        or not _matches(_KEY_HEX, key)
        or type(version) is not int
        or not _matches(_ADDRESS, address)
    ):
        raise _not_a_gate()
    return GateKey(str(key), version, str(address))


def read_outcomes(response: object, count: int) -> list[Outcome]:
    """Read the answer to a request to open containers, in the order in which they were asked for.

    Args:
        response: The service's ``response``.
        count: How many containers were asked for. One is answered by itself, several as ``items``.

    Raises:
        ProtocolError: It is not a gate's, or of another number of containers.
    """
    if count == 1:
        return [_outcome(response)]
    if isinstance(response, Mapping) and response.get("ok") is True:
        items = response.get("items")
        if not isinstance(items, list) or len(items) != count:
            raise _not_a_gate()
        return [_outcome(item) for item in items]
    return [_outcome(response) for _ in range(count)]


def refusal(code: str) -> LitError:
    """Return the error that a gate's code stands for."""
    if code == "NodeAccessControlConditionsReturnedNotAuthorized":
        return ConditionsNotMetError(
            "The wallet does not meet the access control conditions.",
            code=code,
            hint="Check that the session's wallet is the one the conditions name.",
        )
    if code == "GateCiphertextError":
        return CiphertextError(
            "The gate could not open the ciphertext.",
            hint="It was altered, or made for another network or gate, or for other conditions or RPC URLs.",
        )
    if code == "NodeRpcError":
        return ChainUnavailableError(
            "No server of a chain that the conditions read gave the gate a usable answer.",
            hint="The servers are those that the container names under rpc.",
        )
    if code == "NodeSystemFault":
        return NodeError("The gate failed by itself.", kind=FailureKind.REFUSED, code=code, retryable=True)
    if code == "NodeNotAuthorized":
        return AccessDeniedError(
            "The gate does not take this session: it was signed for another gate's key.",
            code=code,
            hint="If the session is new, the key in the connection is not this gate's, and what has been encrypted "
            "with it may be unreadable: check gate_key, and the gates in Vault.",
        )
    return AccessDeniedError(
        f"The gate refused the request: {code}.",
        code=code,
        hint="The session may not cover this resource, or may have been signed for another gate, or this machine's "
        "clock may be off by more than a minute.",
    )


def _outcome(answer: object) -> Outcome:
    if not isinstance(answer, Mapping):
        raise _not_a_gate()
    if answer.get("ok") is True:
        return Outcome(sealed=_sealed(answer.get("sealed")))
    code = answer.get("code")
    if answer.get("ok") is not False or not _matches(_CODE, code):
        raise _not_a_gate()
    return Outcome(error=refusal(str(code)))


def _sealed(encoded: object) -> bytes:
    if not isinstance(encoded, str):
        raise _not_a_gate()
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _not_a_gate() from None


def _matches(form: re.Pattern[str], value: Any) -> bool:  # noqa: ANN401 - from JSON
    return isinstance(value, str) and form.fullmatch(value) is not None


def _not_a_gate() -> ProtocolError:
    return ProtocolError(
        "What the service answered is not a gate's answer.",
        hint="Check that api_url is the service that runs this gate.",
    )
