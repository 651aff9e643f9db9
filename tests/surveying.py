"""Networks that have surveyed their nodes already: what these answered is given."""

from __future__ import annotations

import time
from collections.abc import Sequence

from lit_airflow.clock import Clock, now
from lit_airflow.networks.datil.consensus import Epoch
from lit_airflow.networks.datil.network import DatilNetwork
from lit_airflow.networks.datil.survey import Survey
from lit_airflow.networks.datil.wire import ListedValidators
from lit_airflow.networks.descriptions import describe
from lit_airflow.transport.http import Http

LONG_S = 3600.0


def survey(nodes: Sequence[str], threshold: int, *, nonce: str = "", public_key: str = "") -> Survey:
    """A survey of nodes that all agree."""
    listed = ListedValidators(Epoch(0, 1, 0), threshold, tuple(nodes))
    return Survey(
        nodes=listed.nodes, threshold=threshold, epoch=1, public_key=public_key, nonce=nonce, listed=listed
    )


def surveyed(nodes: Sequence[str], threshold: int, *, nonce: str = "", clock: Clock = now) -> DatilNetwork:
    """A custom network of these nodes, which sends nothing to open sessions within the next hour."""
    description = describe({"nodes": list(nodes), "threshold": threshold, "epoch": 1})
    network = DatilNetwork(description, Http(), clock)  # type: ignore[arg-type]  # it is Datil's
    network.surveyor._latest = (time.monotonic() + LONG_S, survey(nodes, threshold, nonce=nonce))
    return network
