"""Real parts that take minutes to build: nothing of it starts unless it is asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests import tiers

from . import images
from .composed import Composed
from .engine import COMPOSED_POOL, POOL, Engine, engine, missing
from .kubernetes import building, gateway
from .kubernetes import images as pod_images
from .kubernetes.cluster import Cluster, cluster
from .kubernetes.releases import CONNECTION

CACHE = images.CACHE
COMPOSED = "composed"
MEASURED = "measured"

collect_ignore = [
    file
    for file, asked in (
        ("test_kubernetes_mesh.py", "AIRFLOW_CD_ISTIO" in os.environ),
        ("test_kubernetes_json_server.py", int(os.environ.get("AIRFLOW_CD_ROUNDS", "1")) > 1),
        ("test_kubernetes_seven_stages.py", int(os.environ.get("AIRFLOW_CD_ROUNDS", "1")) > 1),
    )
    if not asked
]
"""What takes minutes to build, and is tried where it is asked for."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is real unless ``-m`` names it, as ``make real`` does."""
    astray = [one.nodeid for one in items if "docker" in getattr(one, "fixturenames", ())]
    if astray := [name for name in astray if tiers.group_of(name) != tiers.DOCKER]:
        raise pytest.UsageError(f"{astray[0]} would wait for the daemon: name its folder in tiers.ON_THE_DAEMON")
    if "real" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(pytest.mark.skip(reason="it builds images for minutes: `make real` asks for it"))


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Says a figure when all tests are over: what a worker prints meanwhile is seen by nobody."""
    return lambda figure: record_property(MEASURED, figure)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what the tests have measured."""
    reports = [one for name in ("passed", "failed") for one in terminalreporter.stats.get(name, ())]
    figures = [(one.nodeid, what) for one in reports for name, what in one.user_properties if name == MEASURED]
    if figures:
        terminalreporter.section("measured")
    for nodeid, figure in figures:
        terminalreporter.write_line(f"{nodeid.partition('::')[2]}: {figure}")


@contextmanager
def _daemon(folder: str = "", pool: str = POOL) -> Iterator[Engine]:
    """A daemon; the tests are skipped, or fail where AIRFLOW_CD_REQUIRE asks for it, when there can be none."""
    why = missing()
    if why and "docker" in os.environ.get("AIRFLOW_CD_REQUIRE", ""):
        pytest.fail(f"{why}, and AIRFLOW_CD_REQUIRE asks for it")
    if why:
        pytest.skip(why)
    with engine(CACHE / folder, pool) as running:
        yield running


@pytest.fixture(scope="session")
def docker() -> Iterator[Engine]:
    """A Docker daemon. Its tests run in one process, which has it until the end: :data:`tests.tiers.ON_THE_DAEMON`."""
    with _daemon() as running:
        yield running


@pytest.fixture(scope="module")
def composed() -> Iterator[Composed]:
    """Everything of the compose file, running and healthy, with the demo's fleet, on a daemon of its own."""
    with _daemon(COMPOSED, COMPOSED_POOL) as running, Composed(running, images.build(running)) as everything:
        yield everything


@pytest.fixture(scope="session")
def kubernetes() -> Iterator[Cluster]:
    """A whole Kubernetes of one node; the tests are skipped, or fail where AIRFLOW_CD_REQUIRE asks for it, without."""
    why = building.missing()
    if why and "kubernetes" in os.environ.get("AIRFLOW_CD_REQUIRE", ""):
        pytest.fail(f"{why}, and AIRFLOW_CD_REQUIRE asks for it")
    if why:
        pytest.skip(why)
    with cluster(CACHE) as running:
        yield running


@pytest.fixture(scope="session")
def loaded(kubernetes: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The cluster, with the images of the small web server: 1.0 and 1.1 come up, 1.4 does not, 1.5 does not stay up."""
    folder = tmp_path_factory.mktemp("images")
    for version in ("1.0", "1.1"):
        kubernetes.load(pod_images.web(folder, version))
    broken = 'echo "ModuleNotFoundError: no module named tax" >&2\nexit 3'
    kubernetes.load(pod_images.web(folder, "1.4", broken))
    dies = "/bin/busybox timeout 1 /bin/busybox httpd -f -p 8080 -h /www\necho lost the licence server >&2\nexit 4"
    kubernetes.load(pod_images.web(folder, "1.5", dies))
    return kubernetes


@pytest.fixture
def connected(kubernetes: Cluster, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """A connection of the target's kind, under a name and with a token."""

    def connect(name: str, token: str) -> None:
        config = kubernetes.kubeconfig
        config["users"][0]["user"]["token"] = token
        extra = {"kube_config": json.dumps(config)}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps({"conn_type": "kubernetes", "extra": extra}))

    connect(CONNECTION, kubernetes.token)
    return connect


@pytest.fixture(scope="session")
def address(kubernetes: Cluster) -> str:
    """Where HTTPRoutes are served."""
    return gateway.start(kubernetes, CACHE)
