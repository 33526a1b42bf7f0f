"""Which containers are read where nobody names one: those that a target of the connection would deploy to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_cd.errors import SourceError, SourceRejected
from airflow_cd.hooks.docker_connection import KEPT, DockerConnection
from airflow_cd.sources import DockerLogs
from tests.sources.test_docker_rotation import WINDOW

LISTED = [
    {"Id": "1", "Names": ["/web-2"], "Labels": {"app": "web"}},
    {"Id": "2", "Names": ["/web-1"], "Labels": {"app": "web"}},
    {"Id": "3", "Names": [f"/web-1{KEPT}"], "Labels": {"app": "web"}},
    {"Id": "4", "Names": ["/database"], "Labels": {"airflow-cd.environment": "production"}},
]


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Any:
    class Client:
        def containers(self, all: bool) -> Any:  # noqa: A002 - Docker's own name
            return LISTED

    def made(**extra: Any) -> None:
        for name in ("PRODUCTION", "EU"):
            connection = {"conn_type": "docker", "extra": extra}
            monkeypatch.setenv(f"AIRFLOW_CONN_DOCKER_{name}", json.dumps(connection))
        monkeypatch.setattr(DockerConnection, "client", lambda _: Client())

    return made


def test_the_connection_says_which(connected: Any) -> None:
    connected(containers="label=app=web")
    assert DockerLogs("docker_production").instances(WINDOW) == ["web-1", "web-2"]
    both = DockerLogs("docker_production", hosts=["docker_eu"]).instances(WINDOW)
    assert both == ["production/web-1", "production/web-2", "eu/web-1", "eu/web-2"]


def test_without_a_word_the_label_does(connected: Any) -> None:
    connected()
    assert DockerLogs("docker_production").instances(WINDOW) == ["database"]


def test_what_cannot_be_told_is_an_error_of_the_source(connected: Any) -> None:
    connected(containers="web")
    with pytest.raises(SourceError, match="'web' selects no containers"):
        DockerLogs("docker_production").instances(WINDOW)
    with pytest.raises(SourceRejected, match="docker_nowhere") as raised:
        DockerLogs("docker_nowhere").instances(WINDOW)
    assert raised.value.next_step
