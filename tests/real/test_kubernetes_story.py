"""The whole story on real pods: a bad release is restored and a good one promoted, by a pipeline and a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from airflow_cd.demo.airflow_client import AirflowClient
from airflow_cd.demo.world import World
from airflow_cd.ledger import Ledger
from airflow_cd.states import DeploymentState
from tests.pace import PATIENCE
from tests.real import runs
from tests.real.kubernetes import images
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.web import Web, come_to

pytestmark = [pytest.mark.real, pytest.mark.e2e, pytest.mark.timeout(2400)]

DAG = "kubernetes"
SIDES = "sides"
ENVIRONMENTS = {"dev": 1, "test": 1, "edu": 1, "sandbox": 1, "staging": 1, "production": 8, SIDES: 3}
# Ten orders in a second, five at a time: to sleep is a process of its own.
_ORDERS = """
(n=0; while :; do n=$((n + 1)); echo "INFO web - order $n placed in $((n % 90)) ms"; {more}
[ $((n % 5)) = 0 ] && sleep 0.5; done) &
"""
WORKS = _ORDERS.replace("{more}", "")
FAILS = _ORDERS.replace(
    "{more}",
    " ".join(
        f'[ $((n % 12)) = {place} ] && echo "ERROR web - {error}: {said}";'
        for place, (error, said) in enumerate(
            [
                ("KeyError", "gift_code"),
                ("TaxTableMissing", "no table for region 9"),
                ("ZeroDivisionError", "division by zero"),
                ("TimeoutError", "pricing did not answer"),
            ]
        )
    ),
)


@pytest.fixture(scope="module")
def places(kubernetes: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Web]]:
    folder = tmp_path_factory.mktemp("story-images")
    for version, more in (("2.0", WORKS), ("2.1", WORKS), ("2.2", FAILS)):
        kubernetes.load(images.web(folder, version, more))
    made = {
        name: Web(kubernetes, f"story-{name}", count, image="localhost/web:2.0") for name, count in ENVIRONMENTS.items()
    }
    yield made
    for web in made.values():
        web.remove()


@pytest.fixture(scope="module")
def world(places: dict[str, Web], kubernetes: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("story-dags")
    with runs.airflow_on(kubernetes, folder, "kubernetes.py", "kubernetes_sides.py") as started:
        yield started


@pytest.fixture(scope="module")
def client(world: World) -> AirflowClient:
    client = world.client()
    for dag in (DAG, SIDES):
        client.unpause(dag)
    return client


def released(client: AirflowClient, version: str) -> str:
    """Ask for a release, approve it, and wait for the run's end."""
    return runs.end_of(client, DAG, f"release-{version}", {"version": version}, approve=True)


def test_a_good_release_is_promoted_and_a_bad_one_restored(
    client: AirflowClient, world: World, places: dict[str, Web], measured: Callable[[str], None]
) -> None:
    assert released(client, "2.1") == "success"
    assert {web.answers(1)[0] for name, web in places.items() if name != SIDES} == {"2.1 hi"}

    assert released(client, "2.2") == "failed"
    ledger: Ledger = world.ledger()
    deployment = ledger.deployments.of_run(DAG, "release-2.2", "web", "production")
    assert deployment is not None
    assert deployment.state == DeploymentState.ROLLED_BACK
    come_to(places["production"].answers, {"2.1 hi"}, 60)
    verdict = ledger.verdicts.of(deployment.id)[-1]
    red = [event for event in verdict.evidence["quality"]["events"] if event["risk"]]
    assert len(red) == 4, [event["template"] for event in red]
    measured(f"to safe {deployment.to_safe:.2f} s, to restored {deployment.to_restored:.2f} s")
    assert ledger.vetoes.of("web", "production")
    left = places["production"].cluster.call("GET", "/apis/apps/v1/namespaces/default/deployments")["items"]
    assert not [one["metadata"]["name"] for one in left if one["metadata"]["name"].endswith("-canary")]


def test_a_new_side_takes_over_when_it_is_good_and_serves_nobody_when_it_is_not(
    client: AirflowClient, world: World, places: dict[str, Web]
) -> None:
    web, ledger = places[SIDES], world.ledger()
    run = client.trigger(SIDES, {"version": "2.1"}, run_id="side-2.1")
    assert client.wait_for_run(SIDES, run, seconds=PATIENCE) == "success"
    come_to(web.answers, {"2.1 hi"})
    good = ledger.deployments.of_run(SIDES, run, "sides", SIDES)
    assert good is not None
    phases = [(one.name, one.share, one.traffic) for one in ledger.phases.of(good.id)]
    assert phases == [("green", 100, 0), ("switch", 100, 100), ("bake", 100, 100), ("finish", 100, None)]

    run = client.trigger(SIDES, {"version": "2.2"}, run_id="side-2.2")
    assert client.wait_for_run(SIDES, run, seconds=PATIENCE) == "failed"
    bad = ledger.deployments.of_run(SIDES, run, "sides", SIDES)
    assert bad is not None
    assert bad.state == DeploymentState.ROLLED_BACK
    assert [one.name for one in ledger.phases.of(bad.id)] == ["green"], (
        "what is new was seen before anybody asked for it"
    )
    come_to(web.answers, {"2.1 hi"})
    assert [one.instance.artifact for one in ledger.instances.running("sides", SIDES)] == ["localhost/web:2.1"] * 3
