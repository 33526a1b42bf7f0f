"""Images of a registry on a real cluster: a tag that is moved, an image that is gone, a registry that is down."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_cd.errors import ArtifactNotFound, TargetRejected, TargetUnavailable
from airflow_cd.instances import Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import KubernetesTarget
from airflow_cd.targets.rollout import wait_until
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.registry import NAME, Registry
from tests.real.kubernetes.releases import CONNECTION, drain, put
from tests.real.kubernetes.web import Web, come_to

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def registry(kubernetes: Cluster) -> Iterator[Registry]:
    made = Registry(kubernetes)
    made.start()
    yield made
    made.stop()


def release(version: str, repository: str = "shop") -> Release:
    return Release("web", version, f"{NAME}/{repository}:{version}", {})


@pytest.fixture(scope="module")
def shop(kubernetes: Cluster, registry: Registry) -> Iterator[Web]:
    """A Deployment whose nodes ask the registry for every pod, as a moved tag would have it."""
    registry.push("shop", "3.0", "3.0")
    registry.push("shop", "3.1", "3.1")
    made = Web(kubernetes, "shop", 2, image=f"{NAME}/shop:3.0", policy="Always")
    yield made
    made.remove()


@pytest.fixture
def target(shop: Web, connected: object) -> KubernetesTarget:
    return KubernetesTarget(CONNECTION, "production", deployment=shop.name)


def digests(shop: Web) -> set[str]:
    """What the pods' containers were given, by digest."""
    listed = shop.cluster.call("GET", "/api/v1/namespaces/default/pods?labelSelector=app%3Dshop")["items"]
    return {one["spec"]["containers"][0]["image"].partition("@")[2] for one in listed}


def test_an_image_that_is_not_there_is_refused_before_anything_is_touched(shop: Web, target: KubernetesTarget) -> None:
    before = shop.cluster.call("GET", shop.path)["metadata"]["generation"]
    with pytest.raises(ArtifactNotFound, match=r"shop:9\.9 cannot be pulled.*not found"):
        target.check(release("9.9"))
    assert shop.cluster.call("GET", shop.path)["metadata"]["generation"] == before
    target.check(release("3.1"))
    assert target.notes() == []
    listed = shop.cluster.call("GET", "/api/v1/namespaces/default/pods?labelSelector=airflow-cd/pulls")["items"]
    assert [one for one in listed if not one["metadata"].get("deletionTimestamp")] == []


def test_the_way_back_leads_to_what_ran_whatever_became_of_its_tag_and_with_the_registry_down(
    shop: Web, target: KubernetesTarget, registry: Registry
) -> None:
    was = registry.push("shop", "3.0", "3.0")
    target.check(release("3.1"))
    put(target, Track.CANARY, release("3.1"))
    # Both tags are moved while the canary is under way.
    bad = registry.push("shop", "3.0", "3.0-moved")
    registry.push("shop", "3.1", "3.1-moved")
    put(target, Track.STABLE, release("3.1"))
    put(target, Track.CANARY, None)
    come_to(shop.answers, {"3.1 hi"}, 20, why="what was verified is what is promoted")
    registry.stop()
    try:
        put(target, Track.STABLE, release("3.0"))
        come_to(shop.answers, {"3.0 hi"}, 20)
        assert was in digests(shop)
        with pytest.raises(TargetUnavailable, match=r"could be gone back to is not known.*connection refused"):
            target.check(release("3.1"))
    finally:
        registry.start()
    assert bad not in digests(shop)
    policy = shop.cluster.call("GET", shop.path)["spec"]["template"]
    assert policy["metadata"]["annotations"]["airflow-cd/pull-policy"] == "Always"


def test_an_image_that_runs_and_is_gone_from_its_registry_is_told_before_a_canary(
    shop: Web, target: KubernetesTarget, registry: Registry, kubernetes: Cluster
) -> None:
    # What a node has pulled from two repositories it calls by the name of one, here the other's.
    digest = registry.push("old", "1.0", "3.0")
    registry.push("old", "1.1", "old-1.1")
    old = Web(kubernetes, "old", 1, image=f"{NAME}/old:1.0", policy="IfNotPresent")
    try:
        place = KubernetesTarget(CONNECTION, "production", deployment="old")
        place.check(release("1.1", "old"))
        registry.remove("old", digest)
        with pytest.raises(ArtifactNotFound, match=rf"runs now, {NAME}/old:1\.0@{digest}, cannot be pulled any more"):
            place.check(release("1.1", "old"))
        KubernetesTarget(CONNECTION, "production", deployment="old", pull_check=False).check(release("1.1", "old"))
    finally:
        old.remove()


def test_a_tag_that_moves_in_mid_canary_shows_where_a_pod_has_come_back(
    kubernetes: Cluster, registry: Registry, connected: object
) -> None:
    registry.push("moved", "1.0", "first")
    registry.push("moved", "1.1", "other")
    moved = Web(kubernetes, "moved", 2, image=f"{NAME}/moved:1.0", policy="Always")
    try:
        place = KubernetesTarget(CONNECTION, "production", deployment="moved")
        place.check(release("1.1", "moved"))
        put(place, Track.CANARY, release("1.1", "moved"))
        now = registry.push("moved", "1.0", "second")
        gone = next(one.name for one in place.instances() if one.track == Track.STABLE)
        kubernetes.call("DELETE", f"/api/v1/namespaces/default/pods/{gone}")
        kubernetes.until(lambda: "second hi" in moved.answers(20), "the tag's new image answers")
        told = {one.artifact: one.message for one in place.instances() if one.track == Track.STABLE}
        assert told[f"{NAME}/moved:1.0@{now}"].startswith("its tag was moved: ")
        with pytest.raises(TargetRejected, match=r"different images under the name .*moved:1\.0: "):
            place.check(release("1.1", "moved"))
        drain(place)
        # Going back brings every pod to what ran when the canary began.
        put(place, Track.STABLE, release("1.0", "moved"))
        put(place, Track.CANARY, None)
        come_to(moved.answers, {"first hi"}, 20)
        wait_until(place, {Track.STABLE: release("1.0", "moved")}, timeout=20)  # type: ignore[arg-type]
    finally:
        moved.remove()
