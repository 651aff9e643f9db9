from collections.abc import Iterator

import pytest

from tests.airflow.home import settle

settle()

from tests.workers.parts import Cluster, copies_of_the_demo, running_cluster  # noqa: E402

COPIES = (
    "killed_renewing",
    "killed_decrypting",
    "hurt_by_sigkill",
    "hurt_by_sigterm",
    "routed",
    "edited",
    "rerun",
    "interrupted",
    "delivered_twice",
)


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One start for all tests of the folder; each test has a DAG of its own."""
    home = tmp_path_factory.mktemp("cluster")
    with running_cluster(home, copies_of_the_demo(home / "dags", *COPIES)) as running:
        yield running
