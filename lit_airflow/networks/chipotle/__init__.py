"""Chipotle (Lit v3): one attested service, and the gate, a Lit Action there that checks sessions and conditions.

Light to import: cryptography and HTTP come with :func:`open_network`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lit_airflow.networks.chipotle.description import describe

if TYPE_CHECKING:
    from lit_airflow.clock import Clock
    from lit_airflow.networks.api_keys import ManagedSecrets
    from lit_airflow.networks.chipotle.description import ChipotleDescription
    from lit_airflow.networks.chipotle.managing import Manager
    from lit_airflow.networks.chipotle.network import ChipotleNetwork
    from lit_airflow.networks.chipotle.rotation import Rotation
    from lit_airflow.networks.chipotle.setup import Setup
    from lit_airflow.networks.contract import OnReport

__all__ = ["describe", "open_network", "open_rotation", "open_setup"]


def open_network(
    description: ChipotleDescription, *, clock: Clock, on_report: OnReport | None
) -> ChipotleNetwork:
    """Open the network that a description names. Sends nothing yet.

    Raises:
        SettingsError: It asks for attestation, and the extra is missing.
    """
    from lit_airflow.networks.chipotle.network import ChipotleNetwork  # noqa: PLC0415 - brings cryptography
    from lit_airflow.transport.http import Http  # noqa: PLC0415 - brings requests

    return ChipotleNetwork(description, Http(), clock, on_report=on_report)


def open_rotation(description: ChipotleDescription, managed: ManagedSecrets) -> Rotation:
    """Return the rotation of a deployment's API key. Sends nothing yet."""
    from lit_airflow.networks.chipotle.rotation import Rotation  # noqa: PLC0415 - brings cryptography

    return Rotation(_manager(description, managed))


def open_setup(description: ChipotleDescription, managed: ManagedSecrets) -> Setup:
    """Return the set-up of a deployment. Sends nothing yet."""
    from lit_airflow.networks.chipotle.setup import Setup  # noqa: PLC0415 - brings cryptography

    return Setup(_manager(description, managed), description)


def _manager(description: ChipotleDescription, managed: ManagedSecrets) -> Manager:
    from lit_airflow.networks.chipotle.guarded import open_api, open_guard  # noqa: PLC0415 - brings requests
    from lit_airflow.networks.chipotle.managing import Manager  # noqa: PLC0415 - brings cryptography
    from lit_airflow.transport.http import Http  # noqa: PLC0415 - brings requests

    http = Http()
    api = open_api(description, http, open_guard(description, http, managed.clock))
    return Manager(api, managed, description.api_key_field)
