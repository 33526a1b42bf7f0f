"""The ledger, composed of its parts, and how a process opens it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime

from sqlalchemy import Engine

from airflow_cd.ledger import schema
from airflow_cd.ledger.actions import Actions
from airflow_cd.ledger.audit import Audit
from airflow_cd.ledger.baselines import Baselines
from airflow_cd.ledger.deployments import Deployments
from airflow_cd.ledger.feedback import FeedbackHistory
from airflow_cd.ledger.freezes import Freezes
from airflow_cd.ledger.guarding import Guarding
from airflow_cd.ledger.identity import Identity
from airflow_cd.ledger.insights import Insights
from airflow_cd.ledger.instances import Instances
from airflow_cd.ledger.leases import Leases
from airflow_cd.ledger.location import ledger_url, shown
from airflow_cd.ledger.overview import Overview
from airflow_cd.ledger.phases import Phases
from airflow_cd.ledger.places import Places
from airflow_cd.ledger.profiles import Profiles
from airflow_cd.ledger.questions import Questions
from airflow_cd.ledger.runs import Runs
from airflow_cd.ledger.secret_values import SecretValues
from airflow_cd.ledger.settlement import Settlement
from airflow_cd.ledger.store import HURRY_SECONDS, Store, busy_for, ledger_engine
from airflow_cd.ledger.verdicts import Verdicts
from airflow_cd.ledger.vetoes import Vetoes
from airflow_cd.ledger.work import Works


class Ledger:
    """The durable record of everything that is deployed, decided and learned, with a part for each kind of record.

    Every method of a part is one transaction and may be repeated. It raises
    :class:`~airflow_cd.errors.LedgerRefused` (or one of its subclasses) where trying again cannot help, and
    :class:`~airflow_cd.errors.LedgerUnavailable` where it can: the database is locked, full, read-only, away or not
    migrated. Either way it has changed nothing. Methods block: call them in a thread from asynchronous code. A ledger
    may be shared by threads and kept across forks.

    :param engine: made by :func:`~airflow_cd.ledger.store.ledger_engine`.
    :param clock: returns the time, aware; by default the database's on PostgreSQL and this machine's on SQLite.

    :ivar store: the database that the parts share.
    :ivar identity: which ledger this is.
    :ivar runs: which run a record belongs to.
    :ivar leases: who owns which environment, and who waits for it.
    :ivar deployments: what each run brings to an environment.
    :ivar phases: the steps of a deployment.
    :ivar settlement: how deployments end: promoted, or rolled back and vetoed.
    :ivar actions: side effects, recorded before and after.
    :ivar instances: what was last seen to run where.
    :ivar verdicts: verdicts of verifications, with their evidence.
    :ivar profiles: what deployments logged and measured.
    :ivar baselines: baselines pinned or reset by people.
    :ivar feedback: what people said about events.
    :ivar vetoes: releases that must not be deployed to an environment again.
    :ivar freezes: environments to which nothing is deployed.
    :ivar places: which environments of which services were ever seen.
    :ivar questions: what runs ask people, with the answers.
    :ivar secret_values: keyed digests of the secrets that environments were given.
    :ivar audit: manual actions: who did what, when and why.
    :ivar overview: every environment of every service at once.
    :ivar insights: rows for figures over many deployments.
    :ivar work: which runs are at work, and whether their processes live.
    :ivar guarding: what the guard watches over, found and did.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] | None = None) -> None:
        self.engine = engine
        self.store = store = Store(engine, clock=clock)
        self.identity = Identity(store)
        self.runs = Runs(store)
        self.leases = Leases(store)
        self.deployments = Deployments(store)
        self.phases = Phases(store)
        self.settlement = Settlement(store)
        self.actions = Actions(store)
        self.instances = Instances(store)
        self.verdicts = Verdicts(store)
        self.profiles = Profiles(store)
        self.baselines = Baselines(store)
        self.feedback = FeedbackHistory(store)
        self.vetoes = Vetoes(store)
        self.freezes = Freezes(store)
        self.places = Places(store)
        self.questions = Questions(store)
        self.secret_values = SecretValues(store)
        self.audit = Audit(store)
        self.overview = Overview(store)
        self.insights = Insights(store)
        self.work = Works(store)
        self.guarding = Guarding(store)

    def quickly(self) -> AbstractContextManager[None]:
        """In its body, of this thread, calls wait a few seconds for a lock, where they would wait a minute."""
        return busy_for(HURRY_SECONDS)

    def migrate(self) -> None:
        """Bring the schema to this package's version.

        :raises LedgerRefused: it is newer than this package's.
        :raises LedgerUnavailable: the database cannot be reached or written.
        """
        schema.migrate(self.engine)

    def name(self) -> str:
        """Where the ledger is, without its password."""
        return shown(self.engine.url)

    def revision(self) -> str | None:
        """The schema's version; None where nothing has been set up.

        :raises LedgerUnavailable: the database cannot be reached.
        """
        return schema.revision(self.engine)


_opened: dict[str, Ledger] = {}
_opening = threading.Lock()


def open_ledger(url: str | None = None, *, check: bool = True) -> Ledger:
    """Open the ledger; a process opens each one once. An empty SQLite database is set up on the way.

    :param url: the database; by default Airflow's option ``[airflow_cd] sql_alchemy_conn``.
    :param check: False opens a ledger of any version, to migrate it.
    :raises LedgerRefused: the URL cannot be used, or the ledger is newer than this package.
    :raises LedgerUnavailable: the database cannot be reached, or the ledger is not migrated yet.
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
    global _opening  # noqa: PLW0603 - a lock cannot be emptied
    # The connections belong to the parent, and a thread that does not exist here may have held its lock.
    _opening = threading.Lock()
    for ledger in _opened.values():
        ledger.engine.dispose(close=False)


os.register_at_fork(after_in_child=_after_fork)
