"""The audit log as a chain: every row holds the hash of the row before, so that none can be changed or taken out.

What nothing inside a database can show is that its end is missing: keep the hash of the newest row elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, or_, select, text
from sqlalchemy.orm import Session

from airflow_cd.ledger.models import AuditRow, RunRow

_ADVISORY_LOCK = 0x61756474
FIELDS = (
    "at",
    "who",
    "action",
    "why",
    "pipeline",
    "run_id",
    "task_id",
    "service",
    "environment",
    "allowed",
    "detail",
    "requested_at",
)
"""What is hashed of a row, beside the hash of the one before."""


MARKS = "marks"
"""In the detail of a mark: by task that asks people, what it means there, and to which life of the task."""
OUTCOME_OF = "outcome_of"
"""In the detail of a record: the number of the record of an intent that was not carried out."""


def lock(session: Session) -> None:
    """Be the only transaction that writes to the log, until it ends.

    Taken after the lock on an environment and before one on a question, so that no two wait for each other.

    :param session: of a writing transaction.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def append(session: Session, **values: Any) -> AuditRow:
    """Add a row to the audit log, at its end.

    :param session: of a writing transaction.
    :param values: columns of the row, except those of the chain.
    """
    lock(session)
    last = session.scalars(select(AuditRow.digest).order_by(AuditRow.seq.desc()).limit(1)).first()
    row = AuditRow(**values, requested_at=_requested_at(session, values), previous=last or "", digest="")
    session.add(row)
    # As the database keeps it: what is too long is cut on the way.
    session.flush()
    session.refresh(row)
    row.digest = digest_of(row)
    return row


def of_run(session: Session, query: Select[Any], pipeline: str, run_id: str) -> Select[Any]:
    """The records of a run, without what was done to an earlier run that had the same id.

    :param session: of a transaction.
    :param query: of rows with the pipeline and the run's id.
    :param pipeline: the pipeline.
    :param run_id: the run, as its records name it.
    """
    run = session.scalars(select(RunRow).where(RunRow.pipeline == pipeline, RunRow.run_id == run_id)).one_or_none()
    if run is None:
        return query
    # What was done before the run had any records is told apart by its time.
    unmarked = and_(AuditRow.requested_at.is_(None), AuditRow.at >= run.requested_at)
    return query.where(or_(AuditRow.requested_at == run.requested_at, unmarked))


def digest_of(row: Any) -> str:
    """The hash that the row must have.

    :param row: anything with the columns of the audit log.
    """
    content = [_plain(getattr(row, name)) for name in FIELDS]
    canonical = json.dumps([row.previous, *content], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value


def _requested_at(session: Session, values: dict[str, Any]) -> datetime | None:
    """When the run was requested: its id alone may have been another run's."""
    pipeline, run_id = values.get("pipeline"), values.get("run_id")
    if not pipeline or not run_id:
        return None
    query = select(RunRow.requested_at).where(RunRow.pipeline == str(pipeline), RunRow.run_id == str(run_id))
    return session.scalars(query).one_or_none() if _nameable(pipeline) and _nameable(run_id) else None


def _nameable(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= 250
