"""What others do to a Deployment while it is deployed to: rights, policies, autoscalers, evictions, people, nodes."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from airflow_cd.errors import DeploymentFailed, TargetRejected, TargetUnauthorized, TargetUnavailable
from airflow_cd.instances import STARTING, Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import KubernetesTarget
from airflow_cd.targets.rollout import differences, wait_until
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.one_deployment import shared, target, web
from tests.real.kubernetes.releases import BROKEN, CONNECTION, GOOD, OTHER, UP_WITHIN, ask, drain, pods_of, put, tokens
from tests.real.kubernetes.web import Web, come_to, made
from tests.real.kubernetes.webhook import refusing

pytestmark = pytest.mark.real

__all__ = ["shared", "target", "web"]

DIES = Release("web", "1.5", "localhost/web:1.5", {})
PODS = "/api/v1/namespaces/default/pods"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"

numbers = itertools.count(1)


# -- rights ------------------------------------------------------------------------------------------------------------


class Deployer:
    """A service account that may do all that the documentation's Role has."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.name = cluster, f"deployer-{next(numbers)}"
        self.accounts = "/api/v1/namespaces/default/serviceaccounts"

    def make(self) -> str:
        """The account, and a token of it; tokens of an account before it are worth nothing."""
        self.cluster.call("POST", self.accounts, {"metadata": {"name": self.name}})
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token: str = self.cluster.call("POST", f"{self.accounts}/{self.name}/token", asked)["status"]["token"]
        return token

    def remove(self) -> None:
        """The account goes."""
        self.cluster.call("DELETE", f"{self.accounts}/{self.name}")

    def binding(self) -> dict[str, Any]:
        """Its rights."""
        return {
            "metadata": {"name": self.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": self.name, "namespace": "default"}],
        }


@pytest.fixture
def deployer(web: Web) -> Iterator[Deployer]:
    made_one = Deployer(web.cluster)
    yield made_one
    made_one.remove()


def test_a_token_that_ends_in_mid_canary_is_read_anew_from_the_connection(
    web: Web, deployer: Deployer, connected: Callable[[str, str], None]
) -> None:
    connected("kubernetes_short", deployer.make())
    short = KubernetesTarget("kubernetes_short", "production", deployment=web.name)
    with made(web.cluster, f"{RBAC}/rolebindings", deployer.binding()):
        put(short, Track.CANARY, OTHER)
        pod = pods_of(short, Track.CANARY)[0]
        deployer.remove()
        token = deployer.make()

        def is_void() -> bool:
            try:
                short.instances()
            except TargetUnauthorized:
                return True
            return False

        web.cluster.until(is_void, "the old token is void", seconds=20)
        with pytest.raises(
            TargetUnauthorized, match=rf"\(401\).*As read \d+ s ago, the canary has .*{pod}.* with traffic"
        ):
            drain(short)
        connected("kubernetes_short", token)
        drain(short)
        come_to(web.answers, {"1.0 hi"}, 60)
        put(short, Track.CANARY, None)


def test_rights_that_are_taken_away_in_mid_canary_leave_a_sentence_and_nothing_half(
    web: Web, target: KubernetesTarget, deployer: Deployer, connected: Callable[[str, str], None]
) -> None:
    connected("kubernetes_bound", deployer.make())
    bound = KubernetesTarget("kubernetes_bound", "production", deployment=web.name)
    with made(web.cluster, f"{RBAC}/rolebindings", deployer.binding()):
        put(bound, Track.CANARY, OTHER)
        bound.instances()
    with pytest.raises(TargetUnauthorized) as caught:
        drain(bound)
    assert 'resource "deployments"' in str(caught.value)
    assert "the canary has" in str(caught.value)
    assert len(pods_of(target, Track.CANARY)) == 3
    with made(web.cluster, f"{RBAC}/rolebindings", deployer.binding()):
        web.cluster.until(lambda: _allowed(bound), "the rights are back", seconds=20)
        drain(bound)
        put(bound, Track.CANARY, None)
    come_to(web.answers, {"1.0 hi"})


def _allowed(target: KubernetesTarget) -> bool:
    try:
        target.instances()
    except TargetUnauthorized:
        return False
    return True


# -- policies ----------------------------------------------------------------------------------------------------------


def test_a_webhook_that_refuses_pods_is_quoted_at_once(web: Web, target: KubernetesTarget) -> None:
    began = time.monotonic()
    with refusing(web.cluster, "images need a signature", web.name):
        with pytest.raises(DeploymentFailed, match="denied the request: images need a signature"):
            put(target, Track.CANARY, OTHER)
        assert time.monotonic() - began < 10
        put(target, Track.CANARY, None)
        assert differences(target.instances(), {Track.STABLE: GOOD}) == []
    come_to(web.answers, {"1.0 hi"})


def test_a_webhook_that_is_away_is_named_and_waited_for(web: Web, target: KubernetesTarget) -> None:
    with refusing(web.cluster, "", web.name) as hook:
        hook.shutdown()
        hook.socket.close()
        ask(target, Track.CANARY, OTHER)
        web.cluster.until(lambda: _said(target, "failed calling webhook"), "it is said", seconds=20)
        assert {one.health for one in target.instances() if one.track == Track.CANARY} == {STARTING}
        drain(target)
        put(target, Track.CANARY, None)
    come_to(web.answers, {"1.0 hi"})


def _said(target: KubernetesTarget, words: str) -> bool:
    return any(words in one.message for one in target.instances())


def test_a_policy_that_refuses_what_is_written_is_no_missing_right(web: Web, target: KubernetesTarget) -> None:
    group = "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}
    policy = {
        "metadata": {"name": "frozen"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "false", "message": "the shop is frozen until Monday"}],
        },
    }
    bound = {"metadata": {"name": "frozen"}, "spec": {"policyName": "frozen", "validationActions": ["Deny"]}}
    with (
        made(web.cluster, f"/apis/{group}/validatingadmissionpolicies", policy),
        made(web.cluster, f"/apis/{group}/validatingadmissionpolicybindings", bound),
    ):
        web.cluster.until(lambda: _refused(web.cluster), "the policy is in force", seconds=20)
        with pytest.raises(TargetRejected, match="the shop is frozen until Monday"):
            ask(target, Track.CANARY, OTHER)
    come_to(web.answers, {"1.0 hi"})


