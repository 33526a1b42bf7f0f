"""What the scheduler does for Airflow CD: it makes the pool of verifications, and ends runs with a misspelt parameter.

Airflow never starts a task whose pool is missing, and a canary that is not verified would serve for ever. So the pool
is made when a component with access to Airflow's database starts, and looked for whenever a run begins.

``airflow dags trigger`` and a task that triggers a run write it into Airflow's database themselves, past the API that
refuses a misspelt parameter. Such a run ends before the first of its tasks, an author's own among them, is scheduled.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.listeners import hookimpl

log = logging.getLogger(__name__)

TAG = "airflow-cd"


@hookimpl
def on_starting(component: Any) -> None:
    """Make the pool where it is missing.

    :param component: what starts; a task's process, which cannot reach the database, is none of Airflow's jobs.
    """
    if type(component).__name__ != "Job":
        return
    try:
        from airflow_cd.capacity import make_pool

        make_pool()
    except Exception:
        # Another one makes it; Airflow must start in any case.
        log.exception("The pool of verifications could not be made")


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:
    """Make the pool again that somebody has deleted, and end the run if its pipeline knows no such parameter.

    :param dag_run: the run that begins.
    :param msg: Airflow's word about it.
    """
    try:
        from sqlalchemy.orm import object_session

        session = object_session(dag_run)
        if session is not None:
            from airflow_cd.capacity import make_pool

            if make_pool(session):
                log.warning("The pool of verifications was missing; it was made again")
    except Exception:
        log.exception("Whether there is a pool of verifications could not be found out")
    try:
        _end_unknown(dag_run)
    except Exception:
        # The first task of ours refuses it.
        log.exception("Whether the run has unknown parameters could not be found out")


def _end_unknown(dag_run: Any) -> None:
    """End a run that was asked for something that its pipeline does not know."""
    conf, dag = dag_run.conf, dag_run.dag
    if not conf or dag is None or dag_run.state != "running":
        return
    from airflow.utils.state import DagRunState

    from airflow_cd.plan import unknown_parameters
    from airflow_cd.plugin.dag_runs.tasks import known_parameters

    known = known_parameters(dag)
    if known is None or not (mistakes := unknown_parameters(list(conf), known)):
        return
    why = f"{dag_run.dag_id}: {'; '.join(mistakes)}. Nothing was started; start a new run with the right name."
    log.error("Run %s is ended: %s", dag_run.run_id, why)
    dag_run.set_state(DagRunState.FAILED)
    dag_run.note = why[:1000]
    dag_run.notify_dagrun_state_changed(msg=why)
