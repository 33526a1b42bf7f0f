"""What becomes of production under failures, people's hands and bad input, on a real Airflow over a real fleet.

In every case production ends wholly on one release, nothing is deployed after a rollback, and the run's colour tells
the truth. One file, because all cases share a world, and files are what is spread over processes.
"""

from __future__ import annotations

import os
import signal

import httpx
import pytest

from airflow_cd.demo.airflow_client import AirflowClient, wait_until
from tests.e2e.hands.conftest import Hands, ends, tasks

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

OLD, NEW = {"shop:1.0"}, {"shop:1.1"}


def watching(hands: Hands, case: str, run_id: str = "run") -> None:
    """Return when the verification of the first phase has looked at least once."""
    task = f"{case}.phase_50.verify"
    hands.client.wait_for_task(f"hands_{case}", run_id, task, "running", seconds=120)
    wait_until((hands.scripts / f"{case}.pid").exists, f"{task} looks", seconds=60)


@pytest.mark.runs("passes")
def test_a_good_release_goes_to_all_instances(hands: Hands) -> None:
    assert hands.state("passes") == "success"
    assert hands.artifacts("passes") == NEW
    assert tasks(hands, "passes")["phase_50.rollback"] == "skipped"


@pytest.mark.runs("fails-at-half", bad="01")
def test_a_bad_release_is_rolled_back_from_the_first_phase(hands: Hands) -> None:
    assert hands.state("fails-at-half") == "failed"
    assert hands.artifacts("fails-at-half") == OLD
    after = tasks(hands, "fails-at-half")
    assert after["phase_50.rollback"] == "success"
    assert after["phase_100.deploy"] == "skipped"


def test_a_bad_release_is_rolled_back_from_the_last_phase(hands: Hands) -> None:
    hands.start("fails-at-all")
    hands.client.wait_for_task("hands_fails-at-all", "run", "fails-at-all.phase_100.deploy", "success", seconds=120)
    hands.script("fails-at-all", bad="02")
    assert ends(hands, "fails-at-all") == "failed"
    assert hands.artifacts("fails-at-all") == OLD
    assert tasks(hands, "fails-at-all")["promote"] == "skipped"


@pytest.mark.runs("does-not-start", version="1.4")
def test_a_release_that_does_not_start_is_rolled_back(hands: Hands) -> None:
    assert hands.state("does-not-start") == "failed"
    assert hands.artifacts("does-not-start") == OLD
    after = tasks(hands, "does-not-start")
    assert after["phase_50.rollback"] == "success"
    assert after["phase_100.rollback"] == "skipped"


@pytest.mark.runs("verify-dies", die=True)
def test_a_verification_that_dies_is_rolled_back(hands: Hands) -> None:
    assert hands.state("verify-dies") == "failed"
    assert hands.artifacts("verify-dies") == OLD
    assert tasks(hands, "verify-dies")["phase_100.rollback"] == "skipped"


def test_a_verification_that_is_killed_is_rolled_back(hands: Hands) -> None:
    hands.start("verify-killed")
    watching(hands, "verify-killed")
    os.kill(int((hands.scripts / "verify-killed.pid").read_text()), signal.SIGKILL)
    assert ends(hands, "verify-killed") == "failed"
    assert hands.artifacts("verify-killed") == OLD


def test_marking_the_verification_success_is_a_persons_promotion(hands: Hands) -> None:
    case = "verify-marked-success"
    hands.start(case)
    watching(hands, case)
    hands.client.mark(f"hands_{case}", "run", f"{case}.phase_50.verify", "success", "we know better")
    hands.client.wait_for_task(f"hands_{case}", "run", f"{case}.phase_100.verify", "running", seconds=120)
    hands.client.mark(f"hands_{case}", "run", f"{case}.phase_100.verify", "success", "here too")
    assert ends(hands, case) == "success"
    assert hands.artifacts(case) == NEW
    after = tasks(hands, case)
    assert after["phase_50.rollback"] == after["phase_100.rollback"] == "skipped"
    who = [(action.who, action.action, action.why) for action in hands.world.ledger().audit.actions(f"hands_{case}")]
    assert ("admin", "marked success", "we know better") in who


def test_marking_the_verification_failed_is_a_persons_rollback(hands: Hands) -> None:
    case = "verify-marked-failed"
    hands.start(case)
    watching(hands, case)
    hands.client.mark(f"hands_{case}", "run", f"{case}.phase_50.verify", "failed", "customers call")
    assert ends(hands, case) == "failed"
    assert hands.artifacts(case) == OLD
    assert tasks(hands, case)["phase_50.rollback"] == "success"


