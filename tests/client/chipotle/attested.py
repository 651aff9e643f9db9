"""A local Chipotle in a made-up enclave, and the client's side of it with the made-up root as trust anchor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lit_airflow import clock as clocks
from lit_airflow.devnet.chipotle import Chipotle, Settings
from lit_airflow.devnet.chipotle.enclave import LocalEnclave
from lit_airflow.networks.chipotle import describe
from lit_airflow.networks.chipotle.network import ChipotleNetwork
from lit_airflow.transport.http import Http
from tests.client.chipotle.local import MovedClock


@dataclass
class Attested:
    """What a test gets.

    Attributes:
        net: The service.
        enclave: What it runs in; changes take effect at once.
        clock: The client's and the service's clock.
        collateral: The collateral's file.
    """

    net: Chipotle
    enclave: LocalEnclave
    clock: MovedClock
    collateral: Path
    opened: list[ChipotleNetwork] = field(default_factory=list)

    def description(self, policy: str = "require", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
        return {
            **self.net.description,
            "attestation": policy,
            "compose_hash": self.enclave.compose_hash,
            "collateral": str(self.collateral),
            **changes,
        }

    def client(self, policy: str = "require", **changes: Any) -> ChipotleNetwork:  # noqa: ANN401
        """A network of its own process, as it were: it has asked nothing yet."""
        described = describe(self.description(policy, **changes), None)
        network = ChipotleNetwork(described, Http(), self.clock, root_ca=self.enclave.root_der)
        self.opened.append(network)
        return network

    def write_collateral(self, **arguments: Any) -> None:  # noqa: ANN401
        self.collateral.write_text(json.dumps(self.enclave.platform.collateral(**arguments)))

    def received(self) -> list[str]:
        """The calls of the API that arrived; asking for evidence is none."""
        paths = [str(request["call"]) for request in self.net.requests]
        return [path for path in paths if not path.startswith("/")]


@contextmanager
def attested_service(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Attested]:
    clock = MovedClock(clocks.now())  # TLS certificates are verified by the machine's own clock
    enclave = LocalEnclave.certified(clock.now)
    authority = folder / "ca.pem"
    authority.write_bytes(enclave.ca_pem)
    patch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    with Chipotle(settings=Settings(clock=clock, enclave=enclave)) as net:
        service = Attested(net, enclave, clock, folder / "collateral.json")
        service.write_collateral()
        yield service
        for network in service.opened:
            network.close()
