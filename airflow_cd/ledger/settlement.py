"""How a deployment ends: promoted, or rolled back and vetoed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from airflow_cd.ledger.deployments import deployment_record, settled
from airflow_cd.ledger.models import DeploymentRow, VetoRow
from airflow_cd.ledger.records import Deployment
from airflow_cd.ledger.store import Part
from airflow_cd.ledger.vetoes import veto_in_force
from airflow_cd.release import NOTHING
from airflow_cd.states import DeploymentState


class Settlement(Part):
    """The two ends of a deployment; promote and rollback exclude each other."""

    def promote(self, deployment_id: str, *, token: int, outcome: str) -> Deployment:
        """Promote the deployment: its release is what the environment should run.

        In the same transaction, a deployment that this one takes back is rolled back and its release vetoed.

        :param deployment_id: the deployment.
        :param token: the fencing token of its run's lease.
        :param outcome: one sentence: why it was promoted.
        :raises LeaseLost: the token is not current, or the lease belongs to another run.
        :raises DeploymentSettled: a rollback has begun.
        """
        with self._store.writing() as session:
            row = self._store.fenced(session, deployment_id, token, by_its_run=True)
            if row.state == DeploymentState.RUNNING:
                now = self._store.now(session)
                row.state, row.outcome, row.settled_at = DeploymentState.PROMOTED, outcome, now
                if row.rolls_back is not None:
                    row.safe_at = row.restored_at = now
                if row.rolls_back not in (None, NOTHING):
                    self._take_back(session, row, now)
            elif row.state != DeploymentState.PROMOTED:
                raise settled(row)
            return deployment_record(self._store.written(session, row))

    def begin_rollback(self, deployment_id: str, *, token: int, outcome: str) -> Deployment:
        """Decide to roll back, before anything is restored; from now on the deployment cannot be promoted.

        The lease may belong to a later run, which restores what a dead one left.

        :param deployment_id: the deployment.
        :param token: the fencing token of the caller's lease.
        :param outcome: one sentence: why it is rolled back.
        :raises LeaseLost: the token is not current.
        :raises DeploymentSettled: the release was promoted.
        """
        with self._store.writing() as session:
            row = self._store.fenced(session, deployment_id, token)
            if row.state == DeploymentState.PROMOTED:
                raise settled(row)
            if row.state in (DeploymentState.RUNNING, DeploymentState.ROLLBACK_FAILED):
                row.state, row.outcome = DeploymentState.ROLLING_BACK, outcome
            return deployment_record(self._store.written(session, row))

    def finish_rollback(self, deployment_id: str, *, token: int, restored: bool, outcome: str) -> Deployment:
        """Record how the rollback ended; one that failed may be begun again.

        A release that was rolled back is vetoed in this environment, in the same transaction, unless it is itself
        what was restored.

        :param deployment_id: the deployment.
        :param token: the fencing token of the caller's lease.
        :param restored: whether every instance runs what it ran before, checked.
        :param outcome: one sentence: what came of it.
        :raises LeaseLost: the token is not current.
        :raises DeploymentSettled: no rollback was begun.
        """
        with self._store.writing() as session:
            row = self._store.fenced(session, deployment_id, token)
            if row.state in (DeploymentState.RUNNING, DeploymentState.PROMOTED):
                raise settled(row)
            if row.state == DeploymentState.ROLLED_BACK:
                return deployment_record(self._store.written(session, row))
            row.outcome = outcome
            if restored:
                now = self._store.now(session)
                row.state, row.settled_at = DeploymentState.ROLLED_BACK, now
                row.restored_at = row.restored_at or now
                self._veto(session, row, now)
            else:
                row.state = DeploymentState.ROLLBACK_FAILED
            return deployment_record(self._store.written(session, row))

    def _take_back(self, session: Session, row: DeploymentRow, now: datetime) -> None:
        earlier = self._store.deployment_row(session, row.rolls_back or "")
        if earlier.state == DeploymentState.ROLLED_BACK:
            return
        earlier.state, earlier.settled_at, earlier.outcome = DeploymentState.ROLLED_BACK, now, row.outcome
        earlier.verdict_at, earlier.safe_at, earlier.restored_at = row.verdict_at, now, now
        if earlier.digest != row.digest:
            self._veto(session, earlier, now)

    def _veto(self, session: Session, row: DeploymentRow, now: datetime) -> None:
        if any(old and old["digest"] == row.digest for old in row.previous.values()):
            return
        if veto_in_force(session, row.service, row.environment, row.digest) is None:
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
