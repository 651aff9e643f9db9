"""``@task.lit`` in DAG runs, also mapped, on a real network and a real Vault server."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, Metadata, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from lit_airflow import LitClient
from lit_airflow.devnet import Devnet
from lit_airflow.errors import ScopeError, SettingsError
from lit_airflow.operators import LitSessionSigsOperator
from tests.airflow.running import START, make_dag, run_dag
from tests.vault.parts import KEY_READ, OPENED, Bao, conditions_for

pytestmark = pytest.mark.usefixtures("database", "connections")


def dag_of(dag_id: str, container: dict[str, Any], *, times: int | None = None) -> DAG:
    with make_dag(dag_id) as dag:
        session = LitSessionSigsOperator(task_id="session", encrypted=container, lit_conn_id="lit_renewer")

        @task.lit(session=session.output, lit_conn_id="lit_consumer")
        def shout(lit: Any, encrypted: dict[str, Any], suffix: str = "!", params: Any = None) -> str:  # noqa: ANN401
            assert params is not None  # what Airflow's context has is handed over by name, as to any task
            return str(lit.decrypt(encrypted).decode().upper()) + suffix

        if times is None:
            shout(container, suffix="?")
        else:
            shout.expand(encrypted=[container] * times)
    return dag


def test_the_function_is_handed_an_open_session(container: dict[str, Any]) -> None:
    """And what is rendered and stored is the ticket as it came, sealed."""
    run = run_dag(dag_of("decorated", container))
    assert run.states() == {"session": "success", "shout": "success"}
    assert run.xcom("shout") == "THE PLAINTEXT?"
    assert run.rendered("shout")["session"] == run.xcom("session")
    assert "sealed" in run.rendered("shout")["session"]


@pytest.mark.parametrize("times", [None, 2])
def test_it_leads_to_the_page_as_operators_do(container: dict[str, Any], times: int | None) -> None:
    from airflow.serialization import serialized_objects

    name = "DagSerialization" if hasattr(serialized_objects, "DagSerialization") else "SerializedDAG"  # 3.1
    serialization = getattr(serialized_objects, name)
    dag = dag_of("decorated_links", container, times=times)
    stored = serialization.from_dict(serialization.to_dict(dag))
    assert [stored.get_task(name).extra_links for name in ("session", "shout")] == [["Lit sessions"]] * 2


@pytest.mark.parametrize(
    "times",
    [
        4,
        pytest.param(500, marks=pytest.mark.soak),
    ],
)
def test_mapped_decryptions_share_one_session_and_one_key_read(
    bao: Bao, container: dict[str, Any], times: int
) -> None:
    with bao.watched() as paths:
        run = run_dag(dag_of(f"mapped_{times}", container, times=times))
    assert run.state == "success"
    states = [t.state for t in run.dag_run.get_task_instances() if t.task_id == "shout"]
    assert states == ["success"] * times
    assert paths.count(KEY_READ) == 1
    assert paths.count(OPENED) == times


def test_what_trying_again_cannot_mend_fails_at_once(container: dict[str, Any]) -> None:
    with make_dag("decorated_failure", retries=3) as dag:

        @task.lit(session={"v": 99}, lit_conn_id="lit_consumer")
        def never(lit: Any) -> None:  # noqa: ANN401 - OpenSession
            raise AssertionError(lit)

        never()
    run = run_dag(dag)
    assert run.states() == {"never": "failed"}
    assert run.task("never").try_number == 1


def test_a_function_without_the_parameter_is_refused_when_the_dag_is_read() -> None:
    with pytest.raises(SettingsError, match="forgot needs a parameter lit"):

        @task.lit(session={})
        def forgot(path: str) -> None:
            raise AssertionError(path)


def test_many_are_decrypted_in_one_task(container: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "container.json").write_text(json.dumps(container))
    broken = container | {"ciphertext": "no base64"}
    with make_dag("decorated_many") as dag:
        session = LitSessionSigsOperator(task_id="session", encrypted=container, lit_conn_id="lit_renewer")

        @task.lit(session=session.output, lit_conn_id="lit_consumer")
        def lengths(lit: Any, items: list[Any]) -> list[int | str]:  # noqa: ANN401 - OpenSession
            outcomes = lit.decrypt_many(items, at_once=2)
            return [type(o.error).__name__ if o.error else len(o.result()) for o in outcomes]

        lengths([container, str(tmp_path / "container.json"), broken, container])
    run = run_dag(dag)
    assert run.xcom("lengths") == [13, 13, "CiphertextError", 13]


def test_one_session_for_several_containers(bao: Bao, net: Devnet) -> None:
    """It may decrypt these, and no others."""
    conditions = conditions_for(bao.wallet.address)
    lit = LitClient(net.description)
    first, second, third = ({**lit.encrypt(text, conditions), **conditions} for text in (b"a", b"b", b"c"))
    with make_dag("several") as dag:
        session = LitSessionSigsOperator(
            task_id="session", encrypted=[first, second], lit_conn_id="lit_renewer"
        )

        @task.lit(session=session.output, lit_conn_id="lit_consumer")
        def texts(lit: Any) -> list[str]:  # noqa: ANN401 - OpenSession
            with pytest.raises(ScopeError):
                lit.decrypt(third)
            return [lit.decrypt(each).decode() for each in (first, second)]

        texts()
    run = run_dag(dag)
    assert run.xcom("texts") == ["a", "b"]
    assert len(run.xcom("session")["scope"]) == 2


def test_it_runs_what_task_runs(container: dict[str, Any]) -> None:  # noqa: C901 - a function for each kind
    """Coroutines, generators of metadata, functions that return assets or several outputs."""
    here, there = Asset("lit_test_here"), Asset("lit_test_there")
    later_there = Asset("lit_test_later_there")
    with make_dag("decorated_kinds") as dag:
        session = LitSessionSigsOperator(task_id="session", encrypted=container, lit_conn_id="lit_renewer")
        common: dict[str, Any] = {"session": session.output, "lit_conn_id": "lit_consumer"}

        @task.lit(**common)
        async def later(lit: Any, suffix: str) -> str:  # noqa: ANN401 - OpenSession
            await asyncio.sleep(0)
            return str(lit.decrypt(container).decode()) + suffix

        @task.lit(outlets=[here], **common)
        def announces(lit: Any) -> Iterator[Metadata]:  # noqa: ANN401 - OpenSession
            yield Metadata(here, {"bytes": len(lit.decrypt(container))})

        @task.lit(multiple_outputs=True, **common)
        def several(lit: Any) -> dict[str, int]:  # noqa: ANN401 - OpenSession
            return {"bytes": len(lit.decrypt(container))}

        @task.lit(outlets=[there], **common)
        def returns(lit: Any) -> Asset:  # noqa: ANN401 - OpenSession
            assert lit.decrypt(container)
            return there

        @task.lit(outlets=[later_there], **common)
        async def returns_later(lit: Any) -> Asset:  # noqa: ANN401 - OpenSession
            assert lit.decrypt(container)
            return later_there

        @task.lit(**common)
        async def inferred(lit: Any, *, day: str, ti: Any = None, **context: Any) -> dict[str, str]:  # noqa: ANN401
            assert lit.decrypt(container)
            assert get_current_context()["ti"].task_id == ti.task_id == context["task"].task_id
            return {"day": day, "task": ti.task_id}

        @task.lit(**common)
        async def mapped(number: int, lit: Any = None) -> int:  # noqa: ANN401 - OpenSession
            return number * len(lit.decrypt(container))

        @task.lit(templates_dict={"day": "{{ logical_date | ds }}"}, **common)
        def templated(text: str, lit: Any, templates_dict: Any = None) -> str:  # noqa: ANN401
            return f"{text} {templates_dict['day']} {len(lit.decrypt(container))}"

        @task.lit(**common)
        async def skips(lit: Any) -> None:  # noqa: ANN401 - OpenSession
            raise AirflowSkipException(str(len(lit.decrypt(container))))

        class Reader:
            """An object with a method, as Airflow's own decorator takes it."""

            def method(self, lit: Any, suffix: str) -> str:  # noqa: ANN401 - OpenSession
                return str(lit.decrypt(container).decode()) + suffix

        later("!")
        announces()
        several()
        returns()
        returns_later()
        inferred(day="{{ logical_date | ds }}")
        mapped.override(task_id="many").expand(number=[1, 2])
        templated("on {{ dag.dag_id }}")
        skips()
        task.lit(Reader().method, task_id="bound", **common)("?")
    run = run_dag(dag, logical_date=START)
    states = run.states()
    assert states.pop("skips") == "skipped"
    assert set(states.values()) == {"success"}
    assert run.xcom("inferred") == {"day": "2026-01-01", "task": "inferred"}
    assert run.xcom("inferred", key="day") == "2026-01-01"
    assert run.xcom("templated") == "on decorated_kinds 2026-01-01 13"
    assert run.xcom("bound") == "the plaintext?"
    assert events_of("lit_test_later_there")
    assert run.xcom("later") == "the plaintext!"
    assert run.xcom("several") == {"bytes": 13}
    assert events_of("lit_test_here") == [{"bytes": 13}]
    assert events_of("lit_test_there")


def events_of(name: str) -> list[Any]:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        return list(session.scalars(query.where(AssetModel.name == name)))


def test_an_asynchronous_generator_is_refused_when_the_dag_is_read() -> None:
    with pytest.raises(SettingsError, match="asynchronous generator"):

        @task.lit(session={})
        async def never(lit: Any) -> AsyncIterator[int]:  # noqa: ANN401 - OpenSession
            yield lit
