"""A rollback that is asked for while verifications hold every slot they may have begins within seconds."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest

from airflow_cd.capacity import VERIFICATIONS
from airflow_cd.demo.airflow_client import wait_until
from airflow_cd.demo.world import World
from airflow_cd.release import Release
from tests.e2e.conftest import AirflowDatabase
from tests.pace import PATIENCE, slowness
from tests.tiers import starts

log = logging.getLogger(__name__)

SLOTS = 4
BUSY = [f"busy-{number}" for number in range(SLOTS + 2)]
SHIPPED, CANARY = "shipped", "canary"
ENVIRONMENTS = [*BUSY, SHIPPED, CANARY]
OLD, NEW = (Release("shop", version, f"shop:{version}") for version in ("1.0", "1.1"))
WITHIN = 5.0
"""Seconds from the request to the first action, on a machine that does nothing else."""


@pytest.fixture(scope="module")
@starts("e2e")
def world(airflow_database: AirflowDatabase) -> Iterator[World]:
    """Four worker slots, three of which verifications may take."""
    settings = {
        **airflow_database("capacity"),
        # What is measured is the demo's.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "BUSY_ENVIRONMENTS": ",".join(ENVIRONMENTS),
        "AIRFLOW__CORE__PARALLELISM": str(SLOTS),
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    dags = Path(__file__).parent / "dags"
    with World(
        dags=dags, environments=dict.fromkeys(ENVIRONMENTS, 2), rates={SHIPPED: 0.2}, settings=settings
    ) as world:
        for name in ENVIRONMENTS:
            _put(world, name, OLD, token=0)
        _promoted(world, SHIPPED)
        yield world


def test_the_first_action_comes_within_seconds_while_every_slot_verifies(world: World) -> None:
    client = world.client()
    pool = client.call("GET", f"/api/v2/pools/{VERIFICATIONS}")
    assert pool["slots"] == SLOTS - 1
    # The canary first, so that it is among those that verify when its rollback is asked for.
    for name in (CANARY, *BUSY):
        client.wait_for_dag(f"busy_{name}")
        client.trigger(f"busy_{name}", {"version": "1.1"}, run_id="run")
        if name == CANARY:
            client.wait_for_task(f"busy_{name}", "run", f"{name}.phase_50.verify", "running")
    wait_until(
        lambda: client.call("GET", f"/api/v2/pools/{VERIFICATIONS}")["open_slots"] == 0,
        "every slot for verifications is taken",
        seconds=PATIENCE,
    )
    waits = {name: _first_action(world, name) for name in (SHIPPED, CANARY)}
    log.warning("Seconds to the first action: %s", waits)
    for name in waits:
        assert client.wait_for_run(f"busy_{name}-rollback", "back", seconds=PATIENCE) == "success"
        assert {row["artifact"] for row in world.running(name).values()} == {OLD.artifact}
    assert client.wait_for_run(f"busy_{CANARY}", "run", seconds=PATIENCE) == "failed"
    vetoed = {name: [veto.version for veto in world.ledger().vetoes.of("shop", name)] for name in waits}
    assert vetoed == {SHIPPED: ["1.1"], CANARY: ["1.1"]}
    assert max(waits.values()) < WITHIN * slowness()


def _first_action(world: World, name: str) -> float:
    """Seconds from the request to the first change at the target, as the ledger has it."""
    asked = datetime.now(timezone.utc)
    conf = {"environment": name, "reason": "checkout is down"}
    world.client().trigger(f"busy_{name}-rollback", conf, run_id="back")
    found: list[datetime] = []

    def begun() -> bool:
        for deployment in world.ledger().deployments.matching("shop", name):
            found.extend(one.began_at for one in world.ledger().actions.of(deployment.id) if one.began_at > asked)
        return bool(found)

    wait_until(begun, f"the rollback of {name} does something", seconds=PATIENCE, every=0.1)
    return (min(found) - asked).total_seconds()


def _put(world: World, name: str, release: Release, *, token: int) -> None:
    headers = {
        "Authorization": f"Bearer {world.fleet.token}",
        "Idempotency-Key": f"{name}-{release.version}",
        "Fencing-Token": str(token),
    }
    body = {"release": release.as_dict(), "instances": sorted(world.running(name))}
    url = f"{world.fleet.api_url}/v1/environments/{name}/release"
    httpx.put(url, json=body, headers=headers, timeout=PATIENCE).raise_for_status()
    wait_until(
        lambda: (
            {(row["artifact"], row["health"]) for row in world.running(name).values()}
            == {(release.artifact, "healthy")}
        ),
        f"{name} runs {release}",
        seconds=PATIENCE,
    )


def _promoted(world: World, name: str) -> None:
    """Have 1.0 and then 1.1 there, as runs of the pipeline have promoted them."""
    ledger = world.ledger()
    for release in (OLD, NEW):
        place = {"pipeline": f"busy_{name}", "run_id": release.version, "ttl": timedelta(minutes=5)}
        lease = ledger.leases.acquire("shop", name, **place)
        deployment = ledger.deployments.open(
            lease,
            release,
            previous=dict.fromkeys(world.running(name), OLD),
            reason="",
            triggered_by="admin",
            rollback="automatic",
            learn=False,
        )
        _put(world, name, release, token=lease.token)
        ledger.settlement.promote(deployment.id, token=lease.token, outcome="good")
        ledger.leases.release(lease)
