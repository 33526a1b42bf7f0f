from __future__ import annotations

from pathlib import Path

import pytest

from airflow_cd.ledger import open_ledger
from tests.operators.world import World, copied, migrated, quick


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("empty-ledger"))


@pytest.fixture
def world(empty_ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    url = copied(empty_ledger, tmp_path)
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", url)
    return World(quick(open_ledger(url)))
