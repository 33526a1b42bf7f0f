"""The audit log: who did what by hand, when and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from airflow_cd.ledger.models import HumanActionRow
from airflow_cd.ledger.records import AuditRecord
from airflow_cd.ledger.store import Room


class Audit(Room):
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
        """Record what a person did, or tried to do without being allowed to."""
        with self._store.writing() as session:
            row = HumanActionRow(
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
            session.add(row)
            return _human_action(self._store.written(session, row))

    def actions(self, pipeline: str | None = None, run_id: str | None = None, limit: int = 200) -> list[AuditRecord]:
        """What people did, newest first."""
        wanted = {"pipeline": pipeline, "run_id": run_id}
        query = select(HumanActionRow).filter_by(**{name: value for name, value in wanted.items() if value is not None})
        with self._store.reading() as session:
            rows = session.scalars(query.order_by(HumanActionRow.seq.desc()).limit(limit))
            return [_human_action(row) for row in rows]


def _human_action(row: HumanActionRow) -> AuditRecord:
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
