"""What is read of a Deployment's pods while its controllers are behind, and when a pod runs what nobody deployed."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import pytest

from airflow_cd.hooks.kubernetes import Cluster
from airflow_cd.instances import HEALTHY, STARTING, Instance, Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.deployment import TakenOverDeployment
from airflow_cd.targets.kubernetes.replicas import Reading, TrackState, instances_of
from airflow_cd.targets.kubernetes.routing import Routing
from airflow_cd.targets.rollout import differences

NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
IMAGE = "registry:5000/web:1.0"
RELEASE = Release("web", "1.0", IMAGE, {})


class Even:
    """Every pod has an even part of the requests."""

    services: list[Any] = []  # noqa: RUF012 - as the protocol has it

    def drained(self, pod: Any) -> bool:
        return False

    def weight(self, pod: Any) -> float | None:
        return None


def deployment(generation: int = 3, observed: int = 3) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "web", "image": IMAGE, "imagePullPolicy": "Always"}]}}
    return {
        "metadata": {"name": "web", "generation": generation},
        "spec": {"replicas": 1, "template": template},
        "status": {"observedGeneration": observed},
    }


def pod(digest: str = OLD) -> dict[str, Any]:
    since = (NOW - timedelta(minutes=1)).isoformat()
    image_id = f"registry:5000/web@{digest}"
    return {
        "metadata": {"name": "web-1", "labels": {}},
        "spec": copy.deepcopy(deployment()["spec"]["template"]["spec"]),
        "status": {
            "startTime": since,
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": since}],
            "containerStatuses": [{"name": "web", "imageID": image_id, "state": {"running": {}}, "ready": True}],
        },
    }


class Listing:
    """A cluster with one Deployment."""

    def __init__(self, found: dict[str, Any], pods: list[dict[str, Any]]) -> None:
        owner = [{"uid": "set", "controller": True}]
        found["metadata"] |= {"uid": "deployment", "namespace": "shop"}
        found["spec"]["selector"] = {"matchLabels": {"app": "web"}}
        found["spec"]["template"]["metadata"] = {"labels": {"app": "web"}}
        replica_set = {
            "metadata": {"uid": "set", "ownerReferences": [{"uid": "deployment", "controller": True}]},
            "spec": {"replicas": 1},
            "status": {"replicas": 1},
        }
        for one in pods:
            one["metadata"]["ownerReferences"] = owner
        self.found, self.kinds = found, {"replicasets": [replica_set], "pods": pods}

    def get(self, path: str) -> dict[str, Any] | None:
        return self.found if path.endswith("/web") else None

    def every(self, path: str, selector: str = "") -> list[dict[str, Any]]:
        return self.kinds.get(path.rpartition("/")[2], []) if "canary" not in selector else []


def read(state: TrackState, **meaning: str) -> list[Instance]:
    reading = Reading(
        container="",
        routing=cast("Routing", Even()),
        at=NOW,
        configuration=lambda name: {},
        output=lambda name, container, before: "",
        meaning=meaning or {IMAGE: OLD},
    )
    return instances_of(state, reading)


def test_what_was_so_before_a_change_is_no_answer_to_it() -> None:
    settled = TrackState(Track.STABLE, deployment(), [], [pod()])
    assert differences(read(settled), {Track.STABLE: RELEASE}) == []
    behind = TrackState(Track.STABLE, deployment(generation=4), [], [pod()])
    listed = read(behind)
    assert [one.health for one in listed] == [HEALTHY, STARTING]
    assert "have not yet done what was asked for" in differences(listed, {Track.STABLE: RELEASE})[0]


def test_a_container_that_a_webhook_has_put_first_is_not_the_release() -> None:
    injected = pod()
    injected["spec"]["containers"].insert(0, {"name": "proxy", "image": "mesh/proxy:1"})
    injected["status"]["containerStatuses"].insert(0, {"name": "proxy", "state": {"running": {}}, "ready": True})
    cluster = Listing(deployment(), [injected])
    (found,) = TakenOverDeployment(cast("Cluster", cluster), "production", "shop", "web").instances()
    assert found.artifact == IMAGE


@pytest.mark.parametrize("more", [{}, {"state": {"waiting": {"reason": "ContainerCreating"}}}])
def test_a_pod_whose_tag_means_another_image_by_now_runs_another_release(more: dict[str, Any]) -> None:
    moved = pod(NEW)
    moved["status"]["containerStatuses"][0] |= more
    (found,) = read(TrackState(Track.STABLE, deployment(), [], [moved]))
    assert found.artifact == f"{IMAGE}@{NEW}"
    assert found.message.startswith("its tag was moved")
    assert not found.runs(RELEASE)
