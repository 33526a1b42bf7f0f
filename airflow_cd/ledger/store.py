"""The ledger's database: its transactions, one writer at a time for each environment, and what it reports as errors.

SQLite takes its one write lock when a writing transaction begins (``BEGIN IMMEDIATE``), so that a transaction never
has to upgrade and fail. PostgreSQL locks the lease row of the environment (``SELECT ... FOR UPDATE``): a transaction
that writes about an environment locks that row first, and takes no other lock before it, so none can deadlock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from sqlalchemy import Engine, NullPool, create_engine, event, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from airflow_cd import clock
from airflow_cd.errors import AirflowCdError, LeaseLost, LedgerError, LedgerRefused, LedgerUnavailable
from airflow_cd.ledger.columns import serialize
from airflow_cd.ledger.location import shown
from airflow_cd.ledger.models import Base, DeploymentRow, LeaseRow
from airflow_cd.ledger.records import Lease

Row = TypeVar("Row", bound=Base)

BUSY_SECONDS = 60
"""How long a transaction waits for a lock before the ledger counts as unavailable."""
HURRY_SECONDS = 3
"""The same where something better can be done meanwhile."""
CONNECT_SECONDS = 10
"""The same of a connection to PostgreSQL, whose host may be gone."""
_busy: ContextVar[float] = ContextVar("airflow_cd_busy", default=BUSY_SECONDS)
CLOCK_SECONDS = 300.0
"""After how long the database is asked again by how much its clock differs from this machine's."""
_UNIQUE_VIOLATION = "23505"
WRITES = {"airflow_cd_writes": True}


