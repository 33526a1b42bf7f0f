"""A process that dies between two writes: whoever comes next leaves nothing of what was begun."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Cluster
from airflow_cd.instances import Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.deployment import TakenOverDeployment
from airflow_cd.targets.kubernetes.images import remembered
from airflow_cd.targets.kubernetes.names import canary_of
from airflow_cd.targets.kubernetes.stateful_set import TakenOverStatefulSet
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
        path, cluster, shape = f"{APPS}/deployments/web", ClusterInMemory(), TakenOverDeployment
    else:
        path, cluster, shape = SET, StatefulSetInMemory(), TakenOverStatefulSet
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


def test_a_service_that_was_given_back_is_nobodys_but_its_owners_whenever_the_process_died() -> None:
    cluster = StatefulSetInMemory()
    target = TakenOverStatefulSet(cast("Cluster", cluster), "production", "shop", "web")
    put(target, NEW)
    target.drain([Track.CANARY], key="drain", token=next(tokens))
    service = cluster.objects[f"{CORE}/services/web"]
    ours = {"manager": "airflow-cd", "fieldsV1": {"f:spec": {"f:selector": {}}}}
    service["metadata"]["managedFields"] = [ours]

    def die_between_the_two(method: str, path: str) -> None:
        if path.endswith("/services/web") and cluster.objects[path]["spec"]["selector"] == {"app": "web"}:
            raise Died

    cluster.before_write = die_between_the_two
    with pytest.raises(Died):
        put(target, None)
    cluster.before_write = lambda method, path: None
    put(target, None)
    assert cluster.objects[f"{CORE}/services/web"]["metadata"]["managedFields"] == []


def test_the_canary_of_another_deployment_is_nobodys_own() -> None:
    """Names of canaries are cut to what a label may hold, so two long ones may get the same."""
    cluster, name = ClusterInMemory(), "a" * 60
    made = cluster.objects[f"{APPS}/deployments/web"]
    for of in (f"{name}-1", f"{name}-2"):
        cluster.create(f"{APPS}/deployments", {"metadata": {"name": of, "namespace": "shop"}, "spec": made["spec"]})
    first, second = (
        TakenOverDeployment(cast("Cluster", cluster), "production", "shop", f"{name}-{one}") for one in (1, 2)
    )
    put(first, NEW)
    before = cluster.get(f"{APPS}/deployments/{canary_of(name)}")
    for release in (NEW, None):
        with pytest.raises(TargetRejected, match=f"Deployment {canary_of(name)} is somebody else's"):
            put(second, release)
    assert cluster.get(f"{APPS}/deployments/{canary_of(name)}") == before
