"""What the scheduler does for Airflow CD: it sees to it that the pool of verifications is there.

Airflow never starts a task whose pool is missing, and a canary that is not verified would serve for ever. So the pool
is made when a component with access to Airflow's database starts, and looked for whenever a run begins.
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
    """Make the pool again that somebody has deleted, before a run of a pipeline gets to its verification.

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
