"""Who owns an environment: leases with fencing tokens, and the queue of the runs that wait for it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from airflow_cd.errors import DeploymentSettled, LeaseHeld, LeaseLost, LedgerRefused
from airflow_cd.ledger.models import LeaseRequestRow, LeaseRow
from airflow_cd.ledger.records import Lease, Waiting
from airflow_cd.ledger.store import Part, lease_lost

WAITING = "waiting"
SERVED = "served"
LEFT = "left"
SUPERSEDED = "superseded"


class Leases(Part):
    """One owner for each environment of each service.

    Tokens only grow. An expired lease still holds until another run takes the environment, so a slow run loses
    nothing unless another one waits.
    """

    def acquire(
        self,
        service: str,
        environment: str,
        *,
        pipeline: str,
        run_id: str,
        ttl: timedelta,
        supersede: bool = False,
    ) -> Lease:
        """Own the environment, or join its queue; runs get their turn in the order in which they first asked.

        The same run gets the same token, renewed. A queued run keeps its place as long as it asks again within
        ``ttl``; after that it is presumed dead.

        :param service: what is deployed.
        :param environment: where.
        :param pipeline: the pipeline of the asking run.
        :param run_id: the asking run.
        :param ttl: how long the lease, or the place in the queue, holds unless it is renewed; above zero.
        :param supersede: remove every older run from the queue, for good; never the owner.
        :raises LeaseHeld: another run owns the environment or is ahead in the queue.
        :raises DeploymentSettled: a newer run has superseded this one.
        :raises LedgerRefused: ``ttl`` is not above zero, or a name cannot be stored.
        """
        _require_positive(ttl, service, environment)
        with self._store.writing() as session:
            lease = self._store.lock(session, service, environment)
            now = self._store.now(session)
            if (lease.pipeline, lease.run_id) == (pipeline, run_id):
                lease.expires_at = now + ttl
                return _record(lease)
            request = self._request(session, lease, pipeline, run_id, now)
            if request.state == SUPERSEDED:
                raise DeploymentSettled(
                    f"run {run_id} is superseded by {request.superseded_by}.",
                    service=service,
                    pipeline=pipeline,
                    environment=environment,
                    state="nothing was deployed here by this run.",
                    next_step="Nothing to do; to deploy this release after all, start a new run.",
                )
            self._drop_dead(session, request, now)
            if supersede:
                self._supersede(session, request)
            if request.state != WAITING:
                request.state = WAITING
                request.place = self._last_place(session, lease) + 1
            request.keep_until = now + ttl
            session.flush()
            queue = self._queue(session, service, environment, now)
            free = lease.expires_at is None or lease.expires_at <= now
            if free and queue[0].seq == request.seq:
                return self._grant(lease, request, now, ttl)
            position = [waiting.seq for waiting in queue].index(request.seq) + 1
            held = _held(lease, queue[0], position, free=free)
        # Raised outside, so that the place in the queue is kept.
        raise held.at(pipeline=pipeline)

    def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        """Own the environment for ``ttl`` from now.

        :param lease: the lease as it was granted.
        :param ttl: how long; above zero.
        :raises LeaseLost: another token is current.
        :raises LedgerRefused: ``ttl`` is not above zero.
        """
        _require_positive(ttl, lease.service, lease.environment)
        with self._store.writing() as session:
            row = self._store.owned(session, lease)
            row.expires_at = self._store.now(session) + ttl
            return _record(row)

    def check(self, lease: Lease) -> None:
        """Make sure that the lease's token is current.

        :raises LeaseLost: it is not.
        """
        with self._store.reading() as session:
            row = session.get(LeaseRow, (lease.service, lease.environment))
            if row is None or row.run_id is None or row.token != lease.token:
                raise lease_lost(row or _unknown(lease), lease.token)

    def overrule(self, service: str, environment: str, *, pipeline: str, run_id: str, ttl: timedelta) -> Lease:
        """Grant the same run a new, higher token, which voids everything still done under its older one.

        An environment that nobody owns is granted, too.

        :param service: what is deployed.
        :param environment: where.
        :param pipeline: the pipeline of the run.
        :param run_id: the run.
        :param ttl: how long the new lease holds unless it is renewed; above zero.
        :raises LeaseLost: another run owns the environment.
        :raises LedgerRefused: ``ttl`` is not above zero.
        """
        _require_positive(ttl, service, environment)
        with self._store.writing() as session:
            row = self._store.lock(session, service, environment)
            if row.run_id is not None and (row.pipeline, row.run_id) != (pipeline, run_id):
                raise LeaseLost(
                    f"{service} belongs to run {row.run_id} of {row.pipeline} now, not to run {run_id}.",
                    owner=f"run {row.run_id} of {row.pipeline}",
                    service=service,
                    pipeline=pipeline,
                    environment=environment,
                    state="nothing was written.",
                    next_step="Stop: the other run restores what this one left.",
                )
            now = self._store.now(session)
            return self._grant(row, self._request(session, row, pipeline, run_id, now), now, ttl)

    def release(self, lease: Lease) -> None:
        """Give the environment up for the next run; does nothing unless the lease's token is current."""
        with self._store.writing() as session:
            row = self._store.lock(session, lease.service, lease.environment)
            if row.token == lease.token and (row.pipeline, row.run_id) == (lease.pipeline, lease.run_id):
                row.pipeline = row.run_id = row.acquired_at = row.expires_at = None

    def leave_queue(self, service: str, environment: str, *, pipeline: str, run_id: str) -> None:
        """Leave the queue; does nothing when the run is not in it."""
        with self._store.writing() as session:
            self._store.lock(session, service, environment)
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

    def current(self, service: str, environment: str) -> Lease | None:
        """The lease in force, expired or not; None when nobody owns the environment."""
        with self._store.reading() as session:
            row = session.get(LeaseRow, (service, environment))
            return None if row is None or row.run_id is None else _record(row)

    def waiting(self, service: str, environment: str) -> list[Waiting]:
        """The queue of runs that wait for the environment, the next one first."""
        with self._store.reading() as session:
            queue = self._queue(session, service, environment, self._store.now(session))
            return [
                Waiting(service, environment, row.pipeline, row.run_id, position, row.asked_at)
                for position, row in enumerate(queue, 1)
            ]

    def _request(self, session: Session, lease: LeaseRow, pipeline: str, run_id: str, now: datetime) -> LeaseRequestRow:
        row = session.scalars(
            select(LeaseRequestRow).where(
                LeaseRequestRow.service == lease.service,
                LeaseRequestRow.environment == lease.environment,
                LeaseRequestRow.pipeline == pipeline,
                LeaseRequestRow.run_id == run_id,
            )
        ).one_or_none()
        if row is None:
            row = LeaseRequestRow(
                service=lease.service,
                environment=lease.environment,
                pipeline=pipeline,
                run_id=run_id,
                state=WAITING,
                place=self._last_place(session, lease) + 1,
                asked_at=now,
                keep_until=now,
            )
            session.add(row)
            session.flush()
        return row

    def _last_place(self, session: Session, lease: LeaseRow) -> int:
        query = select(func.max(LeaseRequestRow.place)).where(
            LeaseRequestRow.service == lease.service,
            LeaseRequestRow.environment == lease.environment,
            LeaseRequestRow.state == WAITING,
        )
        return session.scalars(query).one() or 0

    def _drop_dead(self, session: Session, mine: LeaseRequestRow, now: datetime) -> None:
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

    def _supersede(self, session: Session, mine: LeaseRequestRow) -> None:
        # Those that left may come back; older than this run they still are.
        session.execute(
            update(LeaseRequestRow)
            .where(
                LeaseRequestRow.service == mine.service,
                LeaseRequestRow.environment == mine.environment,
                LeaseRequestRow.state.in_([WAITING, LEFT]),
                LeaseRequestRow.seq < mine.seq,
            )
            .values(state=SUPERSEDED, superseded_by=f"run {mine.run_id} of {mine.pipeline}")
        )

    def _queue(self, session: Session, service: str, environment: str, now: datetime) -> list[LeaseRequestRow]:
        query = (
            select(LeaseRequestRow)
            .where(
                LeaseRequestRow.service == service,
                LeaseRequestRow.environment == environment,
                LeaseRequestRow.state == WAITING,
                LeaseRequestRow.keep_until > now,
            )
            .order_by(LeaseRequestRow.place)
        )
        return list(session.scalars(query))

    def _grant(self, lease: LeaseRow, request: LeaseRequestRow, now: datetime, ttl: timedelta) -> Lease:
        request.state = SERVED
        lease.token += 1
        lease.pipeline, lease.run_id = request.pipeline, request.run_id
        lease.acquired_at, lease.expires_at = now, now + ttl
        return _record(lease)


