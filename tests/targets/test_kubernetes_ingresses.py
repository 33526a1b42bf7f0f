"""A canary Ingress beside the one that is there: its weight, and what is too much for it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.targets.kubernetes import KubernetesTarget, by_ingress
from airflow_cd.targets.kubernetes.by_ingress import CANARY, WEIGHT, ByIngress
from airflow_cd.targets.kubernetes.names import GIVEN
from tests.targets.cluster_in_memory import APPS, CORE, ClusterInMemory

CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses"
FOLLOWS = by_ingress._FOLLOWS
RATE_LIMIT, WORKERS = 1 / 0.3, 1.0
"""Seconds between two changes that ingress-nginx takes at its settings, and between two looks of its workers."""
STICKY = "nginx.ingress.kubernetes.io/affinity"


@pytest.fixture
def cluster(no_waiting: None) -> ClusterInMemory:
    made = ClusterInMemory()
    for name, controller in (("nginx", "k8s.io/ingress-nginx"), ("other", "example.com/other")):
        made.create(CLASSES, {"metadata": {"name": name}, "spec": {"controller": controller}})
    return made


def path(service: str, of: str = "/") -> Object:
    return {"path": of, "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}


def ingress(cluster: ClusterInMemory, name: str = "shop", annotations: Any = None, **spec: Any) -> None:
    rules = [{"host": "shop.test", "http": {"paths": [path("web"), path("admin", "/admin")]}}]
    body = {"ingressClassName": "nginx", "rules": rules, **spec}
    cluster.create(INGRESSES, {"metadata": {"name": name, "annotations": annotations or {}}, "spec": body})


def by(cluster: ClusterInMemory) -> ByIngress:
    stable = cluster.get(f"{APPS}/deployments/web")
    assert stable is not None
    return ByIngress(cast("Cluster", cluster), "shop", stable, "shop")


def test_a_canary_has_an_ingress_of_its_own_for_its_own_paths_alone(cluster: ClusterInMemory) -> None:
    ingress(cluster)
    before = cluster.get(f"{INGRESSES}/shop")
    by(cluster).prepare(None)
    made = cluster.objects[f"{INGRESSES}/shop-canary"]
    assert made["metadata"]["annotations"] == {CANARY: "true", WEIGHT: "0", GIVEN: "0"}
    (rule,) = made["spec"]["rules"]
    assert rule == {"host": "shop.test", "http": {"paths": [path("web-canary")]}}
    assert by(cluster).weight({"metadata": {"labels": {"airflow-cd/track": "canary"}}}) == 0
    by(cluster)._write(20)
    assert made["metadata"]["name"] in [one["metadata"]["name"] for one in cluster.every(INGRESSES)]
    assert by(cluster).weight({"metadata": {}}) == 80
    by(cluster).take_out([])
    assert by(cluster).drained({"metadata": {"labels": {"airflow-cd/track": "canary"}}})
    by(cluster).clear()
    assert f"{INGRESSES}/shop-canary" not in cluster.objects
    assert f"{CORE}/services/web-canary" not in cluster.objects
    assert cluster.get(f"{INGRESSES}/shop") == before


def test_a_weight_is_in_force_no_sooner_than_the_workers_of_ingress_nginx_have_it(
    cluster: ClusterInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingress(cluster)
    by(cluster).prepare(None)
    waited: list[float] = []
    monkeypatch.setattr(by_ingress, "_FOLLOWS", FOLLOWS)
    monkeypatch.setattr("airflow_cd.targets.kubernetes.by_weight.time.sleep", waited.append)
    by(cluster).take_out([])
    assert sum(waited) >= RATE_LIMIT + WORKERS


def test_a_canary_with_requests_loses_them_before_its_ingress_goes(cluster: ClusterInMemory) -> None:
    ingress(cluster)
    by(cluster).prepare(None)
    by(cluster)._write(100)
    written = []
    cluster.before_write = lambda method, at: written.append((method, at.rpartition("/")[2]))
    by(cluster).clear()
    assert written == [("PATCH", "shop-canary"), ("DELETE", "shop-canary"), ("DELETE", "web-canary")]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"annotations": {CANARY: "true"}}, "is a canary itself"),
        ({"annotations": {STICKY: "cookie"}}, "has sessions that stay with a pod"),
        ({"ingressClassName": "other"}, "is of class other, whose controller is example.com/other"),
        ({"ingressClassName": None}, "has no ingressClassName"),
        ({"defaultBackend": {"service": {"name": "web"}}}, "as its default backend too"),
        ({"rules": []}, "sends requests to nothing by its rules"),
    ],
)
def test_what_a_weight_does_not_divide_is_refused_before_anything_is_touched(
    cluster: ClusterInMemory, given: dict[str, Any], said: str
) -> None:
    ingress(cluster, **given)
    before = dict(cluster.objects)
    for act in (by(cluster).check, lambda: by(cluster).prepare(None)):
        with pytest.raises(TargetRejected, match=said):
            act()
    assert cluster.objects == before


def test_there_is_one_canary_of_a_path(cluster: ClusterInMemory) -> None:
    ingress(cluster)
    ingress(cluster, "theirs", {CANARY: "true"}, rules=[{"host": "other.test", "http": {"paths": [path("x")]}}])
    by(cluster).check()
    ingress(cluster, "another", {CANARY: "true"})
    with pytest.raises(TargetRejected, match="Ingress another is a canary of the same paths"):
        by(cluster).check()


def test_an_ingress_of_somebody_else_is_neither_used_nor_deleted(cluster: ClusterInMemory) -> None:
    ingress(cluster)
    ingress(cluster, "shop-canary")
    for act in (lambda: by(cluster).prepare(None), by(cluster).clear):
        with pytest.raises(TargetRejected, match="Ingress shop-canary is somebody else's"):
            act()
    assert f"{INGRESSES}/shop-canary" in cluster.objects


def test_an_ingress_that_is_not_there_is_named(cluster: ClusterInMemory) -> None:
    with pytest.raises(TargetRejected, match="no Ingress 'shop' in namespace 'shop'"):
        by(cluster).check()


def test_a_target_has_one_of_them() -> None:
    target = KubernetesTarget("kubernetes_production", "production", ingress="shop")
    assert target.mistakes() == []
    assert target.traffic_mistake(20, 5) == ""
    assert target.label.name == "Deployment default/production, Ingress shop"
    both = KubernetesTarget("kubernetes_production", "production", ingress="shop", route="shop")
    assert both.mistakes() == ["a Kubernetes target has one of route, ingress, virtual_service, not route and ingress"]
