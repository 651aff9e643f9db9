"""Datil: the generation that the JavaScript SDK 7.4.0 speaks, a committee of nodes that sign with BLS shares.

Light to import: the curve library comes with :func:`open_network`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lit_airflow.networks.datil.description import describe

if TYPE_CHECKING:
    from lit_airflow.clock import Clock
    from lit_airflow.networks.contract import OnReport
    from lit_airflow.networks.datil.description import DatilDescription
    from lit_airflow.networks.datil.network import DatilNetwork

__all__ = ["describe", "open_network"]


def open_network(description: DatilDescription, *, clock: Clock, on_report: OnReport | None) -> DatilNetwork:
    """Open the network that a description names. Sends nothing yet."""
    from lit_airflow.networks.datil.network import DatilNetwork  # noqa: PLC0415 - brings the curve library
    from lit_airflow.transport.http import Http  # noqa: PLC0415 - brings requests

    return DatilNetwork(description, Http(), clock, on_report=on_report)
