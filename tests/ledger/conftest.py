"""Ledgers to test with: a fresh SQLite file and a fresh PostgreSQL database for each test that asks for one."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.ledger import Ledger, ledger_url
from airflow_cd.ledger.models import Base
from airflow_cd.ledger.store import ledger_engine
from tests.ledger.ledger_runs import Clock, Run
from tests.postgres import create_database, execute


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "template.db"
    Ledger(ledger_engine(ledger_url(f"sqlite:///{path}"))).migrate()
    return path


@pytest.fixture(scope="session")
def postgres_ledger(postgres_server: str) -> str:
    """One migrated database for all tests; making one for each would take longer than the tests."""
    url = create_database(postgres_server, "ledger")
    Ledger(ledger_engine(ledger_url(url))).migrate()
    return url


BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=BOTH)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with nothing in it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server: str = request.getfixturevalue("postgres_server")
    return create_database(server, f"empty_{uuid.uuid4().hex}")


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite ledger with nothing recorded."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def postgres_url(postgres_ledger: str) -> str:
    """A migrated PostgreSQL ledger with nothing recorded."""
    execute(postgres_ledger, f"TRUNCATE {', '.join(Base.metadata.tables)} RESTART IDENTITY")
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
