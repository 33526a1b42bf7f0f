"""Copies of requests for a new side that has none: asked for of gateways that can make them, and of no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from airflow_cd import BlueGreen, Canary, Environment, Phase, Pipeline, Verification
from airflow_cd.errors import PipelineError, TargetRejected
from airflow_cd.hooks.kubernetes import Cluster
from airflow_cd.sources import FileLogs
from airflow_cd.targets.kubernetes import KubernetesTarget
from airflow_cd.targets.kubernetes.by_route import ByRoute
from airflow_cd.targets.kubernetes.rules import mirrors_of
from tests.targets.cluster_in_memory import APPS, CORE, ClusterInMemory

pytestmark = pytest.mark.usefixtures("no_waiting")

GATEWAYS = "/apis/gateway.networking.k8s.io/v1"
ROUTES = f"{GATEWAYS}/namespaces/shop/httproutes"
ALL = ["HTTPRouteRequestMirror", "HTTPRouteRequestMultipleMirrors", "HTTPRouteRequestPercentageMirror"]


@pytest.fixture
def cluster() -> ClusterInMemory:
    return ClusterInMemory()


def behind(cluster: ClusterInMemory, features: list[Any], filters: list[Any] | None = None, **parent: str) -> None:
    """A route behind a gateway of a class that says what it can do."""
    made = {"metadata": {"name": "some"}, "status": {"supportedFeatures": features}}
    cluster.create(f"{GATEWAYS}/gatewayclasses", made)
    spec = {"gatewayClassName": "some"}
    cluster.create(f"{GATEWAYS}/namespaces/infra/gateways", {"metadata": {"name": "front"}, "spec": spec})
    rule = {"backendRefs": [{"name": "web", "port": 80}], **({"filters": filters} if filters else {})}
    parents = [{"name": "front", "namespace": "infra", **parent}]
    cluster.create(ROUTES, {"metadata": {"name": "web"}, "spec": {"parentRefs": parents, "rules": [rule]}})


def by(cluster: ClusterInMemory, mirror: int = 100) -> ByRoute:
    stable = cluster.get(f"{APPS}/deployments/web")
    assert stable is not None
    return ByRoute(cast("Cluster", cluster), "shop", stable, "web", mirror)


def copies(cluster: ClusterInMemory) -> list[Any]:
    (rule,) = cluster.objects[f"{ROUTES}/web"]["spec"]["rules"]
    return [one["requestMirror"] for one in mirrors_of(rule)]


def weights(cluster: ClusterInMemory) -> list[int]:
    (rule,) = cluster.objects[f"{ROUTES}/web"]["spec"]["rules"]
    return [one.get("weight", 1) for one in rule["backendRefs"]]


def test_a_new_side_gets_copies_until_it_gets_requests(cluster: ClusterInMemory) -> None:
    behind(cluster, [{"name": name} for name in ALL])
    before = cluster.get(f"{ROUTES}/web")
    by(cluster, 25).prepare(0)
    assert copies(cluster) == [{"backendRef": {"name": "web-canary", "port": 80}, "percent": 25}]
    assert weights(cluster) == [100, 0]
    by(cluster, 25).prepare(100)
    assert copies(cluster) != [], "it has them until it has requests"
    by(cluster, 25)._write(100)
    assert (copies(cluster), weights(cluster)) == ([], [0, 100])
    by(cluster, 25).clear()
    assert before is not None
    assert cluster.objects[f"{ROUTES}/web"]["spec"] == before["spec"]
    assert f"{CORE}/services/web-canary" not in cluster.objects


def test_a_drained_new_side_gets_no_copies_either(cluster: ClusterInMemory) -> None:
    behind(cluster, ALL)
    by(cluster).prepare(0)
    assert copies(cluster) == [{"backendRef": {"name": "web-canary", "port": 80}}]
    by(cluster).take_out([])
    assert copies(cluster) == []
    by(cluster).prepare(0)
    assert len(copies(cluster)) == 1, "asked for again"


def test_a_canary_with_requests_gets_no_copies(cluster: ClusterInMemory) -> None:
    behind(cluster, ALL)
    by(cluster).prepare(None)
    assert copies(cluster) == []


@pytest.mark.parametrize(
    ("features", "mirror", "missing"),
    [
        ([], 100, "HTTPRouteRequestMirror"),
        (ALL[:1], 50, "HTTPRouteRequestPercentageMirror"),
        (ALL[:1], 100, ""),
    ],
)
def test_a_gateway_that_makes_no_copies_is_refused_before_its_route_is_touched(
    cluster: ClusterInMemory, features: list[str], mirror: int, missing: str
) -> None:
    behind(cluster, [{"name": name} for name in features])
    before = dict(cluster.objects)
    if not missing:
        by(cluster, mirror).check()
        return
    for act in (by(cluster, mirror).check, lambda: by(cluster, mirror).prepare(0)):
        with pytest.raises(TargetRejected, match=rf"Gateway front of HTTPRoute web .*\({missing}\)"):
            act()
    assert cluster.objects == before


def test_copies_of_somebody_else_stay_and_need_a_gateway_of_several(cluster: ClusterInMemory) -> None:
    theirs = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "theirs", "port": 80}}}
    behind(cluster, ALL[:1], [theirs])
    with pytest.raises(TargetRejected, match="HTTPRouteRequestMultipleMirrors"):
        by(cluster).check()


def test_a_deployment_under_way_can_be_checked_again(cluster: ClusterInMemory) -> None:
    behind(cluster, ALL[:1])
    by(cluster).prepare(0)
    by(cluster).check()


def test_what_is_no_gateway_is_refused(cluster: ClusterInMemory) -> None:
    behind(cluster, ALL, kind="Service", group="")
    with pytest.raises(TargetRejected, match="Service front of HTTPRoute web does not say"):
        by(cluster).check()


def test_all_of_a_verification_is_done_on_copies() -> None:
    watched = Verification(logs=[FileLogs("/var/log/*.log")], duration="1m", sensitivity="high")
    with_copies = KubernetesTarget("kubernetes_production", "production", route="shop", mirror=20)
    without = KubernetesTarget("kubernetes_production", "production", route="shop")
    for strategy in (
        BlueGreen(Environment("production"), verify=watched),
        Canary(Environment("production"), phases=[Phase(20, traffic=0), 100], verify=watched),
    ):
        assert strategy.steps(with_copies)[0].verify == watched
        assert strategy.steps(without)[0].verify != watched


def test_no_replica_gets_copies_of_more_requests_than_others_have() -> None:
    watched = Verification(logs=[FileLogs("/var/log/{instance}.log")], duration="1m", sensitivity="high")

    def wrong(mirror: int, stage: BlueGreen | Canary) -> str:
        target = KubernetesTarget("kubernetes_production", "production", route="shop", mirror=mirror)
        stage = replace(stage, environment=Environment("production", target=target))
        try:
            Pipeline("shop", stages=[stage]).dag()
        except PipelineError as error:
            return str(error)
        return ""

    canary = Canary(Environment("production"), phases=[Phase(20, traffic=0), 100], verify=watched)
    assert "20 % of the replicas would get copies of 100 % of the requests" in (said := wrong(100, canary))
    assert "write KubernetesTarget(..., mirror=20) or less" in said
    assert wrong(20, canary) == ""
    assert wrong(100, BlueGreen(Environment("production"), verify=watched)) == ""
    assert wrong(100, replace(canary, phases=[20, 100])) == "", "a canary with requests gets no copies"


def test_copies_need_a_route_and_a_percent() -> None:
    def wrong(**given: Any) -> str:
        return " ".join(KubernetesTarget("kubernetes_production", "production", **given).mistakes())

    assert "needs the HTTPRoute whose gateway copies requests" in wrong(mirror=10)
    assert "whole percent from 0 to 100, got 120" in wrong(mirror=120, route="shop")
    assert wrong(mirror=100, route="shop") == ""


def test_a_rule_that_divides_requests_already_is_refused_before_anything_is_touched(cluster: ClusterInMemory) -> None:
    behind(cluster, [])
    backends = cluster.objects[f"{ROUTES}/web"]["spec"]["rules"][0]["backendRefs"]
    backends.append({"name": "before", "port": 80, "weight": 0})
    by(cluster, 0).check()
    backends[1]["weight"] = 3
    before = dict(cluster.objects)
    for act in (by(cluster, 0).check, lambda: by(cluster, 0).prepare(None)):
        with pytest.raises(TargetRejected, match="HTTPRoute web divides requests among web and before already"):
            act()
    assert cluster.objects == before


def test_sessions_that_no_weight_moves_are_refused_before_anything_is_touched(cluster: ClusterInMemory) -> None:
    behind(cluster, [])
    rules = cluster.objects[f"{ROUTES}/web"]["spec"]["rules"]
    session = {"sessionPersistence": {"sessionName": "cart"}}
    rules.append({"backendRefs": [{"name": "other", "port": 80}], **session})
    by(cluster, 0).check()
    rules.insert(0, {"backendRefs": [{"name": "web", "port": 80}], **session})
    before = dict(cluster.objects)
    for act in (by(cluster, 0).check, lambda: by(cluster, 0).prepare(None)):
        with pytest.raises(
            TargetRejected, match=r"HTTPRoute web lets sessions stay .* \(sessionPersistence of its rule 1\)"
        ):
            act()
    assert cluster.objects == before