def test_a_canary_is_rolled_back_from_the_page_of_its_environment(hands: Hands) -> None:
    case = "stopped-on-its-page"
    hands.start(case)
    watching(hands, case)
    [deployment] = hands.world.ledger().deployments.matching("shop", case)
    page = f"/airflow-cd/environment/hands_{case}/shop/{case}"
    leads_to = hands.send(f"{page}/stop", deployment=deployment.id, why="customers call")
    assert leads_to == f"/airflow-cd/run/hands_{case}/run"
    assert ends(hands, case) == "failed"
    assert hands.artifacts(case) == OLD
    assert hands.world.ledger().deployments.get(deployment.id).outcome == "admin rolled it back: customers call"


def test_a_rollback_after_promotion_is_finished_though_its_worker_is_killed(hands: Hands) -> None:
    case = "rolled-back-later"
    dag_id, ledger = f"hands_{case}-rollback", hands.world.ledger()
    for version in ("1.0", "1.1"):
        hands.promoted(case, version)
    hands.client.wait_for_dag(dag_id)
    hands.client.trigger(dag_id, {"environment": case, "reason": "customers call"}, run_id="back")
    wait_until(lambda: hands.artifacts(case) != NEW, "the rollback has touched an instance", seconds=120, every=0.05)
    os.kill(hands.process_of(dag_id, "back", "rollback.deploy"), signal.SIGKILL)
    assert hands.client.wait_for_run(dag_id, "back") == "success"
    assert hands.artifacts(case) == OLD
    assert hands.drained(case) == set()
    done = ledger.deployments.last_promoted("shop", case)
    assert done is not None
    assert (done.run_id, done.release.version) == ("back", "1.0")
    assert ledger.deployments.get(str(done.rolls_back)).state == "rolled_back"
    assert [veto.version for veto in ledger.vetoes.of("shop", case)] == ["1.1"]


@pytest.mark.parametrize("state", ["failed", "success"])
def test_marking_the_whole_run_leaves_nothing_half(hands: Hands, state: str) -> None:
    case = f"run-marked-{state}"
    hands.start(case)
    watching(hands, case)
    hands.client.mark_run(f"hands_{case}", "run", state)
    wait_until(lambda: tasks(hands, case)["settle"] in ("success", "failed"), "settle ran", seconds=120)
    assert ends(hands, case) == "failed"
    assert hands.artifacts(case) == OLD


@pytest.mark.runs("marked-after-crash", die=True)
def test_a_late_mark_after_a_crash_deploys_nothing_after_the_rollback(hands: Hands) -> None:
    case = "marked-after-crash"
    assert hands.state(case) == "failed"
    hands.client.mark(f"hands_{case}", "run", f"{case}.phase_50.verify", "success")
    hands.client.wait_for_task(f"hands_{case}", "run", f"{case}.phase_100.deploy", "failed", "skipped", seconds=120)
    assert ends(hands, case) == "failed"
    assert hands.artifacts(case) == OLD
    assert "rolled back" in hands.client.task_log(f"hands_{case}", "run", f"{case}.phase_100.deploy")


@pytest.mark.runs("marked-after-fail", bad="01")
def test_a_late_mark_after_a_fail_deploys_nothing(hands: Hands) -> None:
    case = "marked-after-fail"
    assert hands.state(case) == "failed"
    # It succeeded, with the branch to the rollback: Airflow has nothing to mark.
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        hands.client.mark(f"hands_{case}", "run", f"{case}.phase_50.verify", "success")
    assert ends(hands, case) == "failed"
    assert hands.artifacts(case) == OLD


@pytest.mark.runs("cleared-after-fail", bad="01")
def test_clearing_the_verification_after_the_rollback_deploys_nothing(hands: Hands) -> None:
    case = "cleared-after-fail"
    assert hands.state(case) == "failed"
    hands.script(case)
    hands.client.clear(f"hands_{case}", "run", f"{case}.phase_50.verify")
    wait_until(lambda: tasks(hands, case)["phase_50.verify"] == "failed", "the verification ran again", seconds=120)
    assert ends(hands, case) == "failed"
    assert hands.artifacts(case) == OLD
    after = tasks(hands, case)
    assert "success" not in (after["phase_100.deploy"], after["promote"])
    assert "rolled back" in hands.client.task_log(f"hands_{case}", "run", f"{case}.phase_50.verify", attempt=2)


