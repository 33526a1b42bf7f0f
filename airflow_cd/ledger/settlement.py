"""How a deployment ends: promoted, or rolled back and vetoed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from airflow_cd.ledger.deployments import deployment_record, settled
from airflow_cd.ledger.models import DeploymentRow, VetoRow
from airflow_cd.ledger.records import (
    PROMOTED,
    ROLLBACK_FAILED,
    ROLLED_BACK,
    ROLLING_BACK,
    RUNNING,
    Deployment,
)
from airflow_cd.ledger.store import Room
from airflow_cd.ledger.vetoes import standing_veto
from airflow_cd.release import NOTHING


class Settlement(Room):
    """The two ends of a deployment; promote and rollback exclude each other."""

    def promote(self, deployment_id: str, *, token: int, outcome: str) -> Deployment:
        """Make the release the environment's good one.

        With it, in one transaction, a deployment that this one rolls back is rolled back and its release vetoed.

        Raises :class:`LeaseLost`, and :class:`DeploymentSettled` when a rollback has begun.
        """
        with self._store.writing() as session:
            row = self._store.fenced(session, deployment_id, token, by_its_run=True)
            if row.state == RUNNING:
                now = self._store.now(session)
                row.state, row.outcome, row.settled_at = PROMOTED, outcome, now
                if row.rolls_back is not None:
                    row.safe_at = row.restored_at = now
                if row.rolls_back not in (None, NOTHING):
                    self._take_back(session, row, now)
            elif row.state != PROMOTED:
                raise settled(row)
            return deployment_record(self._store.written(session, row))

    def begin_rollback(self, deployment_id: str, *, token: int, outcome: str) -> Deployment:
        """Decide for rollback, before anything is restored; from here on nothing of the deployment goes forward.

        The lease may be the next run's, which puts right what a dead one left. Raises :class:`LeaseLost`, and
        :class:`DeploymentSettled` when the release was promoted.
        """
        with self._store.writing() as session:
            row = self._store.fenced(session, deployment_id, token)
            if row.state == PROMOTED:
                raise settled(row)
            if row.state in (RUNNING, ROLLBACK_FAILED):
                row.state, row.outcome = ROLLING_BACK, outcome
            return deployment_record(self._store.written(session, row))

    def finish_rollback(self, deployment_id: str, *, token: int, restored: bool, outcome: str) -> Deployment:
        """Record how the rollback ended; one that failed may be begun again.

        A release that was rolled back is vetoed in this environment, in the same transaction, unless it is itself
        what was restored.

        Raises :class:`LeaseLost`, and :class:`DeploymentSettled` when no rollback was begun.
        """
        with self._store.writing() as session:
            row = self._store.fenced(session, deployment_id, token)
            if row.state not in (ROLLING_BACK, ROLLBACK_FAILED, ROLLED_BACK):
                raise settled(row)
            if row.state == ROLLED_BACK:
                return deployment_record(self._store.written(session, row))
            row.outcome = outcome
            if restored:
                now = self._store.now(session)
                row.state, row.settled_at = ROLLED_BACK, now
                row.restored_at = row.restored_at or now
                self._veto(session, row, now)
            else:
                row.state = ROLLBACK_FAILED
            return deployment_record(self._store.written(session, row))

    def _take_back(self, session: Session, row: DeploymentRow, now: datetime) -> None:
        taken = self._store.deployment_row(session, row.rolls_back or "")
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
