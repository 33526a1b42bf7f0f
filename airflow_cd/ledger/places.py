"""Which environments of which services the ledger has ever seen."""

from __future__ import annotations

from sqlalchemy import select

from airflow_cd.ledger.models import LeaseRow
from airflow_cd.ledger.store import Part


class Places(Part):
    """Where something was deployed, or was about to be."""

    def seen(self) -> list[tuple[str, str]]:
        """Service and environment of every place that a run has ever owned, in the order of their names."""
        # A row without a token is the lock of somebody who wrote of a place before any run came there.
        query = select(LeaseRow.service, LeaseRow.environment).where(LeaseRow.token > 0)
        with self._store.reading() as session:
            return sorted((service, environment) for service, environment in session.execute(query))
