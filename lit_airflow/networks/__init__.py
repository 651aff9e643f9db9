"""6: Session -> signature shares. The only place that knows the generations of the network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lit_airflow import clock as clocks
from lit_airflow.clock import Clock
from lit_airflow.errors import SettingsError
from lit_airflow.networks.base import Network
from lit_airflow.networks.datil import DatilNetwork
from lit_airflow.networks.http import Http
from lit_airflow.networks.known import NetworkDescription, describe

_GENERATIONS = {"datil": DatilNetwork}


def open_network(
    network: str | Path | Mapping[str, Any] | NetworkDescription, *, clock: Clock = clocks.now
) -> Network:
    """The network that a name, a file or a description means. Nothing is sent yet.

    Args:
        network: See :func:`lit_airflow.networks.known.describe`.
        clock: What tells the time.

    Raises:
        SettingsError: An unknown network or generation, or a description that cannot be right.
    """
    description = network if isinstance(network, NetworkDescription) else describe(network)
    generation = _GENERATIONS.get(description.generation)
    if generation is None:
        raise SettingsError(
            f"The generation {description.generation!r} is not known.",
            field="generation",
            hint=f"Known: {', '.join(_GENERATIONS)}.",
        )
    return generation(description, Http(), clock)
