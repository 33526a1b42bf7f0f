"""The plugin's web app as Airflow's API server mounts it, its users, and a ledger of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airflow_cd.ledger import Ledger
from tests.chromium import chromium
from tests.tiers import starts

ClientAs = Callable[[str | None], TestClient]
"""A client signed in with a role of the simple auth manager (``viewer``, ``user``, ``admin``), or not at all."""
ANOTHER_LEDGER = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def ledger(new_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path}/ledger.db")
    return new_ledger


@pytest.fixture(scope="module")
@starts("browser")
def browser() -> Iterator[Any]:
    """A browser for a file of tests; longer than that its event loop would be in others' way."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def metadata() -> None:
    """Airflow's own database: who presents a token is looked up there."""
    from airflow.models.base import Base
    from airflow.settings import engine
    from airflow.utils.db import import_all_models

    import_all_models()
    Base.metadata.create_all(engine)


@pytest.fixture
def client_as(ledger: Ledger, metadata: None) -> Iterator[ClientAs]:
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    from airflow_cd.plugin import AirflowCdPlugin
    from airflow_cd.plugin.app import app

    manager = create_auth_manager()
    root = FastAPI()
    root.state.auth_manager = app.state.auth_manager = manager
    root.mount("/airflow-cd", AirflowCdPlugin.fastapi_apps[0]["app"])
    opened: list[TestClient] = []

    def client(role: str | None) -> TestClient:
        made = TestClient(root, base_url="http://airflow.test", headers={"Origin": "http://airflow.test"})
        if role is not None:
            made.cookies.set("_token", manager.generate_jwt(SimpleAuthManagerUser(username=f"{role}-1", role=role)))
        opened.append(made)
        return made

    yield client
    for made in opened:
        made.close()


@pytest.fixture
def another_ledger(metadata: None) -> Iterator[str]:
    """An Airflow that uses another ledger than this server's; its id."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    from airflow_cd.same_ledger import KEY

    with create_session() as session:
        session.add(Variable(key=KEY, val=ANOTHER_LEDGER))
    yield ANOTHER_LEDGER
    with create_session() as session:
        session.execute(delete(Variable).where(Variable.key == KEY))
