"""Requests divided by a VirtualService that a real istiod serves, by a real Envoy.

istiod is built the first time, which takes as long as Kubernetes does: ``AIRFLOW_CD_ISTIO=1 make real ARGS="-k mesh"``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import requests

from airflow_cd.instances import Track
from airflow_cd.targets.kubernetes import KubernetesTarget
from tests.real.conftest import CACHE
from tests.real.kubernetes import mesh
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.releases import CONNECTION, OTHER, drain, give, put
from tests.real.kubernetes.web import Web, come_to

from .test_kubernetes_sides import side, steadily

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def address(loaded: Cluster) -> str:
    return mesh.start(loaded, CACHE)


@pytest.fixture
def web(loaded: Cluster) -> Iterator[Web]:
    made = Web(loaded, "meshed", 2)
    yield made
    made.remove()


def test_requests_are_divided_by_the_weights_of_a_virtual_service(
    web: Web, address: str, connected: object, measured: Callable[[str], None]
) -> None:
    mesh.virtual_service(web.cluster, web.name, web.name)
    target = KubernetesTarget(CONNECTION, "production", deployment=web.name, virtual_service=web.name)
    session = requests.Session()
    session.trust_env = False

    def answers(count: int) -> list[str]:
        host = {"Host": f"{web.name}.test"}
        found = [session.get(f"{address}/", headers=host, timeout=5) for _ in range(count)]
        for one in found:
            one.raise_for_status()
        return [one.text.strip() for one in found]

    web.cluster.until(lambda: set(answers(3)) == {"1.0 hi"} or None, "the VirtualService is served")
    before = web.cluster.call("GET", f"{mesh.SERVICES}/{web.name}")
    target.check(OTHER)
    with steadily(answers) as failed:
        put(target, Track.CANARY, OTHER, 34)
        assert {one.drained for one in target.instances() if one.track == Track.CANARY} == {True}
        come_to(answers, {"1.0 hi"}, why="no weight before somebody gives it")
        give(target)
        web.cluster.until(lambda: 20 < answers(100).count("1.1 hello") < 50 or None, "a third is the canary's")
        began = time.monotonic()
        drain(target)
        took = time.monotonic() - began
        behind = come_to(answers, {"1.0 hi"}, 100)
        measured(f"drained after {took:.2f} s, Envoy {behind:.2f} s behind that")
        assert behind < 0.05, "what is drained is in force when that returns"
        side(target, OTHER, 100)
        come_to(answers, {"1.1 hello"}, 100)
        put(target, Track.CANARY, None)
        come_to(answers, {"1.0 hi"}, 100)
    assert failed == []
    after = web.cluster.call("GET", f"{mesh.SERVICES}/{web.name}")
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("annotations") == before["metadata"].get("annotations")
