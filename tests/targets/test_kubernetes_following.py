"""How long a change counts as not in force yet, since a gateway may be behind what its controller says of a route."""

from __future__ import annotations

from typing import cast

import pytest

from airflow_cd.errors import TargetUnavailable
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.targets.kubernetes import KubernetesTarget, by_route
from airflow_cd.targets.kubernetes.by_route import ByRoute
from tests.targets.cluster_in_memory import APPS, CORE, ClusterInMemory

ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes"
TRAEFIK, ENVOY = "traefik.io/gateway-controller", "gateway.envoyproxy.io/gatewayclass-controller"


class Gateways(ClusterInMemory):
    """A cluster whose gateways say at once that they have taken a route.

    :ivar controllers: names of their controllers.
    :ivar later: names of controllers that have seen no change since the route was made.
    """

    controllers: tuple[str, ...] = ()
    later: tuple[str, ...] = ()

    def _write(self, method: str, path: str, body: Object) -> Object:
        written = super()._write(method, path, body)
        if path.startswith(ROUTES):
            generation = written["metadata"]["generation"]
            self.objects[path]["status"]["parents"] = [
                {
                    "controllerName": name,
                    "parentRef": {"name": name},
                    "conditions": [
                        {"type": "Accepted", "status": "True", "observedGeneration": 1 if late else generation}
                    ],
                }
                for late, names in ((False, self.controllers), (True, self.later))
                for name in names
            ]
        return written


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found = list[float]()
    monkeypatch.setattr("airflow_cd.targets.kubernetes.by_weight.time.sleep", found.append)
    return found


def routing(*controllers: str, follows_within: float | None = None, later: tuple[str, ...] = ()) -> ByRoute:
    cluster = Gateways()
    cluster.controllers = (*controllers, *later)
    rules = [{"backendRefs": [{"name": "web", "port": 80}]}]
    parents = [{"name": name} for name in cluster.controllers]
    cluster.create(ROUTES, {"metadata": {"name": "web"}, "spec": {"parentRefs": parents, "rules": rules}})
    stable = cast("Object", cluster.get(f"{APPS}/deployments/web"))
    made = ByRoute(cast("Cluster", cluster), "shop", stable, "web", follows_within=follows_within)
    made.prepare(None)
    assert f"{CORE}/services/web-canary" in cluster.objects
    cluster.controllers, cluster.later = controllers, later
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


def test_a_drain_is_not_over_while_one_of_several_gateways_has_not_seen_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_route, "_TAKEN_WITHIN", 0.1)
    made = routing(ENVOY, later=(TRAEFIK,), follows_within=0.0)
    with pytest.raises(TargetUnavailable, match=f"HTTPRoute web was written, and is not in force: {TRAEFIK} has not"):
        made.take_out([])


def test_a_gateway_that_a_route_does_not_name_any_more_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_route, "_TAKEN_WITHIN", 0.1)
    made = routing(ENVOY, later=(TRAEFIK,), follows_within=0.0)
    route = made._read()
    made._cluster.put(f"{ROUTES}/web", {**route, "spec": {**route["spec"], "parentRefs": [{"name": ENVOY}]}})
    made.take_out([])
    assert made.drained({"metadata": {"labels": {"airflow-cd/track": "canary"}}})


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
