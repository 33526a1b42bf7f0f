"""The tasks of a rollback DAG, one after the other: what they do, and what colour its run gets."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.hooks import new_relic
from airflow_cd.operators import DeploymentMarkerOperator, RollbackToOperator, SettleOperator
from airflow_cd.sensors import LeaseSensor
from airflow_cd.verification.verdict import Verdict
from tests.memory_target import wholly_on
from tests.operators.test_ledger_away import Run
from tests.operators.world import NEW, OLD, TaskInstance, World


class Asked:
    """One run of the rollback DAG, asked for now."""

    def __init__(self, world: World, *, release: str = "", run_id: str = "back") -> None:
        self.world = world
        self.run = SimpleNamespace(
            dag_id="shop-rollback", run_id=run_id, run_after=datetime.now(timezone.utc), triggering_user_name="ada"
        )
        self.params = {"release": release, "reason": "checkout is down"}

    def context(self, task: Any) -> Any:
        ti = TaskInstance(task, self.run.run_id, dag_id="shop-rollback")
        return {"ti": ti, "dag_run": self.run, "params": self.params}

    def lease(self) -> bool:
        sensor = self.world.task(LeaseSensor, going_back=True)
        return sensor.poke(self.context(sensor))

    def back(self) -> Any:
        task = self.world.task(RollbackToOperator, release=self.params["release"], reason=self.params["reason"])
        return task.execute(self.context(task))

    def settle(self) -> Any:
        task = self.world.task(SettleOperator, going_back=True)
        return task.execute(self.context(task))


def promoted(world: World) -> None:
    world.delivery("run-0").deploy(OLD, phase="all")
    world.delivery("run-0").promote("verified")
    world.delivery("run-0").release_lease()


def test_a_canary_is_drained_in_the_moment_in_which_the_rollback_gets_the_environment(world: World) -> None:
    promoted(world)
    world.deployed()
    asked = Asked(world)
    assert asked.lease() is True
    assert [one.name for one in world.target.instances() if one.drained] == ["shop-00"]
    result = asked.back()
    assert (result["restored"], result["before"]) == (str(OLD), [str(NEW)])
    assert wholly_on(world.target, OLD)
    done = asked.settle()
    assert done["rolled back"] == str(NEW)
    assert done["running"] == "shop 1.1 runs on every instance, read back"
    assert done["because"] == "ada rolled it back: checkout is down"
    assert world.ledger.leases.current("shop", "production") is None


def test_the_run_that_was_stopped_ends_red_and_says_who_stopped_it(world: World) -> None:
    promoted(world)
    world.deployed()
    asked = Asked(world)
    asked.lease()
    asked.back()
    asked.settle()
    with pytest.raises(AirflowFailException, match="was rolled back: ada rolled it back: checkout is down"):
        world.execute(world.task(SettleOperator))


def test_a_release_that_was_never_good_is_refused_before_anything_is_stopped(world: World) -> None:
    promoted(world)
    world.deployed()
    with pytest.raises(AirflowFailException, match=r"no release 0\.9 was promoted here"):
        Asked(world, release="0.9").lease()
    assert world.target.running()["shop-00"] == NEW.artifact
    assert not any(one.drained for one in world.target.instances())


def test_what_a_killed_rollback_left_is_finished_at_the_end_of_its_run(world: World) -> None:
    promoted(world)
    world.deployed()
    asked = Asked(world)
    asked.lease()
    assert asked.settle()["rolled back"] == str(NEW)
    assert wholly_on(world.target, OLD)


def test_a_rollback_that_found_no_release_named_like_that_any_more_is_not_green(world: World) -> None:
    promoted(world)
    world.deployed()
    asked = Asked(world, release="1.1")
    asked.lease()
    asked.params["release"] = "1.0"  # as if the artifact of another release had been missing
    with pytest.raises(AirflowFailException, match="Nothing was deployed here by this run"):
        asked.settle()
    assert wholly_on(world.target, OLD)


def test_it_asks_every_second_and_holds_its_worker(world: World) -> None:
    sensor = world.task(LeaseSensor, going_back=True)
    assert (sensor.mode, sensor.poke_interval) == ("poke", 1)


def test_settle_says_who_rolled_it_back_when_that_ends_while_it_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(world)
    world.deployed()
    asked = Asked(world)
    asked.lease()

    def other(delivery: Any, deployment: Any, **more: Any) -> Any:
        asked.back()
        asked.settle()
        return delivery.ledger.deployments.get(deployment.id)

    monkeypatch.setattr("airflow_cd.delivery.delivery.await_other", other)
    with pytest.raises(AirflowFailException, match="was rolled back: ada rolled it back: checkout is down"):
        world.execute(world.task(SettleOperator, mark=("new_relic_default",)))


def test_a_run_that_was_stopped_does_not_ask_for_the_lease_to_record_its_verdict(world: World) -> None:
    promoted(world)
    run = Run(world)
    run.execute(run.deploy)
    run.judge(Verdict.FAIL)
    asked = Asked(world)
    asked.lease()
    for task in (run.rollback, run.settle):
        with contextlib.suppress(Exception):
            run.execute(task, verify="success")
    assert world.ledger.leases.waiting("shop", "production") == []


def test_the_rollback_of_a_canary_that_was_stopped_is_marked_as_any_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    markers: list[dict[str, Any]] = []

    class Hook:
        def __init__(self, conn_id: str) -> None:
            self.conn_id = conn_id

        def mark_deployment(self, **given: Any) -> str:
            markers.append({"to": self.conn_id, **given})
            return "marker"

    monkeypatch.setattr(new_relic, "NewRelicHook", Hook)
    promoted(world)
    world.deployed()
    # A DAG written by hand: where its deployments are marked is known from what was marked.
    world.execute(world.task(DeploymentMarkerOperator, conn_ids=["nr"], phase="phase_20", application="storefront"))
    asked = Asked(world)
    asked.lease()
    asked.back()
    assert [(one["to"], one["application"], one["version"]) for one in markers] == [
        ("nr", "storefront", "1.2"),
        ("nr", "storefront", "1.1"),
    ]
    assert "checkout is down" in markers[-1]["description"]
