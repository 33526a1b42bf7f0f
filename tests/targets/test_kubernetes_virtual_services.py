"""Weights of a VirtualService of Istio: every route of the Service has them, and it is given back as it was."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.errors import TargetRejected, TargetUnauthorized
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import KubernetesTarget
from airflow_cd.targets.kubernetes.by_virtual_service import ByVirtualService
from airflow_cd.targets.kubernetes.deployment import TakenOverDeployment
from airflow_cd.targets.kubernetes.names import TRACK
from tests.targets.cluster_in_memory import APPS, CORE, ClusterInMemory

SERVICES = "/apis/networking.istio.io/v1/namespaces/shop/virtualservices"
CANARY: Object = {"metadata": {"labels": {TRACK: "canary"}}}
Route = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def at_once(no_waiting: None) -> None:
    """Nothing waits in a property that is tried many times either."""


def to(host: str, weight: int | None = None, **more: Any) -> dict[str, Any]:
    return {"destination": {"host": host, **more}, **({} if weight is None else {"weight": weight})}


def having(*routes: Route, **other: list[Route]) -> ClusterInMemory:
    """A cluster with a VirtualService of these HTTP routes, and of those of other kinds."""
    cluster = ClusterInMemory()
    kinds = {"http": list(routes), **other}
    spec = {kind: [{"route": route} for route in those] for kind, those in kinds.items()}
    cluster.create(SERVICES, {"metadata": {"name": "shop"}, "spec": {"hosts": ["shop.test"], **spec}})
    return cluster


def by(cluster: ClusterInMemory) -> ByVirtualService:
    stable = cluster.get(f"{APPS}/deployments/web")
    assert stable is not None
    return ByVirtualService(cast("Cluster", cluster), "shop", stable, "shop")


def routes(cluster: ClusterInMemory) -> list[Route]:
    return [one.get("route") or [] for one in cluster.objects[f"{SERVICES}/shop"]["spec"]["http"]]


@pytest.mark.parametrize("host", ["web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local"])
def test_a_canary_has_its_weight_in_every_route_of_the_service_and_in_no_other(host: str) -> None:
    first, others = [to(host, port={"number": 80})], [to("admin"), to("web.elsewhere", 0)]
    cluster = having(first, others, [to(host, 100)])
    before = cluster.get(f"{SERVICES}/shop")
    by(cluster).prepare(None)
    assert by(cluster).drained(CANARY), "it has no requests before it is given them"
    by(cluster)._write(20)
    own = host.replace("web", "web-canary", 1)
    assert routes(cluster) == [
        [to(host, 80, port={"number": 80}), to(own, 20, port={"number": 80})],
        others,
        [to(host, 80), to(own, 20)],
    ]
    assert (by(cluster).weight(CANARY), by(cluster).weight({"metadata": {}})) == (20, 80)
    by(cluster).take_out([])
    assert by(cluster).drained(CANARY)
    by(cluster).clear()
    assert before is not None
    assert cluster.objects[f"{SERVICES}/shop"]["spec"] == before["spec"]
    assert f"{CORE}/services/web-canary" not in cluster.objects


@given(
    weight=st.none() | st.integers(1, 1000),
    idle=st.booleans(),
    shares=st.lists(st.integers(0, 100), min_size=1, max_size=4),
)
def test_it_is_given_back_as_it_was(weight: int | None, idle: bool, shares: list[int]) -> None:
    route = [to("web", weight, subset="v1")] + ([to("web", 0, subset="v2")] if idle else [])
    cluster = having(route if weight or not idle else [to("web")])
    before = cluster.get(f"{SERVICES}/shop")
    by(cluster).prepare(None)
    for share in shares:
        by(cluster)._write(share)
        by(cluster)._write(share)
        (mine, canary, *rest) = routes(cluster)[0]
        assert (mine["weight"], canary["weight"]) == (100 - share, share)
        assert "subset" not in canary["destination"], "no DestinationRule knows of one"
        assert all(not one["weight"] for one in rest)
    for _ in range(2):
        by(cluster).clear()
        assert before is not None
        assert cluster.objects[f"{SERVICES}/shop"]["spec"] == before["spec"], "also where it is given back once more"


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        (having([to("web", 90, subset="v1"), to("web", 10, subset="v2")]), r"among web \(v1\) and web \(v2\)"),
        (having([to("other")], [to("web", 50), to("other", 50)]), "its HTTP route 2 already, among web and other"),
        (having([to("web")], tcp=[[to("web.shop")]]), "sends connections to web by its tcp routes too"),
        (having([to("web")], tls=[[to("web")]]), "sends connections to web by its tls routes too"),
        (having([to("other"), to("web.elsewhere.svc")]), "sends requests to other, web.elsewhere.svc"),
        (having([]), "sends requests to nothing by its HTTP routes"),
        (ClusterInMemory(), "no VirtualService 'shop' in namespace 'shop'"),
    ],
)
def test_what_weights_do_not_divide_is_refused_before_anything_is_touched(cluster: ClusterInMemory, said: str) -> None:
    before = dict(cluster.objects)
    for act in (by(cluster).check, lambda: by(cluster).prepare(None)):
        with pytest.raises(TargetRejected, match=said):
            act()
    assert cluster.objects == before


def test_its_rights_are_asked_for_before_anything_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = having([to("web")])
    monkeypatch.setattr(
        cluster,
        "missing_rights",
        lambda _, wanted: [f"{verb} {resource}" for _, resource, verb in wanted if "virtual" in resource],
    )
    target = TakenOverDeployment(
        cast("Cluster", cluster), "production", "shop", "web", virtual_service="shop", pull_check=False
    )
    with pytest.raises(TargetUnauthorized, match="may not get virtualservices, update virtualservices"):
        target.check(Release("web", "1.1", "web:1.1", {}))


def test_a_target_has_one_thing_that_divides() -> None:
    target = KubernetesTarget("kubernetes_production", "production", virtual_service="shop")
    assert target.mistakes() == []
    assert target.traffic_mistake(20, 5) == ""
    assert target.label.name == "Deployment default/production, VirtualService shop"
    both = KubernetesTarget("kubernetes_production", "production", virtual_service="shop", route="shop")
    assert both.mistakes() == [
        "a Kubernetes target has one of route, ingress, virtual_service, not route and virtual_service"
    ]
