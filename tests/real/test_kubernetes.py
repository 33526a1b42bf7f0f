"""A Deployment of a real Kubernetes, with real pods: the contract, and what goes wrong on clusters."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import requests

from airflow_cd.errors import DeploymentFailed, TargetRejected, TargetUnauthorized, TargetUnavailable
from airflow_cd.instances import Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import KubernetesTarget
from airflow_cd.targets.replica_contract import ReplicaContract
from airflow_cd.targets.rollout import differences, wait_until
from tests.real.kubernetes import gateway
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.releases import (
    BROKEN,
    CONNECTION,
    GOOD,
    OTHER,
    UP_WITHIN,
    ask,
    drain,
    give,
    pods_of,
    put,
    whole,
)
from tests.real.kubernetes.web import Web, come_to, made

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def contract_web(loaded: Cluster) -> Iterator[Web]:
    web = Web(loaded, "contract", 3)
    yield web
    web.remove()


@pytest.fixture(scope="module")
def shared(loaded: Cluster) -> Iterator[Web]:
    """One Deployment for all of them: making another takes longer than most of these tests."""
    at_once = {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}
    made = Web(loaded, "web", 4, strategy=at_once)
    yield made
    made.remove()


@pytest.fixture
def target(shared: Web, connected: object) -> KubernetesTarget:
    return KubernetesTarget(CONNECTION, "production", deployment=shared.name)


@pytest.fixture
def web(shared: Web, target: KubernetesTarget) -> Web:
    """The Deployment on its good release, with four pods and no canary."""
    whole(shared, target, 4)
    return shared


class OfWeb:
    """The releases that both contracts are tried with."""

    @pytest.fixture
    def good(self) -> Release:
        return GOOD

    @pytest.fixture
    def other(self) -> Release:
        return OTHER

    @pytest.fixture
    def broken(self) -> Release:
        return BROKEN


class TestKubernetes(OfWeb, ReplicaContract):
    @pytest.fixture
    def target(self, contract_web: Web, connected: object) -> KubernetesTarget:
        return KubernetesTarget(CONNECTION, "contract")


def test_a_deployment_is_taken_over_and_handed_back_as_it_was(web: Web, target: KubernetesTarget) -> None:
    before = web.cluster.call("GET", web.path)
    put(target, Track.CANARY, OTHER)
    come_to(web.answers, {"1.0 hi", "1.1 hello"})
    put(target, Track.STABLE, OTHER)
    put(target, Track.CANARY, None)
    come_to(web.answers, {"1.1 hello"})
    put(target, Track.STABLE, Release("web", "1.0", GOOD.artifact, {}))
    come_to(web.answers, {"1.0 hi"})
    after = web.cluster.call("GET", web.path)
    assert after["spec"]["template"]["spec"] == before["spec"]["template"]["spec"]
    assert after["spec"]["replicas"] == before["spec"]["replicas"]


def test_no_request_reaches_a_canary_that_was_drained(
    web: Web, target: KubernetesTarget, measured: Callable[[str], None]
) -> None:
    put(target, Track.CANARY, OTHER)
    come_to(web.answers, {"1.0 hi", "1.1 hello"})
    began = time.monotonic()
    drain(target)
    safe = time.monotonic() - began
    behind = come_to(web.answers, {"1.0 hi"}, 200)
    measured(f"out of the traffic after {safe:.2f} s, kube-proxy {behind:.2f} s behind that")


def test_no_request_is_lost_while_a_canary_comes_and_goes(web: Web, target: KubernetesTarget) -> None:
    failed: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                web.answers(1)
            except requests.RequestException as error:
                failed.append(str(error))

    asking = threading.Thread(target=ask)
    asking.start()
    put(target, Track.CANARY, OTHER)
    drain(target)
    put(target, Track.CANARY, None)
    over.set()
    asking.join()
    assert failed == []


def test_why_a_pod_does_not_start_is_said_at_once(web: Web, target: KubernetesTarget) -> None:
    began = time.monotonic()
    with pytest.raises(DeploymentFailed, match=r"exit code 3.*ModuleNotFoundError: no module named tax"):
        put(target, Track.CANARY, BROKEN)
    absent = Release("web", "9.9", "localhost/web:9.9", {})
    with pytest.raises(DeploymentFailed, match=r"image localhost/web:9\.9 cannot be pulled"):
        put(target, Track.CANARY, absent)
    assert time.monotonic() - began < 30
    come_to(web.answers, {"1.0 hi"})


def counted(cluster: Cluster, quota: str) -> str | None:
    """How many pods a quota counts, once none is ending and it has counted all."""
    pods = cluster.call("GET", "/api/v1/namespaces/default/pods")["items"]
    ending = [one for one in pods if one["metadata"].get("deletionTimestamp")]
    used: str | None = cluster.call("GET", quota)["status"].get("used", {}).get("pods")
    return used if used == str(len(pods)) and not ending else None


def test_a_quota_that_allows_no_more_pods_is_named_with_its_numbers(web: Web, target: KubernetesTarget) -> None:
    path = "/api/v1/namespaces/default/resourcequotas"
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "0"}}}
    put(target, Track.CANARY, OTHER, 20)
    web.cluster.call("POST", path, quota)
    try:
        # Other Deployments may be there, and pods of the test before be ending.
        used = web.cluster.until(lambda: counted(web.cluster, f"{path}/few"), "the quota counts")
        with pytest.raises(TargetRejected, match=f"quota few has pods 0, of which {used} are used"):
            put(target, Track.CANARY, OTHER)
        assert differences(target.instances(), {Track.CANARY: OTHER}) == []
    finally:
        web.cluster.call("DELETE", f"{path}/few")


def test_a_right_that_only_the_way_back_needs_is_missed_before_anything_is_touched(
    web: Web, connected: Callable[[str, str], None]
) -> None:
    cluster, namespace = web.cluster, "default"
    cluster.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "narrow"}})
    rules = [
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "create", "update", "patch"]},
        {"apiGroups": ["", "apps", "discovery.k8s.io", "autoscaling"], "resources": ["*"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "delete"]},
    ]
    roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    cluster.call("POST", f"{roles}/roles", {"metadata": {"name": "narrow"}, "rules": rules})
    cluster.call(
        "POST",
        f"{roles}/rolebindings",
        {
            "metadata": {"name": "narrow"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "narrow"},
            "subjects": [{"kind": "ServiceAccount", "name": "narrow", "namespace": namespace}],
        },
    )
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/narrow/token"
    connected("kubernetes_narrow", cluster.call("POST", path, asked)["status"]["token"])
    narrow = KubernetesTarget("kubernetes_narrow", "production", deployment=web.name)
    with pytest.raises(TargetUnauthorized, match=r"may not delete deployments, patch pods, patch replicasets in"):
        narrow.check(OTHER)
    assert len(narrow.instances()) == 4


def test_what_a_gitops_tool_keeps_is_refused(web: Web, target: KubernetesTarget) -> None:
    web.cluster.patch(web.path, {"metadata": {"labels": {"argocd.argoproj.io/instance": "shop"}}})
    with pytest.raises(TargetRejected, match="kept by Argo CD"):
        target.check(OTHER)
    KubernetesTarget(CONNECTION, "production", deployment=web.name, shared_with_gitops=True).check(OTHER)


def test_an_autoscaler_that_would_count_the_canary_is_named(web: Web, target: KubernetesTarget) -> None:
    path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": web.name}
    spec = {"scaleTargetRef": reference, "minReplicas": 4, "maxReplicas": 6}
    web.cluster.call("POST", path, {"metadata": {"name": "load"}, "spec": spec})
    try:
        with pytest.raises(TargetRejected, match="HorizontalPodAutoscaler load would count"):
            target.check(OTHER)
    finally:
        web.cluster.call("DELETE", f"{path}/load")


def test_a_persons_scaling_in_mid_canary_is_kept(web: Web, target: KubernetesTarget) -> None:
    put(target, Track.CANARY, OTHER)
    web.cluster.patch(web.path, {"spec": {"replicas": 6}})
    put(target, Track.STABLE, OTHER)
    put(target, Track.CANARY, None)
    assert web.cluster.call("GET", web.path)["spec"]["replicas"] == 6
    assert len(target.instances()) == 6


def test_a_persons_undo_in_mid_canary_is_noticed(web: Web, target: KubernetesTarget) -> None:
    put(target, Track.STABLE, OTHER)
    before = web.cluster.call("GET", web.path)["spec"]["template"]
    before["spec"]["containers"][0]["image"] = GOOD.artifact
    web.cluster.patch(web.path, {"spec": {"template": before}})
    web.cluster.until(lambda: {one.artifact for one in target.instances()} == {GOOD.artifact}, "it is undone")
    assert differences(target.instances(), {Track.STABLE: OTHER})


def test_an_evicted_pod_of_a_canary_is_replaced_by_another_of_the_canary(web: Web, target: KubernetesTarget) -> None:
    put(target, Track.CANARY, OTHER, 20)
    (before,) = [one.name for one in target.instances() if one.track == Track.CANARY]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": before}}
    web.cluster.call("POST", f"/api/v1/namespaces/default/pods/{before}/eviction", eviction)
    wait_until(target, {Track.CANARY: OTHER}, timeout=UP_WITHIN)  # type: ignore[arg-type]
    names = [one.name for one in target.instances() if one.track == Track.CANARY]
    assert len(names) == 1
    web.cluster.until(
        lambda: before not in {one.name for one in target.instances()} and len(target.instances()) == 5,
        "another is there",
    )


def test_a_drained_canary_whose_pods_are_made_anew_gets_no_request(
    web: Web, target: KubernetesTarget, measured: Callable[[str], None]
) -> None:
    pods = f"/api/v1/namespaces/default/pods?labelSelector=airflow-cd/of%3D{web.name}"

    def ready(but: str = "") -> set[str] | None:
        # Those of a canary before it may be ready while they end.
        there = [one for one in web.cluster.call("GET", pods)["items"] if not one["metadata"].get("deletionTimestamp")]
        found = {
            one["metadata"]["name"]
            for one in there
            for condition in one["status"].get("conditions") or ()
            if condition["type"] == "Ready" and condition["status"] == "True" and one["metadata"]["name"] != but
        }
        return found if len(found) == 2 else None

    ask(target, Track.CANARY, OTHER, 34)
    before = web.cluster.until(ready, "it is ready")
    began = time.monotonic()
    drain(target)
    measured(f"drained for good after {time.monotonic() - began:.2f} s")
    gone = min(before)
    web.cluster.call("DELETE", f"/api/v1/namespaces/default/pods/{gone}")
    after = web.cluster.until(lambda: ready(but=gone), "another is ready")
    assert len(after & before) == 1, "no other was made anew"
    # Ready for longer than any proxy would need to send it requests.
    wait_until(target, {Track.CANARY: OTHER}, timeout=UP_WITHIN)  # type: ignore[arg-type]
    assert {one.drained for one in target.instances() if one.track == Track.CANARY} == {True}
    come_to(web.answers, {"1.0 hi"}, 60)
    give(target)
    come_to(web.answers, {"1.0 hi", "1.1 hello"})
    assert ready(but=gone) == after, "none was replaced"
    put(target, Track.CANARY, None)


def test_an_autoscaler_that_comes_in_mid_canary_replaces_no_pod(web: Web, target: KubernetesTarget) -> None:
    path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": web.name}
    put(target, Track.CANARY, OTHER, 20)
    before = pods_of(target, Track.CANARY)
    spec = {"scaleTargetRef": reference, "minReplicas": 4, "maxReplicas": 5}
    with made(web.cluster, path, {"metadata": {"name": "late"}, "spec": spec}):
        put(target, Track.CANARY, OTHER, 20)
        assert pods_of(target, Track.CANARY) == before
        assert any("late came beside the canary" in one.message for one in target.instances())
        put(target, Track.CANARY, None)
    come_to(web.answers, {"1.0 hi"})


def test_configurations_that_nothing_can_need_are_deleted(web: Web, target: KubernetesTarget) -> None:
    listed = f"/api/v1/namespaces/default/secrets?labelSelector=airflow-cd/of%3D{web.name}"

    def kept() -> set[str]:
        return {one["metadata"]["name"] for one in web.cluster.call("GET", listed)["items"]}

    before = kept()
    for number in range(3):
        put(target, Track.CANARY, Release("web", "1.1", OTHER.artifact, {"GREETING": str(number)}), 20)
    put(target, Track.CANARY, None)

    def swept() -> bool:
        ask(target, Track.CANARY, None)
        return kept() <= before

    web.cluster.until(swept, "they are gone")


def test_the_api_server_may_die_in_mid_canary(web: Web, target: KubernetesTarget) -> None:
    put(target, Track.CANARY, OTHER)
    web.cluster.restart("kube-apiserver")
    # No wait in between: what is asked meanwhile is asked again until it answers.
    drain(target)
    put(target, Track.CANARY, None)
    come_to(web.answers, {"1.0 hi"})


def test_files_of_a_configuration_are_in_the_pods(web: Web, target: KubernetesTarget) -> None:
    release = Release("web", "1.1", OTHER.artifact, {"/www/extra.txt": "from a file", "GREETING": "x"})
    put(target, Track.CANARY, release)
    put(target, Track.STABLE, release)
    put(target, Track.CANARY, None)
    session = requests.Session()
    session.trust_env = False
    assert session.get(f"{web.url}/extra.txt", timeout=5).text == "from a file"


def test_nothing_is_asked_of_a_deployment_without_replicas(web: Web, target: KubernetesTarget) -> None:
    web.cluster.patch(web.path, {"spec": {"replicas": 0}})
    with pytest.raises(TargetRejected, match="has no replicas"):
        target.check(OTHER)


def test_a_deployment_that_is_not_there_is_named(web: Web) -> None:
    with pytest.raises(TargetRejected, match="no Deployment 'nowhere' in namespace 'default'"):
        KubernetesTarget(CONNECTION, "nowhere").instances()


# -- weights of an HTTPRoute -------------------------------------------------------------------------------------------


@pytest.fixture
def routed(web: Web, address: str) -> Iterator[Callable[[int], list[str]]]:
    """What so many requests through the web's route are answered."""
    gateway.route(web.cluster, web.name, web.name)

    answers = gateway.answers_at(f"{address}/{web.name}/")
    web.cluster.until(lambda: set(answers(3)) == {"1.0 hi"}, "the route is served")
    yield answers
    web.cluster.call("DELETE", f"{gateway.ROUTES}/{web.name}")


