"""Runs that come past Airflow's API, as ``airflow dags trigger`` writes them: ended before their first task begins."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_cd import Environment, Pipeline
from tests.plugin.audit.airflow_server import RUN_ID, changed, running


def _pipeline() -> Any:
    return Pipeline("guarded", stages=[EmptyOperator(task_id="smoke"), Environment("dev")]).dag()


def _by_hand() -> Any:
    with DAG("by_hand", schedule=None) as dag:
        EmptyOperator(task_id="smoke")
    return dag


def _started(dag: Any, conf: dict[str, Any]) -> tuple[str, str]:
    """The scheduler takes the run up; gives its state and its note."""
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with running(dag, waits="", before=()):
        # SQLite's own time has no fractions of a second.
        changed("", state="queued", conf=conf, run_after=datetime.now(timezone.utc) - timedelta(minutes=1))
        with create_session() as session:
            SchedulerJobRunner(Job())._start_queued_dagruns(session)
        with create_session() as session:
            run = session.scalars(select(DagRun).where(DagRun.run_id == RUN_ID)).one()
            return str(run.state), str(run.note or "")


@pytest.mark.usefixtures("metadata")
def test_a_misspelt_parameter_ends_the_run_before_the_authors_own_first_stage() -> None:
    state, note = _started(_pipeline(), {"version": "1.2", "overides": {"limit": 9}})
    assert state == "failed"
    assert "did you mean 'configuration'?" in note


@pytest.mark.usefixtures("metadata")
@pytest.mark.parametrize("made", [_pipeline, _by_hand])
def test_a_run_with_what_its_dag_knows_begins(made: Any) -> None:
    conf = {"version": "1.2", "reason": "new prices"} if made is _pipeline else {"whatever": 1}
    assert _started(made(), conf) == ("running", "")
