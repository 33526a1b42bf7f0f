"""The audit log: who did what by hand, when and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session

from airflow_cd.ledger import chain
from airflow_cd.ledger.models import AuditRow, RunRow
from airflow_cd.ledger.records import AuditRecord
from airflow_cd.ledger.store import Part


class Audit(Part):
    """Manual actions, those that were refused too. Nothing in it is ever changed or deleted."""

    def record(
        self,
        *,
        who: str,
        action: str,
        why: str,
        pipeline: str | None,
        run_id: str | None,
        task_id: str | None,
        service: str | None = None,
        environment: str | None = None,
        allowed: bool = True,
        detail: Mapping[str, Any] | None = None,
    ) -> AuditRecord:
        """Record what a person did, or tried to do without being allowed to.

        :param who: the person.
        :param action: a :class:`~airflow_cd.states.HumanAction`, with what was chosen after it where it matters.
        :param why: the reason they gave; may be empty.
        :param pipeline: the pipeline it was done to, if any; so are the others.
        :param run_id: its run.
        :param task_id: its task.
        :param service: the service.
        :param environment: the environment.
        :param allowed: False for an attempt that was refused.
        :param detail: anything else worth keeping; JSON values.
        """
        with self._store.writing() as session:
            row = chain.append(
                session,
                at=self._store.now(session),
                who=who,
                action=action,
                why=why,
                pipeline=pipeline,
                run_id=run_id,
                task_id=task_id,
                service=service,
                environment=environment,
                allowed=allowed,
                detail=dict(detail or {}),
            )
            return _record(self._store.written(session, row))

    def actions(self, pipeline: str | None = None, run_id: str | None = None, limit: int = 200) -> list[AuditRecord]:
        """Manual actions, newest first.

        :param pipeline: only of this pipeline.
        :param run_id: only of this run.
        :param limit: how many at most.
        """
        wanted = {"pipeline": pipeline, "run_id": run_id}
        query = select(AuditRow).filter_by(**{name: value for name, value in wanted.items() if value is not None})
        with self._store.reading() as session:
            if pipeline is not None and run_id is not None:
                query = _of_run(session, query, pipeline, run_id)
            rows = session.scalars(query.order_by(AuditRow.seq.desc()).limit(limit))
            return [_record(row) for row in rows]


def _of_run(session: Session, query: Select[Any], pipeline: str, run_id: str) -> Select[Any]:
    """Without what was done to an earlier run that had the same id."""
    run = session.scalars(select(RunRow).where(RunRow.pipeline == pipeline, RunRow.run_id == run_id)).one_or_none()
    if run is None:
        return query
    # What was done before the run had any records is told apart by its time.
    unmarked = and_(AuditRow.requested_at.is_(None), AuditRow.at >= run.requested_at)
    return query.where(or_(AuditRow.requested_at == run.requested_at, unmarked))


def _record(row: AuditRow) -> AuditRecord:
    return AuditRecord(
        id=row.seq,
        at=row.at,
        who=row.who,
        action=row.action,
        why=row.why,
        pipeline=row.pipeline,
        run_id=row.run_id,
        task_id=row.task_id,
        service=row.service,
        environment=row.environment,
        allowed=row.allowed,
        detail=row.detail,
    )
