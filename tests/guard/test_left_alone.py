"""What the guard leaves alone: a run that is at work, waits for a person, or goes on by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_cd.guard.airflow_runs import TaskFacts
from tests.guard.scene import GOES_ON, PASSED, Scene, blamed, paused, queued, running
from tests.operators.world import PLACE


def test_a_verification_may_wait_for_a_slot_of_its_pool(scene: Scene) -> None:
    scene.deployed()
    scene.between_tasks()
    scene.run_is(tasks=[PASSED, TaskFacts("production.phase_20.verify", -1, "scheduled", None)])
    scene.pass_by(280, every=10)
    assert scene.findings() == []


@pytest.mark.parametrize("state", ["awaiting_input", "deferred"])
def test_a_canary_that_failed_and_about_which_a_person_is_asked_waits_for_the_answer(scene: Scene, state: str) -> None:
    scene.deployed()
    blamed(scene)
    scene.between_tasks()
    scene.run_is(tasks=[PASSED, TaskFacts("production.phase_20.verify", -1, state, None), queued("")])
    scene.pass_by(400, every=10)
    assert scene.findings() == []


def test_a_run_that_moves_is_left_alone_however_slowly(scene: Scene) -> None:
    scene.deployed()
    scene.between_tasks()
    for step in ("scheduled", "queued", "running", ""):
        scene.run_is(tasks=[PASSED, TaskFacts("production.smoke_test", -1, step, None)])
        scene.pass_by(36)
    assert scene.findings() == []


# -- who goes on is left alone ---------------------------------------------------------------------------------


@pytest.mark.parametrize("facts", [{"paused": True}, {"stale": True, "error": "SyntaxError"}, {"state": "failed"}])
def test_a_process_that_lives_is_left_alone_whatever_airflow_says(scene: Scene, facts: dict[str, object]) -> None:
    scene.deployed()
    work = scene.at_work()
    scene.run_is(**facts)
    scene.pass_by(100, beats=work)
    assert [kind for kind, _ in scene.target.calls] == ["deploy"]
    assert scene.findings() == []


@pytest.mark.parametrize("state", ["scheduled", "queued", "up_for_retry", "awaiting_input", "deferred", ""])
def test_a_run_whose_next_task_comes_is_left_alone(scene: Scene, state: str) -> None:
    scene.deployed()
    scene.between_tasks()
    verify = running("production.phase_20.verify")
    scene.run_is(tasks=[type(verify)(verify.task_id, -1, state, None)])
    # Airflow schedules at once what may begin; for what is scheduled there may be no slot.
    scene.pass_by(100 if state else 44)
    assert scene.findings() == []


def test_a_task_that_died_and_is_tried_again_is_left_alone(scene: Scene) -> None:
    scene.deployed()
    work = scene.at_work()
    verify = running(work.task_id)
    scene.run_is(tasks=[verify])
    scene.pass_by(36)
    scene.run_is(tasks=[type(verify)(verify.task_id, -1, "up_for_retry", None)])
    scene.pass_by(60)
    scene.at_work()
    scene.run_is(tasks=[verify])
    scene.pass_by(36)
    assert scene.findings() == []


def test_a_dag_that_is_unpaused_at_once_goes_on(scene: Scene) -> None:
    scene.deployed()
    for _ in range(5):
        paused(scene)
        scene.pass_by(12)
        scene.run_is()
        scene.pass_by(6)
    assert scene.findings() == []


def test_another_stage_whose_worker_died_is_no_reason(scene: Scene) -> None:
    scene.deployed()
    scene.between_tasks()
    scene.run_is(tasks=[running("staging.verify")])
    scene.pass_by(120)
    assert scene.findings() == []


def test_what_another_run_owns_is_left_to_it(scene: Scene) -> None:
    scene.deployed()
    scene.between_tasks()
    lease = scene.ledger.leases.current(**PLACE)
    assert lease is not None
    scene.ledger.leases.release(lease)
    scene.ledger.leases.acquire(**PLACE, pipeline="shop", run_id="run-2", ttl=timedelta(minutes=15))
    scene.run_is(state="failed")
    scene.runs["shop", "run-2"] = GOES_ON
    scene.pass_by(60)
    assert [kind for kind, _ in scene.target.calls] == ["deploy"]
