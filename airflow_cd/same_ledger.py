"""One Airflow has one ledger: whoever opens another one stops before anything is read from it or written to it.

The first run that owns an environment keeps the ledger's identity in an Airflow variable; every run passes on the one
it began with.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import LedgerRefused, WrongLedger

if TYPE_CHECKING:
    from airflow_cd.ledger import Ledger

KEY = "airflow_cd_ledger"
"""The Airflow variable with the identity of the ledger that this Airflow uses, and the XCom that a run passes on."""

DESCRIPTION = "The ledger of Airflow CD that this Airflow uses. To use another one: airflow-cd ledger use"


def require_same(ledger: Ledger, expected: str | None, *, whose: str, since: str) -> str:
    """Make sure that a ledger is the one that is expected.

    :param ledger: as it was opened here.
    :param expected: identity of the right one; None when nothing is expected.
    :param whose: what has opened it, such as ``this worker``.
    :param since: whose ledger is expected: a clause that completes *is not the one*.
    :returns: the ledger's identity.
    :raises WrongLedger: it is another one.
    """
    identity = ledger.identity.get()
    if expected is not None and expected != identity:
        raise WrongLedger(
            f"{whose}'s ledger is not the one {since}: {ledger.name()}, identity {identity[:8]} in place of "
            f"{expected[:8]}.",
            state="nothing was read from it or written to it.",
            next_step="Set [airflow_cd] sql_alchemy_conn to the same database on every machine. Was the ledger moved "
            "on purpose, run `airflow-cd ledger use`.",
        )
    return identity


def ledger_in_use() -> str | None:
    """The identity of the ledger that this Airflow uses, read from Airflow's own database; None before the first run.

    For pages and commands. Tasks have no access to it.
    """
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        row: Any = session.scalars(select(Variable).where(Variable.key == KEY)).one_or_none()
        return row.get_val() if row is not None else None


def ledger_of_run(dag_id: str, run_id: str) -> str | None:
    """The identity of the ledger that a run began with; None when it has passed none on.

    :param dag_id: the pipeline.
    :param run_id: the run.
    """
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(XComModel.value).where(XComModel.dag_id == dag_id, XComModel.run_id == run_id, XComModel.key == KEY)
    with create_session() as session:
        value = session.scalars(query.order_by(XComModel.timestamp).limit(1)).first()
    # Airflow keeps values as JSON texts.
    return value.strip('"') if isinstance(value, str) else None


def use(ledger: Ledger) -> None:
    """Make a ledger the one that this Airflow uses.

    :param ledger: the ledger.
    :raises LedgerRefused: Airflow's database cannot be written from here.
    """
    from airflow.models import variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session() as session:
            made: Any = variable.Variable
            session.execute(delete(made).where(made.key == KEY))
            session.add(made(key=KEY, val=ledger.identity.get(), description=DESCRIPTION))
    except SQLAlchemyError as error:
        raise LedgerRefused(
            "Airflow's own database cannot be written from here.",
            state="Airflow uses the ledger that it used before.",
            next_step="Run this where Airflow's scheduler or API server runs, with its configuration.",
        ) from error


def has_airflow_database() -> bool:
    """Whether Airflow's own database is there and can be read; asking makes none."""
    from pathlib import Path

    from airflow.configuration import conf
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    with suppress(SQLAlchemyError, OSError, ImportError):
        url = make_url(conf.get("database", "sql_alchemy_conn"))
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
            return False
        engine = create_engine(url)
        try:
            return bool(inspect(engine).has_table("variable") and inspect(engine).has_table("slot_pool"))
        finally:
            engine.dispose()
    return False
