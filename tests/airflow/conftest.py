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
