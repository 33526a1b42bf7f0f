"""What tells runs, and the lives of their tasks, apart in Airflow's own database: ids are used again."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from fastapi import Depends, Request
from sqlalchemy import select

from airflow_cd.ledger import Ledger, Question, open_ledger


def tell_apart(ledger: Ledger, pipeline: str, run_id: str) -> None:
    """Make sure that what the ledger has under a run's id belongs to the run that has it now.

    :param ledger: where it is.
    :param pipeline: id of the DAG.
    :param run_id: id of the run; nothing is done for one that Airflow does not know.
    """
    query = select(DagRun.run_after).where(DagRun.dag_id == pipeline, DagRun.run_id == run_id)
    with create_session() as session:
        requested_at = session.scalars(query).one_or_none()
    if requested_at is not None:
        ledger.runs.tell_apart(pipeline, run_id, requested_at)


def _present(request: Request) -> None:
    pipeline, run_id = request.path_params.get("dag_id"), request.path_params.get("run_id")
    if pipeline and run_id:
        tell_apart(open_ledger(), pipeline, run_id)


PRESENT_RUN = [Depends(_present)]
"""For routes about one run, after those that ask who is there: what is shown is of the run that has the id now."""


def lives(pipeline: str, run_id: str) -> Mapping[str, int]:
    """The present life of each task of a run, by its number: clearing a task begins another.

    :param pipeline: id of the DAG.
    :param run_id: id of the run.
    """
    query = select(TaskInstance.task_id, TaskInstance.max_tries).where(
        TaskInstance.dag_id == pipeline, TaskInstance.run_id == run_id
    )
    with create_session() as session:
        return {task_id: int(number) for task_id, number in session.execute(query)}


def states(pipeline: str, run_id: str, tasks: Collection[str]) -> Mapping[str, str]:
    """The states of some tasks of a run, as Airflow says them; a task without one has none here.

    :param pipeline: id of the DAG.
    :param run_id: id of the run.
    :param tasks: their ids.
    """
    query = select(TaskInstance.task_id, TaskInstance.state).where(
        TaskInstance.dag_id == pipeline, TaskInstance.run_id == run_id, TaskInstance.task_id.in_(tasks)
    )
    with create_session() as session:
        return {task_id: str(state) for task_id, state in session.execute(query) if state is not None}


def is_present(question: Question, alive: Mapping[str, int]) -> bool:
    """Whether a question was asked in the present life of its task.

    :param question: of a task of the run.
    :param alive: what :func:`lives` says of the run.
    """
    # Asked by a package that did not tell lives apart yet.
    return question.life is None or question.life == alive.get(question.task_id)
