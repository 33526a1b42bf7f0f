"""What becomes of a canary when people mark, clear, answer and roll back, on the grid and on pages."""

from __future__ import annotations

import os
import signal

import httpx
import pytest

from airflow_cd.demo.airflow_client import AirflowClient, wait_until
from tests.e2e.canary.world import NEW, OLD, Canaries
from tests.pace import PATIENCE


def test_marking_the_verification_success_is_a_persons_promotion(canaries: Canaries) -> None:
    case = "verify-marked-success"
    canaries.start(case)
    canaries.watching(case)
    canaries.mark(case, "phase_50.verify", "success", "we know better")
    canaries.wait_for(case, "phase_100.verify", "running")
    canaries.mark(case, "phase_100.verify", "success", "here too")
    assert canaries.ends(case) == "success"
    assert canaries.artifacts(case) == NEW
    after = canaries.tasks(case)
    assert after["phase_50.rollback"] == after["phase_100.rollback"] == "skipped"
    who = [
        (action.who, action.action, action.why) for action in canaries.world.ledger().audit.actions(f"canary_{case}")
    ]
    assert ("admin", "marked success", "we know better") in who


def test_marking_the_verification_failed_is_a_persons_rollback(canaries: Canaries) -> None:
    case = "verify-marked-failed"
    canaries.start(case)
    canaries.watching(case)
    canaries.mark(case, "phase_50.verify", "failed", "customers call")
    assert canaries.ends(case) == "failed"
    assert canaries.artifacts(case) == OLD
    assert canaries.tasks(case)["phase_50.rollback"] == "success"


def test_a_canary_is_rolled_back_from_the_page_of_its_environment(canaries: Canaries) -> None:
    case = "stopped-on-its-page"
    canaries.start(case)
    canaries.watching(case)
    [deployment] = canaries.world.ledger().deployments.matching("shop", case)
    page = f"/airflow-cd/environment/canary_{case}/shop/{case}"
    leads_to = canaries.send(f"{page}/stop", deployment=deployment.id, why="customers call")
    assert leads_to == f"/airflow-cd/run/canary_{case}/run"
    assert canaries.ends(case) == "failed"
    assert canaries.artifacts(case) == OLD
    assert canaries.world.ledger().deployments.get(deployment.id).outcome == "admin rolled it back: customers call"


def test_a_rollback_after_promotion_is_finished_though_its_worker_is_killed(canaries: Canaries) -> None:
    case = "rolled-back-later"
    dag_id, ledger = f"canary_{case}-rollback", canaries.world.ledger()
    for version in ("1.0", "1.1"):
        canaries.promoted(case, version)
    canaries.client.wait_for_dag(dag_id)
    canaries.client.trigger(dag_id, {"environment": case, "reason": "customers call"}, run_id="back")
    wait_until(
        lambda: canaries.artifacts(case) != NEW, "the rollback has touched an instance", seconds=PATIENCE, every=0.05
    )
    os.kill(canaries.process_of(dag_id, "back", "rollback.deploy"), signal.SIGKILL)
    assert canaries.client.wait_for_run(dag_id, "back") == "success"
    assert canaries.artifacts(case) == OLD
    assert canaries.drained(case) == set()
    done = ledger.deployments.last_promoted("shop", case)
    assert done is not None
    assert (done.run_id, done.release.version) == ("back", "1.0")
    assert ledger.deployments.get(str(done.rolls_back)).state == "rolled_back"
    assert [veto.version for veto in ledger.vetoes.of("shop", case)] == ["1.1"]


@pytest.mark.parametrize("state", ["failed", "success"])
def test_marking_the_whole_run_leaves_nothing_half(canaries: Canaries, state: str) -> None:
    case = f"run-marked-{state}"
    canaries.start(case)
    canaries.watching(case)
    canaries.client.mark_run(f"canary_{case}", "run", state)
    wait_until(lambda: canaries.tasks(case)["settle"] in ("success", "failed"), "settle ran", seconds=PATIENCE)
    assert canaries.ends(case) == "failed"
    assert canaries.artifacts(case) == OLD


