"""How a deployment ends: promoted, or rolled back, which vetoes its release when that is at fault."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from airflow_cd.ledger.deployments import deployment_record, settled
from airflow_cd.ledger.models import DeploymentRow, VetoRow
from airflow_cd.ledger.records import Deployment
from airflow_cd.ledger.store import Part
from airflow_cd.ledger.vetoes import veto_in_force
from airflow_cd.release import NOTHING
from airflow_cd.states import DeploymentState, RollbackCause


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

    def blame(self, deployment_id: str, *, token: int, cause: RollbackCause | None, outcome: str) -> None:
        """Record why the deployment is to be rolled back, in the moment that is known.

        Whoever restores it, however much later, then knows whether the release is at fault. Deploying on takes it back.

        :param deployment_id: the deployment; one that is settled stays as it is.
        :param token: the fencing token of its run's lease.
        :param cause: why; None takes back what was recorded before.
        :param outcome: the same in one sentence.
        :raises LeaseLost: the token is not current, or the lease belongs to another run.
        """
        with self._store.writing() as session:
            row = self._store.fenced(session, deployment_id, token, by_its_run=True)
            if row.state == DeploymentState.RUNNING:
                row.cause, row.outcome = cause, outcome

    def condemn(self, deployment_id: str, *, cause: RollbackCause, outcome: str) -> None:
        """Hold against the release what the run had found out, and could not record, while it owned the environment.

        Needs no token: whoever owns the environment by now, and has restored it or is about to, did not know. A release
        that is gone is vetoed now; one that was promoted, or has a cause that vetoes it, stays as it is.

        :param deployment_id: the deployment.
        :param cause: one that vetoes.
        :param outcome: the same in one sentence.
        """
        with self._store.writing() as session:
            row = self._store.deployment_row(session, deployment_id)
            self._store.lock(session, row.service, row.environment)
            session.refresh(row)
            known = row.cause is not None and RollbackCause(row.cause).vetoes
            if row.state == DeploymentState.PROMOTED or known:
                return
            row.cause, row.outcome = cause, outcome
            if row.state == DeploymentState.ROLLED_BACK and deployment_record(row).at_fault is not False:
                self._veto(session, row, self._store.now(session))

    def begin_rollback(
        self, deployment_id: str, *, token: int, outcome: str, cause: RollbackCause = RollbackCause.PERSON
    ) -> Deployment:
        """Decide to roll back, before anything is restored; from now on the deployment cannot be promoted.

        The lease may belong to a later run, which restores what a dead one left.

        :param deployment_id: the deployment.
        :param token: the fencing token of the caller's lease.
        :param outcome: one sentence: why it is rolled back.
        :param cause: why, which decides on a veto; one that was recorded before and vetoes the release stays.
        :raises LeaseLost: the token is not current.
        :raises DeploymentSettled: the release was promoted.
        """
        with self._store.writing() as session:
            row = self._store.fenced(session, deployment_id, token)
            if row.state == DeploymentState.PROMOTED:
                raise settled(row)
            lease = self._store.lock(session, row.service, row.environment)
            if row.state != DeploymentState.ROLLED_BACK and (lease.pipeline, lease.run_id) != (
                row.pipeline,
                row.run_id,
            ):
                row.ended_by_pipeline, row.ended_by_run = lease.pipeline, lease.run_id
            if row.state in (DeploymentState.RUNNING, DeploymentState.ROLLBACK_FAILED):
                row.state, row.outcome = DeploymentState.ROLLING_BACK, outcome
                if row.cause is None or not RollbackCause(row.cause).vetoes:
                    row.cause = cause
            return deployment_record(self._store.written(session, row))

    def finish_rollback(self, deployment_id: str, *, token: int, restored: bool, outcome: str) -> Deployment:
        """Record how the rollback ended; one that failed may be begun again.

        A release that was rolled back is vetoed in this environment, in the same transaction, when it is at fault (see
        :class:`~airflow_cd.states.RollbackCause`); not when it is itself what was restored, and a first deployment only
        by a person: there was nothing to compare it with.

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
                if deployment_record(row).at_fault is not False:
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
        earlier.cause = RollbackCause.PERSON
        earlier.ended_by_pipeline, earlier.ended_by_run = row.pipeline, row.run_id
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
