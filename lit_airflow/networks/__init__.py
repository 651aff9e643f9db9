"""6: Session -> signature shares. The only place that knows the generations of the network."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lit_airflow import clock as clocks
from lit_airflow.clock import Clock
from lit_airflow.errors import SettingsError
from lit_airflow.networks.descriptions import NetworkDescription, describe
from lit_airflow.transport.http import Http

if TYPE_CHECKING:
    from lit_airflow.networks.contract import Network, OnReport

# Generation -> where its class lives; imported when a network is opened, since it brings the curve library.
_GENERATIONS = {"datil": ("lit_airflow.networks.datil.network", "DatilNetwork")}


def open_network(
    network: str | Path | Mapping[str, Any] | NetworkDescription,
    *,
    clock: Clock = clocks.now,
    on_report: OnReport | None = None,
) -> Network:
    """The network that a name, a file or a description means. Nothing is sent yet.

    Args:
        network: See :func:`lit_airflow.networks.descriptions.describe`.
        clock: What tells the time.
        on_report: Told how each decryption was answered.

    Raises:
        SettingsError: An unknown network or generation, or a description that cannot be right.
    """
    description = network if isinstance(network, NetworkDescription) else describe(network)
    home = _GENERATIONS.get(description.generation)
    if home is None:
        raise SettingsError(
            f"The generation {description.generation!r} is not known.",
            field="generation",
            hint=f"Known: {', '.join(_GENERATIONS)}.",
        )
    generation = getattr(import_module(home[0]), home[1])
    opened: Network = generation(description, Http(), clock, on_report=on_report)
    return opened
