"""A tool that takes a canary's place in a route away while it is watched."""

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
from airflow_cd.targets.kubernetes import KubernetesTarget, by_route
from airflow_cd.targets.kubernetes.by_route import ByRoute
from airflow_cd.targets.kubernetes.deployment import TakenOver
from tests.targets.cluster_in_memory import ClusterInMemory

ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes"
RULES = {"rules": [{"backendRefs": [{"name": "web", "port": 80}]}]}
NEW = Release("web", "1.1", "web:1.1", {})


def test_its_verification_ends_and_the_way_back_is_open(new_ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ByRoute, "_await_taken", lambda self, generation: None)
    monkeypatch.setattr(by_route, "_FOLLOWS", 0.0)
    cluster = ClusterInMemory()
    cluster.create(ROUTES, {"metadata": {"name": "web"}, "spec": RULES})
    target = KubernetesTarget("memory", "production", "shop", "web", route="web")
    there = TakenOver(cast("Cluster", cluster), "production", "shop", "web", route="web")
    target.__dict__["taken_over"] = there
    mine = Delivery(
        new_ledger,
        target,
        pipeline="shop",
        run_id="run-1",
        service="shop",
        environment="production",
        log=lambda line: None,
        timeout=timedelta(seconds=10),
    )
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    sides = SidesNow(mine, mine.require_deployment(), phase)
    assert sides.now() is not None
    by = [{"manager": "argocd-controller", "time": "2026-11-30T04:00:00Z", "fieldsV1": {"f:spec": {"f:rules": {}}}}]
    cluster.put(f"{ROUTES}/web", {"metadata": {"name": "web", "managedFields": by}, "spec": RULES})
    with pytest.raises(TargetRejected, match="HTTPRoute web was changed by argocd-controller"):
        sides.now()
    assert mine.roll_back("its requests are somebody else's") is not None
    assert not [one for one in target.instances() if one.track == Track.CANARY]
