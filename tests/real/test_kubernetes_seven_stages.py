"""The seven stages on pods of software that is not ours, by shares of replicas, by an HTTPRoute, and as blue/green.

``AIRFLOW_CD_ROUNDS=3 make real ARGS="-k seven_stages_on_pods"`` runs each of them three times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from airflow_cd.demo.airflow_client import AirflowClient
from airflow_cd.demo.world import World
from airflow_cd.states import DeploymentState
from tests.real import httpbin, runs
from tests.real.kubernetes import gateway
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.web import Web
from tests.real.test_kubernetes_httpbin import ROUNDS, archive

pytestmark = [pytest.mark.real, pytest.mark.e2e, pytest.mark.timeout(2400)]

__all__ = ["archive"]

SERVICES = ("replicas", "route", "sides")
BEFORE = ("dev", "test", "edu", "sandbox", "staging")
COUNT = 4


@pytest.fixture(scope="module")
def loaded(kubernetes: Cluster, archive: Path) -> Cluster:
    """The cluster, with the images."""
    kubernetes.load(archive)
    return kubernetes


@pytest.fixture(scope="module")
def world(loaded: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("seven-stages")
    with runs.airflow_on(loaded, folder, "kubernetes_httpbin.py") as started:
        yield started


@pytest.fixture(scope="module")
def client(world: World) -> AirflowClient:
    client = world.client()
    for dag in SERVICES:
        client.unpause(dag)
    return client


@pytest.fixture
def places(loaded: Cluster, service: str) -> Iterator[dict[str, Web]]:
    """A Deployment for each environment of the service."""
    probe = {"httpGet": {"path": "/status/200", "port": 8000}, "periodSeconds": 1, "timeoutSeconds": 5}
    env = [{"name": httpbin.VARIABLE, "value": httpbin.arguments()}]
    with ExitStack() as stack:
        made = {}
        for name in (*BEFORE, "production"):
            count = COUNT if name == "production" else 1
            web = Web(loaded, f"{service}-{name}", count, image=httpbin.GOOD, port=8000, readinessProbe=probe, env=env)
            stack.callback(web.remove)
            made[name] = web
        yield made


def released(client: AirflowClient, dag: str, run_id: str, timeout: int, image: str = httpbin.GOOD) -> str:
    """Ask for a release, approve it where it comes so far, and wait for the run's end."""
    conf = {"version": image.partition(":")[2], "configuration": {httpbin.VARIABLE: httpbin.arguments(timeout)}}
    return runs.end_of(client, dag, run_id, conf, approve=image == httpbin.GOOD)


@pytest.mark.parametrize("service", SERVICES)
def test_the_seven_stages_on_pods(
    service: str,
    places: dict[str, Web],
    client: AirflowClient,
    world: World,
    request: pytest.FixtureRequest,
    measured: Callable[[str], None],
) -> None:
    production = places["production"]
    url = production.url
    if service == "route":
        url = f"{request.getfixturevalue('address')}/{production.name}"
        gateway.route(production.cluster, production.name, production.name)
    with httpbin.visitors(url):
        for number in range(ROUNDS):
            a_round(service, client, world, number, measured)


def a_round(service: str, client: AirflowClient, world: World, number: int, measured: Callable[[str], None]) -> None:
    """One good release, one that is bad by its configuration alone, and one that does not boot."""
    good_run, bad_run, worse_run = (f"{what}-{number}" for what in ("good", "bad", "worse"))
    ended = released(client, service, good_run, timeout=40 + number)
    ledger = world.ledger()
    good = ledger.deployments.of_run(service, good_run, service, "production")
    assert ended == "success", good.outcome if good is not None else client.tasks(service, good_run)
    wanted = {httpbin.VARIABLE: httpbin.arguments(40 + number)}

    # Nothing but a number in the configuration, which only visitors notice: there are none before production.
    assert released(client, service, bad_run, timeout=1) == "failed"
    bad = ledger.deployments.of_run(service, bad_run, service, "production")
    assert bad is not None
    assert bad.state == DeploymentState.ROLLED_BACK, bad.outcome
    assert "WORKER TIMEOUT" in str(ledger.verdicts.of(bad.id)[-1].evidence)
    safe = f"to safe {bad.to_safe:.2f} s, " if bad.to_safe is not None else ""
    measured(f"{service} {number}: timeout -> 1: {safe}to restored {bad.to_restored:.2f} s")
    running = ledger.instances.running(service, "production")
    assert [dict(one.instance.configuration) for one in running] == [wanted] * COUNT

    # What does not boot comes no further than the first stage, which goes back by itself.
    assert released(client, service, worse_run, timeout=40, image=httpbin.BAD_BOOT) == "failed"
    assert ledger.deployments.of_run(service, worse_run, service, "production") is None
    worse = ledger.deployments.of_run(service, worse_run, service, "dev")
    assert worse is not None
    assert worse.state == DeploymentState.ROLLED_BACK, worse.outcome
    for name in ("dev", "test", "production"):
        for one in ledger.vetoes.of(service, name):
            if one.lifted_at is None:
                ledger.vetoes.lift(service, name, one.digest, who="tests", why="the next round")
