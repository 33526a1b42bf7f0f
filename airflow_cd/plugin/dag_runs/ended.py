"""Which runs have ended: what their tasks once asked waits for nobody, however their tasks came to an end."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow.utils.state import State
from sqlalchemy import select


def ended_runs(runs: Iterable[tuple[str, str]]) -> Collection[tuple[str, str]]:
    """Those of the runs that have ended.

    :param runs: pipeline and run id of each.
    """
    wanted = set(runs)
    if not wanted:
        return set()
    query = select(DagRun.dag_id, DagRun.run_id).where(
        DagRun.dag_id.in_({pipeline for pipeline, _ in wanted}),
        DagRun.run_id.in_({run_id for _, run_id in wanted}),
        DagRun.state.in_(State.finished_dr_states),
    )
    with create_session() as session:
        return wanted & {(pipeline, run_id) for pipeline, run_id in session.execute(query)}


def is_over(pipeline: str, run_id: str) -> bool:
    """Whether the run has ended, or Airflow does not know it (any more).

    :param pipeline: its DAG.
    :param run_id: its id.
    """
    query = select(DagRun.state).where(DagRun.dag_id == pipeline, DagRun.run_id == run_id)
    with create_session() as session:
        state = session.scalars(query).one_or_none()
    return state is None or state in State.finished_dr_states
