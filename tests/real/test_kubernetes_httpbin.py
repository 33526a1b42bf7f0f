"""Software that is not ours on real pods: httpbin under gunicorn, by shares of replicas, an HTTPRoute, and blue/green.

A release that is bad by its configuration alone and one that does not boot are restored, good ones promoted;
``AIRFLOW_CD_ROUNDS=3 make real ARGS="-k httpbin_on_pods"`` does all of it three times.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_cd.ledger import Deployment, Ledger, open_ledger
from airflow_cd.release import Release
from airflow_cd.sources import KubernetesLogs
from airflow_cd.states import DeploymentState
from airflow_cd.targets.kubernetes import KubernetesTarget
from tests.real import httpbin
from tests.real.canary import delivered
from tests.real.conftest import CACHE
from tests.real.engine import engine, missing
from tests.real.httpbin import BAD_BOOT, GOOD, release, visitors
from tests.real.kubernetes import gateway
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.releases import CONNECTION
from tests.real.kubernetes.web import Web

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

ROUNDS = int(os.environ.get("AIRFLOW_CD_ROUNDS", "1"))
COUNT = 4
"""Stable pods; a fifth beside them is 20 %."""
ROUTINGS = ("replicas", "route", "blue/green") if ROUNDS > 1 else ("route",)
"""Replicas behind Services alone, and a new side of them, are what the stories in Airflow have."""


@pytest.fixture(scope="module")
def archive() -> Path:
    """Both images in one file, which `make real` has built first of all."""
    if (kept := httpbin.kept_in(CACHE)).exists():
        return kept
    if why := missing():
        pytest.skip(why)
    # A daemon of its own: nobody else's has to be waited for.
    with engine(CACHE / "httpbin") as builder:
        kept = httpbin.archive(builder, CACHE)
    shutil.rmtree(CACHE / "httpbin", ignore_errors=True)
    return kept


@pytest.fixture(scope="module")
def web(kubernetes: Cluster, archive: Path) -> Iterator[Web]:
    kubernetes.load(archive)
    probe = {"httpGet": {"path": "/status/200", "port": 8000}, "periodSeconds": 1, "timeoutSeconds": 5}
    variables = [{"name": httpbin.VARIABLE, "value": httpbin.arguments()}]
    made = Web(kubernetes, "httpbin", COUNT, image=GOOD, port=8000, readinessProbe=probe, env=variables)
    yield made
    made.remove()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


@pytest.mark.parametrize("routing", ROUTINGS)
def test_httpbin_on_pods(
    routing: str,
    web: Web,
    ledger: Ledger,
    connected: object,
    request: pytest.FixtureRequest,
    measured: Callable[[str], None],
) -> None:
    by_route = routing == "route"
    by_weight = {"route": web.name, "follows_within": gateway.FOLLOWS} if by_route else {}
    target = KubernetesTarget(CONNECTION, "production", deployment=web.name, **by_weight)
    url = web.url
    if by_route:
        url = f"{request.getfixturevalue('address')}/{web.name}"
        gateway.route(web.cluster, web.name, web.name)
    clocks = []
    with visitors(url):
        for number in range(ROUNDS):
            before = target.instances()[0]

            def deliver(what: str, wanted: Release, turn: int = number) -> Deployment:
                run_id = f"{routing}-{turn}-{what}"
                logs, sides = KubernetesLogs(CONNECTION), routing == "blue/green"
                return delivered(ledger, target, logs, wanted, run_id, blue_green=sides)

            # Nothing but a number in the configuration: who asks for what takes two seconds gets nothing any more.
            bad = deliver("bad", release("bad", timeout=1))
            assert bad.state == DeploymentState.ROLLED_BACK, bad.outcome
            assert "WORKER TIMEOUT" in str(ledger.verdicts.of(bad.id)[-1].evidence)
            clocks.append(f"timeout 30 -> 1: to safe {bad.to_safe:.2f} s, to restored {bad.to_restored:.2f} s")

            worse = deliver("worse", release("worse", artifact=BAD_BOOT))
            assert worse.state == DeploymentState.ROLLED_BACK, worse.outcome
            assert "parse_authorization_header" in (worse.outcome or "")
            clocks.append(f"does not boot: to restored {worse.to_restored:.2f} s")
            runs(target, Release("httpbin", str(before.version), str(before.artifact), dict(before.configuration)))

            good = release("good", timeout=40 + number + 10 * ROUTINGS.index(routing))
            promoted = deliver("good", good)
            assert promoted.state == DeploymentState.PROMOTED, promoted.outcome
            runs(target, good)
            for one in ledger.vetoes.of("httpbin", "production"):
                if one.lifted_at is None:
                    ledger.vetoes.lift("httpbin", "production", one.digest, who="tests", why="the next round")
    for line in clocks:
        measured(f"{routing}: {line}")


def runs(target: KubernetesTarget, wanted: Release) -> None:
    instances = target.instances()
    assert len(instances) == COUNT
    assert [one.name for one in instances if not one.runs(wanted) or one.health != "healthy" or one.drained] == []
