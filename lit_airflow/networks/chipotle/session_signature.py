"""The session signature that a gate takes: Datil's, with the gate's audience and the key to seal answers to.

Source: docs/protocol/gate.md#session.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lit_airflow.networks.chipotle.sealing import audience, public_key_of, reply_secret_key
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import SessionKey


def session_signature(
    key: SessionKey,
    scope: Scope,
    capabilities: Sequence[Mapping[str, Any]],
    times: tuple[str, str],
    gate: str,
) -> dict[str, str]:
    """Return what the session key signs for one gate, as the object that the gate is sent.

    Args:
        key: The session key.
        scope: What the session asks for.
        capabilities: AuthSigs in order; the wallet's delegation last.
        times: When it was issued and when it expires, RFC 3339 texts.
        gate: The gate's public key, 64 hex digits.

    Raises:
        SessionError: A capability contains an unpaired surrogate.
    """
    reply_key = public_key_of(reply_secret_key(key))
    text = signed_text(key.public_key, scope.to_json(), capabilities, times, gate, reply_key)
    return {
        "sig": key.sign(text),
        "derivedVia": "litSessionSignViaNacl",
        "signedMessage": text,
        "address": key.public_key,
        "algo": "ed25519",
    }


def signed_text(  # noqa: PLR0913, PLR0917 - one argument per field, in their order
    session_key: str,
    requests: Sequence[Mapping[str, Any]],
    capabilities: Sequence[Mapping[str, Any]],
    times: tuple[str, str],
    gate: str,
    reply_key: str,
) -> str:
    """Return the text that is signed: compact JSON in this very order of keys."""
    message = {
        "sessionKey": session_key,
        "resourceAbilityRequests": list(requests),
        "capabilities": list(capabilities),
        "issuedAt": times[0],
        "expiration": times[1],
        "nodeAddress": audience(gate),
        "replyKey": reply_key,
    }
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)
