"""One Deployment for a file of tests: the fixtures of those that import them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_cd.targets.kubernetes import KubernetesTarget
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.releases import CONNECTION, whole
from tests.real.kubernetes.web import Web


@pytest.fixture(scope="module")
def shared(loaded: Cluster) -> Iterator[Web]:
    """One Deployment for all tests of a file; its pods are selected by one label more than its Service asks for."""
    at_once = {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}
    made = Web(loaded, "faults", 3, more={"part": "front"}, strategy=at_once)
    yield made
    made.remove()


@pytest.fixture
def target(shared: Web, connected: object) -> KubernetesTarget:
    return KubernetesTarget(CONNECTION, "production", deployment=shared.name)


@pytest.fixture
def web(shared: Web, target: KubernetesTarget) -> Web:
    """The Deployment on its good release, with three pods and no canary."""
    whole(shared, target, 3)
    return shared