def test_a_late_mark_after_a_crash_deploys_nothing_after_the_rollback(canaries: Canaries) -> None:
    case = "marked-after-crash"
    assert canaries.run(case, die=True) == "failed"
    canaries.mark(case, "phase_50.verify", "success")
    canaries.wait_for(case, "phase_100.deploy", "failed", "skipped")
    assert canaries.ends(case) == "failed"
    assert canaries.artifacts(case) == OLD
    assert "rolled back" in canaries.log(case, "phase_100.deploy")


def test_clearing_the_verification_after_the_rollback_deploys_nothing(canaries: Canaries) -> None:
    case = "cleared-after-fail"
    assert canaries.run(case, bad="01") == "failed"
    canaries.script(case)
    canaries.client.clear(f"canary_{case}", "run", f"{case}.phase_50.verify")
    wait_until(
        lambda: canaries.tasks(case)["phase_50.verify"] == "failed", "the verification ran again", seconds=PATIENCE
    )
    assert canaries.ends(case) == "failed"
    assert canaries.artifacts(case) == OLD
    after = canaries.tasks(case)
    assert "success" not in (after["phase_100.deploy"], after["promote"])
    assert "rolled back" in canaries.log(case, "phase_50.verify", attempt=2)


def test_a_person_who_is_asked_can_verify_again(canaries: Canaries) -> None:
    case = "human-verifies-again"
    canaries.script(case, bad="01")
    canaries.start(case, rollback="human")
    canaries.wait_for(case, "phase_50.verify", "awaiting_input")
    assert len(canaries.drained(case)) == 1
    canaries.script(case)
    canaries.answer(case, "Verify again", "the tax table is back")
    assert canaries.ends(case) == "success"
    assert canaries.artifacts(case) == NEW


def test_rejecting_deploys_nothing_and_the_run_is_not_green(canaries: Canaries) -> None:
    canaries.start("rejected")
    alice = canaries.world.client("alice")
    alice.wait_for_task("canary_rejected", "run", "approve", "awaiting_input", seconds=PATIENCE)
    alice.mark("canary_rejected", "run", "approve", "failed", "not before the holidays")
    assert canaries.ends("rejected") == "failed"
    assert canaries.artifacts("rejected") == OLD
    assert canaries.world.ledger().deployments.of_run("canary_rejected", "run", "shop", "rejected") is None
    question = canaries.world.ledger().questions.get("canary_rejected", "run", "approve")
    assert question is not None
    assert (question.option, question.who, question.why) == ("Reject", "alice", "not before the holidays")


def test_an_answer_in_the_moment_of_parking_is_not_lost(canaries: Canaries) -> None:
    canaries.start("approved-at-once")
    alice = canaries.world.client("alice")
    answered = False

    def answer() -> bool:
        nonlocal answered
        try:
            alice.answer("canary_approved-at-once", "run", "approve", "Approve", "go")
        except httpx.HTTPStatusError as error:
            return error.response.status_code == 409
        answered = True
        return True

    wait_until(answer, "the question can be answered", seconds=PATIENCE, every=0.02)
    assert answered
    assert canaries.ends("approved-at-once") == "success"
    assert canaries.artifacts("approved-at-once") == NEW


def test_nobody_but_an_approver_can_approve(canaries: Canaries) -> None:
    case = "not-an-approver"
    canaries.start(case)
    alice = canaries.world.client("alice")
    alice.wait_for_task(f"canary_{case}", "run", "approve", "awaiting_input", seconds=PATIENCE)
    mallory: AirflowClient = canaries.world.client("mallory")
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        mallory.mark(f"canary_{case}", "run", "approve", "success", "I am in a hurry")
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        mallory.answer(f"canary_{case}", "run", "approve", "Approve", "I am in a hurry")
    bulk = {
        "actions": [{"action": "update", "entities": [{"task_id": "approve", "new_state": "success"}]}],
    }
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        mallory.call("PATCH", f"/api/v2/dags/canary_{case}/dagRuns/run/taskInstances", bulk)
    assert canaries.client.tasks(f"canary_{case}", "run")["approve"] == "awaiting_input"
    refused = [a for a in canaries.world.ledger().audit.actions(f"canary_{case}") if not a.allowed]
    assert {action.who for action in refused} == {"mallory"}
    alice.mark(f"canary_{case}", "run", "approve", "failed")
    assert canaries.ends(case) == "failed"