@pytest.fixture
def by_route(web: Web, routed: object) -> KubernetesTarget:
    return KubernetesTarget(
        CONNECTION, "production", deployment=web.name, route=web.name, follows_within=gateway.FOLLOWS
    )


@pytest.fixture(scope="module")
def contract_routed(loaded: Cluster, address: str) -> Iterator[Web]:
    web = Web(loaded, "contract-routed", 2)
    gateway.route(loaded, web.name, web.name)
    yield web
    web.remove()


class TestRoute(OfWeb, ReplicaContract):
    @pytest.fixture
    def target(self, contract_routed: Web, connected: object) -> KubernetesTarget:
        return KubernetesTarget(
            CONNECTION, contract_routed.name, route=contract_routed.name, follows_within=gateway.FOLLOWS
        )


if "AIRFLOW_CD_CONTRACTS" not in os.environ:
    # What has nothing to do with who divides requests is tried above, and here where all of it is asked for.
    for name in (
        "test_replicas_are_listed_once_and_in_order",
        "test_a_release_that_can_be_deployed_can_be_checked",
        "test_the_stable_replicas_take_a_release_and_go_back",
        "test_the_configuration_comes_back_exactly",
        "test_the_same_key_again_changes_nothing",
        "test_a_release_that_does_not_start_is_reported",
        "test_a_missing_artifact_is_named",
        "test_a_caller_that_was_overruled_changes_nothing",
    ):
        setattr(TestRoute, name, None)


