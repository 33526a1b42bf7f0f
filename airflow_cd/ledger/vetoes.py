"""Vetoes: a release that was rolled back is not deployed to that environment again until a person lifts its veto."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_cd.errors import LedgerRefused
from airflow_cd.ledger import chain
from airflow_cd.ledger.models import DeploymentRow, VetoRow
from airflow_cd.ledger.records import Veto
from airflow_cd.ledger.store import Part
from airflow_cd.release import Release
from airflow_cd.states import HumanAction


class Vetoes(Part):
    """Releases that must not be deployed to an environment again."""

    def in_force(self, service: str, environment: str, release: Release) -> Veto | None:
        """The veto in force against the release in the environment; None if there is none."""
        with self._store.reading() as session:
            row = veto_in_force(session, service, environment, release.digest)
            return None if row is None else _record(session, row)

    def of(self, service: str, environment: str) -> list[Veto]:
        """Every veto in the environment, lifted ones included, newest first."""
        with self._store.reading() as session:
            rows = (
                select(VetoRow)
                .where(VetoRow.service == service, VetoRow.environment == environment)
                .order_by(VetoRow.seq.desc())
            )
            return [_record(session, row) for row in session.scalars(rows)]

    def lift(self, service: str, environment: str, digest: str, *, who: str, why: str) -> Veto:
        """Allow the release again, and record who lifted the veto and why.

        :param service: what is deployed.
        :param environment: where it may be deployed again.
        :param digest: the release's digest.
        :param who: the person.
        :param why: the reason; not empty.
        :raises LedgerRefused: no veto is in force against the release, or no reason is given.
        """
        if not why.strip():
            raise LedgerRefused(
                "lifting a veto requires a reason.",
                service=service,
                environment=environment,
                state="nothing was changed.",
                next_step="Give a reason.",
            )
        with self._store.writing() as session:
            self._store.lock(session, service, environment)
            row = veto_in_force(session, service, environment, digest)
            if row is None:
                raise LedgerRefused(
                    f"no veto is in force against {service} {digest[:15]}.",
                    service=service,
                    environment=environment,
                    state="nothing was changed.",
                    next_step="Look at the environment's vetoes; it may have been lifted already.",
                )
            now = self._store.now(session)
            row.lifted_at, row.lifted_by, row.lifted_why = now, who, why
            chain.append(
                session,
                at=now,
                who=who,
                action=HumanAction.LIFTED_VETO,
                why=why,
                service=service,
                environment=environment,
                allowed=True,
                detail={"digest": digest, "version": row.version, "deployment": row.deployment_id},
            )
            return _record(session, self._store.written(session, row))


def veto_in_force(session: Session, service: str, environment: str, digest: str) -> VetoRow | None:
    """The veto in force, as a row of the caller's transaction."""
    return session.scalars(
        select(VetoRow)
        .where(
            VetoRow.service == service,
            VetoRow.environment == environment,
            VetoRow.digest == digest,
            VetoRow.lifted_at.is_(None),
        )
        .order_by(VetoRow.seq.desc())
        .limit(1)
    ).one_or_none()


def _record(session: Session, row: VetoRow) -> Veto:
    pipeline = select(DeploymentRow.pipeline).where(DeploymentRow.id == row.deployment_id)
    return Veto(
        service=row.service,
        environment=row.environment,
        digest=row.digest,
        version=row.version,
        deployment_id=row.deployment_id,
        pipeline=session.scalars(pipeline).one(),
        at=row.at,
        reason=row.reason,
        lifted_at=row.lifted_at,
        lifted_by=row.lifted_by,
        lifted_why=row.lifted_why,
    )
