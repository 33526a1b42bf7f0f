"""Side effects, recorded before and after; and what was seen to run where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select

from airflow_cd.errors import LedgerError
from airflow_cd.ledger.models import ActionRow, InstanceRow
from airflow_cd.ledger.records import Action, RunningInstance
from airflow_cd.ledger.store import Store
from airflow_cd.targets.base import Instance


class Actions(Store):
    """What was done to environments, and what was seen there."""

    def begin_action(self, deployment_id: str, kind: str, key: str, *, token: int, detail: Mapping[str, Any]) -> Action:
        """Record a side effect before it happens.

        The same key gives the same action back: one that succeeded needs not be done again, one that failed is
        begun as its next attempt. Raises :class:`LeaseLost`, and :class:`LedgerError` when the key is another's.
        """
        with self._writing() as session:
            self._fenced(session, deployment_id, token)
            row = session.scalars(select(ActionRow).where(ActionRow.key == key)).one_or_none()
            if row is None:
                row = ActionRow(
                    key=key,
                    deployment_id=deployment_id,
                    kind=kind,
                    token=token,
                    attempt=1,
                    detail=dict(detail),
                    began_at=self._now(session),
                )
                session.add(row)
            elif (row.deployment_id, row.kind) != (deployment_id, kind):
                raise LedgerError(
                    f"the key {key!r} belongs to another action: {row.kind} of deployment {row.deployment_id}.",
                    state="nothing was written.",
                    next_step="Give every side effect a key of its own.",
                )
            elif not row.ok:
                if row.ok is False:
                    row.attempt += 1
                    row.ok = row.ended_at = None
                    row.detail = dict(detail)
                row.token = token
            return _action(self._written(session, row))

    def finish_action(self, key: str, *, ok: bool, detail: Mapping[str, Any]) -> Action:
        """Record how a side effect ended, adding to its detail; success stays success.

        Asks for no token: what has happened has happened, whoever owns the environment by now.
        Raises :class:`LedgerError` for a key that was never begun.
        """
        with self._writing() as session:
            row = session.scalars(select(ActionRow).where(ActionRow.key == key).with_for_update()).one_or_none()
            if row is None:
                raise LedgerError(
                    f"no action {key!r} was begun.",
                    state="nothing was written.",
                    next_step="Record a side effect before it happens.",
                )
            if not row.ok:
                row.ok, row.ended_at, row.detail = ok, self._now(session), {**row.detail, **detail}
            return _action(self._written(session, row))

    def actions(self, deployment_id: str) -> list[Action]:
        """The deployment's side effects, in the order they were begun."""
        with self._reading() as session:
            rows = select(ActionRow).where(ActionRow.deployment_id == deployment_id).order_by(ActionRow.seq)
            return [_action(row) for row in session.scalars(rows)]

    def record_instances(self, service: str, environment: str, instances: Sequence[Instance], at: datetime) -> None:
        """Record what runs in an environment, whole; an observation older than the recorded one changes nothing."""
        with self._writing() as session:
            self._lock(session, service, environment)
            here = (InstanceRow.service == service, InstanceRow.environment == environment)
            latest = session.scalars(select(func.max(InstanceRow.observed_at)).where(*here)).one()
            if latest is not None and latest > at:
                return
            session.execute(delete(InstanceRow).where(*here))
            session.add_all(
                InstanceRow(
                    service=service,
                    environment=environment,
                    name=instance.name,
                    version=instance.version,
                    artifact=instance.artifact,
                    configuration=dict(instance.configuration),
                    health=instance.health,
                    drained=instance.drained,
                    message=instance.message,
                    observed_at=at,
                )
                for instance in instances
            )

    def running(self, service: str | None = None, environment: str | None = None) -> list[RunningInstance]:
        """What was last seen to run on each instance, by service, environment and name."""
        wanted = {"service": service, "environment": environment}
        query = select(InstanceRow).filter_by(**{name: value for name, value in wanted.items() if value is not None})
        with self._reading() as session:
            return [
                _running(row)
                for row in session.scalars(
                    query.order_by(InstanceRow.service, InstanceRow.environment, InstanceRow.name)
                )
            ]


def _action(row: ActionRow) -> Action:
    return Action(
        key=row.key,
        deployment_id=row.deployment_id,
        kind=row.kind,
        token=row.token,
        attempt=row.attempt,
        detail=row.detail,
        ok=row.ok,
        began_at=row.began_at,
        ended_at=row.ended_at,
    )


def _running(row: InstanceRow) -> RunningInstance:
    instance = Instance(
        name=row.name,
        version=row.version,
        artifact=row.artifact,
        configuration=row.configuration,
        health=row.health,
        drained=row.drained,
        message=row.message,
    )
    return RunningInstance(row.service, row.environment, instance, row.observed_at)