def test_requests_are_divided_by_weight_and_the_route_is_handed_back(
    web: Web, by_route: KubernetesTarget, routed: Callable[[int], list[str]], measured: Callable[[str], None]
) -> None:
    before = web.cluster.call("GET", f"{gateway.ROUTES}/{web.name}")["spec"]
    put(by_route, Track.CANARY, OTHER, 20)
    assert {one.drained for one in by_route.instances() if one.track == Track.CANARY} == {True}
    come_to(routed, {"1.0 hi"}, why="no weight before somebody gives it")
    give(by_route)
    web.cluster.until(lambda: routed(100).count("1.1 hello") == 20, "a fifth is the canary's", seconds=5)
    assert sum(one.weight or 0 for one in by_route.instances() if one.track == Track.CANARY) == pytest.approx(20)
    put(by_route, Track.CANARY, OTHER, 50)
    web.cluster.until(lambda: routed(100).count("1.1 hello") == 50, "half is the canary's", seconds=5)
    began = time.monotonic()
    drain(by_route)
    safe = time.monotonic() - began
    behind = come_to(routed, {"1.0 hi"}, 200)
    measured(f"weight 0 after {safe:.2f} s, the gateway {behind:.2f} s behind that")
    put(by_route, Track.CANARY, None)
    assert web.cluster.call("GET", f"{gateway.ROUTES}/{web.name}")["spec"] == before
    listed = web.cluster.call("GET", "/api/v1/namespaces/default/services")["items"]
    assert f"{web.name}-canary" not in [one["metadata"]["name"] for one in listed]


