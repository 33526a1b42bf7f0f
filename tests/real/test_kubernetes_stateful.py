"""A StatefulSet of a real Kubernetes: its own last pods are the canary, with their names and volumes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import KubernetesTarget
from airflow_cd.targets.replica_contract import ReplicaContract
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.releases import BROKEN, CONNECTION, GOOD, OTHER
from tests.real.kubernetes.stateful import StatefulWeb

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def shared(loaded: Cluster) -> Iterator[StatefulWeb]:
    web = StatefulWeb(loaded, "stateful", 3)
    yield web
    web.remove()


@pytest.fixture
def target(shared: StatefulWeb, connected: object) -> KubernetesTarget:
    return KubernetesTarget(CONNECTION, "production", stateful_set=shared.name)


class TestStatefulSet(ReplicaContract):
    @pytest.fixture
    def target(self, shared: StatefulWeb, connected: object) -> KubernetesTarget:
        return KubernetesTarget(CONNECTION, "production", stateful_set=shared.name)

    @pytest.fixture
    def good(self) -> Release:
        return GOOD

    @pytest.fixture
    def other(self) -> Release:
        return OTHER

    @pytest.fixture
    def broken(self) -> Release:
        return BROKEN
