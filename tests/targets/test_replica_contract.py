"""The contract of replicas holds of a target that keeps it, so that a failure of it says something of another."""

from __future__ import annotations

import pytest

from airflow_cd.release import Release
from airflow_cd.targets.base import ReplicaTarget
from airflow_cd.targets.replica_contract import ReplicaContract
from tests.replica_target import ReplicaMemory

GOOD = Release("shop", "1.0", "shop:1.0", {"limit": 5})


class TestReplicaMemory(ReplicaContract):
    timeout = 0.3

    @pytest.fixture
    def target(self) -> ReplicaTarget:
        target = ReplicaMemory(GOOD, 4)
        target.broken |= {"shop:1.4", "shop:1.0-is-missing"}
        return target

    @pytest.fixture
    def good(self) -> Release:
        return GOOD

    @pytest.fixture
    def other(self) -> Release:
        return Release("shop", "1.1", "shop:1.1", {"limit": 5})

    @pytest.fixture
    def broken(self) -> Release:
        return Release("shop", "1.4", "shop:1.4", {"limit": 5})
