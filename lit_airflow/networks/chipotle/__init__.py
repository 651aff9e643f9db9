"""Chipotle (Lit v3): one attested service, and the gate, a Lit Action there that checks sessions and conditions.

Light to import: cryptography and HTTP come with :func:`open_network`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lit_airflow.networks.chipotle.description import describe

if TYPE_CHECKING:
    from lit_airflow.clock import Clock
    from lit_airflow.networks.chipotle.description import ChipotleDescription
    from lit_airflow.networks.chipotle.network import ChipotleNetwork
    from lit_airflow.networks.contract import OnReport

__all__ = ["describe", "open_network"]


def open_network(
    description: ChipotleDescription, *, clock: Clock, on_report: OnReport | None
) -> ChipotleNetwork:
    """Open the network that a description names. Sends nothing yet."""
    from lit_airflow.networks.chipotle.network import ChipotleNetwork  # noqa: PLC0415 - brings cryptography
    from lit_airflow.transport.http import Http  # noqa: PLC0415 - brings requests

    return ChipotleNetwork(description, Http(), clock, on_report=on_report)
