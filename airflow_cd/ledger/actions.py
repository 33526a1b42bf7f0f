"""Side effects of deployments, recorded before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from airflow_cd.errors import LedgerRefused
from airflow_cd.ledger.models import ActionRow
from airflow_cd.ledger.records import Action
from airflow_cd.ledger.store import Part


class Actions(Part):
    """What was done to environments, and to what watches them."""

    def begin(self, deployment_id: str, kind: str, key: str, *, token: int, detail: Mapping[str, Any]) -> Action:
        """Record a side effect before it happens.

        The same key gives the same action back: one that succeeded need not be done again, one that failed is begun
        as its next attempt.

        :param deployment_id: the deployment it belongs to.
        :param kind: an :class:`~airflow_cd.states.ActionKind`, or a word of the caller's own.
        :param key: what identifies the side effect, across all deployments.
        :param token: the fencing token of the caller's lease.
        :param detail: what is wanted; JSON values.
        :raises LeaseLost: the token is not current.
        :raises LedgerRefused: the key belongs to another side effect, or the detail is not JSON.
        """
        with self._store.writing() as session:
            deployment = self._store.fenced(session, deployment_id, token)
            row = session.scalars(select(ActionRow).where(ActionRow.key == key)).one_or_none()
            if row is None:
                row = ActionRow(
                    key=key,
                    deployment_id=deployment_id,
                    kind=kind,
                    token=token,
                    attempt=1,
                    detail=dict(detail),
                    began_at=self._store.now(session),
                )
                session.add(row)
            elif (row.deployment_id, row.kind) != (deployment_id, kind):
                raise LedgerRefused(
                    f"the key {key!r} belongs to another action: {row.kind} of deployment {row.deployment_id}.",
                    service=deployment.service,
                    pipeline=deployment.pipeline,
                    environment=deployment.environment,
                    state="nothing was written.",
                    next_step="Give every side effect a key of its own.",
                )
            elif not row.ok:
                if row.ok is False:
                    row.attempt += 1
                    row.ok = row.ended_at = None
                    row.detail = dict(detail)
                row.token = token
            return _action(self._store.written(session, row))

    def finish(self, key: str, *, ok: bool, detail: Mapping[str, Any]) -> Action:
        """Record how a side effect ended; one that succeeded stays a success.

        Needs no token: what has happened has happened, even if another run owns the environment by now.

        :param key: as it was begun with.
        :param ok: whether it succeeded.
        :param detail: what came of it, added to what was wanted; JSON values.
        :raises LedgerRefused: no side effect was begun with this key.
        """
        with self._store.writing() as session:
            row = session.scalars(select(ActionRow).where(ActionRow.key == key).with_for_update()).one_or_none()
            if row is None:
                raise LedgerRefused(
                    f"no action {key!r} was begun.",
                    state="nothing was written.",
                    next_step="Record a side effect before it happens.",
                )
            if not row.ok:
                row.ok, row.ended_at, row.detail = ok, self._store.now(session), {**row.detail, **detail}
            return _action(self._store.written(session, row))

    def of(self, deployment_id: str) -> list[Action]:
        """The deployment's side effects, in the order they were begun."""
        with self._store.reading() as session:
            rows = select(ActionRow).where(ActionRow.deployment_id == deployment_id).order_by(ActionRow.seq)
            return [_action(row) for row in session.scalars(rows)]


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
