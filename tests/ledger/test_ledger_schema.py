"""Opening, migrating and refusing ledgers; where the ledger is."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from airflow_cd.errors import LedgerError
from airflow_cd.ledger import Ledger, ledger_url, open_ledger, schema
from airflow_cd.ledger.models import VERSION_TABLE, Base
from airflow_cd.ledger.store import WRITES, ledger_engine

REVISIONS = [script.revision for script in ScriptDirectory.from_config(schema.configuration()).walk_revisions()][::-1]


def upgrade(url: str, revision: str) -> None:
    engine = ledger_engine(ledger_url(url))
    with engine.connect().execution_options(**WRITES) as connection, connection.begin():
        command.upgrade(schema.configuration(connection), revision)
    engine.dispose()


@pytest.fixture
def own_url(empty_url: str) -> str:
    """A migrated ledger whose schema the test may spoil."""
    upgrade(empty_url, "head")
    return empty_url


def differences(url: str) -> list[object]:
    engine = ledger_engine(ledger_url(url))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "version_table": VERSION_TABLE}
        )
        found = compare_metadata(context, Base.metadata)
    engine.dispose()
    return list(found)


def execute(url: str, statement: str) -> None:
    engine = ledger_engine(ledger_url(url))
    with engine.connect().execution_options(**WRITES) as connection, connection.begin():
        connection.exec_driver_sql(statement)
    engine.dispose()


def test_models_and_migrations_are_the_same(url: str) -> None:
    assert differences(url) == []


def test_a_difference_between_models_and_migrations_would_be_found(own_url: str) -> None:
    execute(own_url, "ALTER TABLE cd_lease DROP COLUMN expires_at")
    execute(own_url, "DROP INDEX ix_cd_deployment_state_seq")
    assert len(differences(own_url)) == 2


def test_the_version_this_package_needs_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(schema.configuration()).get_current_head() == schema.HEAD


@pytest.mark.parametrize("older", [None, *REVISIONS[:-1]])
def test_every_older_ledger_can_be_brought_forward(empty_url: str, older: str | None) -> None:
    if older is not None:
        upgrade(empty_url, older)
    ledger = open_ledger(empty_url, check=False)
    assert ledger.revision() == older
    ledger.migrate()
    ledger.migrate()
    assert ledger.revision() == schema.HEAD
    assert differences(empty_url) == []
    open_ledger(empty_url).leases.acquire("shop", "production", pipeline="p", run_id="r", ttl=timedelta(minutes=1))


def test_a_ledger_of_a_newer_package_is_refused(own_url: str) -> None:
    execute(own_url, f"UPDATE {VERSION_TABLE} SET version_num = 'ffff'")
    with pytest.raises(LedgerError, match=r"version ffff.*Install the newer airflow-cd"):
        open_ledger(own_url)
    with pytest.raises(LedgerError, match=r"version ffff.*nothing was changed"):
        open_ledger(own_url, check=False).migrate()
    assert open_ledger(own_url, check=False).revision() == "ffff"


def test_a_ledger_never_goes_back(own_url: str) -> None:
    engine = ledger_engine(ledger_url(own_url))
    with pytest.raises(LedgerError, match="never goes back"), engine.connect() as connection, connection.begin():
        command.downgrade(schema.configuration(connection), "base")
    engine.dispose()
    assert differences(own_url) == []


def test_a_database_that_is_not_a_ledger_is_left_alone(empty_url: str) -> None:
    execute(empty_url, "CREATE TABLE theirs (number INTEGER)")
    with pytest.raises(LedgerError, match=r"has no ledger.*airflow-cd ledger migrate"):
        open_ledger(empty_url)
    engine = sa.create_engine(empty_url)
    assert sa.inspect(engine).get_table_names() == ["theirs"]
    engine.dispose()


def test_only_sqlite_is_set_up_on_the_way(postgres_server: str, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"has no ledger.*airflow-cd ledger migrate"):
        open_ledger(postgres_server)
    ledger = open_ledger(f"sqlite:///{tmp_path / 'new' / 'folder' / 'ledger.db'}")
    assert ledger.revision() == schema.HEAD


def test_sqlite_writes_ahead(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    with ledger.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert int(connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()) >= 30_000
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_threads_that_migrate_at_the_same_moment_do_it_once(empty_url: str) -> None:
    together = Barrier(4)
    ledgers = [open_ledger(empty_url, check=False) for _ in range(4)]

    def migrate(ledger: Ledger) -> None:
        together.wait()
        ledger.migrate()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, ledgers))
    assert differences(empty_url) == []


def test_one_process_opens_a_ledger_once(url: str) -> None:
    assert open_ledger(url) is open_ledger(url)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.db cannot be opened: file is not a database"):
        open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(LedgerError, match="cannot be opened") as caught:
        open_ledger("postgresql+psycopg2://ada:secret@127.0.0.1:1/ledger")
    assert "ada" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("sqlite://", "not an absolute path"),
        ("sqlite:///:memory:", "not an absolute path"),
        ("sqlite:///ledger.db", "not an absolute path"),
        ("sqlite+aiosqlite:////tmp/ledger.db", r"asynchronous|not installed"),
        ("mysql://ada:secret@host/ledger", "mysql is not supported"),
        ("secret", "not a database URL"),
        ("postgresql+nothing://host/ledger", "not installed"),
    ],
)
def test_a_url_that_cannot_serve_is_refused(url: str, why: str) -> None:
    with pytest.raises(LedgerError, match=why) as caught:
        ledger_url(url)
    assert "secret" not in str(caught.value)
    assert "[airflow_cd] sql_alchemy_conn" in str(caught.value)


def test_a_postgresql_url_without_driver_gets_an_installed_one() -> None:
    assert ledger_url("postgresql://host/ledger").get_dialect().import_dbapi()


def in_fresh_process(code: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()


def test_airflows_option_says_where_and_the_default_is_a_file_under_airflow_home(tmp_path: Path) -> None:
    code = """
