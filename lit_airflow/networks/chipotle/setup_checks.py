"""What is checked before a gate's key is handed out as something to encrypt to.

A mistake here would show only when data cannot be decrypted any more.

Source: docs/protocol/gate.md#the-services-key-namespace and #what-a-client-does;
docs/protocol/chipotle.md#a-key-that-may-only-decrypt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lit_airflow.errors import ProtocolError, SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.api_calls import WRITE_CENTS
from lit_airflow.networks.chipotle.api_errors import ApiFailure, ApiFailureKind
from lit_airflow.networks.chipotle.gate_answers import GateKey
from lit_airflow.networks.chipotle.identifiers import usage_key_hash

SETUP_CENTS = 5 * WRITE_CENTS
"""The least that a set-up costs: label, group, usage key, the question for the key, and one container opened."""

_OTHER_ACTION = "async function main() {{ return {{}}; }}\n// {}\n"


def check_cid(computed: str, served: object) -> None:
    """Check that the service names a gate's text as this package does.

    Raises:
        ProtocolError: Another CID, so the group would name another text than the one that runs.
    """
    if served != computed:
        raise ProtocolError(
            "The service computes another CID for the gate's text than this package.",
            hint="The text may have been altered on its way: a proxy, or a character set.",
        )


def check_gate_key(asked: GateKey, registered: str, version: int) -> None:
    """Check that a gate's answer to the question for its key is the one that its text is registered under.

    Args:
        asked: What it answered.
        registered: The public key in the connection or in Vault.
        version: The version that is registered with it.

    Raises:
        ProtocolError: Another key or version. Nothing may be sealed or sent then.
    """
    if asked.public_key != registered or asked.version != version:
        raise ProtocolError(
            f"The gate answers with the key {asked.public_key} (gate {asked.version}), and {registered} "
            f"(gate {version}) is registered for its text.",
            hint="This is another enclave, its keys have another root, or somebody answers in between. "
            "Do not encrypt, and keep the registered key.",
        )


def other_action(random: bytes) -> Secret:
    """Return the text of an action that no group contains, to try a usage key on."""
    return Secret(_OTHER_ACTION.format(random.hex()).encode())


def check_runs_nothing_else(outcome: ApiFailure | None) -> None:
    """Check that a usage key was not let run another action than the gate.

    Args:
        outcome: How the run of :func:`other_action` ended; ``None`` where it ran.

    Raises:
        SettingsError: It ran, or it is not known why it did not.
    """
    if outcome is None:
        raise SettingsError(
            "The usage key may run other actions than the gate.",
            field="api_key",
            hint="Its execute set must be the gate's group alone, and the group must contain the gate's CID alone.",
        )
    if outcome.kind is not ApiFailureKind.PERMISSION:
        raise SettingsError(
            f"It could not be checked that the usage key runs the gate only ({outcome.cause}).",
            field="api_key",
        )


def check_group(actions: Iterable[Mapping[str, Any]], wallets: Sequence[object], *cid_hashes: str) -> None:
    """Check that a group contains the CIDs of a deployment's gates and nothing else.

    A wildcard is listed under the id ``n/a``, and so is an action without a label: both are refused.

    Args:
        actions: What ``list_actions`` lists of the group.
        wallets: What ``list_wallets_in_group`` lists.
        cid_hashes: The CIDs' ids on the chain; one, unless there are older gates.

    Raises:
        SettingsError: Another action, a wildcard, an action without a label, a wallet, or not the gate.
    """
    ids = [str(row.get("id")) for row in actions]
    if sorted(usage_key_hash(each) for each in ids) != sorted(cid_hashes):
        raise SettingsError(
            f"The group contains {len(ids)} actions, and it must be the gate's alone, with its label.",
            field="group",
            hint="Make a new group for the gate; do not share it with other actions.",
        )
    if wallets:
        raise SettingsError(
            f"The group contains {len(wallets)} wallets, and a gate needs none.",
            field="group",
            hint="Every action of the group can use them: remove them, or make a new group.",
        )
