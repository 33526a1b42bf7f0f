"""The contract of revisions holds of a platform that keeps it, so that a failure of it says something of another."""

from __future__ import annotations

import pytest

from airflow_cd.release import Release
from airflow_cd.targets.revision_contract import Meddle, RevisionContract
from tests.revision_target import RevisionMemory

GOOD = Release("shop", "1.0", "shop:1.0", {"limit": 5})


class TestRevisionMemory(RevisionContract):
    timeout = 0.3

    @pytest.fixture
    def target(self) -> RevisionMemory:
        target = RevisionMemory(GOOD)
        target.broken.add("shop:1.4")
        target.missing.add("shop:1.0-is-missing")
        return target

    @pytest.fixture
    def meddle(self, target: RevisionMemory) -> Meddle:
        return target.meddle

    @pytest.fixture
    def good(self) -> Release:
        return GOOD

    @pytest.fixture
    def other(self) -> Release:
        return Release("shop", "1.1", "shop:1.1", {"limit": 5})

    @pytest.fixture
    def broken(self) -> Release:
        return Release("shop", "1.4", "shop:1.4", {"limit": 5})
