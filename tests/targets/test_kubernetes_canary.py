"""A canary in a cluster whose pods come and go: what is drained stays so, and whoever scales replaces nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest

from airflow_cd.errors import TargetUnauthorized
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.instances import Instance, Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.by_services import ByServices
from airflow_cd.targets.kubernetes.deployment import TakenOverDeployment
from tests.targets.cluster_in_memory import APPS, AUTOSCALERS, CORE, SLICES, ClusterInMemory

pytestmark = pytest.mark.usefixtures("no_waiting")

OLD, NEW = Release("web", "1.0", "web:1.0", {}), Release("web", "1.1", "web:1.1", {})
tokens = itertools.count(1)


@pytest.fixture
def cluster() -> ClusterInMemory:
    return ClusterInMemory()


def over(cluster: ClusterInMemory) -> TakenOverDeployment:
    return TakenOverDeployment(cast("Cluster", cluster), "production", "shop", "web")


def put(cluster: ClusterInMemory, share: int = 50) -> None:
    token = next(tokens)
    over(cluster).deploy(NEW, [Track.CANARY], share=share, key=f"put-{token}", token=token)


def drain(cluster: ClusterInMemory) -> None:
    token = next(tokens)
    over(cluster).drain([Track.CANARY], key=f"drain-{token}", token=token)


def restore(cluster: ClusterInMemory) -> None:
    token = next(tokens)
    over(cluster).restore([Track.CANARY], key=f"restore-{token}", token=token)


def names(cluster: ClusterInMemory) -> set[str]:
    return {one["metadata"]["name"] for one in cluster.pods("web-canary")}


def canary(cluster: ClusterInMemory) -> list[Instance]:
    return [one for one in over(cluster).instances() if one.track == Track.CANARY]


# -- pods that are made anew -------------------------------------------------------------------------------------------


def test_a_pod_that_is_made_of_a_drained_canary_gets_no_request(cluster: ClusterInMemory) -> None:
    put(cluster)
    assert cluster.served() == {"web:1.0", "web:1.1"}
    before = names(cluster)
    drain(cluster)
    assert names(cluster) == before, "no pod was replaced"
    for pod in cluster.pods("web-canary"):
        cluster.lose(pod)
        assert cluster.served() == {"web:1.0"}
    assert not names(cluster) & before
    assert {one.drained for one in canary(cluster)} == {True}
    put(cluster, share=60)
    assert cluster.served() == {"web:1.0"}, "one that grows stays drained"
    assert len(names(cluster)) > 3


def test_a_canary_that_gets_its_traffic_back_has_it_with_every_pod_that_is_made(cluster: ClusterInMemory) -> None:
    put(cluster)
    drain(cluster)
    cluster.lose(cluster.pods("web-canary")[0])
    before = names(cluster)
    restore(cluster)
    assert names(cluster) == before, "no pod was replaced"
    cluster.lose(cluster.pods("web-canary")[0])
    assert {one.drained for one in canary(cluster)} == {False}


def test_a_pod_that_is_made_while_its_canary_is_drained_loses_its_traffic_too(cluster: ClusterInMemory) -> None:
    put(cluster)
    served = []

    def evict_one(method: str, path: str) -> None:
        if path == f"{APPS}/deployments/web-canary":
            cluster.before_write = lambda method, path: None
            cluster.lose(cluster.pods("web-canary")[0])
            served.append(cluster.served())

    cluster.before_write = evict_one
    drain(cluster)
    assert served == [{"web:1.0", "web:1.1"}]
    assert cluster.served() == {"web:1.0"}


@pytest.mark.parametrize("change", [drain, restore])
def test_a_pod_that_goes_in_the_moment_its_labels_change_is_no_failure(
    cluster: ClusterInMemory, change: Callable[[ClusterInMemory], None]
) -> None:
    put(cluster)
    if change is restore:
        drain(cluster)
    going = cluster.pods("web-canary")[0]

    def go(method: str, path: str) -> None:
        if path.endswith(f"/pods/{going['metadata']['name']}"):
            cluster.before_write = lambda method, path: None
            cluster.lose(going)

    cluster.before_write = go
    change(cluster)
    assert going["metadata"]["name"] not in names(cluster)
    assert {one.drained for one in canary(cluster)} == {change is drain}


def served_at_writes(cluster: ClusterInMemory, what: str) -> list[set[str]]:
    """What answers at each of the writes that follow to such a path."""
    served: list[set[str]] = []
    cluster.before_write = lambda method, path: served.append(cluster.served()) if what in path else None
    return served


def test_all_pods_of_a_canary_leave_the_endpoints_in_one_write(cluster: ClusterInMemory) -> None:
    put(cluster)
    served = served_at_writes(cluster, "/pods/")
    drain(cluster)
    assert served[0] == {"web:1.0"}, "before the labels of the first pod were changed"
    assert cluster.served() == {"web:1.0"}


def test_endpoints_that_somebody_else_keeps_are_not_written(cluster: ClusterInMemory) -> None:
    put(cluster)
    cluster.keeps_endpoints = "a-mesh.example"
    served = served_at_writes(cluster, "/endpointslices/")
    drain(cluster)
    assert not served
    assert cluster.served() == {"web:1.0"}


def refuse_writing(cluster: ClusterInMemory, kind: str) -> None:
    """Let the connection have no right to write objects of a kind."""

    def refuse(method: str, path: str) -> None:
        if f"/{kind}/" in path:
            raise TargetUnauthorized(f"the connection may not patch {kind}.")

    cluster.before_write = refuse


def test_without_the_right_to_write_endpoints_the_labels_are_enough(cluster: ClusterInMemory) -> None:
    put(cluster)
    refuse_writing(cluster, "endpointslices")
    drain(cluster)
    assert cluster.served() == {"web:1.0"}


def test_endpoints_that_cannot_be_read_keep_no_label_from_going(
    cluster: ClusterInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cluster)
    read = cluster.every

    def every(path: str, selector: str = "", **params: Any) -> list[Object]:
        if path == SLICES:
            raise TargetUnauthorized("the connection may not list endpointslices.")
        return read(path, selector, **params)

    monkeypatch.setattr(cluster, "every", every)
    with pytest.raises(TargetUnauthorized, match="may not list endpointslices"):
        drain(cluster)
    assert cluster.served() == {"web:1.0"}


def test_a_controller_that_is_behind_and_puts_a_pod_back_is_waited_for(
    cluster: ClusterInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cluster)
    back = {"conditions": {"ready": True}, "targetRef": {"name": cluster.pods("web-canary")[0]["metadata"]["name"]}}
    stale, read = iter([[], [back], [back]]), cluster.every

    def every(path: str, selector: str = "", **params: Any) -> list[Object]:
        found = read(path, selector, **params)
        if path == SLICES and not any("app" in pod["metadata"]["labels"] for pod in cluster.pods("web-canary")):
            found[0]["endpoints"] += next(stale, [])
        return found

    monkeypatch.setattr(cluster, "every", every)
    drain(cluster)
    assert next(stale, None) is None, "it was read until no pod was there any more"


def test_that_a_right_is_missing_which_costs_a_second_is_said(
    cluster: ClusterInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not any("endpointslices" in note for note in over(cluster).notes())
    monkeypatch.setattr(cluster, "missing_rights", lambda namespace, wanted: [verb for _, _, verb in wanted])
    (note,) = [note for note in over(cluster).notes() if "endpointslices" in note]
    assert "one after the other" in note


def test_requests_that_a_canary_has_all_of_find_somebody_at_every_moment_of_a_drain(cluster: ClusterInMemory) -> None:
    token = next(tokens)
    over(cluster).deploy(NEW, [Track.CANARY], share=100, traffic=100, key=f"put-{token}", token=token)
    restore(cluster)
    assert cluster.served() == {"web:1.1"}
    served = served_at_writes(cluster, "")
    drain(cluster)
    assert all(served)
    assert cluster.served() == {"web:1.0"}


@pytest.mark.parametrize("at", ["deployments", "replicasets"])
def test_a_drain_that_is_broken_off_is_done_to_its_end_by_the_next(cluster: ClusterInMemory, at: str) -> None:
    put(cluster)
    before, written = names(cluster), []

    def die(method: str, path: str) -> None:
        if "web-canary" in path and "/pods/" not in path:
            written.append(path)
            if len(written) > 1 and path.startswith(f"{APPS}/{at}/"):
                raise ConnectionResetError

    cluster.before_write = die
    with pytest.raises(ConnectionResetError):
        drain(cluster)
    cluster.before_write = lambda method, path: None
    drain(cluster)
    cluster.lose(cluster.pods("web-canary")[0])
    assert cluster.served() == {"web:1.0"}
    assert len(names(cluster) & before) == 2, "no pod was replaced but the one that was evicted"
    assert not cluster.objects[f"{APPS}/deployments/web-canary"]["spec"].get("paused")


def test_rights_that_end_cost_the_pods_and_no_request(cluster: ClusterInMemory) -> None:
    put(cluster)
    refuse_writing(cluster, "replicasets")
    drain(cluster)
    cluster.lose(cluster.pods("web-canary")[0])
    assert cluster.served() == {"web:1.0"}
    assert {one.drained for one in canary(cluster)} == {True}


def test_a_stable_pod_that_is_made_while_a_new_side_is_prepared_is_nobody_elses(cluster: ClusterInMemory) -> None:
    every = cluster.every

    def scaled_between_two_reads(path: str, selector: str = "", **params: Any) -> list[Object]:
        found = every(path, selector, **params)
        if path == f"{CORE}/pods" and selector == "app=web":
            replicas = cluster.objects[f"{APPS}/deployments/web"]["spec"]["replicas"]
            cluster.patch(f"{APPS}/deployments/web", {"spec": {"replicas": replicas + 1}})
        return found

    cluster.create(f"{CORE}/services", {"metadata": {"name": "web-metrics"}, "spec": {"selector": {"app": "web"}}})
    stable = cluster.get(f"{APPS}/deployments/web")
    cluster.every = scaled_between_two_reads  # type: ignore[method-assign]
    ByServices(cast("Cluster", cluster), "shop", cast("Object", stable), lambda: None).prepare(0)
    assert {f"{CORE}/services/web-canary", f"{CORE}/services/web-metrics-canary"} <= cluster.objects.keys()


BEGAN = {"startedAt": "2026-11-30T04:02:00Z"}


@pytest.mark.parametrize(
    ("status", "began"),
    [
        ({"state": {"running": BEGAN}}, "04:02:00"),
        ({"state": {"terminated": BEGAN}}, "04:02:00"),
        ({"state": {"waiting": {}}, "lastState": {"terminated": BEGAN}}, "04:02:00"),
        ({"state": {"running": BEGAN}, "lastState": {"terminated": {"startedAt": "2026-11-30T04:01:00Z"}}}, "04:02:00"),
        ({"state": {"running": {}}}, "04:00:00"),
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, None),
    ],
)
def test_a_pod_runs_since_the_process_of_its_release_has_begun(
    cluster: ClusterInMemory, status: Object, began: str | None
) -> None:
    put(cluster, share=25)
    (pod,) = cluster.pods("web-canary")
    sidecar = {"name": "proxy", "state": {"running": {"startedAt": "2026-11-30T04:00:01Z"}}}
    found = cluster.objects[f"{CORE}/pods/{pod['metadata']['name']}"]["status"]
    found |= {"startTime": "2026-11-30T04:00:00Z", "containerStatuses": [sidecar, {"name": "web", **status}]}
    (one,) = canary(cluster)
    assert (one.started.strftime("%H:%M:%S") if one.started else None) == began


# -- what is said ------------------------------------------------------------------------------------------------------


def test_that_no_drain_keeps_its_work_from_a_worker_is_said(cluster: ClusterInMemory) -> None:
    assert not any("no Service" in note for note in over(cluster).notes())
    cluster.delete(f"{CORE}/services/web")
    assert any(
        note.startswith("no Service sends requests to the pods of Deployment web") for note in over(cluster).notes()
    )
    put(cluster)
    drain(cluster)
    assert {one.drained for one in canary(cluster)} == {False}


def test_that_the_last_phase_ends_all_pods_of_a_deployment_that_recreates_them_is_said(
    cluster: ClusterInMemory,
) -> None:
    assert not any("Recreate" in note for note in over(cluster).notes())
    cluster.patch(f"{APPS}/deployments/web", {"spec": {"strategy": {"type": "Recreate"}}})
    over(cluster).check(NEW)
    (note,) = [note for note in over(cluster).notes() if "Recreate" in note]
    assert "end all of its stable pods before new ones are made" in note


def test_a_pod_that_the_cluster_refuses_is_as_drained_as_those_that_run(cluster: ClusterInMemory) -> None:
    put(cluster)
    (made,) = [path for path in cluster.objects if "/replicasets/web-canary" in path]
    quota = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: team"}
    for drained in (False, True):
        if drained:
            drain(cluster)
        cluster.objects[made]["status"].update(conditions=[quota], replicas=2)
        refused = [one for one in canary(cluster) if one.message.endswith("exceeded quota: team")]
        assert [one.drained for one in refused] == [drained]


# -- autoscalers that come in the middle -------------------------------------------------------------------------------


def autoscaler(cluster: ClusterInMemory, of: str) -> None:
    reference = {"kind": "Deployment", "name": of}
    cluster.create(AUTOSCALERS, {"metadata": {"name": "load"}, "spec": {"scaleTargetRef": reference}})


@pytest.mark.parametrize("more", [{}, {"part": "front"}])
def test_an_autoscaler_that_comes_beside_a_canary_replaces_no_pod_and_is_told(more: dict[str, str]) -> None:
    cluster = ClusterInMemory(3, **more)
    put(cluster)
    before = names(cluster)
    autoscaler(cluster, "web")
    cluster.patch(f"{APPS}/deployments/web", {"spec": {"replicas": 4}})
    put(cluster)
    assert names(cluster) > before
    assert len(names(cluster)) == 4, "the canary keeps its half"
    (said,) = {one.message for one in canary(cluster)}
    assert said.startswith("HorizontalPodAutoscaler load came beside the canary and counts its pods as those of")
    drain(cluster)
    assert {one.message for one in canary(cluster)} == {""}, "a drained canary has not the labels that it counts by"


def test_an_autoscaler_of_the_canary_is_named_and_does_not_change_its_share(cluster: ClusterInMemory) -> None:
    put(cluster)
    autoscaler(cluster, "web-canary")
    cluster.patch(f"{APPS}/deployments/web-canary", {"spec": {"replicas": 1}})
    assert "HorizontalPodAutoscaler load scales Deployment web-canary" in canary(cluster)[0].message
    put(cluster)
    assert len(names(cluster)) == 3
    assert {one["metadata"]["labels"]["app"] for one in cluster.every(f"{CORE}/pods")} == {"web"}