def _held(lease: LeaseRow, first: LeaseRequestRow, position: int, *, free: bool) -> LeaseHeld:
    if free:
        what = f"run {first.run_id} of {first.pipeline} is ahead of this run in the queue for {lease.service}"
    else:
        what = (
            f"{lease.service} has belonged to run {lease.run_id} of {lease.pipeline} since "
            f"{lease.acquired_at:%Y-%m-%d %H:%M:%S} UTC"
        )
    return LeaseHeld(
        f"{what}; this run is number {position} in the queue.",
        owner=f"run {first.run_id} of {first.pipeline}" if free else f"run {lease.run_id} of {lease.pipeline}",
        position=position,
        service=lease.service,
        environment=lease.environment,
        state="nothing was changed by this run.",
        next_step="Ask again; the run gets its turn when those before it are done.",
    )


def _record(row: LeaseRow) -> Lease:
    if row.pipeline is None or row.run_id is None or row.acquired_at is None or row.expires_at is None:
        raise LedgerRefused(
            f"the lease on {row.service} is incomplete.",
            service=row.service,
            environment=row.environment,
            state=f"token {row.token}, run {row.run_id}.",
            next_step="The record was changed outside Airflow CD; clear or complete its columns.",
        )
    return Lease(row.service, row.environment, row.pipeline, row.run_id, row.token, row.acquired_at, row.expires_at)


def _unknown(lease: Lease) -> LeaseRow:
    return LeaseRow(service=lease.service, environment=lease.environment, token=0)


def _require_positive(ttl: timedelta, service: str, environment: str) -> None:
    if ttl <= timedelta(0):
        raise LedgerRefused(
            f"a lease of {ttl} would never hold.",
            service=service,
            environment=environment,
            next_step="Give a ttl greater than zero.",
        )
