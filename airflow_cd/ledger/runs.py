"""Which run a record belongs to: Airflow's ids of runs are used again, the runs themselves are not.

A run that was deleted leaves its id to the next one. Task code does not see the number that Airflow's database gives a
run; what both tasks and pages see, and what stays while a run is retried and cleared, is when it was requested
(Airflow's ``run_after``). Two runs with the same id differ in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from airflow_cd.errors import LedgerUnavailable
from airflow_cd.ledger.columns import NAME_LENGTH
from airflow_cd.ledger.models import DeploymentRow, FindingRow, LeaseRequestRow, LeaseRow, QuestionRow, RunRow, WorkRow
from airflow_cd.ledger.records import KnownRun
from airflow_cd.ledger.store import Part

_KEYED = (LeaseRow, LeaseRequestRow, DeploymentRow, QuestionRow, WorkRow, FindingRow)
"""Whose rows carry the id of a run, and get another when the run's id is taken."""


class Runs(Part):
    """The runs that the ledger has records of."""

    def begin(
        self, pipeline: str, run_id: str, requested_at: datetime, *, plan: Mapping[str, Any] | None = None
    ) -> KnownRun:
        """The run, as its records name it; a run whose id an earlier one had takes it over from that.

        :param pipeline: its pipeline.
        :param run_id: its id in Airflow.
        :param requested_at: when it was requested, aware: Airflow's ``run_after``.
        :param plan: the plan that the caller works by; kept if it is the first, or if nothing was done under the one
            before.
        :raises LedgerUnavailable: another run took the id in this very moment.
        """
        with self._store.reading() as session:
            row = _row(session, pipeline, run_id, requested_at)
            if row is not None and (plan is None or row.plan == plan):
                return _record(row)
        with self._store.writing() as session:
            row = _row(session, pipeline, run_id, requested_at)
            if row is None:
                row = self._take_over(session, pipeline, run_id, requested_at)
            if plan is not None and (row.plan is None or not _has_begun(session, row)):
                row.plan = dict(plan)
            return _record(self._store.written(session, row))

    def tell_apart(self, pipeline: str, run_id: str, requested_at: datetime) -> None:
        """Make sure that what is recorded under a run's id is not of an earlier run that had it.

        Nothing is written for a run that the ledger has no records of.

        :param pipeline: its pipeline.
        :param run_id: its id in Airflow.
        :param requested_at: when it was requested, aware: Airflow's ``run_after``.
        """
        with self._store.reading() as session:
            if _row(session, pipeline, run_id, requested_at) is not None or not _has_records(session, pipeline, run_id):
                return
        self.begin(pipeline, run_id, requested_at)

    def plan_of(self, pipeline: str, run_id: str) -> Mapping[str, Any] | None:
        """What a run does; None for a DAG written by hand.

        :param pipeline: its pipeline.
        :param run_id: as its records carry it.
        """
        with self._store.reading() as session:
            row = session.scalars(
                select(RunRow).where(RunRow.pipeline == pipeline, RunRow.run_id == run_id)
            ).one_or_none()
            return row.plan if row is not None else None

    def was_requested(self, pipeline: str, run_id: str, requested_at: datetime) -> bool:
        """Whether a run with this id was requested at exactly this time.

        :param pipeline: its pipeline.
        :param run_id: its id in Airflow.
        :param requested_at: aware.
        """
        with self._store.reading() as session:
            return _row(session, pipeline, run_id, requested_at) is not None

    def _take_over(self, session: Session, pipeline: str, run_id: str, requested_at: datetime) -> RunRow:
        """Record the run; what is there under its id already belongs to an earlier one, unless it is younger."""
        before = session.scalars(
            select(RunRow).where(RunRow.pipeline == pipeline, RunRow.run_id == run_id).with_for_update()
        ).one_or_none()
        if before is not None and (before.airflow_run_id, before.requested_at) == (run_id, requested_at):
            # Another task of this run has recorded it since this one looked.
            return before
        if before is not None:
            before.run_id = _other_name(session, pipeline, run_id)
            self._rename(session, pipeline, run_id, before.run_id)
            session.flush()
        elif _is_older(session, pipeline, run_id, requested_at):
            # Recorded by a package that did not tell runs apart yet.
            self._rename(session, pipeline, run_id, _other_name(session, pipeline, run_id))
        self._store.insert_once(
            session,
            RunRow,
            pipeline=pipeline,
            run_id=run_id,
            airflow_run_id=run_id,
            requested_at=requested_at,
            known_at=self._store.now(session),
        )
        row = _row(session, pipeline, run_id, requested_at)
        if row is None:
            raise LedgerUnavailable(
                f"another run took the id {run_id} in this moment.",
                pipeline=pipeline,
                state="nothing was written.",
                next_step="Try again.",
            )
        return row

    def _rename(self, session: Session, pipeline: str, run_id: str, name: str) -> None:
        """Give everything that is recorded under a run's id another one; what the run has asked waits for nobody."""
        for model in _KEYED:
            session.execute(
                update(model).where(model.pipeline == pipeline, model.run_id == run_id).values({"run_id": name})
            )
        session.execute(
            update(DeploymentRow)
            .where(DeploymentRow.ended_by_pipeline == pipeline, DeploymentRow.ended_by_run == run_id)
            .values(ended_by_run=name)
        )
        mine = (QuestionRow.pipeline == pipeline, QuestionRow.run_id == name, QuestionRow.option.is_(None))
        session.execute(update(QuestionRow).where(*mine).values(deadline=self._store.now(session)))


