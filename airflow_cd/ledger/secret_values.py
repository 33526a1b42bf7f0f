"""Keyed digests of the secrets that environments were given; never a value."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select

from airflow_cd.ledger.models import SecretValueRow
from airflow_cd.ledger.records import GivenSecret
from airflow_cd.ledger.store import Part

MOST_LISTED = 1_000


class SecretValues(Part):
    """What was given in the place of references: each value once for each environment."""

    def record(self, service: str, environment: str, given: Iterable[tuple[str, str, str]]) -> None:
        """Remember what an environment is about to be given.

        :param service: what is deployed.
        :param environment: where.
        :param given: path, source and keyed digest of each value.
        :raises LedgerRefused: a name cannot be stored.
        """
        with self._store.writing() as session:
            self._store.lock(session, service, environment)
            at: datetime = self._store.now(session)
            for path, source, digest in given:
                here = select(SecretValueRow).filter_by(service=service, environment=environment, digest=digest)
                row = session.scalars(here).one_or_none()
                if row is None:
                    row = SecretValueRow(
                        service=service, environment=environment, path=path, source=source, digest=digest
                    )
                    session.add(row)
                row.given_at = at

    def given(self, service: str, environment: str) -> list[GivenSecret]:
        """What the environment was given, the latest last; at most :data:`MOST_LISTED`.

        :param service: what is deployed.
        :param environment: where.
        """
        query = (
            select(SecretValueRow)
            .filter_by(service=service, environment=environment)
            .order_by(SecretValueRow.given_at.desc(), SecretValueRow.seq.desc())
            .limit(MOST_LISTED)
        )
        with self._store.reading() as session:
            rows = list(session.scalars(query))
            return [GivenSecret(row.path, row.source, row.digest, row.given_at) for row in reversed(rows)]
