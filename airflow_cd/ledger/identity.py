"""Which ledger this is: an identity that no other one has, however alike their addresses are."""

from __future__ import annotations

import uuid

from sqlalchemy import select

from airflow_cd.ledger.models import LedgerRow
from airflow_cd.ledger.store import Part

_ONLY = 1


class Identity(Part):
    """The identity of a ledger, made with it."""

    def get(self) -> str:
        """The identity: a UUID.

        :raises LedgerUnavailable: the database is away.
        """
        query = select(LedgerRow.identity).where(LedgerRow.number == _ONLY)
        with self._store.reading() as session:
            found = session.scalars(query).one_or_none()
        if found is not None:
            return found
        with self._store.writing() as session:
            now = self._store.now(session)
            self._store.insert_once(session, LedgerRow, number=_ONLY, identity=str(uuid.uuid4()), made_at=now)
            return session.scalars(query).one()
