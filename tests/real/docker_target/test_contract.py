"""The contract of targets, against a Docker daemon with HAProxy before its containers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_cd.release import Release
from airflow_cd.targets import DockerTarget
from airflow_cd.targets.contract import TargetContract

from .registry import Registry
from .site import Site, release

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def environment(site: Site) -> Iterator[DockerTarget]:
    site.run(2, "--env", "WEB_GREETING=from the person who started it")
    with site.routed():
        yield site.target()


class TestDockerTarget(TargetContract):
    timeout = 30.0

    @pytest.fixture
    def target(self, environment: DockerTarget) -> DockerTarget:
        return environment

    @pytest.fixture
    def good(self) -> Release:
        return release("1.0", TIMEOUT=30)

    @pytest.fixture
    def other(self) -> Release:
        return release("1.1", TIMEOUT=30)

    @pytest.fixture
    def broken(self) -> Release:
        return release("1.2", TIMEOUT=30)

    @pytest.fixture
    def missing(self, images_of: Registry) -> Release:
        return Release("web", "9", f"{images_of.name}/web:9", {"TIMEOUT": 30})
