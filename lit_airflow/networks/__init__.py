"""The networks: one contract, and a package for each generation that speaks it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lit_airflow import clock as clocks
from lit_airflow.clock import Clock

if TYPE_CHECKING:
    from lit_airflow.networks.contract import Network, NetworkDescription, OnReport


def described(network: str | Path | Mapping[str, Any] | NetworkDescription) -> NetworkDescription:
    """Return a network's description: the given one, or the one behind a name, a file or an object.

    Raises:
        SettingsError: As :func:`open_network`.
    """
    from lit_airflow.networks.descriptions import describe  # noqa: PLC0415 - it imports this package

    return describe(network) if isinstance(network, str | Path | Mapping) else network


def open_network(
    network: str | Path | Mapping[str, Any] | NetworkDescription,
    *,
    clock: Clock = clocks.now,
    on_report: OnReport | None = None,
) -> Network:
    """Open a network by name, file or description. Sends nothing yet.

    Args:
        network: See :func:`lit_airflow.networks.descriptions.describe`.
        clock: Tells the time.
        on_report: Called with each decryption's report.

    Raises:
        SettingsError: An unknown network or generation, or a description that cannot be right.
    """
    from lit_airflow.networks.descriptions import implementation  # noqa: PLC0415 - it imports this package

    description = described(network)
    opened: Network = implementation(description.generation).open_network(
        description, clock=clock, on_report=on_report
    )
    return opened
