"""The ledger, whole, and how a process opens it."""

from __future__ import annotations

import os
import threading

from airflow_cd.ledger import schema
from airflow_cd.ledger.actions import Actions
from airflow_cd.ledger.baselines import Baselines
from airflow_cd.ledger.feedback import FeedbackHistory
from airflow_cd.ledger.insights import Insights
from airflow_cd.ledger.location import ledger_url
from airflow_cd.ledger.overview import Overviews
from airflow_cd.ledger.people import People
from airflow_cd.ledger.settling import Settling
from airflow_cd.ledger.store import ledger_engine
from airflow_cd.ledger.verdicts import Verdicts
from airflow_cd.ledger.vetoes import Vetoes


class Ledger(Settling, Actions, Verdicts, Vetoes, People, FeedbackHistory, Baselines, Insights, Overviews):
    """The durable record of everything that is deployed, decided and learned.

    Every method is one transaction, may be repeated, and raises :class:`~airflow_cd.errors.LedgerError` (or one of
    its kinds) when it cannot be done; then it has changed nothing. Methods block: from asynchronous code, call
    them in a thread. A ledger may be shared by threads and kept across forks.
    """

    def migrate(self) -> None:
        """Bring the schema to this package's version; raises :class:`LedgerError` for a newer one."""
        schema.migrate(self.engine)

    def revision(self) -> str | None:
        """The schema's version; None where nothing has been set up."""
        return schema.revision(self.engine)


_opened: dict[str, Ledger] = {}
_opening = threading.Lock()


def open_ledger(url: str | None = None, *, check: bool = True) -> Ledger:
    """The ledger at ``url``, by default where Airflow's configuration says; one for each process and URL.

    An empty SQLite database is set up on the way.

    :param check: False opens a ledger of any version, to migrate it.

    Raises :class:`LedgerError` when the database cannot be reached or its schema is not this package's.
    """
    where = ledger_url(url)
    key = where.render_as_string(hide_password=False)
    with _opening:
        ledger = _opened.get(key)
        if ledger is None:
            ledger = Ledger(ledger_engine(where))
            if not check:
                return ledger
            schema.require_head(ledger.engine)
            _opened[key] = ledger
        return ledger


def _after_fork() -> None:
    global _opening
    # The parent's connections are the parent's; and its lock may have been held by a thread that is not here.
    _opening = threading.Lock()
    for ledger in _opened.values():
        ledger.engine.dispose(close=False)


os.register_at_fork(after_in_child=_after_fork)
