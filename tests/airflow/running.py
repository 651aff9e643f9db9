"""Run a DAG in this process, as ``dag.test()`` does, on the tests' own database."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG

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

    def xcom(self, task_id: str) -> Any:  # noqa: ANN401 - whatever JSON it is
        """What the task returned, as the database has it."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            query = XComModel.get_many(
                key="return_value",
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
    return Run(dag.test(**arguments))
