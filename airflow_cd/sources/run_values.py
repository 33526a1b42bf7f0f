"""What tasks of the same run have returned."""

from __future__ import annotations

from typing import Any

from airflow_cd.errors import SourceRejected, SourceUnavailable


def outside_a_run(task_id: str) -> str:
    """What can be said of a task's result where no run is at work.

    :param task_id: of the task.
    """
    return f"What the task {task_id} returns is known inside a run alone; a run waits for it."


def returned(task_id: str, key: str) -> tuple[str, Any]:
    """What a task of the run that is at work has returned.

    :param task_id: of the task.
    :param key: of the XCom.
    :returns: the run, in words that tell it from every other one, and the value; None while there is none.
    :raises SourceRejected: no task is running here, or its DAG has no such task.
    :raises SourceUnavailable: Airflow does not answer.
    """
    from airflow.sdk import get_current_context
    from airflow.sdk.execution_time.xcom import XCom

    try:
        context = get_current_context()
    except RuntimeError:
        raise SourceRejected(
            f"what the task {task_id!r} has returned is known inside a run alone.",
            next_step="Look at it in a run of the pipeline.",
        ) from None
    dag, instance = context["dag"], context["ti"]
    if task_id not in dag.task_ids:
        raise SourceRejected(
            f"the pipeline {dag.dag_id!r} has no task {task_id!r}.",
            next_step=f"Name one of {', '.join(sorted(dag.task_ids)[:12])}.",
        )
    run = f"{dag.dag_id} {instance.run_id}"
    try:
        return run, XCom.get_one(key=key, dag_id=dag.dag_id, task_id=task_id, run_id=instance.run_id)
    except Exception as error:
        raise SourceUnavailable(
            f"what the task {task_id!r} has returned cannot be read now: {type(error).__name__}.",
            next_step="See whether Airflow's API server answers, and the backend that keeps XComs.",
        ) from error
