"""Where the ledger is: a database URL, checked before anything connects to it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from airflow_cd.errors import LedgerRefused, LedgerUnavailable
from airflow_cd.home import airflow_home

OPTION = "[airflow_cd] sql_alchemy_conn"
_LOCAL = ("LocalExecutor", "SequentialExecutor")


def ledger_url(url: str | None = None) -> URL:
    """The URL of the ledger's database.

    :param url: by default Airflow's option ``[airflow_cd] sql_alchemy_conn``, else a SQLite file under
        ``AIRFLOW_HOME``.
    :raises LedgerRefused: nothing is configured and tasks run on other machines; or the URL cannot be used: a database
        other than SQLite and PostgreSQL, SQLite in memory or at a relative path (each process would have its own), a
        driver that is asynchronous or not installed.
    :raises LedgerUnavailable: the option's command or secrets backend does not return a value.
    """
    if url is None:
        url = _configured() or _default()
    try:
        parsed = make_url(url)
    except ArgumentError:
        # The text of the URL stays out of the message: it may hold a password.
        raise _unusable("it is not a database URL.") from None
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or not Path(parsed.database).is_absolute():
            raise _unusable(f"{shown(parsed)} is not an absolute path, so each process would have a ledger of its own.")
    elif parsed.get_backend_name() != "postgresql":
        raise _unusable(f"{parsed.get_backend_name()} is not supported.")
    elif parsed.drivername == "postgresql" and importlib.util.find_spec("psycopg") is None:
        # SQLAlchemy 2.0 and 2.1 take different drivers for a URL that names none.
        parsed = parsed.set(drivername="postgresql+psycopg2")
    try:
        asynchronous = parsed.get_dialect().is_async
        parsed.get_dialect().import_dbapi()
    except (NoSuchModuleError, ImportError) as error:
        raise _unusable(f"the driver of {shown(parsed)} is not installed: {error}.") from error
    if asynchronous:
        raise _unusable(f"the driver of {shown(parsed)} is asynchronous.")
    return parsed


def require_there(url: str | None = None) -> None:
    """Make sure that opening the ledger would not make one: whoever only watches or asks has nothing to keep.

    :param url: as of :func:`ledger_url`.
    :raises LedgerUnavailable: it is an SQLite file that does not exist yet, or is empty.
    """
    where = ledger_url(url)
    if where.get_backend_name() != "sqlite":
        return
    file = Path(where.database or "")
    if not file.exists() or (file.is_file() and not file.stat().st_size):
        raise LedgerUnavailable(
            f"there is no ledger {shown(where)}.",
            state="nothing was made or changed.",
            next_step=f"The first deployment makes it, or `airflow-cd ledger migrate`. Should it be there already, "
            f"check --url, AIRFLOW_HOME and {OPTION}.",
        )


def shown(url: URL) -> str:
    """The URL without its password."""
    return url.render_as_string(hide_password=True)


def _configured() -> str | None:
    from airflow.configuration import conf
    from airflow.exceptions import AirflowConfigException

    try:
        # What a command prints ends with a newline.
        url = str(conf.get("airflow_cd", "sql_alchemy_conn", fallback=None) or "").strip()
    except AirflowConfigException as error:
        raise _no_value(str(error).strip().partition("\n")[0].rstrip(".")) from None
    for way in ("cmd", "secret"):
        if not url and conf.get("airflow_cd", f"sql_alchemy_conn_{way}", fallback=None):
            # Falling back to the default would silently make a second ledger.
            raise _no_value(f"sql_alchemy_conn_{way} is set, but Airflow gets no value from it")
    return url or None


def _default() -> str:
    """A file under AIRFLOW_HOME, where every task runs on this machine."""
    from airflow.configuration import conf

    # Such as ``team=LocalExecutor,alias:path.of.CeleryExecutor``.
    executors = str(conf.get("core", "executor", fallback="") or "LocalExecutor").replace(";", ",").split(",")
    names = [re.split(r"[.:=]", executor.strip())[-1] for executor in executors]
    if remote := [name for name in names if name not in _LOCAL]:
        raise LedgerRefused(
            f"no ledger is configured, and {', '.join(remote)} runs tasks on other machines: each would keep a ledger "
            "of its own.",
            state="nothing was read or written.",
            next_step=f"Set {OPTION} to one PostgreSQL database on every machine (with `pip install "
            "airflow-cd[postgres]`), then run `airflow-cd ledger migrate`.",
        )
    return f"sqlite:///{airflow_home() / 'airflow_cd.db'}"


def _no_value(why: str) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"the URL of the ledger's database cannot be read: {why}.",
        state="nothing was read or written.",
        next_step=f"Check the command or secrets backend behind {OPTION}, then try again.",
    )


def _unusable(why: str) -> LedgerRefused:
    return LedgerRefused(
        f"the ledger's database cannot be used: {why}",
        state="nothing was read or written.",
        next_step=f"Set {OPTION} to sqlite:////absolute/path.db or postgresql+psycopg2://user@host/database "
        "(with `pip install airflow-cd[postgres]`).",
    )
