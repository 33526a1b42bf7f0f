"""A StatefulSet whose own last pods are the canary: who is replaced, who gets requests, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any, cast

import pytest

from airflow_cd.errors import TargetRejected, TargetUnavailable
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.instances import FAILED, HEALTHY, STARTING, Track
from airflow_cd.release import Release
from airflow_cd.targets.base import in_place, makes_replicas
from airflow_cd.targets.kubernetes import KubernetesTarget
from airflow_cd.targets.kubernetes.stateful_set import TakenOverStatefulSet
from airflow_cd.targets.replica_contract import ReplicaContract
from tests.targets.cluster_in_memory import AUTOSCALERS, CORE
from tests.targets.stateful_set_in_memory import HASH, SET, InPlaceTarget, StatefulSetInMemory

pytestmark = pytest.mark.usefixtures("no_waiting")

OLD, NEW = Release("web", "1.0", "web:1.0", {}), Release("web", "1.1", "web:1.1", {"GREETING": "hello"})
BROKEN = Release("web", "1.4", "web:1.4", {})
tokens = itertools.count(1)


@pytest.fixture
def cluster() -> StatefulSetInMemory:
    found = StatefulSetInMemory()
    found.broken = {BROKEN.artifact}
    return found


def over(cluster: StatefulSetInMemory) -> TakenOverStatefulSet:
    return TakenOverStatefulSet(cast("Cluster", cluster), "production", "shop", "web")


def put(cluster: StatefulSetInMemory, track: Track, release: Release | None, share: int = 34) -> None:
    token = next(tokens)
    over(cluster).deploy(release, [track], share=share, key=f"put-{token}", token=token)


def drain(cluster: StatefulSetInMemory) -> None:
    token = next(tokens)
    over(cluster).drain([Track.CANARY], key=f"drain-{token}", token=token)


def restore(cluster: StatefulSetInMemory) -> None:
    token = next(tokens)
    over(cluster).restore([Track.CANARY], key=f"restore-{token}", token=token)


def selector(cluster: StatefulSetInMemory, service: str = "web") -> Object:
    return cast("Object", cluster.objects[f"{CORE}/services/{service}"]["spec"]["selector"])


def tracks(cluster: StatefulSetInMemory) -> dict[str, str]:
    return {one.name: str(one.track) for one in over(cluster).instances()}


def annotations(cluster: StatefulSetInMemory) -> dict[str, str]:
    return cast("dict[str, str]", cluster.objects[SET]["metadata"].get("annotations") or {})


class TestStatefulSetInMemory(ReplicaContract):
    timeout = 0.3

    @pytest.fixture
    def target(self) -> Any:
        made = StatefulSetInMemory(4)
        made.broken = {BROKEN.artifact, "web:1.0-is-missing"}
        return InPlaceTarget(made)

    @pytest.fixture
    def good(self) -> Release:
        return OLD

    @pytest.fixture
    def other(self) -> Release:
        return NEW

    @pytest.fixture
    def broken(self) -> Release:
        return BROKEN


# -- who is replaced ---------------------------------------------------------------------------------------------------


def test_a_canary_is_the_last_pods_and_comes_back_to_the_very_template_it_had(cluster: StatefulSetInMemory) -> None:
    before, pods = cluster.spec, cluster.every(f"{CORE}/pods")
    put(cluster, Track.CANARY, NEW)
    assert cluster.images() == ["web:1.0", "web:1.0", "web:1.1"]
    assert tracks(cluster) == {"web-0": "stable", "web-1": "stable", "web-2": "canary"}
    put(cluster, Track.CANARY, None)
    restore(cluster)
    assert cluster.spec == before
    assert cluster.images() == ["web:1.0"] * 3
    uids = [one["metadata"]["uid"] for one in cluster.every(f"{CORE}/pods")]
    assert uids[:2] == [one["metadata"]["uid"] for one in pods][:2], "the others were not replaced"
    assert set(annotations(cluster)) == {"airflow-cd/token", "airflow-cd/keys", "airflow-cd/meant"}


def test_all_pods_get_the_release_and_go_back_to_the_revision_that_ran_before(cluster: StatefulSetInMemory) -> None:
    before = cluster.spec
    put(cluster, Track.CANARY, NEW)
    put(cluster, Track.STABLE, NEW)
    put(cluster, Track.CANARY, None)
    assert cluster.images() == ["web:1.1"] * 3
    assert set(tracks(cluster).values()) == {"stable"}
    put(cluster, Track.CANARY, None)
    put(cluster, Track.STABLE, OLD)
    assert cluster.images() == ["web:1.0"] * 3
    assert cluster.spec == before


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_a_pod_that_does_not_start_is_replaced_on_the_way_back(policy: str) -> None:
    cluster = StatefulSetInMemory(podManagementPolicy=policy)
    cluster.broken = {BROKEN.artifact}
    put(cluster, Track.CANARY, BROKEN)
    assert {one.name: one.health for one in over(cluster).instances()}["web-2"] == FAILED
    put(cluster, Track.CANARY, None)
    assert cluster.images() == ["web:1.0"] * 3
    assert {one.health for one in over(cluster).instances()} == {HEALTHY}


def test_a_pod_that_does_not_start_is_replaced_by_the_next_canary_too(cluster: StatefulSetInMemory) -> None:
    put(cluster, Track.CANARY, BROKEN)
    put(cluster, Track.CANARY, NEW)
    assert cluster.images() == ["web:1.0", "web:1.0", "web:1.1"]
    assert cluster.deleted == ["web-2"]


def test_a_promotion_deletes_no_pod_of_the_release_before_that_is_not_ready(cluster: StatefulSetInMemory) -> None:
    put(cluster, Track.CANARY, NEW)
    unready = cluster.objects[f"{CORE}/pods/web-0"]["status"]["conditions"][0]
    unready["status"] = "False"
    put(cluster, Track.CANARY, NEW, 67)
    put(cluster, Track.STABLE, NEW)
    put(cluster, Track.STABLE, NEW)
    assert cluster.deleted == []
    assert cluster.images() == ["web:1.0", "web:1.0", "web:1.1"], "its controller waits for the pod"
    put(cluster, Track.STABLE, OLD)
    assert cluster.deleted == [], "on the way back it has what it is to have"


@pytest.mark.parametrize("canary", [True, False], ids=["after a canary", "at once"])
def test_a_release_that_all_pods_were_given_and_none_starts_with_goes_back(
    cluster: StatefulSetInMemory, canary: bool
) -> None:
    if canary:
        put(cluster, Track.CANARY, BROKEN)
    put(cluster, Track.STABLE, BROKEN)
    assert cluster.images() == ["web:1.0", "web:1.0", "web:1.4"]
    put(cluster, Track.STABLE, OLD)
    assert cluster.images() == ["web:1.0"] * 3
    restore(cluster)
    assert not {"airflow-cd/before", "airflow-cd/left"} & set(annotations(cluster))


def test_a_pod_that_stops_answering_after_the_way_back_has_begun_is_replaced_by_the_next_attempt(
    cluster: StatefulSetInMemory,
) -> None:
    cluster.broken = set()
    put(cluster, Track.STABLE, BROKEN)
    cluster.works = False
    put(cluster, Track.STABLE, OLD)
    cluster.objects[f"{CORE}/pods/web-1"]["status"]["conditions"][0]["status"] = "False"
    cluster.works = True
    cluster._control()
    assert cluster.images() == ["web:1.4"] * 3, "its controller waits for the pod"
    put(cluster, Track.STABLE, OLD)
    assert cluster.deleted == ["web-1"]
    assert cluster.images() == ["web:1.0"] * 3


def test_nothing_is_deleted_while_the_controller_would_make_it_of_the_broken_template(
    cluster: StatefulSetInMemory,
) -> None:
    put(cluster, Track.CANARY, BROKEN)
    cluster.works = False
    with pytest.raises(TargetUnavailable, match=r"has not seen its change yet and would make web-2"):
        put(cluster, Track.CANARY, None)
    assert cluster.deleted == []
    assert {one.health for one in over(cluster).instances()} == {STARTING, FAILED}
    cluster.works = True
    put(cluster, Track.CANARY, None)
    assert cluster.images() == ["web:1.0"] * 3


def test_a_canary_keeps_its_share_when_somebody_scales(cluster: StatefulSetInMemory) -> None:
    put(cluster, Track.CANARY, NEW)
    cluster.set(replicas=6)
    assert cluster.images() == ["web:1.0"] * 2 + ["web:1.1"] * 4, "what is made anew has the newest revision"
    with pytest.raises(TargetUnavailable, match="1 more pod has the canary's release since somebody has scaled"):
        put(cluster, Track.CANARY, NEW)
    assert len(cluster.deleted) == 1, "one after the other"
    put(cluster, Track.CANARY, NEW)
    assert cluster.images() == ["web:1.0"] * 4 + ["web:1.1"] * 2
    cluster.set(replicas=3)
    put(cluster, Track.CANARY, NEW)
    assert cluster.images() == ["web:1.0", "web:1.0", "web:1.1"]
    assert cluster.spec["replicas"] == 3


def test_a_persons_undo_is_noticed_and_nothing_is_left_half(cluster: StatefulSetInMemory) -> None:
    before = cluster.spec["template"]
    put(cluster, Track.CANARY, NEW)
    cluster.objects[SET]["metadata"]["managedFields"] = [
        {
            "manager": "kubectl-rollout",
            "time": "2026-11-29T04:00:00Z",
            "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {}}}}},
        }
    ]
    cluster.set(template=before)
    cluster.objects[SET]["spec"]["template"] = before
    cluster._control()
    (canary,) = [one for one in over(cluster).instances() if one.track == Track.CANARY]
    assert canary.artifact == "web:1.0"
    assert "was given web:1.0 by kubectl-rollout" in canary.message
    assert "was given web:1.0 by kubectl-rollout" in over(cluster).changed_by()
    put(cluster, Track.CANARY, None)
    restore(cluster)
    assert cluster.images() == ["web:1.0"] * 3
    assert cluster.spec["updateStrategy"]["rollingUpdate"] == {"partition": 0}


def test_a_canary_that_somebody_else_has_finished_is_refused_and_goes_back(cluster: StatefulSetInMemory) -> None:
    put(cluster, Track.CANARY, NEW)
    cluster.set(updateStrategy={"rollingUpdate": {"partition": 0}})
    with pytest.raises(TargetRejected, match="was finished by somebody else in the middle of a canary"):
        put(cluster, Track.CANARY, NEW)
    put(cluster, Track.CANARY, None)
    assert cluster.images() == ["web:1.0"] * 3


# -- who gets requests -------------------------------------------------------------------------------------------------


def test_a_drained_canary_gets_no_request_whoever_makes_its_pod_anew(cluster: StatefulSetInMemory) -> None:
    put(cluster, Track.CANARY, NEW)
    assert cluster.served() == {"web:1.0", "web:1.1"}
    before = [one["metadata"]["uid"] for one in cluster.every(f"{CORE}/pods")]
    drain(cluster)
    assert cluster.served() == {"web:1.0"}
    assert [one["metadata"]["uid"] for one in cluster.every(f"{CORE}/pods")] == before, "no pod was replaced"
    assert selector(cluster, "peers") == {"app": "web"}, "every pod keeps its name"
    for place in (0, 2):
        cluster.delete(f"{CORE}/pods/web-{place}")
    assert cluster.images() == ["web:1.0", "web:1.0", "web:1.1"]
    assert len(cluster._slice("web")["endpoints"]) == 2, "the stable pod that was made anew has its requests"
    put(cluster, Track.CANARY, NEW, 67)
    assert cluster.served() == {"web:1.0"}, "one that grows stays drained"
    restore(cluster)
    assert cluster.served() == {"web:1.0", "web:1.1"}
    assert selector(cluster) == {"app": "web"}


def test_requests_come_back_when_the_canary_has_and_no_sooner(cluster: StatefulSetInMemory) -> None:
    cluster.broken = set()
    put(cluster, Track.CANARY, NEW)
    drain(cluster)
    cluster.works = False
    put(cluster, Track.CANARY, None)
    restore(cluster)
    assert cluster.served() == {"web:1.0"}, "its pod is there still"
    cluster.works = True
    cluster._control()
    restore(cluster)
    assert selector(cluster) == {"app": "web"}
    assert len(cluster._slice("web")["endpoints"]) == 3


def test_what_somebody_gives_the_template_on_the_way_back_takes_nobody_who_answers(
    cluster: StatefulSetInMemory,
) -> None:
    put(cluster, Track.CANARY, NEW)
    drain(cluster)
    cluster.works = False
    put(cluster, Track.CANARY, None)
    cluster.works = True
    cluster.set(template={"spec": {"containers": [{"name": "web", "image": "web:1.2", "imagePullPolicy": "Never"}]}})
    assert cluster.images() == ["web:1.0", "web:1.0", "web:1.2"]
    assert cluster.served() == {"web:1.0"}
    put(cluster, Track.CANARY, None)
    restore(cluster)
    assert cluster.images() == ["web:1.0"] * 3
    assert cluster.spec["updateStrategy"]["rollingUpdate"] == {"partition": 0}


def test_a_drained_canary_that_is_promoted_has_its_requests_first(cluster: StatefulSetInMemory) -> None:
    put(cluster, Track.CANARY, NEW)
    drain(cluster)
    served = []
    cluster.before_write = lambda method, path: served.append(cluster.served()) if path == SET else None
    put(cluster, Track.STABLE, NEW)
    assert served[-1] == {"web:1.1"}
    assert set() not in served, "somebody always answers"
    assert selector(cluster) == {"app": "web"}


def test_the_last_pods_that_answer_are_not_taken_out(cluster: StatefulSetInMemory) -> None:
    put(cluster, Track.CANARY, NEW)
    for place in (0, 1):
        cluster.objects[f"{CORE}/pods/web-{place}"]["status"]["conditions"][0]["status"] = "False"
    with pytest.raises(TargetUnavailable, match="only the canary's pods answer"):
        drain(cluster)
    with pytest.raises(TargetUnavailable, match="only the canary's pods answer"):
        put(cluster, Track.CANARY, None)
    assert cluster.images()[-1] == "web:1.1"


def test_a_pod_that_a_service_finds_by_a_label_of_run_time_is_not_drained(cluster: StatefulSetInMemory) -> None:
    leader = {"selector": {"app": "web", "role": "leader"}}
    one_pod = {"selector": {"statefulset.kubernetes.io/pod-name": "web-2"}}
    cluster.create(f"{CORE}/services", {"metadata": {"name": "leader"}, "spec": leader})
    cluster.create(f"{CORE}/services", {"metadata": {"name": "web-2"}, "spec": one_pod})
    put(cluster, Track.CANARY, NEW)
    labels = cluster.objects[f"{CORE}/pods/web-2"]["metadata"]["labels"]
    labels.update({"role": "leader", "statefulset.kubernetes.io/pod-name": "web-2"})
    drain(cluster)
    assert [one.name for one in over(cluster).instances() if one.drained] == []
    assert any("Service leader sends requests to web-2 by labels" in note for note in over(cluster).notes())
    labels["role"] = "replica"
    assert [one.name for one in over(cluster).instances() if one.drained] == ["web-2"]
    assert not any("Service leader" in note for note in over(cluster).notes())
    assert selector(cluster, "leader") == {"app": "web", "role": "leader"}


def test_peers_find_each_other_in_a_drained_canary_too(cluster: StatefulSetInMemory) -> None:
    spec = {"selector": {"app": "web"}, "clusterIP": "None"}
    cluster.create(
        f"{CORE}/services", {"metadata": {"name": "gossip"}, "spec": {**spec, "publishNotReadyAddresses": True}}
    )
    cluster.create(f"{CORE}/services", {"metadata": {"name": "clients"}, "spec": spec})
    put(cluster, Track.CANARY, NEW)
    drain(cluster)
    assert selector(cluster, "gossip") == {"app": "web"}
    assert HASH in selector(cluster, "clients")
    assert [one.name for one in over(cluster).instances() if one.drained] == ["web-2"]


def test_a_service_of_others_too_is_refused(cluster: StatefulSetInMemory) -> None:
    other = {"name": "admin-0", "labels": {"app": "web", HASH: "admin-1"}}
    cluster.create(f"{CORE}/pods", {"metadata": other, "spec": {}})
    with pytest.raises(TargetRejected, match="sends requests to admin-0 too, which StatefulSet web did not make"):
        over(cluster).check(NEW)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"updateStrategy": {"type": "OnDelete"}}, "updateStrategy OnDelete: its controller replaces no pod"),
        ({"updateStrategy": {"rollingUpdate": {"partition": 2}}}, "a partition of 2 in its updateStrategy, which"),
        ({"revisionHistoryLimit": 0}, "a revisionHistoryLimit of 0"),
        ({"replicas": 0}, "has no replicas"),
    ],
)
def test_what_would_not_work_is_refused_before_anything_is_touched(
    cluster: StatefulSetInMemory, spec: dict[str, Any], said: str
) -> None:
    cluster.set(**spec)
    before = cluster.objects[SET]
    with pytest.raises(TargetRejected, match=said):
        over(cluster).check(NEW)
    with pytest.raises(TargetRejected):
        put(cluster, Track.CANARY, NEW)
    assert cluster.objects[SET]["spec"] == before["spec"]


def test_a_rollout_under_way_and_a_pod_that_blocks_all_others_are_waited_for(cluster: StatefulSetInMemory) -> None:
    condition = cluster.objects[f"{CORE}/pods/web-1"]["status"]["conditions"][0]
    condition["status"] = "False"
    with pytest.raises(TargetUnavailable, match=r"web-1 of StatefulSet web is not ready, and no pod is replaced"):
        over(cluster).check(NEW)
    condition["status"] = "True"
    cluster.set(template={"spec": {"containers": [{"name": "web", "image": BROKEN.artifact}]}})
    with pytest.raises(TargetUnavailable, match="a rollout of StatefulSet web is under way"):
        over(cluster).check(NEW)


def test_of_one_replica_there_is_no_canary() -> None:
    cluster = StatefulSetInMemory(1)
    with pytest.raises(TargetRejected, match="has 1 replica, of which there can be no canary"):
        put(cluster, Track.CANARY, NEW)
    assert any("one replica" in note for note in over(cluster).notes())
    put(cluster, Track.STABLE, NEW)
    assert cluster.images() == ["web:1.1"]


def test_what_a_tool_keeps_is_refused(cluster: StatefulSetInMemory) -> None:
    cluster.patch(f"{CORE}/services/web", {"metadata": {"labels": {"argocd.argoproj.io/instance": "shop"}}})
    with pytest.raises(TargetRejected, match="Service web is kept by Argo CD"):
        over(cluster).check(NEW)
    cluster.patch(SET, {"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}})
    with pytest.raises(TargetRejected, match="StatefulSet web is kept by Flux"):
        over(cluster).check(NEW)
    mine = TakenOverStatefulSet(cast("Cluster", cluster), "production", "shop", "web", shared_with_gitops=True)
    mine.check(NEW)


def test_a_stateful_set_is_named_beside_its_connection_too() -> None:
    target = KubernetesTarget.from_connection("kubernetes_production", "shop/statefulset/orders")
    assert (target.namespace, target.stateful_set, target.name) == ("shop", "orders", "orders")
    assert target.mistakes() == []


def test_no_second_side_and_no_route_are_found_when_the_file_is_parsed() -> None:
    target = KubernetesTarget("kubernetes_production", "production", stateful_set="db")
    assert "has no second side" in target.traffic_mistake(100, 0)
    assert target.mistakes() == []
    assert makes_replicas(target)
    assert in_place(target)
    assert target.label.name == "StatefulSet default/db"
    wrong = KubernetesTarget("kubernetes_production", "production", stateful_set="db", route="db", deployment="db")
    assert len(wrong.mistakes()) == 2
    assert not in_place(KubernetesTarget("kubernetes_production", "production"))


# -- what is said ------------------------------------------------------------------------------------------------------


def test_that_an_autoscaler_adds_pods_of_the_canarys_release_is_said(cluster: StatefulSetInMemory) -> None:
    spec = {"scaleTargetRef": {"kind": "StatefulSet", "name": "web"}, "maxReplicas": 3}
    cluster.create(AUTOSCALERS, {"metadata": {"name": "load"}, "spec": spec})
    over(cluster).check(NEW)
    assert not any("HorizontalPodAutoscaler" in note for note in over(cluster).notes())
    cluster.patch(f"{AUTOSCALERS}/load", {"spec": {"maxReplicas": 9}})
    over(cluster).check(NEW)
    assert any(
        "every pod that HorizontalPodAutoscaler load adds to StatefulSet web" in n for n in over(cluster).notes()
    )


def test_why_a_pod_is_refused_or_waits_is_said(cluster: StatefulSetInMemory) -> None:
    put(cluster, Track.CANARY, NEW)
    cluster.works = False
    cluster.objects.pop(f"{CORE}/pods/web-2")
    said = 'create Pod web-2 in StatefulSet web failed error: admission webhook "policy" denied the request: no tag'
    event = {"reason": "FailedCreate", "message": said, "lastTimestamp": "2026-11-29T04:00:00Z"}
    cluster.create(f"{CORE}/events", {**event, "metadata": {"name": "e1"}})
    (missing,) = [one for one in over(cluster).instances() if one.name == "web-2"]
    assert (missing.health, missing.track, missing.artifact) == (FAILED, Track.CANARY, "web:1.1")
    assert 'admission webhook "policy" denied the request: no tag' in missing.message
    made = "create Pod web-2 in StatefulSet web successful"
    event = {"reason": "SuccessfulCreate", "message": made, "lastTimestamp": "2026-11-29T04:00:05Z"}
    cluster.create(f"{CORE}/events", {**event, "metadata": {"name": "e2"}})
    assert {one.health for one in over(cluster).instances() if one.name == "web-2"} == {STARTING}


def test_configurations_are_kept_for_as_long_as_a_revision_names_them(cluster: StatefulSetInMemory) -> None:
    put(cluster, Track.CANARY, NEW)
    secrets = [path for path in cluster.objects if "/secrets/" in path]
    assert len(secrets) == 1
    put(cluster, Track.CANARY, None)
    assert [path for path in cluster.objects if "/secrets/" in path] == secrets, "its revision is kept"
    for path in [path for path in cluster.objects if "/controllerrevisions/" in path]:
        if "airflow-cd/configuration" in str(cluster.objects[path]):
            del cluster.objects[path]
    put(cluster, Track.CANARY, None)
    assert [path for path in cluster.objects if "/secrets/" in path] == []
