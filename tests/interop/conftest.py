"""The real SDK and the local network, started once; what was asked is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lit_airflow import LitClient, Wallet
from lit_airflow.devnet import Devnet
from tests.interop import kinds, packages
from tests.interop.sdk import Sdk

OTHER_KEY = "0x" + "22" * 32


@pytest.fixture(scope="session")
def folder() -> Path:
    """Where the packages are installed."""
    return packages.installed()


@pytest.fixture(scope="package")
def sdk(folder: Path, tmp_path_factory: pytest.TempPathFactory, exchanges: Counter[str]) -> Iterator[Sdk]:
    with Sdk(packages.node(), folder, tmp_path_factory.mktemp("sdk") / "talk.log") as running:
        yield running
    exchanges.update(running.asked)


@pytest.fixture(scope="session")
def wallet() -> Wallet:
    return Wallet.from_key(kinds.KEY)


@pytest.fixture(scope="session")
def stranger() -> Wallet:
    """A wallet that no condition names."""
    return Wallet.from_key(OTHER_KEY)


@pytest.fixture(scope="package")
def net() -> Iterator[Devnet]:
    with Devnet(nodes=3, threshold=2, state=kinds.STATE) as running:
        yield running


@pytest.fixture(scope="package")
def network(net: Devnet) -> dict[str, Any]:
    return dict(net.description)


@pytest.fixture(scope="package")
def lit(network: dict[str, Any]) -> LitClient:
    return LitClient(network, timeout_s=120)
