"""Plaintext -> sealed plaintext -> plaintext: the other thing that may cross XCom, beside the ticket.

A flat JSON object, sealed as tickets are (:mod:`lit_airflow.handoff.ticket`): ``v``, ``what`` (``plaintext``), the
facts of the seal, and ``sealed``. What stands in clear is bound to the seal, and no ticket has a ``what``, so neither
opens as the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lit_airflow.errors import CiphertextError, SettingsError, TicketError
from lit_airflow.handoff.ticket import Seal

VERSION = 1
MOST_BYTES = 1024 * 1024
"""XCom is rows in Airflow's database, and Transit takes what is sealed through one request."""

SealedPlaintext = dict[str, Any]
"""``v, what, seal, …, sealed``; JSON types only."""

_WHAT = "plaintext"


def seal_plaintext(plaintext: bytes, seal: Seal) -> SealedPlaintext:
    """Seal plaintext for XCom.

    Args:
        plaintext: Up to a mebibyte.
        seal: How to seal.

    Raises:
        SettingsError: It is longer.
        SecretError: Vault cannot be used, or this role may not seal.
    """
    if len(plaintext) > MOST_BYTES:
        raise SettingsError(
            f"The plaintext has {len(plaintext)} bytes, and XCom is no place for more than {MOST_BYTES}.",
            field="seal_plaintext",
            hint="Give output_path instead.",
        )
    facts = {"v": VERSION, "what": _WHAT, **seal.facts}
    return {**facts, "sealed": seal.seal(plaintext, _bound(facts))}


def open_plaintext(sealed: object, seal: Seal) -> bytes:
    """Open what :func:`seal_plaintext` returned.

    Raises:
        CiphertextError: No sealed plaintext, of another version, sealed in another way, or altered.
        SecretError: Vault cannot be used, or this role may not open.
    """
    if not isinstance(sealed, Mapping) or sealed.get("what") != _WHAT:
        raise CiphertextError(
            "This is no sealed plaintext.", hint="A task with seal_plaintext=True pushes one to XCom."
        )
    facts = {key: value for key, value in sealed.items() if key != "sealed"}
    if facts.get("v") != VERSION or not isinstance(sealed.get("sealed"), str):
        raise CiphertextError(
            "The sealed plaintext is damaged, or of another version.",
            hint="Run the same version of lit-airflow on all workers.",
        )
    if any(facts.get(key) != value for key, value in seal.facts.items()):
        raise CiphertextError(
            "The plaintext is sealed in another way than this connection opens.",
            hint="Give both Lit connections the same seal, transit_mount and transit_key.",
        )
    try:
        return seal.open(sealed["sealed"], _bound(facts))
    except TicketError as error:
        raise CiphertextError(
            "The sealed plaintext does not open: it was altered, or sealed under another key.",
            hint="Run the task that sealed it again.",
        ) from error


def _bound(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
