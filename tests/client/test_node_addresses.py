"""Where a chain may send a client: a public network's nodes have public addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lit_airflow import LitClient
from lit_airflow.errors import Failure, FailureKind, NodesUnavailableError

if TYPE_CHECKING:
    from tests.client.conftest import Job


def test_a_public_network_has_no_nodes_on_this_machine(job: Job) -> None:
    facts = job.net.description
    place = {key: facts[key] for key in ("rpc_url", "staking_address", "chain_id")}
    lit = LitClient({**place, "network": "datil-dev"}, timeout_s=60)
    before = list(job.net.requests)
    for call in (lit.sdk.survey, lambda: lit.open_session(job.wallet, job.session.scope)):
        with pytest.raises(NodesUnavailableError) as caught:
            call()
        failure = Failure(FailureKind.UNTRUSTED, "127.0.0.1 is not a public address")
        assert set(caught.value.failures.values()) == {failure}
        assert all(node.startswith("https://") for node in caught.value.failures)
    assert job.net.requests == before


def test_plain_http_to_another_host_has_to_be_allowed() -> None:
    """Sessions would travel in clear text. On this machine they may, as in all other tests."""
    nodes = [f"http://192.0.2.{host}:7470" for host in (1, 2)]
    lit = LitClient({"network": "custom", "nodes": nodes, "threshold": 1}, timeout_s=5)
    with pytest.raises(NodesUnavailableError) as caught:
        lit.sdk.survey()
    assert {failure.kind for failure in caught.value.failures.values()} == {FailureKind.UNTRUSTED}
    assert all("plain http" in failure.message for failure in caught.value.failures.values())
