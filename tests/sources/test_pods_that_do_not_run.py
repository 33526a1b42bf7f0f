"""Pods of which there is nothing because they do not run say why, and what runs beside or before is read."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cd.hooks.kubernetes import Cluster
from airflow_cd.sources import KubernetesLogs
from airflow_cd.verification.samples import LogSample
from tests.sources.test_pod_logs import WINDOW, Pods, at, line, running

FAILED = {"terminated": {"exitCode": 3, "reason": "Error", "startedAt": f"{at(60)}Z", "containerID": "c://1"}}


@pytest.fixture
def pods(monkeypatch: pytest.MonkeyPatch) -> Pods:
    made = Pods()
    monkeypatch.setattr(Cluster, "every", made.every)
    monkeypatch.setattr(Cluster, "content", made.content)
    made.metadata = {"creationTimestamp": f"{at(-600)}Z"}
    return made


def waiting(reason: str, **more: str) -> dict[str, Any]:
    return {"restartCount": 0, "state": {"waiting": {"reason": reason, **more}}}


def read(container: str = "") -> LogSample:
    return KubernetesLogs(container=container).read(WINDOW, ["web-1"])


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (waiting("ImagePullBackOff", message='Back-off pulling image "shop:2"'), 'Back-off pulling image "shop:2"'),
        (waiting("CreateContainerConfigError", message="secret not found"), "CreateContainerConfigError: secret not"),
        (waiting("ContainerCreating"), "ContainerCreating"),  # for ten minutes
        ({**waiting("CrashLoopBackOff"), "lastState": FAILED}, "CrashLoopBackOff: its last run ended with code 3 (Err"),
    ],
)
def test_why_a_container_does_not_run(pods, state, why):
    pods.containers = {"shop": state}
    pods.files = {("shop", False): None}
    [warning] = read().warnings
    assert warning.startswith("shop of web-1 does not run: ")
    assert why in warning


def test_a_pod_that_is_just_being_made_is_not_worth_a_word(pods):
    pods.metadata = {"creationTimestamp": f"{at(220)}Z"}
    pods.containers = {"shop": waiting("ContainerCreating")}
    pods.files = {("shop", False): None}
    assert read().warnings == ()


@pytest.mark.parametrize("state", [{}, {"waiting": {"reason": "ContainerCreating"}}, FAILED])
def test_a_container_between_two_runs_is_not_worth_a_word(pods, state):
    pods.containers = {"shop": {"restartCount": 1, "state": state, "lastState": FAILED}}
    pods.files = {("shop", True): line(61, "INFO started")}
    sample = read()
    assert len(sample.frame) == 1
    assert sample.warnings == ()


def test_a_pod_that_no_node_takes(pods):
    pods.spec = {"containers": [{"name": "shop"}]}
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    pods.status = {"phase": "Pending", "conditions": [unplaced]}
    pods.files = {("shop", False): None}
    assert read().warnings == ("shop of web-1 does not run: Unschedulable: 0/3 nodes.",)


@pytest.mark.parametrize(("ended", "lost"), [(100, True), (-100, False), (None, True)])
def test_what_a_pod_wrote_before_it_was_evicted_is_lost(pods, ended, lost):
    pods.spec = {"containers": [{"name": "shop"}]}
    changed = [{"type": "Ready", "lastTransitionTime": f"{at(ended)}Z"}] if ended is not None else []
    pods.status = {"phase": "Failed", "reason": "Evicted", "message": "low on memory.", "conditions": changed}
    pods.files = {("shop", False): None}
    sample = read()
    assert sample.truncated == lost
    [warning] = sample.warnings
    assert "web-1 has failed (Evicted: low on memory)" in warning
    assert ("shop of web-1 wrote is lost" in warning) == lost


def init(pods: Pods, **state: Any) -> None:
    pods.spec = {"containers": [{"name": "shop"}], "initContainers": [{"name": "migrate"}]}
    pods.status = {"initContainerStatuses": [{"name": "migrate", **state}]}
    pods.containers = {"shop": waiting("PodInitializing")}
    pods.files = {("shop", False): None, ("migrate", True): line(65, "ERROR no table")}


@pytest.mark.parametrize("container", ["", "*"])
def test_an_init_container_that_fails_is_read(pods, container):
    init(pods, restartCount=1, state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=FAILED)
    sample = read(container)
    assert list(sample.frame["message"]) == ["ERROR no table"]
    assert "shop of web-1 does not run: its init container migrate is waiting: CrashLoopBackOff." in sample.warnings


def test_who_names_a_container_hears_of_the_one_that_keeps_it_from_running(pods):
    init(pods, restartCount=1, state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=FAILED)
    sample = read("shop")
    assert len(sample.frame) == 0
    assert sample.warnings == ("shop of web-1 does not run: its init container migrate is waiting: CrashLoopBackOff.",)


@pytest.mark.parametrize(("container", "read_of"), [("", []), ("*", []), ("migrate", ["INFO migrated"])])
def test_an_init_container_that_has_done_its_work_is_read_where_it_is_named(pods, container, read_of):
    init(pods, restartCount=0, state={"terminated": {"exitCode": 0, "containerID": "c://1"}})
    pods.files["migrate", False] = line(5, "INFO migrated")
    assert list(read(container).frame["message"]) == read_of


@pytest.mark.parametrize(
    ("container", "said"), [("proxy", ["of proxy"]), ("*", ["of shop", "of proxy"]), ("", ["of shop"])]
)
def test_a_sidecar_that_is_an_init_container_is_a_container(pods, container, said):
    pods.containers = {"shop": running()}
    pods.spec = {
        "containers": [{"name": "shop"}],
        "initContainers": [{"name": "proxy", "restartPolicy": "Always"}],
    }
    pods.status = {"initContainerStatuses": [{"name": "proxy", **running()}]}
    pods.files = {("shop", False): line(5, "of shop"), ("proxy", False): line(6, "of proxy")}
    assert list(read(container).frame["message"]) == said


@pytest.mark.parametrize(
    ("made", "label", "lost"),
    [
        (100, "web-1", True),
        (-100, "web-1", False),
        (300, "web-1", False),  # behind the window: another has been asked for
        (100, None, False),  # of a Deployment, whose names never come again
    ],
)
def test_a_pod_of_a_stateful_set_that_was_made_again(pods, made, label, lost):
    labels = {"statefulset.kubernetes.io/pod-name": label} if label else {}
    pods.metadata = {"creationTimestamp": f"{at(made)}Z", "labels": labels}
    pods.containers = {"shop": running(made + 1)}
    pods.files = {("shop", False): line(made + 2, "INFO started")}
    sample = read()
    assert sample.truncated == lost
    warning = "web-1 was made at 2026-11-23 05:01:40 UTC: what a pod of that name wrote before cannot be read any more."
    assert sample.warnings == ((warning,) if lost else ())
