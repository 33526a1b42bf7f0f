"""What Airflow's own database says of runs: all that decides whether one of them can go on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_cd.same_ledger import ledger_in_use

MOST = 200
"""Runs of stale DAGs that are looked at."""

RunKey = tuple[str, str]
"""Pipeline and run id."""


@dataclass(frozen=True)
class TaskFacts:
    """A task instance.

    :param state: Airflow's word, ``""`` while it has none.
    :param heartbeat: when its supervisor said last that it lives.
    :param pool: that it takes a slot of; ``queue`` that it is sent to.
    """

    task_id: str
    map_index: int
    state: str
    heartbeat: datetime | None
    pool: str = ""
    queue: str = ""


@dataclass(frozen=True)
class RunFacts:
    """A run, and its DAG.

    :param state: Airflow's word.
    :param paused: whether the DAG is paused.
    :param stale: whether Airflow no longer finds the DAG in its file, and so schedules none of its runs.
    :param file: path of the file inside its bundle.
    :param error: last line of the file's import error, ``""`` when it has none.
    """

    state: str
    paused: bool
    stale: bool
    file: str = ""
    error: str = ""
    tasks: Sequence[TaskFacts] = ()

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self.state in ("success", "failed")


@dataclass(frozen=True)
class AirflowFacts:
    """What was read at one moment.

    :param runs: those that Airflow knows.
    :param schedulers: the last heartbeat of every scheduler that has not ended by itself, by its job's id.
    :param ledger: identity of the ledger that this Airflow uses; None before the first run.
    """

    runs: Mapping[RunKey, RunFacts] = field(default_factory=dict)
    schedulers: Mapping[int, datetime | None] = field(default_factory=dict)
    ledger: str | None = None


def runs_of_stale_dags() -> set[RunKey]:
    """The runs that have not ended, of DAGs that Airflow does not find in their files any more.

    :raises SQLAlchemyError: Airflow's database cannot be read.
    """
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = (
        select(DagRun.dag_id, DagRun.run_id)
        .join(DagModel, DagModel.dag_id == DagRun.dag_id)
        .where(DagModel.is_stale, DagRun.state.in_(("running", "queued")))
        .limit(MOST)
    )
    with create_session() as session:
        return {(pipeline, run_id) for pipeline, run_id in session.execute(query)}


def read_airflow(keys: Collection[RunKey]) -> AirflowFacts:
    """Read it.

    :param keys: the runs that are asked about.
    :raises SQLAlchemyError: Airflow's database cannot be read.
    """
    from airflow.jobs.job import Job
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.models.errors import ParseImportError
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    pipelines, run_ids = {pipeline for pipeline, _ in keys}, {run_id for _, run_id in keys}
    with create_session() as session:
        runs = session.execute(
            select(DagRun.dag_id, DagRun.run_id, DagRun.state).where(
                DagRun.dag_id.in_(pipelines), DagRun.run_id.in_(run_ids)
            )
        ).all()
        dags: dict[str, list[Any]] = {
            dag_id: more
            for dag_id, *more in session.execute(
                select(
                    DagModel.dag_id,
                    DagModel.is_paused,
                    DagModel.is_stale,
                    DagModel.bundle_name,
                    DagModel.relative_fileloc,
                ).where(DagModel.dag_id.in_(pipelines))
            )
        }
        files = {file for *_, file in dags.values() if file}
        errors: dict[tuple[Any, Any], str] = {
            (bundle, file): _last_line(trace)
            for bundle, file, trace in session.execute(
                select(ParseImportError.bundle_name, ParseImportError.filename, ParseImportError.stacktrace).where(
                    ParseImportError.filename.in_(files)
                )
            )
        }
        tasks: dict[RunKey, list[TaskFacts]] = {}
        for dag_id, run_id, task_id, map_index, state, heartbeat, pool, queue in session.execute(
            select(
                TaskInstance.dag_id,
                TaskInstance.run_id,
                TaskInstance.task_id,
                TaskInstance.map_index,
                TaskInstance.state,
                TaskInstance.last_heartbeat_at,
                TaskInstance.pool,
                TaskInstance.queue,
            ).where(TaskInstance.dag_id.in_(pipelines), TaskInstance.run_id.in_(run_ids))
        ):
            facts = TaskFacts(task_id, map_index, str(state or ""), heartbeat, str(pool or ""), str(queue or ""))
            tasks.setdefault((dag_id, run_id), []).append(facts)
        alive = (
            select(Job.id, Job.latest_heartbeat)
            .where(Job.job_type == "SchedulerJob", Job.state == "running")
            .order_by(Job.latest_heartbeat.desc())
            .limit(10)
        )
        schedulers: dict[int, datetime | None] = {row[0]: row[1] for row in session.execute(alive)}
    found = {}
    for dag_id, run_id, state in runs:
        paused, stale, bundle, file = dags.get(dag_id, (False, True, "", ""))
        error = errors.get((bundle, file), "")
        key = (dag_id, run_id)
        found[key] = RunFacts(str(state), bool(paused), bool(stale), file or "", error, tasks.get(key, ()))
    return AirflowFacts({key: found[key] for key in keys if key in found}, schedulers, ledger_in_use())


def _last_line(trace: str | None) -> str:
    lines = [line.strip() for line in (trace or "").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it cannot be imported"
