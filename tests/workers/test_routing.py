"""The demo DAG under CeleryExecutor: one worker may read the wallet key, another decrypts."""

import pytest

from lit_airflow.sandbox.report import expected_report
from lit_airflow.sandbox.vault_server import GATE_PATH, KV_MOUNT
from tests.installation.beside import ON_CHIPOTLE
from tests.vault.parts import KEY_READ, LOGIN, OPENED, SEALED, asked
from tests.workers.parts import ROLES, Cluster

pytestmark = pytest.mark.soak

ROUTED = "routed"
GATE_READ = f"{KV_MOUNT}/data/{GATE_PATH}"


def test_a_ticket_made_on_one_worker_opens_on_the_other(cluster: Cluster) -> None:
    assert cluster.api._call("GET", "/api/v2/connections")["total_entries"] == 0
    with asked(cluster.parts.vault) as paths:
        run_id = cluster.trigger(ROUTED)
        assert cluster.finish(ROUTED, run_id) == "success"
    ran = {task_id: cluster.task(ROUTED, run_id, task_id) for task_id in ("session", "decrypt", "report")}
    assert {task_id: task["hostname"] for task_id, task in ran.items()} == {
        "session": "renewer",
        "decrypt": "consumer",
        "report": "consumer",
    }
    assert paths == [LOGIN, KEY_READ, SEALED, LOGIN, OPENED]
    assert cluster.parts.plaintext.read_bytes() == cluster.parts.dataset.read_bytes()
    assert cluster.api.xcom(ROUTED, run_id, "report") == expected_report(cluster.parts.dataset)


def test_a_later_run_passes_the_ticket_on_and_asks_for_no_key(cluster: Cluster) -> None:
    first = cluster.trigger(ROUTED)
    assert cluster.finish(ROUTED, first) == "success"
    with asked(cluster.parts.vault) as paths:
        run_id = cluster.trigger(ROUTED)
        assert cluster.finish(ROUTED, run_id) == "success"
    # The same session, sealed anew for the run that passes it on.
    later, earlier = (cluster.api.xcom(ROUTED, each, "session") for each in (run_id, first))
    assert {name for name in later if later[name] != earlier[name]} == {"run_id", "sealed"}
    assert paths[:2] == [LOGIN, OPENED]
    assert not [path for path in paths if path.startswith("secret/")]


def test_the_same_dag_on_chipotle(cluster: Cluster) -> None:
    """Only its connections are others; the API key is read by the worker that decrypts, and by no other."""
    with asked(cluster.parts.vault) as paths:
        run_id = cluster.trigger(ON_CHIPOTLE)
        assert cluster.finish(ON_CHIPOTLE, run_id) == "success"
    ran = {task_id: cluster.task(ON_CHIPOTLE, run_id, task_id) for task_id in ("session", "decrypt")}
    assert {task_id: task["hostname"] for task_id, task in ran.items()} == {
        "session": "renewer",
        "decrypt": "consumer",
    }
    assert paths.count(GATE_READ) == 1
    assert cluster.api.xcom(ON_CHIPOTLE, run_id, "report") == expected_report(cluster.parts.dataset)


def test_workers_killed_in_mid_renewal_and_mid_decrypt_cost_a_retry_each(cluster: Cluster) -> None:
    """SIGKILL to the workers and all they run: the scheduler misses the heartbeats and starts the tasks anew."""
    renewing, decrypting = "killed_renewing", "killed_decrypting"
    with (
        cluster.brake(renewing, "session", "seal") as before_the_seal,
        cluster.brake(decrypting, "decrypt", "nodes") as before_the_nodes,
    ):
        runs = {dag_id: cluster.trigger(dag_id) for dag_id in (renewing, decrypting)}
        before_the_seal.held()
        before_the_nodes.held()
        for role in ROLES:
            cluster.kill_worker(role)
    for role in ROLES:
        cluster.start_worker(role)
    assert {dag_id: cluster.finish(dag_id, run_id) for dag_id, run_id in runs.items()} == dict.fromkeys(
        runs, "success"
    )
    assert cluster.tries(renewing, runs[renewing]) == {"session": 2, "decrypt": 1, "report": 1}
    assert cluster.tries(decrypting, runs[decrypting]) == {"session": 1, "decrypt": 2, "report": 1}
    cluster.assert_the_plaintext_alone_is_there()
