"""Deployments: opened once for each run, service and environment; looked up; the times of their clocks."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from airflow_cd.commits import Commits
from airflow_cd.errors import DeploymentSettled, LedgerRefused, ReleaseVetoed
from airflow_cd.ledger.columns import plain
from airflow_cd.ledger.good_releases import good_releases
from airflow_cd.ledger.models import DeploymentRow, LeaseRequestRow
from airflow_cd.ledger.records import Deployment, GoodRelease, Lease
from airflow_cd.ledger.store import Part
from airflow_cd.ledger.vetoes import veto_in_force
from airflow_cd.release import Release, changed_beside_version, most_common
from airflow_cd.states import DeploymentState, RollbackCause, RollbackMode

_UNSETTLED = tuple(state for state in DeploymentState if not state.final)


class Deployments(Part):
    """One deployment for each run, service and environment."""

    def open(
        self,
        lease: Lease,
        release: Release,
        *,
        previous: Mapping[str, Release | None],
        reason: str,
        triggered_by: str,
        rollback: str,
        learn: bool,
        requested_at: datetime | None = None,
        rolls_back: str | None = None,
        commits: Commits | None = None,
    ) -> Deployment:
        """Record what is about to be deployed and what to return to; the same run gets the same deployment back.

        :param lease: the run's lease on the environment.
        :param release: what is about to be deployed.
        :param previous: by instance, the release it runs before anything is touched, None where it is empty; kept as
            first given.
        :param reason: why the run was triggered.
        :param triggered_by: who triggered it.
        :param rollback: a :class:`~airflow_cd.states.RollbackMode`: who decides on a rollback after a failed
            verification.
        :param learn: whether its profiles are meant to join the baseline.
        :param requested_at: when the run was requested (Airflow's ``run_after``); by default when it first asked for
            the lease. A release requested earlier is never deployed over one requested later.
        :param rolls_back: of a rollback by hand the id of the deployment that it takes back, or
            :data:`~airflow_cd.release.NOTHING`; None for any other deployment.
        :param commits: what the release brings; :meth:`record_commits` may add it later.
        :raises LeaseLost: another run owns the environment.
        :raises ReleaseVetoed: the release was rolled back here, and nobody has lifted the veto.
        :raises DeploymentSettled: this run's deployment is over or was for another release, or a newer run has
            deployed here since.
        :raises LedgerRefused: ``rollback`` is no rollback mode, or a release cannot be stored.
        """
        if rollback not in list(RollbackMode):
            raise LedgerRefused(
                f"{rollback!r} is not a rollback mode.",
                service=lease.service,
                pipeline=lease.pipeline,
                environment=lease.environment,
                state="nothing was changed.",
                next_step=f"Use one of {', '.join(RollbackMode)}.",
            )
        with self._store.writing() as session:
            self._store.owned(session, lease)
            row = self._of_run(session, lease)
            requested = requested_at or self._first_asked(session, lease)
            if row is not None:
                _refuse_unless_running(row)
                if row.digest != release.digest:
                    raise DeploymentSettled(
                        f"this run deploys {Release.from_dict(row.release)} here and cannot switch to {release}.",
                        release=str(release),
                        service=lease.service,
                        pipeline=lease.pipeline,
                        environment=lease.environment,
                        state=f"the deployment is {row.state}.",
                        next_step="Start a new run for the other release.",
                    )
            self._refuse_backwards(session, lease, row, requested)
            veto = veto_in_force(session, lease.service, lease.environment, release.digest)
            if veto is not None:
                raise ReleaseVetoed(
                    f"{release} was rolled back here at {veto.at:%Y-%m-%d %H:%M} UTC: {veto.reason}",
                    release=str(release),
                    service=lease.service,
                    pipeline=lease.pipeline,
                    environment=lease.environment,
                    state="nothing was changed.",
                    next_step="Deploy another release, or lift the veto: "
                    f"airflow-cd veto lift {lease.service} {lease.environment} {release.digest[7:15]} --why ...",
                )
            if row is None:
                empty = all(old is None for old in previous.values())
                row = DeploymentRow(
                    id=str(uuid.uuid4()),
                    pipeline=lease.pipeline,
                    run_id=lease.run_id,
                    service=lease.service,
                    environment=lease.environment,
                    version=release.version,
                    digest=release.digest,
                    release=_stored(release),
                    previous={name: _stored(old) if old else None for name, old in previous.items()},
                    state=DeploymentState.RUNNING,
                    reason=reason,
                    triggered_by=triggered_by,
                    rollback=rollback,
                    learn=learn,
                    requested_at=requested,
                    opened_at=self._store.now(session),
                    outcome="",
                    rolls_back=rolls_back,
                    # A person's decision is this verdict: its clocks count from when they asked.
                    verdict_at=requested if rolls_back is not None else None,
                    commits=commits.as_dict() if commits is not None else None,
                    first=empty and rolls_back is None and not _has_promoted(session, lease),
                    changed=changed_beside_version(most_common(previous.values()), release),
                )
                session.add(row)
            elif row.cause is not None:
                # Whoever deploys on has been allowed to: what was held against it no longer counts.
                row.cause, row.outcome = None, ""
            row.token = lease.token
            return deployment_record(self._store.written(session, row))

    def get(self, deployment_id: str) -> Deployment:
        """The deployment with this id.

        :raises LedgerRefused: there is none.
        """
        with self._store.reading() as session:
            return deployment_record(self._store.deployment_row(session, deployment_id))

    def of_run(self, pipeline: str, run_id: str, service: str, environment: str) -> Deployment | None:
        """The run's deployment in the environment; None if it has not opened one."""
        found = self.matching(service, environment, pipeline=pipeline, run_id=run_id, limit=1)
        return found[0] if found else None

    def matching(
        self,
        service: str | None = None,
        environment: str | None = None,
        state: str | None = None,
        pipeline: str | None = None,
        run_id: str | None = None,
        limit: int = 100,
    ) -> list[Deployment]:
        """Deployments that match everything given, newest first.

        :param service: of this service; None for all, and so are the others.
        :param environment: in this environment.
        :param state: in this :class:`~airflow_cd.states.DeploymentState`.
        :param pipeline: of this pipeline.
        :param run_id: of this run.
        :param limit: how many at most.
        :raises LedgerRefused: there is no such state.
        """
        if state is not None and state not in list(DeploymentState):
            raise LedgerRefused(
                f"{state!r} is not a state of a deployment.",
                service=service,
                pipeline=pipeline,
                environment=environment,
                next_step=f"Use one of {', '.join(DeploymentState)}.",
            )
        wanted = {
            "service": service,
            "environment": environment,
            "state": state,
            "pipeline": pipeline,
            "run_id": run_id,
        }
        query = select(DeploymentRow).filter_by(**{name: value for name, value in wanted.items() if value is not None})
        return self._records(query.order_by(DeploymentRow.seq.desc()).limit(limit))

    def unsettled(self, service: str, environment: str) -> list[Deployment]:
        """Deployments that may have left the environment between two releases, newest first; see :func:`unsettled`.

        :param service: the service.
        :param environment: the environment.
        """
        here = (DeploymentRow.service == service, DeploymentRow.environment == environment)
        return self._records(unsettled().where(*here).order_by(DeploymentRow.seq.desc()))

    def last_promoted(self, service: str, environment: str) -> Deployment | None:
        """The deployment that was promoted last, whose release the environment should run; None without one."""
        found = self.matching(service, environment, DeploymentState.PROMOTED, limit=1)
        return found[0] if found else None

    def at(self, service: str, environment: str, moment: datetime) -> Deployment | None:
        """What ran in an environment, or was under way there, at a time; None when nothing did.

        What had been rolled back by then did not. Its state is the present one.

        :param service: what is deployed.
        :param environment: where.
        :param moment: the time, aware, by the ledger's clock.
        """
        gone = and_(DeploymentRow.state == DeploymentState.ROLLED_BACK, DeploymentRow.settled_at <= moment)
        found = self._records(
            select(DeploymentRow)
            .where(
                DeploymentRow.service == service,
                DeploymentRow.environment == environment,
                DeploymentRow.opened_at <= moment,
                ~gone,
            )
            .order_by(DeploymentRow.seq.desc())
            .limit(1)
        )
        return found[0] if found else None

    def ended_by(self, pipeline: str, run_id: str, service: str, environment: str) -> Deployment | None:
        """The deployment of another run that this run has rolled back, or has begun to; None without one.

        :param pipeline: of the run that rolls back.
        :param run_id: the run that rolls back.
        :param service: what is deployed.
        :param environment: where.
        """
        query = select(DeploymentRow).where(
            DeploymentRow.service == service,
            DeploymentRow.environment == environment,
            DeploymentRow.ended_by_pipeline == pipeline,
            DeploymentRow.ended_by_run == run_id,
        )
        found = self._records(query.order_by(DeploymentRow.seq.desc()).limit(1))
        return found[0] if found else None

    def good_releases(self, service: str, environment: str, limit: int = 10) -> list[GoodRelease]:
        """The releases the environment can go back to: every one promoted there, the last one promoted first.

        The first is the one that should run now. What was promoted and rolled back later is not among them. The last
        is what ran before the first deployment, where every instance ran the same.

        :param service: what is deployed.
        :param environment: where.
        :param limit: how many releases at most.
        """
        with self._store.reading() as session:
            return good_releases(session, service, environment, limit)

    def set_clock(
        self,
        deployment_id: str,
        *,
        first_bad_at: datetime | None = None,
        verdict_at: datetime | None = None,
        safe_at: datetime | None = None,
        restored_at: datetime | None = None,
    ) -> None:
        """Record when something happened; a time that is recorded already stays.

        :param deployment_id: the deployment.
        :param first_bad_at: when the first bad event happened.
        :param verdict_at: when the verdict was reached.
        :param safe_at: when the last request had reached the canary.
        :param restored_at: when the release before ran again, checked.
        :raises LedgerRefused: there is no such deployment, or a time has no time zone.
        """
        given = {
            "first_bad_at": first_bad_at,
            "verdict_at": verdict_at,
            "safe_at": safe_at,
            "restored_at": restored_at,
        }
        with self._store.writing() as session:
            self._store.deployment_row(session, deployment_id)
            for name, value in given.items():
                if value is not None:
                    column = getattr(DeploymentRow, name)
                    session.execute(
                        update(DeploymentRow)
                        .where(DeploymentRow.id == deployment_id, column.is_(None))
                        .values({name: value})
                    )

    def record_commits(self, deployment_id: str, commits: Commits) -> None:
        """Record which commits a deployment brings; it changes nothing else, so it needs no lease.

        :raises LedgerRefused: there is no such deployment.
        """
        with self._store.writing() as session:
            row = self._store.deployment_row(session, deployment_id)
            session.execute(update(DeploymentRow).where(DeploymentRow.id == row.id).values(commits=commits.as_dict()))

    def _records(self, query: Select[Any]) -> list[Deployment]:
        with self._store.reading() as session:
            return [deployment_record(row) for row in session.scalars(query)]

    def _of_run(self, session: Session, lease: Lease) -> DeploymentRow | None:
        return session.scalars(
            select(DeploymentRow).where(
                DeploymentRow.pipeline == lease.pipeline,
                DeploymentRow.run_id == lease.run_id,
                DeploymentRow.service == lease.service,
                DeploymentRow.environment == lease.environment,
            )
        ).one_or_none()

    def _first_asked(self, session: Session, lease: Lease) -> datetime:
        asked = session.scalars(
            select(func.min(LeaseRequestRow.asked_at)).where(
                LeaseRequestRow.service == lease.service,
                LeaseRequestRow.environment == lease.environment,
                LeaseRequestRow.pipeline == lease.pipeline,
                LeaseRequestRow.run_id == lease.run_id,
            )
        ).one()
        return asked or lease.acquired_at

    def _refuse_backwards(
        self, session: Session, lease: Lease, mine: DeploymentRow | None, requested: datetime
    ) -> None:
        if mine is not None:
            newer = DeploymentRow.seq > mine.seq
        else:
            # What was requested later and rolled back no longer blocks: the release before it is back.
            newer = and_(DeploymentRow.requested_at > requested, DeploymentRow.state != DeploymentState.ROLLED_BACK)
        row = session.scalars(
            select(DeploymentRow)
            .where(
                DeploymentRow.service == lease.service,
                DeploymentRow.environment == lease.environment,
                or_(DeploymentRow.pipeline != lease.pipeline, DeploymentRow.run_id != lease.run_id),
                newer,
            )
            .order_by(DeploymentRow.seq.desc())
            .limit(1)
        ).one_or_none()
        if row is not None:
            raise DeploymentSettled(
                f"run {row.run_id} of {row.pipeline}, newer than run {lease.run_id}, deployed "
                f"{Release.from_dict(row.release)} here at {row.opened_at:%Y-%m-%d %H:%M:%S} UTC.",
                release=str(Release.from_dict(row.release)),
                service=lease.service,
                pipeline=lease.pipeline,
                environment=lease.environment,
                state="nothing was changed: an older run never silently replaces a newer one.",
                next_step="To deploy this release after all, start a new run.",
            )


def unsettled() -> Select[Any]:
    """Query of the deployments that may have left their environment between two releases.

    Neither promoted nor rolled back, nor followed by one that was promoted, which made the environment whole.
    """
    later = aliased(DeploymentRow)
    made_whole = (
        select(later.seq)
        .where(
            later.service == DeploymentRow.service,
            later.environment == DeploymentRow.environment,
            later.state == DeploymentState.PROMOTED,
            later.seq > DeploymentRow.seq,
        )
        .exists()
    )
    return select(DeploymentRow).where(DeploymentRow.state.in_(_UNSETTLED), ~made_whole)


def _stored(release: Release) -> dict[str, Any]:
    content = release.as_dict()
    if plain(content) != content:
        # Replacing them, as is done in evidence, would make it another release.
        raise LedgerRefused(
            f"{release} has characters that cannot be stored (NUL or a lone surrogate).",
            service=release.service,
            release=str(release),
            state="nothing was changed.",
            next_step="Remove them from its configuration.",
        )
    return content


def _refuse_unless_running(row: DeploymentRow) -> None:
    if row.state != DeploymentState.RUNNING:
        raise settled(row)


def settled(row: DeploymentRow) -> DeploymentSettled:
    """The error for a caller that would change a deployment which is over."""
    state = row.state.replace("_", " ") + (f" ({row.outcome})" if row.outcome else "")
    return DeploymentSettled(
        f"the deployment of {Release.from_dict(row.release)} by run {row.run_id} is {state}.",
        release=str(Release.from_dict(row.release)),
        service=row.service,
        pipeline=row.pipeline,
        environment=row.environment,
        state="nothing was changed by this call.",
        next_step="Start a new run to deploy again.",
    )


def deployment_record(row: DeploymentRow) -> Deployment:
    """The row as a value.

    :raises ReleaseError: a stored release was tampered with.
    """
    return Deployment(
        id=row.id,
        pipeline=row.pipeline,
        run_id=row.run_id,
        service=row.service,
        environment=row.environment,
        release=Release.from_dict(row.release),
        previous={name: Release.from_dict(old) if old else None for name, old in row.previous.items()},
        state=DeploymentState(row.state),
        reason=row.reason,
        triggered_by=row.triggered_by,
        rollback=RollbackMode(row.rollback),
        learn=row.learn,
        token=row.token,
        requested_at=row.requested_at,
        opened_at=row.opened_at,
        settled_at=row.settled_at,
        first_bad_at=row.first_bad_at,
        verdict_at=row.verdict_at,
        safe_at=row.safe_at,
        restored_at=row.restored_at,
        outcome=row.outcome,
        rolls_back=row.rolls_back,
        cause=RollbackCause(row.cause) if row.cause is not None else None,
        first=row.first,
        commits=Commits.from_dict(row.commits) if row.commits is not None else None,
        ended_by=(row.ended_by_pipeline, row.ended_by_run) if row.ended_by_pipeline and row.ended_by_run else None,
    )


def _has_promoted(session: Session, lease: Lease) -> bool:
    query = select(DeploymentRow.seq).where(
        DeploymentRow.service == lease.service,
        DeploymentRow.environment == lease.environment,
        DeploymentRow.state == DeploymentState.PROMOTED,
    )
    return session.scalars(query.limit(1)).first() is not None
