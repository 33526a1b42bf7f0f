"""The releases that an environment can go back to."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_cd.ledger.models import DeploymentRow
from airflow_cd.ledger.records import GoodRelease
from airflow_cd.ledger.vetoes import veto_in_force
from airflow_cd.release import Release
from airflow_cd.states import DeploymentState


def good_releases(session: Session, service: str, environment: str, limit: int) -> list[GoodRelease]:
    """Every release that was promoted in an environment and stayed, the last one promoted first.

    The last is what ran before the first deployment, where every instance ran the same.

    :param session: of the ledger.
    :param service: what is deployed.
    :param environment: where.
    :param limit: how many releases at most.
    """
    query = (
        select(DeploymentRow)
        .where(
            DeploymentRow.service == service,
            DeploymentRow.environment == environment,
            DeploymentRow.state == DeploymentState.PROMOTED,
        )
        .order_by(DeploymentRow.seq.desc())
        .limit(limit * 10)
    )
    newest: dict[str, DeploymentRow] = {}
    for row in session.scalars(query):
        newest.setdefault(row.digest, row)
    found = [_good(session, row) for row in list(newest.values())[:limit]]
    if found and len(found) < limit and (before := _taken_over(session, service, environment)):
        found.append(before)
    return found


def _good(session: Session, row: DeploymentRow) -> GoodRelease:
    veto = veto_in_force(session, row.service, row.environment, row.digest)
    return GoodRelease(
        release=Release.from_dict(row.release),
        pipeline=row.pipeline,
        run_id=row.run_id,
        promoted_at=row.settled_at or row.opened_at,
        by=row.triggered_by,
        vetoed=veto.reason if veto else "",
        rollback=row.rolls_back is not None,
    )


def _taken_over(session: Session, service: str, environment: str) -> GoodRelease | None:
    """What ran before the first deployment that stayed; None unless it was one release, on every instance.

    What has been deployed here has a record of its own, which says whether it was good.
    """
    here = (DeploymentRow.service == service, DeploymentRow.environment == environment)
    stayed = (DeploymentRow.state == DeploymentState.PROMOTED, DeploymentRow.rolls_back.is_(None))
    first = session.scalars(select(DeploymentRow).where(*here, *stayed).order_by(DeploymentRow.seq).limit(1)).first()
    before = [Release.from_dict(old) if old else None for old in first.previous.values()] if first else []
    if first is None or len(set(before)) != 1 or before[0] is None:
        return None
    digest = before[0].digest
    if session.scalars(select(DeploymentRow.seq).where(*here, DeploymentRow.digest == digest).limit(1)).first():
        return None
    veto = veto_in_force(session, service, environment, digest)
    return GoodRelease(
        before[0],
        first.pipeline,
        first.run_id,
        first.opened_at,
        by="",
        vetoed=veto.reason if veto else "",
        taken_over=True,
    )
