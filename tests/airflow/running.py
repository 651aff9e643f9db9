"""Run a DAG in this process, as ``dag.test()`` does, on the tests' own database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time import supervisor

START = datetime(2026, 1, 1, tzinfo=UTC)


def make_dag(dag_id: str, **default_args: object) -> DAG:
    return DAG(dag_id, schedule=None, start_date=START, default_args=default_args)


@dataclass
class Run:
    """A finished run."""

    dag_run: Any

    @property
    def state(self) -> str:
        return str(self.dag_run.state)

    def task(self, task_id: str) -> Any:  # noqa: ANN401 - a TaskInstance
        found = self.dag_run.get_task_instance(task_id)
        assert found is not None
        return found

    def states(self) -> dict[str, str]:
        return {task.task_id: str(task.state) for task in self.dag_run.get_task_instances()}

    def xcom(self, task_id: str, key: str = "return_value") -> Any:  # noqa: ANN401 - whatever JSON it is
        """What the task returned or pushed, as the database has it."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            query = XComModel.get_many(
                key=key,
                task_ids=task_id,
                dag_ids=self.dag_run.dag_id,
                run_id=self.dag_run.run_id,
            )
            row = session.execute(query).scalars().first()
            return None if row is None else XComModel.deserialize_value(row)

    def rendered(self, task_id: str) -> dict[str, Any]:
        """The task's rendered fields, as the database has them."""
        from airflow.models.renderedtifields import RenderedTaskInstanceFields

        found: dict[str, Any] = RenderedTaskInstanceFields.get_templated_fields(self.task(task_id)) or {}
        return found


def run_dag(dag: DAG, **arguments: Any) -> Run:  # noqa: ANN401 - those of dag.test()
    """One run, after the DAG has been stored as its file would have been."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)
        session.commit()
        update_dag_parsing_results_in_db(
            "dags-folder", None, [LazyDeserializedDAG.from_dag(dag)], {}, None, set(), session=session
        )
    with one_api_for_all_tasks(), no_masks_of_earlier_tasks():
        return Run(dag.test(**arguments))


_one_api = cache(supervisor.in_process_api_server)


@contextmanager
def one_api_for_all_tasks() -> Iterator[None]:
    """``dag.test()`` would make one for each: a second's work, and before Airflow 3.3 it never lets go of any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervisor, "in_process_api_server", _one_api)
        yield


@contextmanager
def no_masks_of_earlier_tasks() -> Iterator[None]:
    """Clear the log masker before each task: it recompiles all its masks for each new one, which gets slow."""
    from airflow.sdk._shared.secrets_masker import _secrets_masker

    run = supervisor.run_task_in_process

    def unmasked(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - those of the function
        _secrets_masker().reset_masker()
        return run(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervisor, "run_task_in_process", unmasked)
        yield
