"""A wallet that asks, and a network to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lit_airflow.devnet import Devnet
from tests.devnet_own.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def visitor() -> Visitor:
    return Visitor()


@pytest.fixture
def net() -> Iterator[Devnet]:
    with Devnet(nodes=3, threshold=2) as running:
        yield running