def _row(session: Session, pipeline: str, run_id: str, requested_at: datetime) -> RunRow | None:
    return session.scalars(
        select(RunRow).where(
            RunRow.pipeline == pipeline, RunRow.airflow_run_id == run_id, RunRow.requested_at == requested_at
        )
    ).one_or_none()


def _has_records(session: Session, pipeline: str, run_id: str) -> bool:
    return any(
        session.scalars(select(model.run_id).where(model.pipeline == pipeline, model.run_id == run_id).limit(1)).first()
        for model in (RunRow, *_KEYED)
    )


def _has_begun(session: Session, row: RunRow) -> bool:
    """Whether anything was deployed, or asked, under the run's plan: an answer is to what was shown."""
    deployed = select(DeploymentRow.seq).where(
        DeploymentRow.pipeline == row.pipeline, DeploymentRow.run_id == row.run_id
    )
    asked = select(QuestionRow.task_id).where(QuestionRow.pipeline == row.pipeline, QuestionRow.run_id == row.run_id)
    return any(session.scalars(query.limit(1)).first() is not None for query in (deployed, asked))


def _is_older(session: Session, pipeline: str, run_id: str, requested_at: datetime) -> bool:
    """Whether records without a run are of one that was requested before."""
    times = (
        select(func.min(DeploymentRow.requested_at)).where(
            DeploymentRow.pipeline == pipeline, DeploymentRow.run_id == run_id
        ),
        select(func.min(QuestionRow.asked_at)).where(QuestionRow.pipeline == pipeline, QuestionRow.run_id == run_id),
        select(func.min(LeaseRequestRow.asked_at)).where(
            LeaseRequestRow.pipeline == pipeline, LeaseRequestRow.run_id == run_id
        ),
    )
    found = [session.scalars(query).one() for query in times]
    return any(at is not None and at < requested_at for at in found)


def _other_name(session: Session, pipeline: str, run_id: str) -> str:
    number = 1
    while True:
        suffix = f" (deleted {number})"
        name = run_id[: NAME_LENGTH - len(suffix)] + suffix
        if not _has_records(session, pipeline, name):
            return name
        number += 1


def _record(row: RunRow) -> KnownRun:
    return KnownRun(
        pipeline=row.pipeline,
        run_id=row.run_id,
        airflow_run_id=row.airflow_run_id,
        requested_at=row.requested_at,
        plan=row.plan,
    )