def asked(hands: Hands, case: str) -> None:
    hands.script(case, bad="01")
    hands.start(case, rollback="human")
    hands.client.wait_for_task(f"hands_{case}", "run", f"{case}.phase_50.verify", "awaiting_input", seconds=120)
    assert len(hands.drained(case)) == 1


def test_a_person_who_is_asked_can_go_on(hands: Hands) -> None:
    case = "human-goes-on"
    asked(hands, case)
    hands.script(case)
    hands.client.answer(f"hands_{case}", "run", f"{case}.phase_50.verify", "Go on", "known and harmless")
    assert ends(hands, case) == "success"
    assert hands.artifacts(case) == NEW


def test_a_person_who_is_asked_can_roll_back(hands: Hands) -> None:
    case = "human-rolls-back"
    asked(hands, case)
    hands.client.answer(f"hands_{case}", "run", f"{case}.phase_50.verify", "Roll back", "not worth it")
    assert ends(hands, case) == "failed"
    assert hands.artifacts(case) == OLD


def test_a_person_who_is_asked_can_verify_again(hands: Hands) -> None:
    case = "human-verifies-again"
    asked(hands, case)
    hands.script(case)
    hands.client.answer(f"hands_{case}", "run", f"{case}.phase_50.verify", "Verify again", "the tax table is back")
    assert ends(hands, case) == "success"
    assert hands.artifacts(case) == NEW


def test_rejecting_deploys_nothing_and_the_run_is_not_green(hands: Hands) -> None:
    hands.start("rejected")
    alice = hands.world.client("alice")
    alice.wait_for_task("hands_rejected", "run", "approve", "awaiting_input", seconds=120)
    alice.mark("hands_rejected", "run", "approve", "failed", "not before the holidays")
    assert ends(hands, "rejected") == "failed"
    assert hands.artifacts("rejected") == OLD
    assert hands.world.ledger().deployments.of_run("hands_rejected", "run", "shop", "rejected") is None
    question = hands.world.ledger().questions.get("hands_rejected", "run", "approve")
    assert question is not None
    assert (question.option, question.who, question.why) == ("Reject", "alice", "not before the holidays")


def test_an_answer_in_the_moment_of_parking_is_not_lost(hands: Hands) -> None:
    hands.start("approved-at-once")
    alice = hands.world.client("alice")
    answered = False

    def answer() -> bool:
        nonlocal answered
        try:
            alice.answer("hands_approved-at-once", "run", "approve", "Approve", "go")
        except httpx.HTTPStatusError as error:
            return error.response.status_code == 409
        answered = True
        return True

    wait_until(answer, "the question can be answered", seconds=120, every=0.02)
    assert answered
    assert ends(hands, "approved-at-once") == "success"
    assert hands.artifacts("approved-at-once") == NEW


def test_nobody_but_an_approver_can_approve(hands: Hands) -> None:
    case = "not-an-approver"
    hands.start(case)
    alice = hands.world.client("alice")
    alice.wait_for_task(f"hands_{case}", "run", "approve", "awaiting_input", seconds=120)
    mallory: AirflowClient = hands.world.client("mallory")
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        mallory.mark(f"hands_{case}", "run", "approve", "success", "I am in a hurry")
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        mallory.answer(f"hands_{case}", "run", "approve", "Approve", "I am in a hurry")
    bulk = {
        "actions": [{"action": "update", "entities": [{"task_id": "approve", "new_state": "success"}]}],
    }
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        mallory.call("PATCH", f"/api/v2/dags/hands_{case}/dagRuns/run/taskInstances", bulk)
    assert hands.client.tasks(f"hands_{case}", "run")["approve"] == "awaiting_input"
    refused = [a for a in hands.world.ledger().audit.actions(f"hands_{case}") if not a.allowed]
    assert {action.who for action in refused} == {"mallory"}
    alice.mark(f"hands_{case}", "run", "approve", "failed")
    assert ends(hands, case) == "failed"


def test_a_second_run_waits_for_the_environment_and_then_goes_on(hands: Hands) -> None:
    hands.start("two-runs", run_id="first")
    watching(hands, "two-runs", "first")
    hands.start("two-runs", version="1.3", run_id="second")
    hands.client.wait_for_task("hands_two-runs", "second", "two-runs.lease", "up_for_reschedule", seconds=60)
    assert ends(hands, "two-runs", "first") == "success"
    assert ends(hands, "two-runs", "second") == "success"
    assert hands.artifacts("two-runs") == {"shop:1.3"}


# -- what a deployment needs is wrong, away or silent ------------------------------------------------------------------


