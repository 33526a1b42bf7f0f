from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_cd.delivery import outlasting
from airflow_cd.ledger import open_ledger
from tests.new_ledgers import copied, quick
from tests.operators.world import World


@pytest.fixture
def world(empty_ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    url = copied(empty_ledger, tmp_path)
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", url)
    return World(quick(open_ledger(url)))


class Rests:
    """The pauses between attempts, which take no time; what happens in them, and an end to waiting for nothing."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.then: Callable[[], None] = lambda: None

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) > 50:
            raise AssertionError("nothing ends the waiting")
        self.then()


@pytest.fixture(autouse=True)
def rests(monkeypatch: pytest.MonkeyPatch) -> Rests:
    found = Rests()
    monkeypatch.setattr(outlasting, "rest", found)
    return found
