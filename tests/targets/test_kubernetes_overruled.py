"""A process that is overruled while it is at work, after its token was looked at: its late writes take no effect."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import pytest

from airflow_cd.errors import TargetConflict
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.instances import Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.deployment import TakenOverDeployment
from airflow_cd.targets.kubernetes.names import KEYS, TOKEN
from airflow_cd.targets.kubernetes.stateful_set import TakenOverStatefulSet
from tests.targets.cluster_in_memory import APPS, CORE, ClusterInMemory
from tests.targets.stateful_set_in_memory import SET, StatefulSetInMemory

pytestmark = pytest.mark.usefixtures("no_waiting")

NEW = Release("web", "1.1", "web:1.1", {})
DEPLOYMENT = f"{APPS}/deployments/web"
_Step = Callable[[Any], None]


def give(release: Release | None, track: Track, token: int) -> _Step:
    return lambda target: target.deploy(release, [track], share=34, key=f"{release}-{track}-{token}", token=token)


def drained(token: int) -> _Step:
    return lambda target: target.drain([Track.CANARY], key=f"drain-{token}", token=token)


def restored(target: Any) -> None:
    target.restore([Track.CANARY], key="restore", token=3)


def kept(cluster: ClusterInMemory) -> dict[str, Object]:
    """What there is but for tokens, keys and versions."""
    found = copy.deepcopy(cluster.objects)
    for one in found.values():
        annotations = one["metadata"].get("annotations") or {}
        for name in (TOKEN, KEYS):
            annotations.pop(name, None)
        one["metadata"] = {**one["metadata"], "generation": 0, "resourceVersion": "", "annotations": annotations}
        one["status"] = {**one["status"], "observedGeneration": 0}
    return found


def overrule_at_the_first_look_at_pods(cluster: ClusterInMemory, path: str) -> None:
    """Another process takes a newer token while this one, let in already, reads what is there."""
    every = cluster.every

    def looked_at(at: str, selector: str = "", **params: Any) -> list[Object]:
        if at == f"{CORE}/pods":
            cluster.objects[path]["metadata"].setdefault("annotations", {})[TOKEN] = "99"
        return every(at, selector, **params)

    cluster.every = looked_at  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("begun", "late"),
    [
        ([], give(NEW, Track.CANARY, 3)),
        ([], give(NEW, Track.STABLE, 3)),
        ([give(NEW, Track.CANARY, 1)], give(None, Track.CANARY, 3)),
        ([give(NEW, Track.CANARY, 1)], drained(3)),
        ([give(NEW, Track.CANARY, 1), drained(2)], restored),
    ],
    ids=["a canary", "all", "the way back", "a drain", "its end"],
)
@pytest.mark.parametrize("kind", ["StatefulSet", "Deployment"])
def test_nothing_takes_effect_of_whoever_is_overruled_while_at_work(kind: str, begun: list[_Step], late: _Step) -> None:
    cluster: ClusterInMemory = StatefulSetInMemory() if kind == "StatefulSet" else ClusterInMemory()
    path, shape = (SET, TakenOverStatefulSet) if kind == "StatefulSet" else (DEPLOYMENT, TakenOverDeployment)
    target = shape(cast("Cluster", cluster), "production", "shop", "web")
    for step in begun:
        step(target)
    before = kept(cluster)
    overrule_at_the_first_look_at_pods(cluster, path)
    with pytest.raises(TargetConflict, match=f"{kind} web has seen a newer owner of the environment: token 99"):
        late(target)
    assert kept(cluster) == before


def test_whoever_is_overruled_hands_no_stateful_set_back() -> None:
    cluster = StatefulSetInMemory()
    target = TakenOverStatefulSet(cast("Cluster", cluster), "production", "shop", "web")
    give(NEW, Track.CANARY, 1)(target)
    give(None, Track.CANARY, 2)(target)
    before = kept(cluster)
    overrule_at_the_first_look_at_pods(cluster, SET)
    with pytest.raises(TargetConflict):
        restored(target)
    assert kept(cluster) == before
