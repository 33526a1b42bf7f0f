"""Who stands in a run's way is asked about: what has ended blocks nobody, what lives loses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType

from airflow_cd.clock import now
from airflow_cd.delivery.keeping import LEASE_TTL
from airflow_cd.ledger.store import Store
from airflow_cd.sensors import LeaseSensor, living
from tests.operators.world import World

NOT_FOUND = AirflowRuntimeError(
    SimpleNamespace(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404, "message": "not found"})  # type: ignore[arg-type]
)
BUSY = AirflowRuntimeError(
    SimpleNamespace(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 503})  # type: ignore[arg-type]
)


class Airflow:
    """What Airflow says of runs, their lease tasks, and the DAG."""

    def __init__(
        self, runs: Mapping[str, Any], tasks: Mapping[str, str] | None = None, *, paused: bool = False
    ) -> None:
        self.runs, self.tasks, self.paused = runs, dict(tasks or {}), paused
        self.requested: dict[str, datetime] = {}

    def poke(self, world: World, run_id: str, *, requested: datetime | None = None) -> bool:
        sensor = world.task(LeaseSensor)
        context: Any = world.context(sensor, run_id=run_id)
        if requested is not None:
            context["dag_run"].run_after = requested
        ti = context["ti"]
        ti.get_dagrun_state = self._state
        ti.get_task_states = lambda dag_id, task_ids, run_ids=None: {
            name: {task_ids[0]: state} for name, state in self.tasks.items() if run_ids is None or name in run_ids
        }
        ti.get_ti_count = lambda dag_id, task_ids, states: sum(state in states for state in self.tasks.values())
        ti.get_dag = lambda dag_id: SimpleNamespace(is_paused=self.paused)
        return sensor.poke(context)

    def _state(self, dag_id: str, run_id: str) -> str:
        found = self.runs[run_id]
        if isinstance(found, Exception):
            raise found
        return str(found)


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    real = Store.now
    monkeypatch.setattr(Store, "now", lambda self, session: real(self, session) + by)


@pytest.mark.parametrize("state", ["failed", "success", NOT_FOUND])
def test_an_owner_whose_run_has_ended_is_in_nobodys_way(world: World, state: Any) -> None:
    world.delivery("gone").acquire()
    assert Airflow({"gone": state}).poke(world, "next") is True


def test_an_owner_that_lives_keeps_even_an_expired_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.delivery("slow").acquire()
    later(monkeypatch, 2 * LEASE_TTL)
    assert Airflow({"slow": "running"}).poke(world, "next") is False
    lease = world.ledger.leases.current("shop", "production")
    assert lease is not None
    assert lease.run_id == "slow"


@pytest.mark.parametrize(("expired", "owns"), [(False, False), (True, True)])
def test_where_airflow_does_not_answer_time_decides(
    world: World, monkeypatch: pytest.MonkeyPatch, expired: bool, owns: bool
) -> None:
    world.delivery("unknown").acquire()
    if expired:
        later(monkeypatch, LEASE_TTL)
    assert Airflow({"unknown": BUSY}).poke(world, "next") is owns


@pytest.mark.parametrize(
    ("run", "task", "paused", "blocks"),
    [
        ("running", "up_for_reschedule", False, True),
        ("running", "queued", False, True),
        ("running", "up_for_reschedule", True, False),
        ("running", "failed", False, False),
        ("running", "skipped", False, False),
        ("failed", "up_for_reschedule", False, False),
        (NOT_FOUND, "up_for_reschedule", False, False),
        (BUSY, "up_for_reschedule", False, True),
    ],
)
def test_a_waiter_that_is_dead_blocks_nobody(world: World, run: Any, task: str, paused: bool, blocks: bool) -> None:
    world.delivery("owner").acquire()
    earlier = now() - timedelta(minutes=1)
    runs = {"owner": "running", "waiter": run}
    asking = Airflow(runs, {"waiter": "running"})
    assert asking.poke(world, "waiter", requested=earlier) is False
    world.delivery("owner").release_lease()
    asking.tasks, asking.paused = {"waiter": task}, paused
    assert asking.poke(world, "next", requested=now()) is not blocks


def test_runs_get_the_environment_in_the_order_in_which_they_were_requested(world: World) -> None:
    world.delivery("owner").acquire()
    first, second = now() - timedelta(seconds=2), now() - timedelta(seconds=1)
    airflow = Airflow({"owner": "running", "first": "running", "second": "running"})
    assert airflow.poke(world, "second", requested=second) is False
    assert airflow.poke(world, "first", requested=first) is False
    world.delivery("owner").release_lease()
    airflow.tasks = {"first": "up_for_reschedule"}
    assert airflow.poke(world, "second", requested=second) is False
    assert airflow.poke(world, "first", requested=first) is True


@pytest.mark.parametrize(("other", "waits"), [(-1, True), (1, False)])
def test_a_run_lets_one_pass_that_was_requested_earlier_and_is_about_to_ask(
    world: World, monkeypatch: pytest.MonkeyPatch, other: int, waits: bool
) -> None:
    mine = datetime.now(timezone.utc)
    requested = mine + timedelta(seconds=other)
    monkeypatch.setattr(living, "_requested_at", lambda dag_id, run_id: requested)
    airflow = Airflow({"other": "running"}, {"mine": "running", "other": "queued"})
    assert airflow.poke(world, "mine", requested=mine) is not waits
    if waits:
        assert airflow.poke(world, "other", requested=requested) is True


def test_one_that_never_comes_is_not_waited_for_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(living, "_requested_at", lambda dag_id, run_id: datetime(2020, 1, 1, tzinfo=timezone.utc))
    airflow = Airflow({"other": "running"}, {"mine": "running", "other": "queued"})
    mine = now()
    assert airflow.poke(world, "mine", requested=mine) is False
    monkeypatch.setattr("airflow_cd.sensors.lease.now", lambda: now() + timedelta(minutes=2))
    assert airflow.poke(world, "mine", requested=mine) is True