def _refused(cluster: Cluster) -> bool:
    body = {
        "metadata": {"generateName": "tried-"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"tried": "yes"}},
            "template": {
                "metadata": {"labels": {"tried": "yes"}},
                "spec": {"containers": [{"name": "web", "image": "localhost/web:1.0"}]},
            },
        },
    }
    path = "/apis/apps/v1/namespaces/default/deployments"
    try:
        cluster.call("POST", f"{path}?dryRun=All", body)
    except requests.HTTPError as error:
        return "frozen" in str(error)
    return False


def settled(cluster: Cluster) -> list[dict[str, Any]]:
    """The pods, once none of the tests before is ending."""
    found: list[dict[str, Any]] = []

    def none_ends() -> bool:
        found[:] = cluster.call("GET", PODS)["items"]
        return not any(one["metadata"].get("deletionTimestamp") for one in found)

    cluster.until(none_ends, "no pod is ending")
    return found


def test_a_quota_without_room_for_the_way_back_is_told_before_anything_is_made(
    web: Web, target: KubernetesTarget
) -> None:
    path = "/api/v1/namespaces/default/resourcequotas"
    count = len(settled(web.cluster))
    with made(web.cluster, path, {"metadata": {"name": "tight"}, "spec": {"hard": {"pods": str(count)}}}):
        web.cluster.until(lambda: web.cluster.call("GET", f"{path}/tight")["status"].get("used"), "it counts")
        with pytest.raises(TargetRejected, match=rf"need 2 more pods: quota tight has pods {count}, of which"):
            target.check(OTHER)
        with pytest.raises(TargetRejected, match="quota tight"):
            ask(target, Track.CANARY, OTHER)
    assert pods_of(target, Track.CANARY) == []


# -- nodes, autoscalers, evictions -------------------------------------------------------------------------------------


def test_a_kubelet_that_is_killed_keeps_nobody_from_going_back(web: Web, target: KubernetesTarget) -> None:
    put(target, Track.CANARY, OTHER)
    with web.cluster.without("kubelet"):
        drain(target)
        come_to(web.answers, {"1.0 hi"}, 60)
        put(target, Track.CANARY, None, seconds=10)
        assert differences(target.instances(), {Track.STABLE: GOOD}) == []
    put(target, Track.CANARY, OTHER)
    come_to(web.answers, {"1.0 hi", "1.1 hello"})
    put(target, Track.CANARY, None)


