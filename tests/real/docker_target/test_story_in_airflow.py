"""The seven stages on containers of software that is not ours, watched by Prometheus and by what containers write.

That is read from the daemon, from VictoriaLogs and from OpenSearch: by one pipeline each.

``AIRFLOW_CD_ROUNDS=3 make real ARGS="-k seven_stages"`` runs it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_cd.demo.airflow_client import AirflowClient
from airflow_cd.demo.world import World
from airflow_cd.states import DeploymentState
from tests import tiers
from tests.real import httpbin, runs
from tests.real.conftest import CACHE
from tests.real.engine import Engine
from tests.real.logs import servers
from tests.sources import metric_servers

from . import shipping
from .site import Site

pytestmark = [pytest.mark.real, pytest.mark.e2e, pytest.mark.timeout(2400)]

DAGS = ("docker", "docker_victoria_logs", "docker_open_search")
BEFORE = ("dev", "test", "edu", "sandbox", "staging")
COUNT = 5


@pytest.fixture(scope="module")
def production(site: Site, engine: Engine) -> Iterator[Site]:
    """Five containers behind HAProxy, with visitors, and one container of each stage before."""
    if why := metric_servers.missing("prometheus"):
        tiers.unavailable("prometheus", why)
    httpbin.build(engine)
    variable = ("--env", f"{httpbin.VARIABLE}={httpbin.arguments()}")
    for name in BEFORE:
        label = ("--label", f"airflow-cd.environment={name}")
        engine("docker", "run", "--detach", "--name", f"{name}-1", *label, *variable, httpbin.GOOD)
    site.run(COUNT, *variable, image=httpbin.GOOD)
    # HAProxy tells the mean time of the last thousand requests: one that has just begun knows of few.
    with site.routed() as router, httpbin.visitors(router.url, before=1_500):
        yield site


@pytest.fixture(scope="module")
def world(production: Site, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if why := servers.missing("go", "java", "mvn"):
        tiers.unavailable("victoria-logs", why)
    folder = tmp_path_factory.mktemp("docker-dags")
    shutil.copy(Path(__file__).parents[1] / "dags" / "docker.py", folder)
    assert production.haproxy is not None
    scraped = f"127.0.0.1:{production.haproxy.port}"
    with (
        metric_servers.scraping(scraped, tmp_path_factory.mktemp("prometheus")) as prometheus,
        servers.victoria_logs(CACHE, tmp_path_factory.mktemp("victoria-logs")) as victoria_logs,
        servers.open_search(CACHE, tmp_path_factory.mktemp("open-search")) as open_search,
        shipping.shipped(
            engine,
            production.names,
            [shipping.victoria_logs(victoria_logs), shipping.open_search(open_search, "logs-shop")],
        ),
    ):
        connections: dict[str, dict[str, object]] = {
            "prometheus_default": {"conn_type": "prometheus", "host": prometheus},
            "victoria_logs_default": {"conn_type": "victoria_logs", "host": victoria_logs},
            "search_cluster_default": {"conn_type": "search_cluster", "host": open_search},
        }
        for name in BEFORE:
            extra = {"docker_url": production.url}
            connections[f"docker_{name}"] = {"conn_type": "docker", "extra": extra}
        connections["docker_production"] = {"conn_type": "docker", "extra": production.extra()}
        settings = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(one) for name, one in connections.items()}
        settings |= tiers.UNHURRIED
        with World(dags=folder, environments={"unused": 1}, rates={"unused": 1.0}, settings=settings) as started:
            yield started


@pytest.fixture(scope="module")
def client(world: World) -> AirflowClient:
    client = world.client()
    for dag in DAGS:
        client.unpause(dag)
    return client


def told(dag: str, timeout: int) -> str:
    """Gunicorn's arguments; a release that one pipeline vetoed is none that another one knows."""
    return f"{httpbin.arguments(timeout)} --name {dag}"


def released(client: AirflowClient, dag: str, run_id: str, timeout: int, version: str = "") -> str:
    """Ask for a release, approve it where it comes so far, and wait for the run's end."""
    wanted = version or httpbin.GOOD.partition(":")[2]
    conf = {"version": wanted, "configuration": {httpbin.VARIABLE: told(dag, timeout)}}
    return runs.end_of(client, dag, run_id, conf, approve=not version)


def arguments_of(site: Site, container: str) -> str:
    """What gunicorn of a container was told."""
    variables = dict(one.partition("=")[::2] for one in site.inspect(container)["Config"]["Env"])
    return str(variables[httpbin.VARIABLE])


@pytest.mark.parametrize("dag", DAGS)
def test_the_seven_stages(
    dag: str, client: AirflowClient, world: World, production: Site, measured: Callable[[str], None]
) -> None:
    everything = [*(f"{name}-1" for name in BEFORE), *production.names]
    ended = released(client, dag, "good", timeout=40)
    good = world.ledger().deployments.of_run(dag, "good", "httpbin", "production")
    assert ended == "success", good.outcome if good is not None else client.tasks(dag, "good")
    assert {arguments_of(production, name) for name in everything} == {told(dag, 40)}

    assert good is not None
    watched = world.ledger().verdicts.of(good.id)[-1].evidence["performance"]["metrics"]
    assert {"throughput", "error_rate", "response_time"} <= {metric["name"] for metric in watched}

    # Nothing but a number in the configuration, which only visitors notice: there are none before production.
    assert released(client, dag, "bad", timeout=1) == "failed"
    ledger = world.ledger()
    bad = ledger.deployments.of_run(dag, "bad", "httpbin", "production")
    assert bad is not None
    assert bad.state == DeploymentState.ROLLED_BACK
    assert "WORKER TIMEOUT" in str(ledger.verdicts.of(bad.id)[-1].evidence)
    measured(f"{dag}: timeout 40 -> 1: to safe {bad.to_safe:.2f} s, to restored {bad.to_restored:.2f} s")
    assert {arguments_of(production, name) for name in production.names} == {told(dag, 40)}

    # What does not boot comes no further than the first stage, which goes back by itself.
    assert released(client, dag, "worse", timeout=40, version=httpbin.BAD_BOOT.partition(":")[2]) == "failed"
    for name in ("dev", "test"):
        assert production.inspect(f"{name}-1")["Config"]["Image"].startswith(("httpbin:0.10.1-werkzeug2", "sha256:"))
        assert production.inspect(f"{name}-1")["State"]["Running"]
    assert ledger.deployments.of_run(dag, "worse", "httpbin", "production") is None