def ledger_engine(url: URL) -> Engine:
    """An engine for the ledger; connects lazily.

    :param url: as :func:`~airflow_cd.ledger.location.ledger_url` returns it.
    """
    if url.get_backend_name() == "postgresql":
        return create_engine(
            url,
            json_serializer=serialize,
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=10,
            connect_args={"connect_timeout": url.query.get("connect_timeout", CONNECT_SECONDS)},
        )
    # No connection outlives its transaction: SQLite must not be carried across the forks of Airflow's executors.
    engine = create_engine(
        url,
        json_serializer=serialize,
        hide_parameters=True,
        poolclass=NullPool,
        connect_args={"timeout": BUSY_SECONDS},
    )

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        # The driver's own transaction handling would begin too late and too weakly.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")
        if (limit := _busy.get()) != BUSY_SECONDS:
            connection.execute(f"PRAGMA busy_timeout={int(limit * 1000)}")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("airflow_cd_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def busy_for(seconds: float) -> Iterator[None]:
    """How long transactions in the body, of this thread, wait for a lock before the ledger counts as unavailable.

    :param seconds: by default :data:`BUSY_SECONDS`.
    """
    before = _busy.set(seconds)
    try:
        yield
    finally:
        _busy.reset(before)


class Store:
    """The database under the ledger.

    :param engine: made by :func:`ledger_engine`.
    :param clock: the time, aware; by default the database's on PostgreSQL, so that machines whose clocks differ
        agree on when a lease ends, and this machine's on SQLite.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] | None = None) -> None:
        self.engine = engine
        self._clock = clock
        self._ahead = timedelta(0)
        self._measured = float("-inf")

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session to read in.

        :raises LedgerUnavailable: the database is locked, away or not migrated.
        """
        with self._translated(), Session(self.engine) as session:
            self._bound(session)
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that is committed when its block ends without an error; one writer at a time.

        :raises LedgerUnavailable: the database is locked, full, read-only, away or not migrated.
        :raises LedgerRefused: the database rejects what was to be written.
        """
        with self._translated(), Session(self.engine) as session, session.begin():
            session.connection(execution_options=WRITES)
            self._bound(session)
            yield session

    def _bound(self, session: Session) -> None:
        """Bound how long the transaction waits for a lock, and how long it may keep its own without doing anything.

        A process that hangs inside a transaction must not keep others from rolling back. One that only reads does so as
        well: whoever wants a table for itself waits for it, and everybody else for that one.
        """
        if self.engine.dialect.name == "postgresql":
            session.execute(
                text(
                    "SELECT set_config('lock_timeout', :limit, true),"
                    " set_config('idle_in_transaction_session_timeout', :limit, true)"
                ),
                {"limit": f"{int(_busy.get() * 1000)}ms"},
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            if isinstance(cause, AirflowCdError):
                raise cause from None
            raise self._error(error, str(cause).strip().partition("\n")[0]) from error

    def _error(self, error: SQLAlchemyError, said: str) -> LedgerError:
        if is_final(error):
            return LedgerRefused(
                f"the ledger {shown(self.engine.url)} rejects this request: {said}.",
                state="nothing was recorded.",
                next_step="Trying again cannot help; correct what is recorded.",
            )
        return LedgerUnavailable(
            f"the ledger {shown(self.engine.url)} cannot be read or written: {said}.",
            state="the call may not have been recorded; every call may be repeated.",
            next_step="Check that the database is up, reachable, writable and migrated (`airflow-cd ledger migrate`), "
            "then try again.",
        )

    def now(self, session: Session) -> datetime:
        """The time, aware: from the given clock, else from the database or this machine."""
        if self._clock is not None:
            return self._clock()
        if self.engine.dialect.name == "postgresql":
            # Not now(): that is when the transaction began, before it waited for its lock.
            sent = clock.machine_now()
            found: datetime = session.scalars(select(func.clock_timestamp())).one().astimezone(timezone.utc)
            # Seldom, so that the time of a process does not jump to and fro by the length of a round trip.
            if time.monotonic() - self._measured > CLOCK_SECONDS:
                self._ahead, self._measured = found - (sent + (clock.machine_now() - sent) / 2), time.monotonic()
                clock.align(self._ahead)
            return found
        return clock.machine_now()

    def ahead(self) -> timedelta:
        """By how much the ledger's clock is ahead of this machine's; as last known while the database is away."""
        if self._clock is not None:
            return self._clock() - clock.machine_now()
        if self.engine.dialect.name == "postgresql" and time.monotonic() - self._measured > CLOCK_SECONDS:
            with suppress(LedgerError), self.reading() as session:
                self.now(session)
        return self._ahead

    def written(self, session: Session, row: Row) -> Row:
        """The row as the database keeps it: texts bounded, numbers and times as they will be read."""
        session.flush()
        session.refresh(row)
        return row

    def insert_once(self, session: Session, model: type[Any], **values: Any) -> None:
        """Insert a row unless one with its key is there already."""
        if self.engine.dialect.name == "postgresql":
            session.execute(postgresql.insert(model).values(**values).on_conflict_do_nothing())
        else:
            session.execute(sqlite.insert(model).values(**values).on_conflict_do_nothing())

    def lock(self, session: Session, service: str, environment: str) -> LeaseRow:
        """The environment's lease row, locked until the transaction ends."""
        query = (
            select(LeaseRow)
            .where(LeaseRow.service == service, LeaseRow.environment == environment)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        row = session.scalars(query).one_or_none()
        if row is None:
            self.insert_once(session, LeaseRow, service=service, environment=environment, token=0)
            row = session.scalars(query).one()
        return row

    def fenced(self, session: Session, deployment_id: str, token: int, *, by_its_run: bool = False) -> DeploymentRow:
        """The deployment's row, with its environment locked, provided that ``token`` is current there.

        :param session: of a writing transaction.
        :param deployment_id: the deployment.
        :param token: the caller's fencing token.
        :param by_its_run: whether the lease must belong to the deployment's own run. A later run may restore what
            the deployment left, and nothing else.
        :raises LeaseLost: the token is not current, or the lease belongs to another run.
        :raises LedgerRefused: there is no such deployment.
        """
        row = self.deployment_row(session, deployment_id)
        lease = self.lock(session, row.service, row.environment)
        session.refresh(row)
        if lease.run_id is None or lease.token != token:
            raise lease_lost(lease, token)
        if by_its_run and (lease.pipeline, lease.run_id) != (row.pipeline, row.run_id):
            raise lease_lost(lease, token)
        return row

    def owned(self, session: Session, lease: Lease) -> LeaseRow:
        """The environment's lease row, locked.

        :raises LeaseLost: the lease's token is not current.
        """
        row = self.lock(session, lease.service, lease.environment)
        if row.run_id is None or row.token != lease.token:
            raise lease_lost(row, lease.token)
        return row

    def deployment_row(self, session: Session, deployment_id: str) -> DeploymentRow:
        """The row of the deployment with this id.

        :raises LedgerRefused: there is none.
        """
        row = session.scalars(select(DeploymentRow).where(DeploymentRow.id == deployment_id)).one_or_none()
        if row is None:
            raise LedgerRefused(
                f"the ledger has no deployment {deployment_id!r}.",
                state=f"looked in {shown(self.engine.url)}.",
                next_step="Check that every machine uses the same ledger.",
            )
        return row


def is_final(error: SQLAlchemyError) -> bool:
    """Whether the same request would fail again: the database rejects its values, rather than being out of order."""
    if not isinstance(error, DBAPIError):
        # A statement that SQLAlchemy could not build, but for one that waited too long for a connection.
        return not isinstance(error, PoolTimeout)
    state = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
    if isinstance(error, IntegrityError):
        # Of two transactions that insert the same key at once one fails, and finds the other's row next time.
        return bool(state != _UNIQUE_VIOLATION)
    if isinstance(error, ProgrammingError):
        # With a state it comes from the server: a table that is not there yet, a right that is not granted.
        return state is None
    return isinstance(error, DataError) or (
        isinstance(error, InterfaceError) and "binding parameter" in str(error.orig)
    )


class Part:
    """One part of the ledger: the records of one kind, and what is asked of them.

    :param store: the database that all parts share.
    """

    def __init__(self, store: Store) -> None:
        self._store = store


def lease_lost(lease: LeaseRow, token: int) -> LeaseLost:
    """The error for a caller whose token is not current."""
    owner = f"run {lease.run_id} of {lease.pipeline}" if lease.run_id else None
    holder = f"{owner}, token {lease.token}" if owner else "nobody"
    return LeaseLost(
        f"the lease on {lease.service} with token {token} is void: the environment now belongs to {holder}.",
        owner=owner,
        service=lease.service,
        environment=lease.environment,
        state="nothing was written.",
        next_step="Stop: the holder of the newer token decides what happens here.",
    )
