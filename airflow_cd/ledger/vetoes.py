"""Vetoes: a release that was rolled back is not deployed to that environment again until a person says so."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_cd.errors import LedgerRefused
from airflow_cd.ledger.models import DeploymentRow, HumanActionRow, VetoRow
from airflow_cd.ledger.records import Veto
from airflow_cd.ledger.store import Room
from airflow_cd.release import Release


class Vetoes(Room):
    """What must not be deployed where."""

    def standing(self, service: str, environment: str, release: Release) -> Veto | None:
        """The veto in force against the release there, if any."""
        with self._store.reading() as session:
            row = standing_veto(session, service, environment, release.digest)
            return None if row is None else _record(session, row)

    def of(self, service: str, environment: str) -> list[Veto]:
        """Every veto there, lifted ones too, newest first."""
        with self._store.reading() as session:
            rows = (
                select(VetoRow)
                .where(VetoRow.service == service, VetoRow.environment == environment)
                .order_by(VetoRow.seq.desc())
            )
            return [_record(session, row) for row in session.scalars(rows)]

    def lift(self, service: str, environment: str, digest: str, *, who: str, why: str) -> Veto:
        """Allow the release again, and record who wanted that and why.

        Raises :class:`LedgerRefused` when no veto is in force against it, or no reason is given.
        """
        if not why.strip():
            raise LedgerRefused(
                "a veto is lifted only with a reason.", environment=environment, next_step="Say why, and lift it again."
            )
        with self._store.writing() as session:
            self._store.lock(session, service, environment)
            row = standing_veto(session, service, environment, digest)
            if row is None:
                raise LedgerRefused(
                    f"no veto is in force against {service} {digest[:15]}.",
                    environment=environment,
                    state="nothing was changed.",
                    next_step="Look at the environment's vetoes; it may have been lifted already.",
                )
            now = self._store.now(session)
            row.lifted_at, row.lifted_by, row.lifted_why = now, who, why
            session.add(
                HumanActionRow(
                    at=now,
                    who=who,
                    action="lift veto",
                    why=why,
                    service=service,
                    environment=environment,
                    allowed=True,
                    detail={"digest": digest, "version": row.version, "deployment": row.deployment_id},
                )
            )
            return _record(session, self._store.written(session, row))


def standing_veto(session: Session, service: str, environment: str, digest: str) -> VetoRow | None:
    """The veto in force, read in the caller's transaction."""
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
