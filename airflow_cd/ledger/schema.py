"""The version of a ledger's schema, and its migration to the one of this package."""

from __future__ import annotations

import fcntl
import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from airflow_cd.errors import LedgerRefused, LedgerUnavailable
from airflow_cd.ledger.files import make_private
from airflow_cd.ledger.location import shown
from airflow_cd.ledger.models import VERSION_TABLE
from airflow_cd.ledger.store import WRITES

if TYPE_CHECKING:
    from alembic.config import Config

#: The newest migration; a constant because every task opens the ledger and Alembic takes long to load.
HEAD = "0011"

_MIGRATIONS = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x61697264
# Alembic keeps the migration under way in module globals.
_one_at_a_time = threading.Lock()


def revision(engine: Engine) -> str | None:
    """The schema's version; None where there is no ledger yet.

    :raises LedgerUnavailable: the database cannot be reached.
    """
    with _readable(engine), engine.connect() as connection:
        return _revision(connection)


def require_head(engine: Engine) -> None:
    """Make sure that the schema is this package's; an empty SQLite database is migrated first.

    :param engine: the ledger's.

    :raises LedgerUnavailable: it is older, so `airflow-cd ledger migrate` has to run first, or cannot be read.
    :raises LedgerRefused: it is newer than this package knows.
    """
    found = revision(engine)
    if found == HEAD:
        return
    if found is None and engine.dialect.name == "sqlite" and _is_empty(engine):
        migrate(engine)
        return
    if found is not None and found not in known_revisions():
        raise _newer(engine, found)
    has = "has no ledger" if found is None else f"has a ledger of version {found}"
    raise LedgerUnavailable(
        f"{shown(engine.url)} {has}; this package needs version {HEAD}.",
        state="nothing was changed.",
        next_step="Back the database up, then run `airflow-cd ledger migrate`.",
    )


def migrate(engine: Engine) -> None:
    """Bring the schema to this package's version, all steps or none; safe to run from many processes at once.

    :param engine: the ledger's.

    :raises LedgerRefused: the ledger was written by a newer package.
    :raises LedgerUnavailable: the database cannot be reached or written.
    """
    from alembic import command

    with _one_at_a_time, _readable(engine), _alone(engine):
        if engine.dialect.name == "sqlite":
            with closing(engine.raw_connection()) as raw:
                # Outside any transaction, where alone the journal mode can be changed.
                raw.cursor().execute("PRAGMA journal_mode=WAL")
        with engine.connect().execution_options(**WRITES) as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            found = _revision(connection)
            if found == HEAD:
                return
            if found is not None and found not in known_revisions():
                raise _newer(engine, found)
            with _quietly():
                command.upgrade(configuration(connection), "head")


def known_revisions() -> set[str]:
    """Every version this package can migrate from, and the one it migrates to."""
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration for the ledger, over a connection whose transaction is the caller's."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()  # noqa: S608


def _is_empty(engine: Engine) -> bool:
    with _readable(engine), engine.connect() as connection:
        names = set(inspect(connection).get_table_names())
        # Another process may have migrated since the revision was read.
        return not names or VERSION_TABLE in names


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """On SQLite, keep other processes from changing the journal mode meanwhile, which no busy timeout waits for."""
    if engine.dialect.name != "sqlite" or engine.url.database is None:
        yield
        return
    with Path(engine.url.database + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep Alembic from logging every step, which Airflow sends to standard output, before a command's answer."""
    logger = logging.getLogger("alembic")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _readable(engine: Engine) -> Iterator[None]:
    try:
        make_private(engine.url)
        yield
    except (SQLAlchemyError, OSError) as error:
        first_line = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        raise LedgerUnavailable(
            f"the ledger {shown(engine.url)} cannot be opened: {first_line}.",
            state="nothing was changed.",
            next_step="Check that the database exists, is reachable and may be written by this user.",
        ) from error


def _newer(engine: Engine, found: str) -> LedgerRefused:
    return LedgerRefused(
        f"{shown(engine.url)} has a ledger of version {found}, unknown to this package, which knows up to {HEAD}.",
        state="nothing was changed; a ledger never goes back to an older version.",
        next_step="Install the newer airflow-cd that wrote it on every machine, or restore a backup.",
    )
