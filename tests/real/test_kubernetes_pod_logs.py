"""The contract of log sources for real pods: containers, runs before, long lines, rotation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests

from airflow_cd.sources import KubernetesLogs
from airflow_cd.sources.contract import LogSourceContract
from airflow_cd.verification.samples import LogSample, Window
from tests.real.kubernetes.accounts import account
from tests.real.kubernetes.cluster import Cluster

pytestmark = pytest.mark.real

PODS = "/api/v1/namespaces/default/pods"
READER = "reads_pods"
RIGHTS = (("", "pods", "list"), ("", "pods/log", "get"))
TALKS = """say() { for n in $(busybox seq $1 $2); do echo "INFO order $n placed"; busybox sleep 0.1; done; }
if [ -e /kept/run ]; then say 11 30; echo "INFO all placed"; exec busybox sleep 1000; fi
echo > /kept/run
say 1 10
echo "ERROR no licence" >&2
exit 3"""
LONG = 40_000
PROXY = f"""echo "INFO proxy is up"
busybox head -c {LONG} /dev/zero | busybox tr '\\0' x
echo
exec busybox sleep 1000"""
FLOODS = """line=$(busybox head -c 10000 /dev/zero | busybox tr '\\0' x)
while true; do echo "INFO $line"; busybox sleep 0.02; done"""
SAID = sorted([*(f"INFO order {n} placed" for n in range(1, 31)), "INFO all placed", "ERROR no licence"])


@dataclass
class Written:
    """What pods have written.

    :ivar window: in which.
    :ivar pods: that talk.
    :ivar floods: one whose log is rotated.
    """

    window: Window
    pods: Sequence[str]
    floods: str


def _container(name: str, script: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": "localhost/web:1.0",
        "imagePullPolicy": "Never",
        "command": ["/bin/busybox", "sh", "-c", script],
        "volumeMounts": [{"name": "kept", "mountPath": "/kept"}],
    }


@pytest.fixture(scope="module")
def written(loaded: Cluster) -> Iterator[Written]:
    began = datetime.now(timezone.utc) - timedelta(seconds=1)
    pods = {f"talks-{number}": {"shop": TALKS, "proxy": PROXY} for number in (1, 2)}
    for name, scripts in {**pods, "floods": {"shop": FLOODS}}.items():
        spec = {
            "terminationGracePeriodSeconds": 0,
            "containers": [_container(container, script) for container, script in scripts.items()],
            "volumes": [{"name": "kept", "emptyDir": {}}],
        }
        loaded.call("POST", PODS, {"metadata": {"name": name}, "spec": spec})
    for name in pods:
        log = f"{PODS}/{name}/log?container=shop"
        loaded.until(lambda log=log: "all placed" in loaded.text(log), f"{name} has talked")
    yield Written(Window(began, datetime.now(timezone.utc)), list(pods), "floods")
    for name in (*pods, "floods"):
        gone(loaded, name)


def gone(cluster: Cluster, name: str) -> None:
    """Remove a pod, and wait until the cluster knows it no more."""

    def is_gone() -> bool:
        try:
            cluster.call("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0")
        except requests.HTTPError as error:
            return error.response is not None and error.response.status_code == 404
        return False

    cluster.until(is_gone, f"{name} is gone")


@pytest.fixture(scope="module")
def token(loaded: Cluster) -> str:
    return account(loaded, "reads-pods", RIGHTS)


class TestPodLogs(LogSourceContract):
    """With no right but to list pods and get their logs."""

    @pytest.fixture
    def source(self, token: str, connected: Callable[[str, str], None]) -> KubernetesLogs:
        connected(READER, token)
        return KubernetesLogs(READER, container="*")

    @pytest.fixture
    def broken(self, connected: Callable[[str, str], None]) -> KubernetesLogs:
        connected("kubernetes_closed", "guessed")
        return KubernetesLogs("kubernetes_closed")

    @pytest.fixture
    def window(self, written: Written) -> Window:
        return written.window

    @pytest.fixture
    def instances(self, written: Written) -> Sequence[str]:
        return written.pods

    def test_every_line_of_every_container_and_run_is_there(
        self, source: KubernetesLogs, window: Window, instances: Sequence[str]
    ) -> None:
        sample = source.read(window, instances)
        assert sample.warnings == ()
        for pod in instances:
            found = sorted(sample.frame.loc[sample.frame["instance"] == pod, "message"])
            assert found == sorted([*SAID, "INFO proxy is up", "x" * LONG])

    def test_one_container_alone(self, window: Window, instances: Sequence[str], source: KubernetesLogs) -> None:
        frame = KubernetesLogs(READER, container="shop").read(window, instances[:1]).frame
        assert sorted(frame["message"]) == SAID

    def test_what_was_rotated_away_is_said(
        self, source: KubernetesLogs, written: Written, loaded: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_cd.sources.rotation.QUIET", timedelta(0))

        def read() -> LogSample:
            return source.read(Window(written.window.since, datetime.now(timezone.utc)), [written.floods])

        sample = loaded.until(lambda: found if (found := read()).truncated else None, "the log is rotated")
        assert not sample.cut
        assert "is lost: the log was rotated" in sample.warnings[0]

    def test_a_pod_that_is_gone(self, source: KubernetesLogs, loaded: Cluster, window: Window) -> None:
        name = f"leaves-{os.getpid()}"
        said = "echo INFO bye; exec busybox sleep 1000"
        spec = {"containers": [{**_container("shop", said), "volumeMounts": []}]}
        loaded.call("POST", PODS, {"metadata": {"name": name}, "spec": spec})
        loaded.until(lambda: "bye" in loaded.text(f"{PODS}/{name}/log"), "it has said so")
        gone(loaded, name)
        assert source.read(window, [name]).warnings == (f"{name} is gone: nothing of it can be read any more.",)
