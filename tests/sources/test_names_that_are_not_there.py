"""Containers and pods that nobody has are named, and so is what there is instead."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from airflow_cd.hooks.kubernetes import Cluster
from airflow_cd.sources import DockerLogs, KubernetesLogs
from airflow_cd.verification.samples import Window

BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=1))


@pytest.fixture
def docker_hosts(monkeypatch):
    """Docker hosts with silent containers, by their connections."""
    hosts: dict[str, list[str]] = {}

    class Client:
        def __init__(self, names: list[str]) -> None:
            self.names = names

        def containers(self, all: bool) -> Any:  # noqa: A002 - Docker's own name
            return [{"Id": name * 16, "Names": [f"/{name}"]} for name in self.names]

        def logs(self, *_: Any, **__: Any) -> Any:
            return []

        def inspect_container(self, _: str) -> Any:
            return {"Created": "2026-11-23T04:00:00.123456789Z", "HostConfig": {"LogConfig": {"Type": "json-file"}}}

    class Engine:
        def __init__(self, conn_id: str) -> None:
            self.conn_id = conn_id

        @classmethod
        def read(cls, conn_id: str) -> Engine:
            return cls(conn_id)

        def client(self) -> Client:
            return Client(hosts[self.conn_id])

    monkeypatch.setattr("airflow_cd.sources.docker_logs.DockerConnection", Engine)
    return hosts


def test_a_container_that_no_host_has(docker_hosts):
    docker_hosts["docker_default"] = ["web-1", "web-1.airflow-cd.kept"]
    sample = DockerLogs().read(WINDOW, ["web-1", "wbe-1"])
    assert sample.warnings == ("Nothing is known of wbe-1: the Docker host of docker_default holds web-1.",)


def test_a_host_without_containers(docker_hosts):
    docker_hosts["docker_default"] = []
    assert DockerLogs().read(WINDOW, ["web-1"]).warnings == (
        "Nothing is known of web-1: the Docker host of docker_default holds nothing.",
    )


def test_a_container_that_logs_nothing_is_not_unknown(docker_hosts):
    docker_hosts["docker_default"] = ["web-1"]
    assert DockerLogs().read(WINDOW, ["web-1"]).warnings == ()


def test_of_several_hosts_names_begin_with_the_host(docker_hosts):
    docker_hosts |= {"docker_a": ["web-1"], "docker_b": ["web-2"]}
    sample = DockerLogs("docker_a", hosts=("docker_b",)).read(WINDOW, ["a/web-1", "b/web-1", "web-2"])
    assert sample.warnings == (
        "web-2: names of instances of several hosts begin with a/ or b/.",
        "Nothing is known of b/web-1: the Docker host of docker_b holds b/web-2.",
    )


def cluster(monkeypatch, pods: list[str]) -> None:
    def every(_: Any, path: str, fieldSelector: str = "") -> list[Any]:  # noqa: N803 - of the API
        assert path == "/api/v1/namespaces/prodution/pods"
        return [] if fieldSelector else [{"metadata": {"name": name}} for name in pods]

    monkeypatch.setattr(Cluster, "every", every)


def test_a_namespace_without_a_pod_is_named(monkeypatch):
    cluster(monkeypatch, [])
    (warning,) = KubernetesLogs(namespace="prodution").read(WINDOW, ["web-1", "web-2"]).warnings
    assert warning.startswith("The namespace prodution has no pod at all (connection 'kubernetes_default')")
    assert "web-1, web-2" in warning


def test_in_a_namespace_with_pods_the_one_that_is_not_there_is_gone(monkeypatch):
    cluster(monkeypatch, ["web-3"])
    assert KubernetesLogs(namespace="prodution").read(WINDOW, ["web-1"]).warnings == (
        "web-1 is gone: nothing of it can be read any more.",
    )
