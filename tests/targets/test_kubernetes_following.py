"""How long a change counts as not in force yet, since a gateway may be behind what its controller says of a route."""

from __future__ import annotations

from typing import cast

import pytest

from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.targets.kubernetes import KubernetesTarget
from airflow_cd.targets.kubernetes.by_route import ByRoute
from tests.targets.cluster_in_memory import APPS, CORE, ClusterInMemory

ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes"
TRAEFIK, ENVOY = "traefik.io/gateway-controller", "gateway.envoyproxy.io/gatewayclass-controller"


class Gateways(ClusterInMemory):
    """A cluster whose gateways say at once that they have taken a route.

    :ivar controllers: names of their controllers.
    """

    controllers: tuple[str, ...] = ()

    def _write(self, method: str, path: str, body: Object) -> Object:
        written = super()._write(method, path, body)
        if path.startswith(ROUTES):
            seen = {"type": "Accepted", "status": "True", "observedGeneration": written["metadata"]["generation"]}
            parents = [{"controllerName": name, "conditions": [seen]} for name in self.controllers]
            self.objects[path]["status"]["parents"] = parents
        return written


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found = list[float]()
    monkeypatch.setattr("airflow_cd.targets.kubernetes.by_weight.time.sleep", found.append)
    return found


def routing(*controllers: str, follows_within: float | None = None) -> ByRoute:
    cluster = Gateways()
    cluster.controllers = controllers
    rules = [{"backendRefs": [{"name": "web", "port": 80}]}]
    cluster.create(ROUTES, {"metadata": {"name": "web"}, "spec": {"rules": rules}})
    stable = cast("Object", cluster.get(f"{APPS}/deployments/web"))
    made = ByRoute(cast("Cluster", cluster), "shop", stable, "web", follows_within=follows_within)
    made.prepare(None)
    assert f"{CORE}/services/web-canary" in cluster.objects
    return made


@pytest.mark.parametrize(
    ("controllers", "follows_within", "seconds"),
    [
        ([ENVOY], None, 0.3),
        # As long as it may hold a change back that comes after another one.
        ([TRAEFIK], None, 2.3),
        ([ENVOY, TRAEFIK], None, 2.3),
        ([TRAEFIK], 0.35, 0.35),
        ([ENVOY], 5.0, 5.0),
    ],
)
def test_a_drain_waits_as_long_as_a_gateway_may_be_behind_its_status(
    waited: list[float], controllers: list[str], follows_within: float | None, seconds: float
) -> None:
    made = routing(*controllers, follows_within=follows_within)
    assert waited == [], "a place that gets nothing takes nothing from anybody"
    made.take_out([])
    assert waited == [seconds]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"follows_within": "soon", "route": "web"}, "follows_within of a Kubernetes target: 'soon' is not a duration"),
        ({"follows_within": -1, "ingress": "web"}, "it is negative"),
        (
            {"follows_within": "1s"},
            "follows_within of a Kubernetes target needs one of route, ingress, virtual_service",
        ),
    ],
)
def test_a_time_that_cannot_be_is_a_mistake_of_the_file(given: dict[str, str], said: str) -> None:
    (mistake,) = KubernetesTarget("kubernetes_production", "production", **given).mistakes()  # type: ignore[arg-type]
    assert said in mistake


@pytest.mark.parametrize("given", ["300ms", 0.3, 0, ""])
def test_the_time_of_ones_own_gateway_is_given_in_the_pipeline(given: str | float) -> None:
    target = KubernetesTarget("kubernetes_production", "production", route="web", follows_within=given)
    assert target.mistakes() == []
    assert target.taken_over.follows_within == {"300ms": 0.3, "": None}.get(str(given), given)  # type: ignore[union-attr]