def test_an_autoscaler_that_scales_in_mid_canary_is_obeyed_and_the_share_is_kept(
    web: Web, target: KubernetesTarget
) -> None:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": web.name}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    spec = {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 3, "metrics": [cpu]}
    path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    with made(web.cluster, path, {"metadata": {"name": "load"}, "spec": spec}):
        put(target, Track.CANARY, OTHER, 50)
        assert len(pods_of(target, Track.CANARY)) == 3
        web.cluster.patch(f"{path}/load", {"spec": {"maxReplicas": 2}})
        web.cluster.until(lambda: len(pods_of(target, Track.STABLE)) == 2, "it has scaled in", seconds=30)
        put(target, Track.CANARY, OTHER, 50)
        web.cluster.until(lambda: len(pods_of(target, Track.CANARY)) == 2, "the canary keeps its half", seconds=10)
        put(target, Track.STABLE, OTHER)
        put(target, Track.CANARY, None)
        assert len(target.instances()) == 2
        put(target, Track.STABLE, GOOD)
        assert web.cluster.call("GET", web.path)["spec"]["replicas"] == 2
    come_to(web.answers, {"1.0 hi"})


def test_a_disruption_budget_is_honoured_and_bars_no_way_back(web: Web, target: KubernetesTarget) -> None:
    path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    spec = {"minAvailable": 3, "selector": {"matchLabels": {"app": web.name}}}
    put(target, Track.CANARY, OTHER, 20)
    with made(web.cluster, path, {"metadata": {"name": "most"}, "spec": spec}):
        web.cluster.until(
            lambda: web.cluster.call("GET", f"{path}/most")["status"].get("disruptionsAllowed") == 1, "it counts"
        )
        first, second = pods_of(target, Track.STABLE)[:2]
        web.cluster.call("POST", f"{PODS}/{first}/eviction", _eviction(first))
        with pytest.raises(requests.HTTPError, match=r"429.*disruption budget"):
            web.cluster.call("POST", f"{PODS}/{second}/eviction", _eviction(second))
        wait_until(target, {Track.STABLE: GOOD, Track.CANARY: OTHER}, timeout=UP_WITHIN)  # type: ignore[arg-type]
        assert first not in pods_of(target, Track.STABLE)
        drain(target)
        put(target, Track.CANARY, None)
    come_to(web.answers, {"1.0 hi"})


def _eviction(pod: str) -> dict[str, Any]:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}


# -- people and tools --------------------------------------------------------------------------------------------------


def applied(web: Web, template: dict[str, Any], manager: str, query: str = "force=true") -> None:
    """What a tool writes that puts back what stands in its repository."""
    web.cluster.call(
        "PATCH",
        f"{web.path}?fieldManager={manager}&{query}",
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": web.name}, "spec": {"template": template}},
        "application/apply-patch+yaml",
    )


def test_what_a_tool_puts_back_is_noticed_with_its_name(web: Web, target: KubernetesTarget) -> None:
    put(target, Track.STABLE, OTHER)
    image = {"spec": {"containers": [{"name": "web", "image": GOOD.artifact}]}}
    applied(web, image, "deploy-bot")
    said = "Deployment faults was given localhost/web:1.0 by deploy-bot at"

    def is_told() -> bool:
        wrong = differences(target.instances(), {Track.STABLE: OTHER})
        return len(wrong) == 3 and all(said in one and "had given it localhost/web:1.1" in one for one in wrong)

    web.cluster.until(is_told, "it is put back, and every pod says by whom", seconds=30)
    # After a rollback as well: the tool brings the bad release back.
    put(target, Track.STABLE, GOOD)
    assert not _said(target, "was given")
    applied(web, {"spec": {"containers": [{"name": "web", "image": OTHER.artifact}]}}, "deploy-bot")
    for told in ("was given localhost/web:1.1 by deploy-bot", "the nodes do not say which image localhost/web:1.1 is"):
        web.cluster.until(lambda told=told: any(told in one for one in target.notes()), told, seconds=30)
    web.cluster.until(lambda: _said(target, "was given localhost/web:1.1 by deploy-bot"), "it is told", seconds=30)
    assert "was given localhost/web:1.1 by deploy-bot" in target.changed_by()


