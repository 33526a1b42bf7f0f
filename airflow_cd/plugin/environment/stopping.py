"""Which tasks of a run a person's rollback marks failed while the run is at work in an environment."""

from __future__ import annotations

from airflow_cd.plugin.dag_runs.order import depths
from airflow_cd.plugin.dag_runs.task_states import PENDING, UNDER_WAY
from airflow_cd.plugin.dag_runs.tasks import Run, run_of
from airflow_cd.states import Role

_FORWARD = (Role.DEPLOY, Role.MARK, Role.PROMOTE)


def tasks_to_fail(pipeline: str, run_id: str, environment: str) -> list[str]:
    """The verification that decides next, then whatever goes forward right now."""
    run = run_of(pipeline, run_id)
    return [] if run is None else failing(run, environment)


def failing(run: Run, environment: str) -> list[str]:
    """The same of a run that was read already."""
    here = [task for task in run.tasks if task.place.environment == environment and task.place.role]
    order = depths({task.task_id: [task] for task in here})
    here.sort(key=lambda task: order[task.task_id])
    judging = [task for task in here if task.place.role is Role.VERIFY and task.state in PENDING]
    forward = [task for task in here if task.place.role in _FORWARD and task.state in UNDER_WAY]
    # First what would let the release go on, so that the end of a deploy in this moment changes nothing.
    return [task.task_id for task in (*judging[:1], *forward)]
