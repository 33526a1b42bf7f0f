"""Real parts that take minutes to build: nothing of it starts unless it is asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import images
from .composed import Composed
from .engine import Engine, engine, missing
from .kubernetes import building, gateway
from .kubernetes import images as pod_images
from .kubernetes.cluster import Cluster, cluster
from .kubernetes.releases import CONNECTION

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


@pytest.fixture(scope="session")
def loaded(kubernetes: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The cluster, with the images of the small web server: 1.0 and 1.1 come up, 1.4 does not, 1.5 does not stay up."""
    folder = tmp_path_factory.mktemp("images")
    for version in ("1.0", "1.1"):
        kubernetes.load(pod_images.web(folder, version))
    broken = 'echo "ModuleNotFoundError: no module named tax" >&2\nexit 3'
    kubernetes.load(pod_images.web(folder, "1.4", broken))
    dies = "/bin/busybox timeout 2 /bin/busybox httpd -f -p 8080 -h /www\necho lost the licence server >&2\nexit 4"
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
    return gateway.start(kubernetes, Path(os.environ.get("AIRFLOW_CD_REAL_CACHE", CACHE)))
