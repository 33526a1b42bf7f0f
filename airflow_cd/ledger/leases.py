"""Who owns an environment: leases with fencing tokens, given in the order in which runs were requested."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_cd.errors import LeaseHeld, LeaseLost, LedgerRefused
from airflow_cd.ledger.lease_queue import LEFT, SERVED, ask, leave, queue, request_of, wait_in_line
from airflow_cd.ledger.models import DeploymentRow, LeaseRequestRow, LeaseRow
from airflow_cd.ledger.records import InTheWay, Lease, Waiting
from airflow_cd.ledger.store import Part, lease_lost
from airflow_cd.states import DeploymentState


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
        requested_at: datetime | None = None,
        task_id: str = "",
        take_expired: bool = True,
        let_pass: bool = False,
        asked_ago: timedelta | None = None,
    ) -> Lease:
        """Own the environment, or join its queue; runs get their turn in the order in which they were requested.

        The same run gets the same token, renewed. A queued run keeps its place as long as it asks again within
        ``ttl``; after that it is presumed dead, and whoever asks next takes its place away.

        :param service: what is deployed.
        :param environment: where.
        :param pipeline: the pipeline of the asking run.
        :param run_id: the asking run.
        :param ttl: how long the lease, or the place in the queue, holds unless it is renewed; above zero.
        :param supersede: remove every older run from the queue, for good; never the owner, nor one that goes back.
        :param requested_at: when the run was requested, aware; by default when it first asked.
        :param task_id: the task that asks, by which others find out whether it still lives.
        :param take_expired: False leaves a lease that has expired to its owner, which may be slow and not dead.
        :param let_pass: stay in the queue this time: a run that was requested earlier is about to ask.
        :param asked_ago: of a run that brings the environment back to an earlier release, how long ago it was asked
            for; None for any other. It is the next one, and takes the environment at once from an owner whose
            deployment had begun by then, is over, or has not begun at all; never from one that goes back as well.
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
            back = asked_ago is not None
            request = ask(
                session, lease, pipeline, run_id, now, requested_at=requested_at, task_id=task_id, going_back=back
            )
            line = wait_in_line(session, lease, request, now=now, keep_until=now + ttl, supersede=supersede)
            free = lease.run_id is None or (take_expired and lease.expires_at is not None and lease.expires_at <= now)
            first = line[0].seq == request.seq
            if first and not let_pass and (free or self._gives_way(session, lease, asked_ago, now)):
                return self._grant(session, lease, request, now, ttl)
            position = [waiting.seq for waiting in line].index(request.seq) + 1
            held = _held(lease, line[0], position, free=free)
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
            request = request_of(session, row, pipeline, run_id) or ask(session, row, pipeline, run_id, now)
            return self._grant(session, row, request, now, ttl)

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
            leave(session, service, environment, pipeline, run_id)

    def current(self, service: str, environment: str) -> Lease | None:
        """The lease in force, expired or not; None when nobody owns the environment."""
        with self._store.reading() as session:
            row = session.get(LeaseRow, (service, environment))
            return None if row is None or row.run_id is None else _record(row)

    def waiting(self, service: str, environment: str) -> list[Waiting]:
        """The queue of runs that wait for the environment, the next one first."""
        with self._store.reading() as session:
            line = queue(session, service, environment, self._store.now(session))
            return [
                Waiting(service, environment, row.pipeline, row.run_id, position, row.asked_at)
                for position, row in enumerate(line, 1)
            ]

    def in_the_way(self, service: str, environment: str, *, pipeline: str, run_id: str) -> list[InTheWay]:
        """Whom a run waits for: the owner, and the first in the queue, without the run itself.

        :param service: what is deployed.
        :param environment: where.
        :param pipeline: the pipeline of the run that waits.
        :param run_id: the run that waits.
        """
        with self._store.reading() as session:
            now = self._store.now(session)
            found = []
            row = session.get(LeaseRow, (service, environment))
            if row is not None and row.pipeline is not None and row.run_id is not None:
                request = request_of(session, row, row.pipeline, row.run_id)
                expired = row.expires_at is not None and row.expires_at <= now
                back = request is not None and request.going_back
                found.append(InTheWay(service, environment, row.pipeline, row.run_id, None, row.token, expired, back))
            for first in queue(session, service, environment, now)[:1]:
                place = InTheWay(
                    service, environment, first.pipeline, first.run_id, first.task_id, None, False, first.going_back
                )
                found.append(place)
            return [one for one in found if (one.pipeline, one.run_id) != (pipeline, run_id)]

    def dismiss(self, dead: InTheWay) -> None:
        """Take the environment, or its place in the queue, from a run that has ended without giving it up.

        :param dead: as :meth:`in_the_way` said it; what has changed since stays as it is.
        """
        with self._store.writing() as session:
            row = self._store.lock(session, dead.service, dead.environment)
            if dead.token is None:
                leave(session, dead.service, dead.environment, dead.pipeline, dead.run_id)
            elif row.token == dead.token and (row.pipeline, row.run_id) == (dead.pipeline, dead.run_id):
                row.pipeline = row.run_id = row.acquired_at = row.expires_at = None

    def _gives_way(self, session: Session, lease: LeaseRow, asked_ago: timedelta | None, now: datetime) -> bool:
        """Whether the owner has to give the environment to a run that goes back; see :meth:`acquire`."""
        if asked_ago is None:
            return False
        owner = request_of(session, lease, lease.pipeline, lease.run_id)
        if owner is not None and owner.going_back:
            return False
        found = session.execute(
            select(DeploymentRow.state, DeploymentRow.opened_at).where(
                DeploymentRow.service == lease.service,
                DeploymentRow.environment == lease.environment,
                DeploymentRow.pipeline == lease.pipeline,
                DeploymentRow.run_id == lease.run_id,
            )
        ).one_or_none()
        return found is None or DeploymentState(found.state).final or found.opened_at <= now - asked_ago

    def _grant(
        self, session: Session, lease: LeaseRow, request: LeaseRequestRow, now: datetime, ttl: timedelta
    ) -> Lease:
        before = request_of(session, lease, lease.pipeline, lease.run_id)
        if before is not None:
            before.state = LEFT
        request.state = SERVED
        # Never behind the clock: targets have seen tokens that a new ledger, or one from a backup, knows nothing of.
        lease.token = max(lease.token, int(now.timestamp())) + 1
        lease.pipeline, lease.run_id = request.pipeline, request.run_id
        lease.acquired_at, lease.expires_at = now, now + ttl
        return _record(lease)


def _held(lease: LeaseRow, first: LeaseRequestRow, position: int, *, free: bool) -> LeaseHeld:
    if free and position == 1:
        what = f"a run that was requested earlier is about to ask for {lease.service}"
    elif free:
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
