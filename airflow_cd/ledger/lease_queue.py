"""The queue of the runs that wait for an environment, inside a transaction that holds the lock on its lease."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, func, literal, select, tuple_, update
from sqlalchemy.orm import Session

from airflow_cd.errors import DeploymentSettled
from airflow_cd.ledger.columns import Utc
from airflow_cd.ledger.models import LeaseRequestRow, LeaseRow

WAITING = "waiting"
SERVED = "served"
LEFT = "left"
SUPERSEDED = "superseded"


def request_of(session: Session, lease: LeaseRow, pipeline: str | None, run_id: str | None) -> LeaseRequestRow | None:
    """What a run asked for here, None when it never did."""
    return session.scalars(
        select(LeaseRequestRow).where(
            LeaseRequestRow.service == lease.service,
            LeaseRequestRow.environment == lease.environment,
            LeaseRequestRow.pipeline == pipeline,
            LeaseRequestRow.run_id == run_id,
        )
    ).one_or_none()


def ask(
    session: Session,
    lease: LeaseRow,
    pipeline: str,
    run_id: str,
    now: datetime,
    *,
    requested_at: datetime | None = None,
    task_id: str = "",
    going_back: bool = False,
) -> LeaseRequestRow:
    """The run's request, made when it first asks.

    :param requested_at: when the run was requested; one that does not say so is requested when it asks.
    :param task_id: the task that asks.
    :param going_back: whether the run brings the environment back to an earlier release; it then is the next one.
    :raises DeploymentSettled: a newer run has superseded this one.
    """
    row = request_of(session, lease, pipeline, run_id)
    if row is None:
        row = LeaseRequestRow(
            service=lease.service,
            environment=lease.environment,
            pipeline=pipeline,
            run_id=run_id,
            state=WAITING,
            place=last_place(session, lease) + 1,
            asked_at=now,
            keep_until=now,
        )
        session.add(row)
    if row.requested_at is None or row.state in (SERVED, LEFT):
        row.requested_at = requested_at or now
    row.task_id = task_id or row.task_id
    row.going_back = row.going_back or going_back
    session.flush()
    if row.state == SUPERSEDED:
        raise DeploymentSettled(
            f"run {run_id} is superseded by {row.superseded_by}.",
            service=lease.service,
            pipeline=pipeline,
            environment=lease.environment,
            state="nothing was deployed here by this run.",
            next_step="Nothing to do; to deploy this release after all, start a new run.",
        )
    return row


def wait_in_line(
    session: Session, lease: LeaseRow, mine: LeaseRequestRow, *, now: datetime, keep_until: datetime, supersede: bool
) -> list[LeaseRequestRow]:
    """Take, or keep, the run's place; the whole queue as it is then, the next one first."""
    _drop_silent(session, mine, now)
    if supersede:
        _supersede(session, mine)
    if mine.state != WAITING:
        mine.state = WAITING
        mine.place = last_place(session, lease) + 1
    mine.keep_until = keep_until
    session.flush()
    return queue(session, lease.service, lease.environment, now)


def queue(session: Session, service: str, environment: str, now: datetime) -> list[LeaseRequestRow]:
    """Those that wait, the next one first: who goes back before all others, then by when the run was requested."""
    query = (
        select(LeaseRequestRow)
        .where(
            LeaseRequestRow.service == service,
            LeaseRequestRow.environment == environment,
            LeaseRequestRow.state == WAITING,
            LeaseRequestRow.keep_until > now,
        )
        .order_by(LeaseRequestRow.going_back.desc(), _REQUESTED, LeaseRequestRow.place)
    )
    return list(session.scalars(query))


def leave(session: Session, service: str, environment: str, pipeline: str, run_id: str) -> None:
    """Give up a place in the queue; does nothing when the run has none."""
    session.execute(
        update(LeaseRequestRow)
        .where(
            LeaseRequestRow.service == service,
            LeaseRequestRow.environment == environment,
            LeaseRequestRow.pipeline == pipeline,
            LeaseRequestRow.run_id == run_id,
            LeaseRequestRow.state == WAITING,
        )
        .values(state=LEFT)
    )


def last_place(session: Session, lease: LeaseRow) -> int:
    """The highest number that anybody in the queue has."""
    query = select(func.max(LeaseRequestRow.place)).where(
        LeaseRequestRow.service == lease.service,
        LeaseRequestRow.environment == lease.environment,
        LeaseRequestRow.state == WAITING,
    )
    return session.scalars(query).one() or 0


_REQUESTED: ColumnElement[datetime] = func.coalesce(LeaseRequestRow.requested_at, LeaseRequestRow.asked_at)


def _drop_silent(session: Session, mine: LeaseRequestRow, now: datetime) -> None:
    session.execute(
        update(LeaseRequestRow)
        .where(
            LeaseRequestRow.service == mine.service,
            LeaseRequestRow.environment == mine.environment,
            LeaseRequestRow.state == WAITING,
            LeaseRequestRow.keep_until <= now,
            LeaseRequestRow.seq != mine.seq,
        )
        .values(state=LEFT)
    )


def _supersede(session: Session, mine: LeaseRequestRow) -> None:
    # Those that left may come back; older than this run they still are.
    requested = mine.requested_at or mine.asked_at
    session.execute(
        update(LeaseRequestRow)
        .where(
            LeaseRequestRow.service == mine.service,
            LeaseRequestRow.environment == mine.environment,
            LeaseRequestRow.state.in_([WAITING, LEFT]),
            LeaseRequestRow.seq != mine.seq,
            # One that goes back is no release that waits for its turn.
            LeaseRequestRow.going_back.is_(False),
            tuple_(_REQUESTED, LeaseRequestRow.seq) < tuple_(literal(requested, Utc), literal(mine.seq)),
        )
        .values(state=SUPERSEDED, superseded_by=f"run {mine.run_id} of {mine.pipeline}")
    )
