"""Real parts that take minutes to build: nothing of it starts unless it is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import images
from .composed import Composed
from .engine import Engine, engine, missing
from .kubernetes import building
from .kubernetes.cluster import Cluster, cluster

CACHE = images.REPOSITORY / ".cache" / "real"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is real unless ``-m`` names it, as ``make real`` does."""
    if "real" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(pytest.mark.skip(reason="it builds images for minutes: `make real` asks for it"))


@pytest.fixture(scope="session")
def docker() -> Iterator[Engine]:
    """A Docker daemon; the tests are skipped, or fail where AIRFLOW_CD_REQUIRE asks for it, when there can be none."""
    why = missing()
    if why and "docker" in os.environ.get("AIRFLOW_CD_REQUIRE", ""):
        pytest.fail(f"{why}, and AIRFLOW_CD_REQUIRE asks for it")
    if why:
        pytest.skip(why)
    with engine(Path(os.environ.get("AIRFLOW_CD_REAL_CACHE", CACHE))) as running:
        yield running


@pytest.fixture(scope="module")
def composed(docker: Engine) -> Iterator[Composed]:
    """Everything of the compose file, running and healthy, with the demo's fleet."""
    with Composed(docker, images.build(docker)) as everything:
        yield everything


@pytest.fixture(scope="session")
def kubernetes() -> Iterator[Cluster]:
    """A whole Kubernetes of one node; the tests are skipped, or fail where AIRFLOW_CD_REQUIRE asks for it, without."""
    why = building.missing()
    if why and "kubernetes" in os.environ.get("AIRFLOW_CD_REQUIRE", ""):
        pytest.fail(f"{why}, and AIRFLOW_CD_REQUIRE asks for it")
    if why:
        pytest.skip(why)
    with cluster(Path(os.environ.get("AIRFLOW_CD_REAL_CACHE", CACHE))) as running:
        yield running
