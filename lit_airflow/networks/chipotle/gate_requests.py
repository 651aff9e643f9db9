"""What a gate is asked: the parameters (``js_params``) of one run, and the body that carries them.

Source: docs/protocol/gate.md#request-and-answer; Chipotle's ``POST /lit_action``.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lit_airflow.networks.chipotle.gate_container import GateContainer

ASK_KEY: Mapping[str, str] = {"ask": "key"}
"""Asks for the gate's public key; needs no session."""


def decrypt_params(containers: Sequence[GateContainer], auth_sig: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters that ask a gate to open containers.

    One container goes by itself, which leaves the answer the most room; several go as ``items``.

    Args:
        containers: At least one, all of one gate.
        auth_sig: The session signature for this gate.
    """
    if len(containers) == 1:
        return {**containers[0].request_item(), "authSig": dict(auth_sig)}
    return {"items": [container.request_item() for container in containers], "authSig": dict(auth_sig)}


def frame_bytes(code: str, auth_sig: Mapping[str, str]) -> int:
    """Return how long a body for several containers is without them, at most."""
    frame = {"code": "", "js_params": {"items": [], "authSig": auth_sig}}
    return _json_bytes(code) + len(json.dumps(frame, ensure_ascii=False).encode())


@functools.lru_cache(maxsize=8)
def _json_bytes(code: str) -> int:
    return len(json.dumps(code, ensure_ascii=False).encode())


def run_body(code: str, params: Any) -> str:  # noqa: ANN401 - JSON
    """Return the body of ``POST /lit_action``: the action's text and its parameters, as compact JSON."""
    return json.dumps({"code": code, "js_params": params}, separators=(",", ":"), ensure_ascii=False)
