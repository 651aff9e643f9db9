"""A client of the wire protocol, and a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lit_airflow.devnet import Devnet
from tests.devnet_own.wire_client import WireClient

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def client() -> WireClient:
    return WireClient()


@pytest.fixture
def net() -> Iterator[Devnet]:
    with Devnet(nodes=3, threshold=2) as running:
        yield running
