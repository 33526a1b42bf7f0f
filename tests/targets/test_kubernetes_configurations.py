"""Configurations of releases in Secrets: what their names say, which one a release has, and when one goes."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import cast

import pytest

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.instances import Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import configuration
from airflow_cd.targets.kubernetes.deployment import TakenOverDeployment
from tests.targets.cluster_in_memory import APPS, CORE, ClusterInMemory

pytestmark = pytest.mark.usefixtures("no_waiting")

SECRET = {"PASSWORD": "winter-2026", "MODE": "a"}
OLD, NEW = Release("web", "1.0", "web:1.0", SECRET), Release("web", "1.1", "web:1.1", SECRET)
GUESSED = "web-cd-" + hashlib.sha256(json.dumps(SECRET, sort_keys=True).encode()).hexdigest()[:12]
"""As earlier versions have named it."""
tokens = itertools.count(1)


@pytest.fixture
def cluster() -> ClusterInMemory:
    return ClusterInMemory()


def put(cluster: ClusterInMemory, release: Release | None, track: Track = Track.CANARY) -> None:
    token = next(tokens)
    over = TakenOverDeployment(cast("Cluster", cluster), "production", "shop", "web")
    over.deploy(release, [track], share=50, key=f"put-{token}", token=token)


def secrets(cluster: ClusterInMemory) -> list[str]:
    return [path.rpartition("/")[2] for path in cluster.objects if "/secrets/" in path]


def run_as_earlier_versions(cluster: ClusterInMemory, release: Release) -> None:
    """What runs was given by a version that named Secrets by a digest of their content."""
    put(cluster, release, Track.STABLE)
    put(cluster, release, Track.STABLE)  # empty lists of volumes are a change to the cluster in memory alone
    (drawn,) = secrets(cluster)
    made = cast("Object", cluster.get(f"{CORE}/secrets/{drawn}"))
    made["metadata"] = {"name": GUESSED, "labels": made["metadata"]["labels"]}
    cluster.create(f"{CORE}/secrets", made)
    stable = json.loads(json.dumps(cluster.get(f"{APPS}/deployments/web")).replace(drawn, GUESSED))
    cluster.put(f"{APPS}/deployments/web", stable)
    cluster.delete(f"{CORE}/secrets/{drawn}")
    for path in [path for path in cluster.objects if "/replicasets/" in path and drawn in str(cluster.objects[path])]:
        cluster.delete(path)


def test_who_may_list_pods_can_try_no_password_against_them() -> None:
    names = []
    for cluster in (ClusterInMemory(), ClusterInMemory()):
        put(cluster, NEW)
        names += secrets(cluster)
        assert GUESSED not in str(cluster.pods("web-canary"))
    assert len(set(names)) == 2, "the same content has another name in another cluster"


@pytest.mark.parametrize("deployment", ["web", "w" * 63])
def test_a_secret_of_ours_has_a_name_that_a_cluster_takes(cluster: ClusterInMemory, deployment: str) -> None:
    made = configuration.keep(cast("Cluster", cluster), "shop", deployment, NEW, list)
    assert made.startswith(deployment[:10])
    assert len(made) <= 63


def test_the_same_configuration_keeps_its_secret(cluster: ClusterInMemory) -> None:
    put(cluster, NEW)
    made = secrets(cluster)
    put(cluster, NEW)
    put(cluster, NEW, Track.STABLE)
    assert secrets(cluster) == made
    put(cluster, Release("web", "1.1", "web:1.1", {**SECRET, "MODE": "b"}))
    assert len(secrets(cluster)) == 2


def test_a_secret_that_somebody_else_has_filled_is_not_taken(cluster: ClusterInMemory) -> None:
    put(cluster, NEW)
    (made,) = secrets(cluster)
    theirs = cast("Object", cluster.get(f"{CORE}/secrets/{made}"))
    cluster.put(f"{CORE}/secrets/{made}", {**theirs, "data": {**theirs["data"], "MODE": "Yg=="}})
    put(cluster, NEW, Track.STABLE)
    assert len(secrets(cluster)) == 2


def test_what_an_earlier_version_has_given_runs_on_and_no_new_release_has_its_name(cluster: ClusterInMemory) -> None:
    run_as_earlier_versions(cluster, OLD)
    before = {one["metadata"]["name"] for one in cluster.pods("web")}
    put(cluster, OLD, Track.STABLE)
    assert {one["metadata"]["name"] for one in cluster.pods("web")} == before, "no pod is replaced"
    put(cluster, NEW)
    assert GUESSED in secrets(cluster)
    assert GUESSED not in str(cluster.pods("web-canary"))
    put(cluster, NEW, Track.STABLE)
    assert GUESSED not in str(cluster.pods("web"))


def test_the_way_back_to_what_an_earlier_version_has_given_needs_no_new_secret(cluster: ClusterInMemory) -> None:
    run_as_earlier_versions(cluster, OLD)
    put(cluster, NEW)
    put(cluster, NEW, Track.STABLE)
    there = secrets(cluster)
    put(cluster, OLD, Track.STABLE)
    put(cluster, None)
    assert secrets(cluster) == there, "that of the other is one to go back to as well"
    assert {one["metadata"]["annotations"]["airflow-cd/configuration"] for one in cluster.pods("web")} == {GUESSED}


def test_what_nothing_names_any_more_goes(cluster: ClusterInMemory) -> None:
    put(cluster, NEW)
    made = secrets(cluster)
    assert made
    for path in [path for path in cluster.objects if "/replicasets/web-canary" in path]:
        cluster.objects[path]["metadata"]["ownerReferences"] = [{"uid": "gone"}]
    put(cluster, None)
    put(cluster, None)
    assert secrets(cluster) == []


# -- files -------------------------------------------------------------------------------------------------------------

MOUNTED = {"name": "settings", "mountPath": "/etc/web/settings.json", "subPath": "settings.json"}
FILE = Release("web", "1.2", "web:1.2", {"/etc/web/settings.json": "{}", "/etc/web/more.json": "{}"})


@pytest.mark.parametrize("track", [Track.CANARY, Track.STABLE])
@pytest.mark.parametrize("path", ["/etc/web/settings.json", "/etc//web/settings.json/"])
def test_a_file_where_something_is_mounted_is_refused_before_anything_is_touched(
    cluster: ClusterInMemory, track: Track, path: str
) -> None:
    put(cluster, Release("web", "1.1", "web:1.1", {"/etc/web/more.json": "[]"}), Track.STABLE)
    there = cast("Object", cluster.get(f"{APPS}/deployments/web"))
    there["spec"]["template"]["spec"]["containers"][0]["volumeMounts"].append({**MOUNTED, "mountPath": path})
    cluster.put(f"{APPS}/deployments/web", there)
    made, before = secrets(cluster), cluster.get(f"{APPS}/deployments/web")
    said = r"container web has something mounted at /etc/web/settings.json \(volume settings\) already"
    with pytest.raises(TargetRejected, match=said):
        TakenOverDeployment(cast("Cluster", cluster), "production", "shop", "web").check(FILE)
    with pytest.raises(TargetRejected, match=said):
        put(cluster, FILE, track)
    assert secrets(cluster) == made
    assert cast("Object", cluster.get(f"{APPS}/deployments/web"))["spec"] == cast("Object", before)["spec"]
    assert f"{APPS}/deployments/web-canary" not in cluster.objects


def test_a_file_beside_what_is_mounted_and_in_the_place_of_another_release_is_taken(cluster: ClusterInMemory) -> None:
    put(cluster, FILE, Track.STABLE)
    TakenOverDeployment(cast("Cluster", cluster), "production", "shop", "web").check(FILE)
    put(cluster, FILE, Track.CANARY)
    assert len(cluster.pods("web-canary")) == 3
