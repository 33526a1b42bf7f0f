"""Phases, and how a deployment ends: promoted, or rolled back and vetoed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_cd.errors import LedgerError
from airflow_cd.ledger.deployments import Deployments, deployment_record, settled
from airflow_cd.ledger.models import DeploymentRow, PhaseRow, VetoRow
from airflow_cd.ledger.records import (
    PROMOTED,
    ROLLBACK_FAILED,
    ROLLED_BACK,
    ROLLING_BACK,
    RUNNING,
    Deployment,
    Phase,
)
from airflow_cd.ledger.vetoes import standing_veto
from airflow_cd.release import NOTHING

STARTED = "started"
DEPLOYED = "deployed"


class Settling(Deployments):
    """Forward in phases, then to one of two ends; promote and rollback exclude each other."""

    def start_phase(self, deployment_id: str, name: str, *, share: int, instances: Sequence[str], token: int) -> Phase:
        """Record, before they are touched, which instances a phase takes; as first given.

        Raises :class:`LeaseLost`, and :class:`DeploymentSettled` unless the deployment is running.
        """
        with self._writing() as session:
            self._running(session, deployment_id, token)
            row = self._phase(session, deployment_id, name)
            if row is None:
                row = PhaseRow(
                    deployment_id=deployment_id,
                    name=name,
                    share=share,
                    instances=list(instances),
                    state=STARTED,
                    started_at=self._now(session),
                )
                session.add(row)
            return phase_record(self._written(session, row))

    def phase_deployed(self, deployment_id: str, name: str, at: datetime, token: int) -> Phase:
        """Record that the phase's instances run the release, healthy; the first time counts.

        Raises :class:`LeaseLost`, :class:`DeploymentSettled`, and :class:`LedgerError` for a phase never started.
        """
        with self._writing() as session:
            self._running(session, deployment_id, token)
            row = self._phase(session, deployment_id, name)
            if row is None:
                raise LedgerError(
                    f"phase {name!r} of deployment {deployment_id} was never started.",
                    state="nothing was written.",
                    next_step="Record a phase before its instances are touched.",
                )
            if row.deployed_at is None:
                row.deployed_at, row.state = at, DEPLOYED
            return phase_record(self._written(session, row))

    def phases(self, deployment_id: str) -> list[Phase]:
        """The deployment's phases, in the order they were started."""
        with self._reading() as session:
            rows = select(PhaseRow).where(PhaseRow.deployment_id == deployment_id).order_by(PhaseRow.seq)
            return [phase_record(row) for row in session.scalars(rows)]

    def promote(self, deployment_id: str, *, token: int, outcome: str) -> Deployment:
        """Make the release the environment's good one.

        With it, in one transaction, a deployment that this one rolls back is rolled back and its release vetoed.

        Raises :class:`LeaseLost`, and :class:`DeploymentSettled` when a rollback has begun.
        """
        with self._writing() as session:
            row = self._fenced(session, deployment_id, token, by_its_run=True)
            if row.state == RUNNING:
                now = self._now(session)
                row.state, row.outcome, row.settled_at = PROMOTED, outcome, now
                if row.rolls_back is not None:
                    row.safe_at = row.restored_at = now
                if row.rolls_back not in (None, NOTHING):
                    self._take_back(session, row, now)
            elif row.state != PROMOTED:
                raise settled(row)
            return deployment_record(self._written(session, row))

    def begin_rollback(self, deployment_id: str, *, token: int, outcome: str) -> Deployment:
        """Decide for rollback, before anything is restored; from here on nothing of the deployment goes forward.

        The lease may be the next run's, which puts right what a dead one left. Raises :class:`LeaseLost`, and
        :class:`DeploymentSettled` when the release was promoted.
        """
        with self._writing() as session:
            row = self._fenced(session, deployment_id, token)
            if row.state == PROMOTED:
                raise settled(row)
            if row.state in (RUNNING, ROLLBACK_FAILED):
                row.state, row.outcome = ROLLING_BACK, outcome
            return deployment_record(self._written(session, row))

    def finish_rollback(self, deployment_id: str, *, token: int, restored: bool, outcome: str) -> Deployment:
        """Record how the rollback ended; one that failed may be begun again.

        A release that was rolled back is vetoed in this environment, in the same transaction, unless it is itself
        what was restored.

        Raises :class:`LeaseLost`, and :class:`DeploymentSettled` when no rollback was begun.
        """
        with self._writing() as session:
            row = self._fenced(session, deployment_id, token)
            if row.state not in (ROLLING_BACK, ROLLBACK_FAILED, ROLLED_BACK):
                raise settled(row)
            if row.state == ROLLED_BACK:
                return deployment_record(self._written(session, row))
            row.outcome = outcome
            if restored:
                now = self._now(session)
                row.state, row.settled_at = ROLLED_BACK, now
                row.restored_at = row.restored_at or now
                self._veto(session, row, now)
            else:
                row.state = ROLLBACK_FAILED
            return deployment_record(self._written(session, row))

    def _running(self, session: Session, deployment_id: str, token: int) -> DeploymentRow:
        row = self._fenced(session, deployment_id, token, by_its_run=True)
        if row.state != RUNNING:
            raise settled(row)
        return row

    def _phase(self, session: Session, deployment_id: str, name: str) -> PhaseRow | None:
        return session.scalars(
            select(PhaseRow).where(PhaseRow.deployment_id == deployment_id, PhaseRow.name == name)
        ).one_or_none()

    def _take_back(self, session: Session, row: DeploymentRow, now: datetime) -> None:
        taken = self._deployment_row(session, row.rolls_back or "")
        if taken.state == ROLLED_BACK:
            return
        taken.state, taken.settled_at, taken.outcome = ROLLED_BACK, now, row.outcome
        taken.verdict_at, taken.safe_at, taken.restored_at = row.verdict_at, now, now
        if taken.digest != row.digest:
            self._veto(session, taken, now)

    def _veto(self, session: Session, row: DeploymentRow, now: datetime) -> None:
        if any(old and old["digest"] == row.digest for old in row.previous.values()):
            return
        if standing_veto(session, row.service, row.environment, row.digest) is None:
            session.add(
                VetoRow(
                    service=row.service,
                    environment=row.environment,
                    digest=row.digest,
                    version=row.version,
                    deployment_id=row.id,
                    at=now,
                    reason=row.outcome,
                )
            )


def phase_record(row: PhaseRow) -> Phase:
    """The row as a plain value."""
    return Phase(
        row.deployment_id, row.name, row.share, tuple(row.instances), row.state, row.started_at, row.deployed_at
    )