def log(hands: Hands, case: str, task: str) -> str:
    return hands.client.task_log(f"hands_{case}", "run", f"{case}.{task}")


def refused(hands: Hands, case: str) -> dict[str, str | None]:
    """The case ends red with every instance on the release before."""
    assert hands.state(case) == "failed"
    assert hands.artifacts(case) == OLD
    assert {row["health"] for row in hands.world.running(case).values()} == {"healthy"}
    return tasks(hands, case)


@pytest.mark.runs("unknown-version", version="9.9")
def test_a_version_that_does_not_exist_touches_nothing(hands: Hands) -> None:
    after = refused(hands, "unknown-version")
    assert after["phase_50.deploy"] == "failed"
    assert hands.world.ledger().deployments.of_run("hands_unknown-version", "run", "shop", "unknown-version") is None
    settled = log(hands, "unknown-version", "settle")
    assert "Nothing was deployed here by this run" in settled
    said = log(hands, "unknown-version", "phase_50.deploy")
    assert "shop:9.9" in said
    assert "nothing was touched" in said


def test_an_instance_that_dies_while_it_is_deployed_is_named_and_restored(hands: Hands) -> None:
    case = "dies-while-deployed"
    name = f"shop-{case}-01"
    hands.fleet("POST", "/v1/faults/kill", {"environment": case, "instance": name, "next_start": True})
    hands.start(case)
    assert ends(hands, case) == "failed"
    assert hands.artifacts(case) == OLD
    assert {row["health"] for row in hands.world.running(case).values()} == {"healthy"}
    said = log(hands, case, "phase_50.deploy")
    assert name in said
    assert "SIGKILL" in said
    deployment = hands.world.ledger().deployments.of_run(f"hands_{case}", "run", "shop", case)
    assert deployment is not None
    assert name in deployment.outcome


@pytest.mark.runs("api-away")
def test_a_deployment_api_that_is_away_is_named(hands: Hands) -> None:
    after = refused(hands, "api-away")
    assert after["phase_50.deploy"] == "failed"
    said = log(hands, "api-away", "phase_50.deploy")
    assert "http_nowhere" in said
    assert "cannot be reached" in said


def test_a_deployment_api_that_answers_rubbish_is_named(hands: Hands) -> None:
    hands.fault("api-answers-rubbish", status=200, body="<html>Welcome to the proxy</html>", times=None)
    hands.start("api-answers-rubbish")
    wait_until(
        lambda: tasks(hands, "api-answers-rubbish").get("phase_50.deploy") == "failed", "the deploy fails", seconds=120
    )
    hands.fleet("DELETE", "/v1/faults")
    assert ends(hands, "api-answers-rubbish") == "failed"
    assert hands.artifacts("api-answers-rubbish") == OLD
    assert "not JSON" in log(hands, "api-answers-rubbish", "phase_50.deploy")


def test_a_rollback_that_meets_a_deployment_api_that_is_away_finishes_when_it_is_back(hands: Hands) -> None:
    case = "api-away-for-the-rollback"
    hands.script(case, bad="01")
    hands.start(case)
    hands.client.wait_for_task(f"hands_{case}", "run", f"{case}.phase_50.deploy", "success", seconds=120)
    hands.fault(case, status=503, times=None)
    hands.client.wait_for_task(f"hands_{case}", "run", f"{case}.phase_50.rollback", "up_for_retry", seconds=180)
    hands.fleet("DELETE", "/v1/faults")
    assert ends(hands, case) == "failed"
    assert hands.artifacts(case) == OLD
    assert tasks(hands, case)["phase_50.rollback"] == "success"
    assert "503" in log(hands, case, "phase_50.rollback")


UNWATCHED = {
    "new-relic-refuses": ("new_relic_wrong", "does not accept the key"),
    "sumo-logic-refuses": ("sumo_logic_wrong", "401"),
    "query-finds-nothing": ("no/such/thing", "run that query in the source"),
    "no-traffic": ("No metric of the canary has any data", "FROM Transaction"),
}


@pytest.mark.parametrize("case", [pytest.param(case, marks=pytest.mark.runs(case)) for case in UNWATCHED])
def test_what_cannot_be_watched_does_not_pass(hands: Hands, case: str) -> None:
    after = refused(hands, case)
    assert after["phase_50.rollback"] == "success"
    said = log(hands, case, "phase_50.verify")
    assert "VERDICT INCONCLUSIVE" in said
    for word in UNWATCHED[case]:
        assert word in said
