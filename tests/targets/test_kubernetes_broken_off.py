"""A process that dies between two writes: whoever comes next leaves nothing of what was begun."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest

from airflow_cd.hooks.kubernetes import Cluster
from airflow_cd.instances import Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.deployment import TakenOver
from airflow_cd.targets.kubernetes.images import remembered
from airflow_cd.targets.kubernetes.stateful_set import StatefulSetTakenOver
from tests.targets.cluster_in_memory import APPS, CORE, ClusterInMemory
from tests.targets.stateful_set_in_memory import SET, StatefulSetInMemory

pytestmark = pytest.mark.usefixtures("no_waiting")

NEW = Release("web", "1.1", "web:1.1", {})
DIGESTS = {"web:1.0": f"sha256:{'a' * 64}", "web:1.1": f"sha256:{'b' * 64}"}
tokens = itertools.count(1)


class Died(Exception):
    """The process is no more."""


def dying_at(number: int) -> Callable[[str, str], None]:
    """What ends the process before its write of that number, from 1."""
    writes = itertools.count(1)

    def die(method: str, path: str) -> None:
        if next(writes) == number:
            raise Died

    return die


def put(target: Any, release: Release | None) -> None:
    token = next(tokens)
    target.deploy(release, [Track.CANARY], share=34, key=f"put-{token}", token=token)


def having(cluster: ClusterInMemory, path: str) -> ClusterInMemory:
    """A cluster whose nodes say which images its pods run, pulled from a registry."""
    cluster.digests = DIGESTS
    for pod in cluster.every(f"{CORE}/pods"):
        status = cluster.objects[f"{CORE}/pods/{pod['metadata']['name']}"]["status"]
        status["containerStatuses"][0]["imageID"] = f"docker.io/library/web@{DIGESTS['web:1.0']}"
    container = cluster.objects[path]["spec"]["template"]["spec"]["containers"][0]
    cluster.patch(path, {"spec": {"template": {"spec": {"containers": [{**container, "imagePullPolicy": "Always"}]}}}})
    return cluster


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_name_that_was_taken_back_means_what_it_means_when_it_comes_again(kind: str, number: int) -> None:
    cluster: ClusterInMemory
    if kind == "Deployment":
        path, cluster, shape = f"{APPS}/deployments/web", ClusterInMemory(), TakenOver
    else:
        path, cluster, shape = SET, StatefulSetInMemory(), StatefulSetTakenOver
    target = shape(cast("Cluster", having(cluster, path)), "production", "shop", "web", pull_check=False)
    put(target, NEW)
    put(target, NEW)
    assert remembered(cluster.objects[path]) == DIGESTS, "while it runs it means one image"
    cluster.before_write = dying_at(number)
    try:
        put(target, None)
    except Died:
        cluster.before_write = lambda method, path: None
        put(target, None)
    assert remembered(cluster.objects[path]) == {"web:1.0": DIGESTS["web:1.0"]}
