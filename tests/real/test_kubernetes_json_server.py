"""json-server on real pods: what keeps its answers is promoted, and what answers otherwise restored.

Two processors build its images for a minute: ``AIRFLOW_CD_ROUNDS=3 make real ARGS="-k json_server_on_pods"`` runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_cd.ledger import open_ledger
from airflow_cd.release import Release
from airflow_cd.sources import KubernetesLogs
from airflow_cd.states import DeploymentState
from airflow_cd.targets.kubernetes import KubernetesTarget
from tests.real import json_server
from tests.real.canary import delivered
from tests.real.conftest import CACHE
from tests.real.engine import engine, missing
from tests.real.kubernetes import gateway
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.releases import CONNECTION
from tests.real.kubernetes.web import Web
from tests.real.test_kubernetes_httpbin import ROUNDS, ROUTINGS

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

COUNT = 4
PORT = 8000


@pytest.fixture(scope="module")
def web(kubernetes: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    if why := missing() or json_server.missing():
        pytest.skip(why)
    with engine(CACHE / "json-server") as builder:
        kubernetes.load(json_server.archive(builder, tmp_path_factory.mktemp("json-server")))
    probe = {"httpGet": {"path": "/posts/1", "port": PORT}, "periodSeconds": 1, "timeoutSeconds": 5}
    made = Web(kubernetes, "posts", COUNT, image=f"json-server:{json_server.GOOD}", port=PORT, readinessProbe=probe)
    yield made
    made.remove()


@pytest.mark.parametrize("routing", ROUTINGS)
def test_json_server_on_pods(
    routing: str,
    web: Web,
    connected: object,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    measured: Callable[[str], None],
) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    by_weight = {"route": web.name, "follows_within": gateway.FOLLOWS} if routing == "route" else {}
    target = KubernetesTarget(CONNECTION, "production", deployment=web.name, **by_weight)
    url = web.url
    if routing == "route":
        url = f"{request.getfixturevalue('address')}/{web.name}"
        gateway.route(web.cluster, web.name, web.name)
    with json_server.visitors(url):
        for number in range(ROUNDS):
            ways = [("good", json_server.GOOD), ("bad", json_server.BAD)]
            good, bad = (
                delivered(
                    ledger,
                    target,
                    KubernetesLogs(CONNECTION),
                    _turn(json_server.release(version), number),
                    f"{routing}-{number}-{what}",
                    blue_green=routing == "blue/green",
                )
                for what, version in ways
            )
            assert good.state == DeploymentState.PROMOTED, good.outcome
            assert bad.state == DeploymentState.ROLLED_BACK
            measured(f"{routing}: {bad.outcome}; to restored {bad.to_restored:.2f} s")
            wrong = [one for one in target.instances() if not one.runs(good.release) or one.health != "healthy"]
            assert wrong == []
            for one in ledger.vetoes.of("json-server", "production"):
                if one.lifted_at is None:
                    ledger.vetoes.lift("json-server", "production", one.digest, who="tests", why="the next round")


def _turn(release: Release, number: int) -> Release:
    """With a setting that no other round has."""
    return Release(release.service, release.version, release.artifact, {**release.configuration, "ROUND": str(number)})
