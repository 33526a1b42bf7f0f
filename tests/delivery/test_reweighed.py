"""What others change beside a canary, or of its place in a route, while it is watched."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import pytest

from airflow_cd.delivery import Delivery
from airflow_cd.delivery.sides import SidesNow
from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Cluster
from airflow_cd.instances import Track
from airflow_cd.ledger import Ledger
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import KubernetesTarget
from airflow_cd.targets.kubernetes.deployment import TakenOverDeployment
from tests.targets.cluster_in_memory import APPS, ClusterInMemory

pytestmark = pytest.mark.usefixtures("no_waiting")

ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes"
RULES = {"rules": [{"backendRefs": [{"name": "web", "port": 80}]}]}
WEB = f"{APPS}/deployments/web"
NEW = Release("web", "1.1", "web:1.1", {})


def begun(
    ledger: Ledger,
    target: KubernetesTarget,
    cluster: ClusterInMemory,
    said: list[str],
    *,
    share: int = 20,
    traffic: int | None = None,
) -> Delivery:
    """A run that has deployed to a canary."""
    there = TakenOverDeployment(cast("Cluster", cluster), "production", "shop", "web", route=target.route)
    target.__dict__["taken_over"] = there
    mine = Delivery(
        ledger,
        target,
        pipeline="shop",
        run_id="run-1",
        service="shop",
        environment="production",
        log=said.append,
        timeout=timedelta(seconds=10),
    )
    mine.deploy(NEW, phase="first", share=share, traffic=traffic)
    return mine


def sides_of(mine: Delivery, name: str = "first") -> SidesNow:
    phase = mine.phase(name)
    assert phase is not None
    return SidesNow(mine, mine.require_deployment(), phase)


@pytest.fixture
def routed() -> ClusterInMemory:
    """A cluster with a route."""
    cluster = ClusterInMemory()
    cluster.create(ROUTES, {"metadata": {"name": "web"}, "spec": RULES})
    return cluster


@pytest.mark.parametrize("looked", [True, False], ids=["while it is watched", "before it is looked at"])
def test_the_verification_of_a_canary_whose_place_is_taken_away_ends_and_the_way_back_is_open(
    new_ledger: Ledger, routed: ClusterInMemory, looked: bool
) -> None:
    target = KubernetesTarget("memory", "production", "shop", "web", route="web")
    mine = begun(new_ledger, target, routed, [])
    sides = sides_of(mine)
    if looked:
        assert sides.now() is not None
    by = [{"manager": "argocd-controller", "time": "2026-11-30T04:00:00Z", "fieldsV1": {"f:spec": {"f:rules": {}}}}]
    routed.put(f"{ROUTES}/web", {"metadata": {"name": "web", "managedFields": by}, "spec": RULES})
    with pytest.raises(TargetRejected, match="HTTPRoute web was changed by argocd-controller"):
        sides.now()
    assert mine.roll_back("its requests are somebody else's") is not None
    assert not [one for one in target.instances() if one.track == Track.CANARY]


def test_a_canary_that_the_run_has_drained_is_nobodys_work(new_ledger: Ledger, routed: ClusterInMemory) -> None:
    said = list[str]()
    mine = begun(new_ledger, KubernetesTarget("memory", "production", "shop", "web", route="web"), routed, said)
    deployment = mine.require_deployment()
    assert mine.drain(mine.lease(), deployment, mine.touched(deployment))
    assert sides_of(mine).now() is not None
    assert not [line for line in said if "asking" in line]


def test_what_somebody_changes_beside_a_canary_is_told_once_in_log_and_verdict(new_ledger: Ledger) -> None:
    cluster, said = ClusterInMemory(), list[str]()
    target = KubernetesTarget("memory", "production", "shop", "web")
    mine = begun(new_ledger, target, cluster, said)
    sides = sides_of(mine)
    before = sides.now()
    assert before is not None
    assert before.notes == ()
    limits = {"limits": {"memory": "64Mi"}}
    cluster.objects[WEB]["spec"]["template"]["spec"]["containers"][0]["resources"] = limits
    now = [sides.now() for _ in range(3)][-1]
    assert now is not None
    (told,) = now.notes
    assert told.endswith("Deployment web was changed in the middle of a deployment: resources of container web.")
    assert said.count(told) == 1
    assert mine.roll_back("it errs") is not None
    mine.settle()
    assert {one.message for one in target.instances()} == {""}
    assert cluster.objects[WEB]["spec"]["template"]["spec"]["containers"][0]["resources"] == limits


# -- a canary that is deleted ------------------------------------------------------------------------------------------


def test_the_requests_of_a_canary_that_is_deleted_are_given_back_at_once(
    new_ledger: Ledger, routed: ClusterInMemory
) -> None:
    before = routed.get(f"{ROUTES}/web")
    mine = begun(new_ledger, KubernetesTarget("memory", "production", "shop", "web", route="web"), routed, [])
    sides = sides_of(mine)
    routed.delete(f"{WEB}-canary")
    told = "somebody has deleted Deployment web-canary, and HTTPRoute web gives it 20 % of the requests"
    with pytest.raises(TargetRejected, match=told):
        sides.now()
    assert mine.roll_back("its requests are nobody's") is not None
    after = routed.get(f"{ROUTES}/web")
    assert before is not None
    assert after is not None
    assert after["spec"] == before["spec"]


def test_a_new_side_that_is_deleted_gives_its_services_back(new_ledger: Ledger) -> None:
    cluster = ClusterInMemory(3)
    target = KubernetesTarget("memory", "production", "shop", "web")
    mine = begun(new_ledger, target, cluster, [], share=100, traffic=0)
    mine.deploy(NEW, phase="switch", share=100, traffic=100)
    assert cluster.served() == {"web:1.1"}
    sides = sides_of(mine, "switch")
    assert sides.now() is not None
    cluster.delete(f"{WEB}-canary")
    with pytest.raises(TargetRejected, match="web-canary, and Service web sends all requests to it"):
        sides.now()
    assert mine.roll_back("nobody answers") is not None
    assert cluster.served() == {"web:1.0"}


def test_a_canary_without_requests_of_its_own_is_made_again_which_is_told(new_ledger: Ledger) -> None:
    cluster, said = ClusterInMemory(), list[str]()
    mine = begun(new_ledger, KubernetesTarget("memory", "production", "shop", "web"), cluster, said)
    sides = sides_of(mine)
    cluster.delete(f"{WEB}-canary")
    for _ in range(3):
        now = sides.now()
    assert now is not None
    assert len(now.canary) == 1
    assert now.notes == ("At one look there were no replicas of the canary any more, which somebody has taken away.",)
    assert len([line for line in said if "somebody has taken away: asking for" in line]) == 1
