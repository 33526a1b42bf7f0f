"""Phases of a deployment: which instances each takes, and how far it has come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_cd.errors import LedgerRefused
from airflow_cd.ledger.deployments import settled
from airflow_cd.ledger.models import DeploymentRow, PhaseRow
from airflow_cd.ledger.records import Phase
from airflow_cd.ledger.store import Part
from airflow_cd.states import DeploymentState, PhaseState


class Phases(Part):
    """The steps of each deployment, in the order they were started."""

    def start(
        self,
        deployment_id: str,
        name: str,
        *,
        share: int,
        instances: Sequence[str],
        token: int,
        traffic: int | None = None,
    ) -> Phase:
        """Record which instances a phase takes, before they are touched; kept as first given.

        :param deployment_id: the deployment.
        :param name: the phase, unique within the deployment.
        :param share: percent of the environment that has the release once the phase is deployed.
        :param instances: names of the instances that the phase deploys to.
        :param token: the fencing token of the run's lease.
        :param traffic: percent of the requests that the canary has then; None, the default, for what its share brings.
        :raises LeaseLost: the token is not current, or the lease belongs to another run.
        :raises DeploymentSettled: the deployment is not running.
        """
        with self._store.writing() as session:
            self._running(session, deployment_id, token)
            row = self._phase(session, deployment_id, name)
            if row is None:
                row = PhaseRow(
                    deployment_id=deployment_id,
                    name=name,
                    share=share,
                    traffic=traffic,
                    instances=list(instances),
                    state=PhaseState.STARTED,
                    started_at=self._store.now(session),
                )
                session.add(row)
            return phase_record(self._store.written(session, row))

    def deployed(self, deployment_id: str, name: str, at: datetime, token: int, instances: Sequence[str] = ()) -> Phase:
        """Record that the phase's instances run the release and are healthy; the first time counts.

        :param deployment_id: the deployment.
        :param name: the phase.
        :param at: when they did, aware.
        :param token: the fencing token of the run's lease.
        :param instances: names of those that run the release, where they were not known when it was started; none by
            default.
        :raises LeaseLost: the token is not current, or the lease belongs to another run.
        :raises DeploymentSettled: the deployment is not running.
        :raises LedgerRefused: the phase was never started.
        """
        with self._store.writing() as session:
            deployment = self._running(session, deployment_id, token)
            row = self._phase(session, deployment_id, name)
            if row is None:
                raise LedgerRefused(
                    f"phase {name!r} of deployment {deployment_id} was never started.",
                    service=deployment.service,
                    pipeline=deployment.pipeline,
                    environment=deployment.environment,
                    state="nothing was written.",
                    next_step="Record a phase before its instances are touched.",
                )
            if row.deployed_at is None:
                row.deployed_at, row.state = at, PhaseState.DEPLOYED
            if instances and not row.instances:
                row.instances = list(instances)
            return phase_record(self._store.written(session, row))

    def of(self, deployment_id: str) -> list[Phase]:
        """The deployment's phases, in the order they were started."""
        with self._store.reading() as session:
            rows = select(PhaseRow).where(PhaseRow.deployment_id == deployment_id).order_by(PhaseRow.seq)
            return [phase_record(row) for row in session.scalars(rows)]

    def _running(self, session: Session, deployment_id: str, token: int) -> DeploymentRow:
        row = self._store.fenced(session, deployment_id, token, by_its_run=True)
        if row.state != DeploymentState.RUNNING:
            raise settled(row)
        return row

    def _phase(self, session: Session, deployment_id: str, name: str) -> PhaseRow | None:
        return session.scalars(
            select(PhaseRow).where(PhaseRow.deployment_id == deployment_id, PhaseRow.name == name)
        ).one_or_none()


def phase_record(row: PhaseRow) -> Phase:
    """The row as a value."""
    return Phase(
        deployment_id=row.deployment_id,
        name=row.name,
        share=row.share,
        instances=tuple(row.instances),
        state=PhaseState(row.state),
        started_at=row.started_at,
        deployed_at=row.deployed_at,
        traffic=row.traffic,
    )
