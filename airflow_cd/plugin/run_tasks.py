"""The tasks of a run as Airflow's own database has them, in the order of their DAG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import select


@dataclass(frozen=True)
class RunTask:
    """One task of a run.

    :param state: Airflow's word; ``""`` while it has none.
    :param upstream: the tasks it waits for.
    """

    task_id: str
    state: str
    started: datetime | None = None
    ended: datetime | None = None
    upstream: Sequence[str] = ()

    @property
    def stage(self) -> str:
        """The top-level task group it is in, or its own name."""
        return self.task_id.split(".", 1)[0]


def tasks_of(dag_id: str, run_id: str) -> list[RunTask]:
    """The run's tasks; none when Airflow does not know the run."""
    columns = (TaskInstance.task_id, TaskInstance.state, TaskInstance.start_date, TaskInstance.end_date)
    query = select(*columns).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    with create_session() as session:
        rows = session.execute(query).all()
        serialized = SerializedDagModel.get(dag_id, session=session) if rows else None
        upstream = (
            {task.task_id: tuple(sorted(task.upstream_task_ids)) for task in serialized.dag.tasks} if serialized else {}
        )
    return [
        RunTask(task_id, str(state or ""), started, ended, upstream.get(task_id, ()))
        for task_id, state, started, ended in rows
    ]
