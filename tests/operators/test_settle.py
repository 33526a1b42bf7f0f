"""The end of a run: what SettleOperator restores, what it fails with, and whose the environment is afterwards."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.delivery import Delivery
from airflow_cd.errors import DeploymentSettled, LeaseHeld, RollbackIncomplete
from airflow_cd.operators import DeployOperator, RollbackToOperator, SettleOperator, settle
from airflow_cd.release import Release
from airflow_cd.verification.verdict import Verdict
from tests.memory_target import wholly_on
from tests.operators.conftest import Rests
from tests.operators.world import NAMES, NEW, OLD, World


def _settled(world: World, task: SettleOperator | None = None) -> Any:
    return world.execute(task or world.task(SettleOperator))


def _free(world: World) -> bool:
    return world.ledger.leases.current("shop", "production") is None


def test_a_promoted_release_stays(world: World) -> None:
    world.deployed(share=100)
    world.delivery().promote("verified")
    assert _settled(world) == {"running": str(NEW), "state": "promoted"}
    assert wholly_on(world.target, NEW)
    assert _free(world)


def test_a_run_that_deployed_nothing_fails(world: World) -> None:
    world.delivery().acquire()
    task = world.task(SettleOperator)
    with pytest.raises(AirflowFailException, match=r"\[shop / production\] Nothing was deployed here by this run"):
        _settled(world, task)
    assert task.result == {"deployed": "nothing"}
    assert _free(world)


def test_what_is_neither_promoted_nor_rolled_back_is_restored(world: World) -> None:
    world.deployed()
    task = world.task(SettleOperator)
    with pytest.raises(AirflowFailException, match="the run ended before the release was promoted"):
        _settled(world, task)
    assert task.result == {
        "running": "the release before",
        "state": "rolled_back",
        "because": "the run ended before the release was promoted",
    }
    assert wholly_on(world.target, OLD)
    assert _free(world)


def test_a_failed_deploy_says_its_error_and_what_to_do_without_a_report(world: World) -> None:
    world.target.broken.add(NEW.artifact)
    with pytest.raises(Exception, match="no module named tax"):
        world.deployed()
    with pytest.raises(AirflowFailException, match=r"the deployment failed: .*no module named tax") as caught:
        _settled(world)
    assert "verification report" not in str(caught.value)
    lift = f"airflow-cd veto lift shop production {NEW.digest[7:15]} --why"
    assert "Next: Read the log of the task that deployed it" in str(caught.value)
    assert lift in str(caught.value)
    assert wholly_on(world.target, OLD)


def test_a_failed_verification_sends_to_its_report(world: World) -> None:
    world.deployed()
    world.judged(Verdict.FAIL, "four new exceptions.")
    with pytest.raises(AirflowFailException, match=r"Next: Read the verification report\. .* vetoed here"):
        _settled(world)


def test_a_release_that_was_refused_says_why_nothing_was_deployed(world: World) -> None:
    world.deployed()
    world.delivery().roll_back("ada rolled it back: prices are wrong")
    world.delivery().release_lease()
    with DAG("shop", schedule=None):
        deploy = world.task(
            DeployOperator, task_id="deploy", version=NEW.version, configuration=NEW.configuration, overrides="{}"
        )
        end = world.task(SettleOperator, task_id="settle")
    refused = world.context(deploy, run_id="run-2")
    with pytest.raises(AirflowFailException):
        deploy.execute(refused)
    with pytest.raises(AirflowFailException, match="Nothing was deployed here by this run: ") as caught:
        end.execute(world.context(end, run_id="run-2", xcoms=refused["ti"].xcoms))
    text = str(caught.value)
    assert "was rolled back here on" in text
    assert "prices are wrong" in text
    assert (
        f"Next: Deploy another release, or lift the veto: airflow-cd veto lift shop production {NEW.digest[7:15]}"
        in text
    )


def test_a_rollback_that_was_refused_says_why_where_its_environment_was_asked_for(world: World) -> None:
    asked_for = {"environment": "{{ params.environment }}"}
    with DAG("shop-rollback", schedule=None):
        back = world.task(RollbackToOperator, task_id="back", reason="slow", release="", **asked_for)
        end = world.task(SettleOperator, task_id="settle", going_back=True, **asked_for)
    back, end = copy.copy(back), copy.copy(end)
    back.environment = end.environment = "production"
    refused = world.context(back)
    with pytest.raises(AirflowFailException):
        back.execute(refused)
    world.delivery().release_lease()
    with pytest.raises(AirflowFailException, match="by this run: there is no release to go back to: none was ever"):
        end.execute(world.context(end, xcoms=refused["ti"].xcoms))


def test_what_was_rolled_back_before_gives_its_reason(world: World) -> None:
    world.deployed()
    world.delivery().roll_back("FAIL: four new exceptions.")
    calls = list(world.target.calls)
    with pytest.raises(AirflowFailException, match=r"was rolled back: FAIL: four new exceptions\. State"):
        _settled(world)
    assert world.target.calls == calls


def test_a_restore_that_cannot_finish_keeps_the_lease_and_is_tried_again(world: World) -> None:
    world.deployed()
    world.target.broken.add(OLD.artifact)
    task = world.task(SettleOperator)
    with pytest.raises(RollbackIncomplete):
        _settled(world, task)
    with pytest.raises(LeaseHeld):
        world.delivery("run-2").acquire()
    world.target.broken.clear()
    with pytest.raises(AirflowFailException, match="was rolled back"):
        _settled(world, task)
    assert wholly_on(world.target, OLD)
    assert _free(world)


def test_a_promotion_that_was_faster_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deployed(share=100)
    roll_back = Delivery.roll_back

    def after_a_promotion(self: Delivery, why: str) -> Any:
        world.delivery().promote("late, but good")
        return roll_back(self, why)

    monkeypatch.setattr(Delivery, "roll_back", after_a_promotion)
    assert _settled(world)["state"] == "promoted"
    assert wholly_on(world.target, NEW)
    assert _free(world)


@pytest.mark.parametrize("restores", [True, False])
def test_only_a_rollback_made_here_is_marked_here(
    world: World, monkeypatch: pytest.MonkeyPatch, restores: bool
) -> None:
    marked: list[str] = []
    monkeypatch.setattr(settle, "mark", lambda delivery, conn_ids, name, **more: marked.append(more["rolled_back"]))
    world.deployed()
    if not restores:
        world.delivery().roll_back("bad")
    with pytest.raises(AirflowFailException):
        _settled(world, world.task(SettleOperator, mark=["new_relic_default"]))
    assert marked == (["the run ended before the release was promoted"] if restores else [])


def test_a_dying_rollback_that_takes_a_newer_token_does_not_stop_it_for_good(world: World, rests: Rests) -> None:
    world.deployed()
    took_over: list[str] = []

    def takes_over(kind: str) -> None:
        if kind == "drain" and not took_over:
            took_over.append(kind)
            world.delivery().overrule()

    world.target.before_call = takes_over
    with pytest.raises(AirflowFailException, match="was rolled back"):
        _settled(world)
    assert took_over == ["drain"]
    assert len(rests.seconds) == 1
    assert wholly_on(world.target, OLD)
    assert _free(world)


def test_a_marker_set_at_the_end_keeps_nobody_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "mark", lambda delivery, *given, **more: delivery.lease())
    world.deployed()
    with pytest.raises(AirflowFailException, match="was rolled back"):
        _settled(world, world.task(SettleOperator, mark=["new_relic_default"]))
    assert _free(world)


def test_a_run_that_was_superseded_is_not_taken_for_promoted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deployed()

    def superseded(self: Delivery, why: str) -> Any:
        raise DeploymentSettled("run run-1 is superseded by run run-2 of shop.")

    monkeypatch.setattr(Delivery, "roll_back", superseded)
    with pytest.raises(AirflowFailException, match="superseded"):
        _settled(world)


def _newer_release(world: World) -> None:
    newer = Release("shop", "1.3", "shop:1.3")
    other = world.delivery("run-2")
    other.deploy(newer, phase="all")
    other.promote("verified")
    other.release_lease()


def test_an_old_run_that_is_cleared_does_not_end_green_while_another_release_runs(world: World) -> None:
    world.deployed(share=100)
    world.delivery().promote("verified")
    assert _settled(world)["state"] == "promoted"
    _newer_release(world)
    task = world.task(SettleOperator)
    with pytest.raises(AirflowFailException) as caught:
        world.execute(task, cleared=1)
    said = str(caught.value)
    assert "does not run here any more: run run-2 of shop has deployed shop 1.3" in said
    assert "shop 1.3 runs on every instance, read back" in said
    assert isinstance(task.result, dict)
    assert task.result["running"] == "shop 1.3 runs on every instance, read back"


def test_a_late_attempt_of_a_run_that_was_replaced_since_ends_as_the_run_did(world: World) -> None:
    world.deployed(share=100)
    world.delivery().promote("verified")
    assert _settled(world)["state"] == "promoted"
    _newer_release(world)
    assert _settled(world) == {"running": "shop 1.3 runs on every instance, read back", "state": "promoted"}


def test_an_old_run_that_was_rolled_back_says_what_runs_now_and_not_what_ran_then(world: World) -> None:
    world.deployed()
    world.delivery().roll_back("FAIL: four new exceptions.")
    world.delivery().release_lease()
    _newer_release(world)
    with pytest.raises(AirflowFailException, match=r"State: shop 1\.3 runs on every instance, read back\."):
        _settled(world)


def test_a_release_that_was_replaced_past_the_ledger_is_not_said_to_run(world: World) -> None:
    world.deployed(share=100)
    world.delivery().promote("verified")
    world.target.deploy(Release("shop", "9", "shop:9"), NAMES[:1], key="by hand", token=world.target.token)
    with pytest.raises(
        AirflowFailException, match=r"does not run here any more: shop-00 runs shop:9, wanted shop:1\.2"
    ):
        _settled(world)


def test_what_cannot_be_read_is_not_claimed(world: World) -> None:
    world.delivery().acquire()
    world.target.away = True
    with pytest.raises(AirflowFailException, match="what runs is unknown: the deployment API does not answer"):
        _settled(world)
    assert _free(world)


def test_a_newer_run_at_work_takes_nothing_from_the_run_whose_release_is_the_good_one(world: World) -> None:
    world.deployed(share=100)
    world.delivery().promote("verified")
    world.delivery().release_lease()
    world.delivery("run-2").deploy(Release("shop", "1.3", "shop:1.3"), phase="phase_20", share=20)
    assert _settled(world)["state"] == "promoted"
