"""The session signature that a gate takes: for its audience, with the key to seal answers to.

Source: docs/protocol/gate.md#session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lit_airflow.networks.chipotle.sealing import audience, public_key_of, reply_secret_key
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import SessionKey
from lit_airflow.protocol.session_signature import session_signature


def gate_session_signature(
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
    return session_signature(key, scope, capabilities, times, audience(gate), replyKey=reply_key)
