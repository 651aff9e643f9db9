"""With several workers, too, no secret is in the database, in the broker, in a log or in a process's arguments."""

import json

import pytest
import redis

from lit_airflow.hooks import LitHook
from lit_airflow.sandbox import watchdog
from tests.installation.beside import ON_CHIPOTLE
from tests.installation.leaks import Hunt, files_below, hex_secrets, session_secrets
from tests.workers.parts import KEY, ROLES, Cluster

pytestmark = pytest.mark.soak


def test_nothing_leaks(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {}
    with cluster.brake("rerun", "decrypt", "nodes") as brake:
        run_id = cluster.trigger("rerun")
        brake.held()  # the broker keeps the message until the task has ended
        broker = redis.Redis.from_url(cluster.redis_url)
        for key in broker.scan_iter():
            places[f"Redis {key.decode()}"] = broker.dump(key) or b""
        broker.close()
    assert cluster.finish("rerun", run_id) == "success"
    run_on_chipotle = cluster.trigger(ON_CHIPOTLE)
    assert cluster.finish(ON_CHIPOTLE, run_on_chipotle) == "success"
    hunted = hex_secrets("wallet key", KEY.reveal().hex())
    hunted["API key"] = cluster.chipotle.secret["api_key"].encode()
    for role in ROLES:
        entries = json.loads((cluster.parts.home / f"{role}.json").read_text())
        hunted[f"secret_id of {role}"] = entries[f"vault_{role}"]["password"].encode()
        for conn_id, entry in entries.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(entry))
    session = LitHook("lit_consumer").open_ticket(cluster.api.xcom("rerun", run_id, "session"))
    hunt = Hunt(hunted | session_secrets("the run", session))

    places |= dict(cluster.database.cells())
    places["dump"] = cluster.database.dump()
    own = {f"{role}.json" for role in ROLES}  # the workers' own files of connections
    places |= {place: content for place, content in files_below(cluster.parts.home) if place not in own}
    leaders = {child.leader for child in cluster.parts.children._children}
    for process in watchdog.family(leaders):
        for part in ("cmdline", "environ"):
            places[f"process {process.pid} {part}"] = cluster.fact(process.pid, part)

    wallet = Hunt({"wallet": cluster.parts.wallet.encode()}).leaks(iter(places.items()))
    assert {"dump"} <= set(wallet)
    assert [place for place in wallet if place.startswith("xcom.value")]
    assert b"execute_workload" in places["Redis unacked"]
    assert {f"logs/worker-{role}.log" for role in ROLES} <= set(places)
    assert hunt.leaks(iter(places.items())) == {}
