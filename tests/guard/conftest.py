from __future__ import annotations

from pathlib import Path

import pytest

from airflow_cd.guard import finishing
from airflow_cd.ledger import open_ledger
from tests.guard.scene import Scene
from tests.new_ledgers import copied, quick


@pytest.fixture
def scene(empty_ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    found = Scene(quick(open_ledger(copied(empty_ledger, tmp_path))))
    monkeypatch.setattr(finishing, "described_target", lambda description: found.target)
    return found
