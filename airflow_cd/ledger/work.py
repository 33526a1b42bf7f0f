"""Which runs are at work on which environments, and whether the processes of their tasks live."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session

from airflow_cd.ledger.models import RunRow, WorkRow
from airflow_cd.ledger.records import Claim, Work
from airflow_cd.ledger.store import Part

BATCH = 500
"""Runs and environments that one query asks for."""


class Works(Part):
    """One record for each run and environment. It needs no lease: it says who works, not who may."""

    def begin(
        self,
        service: str,
        environment: str,
        *,
        pipeline: str,
        run_id: str,
        task_id: str,
        process: str,
        target: Mapping[str, Any] | None,
        timeout: int,
    ) -> Work:
        """Record that a task of the run is at work on the environment from now on.

        :param service: what is deployed.
        :param environment: where.
        :param pipeline: the pipeline of the run.
        :param run_id: the run.
        :param task_id: the task.
        :param process: where it runs, as ``host:pid``.
        :param target: how the environment is reached; None where that cannot be described.
        :param timeout: seconds that instances may take to come up healthy.
        """
        key = {"service": service, "environment": environment, "pipeline": pipeline, "run_id": run_id}
        with self._store.writing() as session:
            now = self._store.now(session)
            row = session.get(WorkRow, tuple(key.values()))
            if row is None:
                row = WorkRow(**key, beats=0)
                session.add(row)
            row.task_id, row.process, row.timeout = task_id, process, timeout
            row.target = dict(target) if target else None
            row.beats, row.beat_at, row.over = row.beats + 1, now, False
            return _record(self._store.written(session, row))

    def beat(self, work: Work) -> bool:
        """Record that the process of the task lives.

        :param work: as it was begun.
        :returns: False when another process has begun to work for the run here.
        """
        with self._store.writing() as session:
            done: Any = session.execute(
                self._of(work).values(beats=WorkRow.beats + 1, beat_at=self._store.now(session))
            )
            return bool(done.rowcount)

    def end(self, work: Work) -> None:
        """Record that the task has ended by itself; does nothing once another process works for the run here."""
        with self._store.writing() as session:
            session.execute(self._of(work).values(over=True))

    def of_run(self, service: str, environment: str, pipeline: str, run_id: str) -> Work | None:
        """The run's work on the environment; None when no task of it has begun any."""
        with self._store.reading() as session:
            row = session.get(WorkRow, (service, environment, pipeline, run_id))
            return _record(row) if row is not None else None

    def of_claims(self, claims: Collection[Claim]) -> dict[Claim, Work]:
        """The work of several runs on their environments, without those that have not begun any.

        :param claims: service, environment, pipeline and run id of each.
        """
        if not claims:
            return {}
        query = select(WorkRow).where(
            WorkRow.pipeline.in_({claim[2] for claim in claims}), WorkRow.run_id.in_({claim[3] for claim in claims})
        )
        with self._store.reading() as session:
            found = [_record(row) for row in session.scalars(query)]
        by_claim = {(work.service, work.environment, work.pipeline, work.run_id): work for work in found}
        return {claim: by_claim[claim] for claim in claims if claim in by_claim}

    def targets_of(self, claims: Iterable[Claim]) -> dict[Claim, Mapping[str, Any]]:
        """How runs reach their environments, as they said when they were at work there, else as their plans say.

        :param claims: service, environment, pipeline and run id of each.
        :returns: what :func:`~airflow_cd.targets.label_of` reads, without those of which neither says anything.
        """
        found: dict[Claim, Mapping[str, Any]] = {}
        wanted = sorted(set(claims))
        with self._store.reading() as session:
            for batch in (wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)):
                found |= _said_at_work(session, batch)
                found |= _planned(session, [claim for claim in batch if claim not in found])
        return found

    def _of(self, work: Work) -> Any:
        return update(WorkRow).where(
            WorkRow.service == work.service,
            WorkRow.environment == work.environment,
            WorkRow.pipeline == work.pipeline,
            WorkRow.run_id == work.run_id,
            WorkRow.process == work.process,
            WorkRow.task_id == work.task_id,
        )


def _said_at_work(session: Session, claims: Sequence[Claim]) -> dict[Claim, Mapping[str, Any]]:
    key = (WorkRow.service, WorkRow.environment, WorkRow.pipeline, WorkRow.run_id)
    rows = session.execute(select(*key, WorkRow.target).where(tuple_(*key).in_(claims)))
    return {(service, where, pipeline, run_id): target for service, where, pipeline, run_id, target in rows if target}


def _planned(session: Session, claims: Sequence[Claim]) -> dict[Claim, Mapping[str, Any]]:
    runs = {(pipeline, run_id) for _, _, pipeline, run_id in claims}
    if not runs:
        return {}
    key = (RunRow.pipeline, RunRow.run_id)
    plans = {
        (pipeline, run_id): plan
        for pipeline, run_id, plan in session.execute(select(*key, RunRow.plan).where(tuple_(*key).in_(sorted(runs))))
    }
    steps = {claim: (plans.get(claim[2:]) or {}).get(claim[1]) for claim in claims}
    targets = {claim: step.get("target") for claim, step in steps.items() if isinstance(step, dict)}
    return {claim: target for claim, target in targets.items() if isinstance(target, dict)}


def _record(row: WorkRow) -> Work:
    return Work(
        service=row.service,
        environment=row.environment,
        pipeline=row.pipeline,
        run_id=row.run_id,
        target=row.target,
        timeout=row.timeout,
        task_id=row.task_id,
        process=row.process,
        beats=row.beats,
        beat_at=row.beat_at,
        over=row.over,
    )
