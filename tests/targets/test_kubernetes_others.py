"""What others have to say about a Deployment: quotas, and whoever writes to it beside Airflow CD."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from airflow_cd.errors import TargetRejected
from airflow_cd.instances import HEALTHY, STARTING
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.headroom import needs_of, quantity, require_headroom, surge_of
from airflow_cd.targets.kubernetes.health import health_of
from airflow_cd.targets.kubernetes.ownership import changed_since, kept_by, meant
from airflow_cd.targets.kubernetes.template import with_release

NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
RESOURCES = {"requests": {"cpu": "250m"}, "limits": {"cpu": "1", "memory": "128Mi"}}
DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "replicas": 4,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {"spec": {"containers": [{"name": "web", "image": "web:1.0", "resources": RESOURCES}]}},
    },
}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3", Decimal(3)),
        ("500m", Decimal("0.5")),
        ("1.5Gi", Decimal(1610612736)),
        ("2k", Decimal(2000)),
        ("1e3", Decimal(1000)),
        ("many", None),
    ],
)
def test_quantities_are_read_as_kubernetes_writes_them(text: str, number: Decimal | None) -> None:
    assert quantity(text) == number


def test_what_is_limited_and_not_asked_for_counts_as_it_is_limited() -> None:
    needs = needs_of(DEPLOYMENT["spec"]["template"])
    assert needs["requests.cpu"] == Decimal("0.25")
    assert needs["requests.memory"] == needs["limits.memory"] == Decimal(128 * 1024 * 1024)


@pytest.mark.parametrize(
    ("rolling", "surge"),
    [({"maxUnavailable": 0}, 1), ({"maxUnavailable": 1}, 0), ({"maxUnavailable": "24%"}, 1), ({}, 0)],
)
def test_a_change_needs_a_pod_more_where_none_may_be_missing(rolling: dict[str, Any], surge: int) -> None:
    deployment = copy.deepcopy(DEPLOYMENT)
    deployment["spec"]["strategy"]["rollingUpdate"] = rolling
    assert surge_of(deployment) == surge


def quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "team"}, "spec": spec, "status": {"hard": hard, "used": used}}


def test_a_quota_without_room_for_the_way_back_is_named_with_its_numbers() -> None:
    enough = quota({"pods": "6", "limits.memory": "1Gi"}, {"pods": "4", "limits.memory": "512Mi"})
    require_headroom([enough], DEPLOYMENT, 1)
    with pytest.raises(TargetRejected) as caught:
        require_headroom([enough, quota({"pods": "5"}, {"pods": "4"})], DEPLOYMENT, 1)
    assert "need 2 more pods: quota team has pods 5, of which 4 are used and 2 would be added" in caught.value.what
    with pytest.raises(TargetRejected, match=r"requests\.cpu 1250m, of which 1 are used and 0\.5 would be added"):
        require_headroom([quota({"requests.cpu": "1250m"}, {"requests.cpu": "1"})], DEPLOYMENT, 1)
    require_headroom([quota({"pods": "0"}, {"pods": "0"}, scopes=["BestEffort"])], DEPLOYMENT, 1)


def written_by(manager: str, when: str) -> dict[str, Any]:
    fields = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}}}
    return {"manager": manager, "operation": "Update", "time": when, "fieldsV1": fields}


def given(release: Release, image: str) -> dict[str, Any]:
    deployment = copy.deepcopy(DEPLOYMENT)
    template = with_release(deployment["spec"]["template"], release, image, secret="web-cd-1", container="")
    deployment["spec"]["template"] = template
    deployment["metadata"]["annotations"] = meant(template, "")
    deployment["metadata"]["managedFields"] = [
        written_by("kubectl-create", "2026-11-01T08:00:00Z"),
        written_by("airflow-cd", "2026-11-29T11:00:00Z"),
    ]
    return deployment


def test_whoever_changes_what_was_given_is_named() -> None:
    release = Release("web", "1.1", "web:1.1", {"MODE": "new"})
    deployment = given(release, "web:1.1")
    assert changed_since(deployment, "") == ""
    undone = copy.deepcopy(deployment)
    undone["spec"]["template"]["spec"]["containers"][0]["image"] = "web:1.0"
    undone["metadata"]["managedFields"].append(written_by("kubectl-rollout", "2026-11-29T11:30:00Z"))
    assert changed_since(undone, "") == (
        "Deployment web was given web:1.0 by kubectl-rollout at 2026-11-29T11:30:00Z, after Airflow CD had given it "
        "web:1.1"
    )
    reconfigured = copy.deepcopy(deployment)
    del reconfigured["spec"]["template"]["metadata"]["annotations"]["airflow-cd/configuration"]
    assert "was given another configuration" in changed_since(reconfigured, "")
    assert changed_since(DEPLOYMENT, "") == "", "of what we have never written nothing is said"


def test_a_tool_that_puts_back_is_known_by_what_it_has_written_too() -> None:
    deployment = copy.deepcopy(DEPLOYMENT)
    deployment["metadata"]["managedFields"] = [written_by("kubectl-client-side-apply", "2026-11-01T08:00:00Z")]
    assert kept_by(deployment) is None
    deployment["metadata"]["managedFields"].append(written_by("kustomize-controller", "2026-11-02T08:00:00Z"))
    assert kept_by(deployment) == "Flux"
    deployment["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}
    assert kept_by(deployment) == "Argo CD"


@pytest.mark.parametrize(("ready_for", "health"), [(5, STARTING), (11, HEALTHY)])
def test_a_pod_that_has_ended_once_has_to_stay_up_longer(ready_for: int, health: str) -> None:
    since = (NOW - timedelta(seconds=ready_for)).isoformat()
    one = {
        "name": "web",
        "state": {"running": {}},
        "restartCount": 1,
        "ready": True,
        "lastState": {"terminated": {"exitCode": 1}},
    }
    found = {
        "status": {
            "containerStatuses": [one],
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": since}],
        }
    }
    said = health_of(found, NOW, lambda name, before: "")
    assert said[0] == health
    assert "started again 1 time, last because it ended with exit code 1" in said[1]


def test_a_pod_that_is_starting_again_says_why_it_has_ended() -> None:
    one = {
        "name": "web",
        "state": {"running": {"startedAt": NOW.isoformat()}},
        "restartCount": 1,
        "ready": False,
        "lastState": {"terminated": {"exitCode": 3}},
    }
    asked = []

    def last_lines(name: str, before: bool) -> str:
        asked.append((name, before))
        return "ImportError: no tax"

    found = {"status": {"containerStatuses": [one], "conditions": [{"type": "Ready", "status": "False"}]}}
    _, said = health_of(found, NOW, last_lines)
    assert said.endswith("last because it ended with exit code 3; its last lines: ImportError: no tax")
    assert asked == [("web", True)]
