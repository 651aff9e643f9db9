from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.airflow.home import settle

settle()

from tests.vault.parts import bao, connections, container, devnet, net, no_masks_of_earlier_tests  # noqa: E402

__all__ = ["bao", "connections", "container", "devnet", "net", "no_masks_of_earlier_tests"]


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    return settle()


@pytest.fixture(scope="session")
def database(airflow_home: Path) -> Iterator[None]:
    """A metadata database, made once."""
    from airflow.utils.db import initdb

    initdb()
    yield
    from airflow import settings

    settings.dispose_orm()


@pytest.fixture
def dag_id(request: pytest.FixtureRequest) -> str:
    """One DAG per test: the runs of another must not lend it their tickets."""
    return "".join(c if c.isalnum() else "_" for c in request.node.name)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[str]:
    """A folder in an object store of this process; Airflow knows none until it is attached."""
    from airflow.sdk.io import attach
    from fsspec.implementations.memory import MemoryFileSystem

    store = attach("memory", fs=MemoryFileSystem()).fs
    yield f"memory://{tmp_path}"
    if store.exists(str(tmp_path)):
        store.rm(str(tmp_path), recursive=True)
