"""Sealed plaintext: the other thing, beside tickets, that may cross XCom.

A flat JSON object, sealed as tickets are: ``v``, ``what`` (``plaintext``), ``data_hash`` (the SHA-256 that
the container names), ``made_by``, ``dag_id``, ``run_id``, ``sealed_at``, the facts of the seal, and
``sealed``. What stands in clear is bound to the seal, and no ticket has a ``what``, so neither opens as the
other, and none as another run's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lit_airflow.clock import iso
from lit_airflow.errors import CiphertextError, SettingsError, TicketError
from lit_airflow.handoff.origin import Origin
from lit_airflow.handoff.seal import Seal, is_sealed_by, open_with_facts, seal_with_facts
from lit_airflow.keys.secret import Secret
from lit_airflow.text import quoted

VERSION = 2
MAX_BYTES = 1024 * 1024
"""XCom is rows in Airflow's database, and Transit takes what is sealed in one request."""

SealedPlaintext = dict[str, Any]
"""The JSON object above."""

_WHAT = "plaintext"
_FACTS = ("made_by", "dag_id", "run_id", "data_hash", "sealed_at")


def seal_plaintext(
    plaintext: Secret, seal: Seal, *, data_hash: str, origin: Origin, now: datetime
) -> SealedPlaintext:
    """Seal plaintext for XCom.

    Args:
        plaintext: Up to a mebibyte.
        seal: How to seal.
        data_hash: The ``dataToEncryptHash`` of the container that it comes from.
        origin: The task that seals it.
        now: The time.

    Raises:
        SettingsError: It is too long.
        SecretError: Vault cannot be used, or this role may not seal.
    """
    if len(plaintext) > MAX_BYTES:
        raise SettingsError(
            f"The plaintext has {len(plaintext)} bytes; at most {MAX_BYTES} are sealed for XCom.",
            field="seal_plaintext",
            hint="Give output_path instead.",
        )
    facts = {
        "v": VERSION,
        "what": _WHAT,
        "data_hash": data_hash,
        "made_by": origin.task,
        "dag_id": origin.dag_id,
        "run_id": origin.run_id,
        "sealed_at": iso(now),
    }
    return seal_with_facts(facts, plaintext, seal)


def open_plaintext(
    sealed: object, seal: Seal, *, origin: Origin, data_hash: str | None = None, made_by: str | None = None
) -> Secret:
    """Open what :func:`seal_plaintext` returned.

    Args:
        sealed: The JSON object.
        seal: How this side opens.
        origin: The run that opens it; one without a DAG is not checked.
        data_hash: The ``dataToEncryptHash`` that it must come from; any if ``None``.
        made_by: The task that must have sealed it, ``task_id`` or ``dag_id.task_id``; any of the run if ``None``.

    Raises:
        CiphertextError: Not sealed plaintext, of another version, run, task or container, sealed in another way, or
            altered.
        SecretError: Vault cannot be used, or this role may not open.
    """
    if not isinstance(sealed, Mapping) or sealed.get("what") != _WHAT:
        hint = "Pass the output of a task with seal_plaintext=True."
        if isinstance(sealed, str) and _WHAT in sealed:
            hint = (
                "It is text, as a template renders it. Pass task.output, or set render_template_as_native_obj=True "
                "in the DAG."
            )
        raise CiphertextError("This is not sealed plaintext.", hint=hint)
    texts = all(isinstance(sealed.get(key), str) for key in (*_FACTS, "sealed"))
    if sealed.get("v") != VERSION or not texts:
        raise CiphertextError(
            "The sealed plaintext is damaged, or of another version.",
            hint="Run the same version of lit-airflow on all workers.",
        )
    if not is_sealed_by(sealed, seal):
        raise CiphertextError(
            "The plaintext is sealed in another way than this connection opens.",
            hint="Give both Lit connections the same seal, transit_mount and transit_key.",
        )
    _check_origin(sealed, origin, data_hash, made_by)
    try:
        return open_with_facts(sealed, seal)
    except TicketError:
        raise CiphertextError(
            "The sealed plaintext does not open: it was altered, or sealed under another key.",
            hint="Run the task that sealed it again.",
        ) from None


def _check_origin(
    sealed: Mapping[str, Any], origin: Origin, data_hash: str | None, made_by: str | None
) -> None:
    if origin.dag_id and (sealed["dag_id"], sealed["run_id"]) != (origin.dag_id, origin.run_id):
        raise CiphertextError(
            f"The plaintext was sealed in run {quoted(sealed['run_id'])} of the DAG {quoted(sealed['dag_id'])}.",
            hint="Pass it on within one DAG run.",
        )
    if made_by is not None and sealed["made_by"] not in (made_by, f"{sealed['dag_id']}.{made_by}"):
        raise CiphertextError(
            f"The plaintext was sealed by {quoted(sealed['made_by'])}, not by {quoted(made_by)}.",
            hint="Pass the output of the expected task.",
        )
    if data_hash is not None and sealed["data_hash"] != data_hash:
        raise CiphertextError(
            "The plaintext comes from another container than expected.",
            hint="Compare dataToEncryptHash of the container with what the task decrypted.",
        )
