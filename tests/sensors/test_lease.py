"""LeaseSensor: whose turn it is, and what the one whose turn it is finds."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.errors import RollbackIncomplete
from airflow_cd.sensors import LeaseSensor
from airflow_cd.states import DeploymentState
from tests.memory_target import wholly_on
from tests.operators.world import OLD, World


def _poke(world: World, sensor: LeaseSensor, run_id: str = "run-1") -> bool:
    context: Any = world.context(sensor, run_id=run_id)
    return sensor.poke(context)


def _left_unfinished(world: World) -> None:
    world.deployed(run_id="dead")
    world.ledger.leases.release(world.delivery("dead").lease())


def test_it_holds_no_worker_while_it_waits(world: World) -> None:
    sensor = world.task(LeaseSensor)
    assert (sensor.mode, sensor.poke_interval, sensor.retries) == ("reschedule", 5, 3)


def test_the_first_run_owns_the_environment_and_says_so(world: World) -> None:
    sensor = world.task(LeaseSensor)
    assert _poke(world, sensor) is True
    lease = world.ledger.leases.current("shop", "production")
    assert lease is not None
    assert sensor.result == {"owner": "run-1", "fencing token": lease.token}
    assert _poke(world, sensor) is True


def test_the_next_one_waits_in_the_queue_until_it_is_free(world: World) -> None:
    world.delivery("run-1").acquire()
    second, third = world.task(LeaseSensor), world.task(LeaseSensor)
    assert _poke(world, second, "run-2") is False
    assert _poke(world, third, "run-3") is False
    assert isinstance(third.result, dict)
    assert "has belonged to run run-1 of shop" in third.result["waiting"]
    assert "number 2 in the queue" in third.result["waiting"]
    world.delivery("run-1").release_lease()
    assert _poke(world, third, "run-3") is False
    assert "run run-2 of shop is ahead of this run" in third.result["waiting"]
    assert _poke(world, second, "run-2") is True


def test_a_superseded_run_gives_up_for_good(world: World) -> None:
    world.delivery("run-1").acquire()
    older = world.task(LeaseSensor)
    _poke(world, older, "run-2")
    assert _poke(world, world.task(LeaseSensor, supersede=True), "run-3") is False
    with pytest.raises(AirflowFailException, match="is superseded by run run-3"):
        _poke(world, older, "run-2")
    assert isinstance(older.result, dict)
    assert "superseded" in older.result["failed"]


@pytest.mark.parametrize("restore", [True, False])
def test_what_a_dead_run_left_is_restored_unless_a_rollback_replaces_it(world: World, restore: bool) -> None:
    _left_unfinished(world)
    assert _poke(world, world.task(LeaseSensor, restore=restore)) is True
    dead = world.delivery("dead").require_deployment()
    assert dead.state == (DeploymentState.ROLLED_BACK if restore else DeploymentState.RUNNING)
    assert wholly_on(world.target, OLD) is restore


def test_what_cannot_be_restored_yet_is_tried_again(world: World) -> None:
    _left_unfinished(world)
    sensor = world.task(LeaseSensor)
    world.target.away = True
    with pytest.raises(RollbackIncomplete, match="does not answer"):
        _poke(world, sensor)
    world.target.away = False
    assert _poke(world, sensor) is True
    assert wholly_on(world.target, OLD)
