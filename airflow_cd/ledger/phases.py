"""Phases of a deployment: which instances each takes, and how far it came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_cd.errors import LedgerRefused
from airflow_cd.ledger.deployments import settled
from airflow_cd.ledger.models import DeploymentRow, PhaseRow
from airflow_cd.ledger.records import RUNNING, Phase
from airflow_cd.ledger.store import Room

STARTED = "started"
DEPLOYED = "deployed"


class Phases(Room):
    """The steps of each deployment, in the order they were started."""

    def start(self, deployment_id: str, name: str, *, share: int, instances: Sequence[str], token: int) -> Phase:
        """Record, before they are touched, which instances a phase takes; as first given.

        Raises :class:`LeaseLost`, and :class:`DeploymentSettled` unless the deployment is running.
        """
        with self._store.writing() as session:
            self._running(session, deployment_id, token)
            row = self._phase(session, deployment_id, name)
            if row is None:
                row = PhaseRow(
                    deployment_id=deployment_id,
                    name=name,
                    share=share,
                    instances=list(instances),
                    state=STARTED,
                    started_at=self._store.now(session),
                )
                session.add(row)
            return phase_record(self._store.written(session, row))

    def deployed(self, deployment_id: str, name: str, at: datetime, token: int) -> Phase:
        """Record that the phase's instances run the release, healthy; the first time counts.

        Raises :class:`LeaseLost`, :class:`DeploymentSettled`, and :class:`LedgerRefused` for a phase never started.
        """
        with self._store.writing() as session:
            self._running(session, deployment_id, token)
            row = self._phase(session, deployment_id, name)
            if row is None:
                raise LedgerRefused(
                    f"phase {name!r} of deployment {deployment_id} was never started.",
                    state="nothing was written.",
                    next_step="Record a phase before its instances are touched.",
                )
            if row.deployed_at is None:
                row.deployed_at, row.state = at, DEPLOYED
            return phase_record(self._store.written(session, row))

    def of(self, deployment_id: str) -> list[Phase]:
        """The deployment's phases, in the order they were started."""
        with self._store.reading() as session:
            rows = select(PhaseRow).where(PhaseRow.deployment_id == deployment_id).order_by(PhaseRow.seq)
            return [phase_record(row) for row in session.scalars(rows)]

    def _running(self, session: Session, deployment_id: str, token: int) -> DeploymentRow:
        row = self._store.fenced(session, deployment_id, token, by_its_run=True)
        if row.state != RUNNING:
            raise settled(row)
        return row

    def _phase(self, session: Session, deployment_id: str, name: str) -> PhaseRow | None:
        return session.scalars(
            select(PhaseRow).where(PhaseRow.deployment_id == deployment_id, PhaseRow.name == name)
        ).one_or_none()


def phase_record(row: PhaseRow) -> Phase:
    """The row as a plain value."""
    return Phase(
        row.deployment_id, row.name, row.share, tuple(row.instances), row.state, row.started_at, row.deployed_at
    )
