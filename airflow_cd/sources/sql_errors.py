"""What it means that a database does not answer a query: of which part of the connection, or of the query, it comes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from airflow_cd.errors import (
    SourceError,
    SourceQueryRejected,
    SourceRejected,
    SourceUnauthorized,
    SourceUnavailable,
)

# psycopg2 states no SQLSTATE of a connection that was refused: then the server's words are looked at.
_LOGIN = re.compile(
    r"authentication failed|no password supplied|pg_hba\.conf|role .* does not exist|Access denied", re.IGNORECASE
)
_DATABASE = re.compile(r"database .* does not exist|unknown database", re.IGNORECASE)
_ANSWERED = re.compile(r"FATAL:|too many connections", re.IGNORECASE)
_SQLITE_FILE = re.compile(r"unable to open|locked|disk I/O|readonly|malformed|not a database", re.IGNORECASE)
_MYSQL = {1045: "28000", 1698: "28000", 1044: "28000", 1049: "3D000", 1142: "42501", 1143: "42501", 1054: "42S22"}


def not_reached(error: Exception, conn_id: str) -> SourceError:
    """What it means that no connection to a database came about.

    :param error: of SQLAlchemy.
    :param conn_id: of the connection.
    """
    state, text = _state(error), "\n".join(_lines(error))
    if state.startswith("28") or (not state and _LOGIN.search(text)):
        return SourceUnauthorized(
            f"the database of connection {conn_id!r} refuses the login: {_line(error, _LOGIN)}.",
            next_step="Correct login and password of the connection.",
        )
    if state == "3D000" or (not state and _DATABASE.search(text)):
        return SourceRejected(
            f"the server of connection {conn_id!r} has no such database: {_line(error, _DATABASE)}.",
            next_step="Correct the schema of the connection, which names the database.",
        )
    if _is_sqlite(error):
        return SourceUnavailable(
            f"the database file of connection {conn_id!r} cannot be opened: {_line(error)}.",
            next_step="Correct its path, which is the host of the connection, or see whether this worker has the file.",
        )
    if _ANSWERED.search(text):
        return SourceUnavailable(
            f"the database of connection {conn_id!r} takes no connection: {_line(error, _ANSWERED)}.",
            next_step="See what its server says; its host and port are right.",
        )
    return SourceUnavailable(
        f"the database of connection {conn_id!r} cannot be reached: {_line(error)}.",
        next_step="Correct host and port of the connection, and see whether the database is up.",
    )


def not_answered(error: Exception, conn_id: str) -> SourceError:
    """What it means that a database to which there is a connection does not answer a query.

    :param error: of SQLAlchemy.
    :param conn_id: of the connection.
    """
    import sqlalchemy as sa

    if _state(error) == "42501":
        return SourceUnauthorized(
            f"the database of connection {conn_id!r} does not let its login read this: {_line(error)}.",
            next_step="Grant SELECT to the login of the connection.",
        )
    # SQLite has one class of errors for a file that is locked and for a table that is not there, MySQL for a column.
    wrong = _state(error).startswith("42") or (_is_sqlite(error) and not _SQLITE_FILE.search(_line(error)))
    # Of a connection that was lost each driver raises another class; SQLAlchemy knows them all.
    lost = isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
    if lost or (isinstance(error, sa.exc.OperationalError) and not wrong):
        return SourceUnavailable(
            f"the database of connection {conn_id!r} cannot be asked: {type(error).__name__}: {_line(error)}.",
            next_step="See whether it is up.",
        )
    return SourceQueryRejected(
        f"the database of connection {conn_id!r} rejected the query: {type(error).__name__}: {_line(error)}.",
        next_step="Correct the query.",
    )


def _state(error: Exception) -> str:
    """The SQLSTATE of an error, ``""`` where its driver states none."""
    cause = getattr(error, "orig", None)
    for name in ("pgcode", "sqlstate"):
        if isinstance(state := getattr(cause, name, None), str):
            return state
    number = next(iter(getattr(cause, "args", ())), None)
    return _MYSQL.get(number, "") if isinstance(number, int) else ""


def _is_sqlite(error: Exception) -> bool:
    return type(getattr(error, "orig", None)).__module__.startswith("sqlite3")


def _lines(error: Exception) -> Iterator[str]:
    # Without what was sent along, and SQLAlchemy's own lines behind it.
    yield from (line.strip() for line in str(getattr(error, "orig", None) or error).strip().splitlines())


def _line(error: Exception, about: re.Pattern[str] | None = None) -> str:
    """The line of an error that is about something, else its first."""
    lines = list(_lines(error)) or [type(error).__name__]
    return next((line for line in lines if about is not None and about.search(line)), lines[0]).rstrip(".")
