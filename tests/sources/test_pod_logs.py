"""Logs of pods: several containers, runs before, and what the cluster has no more."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from airflow_cd.errors import SourceQueryRejected
from airflow_cd.hooks.kubernetes import Cluster
from airflow_cd.sources import KubernetesLogs
from airflow_cd.verification.samples import Window

BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=4))


def at(seconds: float) -> str:
    return f"{BEGIN + dt.timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}"


def line(seconds: float, text: str) -> str:
    return f"{at(seconds)}.000000000Z {text}\n"


class Pods:
    """Answers as the API does of pods: the newest file of a log, of the runs before the last alone."""

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.annotations: dict[str, str] = {}
        self.files: dict[tuple[str, bool], str | None] = {}
        self.gone = False
        self.metadata: dict[str, Any] = {}
        self.spec: dict[str, Any] = {}
        self.status: dict[str, Any] = {}

    def every(self, path: str, **params: str) -> list[Any]:
        if "fieldSelector" not in params:
            done = {"metadata": {"name": "migration"}, "status": {"phase": "Succeeded"}}
            return [{"metadata": {"name": "web-2"}}, done, {"metadata": {"name": "another-pod"}}]
        if self.gone or params["fieldSelector"] != "metadata.name=web-1":
            return []
        pod = {
            "metadata": {"annotations": self.annotations, **self.metadata},
            "spec": {"containers": [{"name": name} for name in self.containers], **self.spec},
            "status": {
                "containerStatuses": [{"name": name, **state} for name, state in self.containers.items()],
                **self.status,
            },
        }
        return [pod]

    def content(self, path: str, params: dict[str, Any]) -> bytes | None:
        whole = self.files.get((params["container"], params["previous"] == "true"), "")
        if whole is None:
            return None
        lines = [one for one in whole.splitlines(keepends=True) if one[:19] >= params.get("sinceTime", "")[:19]]
        return "".join(lines).encode()[: params["limitBytes"]]


def running(seconds: float = -3600.0, *, restarts: int = 0, before: float | None = None) -> dict[str, Any]:
    last = {"terminated": {"startedAt": f"{at(before)}Z"}} if before is not None else {}
    return {"restartCount": restarts, "state": {"running": {"startedAt": f"{at(seconds)}Z"}}, "lastState": last}


@pytest.fixture
def pods(monkeypatch: pytest.MonkeyPatch) -> Pods:
    made = Pods()
    monkeypatch.setattr(Cluster, "every", made.every)
    monkeypatch.setattr(Cluster, "content", made.content)
    made.containers = {"istio-proxy": running(), "shop": running()}
    made.files = {("shop", False): line(-5, "INFO early") + line(5, "INFO of shop")}
    made.files["istio-proxy", False] = line(-5, "INFO early") + line(6, "INFO of the proxy")
    return made


def messages(source: KubernetesLogs) -> list[str]:
    return list(source.read(WINDOW, ["web-1"]).frame["message"])


def test_the_pods_of_the_namespace_are_its_instances_unless_their_work_is_done(pods):
    assert KubernetesLogs().instances(WINDOW) == ["another-pod", "web-2"]


def test_which_containers_are_read(pods):
    assert messages(KubernetesLogs()) == ["INFO of the proxy"]
    assert messages(KubernetesLogs(container="shop")) == ["INFO of shop"]
    assert messages(KubernetesLogs(container="*")) == ["INFO of shop", "INFO of the proxy"]
    assert messages(KubernetesLogs(container=["shop", "istio-proxy"])) == ["INFO of shop", "INFO of the proxy"]
    pods.annotations = {"kubectl.kubernetes.io/default-container": "shop"}
    assert messages(KubernetesLogs()) == ["INFO of shop"]
    with pytest.raises(SourceQueryRejected, match="pod web-1 has no container shpo; did you mean 'shop'"):
        messages(KubernetesLogs(container="shpo"))


def test_a_crashed_container_is_read_with_its_last_words(pods):
    pods.containers = {"shop": running(60, restarts=1, before=-600)}
    pods.files = {("shop", True): line(50, "panic: no card"), ("shop", False): line(61, "INFO started")}
    sample = KubernetesLogs().read(WINDOW, ["web-1"])
    assert list(sample.frame["message"]) == ["panic: no card", "INFO started"]
    assert not sample.truncated


def test_restarts_that_nobody_can_read_are_said(pods):
    pods.containers = {"shop": running(60, restarts=4, before=40)}
    pods.files = {("shop", True): line(50, "panic: no card"), ("shop", False): line(61, "INFO started")}
    sample = KubernetesLogs().read(WINDOW, ["web-1"])
    assert sample.truncated
    assert "is lost: it was started again 4 times" in sample.warnings[0]


def test_a_rotation_in_the_window_makes_it_incomplete(pods):
    # 20 KiB a second: the file that begins in the middle of the window was not the first.
    pods.containers = {"shop": running(-3600)}
    pods.files = {("shop", False): "".join(line(second, "x" * 20_000) for second in range(120, 240))}
    sample = KubernetesLogs().read(WINDOW, ["web-1"])
    assert sample.truncated
    [warning] = sample.warnings
    assert warning.startswith("A part of what shop of web-1 wrote before 05:02:00 UTC is lost: the log was rotated")


@pytest.mark.parametrize("first", [-200, 0])
def test_a_log_that_begins_before_the_window_is_whole(pods, first):
    pods.containers = {"shop": running(-3600)}
    pods.files = {("shop", False): "".join(line(second, "x" * 20_000) for second in range(first, 240))}
    assert not KubernetesLogs().read(WINDOW, ["web-1"]).truncated


def test_a_container_that_was_quiet_at_first_is_whole(pods):
    pods.containers = {"shop": running(-60)}
    pods.files = {("shop", False): line(100, "INFO the first line") + line(160, "INFO another")}
    assert not KubernetesLogs().read(WINDOW, ["web-1"]).truncated


def test_equal_lines_of_one_moment_keep_their_number_over_a_seam(pods):
    pods.containers = {"shop": running()}
    pods.files = {("shop", False): line(59, "WARN retried") * 3 + line(60, "WARN retried") * 2}
    parts = [Window(BEGIN, BEGIN + dt.timedelta(seconds=60)), Window(BEGIN + dt.timedelta(seconds=60), WINDOW.until)]
    assert [len(KubernetesLogs().read(part, ["web-1"]).frame) for part in parts] == [3, 2]


def test_a_pod_that_is_gone_is_said(pods):
    pods.gone = True
    sample = KubernetesLogs().read(WINDOW, ["web-1"])
    assert sample.warnings == ("web-1 is gone: nothing of it can be read any more.",)
    assert len(sample.frame) == 0


def test_a_name_that_no_pod_can_have_asks_for_nothing(pods):
    sample = KubernetesLogs().read(WINDOW, ["web-1,metadata.name=web-2", "../secrets/x", ""])
    assert len(sample.frame) == 0
    assert all("is gone" in warning for warning in sample.warnings)


def test_mistakes():
    assert "neither a name nor names" in "".join(KubernetesLogs(container=7).mistakes())  # type: ignore[arg-type]


def crashed(identity: str) -> dict[str, Any]:
    return {"terminated": {"startedAt": f"{at(40)}Z", "containerID": identity}}


@pytest.mark.parametrize(
    "state", [{"waiting": {"reason": "CrashLoopBackOff"}}, crashed("containerd://1"), {"terminated": {}}, {}]
)
def test_a_run_that_a_kubelet_hands_out_under_both_names_counts_once(pods, state):
    # Between two runs it takes the last one for the present one, too.
    pods.containers = {"shop": {"restartCount": 1, "state": state, "lastState": crashed("containerd://1")}}
    last = line(41, "INFO started") + line(50, "ERROR panic: no card") * 2
    pods.files = {("shop", True): last, ("shop", False): last}
    assert messages(KubernetesLogs()) == ["INFO started", *["ERROR panic: no card"] * 2]


def test_a_run_that_has_ended_is_read_beside_the_one_before(pods):
    states = {"state": crashed("containerd://2"), "lastState": crashed("containerd://1")}
    pods.containers = {"shop": {"restartCount": 1, **states}}
    pods.files = {("shop", True): line(50, "ERROR first"), ("shop", False): line(60, "ERROR second")}
    assert messages(KubernetesLogs()) == ["ERROR first", "ERROR second"]


def test_a_container_that_ends_while_it_is_read_counts_once(pods):
    # It ran when its state was asked for.
    pods.containers = {"shop": running(60, restarts=2, before=-600)}
    last = line(61, "INFO started") + line(70, "ERROR panic: no card")
    pods.files = {("shop", True): last, ("shop", False): last}
    assert messages(KubernetesLogs()) == ["INFO started", "ERROR panic: no card"]


def test_of_a_cut_answer_no_half_line_is_kept(pods, monkeypatch):
    pods.containers = {"shop": running()}
    whole = [f"INFO order {second} placed" for second in range(100)]
    pods.files = {("shop", False): "".join(line(second, text) for second, text in enumerate(whole))}
    monkeypatch.setattr("airflow_cd.sources.pod_logs.MOST_BYTES", 1000)
    sample = KubernetesLogs().read(WINDOW, ["web-1"])
    assert sample.cut
    assert list(sample.frame["message"]) == whole[: len(sample.frame)]
    assert 0 < len(sample.frame) < 100
