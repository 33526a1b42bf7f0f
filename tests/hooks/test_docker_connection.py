"""A Docker host that cannot be reached: the socket that is not there is named as Docker's own client would open it."""

from __future__ import annotations

import pytest

from airflow_cd.errors import TargetUnavailable
from airflow_cd.hooks.docker_connection import DockerConnection


def refuse(hook: object) -> None:
    raise ConnectionError


@pytest.mark.parametrize("url", ["unix:///nowhere/docker.sock", "unix://nowhere/docker.sock"])
def test_a_socket_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    provider = pytest.importorskip("airflow.providers.docker.hooks.docker")
    # Docker's client leaves sockets open that it could not connect.
    monkeypatch.setattr(provider.DockerHook, "get_conn", refuse)
    with pytest.raises(TargetUnavailable, match=r"does not answer: there is no /nowhere/docker\.sock\."):
        DockerConnection("docker_default", url=url).client()