def test_a_tool_that_takes_the_canary_out_of_the_route_is_named_and_nothing_more_is_given(
    web: Web, by_route: KubernetesTarget, routed: Callable[[int], list[str]]
) -> None:
    path = f"{gateway.ROUTES}/{web.name}"
    there = web.cluster.call("GET", path)
    kept = {name: there[name] for name in ("apiVersion", "kind", "spec")} | {"metadata": {"name": web.name}}
    put(by_route, Track.CANARY, OTHER, 20)
    give(by_route)
    assert {one.message for one in by_route.instances()} == {""}
    web.cluster.call("PATCH", f"{path}?fieldManager=argocd-controller&force=true", kept, "application/apply-patch+yaml")
    said = f"HTTPRoute {web.name} was changed by argocd-controller at"
    canary = [one for one in by_route.instances() if one.track == Track.CANARY]
    assert all(one.message.startswith(said) and one.drained for one in canary)
    with pytest.raises(TargetRejected, match=said):
        ask(by_route, Track.CANARY, OTHER, 50)
    drain(by_route)
    put(by_route, Track.CANARY, None)
    come_to(routed, {"1.0 hi"})
    with pytest.raises(TargetRejected, match=f"HTTPRoute {web.name} is kept by Argo CD"):
        by_route.check(OTHER)


def test_no_weight_is_given_to_a_canary_that_cannot_answer(
    web: Web, by_route: KubernetesTarget, routed: Callable[[int], list[str]]
) -> None:
    ask(by_route, Track.CANARY, BROKEN)
    with pytest.raises(TargetUnavailable, match="none of its pods is ready"):
        give(by_route)
    come_to(routed, {"1.0 hi"})
    put(by_route, Track.CANARY, None)


def test_a_route_of_somebody_else_is_refused(web: Web, by_route: KubernetesTarget) -> None:
    gateway.route(web.cluster, f"{web.name}-other", "elsewhere")
    other = KubernetesTarget(CONNECTION, "production", deployment=web.name, route=f"{web.name}-other")
    with pytest.raises(TargetRejected, match="sends requests to elsewhere, and none of these is a Service"):
        other.check(OTHER)
    with pytest.raises(TargetRejected, match="no HTTPRoute 'nothing'"):
        KubernetesTarget(CONNECTION, "production", deployment=web.name, route="nothing").check(OTHER)
