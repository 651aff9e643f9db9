"""The real SDK and the local network, started once; what was asked is counted at the end.

Without Node.js these tests are skipped on a developer's machine, and fail where ``CI`` is set.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from lit_airflow import LitClient, Wallet
from lit_airflow.devnet import Devnet
from tests.interop import kinds, packages
from tests.interop.sdk import Sdk

_SDK = pytest.StashKey[Sdk]()
OTHER_KEY = "0x" + "22" * 32


@pytest.fixture(scope="session")
def node_path() -> str:
    try:
        return packages.node()
    except packages.NoNodeError as error:
        if os.environ.get("CI", "").lower() in ("", "0", "false"):
            pytest.skip(str(error))
        pytest.fail(f"required in CI: {error}")


@pytest.fixture(scope="session")
def folder(node_path: str) -> Path:
    """Where the packages are installed."""
    return packages.installed()


@pytest.fixture(scope="session")
def sdk(
    node_path: str, folder: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Sdk]:
    with Sdk(node_path, folder, tmp_path_factory.mktemp("sdk") / "talk.log") as running:
        pytestconfig.stash[_SDK] = running
        yield running


@pytest.fixture(scope="session")
def wallet() -> Wallet:
    return Wallet.from_key(kinds.KEY)


@pytest.fixture(scope="session")
def stranger() -> Wallet:
    """A wallet that no condition names."""
    return Wallet.from_key(OTHER_KEY)


@pytest.fixture(scope="session")
def net() -> Iterator[Devnet]:
    with Devnet(nodes=3, threshold=2, state=kinds.STATE) as running:
        yield running


@pytest.fixture(scope="session")
def network(net: Devnet) -> dict[str, Any]:
    return dict(net.description)


@pytest.fixture(scope="session")
def lit(network: dict[str, Any]) -> LitClient:
    return LitClient(network, timeout_s=20)


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None]:
    yield
    if (sdk := config.stash.get(_SDK, None)) is not None:
        version = packages.wanted()[packages.SDK]
        told = ", ".join(f"{command} {count}" for command, count in sorted(sdk.asked.items()))
        terminalreporter.write_line(
            f"interop: {sdk.asked.total()} exchanges with @lit-protocol {version} ({told})"
        )