def test_what_others_add_in_mid_canary_stays_theirs(web: Web, target: KubernetesTarget) -> None:
    put(target, Track.CANARY, OTHER)
    theirs = {"metadata": {"annotations": {"team": "checkout"}}}
    more = {"containers": [{"name": "web", "env": [{"name": "ADDED", "value": "by hand"}]}]}
    web.cluster.call(
        "PATCH",
        f"{web.path}?fieldManager=kubectl-edit",
        {**theirs, "spec": {"template": {**theirs, "spec": more}}},
        "application/strategic-merge-patch+json",
    )
    told = f"Deployment {web.name} was changed by kubectl-edit at "
    put(target, Track.STABLE, OTHER)
    assert _said(target, told)
    put(target, Track.CANARY, None)
    put(target, Track.STABLE, GOOD)
    messages = {one.message for one in target.instances()}
    assert all(one.startswith(told) and "variable ADDED of container web" in one for one in messages)
    next_version = {"spec": {"containers": [{"name": "web", "image": OTHER.artifact}]}}
    with pytest.raises(requests.HTTPError, match='conflict with \\\\"airflow-cd\\\\"'):
        applied(web, next_version, "kubectl", "dryRun=All")
    target.settled(token=next(tokens))
    assert {one.message for one in target.instances()} == {""}
    applied(web, next_version, "kubectl", "dryRun=All")
    after = web.cluster.call("GET", web.path)
    (container,) = after["spec"]["template"]["spec"]["containers"]
    assert {"name": "ADDED", "value": "by hand"} in container["env"]
    assert {one["name"]: one.get("value") for one in container["env"]}["GREETING"] == "hi"
    assert after["metadata"]["annotations"]["team"] == "checkout"
    assert after["spec"]["template"]["metadata"]["annotations"]["team"] == "checkout"


def test_a_stateful_set_is_refused_by_name(web: Web, connected: object) -> None:
    labels = {"app": "db"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "db", "image": "localhost/web:1.0"}]}}
    spec = {"replicas": 0, "serviceName": "db", "selector": {"matchLabels": labels}, "template": template}
    path = "/apis/apps/v1/namespaces/default/statefulsets"
    with (
        made(web.cluster, path, {"metadata": {"name": "db"}, "spec": spec}),
        pytest.raises(TargetRejected, match="'db' in namespace 'default' is a StatefulSet"),
    ):
        KubernetesTarget(CONNECTION, "production", deployment="db").check(GOOD)


# -- bad releases ------------------------------------------------------------------------------------------------------


def test_a_pod_that_is_ready_and_dies_fails_its_phase(web: Web, target: KubernetesTarget) -> None:
    with pytest.raises(DeploymentFailed, match=r"exit code 4.*lost the licence server"):
        put(target, Track.CANARY, DIES)
    put(target, Track.CANARY, None)


def test_going_back_waits_for_no_pod_of_the_release_that_crashes(web: Web, target: KubernetesTarget) -> None:
    seen: list[str] = []
    over = threading.Event()

    def visit() -> None:
        while not over.is_set():
            try:
                seen.extend(web.answers(1))
            except requests.RequestException as error:
                seen.append(str(error))

    visiting = threading.Thread(target=visit)
    visiting.start()
    try:
        ask(target, Track.CANARY, BROKEN)
        ask(target, Track.STABLE, BROKEN)
        web.cluster.until(lambda: _said(target, "exit code 3"), "stable pods crash", seconds=30)
        began = time.monotonic()
        put(target, Track.STABLE, GOOD)
        put(target, Track.CANARY, None)
        assert time.monotonic() - began < 10
    finally:
        over.set()
        visiting.join()
    assert set(seen) == {"1.0 hi"}, "old pods answer all the time"


def test_the_last_pods_that_answer_are_not_taken_away(web: Web, target: KubernetesTarget) -> None:
    put(target, Track.CANARY, OTHER)
    web.cluster.patch(web.path, {"spec": {"replicas": 0}})
    web.cluster.until(lambda: set(web.answers(8)) == {"1.1 hello"}, "the canary alone answers")
    for act in (lambda: drain(target), lambda: ask(target, Track.CANARY, None)):
        with pytest.raises(TargetUnavailable, match="none of the stable pods of Deployment faults is ready"):
            act()
    web.cluster.until(lambda: set(web.answers(20)) == {"1.1 hello"}, "the canary answers")
    web.cluster.patch(web.path, {"spec": {"replicas": 3}})
    wait_until(target, {Track.STABLE: GOOD}, timeout=UP_WITHIN)  # type: ignore[arg-type]
    drain(target)
    put(target, Track.CANARY, None)
    come_to(web.answers, {"1.0 hi"})
