"""Ledgers to test with: a fresh SQLite file and a fresh PostgreSQL database for each test that asks for one."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_cd.ledger import Ledger, ledger_url
from airflow_cd.ledger.models import Base
from airflow_cd.ledger.store import ledger_engine
from tests.ledger.ledger_runs import Clock, Run, eventually

START_SECONDS = 60


def _server_binaries() -> Path | None:
    found = shutil.which("postgres") or shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "postgres").exists() and (place / "initdb").exists()), None)


def _account() -> str | None:
    """PostgreSQL refuses to run as root; None: the account that runs the tests will do."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of the `postgres` database of a private server."""
    binaries = _server_binaries()
    account = _account()
    if binaries is None or (os.geteuid() == 0 and account is None):
        reason = "no PostgreSQL server binaries (initdb, postgres), or no account but root to run them as"
        if "postgres" in os.environ.get("AIRFLOW_CD_REQUIRE", ""):
            pytest.fail(f"AIRFLOW_CD_REQUIRE asks for postgres: {reason}")
        pytest.skip(reason)
    home = Path(tempfile.mkdtemp(prefix="airflow-cd-postgres-"))
    as_account: dict[str, Any] = {}
    if account is not None:
        entry = pwd.getpwnam(account)
        os.chown(home, entry.pw_uid, entry.pw_gid)
        as_account = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    server = None
    try:
        subprocess.run(
            [binaries / "initdb", "-D", home / "data", "-U", "ledger", "--auth=trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=home,
            **as_account,
        )
        port = _free_port()
        options = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "max_connections": "60",
            "shared_buffers": "16MB",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (home / "log").open("wb") as log:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", home / "data", *arguments],
                stdout=log,
                stderr=log,
                cwd=home,
                **as_account,
            )
        url = f"postgresql+psycopg2://ledger@127.0.0.1:{port}/postgres"

        def answers() -> bool:
            if server.poll() is not None:
                pytest.fail(f"the PostgreSQL server ended: {(home / 'log').read_text()}")
            try:
                _run(url, "SELECT 1")
            except sa.exc.OperationalError:
                return False
            return True

        eventually(answers, seconds=START_SECONDS)
        yield url
    finally:
        if server is not None:
            # A "fast shutdown", which does not wait for connections that tests left open.
            server.send_signal(signal.SIGINT)
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(home, ignore_errors=True)


def _run(url: str, statement: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "template.db"
    Ledger(ledger_engine(ledger_url(f"sqlite:///{path}"))).migrate()
    return path


@pytest.fixture(scope="session")
def postgres_ledger(postgres_server: str) -> str:
    """One migrated database for all tests; making one for each would take longer than the tests."""
    _run(postgres_server, "CREATE DATABASE ledger")
    url = postgres_server.replace("/postgres", "/ledger")
    Ledger(ledger_engine(ledger_url(url))).migrate()
    return url


BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=BOTH)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with nothing in it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server: str = request.getfixturevalue("postgres_server")
    name = f"empty_{uuid.uuid4().hex}"
    _run(server, f"CREATE DATABASE {name}")
    return server.replace("/postgres", f"/{name}")


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite ledger with nothing recorded."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def postgres_url(postgres_ledger: str) -> str:
    """A migrated PostgreSQL ledger with nothing recorded."""
    _run(postgres_ledger, f"TRUNCATE {', '.join(Base.metadata.tables)} RESTART IDENTITY")
    return postgres_ledger


@pytest.fixture(params=BOTH)
def url(request: pytest.FixtureRequest) -> str:
    """A migrated ledger with nothing recorded."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(url: str, clock: Clock) -> Iterator[Ledger]:
    """A ledger whose time the test moves."""
    engine = ledger_engine(ledger_url(url))
    yield Ledger(engine, clock=clock)
    engine.dispose()


@pytest.fixture
def real_ledger(url: str) -> Iterator[Ledger]:
    """A ledger that goes by the real time."""
    engine = ledger_engine(ledger_url(url))
    yield Ledger(engine)
    engine.dispose()


@pytest.fixture
def run(ledger: Ledger) -> Callable[..., Run]:
    """Make a run: ``run("run-2")``."""

    def make(run_id: str = "run-1", **more: Any) -> Run:
        return Run(ledger, run_id, **more)

    return make
