"""Freezes: nothing is deployed to an environment until a person lifts the freeze. Rolling back always may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from airflow_cd.errors import LedgerRefused
from airflow_cd.ledger import chain
from airflow_cd.ledger.models import AuditRow
from airflow_cd.ledger.records import Freeze
from airflow_cd.ledger.store import Part
from airflow_cd.states import HumanAction

_ACTIONS = (HumanAction.FROZE, HumanAction.LIFTED_FREEZE)


class Freezes(Part):
    """Which environments are frozen: what was said of each last, in the audit log, holds."""

    def in_force(self, service: str, environment: str) -> Freeze | None:
        """The freeze of an environment; None when it is not frozen.

        :param service: what is deployed.
        :param environment: where.
        """
        with self._store.reading() as session:
            return _in_force(session, service, environment)

    def all_in_force(self) -> Sequence[Freeze]:
        """Every freeze, by service and environment."""
        latest = _said(func.max(AuditRow.seq)).group_by(AuditRow.service, AuditRow.environment)
        query = (
            select(AuditRow.service, AuditRow.environment, AuditRow.at, AuditRow.who, AuditRow.why)
            .where(AuditRow.seq.in_(latest), AuditRow.action == HumanAction.FROZE)
            .order_by(AuditRow.service, AuditRow.environment)
        )
        with self._store.reading() as session:
            return [
                Freeze(row.service or "", row.environment or "", row.at, row.who, row.why)
                for row in session.execute(query)
            ]

    def freeze(self, service: str, environment: str, *, who: str, why: str) -> Freeze:
        """Let no deployment begin, until the freeze is lifted. What is under way goes on.

        :param service: what is deployed.
        :param environment: where.
        :param who: the person.
        :param why: the reason; not empty.
        :raises LedgerRefused: it is frozen already, or no reason is given.
        """
        with self._store.writing() as session:
            known = self._locked(session, service, environment, why)
            if known is not None:
                raise _refused(service, environment, f"it is frozen already, by {known.who}: {known.why}")
            self._say(session, HumanAction.FROZE, service, environment, who, why)
            found = _in_force(session, service, environment)
            assert found is not None  # noqa: S101 - said just now
            return found

    def lift(self, service: str, environment: str, *, who: str, why: str) -> None:
        """Let deployments begin again.

        :param service: what is deployed.
        :param environment: where.
        :param who: the person.
        :param why: the reason; not empty.
        :raises LedgerRefused: it is not frozen, or no reason is given.
        """
        with self._store.writing() as session:
            if self._locked(session, service, environment, why) is None:
                raise _refused(service, environment, "it is not frozen")
            self._say(session, HumanAction.LIFTED_FREEZE, service, environment, who, why)

    def _locked(self, session: Session, service: str, environment: str, why: str) -> Freeze | None:
        if not why.strip():
            raise _refused(service, environment, "a reason is missing")
        self._store.lock(session, service, environment)
        return _in_force(session, service, environment)

    def _say(self, session: Session, action: HumanAction, service: str, environment: str, who: str, why: str) -> None:
        chain.append(
            session,
            at=self._store.now(session),
            who=who,
            action=action,
            why=why,
            service=service,
            environment=environment,
            allowed=True,
            detail={},
        )
        session.flush()


def _in_force(session: Session, service: str, environment: str) -> Freeze | None:
    last = session.scalars(
        _said(AuditRow)
        .where(AuditRow.service == service, AuditRow.environment == environment)
        .order_by(AuditRow.seq.desc())
        .limit(1)
    ).one_or_none()
    if last is None or last.action != HumanAction.FROZE:
        return None
    return Freeze(service, environment, last.at, last.who, last.why)


def _said(what: Any) -> Select[Any]:
    """What was said of freezes: both actions, without what was refused."""
    return select(what).where(AuditRow.action.in_([str(action) for action in _ACTIONS]), AuditRow.allowed.is_(True))


def _refused(service: str, environment: str, what: str) -> LedgerRefused:
    return LedgerRefused(f"{what}.", service=service, environment=environment, state="nothing was changed.")