import os
from airflow_cd.ledger import ledger_url
from airflow_cd.errors import LedgerError
print(ledger_url())
option = "AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN"
os.environ[option + "_SECRET"] = "not/there"
try:
    ledger_url()
except LedgerError as error:
    print(f"{type(error).__name__}: {error.what}")
os.environ[option] = "sqlite:////var/lib/ledger.db"
print(ledger_url())
"""
    found = in_fresh_process(code, AIRFLOW_HOME=str(tmp_path))
    assert found[-3:] == [
        f"sqlite:///{tmp_path / 'airflow_cd.db'}",
        (
            "LedgerUnavailable: the URL of the ledger's database cannot be read: sql_alchemy_conn_secret is set, "
            "but Airflow gets no value from it."
        ),
        "sqlite:////var/lib/ledger.db",
    ]


def test_a_command_may_say_where(tmp_path: Path) -> None:
    # Airflow runs the command only of options that a provider declares as sensitive.
    code = """
from airflow_cd import provider
info = provider.get_provider_info()
option = {"description": "", "version_added": None, "type": "string", "example": None, "default": None}
info["config"] = {"airflow_cd": {"description": "", "options": {"sql_alchemy_conn": {**option, "sensitive": True}}}}
provider.get_provider_info = lambda: info
import os
from airflow_cd.errors import LedgerUnavailable
from airflow_cd.ledger import ledger_url
print(ledger_url())
os.environ["AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN_CMD"] = "false"
try:
    ledger_url()
except LedgerUnavailable as error:
    print(error.what)
"""
    command = "echo sqlite:////var/lib/ledger.db"
    found = in_fresh_process(code, AIRFLOW_HOME=str(tmp_path), AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN_CMD=command)
    assert found[-2] == "sqlite:////var/lib/ledger.db"
    assert found[-1].startswith("the URL of the ledger's database cannot be read: Cannot execute false")


def test_the_ledger_works_where_there_is_no_airflow(tmp_path: Path) -> None:
    code = f"""
import sys
from datetime import timedelta
sys.modules["airflow"] = None
from airflow_cd.ledger import open_ledger
ledger = open_ledger("sqlite:///{tmp_path / "ledger.db"}")
print(ledger.leases.acquire("shop", "production", pipeline="p", run_id="r", ttl=timedelta(minutes=1)).run_id)
"""
    assert in_fresh_process(code) == ["r"]
