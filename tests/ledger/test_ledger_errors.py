"""What the ledger raises: unavailable where trying again can help, refused where it cannot, with what it is about."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from airflow_cd.errors import (
    AirflowCdError,
    BaselineMissing,
    DeploymentSettled,
    LeaseHeld,
    LeaseLost,
    LedgerRefused,
    LedgerUnavailable,
    Refused,
    ReleaseVetoed,
    Unavailable,
)
from airflow_cd.ledger import Ledger, ledger_url, open_ledger, schema, store
from airflow_cd.ledger.store import WRITES, busy_for, ledger_engine
from tests.ledger.ledger_runs import Run, shop

GOOD, BAD = shop("1.1.0"), shop("1.2.0")


def write(ledger: Ledger) -> None:
    ledger.leases.acquire("shop", "production", pipeline="storefront", run_id="run-1", ttl=timedelta(minutes=1))


@pytest.fixture
def opened() -> Iterator[Callable[..., Ledger]]:
    """Open a ledger without looking at its schema, as a process that opened it earlier has it."""
    engines = []

    def make(url: str | sa.URL) -> Ledger:
        engines.append(ledger_engine(make_url(url)))
        return Ledger(engines[-1])

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def own_url(empty_url: str) -> str:
    """A migrated ledger that the test may spoil."""
    open_ledger(empty_url, check=False).migrate()
    return empty_url


def test_a_locked_sqlite_file_is_unavailable(sqlite_url: str, opened: Any) -> None:
    with closing(sqlite3.connect(make_url(sqlite_url).database or "", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with busy_for(0), pytest.raises(LedgerUnavailable, match="database is locked"):
            write(opened(sqlite_url))
    write(opened(sqlite_url))


def test_a_full_disk_is_unavailable(sqlite_url: str, opened: Any) -> None:
    ledger = opened(sqlite_url)

    @sa.event.listens_for(ledger.engine, "connect")
    def full(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA max_page_count=1")  # SQLite takes the size that the file has for the least

    with pytest.raises(LedgerUnavailable, match="full"):
        Run(ledger).open(shop("1.0.0", text="x" * 1_000_000))


def test_a_read_only_sqlite_file_is_unavailable_to_write_and_can_be_read(sqlite_url: str, opened: Any) -> None:
    ledger = opened(f"sqlite:///file:{make_url(sqlite_url).database}?mode=ro&uri=true")
    assert ledger.leases.current("shop", "production") is None
    with pytest.raises(LedgerUnavailable, match="readonly"):
        write(ledger)


def test_a_sqlite_file_that_cannot_be_opened_is_unavailable(tmp_path: Path, opened: Any) -> None:
    with pytest.raises(LedgerUnavailable, match="unable to open"):
        write(opened(f"sqlite:///{tmp_path / 'gone' / 'ledger.db'}"))
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(LedgerUnavailable, match="unable to open"):
        open_ledger(f"sqlite:///{tmp_path / 'folder.db'}")


@pytest.mark.postgres
def test_a_locked_postgresql_is_unavailable(postgres_url: str, opened: Any) -> None:
    ledger = opened(postgres_url)
    write(ledger)
    with ledger.engine.connect() as other, other.begin():
        other.exec_driver_sql("SELECT * FROM cd_lease FOR UPDATE")
        with busy_for(0.1), pytest.raises(LedgerUnavailable, match="lock timeout"):
            write(ledger)
    write(ledger)


@pytest.mark.postgres
def test_a_read_only_postgresql_is_unavailable(postgres_url: str, opened: Any) -> None:
    url = make_url(postgres_url).update_query_dict({"options": "-c default_transaction_read_only=on"})
    with pytest.raises(LedgerUnavailable, match="read-only transaction"):
        write(opened(url))


@pytest.mark.postgres
def test_a_postgresql_that_does_not_answer_or_let_us_in_is_unavailable(postgres_url: str, opened: Any) -> None:
    with pytest.raises(LedgerUnavailable, match="refused"):
        write(opened(make_url(postgres_url).set(port=1)))
    with pytest.raises(LedgerUnavailable, match="does not exist"):
        write(opened(make_url(postgres_url).set(username="nobody")))


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("sqlstate", "why"), [("53100", "full disk"), ("42501", "missing grant"), ("40P01", "deadlock"), ("57P01", "stop")]
)
def test_what_postgresql_reports_of_itself_is_unavailable(
    postgres_server: str, opened: Any, sqlstate: str, why: str
) -> None:
    url = make_url(postgres_server).set(database=f"reports_{sqlstate.lower()}")
    with sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {url.database}")
    ledger = opened(url)
    ledger.migrate()
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION report() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{why}' USING ERRCODE = '{sqlstate}'; END $$"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER report BEFORE INSERT ON cd_lease FOR EACH ROW EXECUTE FUNCTION report()"
        )
    with pytest.raises(LedgerUnavailable, match=why):
        write(ledger)


def test_a_database_without_a_ledger_is_unavailable(empty_url: str, opened: Any) -> None:
    with pytest.raises(LedgerUnavailable, match=r"airflow-cd ledger migrate"):
        write(opened(empty_url))


@pytest.mark.parametrize("older", ["0001", "0003"])
def test_a_ledger_that_is_still_to_be_migrated_is_unavailable(own_url: str, older: str) -> None:
    engine = ledger_engine(ledger_url(own_url))
    with engine.connect().execution_options(**WRITES) as connection, connection.begin():
        connection.exec_driver_sql(f"UPDATE cd_alembic_version SET version_num = '{older}'")
    engine.dispose()
    with pytest.raises(LedgerUnavailable, match=f"version {older}; this package needs version {schema.HEAD}"):
        open_ledger(own_url)


def test_a_ledger_of_a_newer_package_is_refused(own_url: str) -> None:
    engine = ledger_engine(ledger_url(own_url))
    with engine.connect().execution_options(**WRITES) as connection, connection.begin():
        connection.exec_driver_sql("UPDATE cd_alembic_version SET version_num = 'ffff'")
    engine.dispose()
    with pytest.raises(LedgerRefused, match="unknown to this package"):
        open_ledger(own_url)


def test_a_url_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(LedgerRefused, match="mysql is not supported"):
        open_ledger("mysql://host/ledger")


def place(error: AirflowCdError) -> tuple[str | None, str | None, str | None]:
    return error.pipeline, error.service, error.environment


HERE = ("storefront", "shop", "production")


def test_a_veto_is_refused_and_names_the_release(run: Any) -> None:
    run("run-1").rolled_back(BAD)
    with pytest.raises(ReleaseVetoed) as caught:
        run("run-2").open(BAD)
    assert isinstance(caught.value, Refused)
    assert place(caught.value) == HERE
    assert caught.value.release == str(BAD)


def test_a_settled_deployment_is_refused_and_names_its_release(run: Any) -> None:
    it = run("run-1")
    it.promoted(GOOD)
    it.acquire()
    with pytest.raises(DeploymentSettled) as caught:
        it.open(GOOD)
    assert isinstance(caught.value, Refused)
    assert place(caught.value) == HERE
    assert caught.value.release == str(GOOD)


def test_a_lost_lease_is_refused_and_names_the_owner(run: Any) -> None:
    it = run("run-1")
    lease = it.acquire()
    it.overrule()
    with pytest.raises(LeaseLost) as caught:
        it.ledger.leases.renew(lease, timedelta(minutes=1))
    assert isinstance(caught.value, Refused)
    assert place(caught.value)[1:] == HERE[1:]
    assert caught.value.owner == "run run-1 of storefront"


def test_a_held_lease_may_be_had_later_and_names_the_owner_and_the_place_in_the_queue(run: Any) -> None:
    run("run-1").acquire()
    with pytest.raises(LeaseHeld):
        run("run-2").acquire()
    with pytest.raises(LeaseHeld) as caught:
        run("run-3").acquire()
    assert isinstance(caught.value, Unavailable)
    assert place(caught.value) == HERE
    assert (caught.value.owner, caught.value.position) == ("run run-1 of storefront", 2)


def test_a_superseded_run_is_refused(run: Any) -> None:
    run("run-1").acquire()
    with pytest.raises(LeaseHeld):
        run("run-2").acquire()
    with pytest.raises(LeaseHeld):
        run("run-3").acquire(supersede=True)
    with pytest.raises(DeploymentSettled) as caught:
        run("run-2").acquire()
    assert place(caught.value) == HERE


def test_a_baseline_that_does_not_exist_is_refused(ledger: Ledger) -> None:
    with pytest.raises(BaselineMissing) as caught:
        ledger.profiles.taught("shop", "production", "sumo", kind="logs", choice="9.9")
    assert isinstance(caught.value, Refused)
    assert place(caught.value)[1:] == HERE[1:]


@pytest.mark.parametrize(
    "ask",
    [
        lambda ledger: ledger.vetoes.lift("shop", "production", "sha256:0", who="ada", why="fixed"),
        lambda ledger: ledger.vetoes.lift("shop", "production", "sha256:0", who="ada", why=" "),
        lambda ledger: ledger.baselines.pin("shop", "production", "nonsense!", who="ada", why="fixed"),
        lambda ledger: ledger.baselines.reset("shop", "production", who="ada", why=""),
        lambda ledger: ledger.baselines.undo("shop", "production", who="ada", why="fixed"),
        lambda ledger: ledger.feedback.record("shop", "e", "fine", who="ada", why="x", environment="production"),
        lambda ledger: ledger.feedback.record("shop", "e", "default", who="ada", why="", environment="production"),
        lambda ledger: ledger.deployments.matching("shop", "production", "done"),
        lambda ledger: ledger.leases.acquire("shop", "production", pipeline="p", run_id="r", ttl=timedelta(0)),
    ],
)
def test_a_request_that_is_wrong_is_refused_and_says_where(ledger: Ledger, ask: Callable[[Ledger], Any]) -> None:
    with pytest.raises(LedgerRefused) as caught:
        ask(ledger)
    assert place(caught.value)[1:] == HERE[1:]


@pytest.mark.parametrize(
    "record",
    [
        lambda ledger: ledger.audit.record(who=None, action="x", why="", pipeline=None, run_id=None, task_id=None),
        lambda ledger: ledger.audit.record(
            who="ada", action="x", why="", pipeline=None, run_id=None, task_id=None, detail={"x": object()}
        ),
        lambda ledger: ledger.audit.record(
            who="ada", action="x", why=object(), pipeline=None, run_id=None, task_id=None
        ),
    ],
)
def test_what_cannot_be_stored_is_refused(ledger: Ledger, record: Callable[[Ledger], Any]) -> None:
    with pytest.raises(LedgerRefused):
        record(ledger)


class DriverError(Exception):
    """An error as a PostgreSQL driver raises it."""

    def __init__(self, sqlstate: str | None) -> None:
        self.pgcode = sqlstate


@pytest.mark.parametrize(
    ("kind", "sqlstate", "final"),
    [
        (sa.exc.OperationalError, "53100", False),  # disk full
        (sa.exc.OperationalError, None, False),  # connection lost
        (sa.exc.InterfaceError, None, False),  # connection closed
        (sa.exc.InternalError, "25006", False),  # read-only transaction
        (sa.exc.ProgrammingError, "42P01", False),  # no such table yet
        (sa.exc.ProgrammingError, None, True),  # a value the driver cannot send
        (sa.exc.DataError, "22003", True),  # number out of range
        (sa.exc.IntegrityError, "23503", True),  # what it refers to does not exist
        (sa.exc.IntegrityError, "23505", False),  # another transaction inserted the same key at the same time
    ],
)
def test_errors_of_the_database_are_final_only_where_it_rejects_the_values(
    kind: type[sa.exc.DBAPIError], sqlstate: str | None, final: bool
) -> None:
    assert store.is_final(kind("INSERT", {}, DriverError(sqlstate))) is final


def test_waiting_too_long_for_a_connection_is_not_final() -> None:
    assert not store.is_final(sa.exc.TimeoutError("QueuePool limit of size 5 overflow 10 reached"))


@pytest.mark.postgres
def test_a_reader_that_hangs_keeps_nobody_out_for_ever(postgres_url: str) -> None:
    ledger = Ledger(ledger_engine(ledger_url(postgres_url)))
    alone = sa.create_engine(postgres_url, poolclass=sa.NullPool)
    locked = False
    with suppress(LedgerUnavailable), busy_for(0.2), ledger.store.reading() as hangs:
        hangs.execute(sa.text("SELECT count(*) FROM cd_deployment"))
        with alone.begin() as other:
            other.exec_driver_sql("SET LOCAL lock_timeout = '20s'")
            other.exec_driver_sql("LOCK TABLE cd_deployment IN ACCESS EXCLUSIVE MODE")
            locked = True
    assert locked
    ledger.engine.dispose()


@pytest.mark.postgres
def test_a_reader_waits_for_a_locked_table_no_longer_than_it_may(postgres_url: str) -> None:
    ledger = Ledger(ledger_engine(ledger_url(postgres_url)))
    alone = sa.create_engine(postgres_url, poolclass=sa.NullPool)
    with alone.begin() as other:
        other.exec_driver_sql("LOCK TABLE cd_deployment IN ACCESS EXCLUSIVE MODE")
        with busy_for(0.2), pytest.raises(LedgerUnavailable, match="lock timeout"):
            ledger.deployments.get("none")
    ledger.engine.dispose()
