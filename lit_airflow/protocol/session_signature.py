"""Session signatures: what a session key signs for one audience, a node or a gate.

Source: docs/protocol/session-signatures.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session_key import SessionKey


def session_signature(
    key: SessionKey,
    scope: Scope,
    capabilities: Sequence[Mapping[str, Any]],
    times: tuple[str, str],
    audience: str,
    **further: str,
) -> dict[str, str]:
    """Return the session signature for one audience, as the object that is sent to it.

    Args:
        key: The session key.
        scope: What the session asks for.
        capabilities: AuthSigs in order; the wallet's delegation last.
        times: When it was issued and when it expires, RFC 3339 texts.
        audience: Whom it is for, character for character; a node's URL, for example.
        further: Fields that this audience reads besides, in order.

    Raises:
        SessionError: A capability contains an unpaired surrogate.
    """
    text = signed_text(key.public_key, scope.to_json(), capabilities, times, audience, **further)
    return {
        "sig": key.sign(text),
        "derivedVia": "litSessionSignViaNacl",
        "signedMessage": text,
        "address": key.public_key,
        "algo": "ed25519",
    }


def signed_text(
    public_key: str,
    requests: Sequence[Mapping[str, Any]],
    capabilities: Sequence[Mapping[str, Any]],
    times: tuple[str, str],
    audience: str,
    **further: str,
) -> str:
    """Return the text that is signed: compact JSON in this very order of keys.

    Args:
        public_key: The session key's public key, 64 hex digits.
        requests: The scope, as ``Scope.to_json`` writes it.
        capabilities: AuthSigs in order.
        times: When it was issued and when it expires, RFC 3339 texts.
        audience: Whom it is for.
        further: Fields that this audience reads besides, in order.
    """
    message = {
        "sessionKey": public_key,
        "resourceAbilityRequests": list(requests),
        "capabilities": list(capabilities),
        "issuedAt": times[0],
        "expiration": times[1],
        "nodeAddress": audience,
        **further,
    }
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)
