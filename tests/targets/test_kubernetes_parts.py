"""What needs no cluster: templates, names, shares, and why a pod is not ready."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Cluster
from airflow_cd.instances import FAILED, HEALTHY, STARTING, Track
from airflow_cd.release import Release
from airflow_cd.targets import KubernetesTarget, describe_target, described_target, resolve_target
from airflow_cd.targets.base import ReplicaTarget
from airflow_cd.targets.kubernetes import configuration
from airflow_cd.targets.kubernetes.by_services import ByServices
from airflow_cd.targets.kubernetes.canary import canary_deployment, replicas_for, share_of
from airflow_cd.targets.kubernetes.health import health_of
from airflow_cd.targets.kubernetes.names import canary_of, label_selector
from airflow_cd.targets.kubernetes.rights import (
    FOR_ENDPOINTS,
    FOR_INGRESSES,
    FOR_PULLS,
    FOR_ROUTES,
    FOR_SHARES,
    FOR_STATEFUL_SETS,
    FOR_SWITCHES,
    FOR_VIRTUAL_SERVICES,
    NEEDED,
)
from airflow_cd.targets.kubernetes.rules import divide, mirrors_of
from airflow_cd.targets.kubernetes.template import running, tag_of, with_release, without_release

NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
DOCUMENT = Path(__file__).parents[2] / "docs" / "targets" / "kubernetes.md"
TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "web"}, "annotations": {"sidecar": "on"}},
    "spec": {
        "containers": [
            {"name": "proxy", "image": "proxy:3"},
            {
                "name": "web",
                "image": "registry:5000/web:1.0",
                "env": [{"name": "MODE", "value": "old"}, {"name": "KEPT", "value": "1"}],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            },
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
    },
}
RELEASE = Release("web", "1.1", "registry:5000/web:1.1", {"MODE": "new", "/etc/web.ini": "a = 1", "limits": {"a": [1]}})


def put(release: Release, template: dict[str, Any] = TEMPLATE) -> dict[str, Any]:
    return with_release(template, release, release.artifact, secret="web-cd-1", container="web")


def test_a_release_changes_its_container_and_nothing_else() -> None:
    before = copy.deepcopy(TEMPLATE)
    after = put(RELEASE)
    assert before == TEMPLATE
    proxy, web = after["spec"]["containers"]
    assert proxy == TEMPLATE["spec"]["containers"][0]
    assert web["image"] == RELEASE.artifact
    assert [one["name"] for one in web["env"]] == ["KEPT", "MODE", "limits"]
    assert {one["mountPath"] for one in web["volumeMounts"]} == {"/data", "/etc/web.ini"}


def test_what_a_release_has_replaced_comes_back() -> None:
    bare = without_release(put(RELEASE), "web")
    bare["spec"]["containers"][1]["image"] = "registry:5000/web:1.0"
    assert bare == TEMPLATE


def test_one_release_after_another_leaves_nothing_of_the_first() -> None:
    other = Release("web", "1.2", "registry:5000/web:1.2", {"ELSE": "x"})
    assert put(other, put(RELEASE)) == put(other)


def test_what_runs_is_read_back_as_it_was_given() -> None:
    found = running(put(RELEASE), "web", {"web-cd-1": RELEASE.configuration}.get)
    assert (found.artifact, found.version, found.configuration) == (RELEASE.artifact, "1.1", RELEASE.configuration)


def test_an_image_that_somebody_else_has_set_is_no_release_of_ours() -> None:
    theirs = put(RELEASE)
    theirs["spec"]["containers"][1]["image"] = "registry:5000/web:0.9"
    found = running(theirs, "web", lambda name: RELEASE.configuration)
    assert (found.artifact, found.version) == ("registry:5000/web:0.9", "0.9")


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("web", None),
        ("web:1.0", "1.0"),
        ("registry:5000/web", None),
        ("registry:5000/team/web:2.1-rc.1", "2.1-rc.1"),
        ("web@sha256:0123456789abcdef0123", "0123456789ab"),
        ("web:3@sha256:0123456789abcdef0123", "3"),
    ],
)
def test_the_version_of_an_image_that_nothing_is_known_of(image: str, tag: str | None) -> None:
    assert tag_of(image) == tag


@given(share=st.integers(1, 99), stable=st.integers(1, 200))
def test_no_other_number_of_replicas_comes_nearer_to_a_share(share: int, stable: int) -> None:
    chosen = replicas_for(share, stable)

    def off(count: int) -> float:
        return abs(count / (count + stable) - share / 100)

    assert chosen >= 1
    assert all(off(chosen) <= off(count) + 1e-12 for count in range(1, 25_000 // stable + 200) if count < 20_000)


@pytest.mark.parametrize("key", ["A=B", "", "/etc/../passwd", "/etc/"])
def test_a_name_that_no_container_could_have_is_refused(key: str) -> None:
    with pytest.raises(TargetRejected, match="no name of an environment variable or of a file"):
        configuration.require_usable({key: "x"})


DEPLOYMENT: dict[str, Any] = {
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "labels": {"argocd.argoproj.io/instance": "shop"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        "ownerReferences": [{"uid": "1"}],
    },
    "spec": {
        "replicas": 4,
        "selector": {"matchLabels": {"app": "web", "component": "front"}},
        "template": {"metadata": {"labels": {"app": "web", "component": "front"}}, "spec": TEMPLATE["spec"]},
    },
}


def service(**selector: str) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"selector": selector}}


def by_services(monkeypatch: pytest.MonkeyPatch, *services: dict[str, Any], autoscaler: str | None) -> ByServices:
    made = ByServices(Cluster("unused"), "shop", DEPLOYMENT, lambda: autoscaler)
    monkeypatch.setitem(made.__dict__, "services", list(services))
    return made


LABELS = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]


def test_a_canary_copies_nothing_by_which_another_tool_takes_it_for_its_own() -> None:
    made = canary_deployment(DEPLOYMENT, DEPLOYMENT["spec"]["template"], 1, labels=LABELS, share=20)
    assert set(made["metadata"]["labels"]) == {"airflow-cd/of", "airflow-cd/track"}
    assert set(made["metadata"]) == {"name", "namespace", "labels", "annotations"}
    assert set(made["metadata"]["annotations"]) == {"airflow-cd/share"}
    assert made["metadata"]["name"] == "web-canary"
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= LABELS.items(), "the Services find it"
    assert made["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert share_of(made) == 20


def test_an_autoscaler_counts_no_pod_of_a_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    free = by_services(monkeypatch, service(app="web"), autoscaler="load")
    assert free.labels(LABELS, None) == {"app": "web"}
    assert by_services(monkeypatch, service(app="web"), autoscaler=None).labels(LABELS, None) == LABELS
    bound = by_services(monkeypatch, service(app="web", component="front"), autoscaler="load")
    with pytest.raises(TargetRejected, match=r"load would count the canary's pods.*app, component"):
        bound.labels(LABELS, None)


THEIR_MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "theirs", "port": 80}}}


@given(
    weight=st.none() | st.integers(0, 1000),
    shares=st.lists(st.integers(0, 100), min_size=1, max_size=4),
    others=st.integers(0, 2),
    copies=st.integers(0, 100),
    filters=st.sampled_from([None, [{"type": "URLRewrite"}], [THEIR_MIRROR]]),
)
def test_a_route_that_was_divided_is_put_back_as_it_was(
    weight: int | None, shares: list[int], others: int, copies: int, filters: list[dict[str, Any]] | None
) -> None:
    mine = {"name": "web", "port": 80} | ({"weight": weight} if weight is not None else {})
    more = [{"name": f"other-{number}", "port": 80, "weight": 5} for number in range(others)]
    rule = {"backendRefs": [mine, *more]} | ({"filters": filters} if filters is not None else {})
    before = {"metadata": {"annotations": {}}, "spec": {"rules": [rule, {"filters": []}]}}
    route = copy.deepcopy(before)
    for share in shares:
        divide(route, "web", share, copies)
        divide(route, "web", share, copies)
        to = [one["requestMirror"]["backendRef"] for one in mirrors_of(route["spec"]["rules"][0])]
        assert to.count({"name": "web-canary", "port": 80}) == (1 if copies else 0)
        weights = {one["name"]: one["weight"] for one in route["spec"]["rules"][0]["backendRefs"]}
        assert (weights["web"], weights["web-canary"]) == (100 - share, share)
    for _ in range(2):
        divide(route, "web", None)
        assert route == before, "also where it is given back once more"


def test_the_name_of_a_canary_fits_into_a_label() -> None:
    assert len(canary_of("a" * 63)) <= 63
    assert canary_of("a" * 63).endswith("-canary")


def test_a_selector_is_asked_for_as_it_stands() -> None:
    selector = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "old", "operator": "DoesNotExist"},
            {"key": "new", "operator": "Exists"},
        ],
    }
    assert label_selector(selector) == "app=web,tier in (a,b),!old,new"


KILLED = "web was killed: it used more memory than its limit (OOMKilled), started again 2 times; its last lines: "
KILLED += "no module named tax"


def pod(state: dict[str, Any], *, ready: str = "False", restarts: int = 0, **more: Any) -> dict[str, Any]:
    one = {
        "name": "web",
        "image": "web:1.1",
        "state": state,
        "restartCount": restarts,
        "ready": ready == "True",
        **more,
    }
    since = (NOW - timedelta(minutes=1)).isoformat()
    conditions = [{"type": "Ready", "status": ready, "lastTransitionTime": since}]
    return {"status": {"phase": "Running", "containerStatuses": [one], "conditions": conditions}}


@pytest.mark.parametrize(
    ("found", "health", "said"),
    [
        (pod({"running": {}}, ready="True"), HEALTHY, ""),
        (pod({"waiting": {"reason": "ContainerCreating"}}), STARTING, "ContainerCreating"),
        (
            pod({"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}}),
            FAILED,
            "image web:1.1 cannot be pulled (ErrImagePull): manifest unknown",
        ),
        (pod({"waiting": {"reason": "ErrImagePull", "message": "i/o timeout"}}), STARTING, "ErrImagePull: i/o timeout"),
        (
            pod({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}}),
            FAILED,
            'web cannot start (CreateContainerConfigError): secret "x" not found',
        ),
        (
            pod({"terminated": {"exitCode": 3}}),
            STARTING,
            "web ended with exit code 3; its last lines: no module named tax",
        ),
        (
            pod(
                {"waiting": {"reason": "CrashLoopBackOff"}},
                restarts=2,
                lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            ),
            FAILED,
            KILLED,
        ),
    ],
)
def test_why_a_pod_is_not_ready_is_said_in_the_first_sentence(found: dict[str, Any], health: str, said: str) -> None:
    assert health_of(found, NOW, lambda name, before: "no module named tax") == (health, said)


def test_a_pod_that_was_ready_for_an_instant_is_not_healthy_yet() -> None:
    found = pod({"running": {}}, ready="True")
    found["status"]["conditions"][0]["lastTransitionTime"] = (NOW - timedelta(seconds=1)).isoformat()
    assert health_of(found, NOW, lambda name, before: "")[0] == STARTING


def test_a_pod_that_no_node_takes_says_why() -> None:
    found = {"status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes: cpu"}]}}
    assert health_of(found, NOW, lambda name, before: "") == (STARTING, "no node takes it: 0/3 nodes: cpu")


def test_the_documented_role_gives_every_right_that_is_asked_for() -> None:
    rights = DOCUMENT.read_text().partition("## Rights")[2].partition("## ")[0]
    indented = "\n".join(line[4:] for line in rights.splitlines() if line.startswith("    "))
    role, _ = yaml.safe_load_all(indented)
    given = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    divided = {*FOR_SHARES, *FOR_ENDPOINTS, *FOR_ROUTES, *FOR_VIRTUAL_SERVICES, *FOR_INGRESSES}
    assert {*NEEDED, *divided, *FOR_PULLS, *FOR_SWITCHES, *FOR_STATEFUL_SETS} <= given


def test_a_target_is_found_by_the_name_of_its_connection_and_survives_being_described() -> None:
    target = resolve_target("kubernetes_production", "shop/storefront")
    assert isinstance(target, KubernetesTarget)
    assert isinstance(target, ReplicaTarget)
    assert (target.namespace, target.name) == ("shop", "storefront")
    made = KubernetesTarget("kubernetes_production", "production", namespace="shop", deployment="storefront")
    description = describe_target(made, "production")
    assert description is not None
    assert described_target(description) == made
    assert made.mistakes() == []
    assert KubernetesTarget("", "Production_1").mistakes() != []


def test_stable_replicas_cannot_be_kept_out_of_the_traffic() -> None:
    with pytest.raises(TargetRejected, match="cannot be kept out"):
        KubernetesTarget("kubernetes_production", "production").drain([Track.STABLE], key="k", token=1)
