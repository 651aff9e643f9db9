"""Chipotle (Lit v3): one attested service, and the gate, a Lit Action there that checks sessions and conditions.

Light to import: cryptography and HTTP come with :func:`open_network`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lit_airflow.networks.chipotle.description import describe

if TYPE_CHECKING:
    from lit_airflow.clock import Clock
    from lit_airflow.keys.wallet import Wallet
    from lit_airflow.networks.api_keys import ManagedSecrets
    from lit_airflow.networks.chipotle.description import ChipotleDescription
    from lit_airflow.networks.chipotle.managing import Manager
    from lit_airflow.networks.chipotle.namespace import NamespaceProbe
    from lit_airflow.networks.chipotle.network import ChipotleNetwork
    from lit_airflow.networks.chipotle.rotation import Rotation
    from lit_airflow.networks.chipotle.setup import Setup
    from lit_airflow.networks.contract import OnReport

__all__ = ["describe", "open_namespace_probe", "open_network", "open_rotation", "open_setup"]


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


def open_namespace_probe(
    description: ChipotleDescription, wallet: Wallet, *, clock: Clock, wait: Callable[[float], None]
) -> NamespaceProbe:
    """Return the probe of the service's key namespace, in the account of a wallet. Sends nothing yet.

    Raises:
        SettingsError: The description names no server of the account contract's chain.
    """
    from lit_airflow.errors import SettingsError  # noqa: PLC0415 - keeps this module light
    from lit_airflow.networks.chipotle.guarded import open_api, open_guard  # noqa: PLC0415 - brings requests
    from lit_airflow.networks.chipotle.namespace import NamespaceProbe  # noqa: PLC0415 - brings cryptography
    from lit_airflow.networks.chipotle.registrations import CHAIN  # noqa: PLC0415 - brings requests
    from lit_airflow.transport.http import Http  # noqa: PLC0415 - brings requests

    servers = description.rpc.get(CHAIN)
    if not servers:
        raise SettingsError(
            f"There is no server of the chain {CHAIN} to send transactions to.",
            field="rpc",
            hint="Name one in the rpc of a network description: see docs/chipotle.md, Registrations.",
        )
    http = Http()
    api = open_api(description, http, open_guard(description, http, clock))
    return NamespaceProbe(api, http, servers[0], wallet, clock, wait)


def _manager(description: ChipotleDescription, managed: ManagedSecrets) -> Manager:
    from lit_airflow.networks.chipotle.guarded import open_api, open_guard  # noqa: PLC0415 - brings requests
    from lit_airflow.networks.chipotle.managing import Manager  # noqa: PLC0415 - brings cryptography
    from lit_airflow.transport.http import Http  # noqa: PLC0415 - brings requests

    http = Http()
    api = open_api(description, http, open_guard(description, http, managed.clock))
    return Manager(api, managed, description.api_key_field)
