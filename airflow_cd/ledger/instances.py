"""What was last seen to run on each instance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select

from airflow_cd.ledger.models import InstanceRow
from airflow_cd.ledger.records import RunningInstance
from airflow_cd.ledger.store import Part
from airflow_cd.targets.base import Instance, Track


class Instances(Part):
    """The newest observation of each environment."""

    def record(self, service: str, environment: str, instances: Sequence[Instance], at: datetime) -> None:
        """Record what runs on every instance of an environment; an older observation changes nothing.

        :param service: what is deployed.
        :param environment: where.
        :param instances: all instances of the environment; others recorded before are removed.
        :param at: when they were observed, aware.
        :raises LedgerRefused: a name cannot be stored, or ``at`` has no time zone.
        """
        with self._store.writing() as session:
            self._store.lock(session, service, environment)
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
                    track=instance.track,
                    weight=instance.weight if math.isfinite(instance.weight or 0) else None,
                    # Of a time without a zone nobody knows which moment it is.
                    started=instance.started if instance.started and instance.started.tzinfo else None,
                )
                for instance in instances
            )

    def running(self, service: str | None = None, environment: str | None = None) -> list[RunningInstance]:
        """What was last seen to run on each instance, by service, environment and name.

        :param service: only of this service.
        :param environment: only in this environment.
        """
        wanted = {"service": service, "environment": environment}
        query = select(InstanceRow).filter_by(**{name: value for name, value in wanted.items() if value is not None})
        with self._store.reading() as session:
            return [
                _running(row)
                for row in session.scalars(
                    query.order_by(InstanceRow.service, InstanceRow.environment, InstanceRow.name)
                )
            ]


def _running(row: InstanceRow) -> RunningInstance:
    instance = Instance(
        name=row.name,
        version=row.version,
        artifact=row.artifact,
        configuration=row.configuration,
        health=row.health,
        drained=row.drained,
        message=row.message,
        started=row.started,
        track=Track(row.track) if row.track is not None else None,
        weight=row.weight,
    )
    return RunningInstance(row.service, row.environment, instance, row.observed_at)
