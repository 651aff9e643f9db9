"""Faults of nodes and of the chain: what each one changes, and the tables of their names."""

from __future__ import annotations

from lit_airflow.devnet.faults.fault import ActiveFault, Event, Fault
from lit_airflow.devnet.faults.table import CHAIN_FAULTS, FAULTS

__all__ = ["CHAIN_FAULTS", "FAULTS", "ActiveFault", "Event", "Fault"]
