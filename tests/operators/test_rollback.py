"""When RollbackOperator rolls back, when it skips itself, and which reason it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_cd import paging
from airflow_cd.delivery import Delivery
from airflow_cd.errors import DeploymentSettled, LeaseLost, RollbackIncomplete, TargetUnavailable
from airflow_cd.operators import RollbackOperator, rollback
from airflow_cd.operators.verify import DECISION
from airflow_cd.states import HumanAction
from airflow_cd.verification.verdict import Verdict
from tests.memory_target import wholly_on
from tests.operators.conftest import Rests
from tests.operators.world import NAMES, NEW, OLD, World

Given = Callable[[World], None]


def _nothing(world: World) -> None:
    """Nothing is deployed."""


def _deployed(world: World) -> None:
    world.deployed()


def _judged(verdict: Verdict, sentence: str = "four new exceptions") -> Given:
    def given(world: World) -> None:
        world.deployed()
        world.judged(verdict, sentence)

    return given


def _deploy_failed(world: World) -> None:
    world.target.broken.add(NEW.artifact)
    with pytest.raises(Exception, match="no module named tax"):
        world.deployed()


def _marked(*, allowed: bool = True, task_id: str = "verify", why: str = "shop is down") -> Given:
    def given(world: World) -> None:
        world.deployed()
        place = {"pipeline": "shop", "run_id": "run-1", "task_id": task_id}
        world.ledger.audit.record(who="ada", action=HumanAction.MARKED_FAILED, why=why, allowed=allowed, **place)

    return given


def _promoted(world: World) -> None:
    world.deployed(share=100)
    world.delivery().promote("verified")


def _rolled_back(world: World) -> None:
    world.deployed()
    world.delivery().roll_back("bad")


NO_VERDICT = "the verification failed, was killed, or was marked failed by a person"

ROLLS_BACK: dict[str, tuple[Given, str | None, str | None, str]] = {
    "the verification branched to it": (_judged(Verdict.FAIL), "success", "rollback", "FAIL: four new exceptions"),
    "it branched after a person's answer, without a verdict": (
        _deployed,
        "success",
        "rollback",
        "the deployment failed before it could be verified",
    ),
    "the verification failed after its verdict": (_judged(Verdict.FAIL), "failed", None, "FAIL: four new exceptions"),
    "it found too little": (_judged(Verdict.INCONCLUSIVE, "no data"), "failed", None, "INCONCLUSIVE: no data"),
    "it was killed": (_deployed, "failed", None, NO_VERDICT),
    "it passed, and a person marked it failed": (_judged(Verdict.PASS), "failed", None, NO_VERDICT),
    "a person marked it failed": (_marked(), "failed", None, "ada rolled it back: shop is down"),
    "a person marked it failed without a reason": (_marked(why=""), "failed", None, "ada rolled it back"),
    "somebody was not allowed to": (_marked(allowed=False), "failed", None, NO_VERDICT),
    "another task was marked failed": (_marked(task_id="mark"), "failed", None, NO_VERDICT),
    "the deploy failed": (_deploy_failed, "upstream_failed", None, "no module named tax"),
    "the deploy was killed": (_deployed, "upstream_failed", None, "the deployment failed before it could be verified"),
    "the verification has no state": (_deployed, None, None, "the deployment failed before it could be verified"),
}


def _rollback(world: World, **more: Any) -> RollbackOperator:
    return world.task(
        RollbackOperator, **{"task_id": "rollback", "phase": "phase_20", "verify_task_id": "verify", **more}
    )


def _execute(world: World, task: RollbackOperator, state: str | None, chosen: str | None = None) -> Any:
    return world.execute(task, states={"verify": state}, xcoms={f"verify {DECISION}": chosen} if chosen else {})


@pytest.mark.parametrize("case", ROLLS_BACK)
def test_it_rolls_back_with_the_reason_that_decided(world: World, case: str) -> None:
    given, state, chosen, reason = ROLLS_BACK[case]
    given(world)
    world.target.broken.clear()
    task = _rollback(world)
    result = _execute(world, task, state, chosen)
    assert reason in result["because"]
    assert result["restored"] == str(OLD)
    assert result["instances"] == NAMES[:1]
    assert task.result == result
    assert wholly_on(world.target, OLD)
    assert reason in world.delivery().require_deployment().outcome


VETOES = {
    "the verification branched to it",
    "the verification failed after its verdict",
    "a person marked it failed",
    "a person marked it failed without a reason",
    "the deploy failed",
}


@pytest.mark.parametrize("case", ROLLS_BACK)
def test_it_vetoes_only_what_is_at_fault(world: World, case: str) -> None:
    given, state, chosen, _ = ROLLS_BACK[case]
    given(world)
    world.target.broken.clear()
    _execute(world, _rollback(world), state, chosen)
    assert (world.ledger.vetoes.in_force("shop", "production", NEW) is not None) == (case in VETOES)


def _asked(option: str, who: str) -> Given:
    def given(world: World) -> None:
        world.deployed()
        world.judged(Verdict.INCONCLUSIVE, "no data")
        place = {"pipeline": "shop", "run_id": "run-1", "task_id": "verify"}
        asked = {"options": ["Roll back", "Promote", "Keep watching"], "subject": "?", "body": "", "deadline": None}
        world.ledger.questions.ask(**place, **asked, approvers=())
        world.ledger.questions.answer(*place.values(), option=option, who=who, why="not tonight")

    return given


@pytest.mark.parametrize(
    ("option", "who", "because", "vetoed"),
    [
        ("Roll back", "ada", "ada rolled it back: not tonight", True),
        ("Roll back", "", "INCONCLUSIVE: no data", False),
        # Watched further, and killed meanwhile.
        ("Keep watching", "ada", NO_VERDICT, False),
    ],
)
def test_an_answer_that_airflow_lost_is_found_in_the_ledger(
    world: World, option: str, who: str, because: str, vetoed: bool
) -> None:
    _asked(option, who)(world)
    assert _execute(world, _rollback(world), "failed")["because"] == because
    assert (world.ledger.vetoes.in_force("shop", "production", NEW) is not None) is vetoed


SKIPS: dict[str, tuple[Given, str | None, str]] = {
    "nothing was deployed": (_nothing, "upstream_failed", "nothing was deployed"),
    "the release was promoted": (_promoted, "failed", "the release was promoted"),
    "a person marked the verification success": (_deployed, "success", "that is a promotion"),
    "the verification was skipped": (_deployed, "skipped", "the end of the run settles what is left"),
    "another task rolled back": (_rolled_back, "failed", "this deployment is rolled back already"),
}


@pytest.mark.parametrize("case", SKIPS)
def test_it_skips_itself_and_says_why(world: World, case: str) -> None:
    given, state, reason = SKIPS[case]
    given(world)
    before = list(world.target.calls)
    task = _rollback(world)
    with pytest.raises(AirflowSkipException, match=reason):
        _execute(world, task, state)
    assert reason in str(task.result)
    assert world.target.calls == before


def test_a_later_phase_that_changed_nothing_is_not_rolled_back(world: World) -> None:
    world.deployed()
    with pytest.raises(AirflowSkipException, match="phase_100 changed nothing"):
        _execute(world, _rollback(world, phase="phase_100"), "upstream_failed")


@pytest.mark.parametrize("why", ["new prices", ""])
def test_without_a_verification_it_rolls_back_whenever_it_runs(world: World, why: str) -> None:
    world.delivery().deploy(NEW, phase="all", reason=why)
    result = world.execute(_rollback(world, phase="", verify_task_id=None))
    assert result["because"] == (why or "a rollback was requested")
    assert wholly_on(world.target, OLD)


def test_an_environment_that_was_empty_is_empty_again(world: World) -> None:
    world.target.state = {name: world.target._instance(name, None) for name in NAMES}
    world.deployed()
    assert _execute(world, _rollback(world), "failed")["restored"] == "empty"


def test_a_promotion_that_was_faster_is_no_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deployed(share=100)
    roll_back = Delivery.roll_back

    def after_a_promotion(self: Delivery, why: str) -> Any:
        world.delivery().promote("a person marked the verification success")
        return roll_back(self, why)

    monkeypatch.setattr(Delivery, "roll_back", after_a_promotion)
    with pytest.raises(AirflowSkipException, match="the release was promoted"):
        _execute(world, _rollback(world), "failed")
    assert wholly_on(world.target, NEW)


def test_one_that_cannot_finish_is_tried_again_and_resumes(world: World) -> None:
    world.deployed()
    world.target.broken.add(OLD.artifact)
    task = _rollback(world)
    with pytest.raises(RollbackIncomplete, match="no module named tax") as caught:
        _execute(world, task, "failed")
    assert task.result == {"failed": str(caught.value)}
    error = caught.value
    assert (error.service, error.release, error.instances) == ("shop", str(NEW), ("shop-00",))
    assert "it resumes where it stopped" in str(error)
    world.target.broken.clear()
    assert _execute(world, task, "failed")["restored"] == str(OLD)
    assert wholly_on(world.target, OLD)


def test_a_target_that_is_away_is_waited_for_and_a_person_is_told(
    world: World, rests: Rests, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(paging, "page", lambda what, **where: told.append(f"{what} {where['environment']}"))
    world.deployed()
    world.target.away = True

    def back_at_last() -> None:
        world.target.away = len(rests.seconds) < 12

    rests.then = back_at_last
    _execute(world, _rollback(world), "failed")
    assert len(rests.seconds) == 12
    assert wholly_on(world.target, OLD)
    [page] = told
    assert "does not answer" in page
    assert page.endswith("production")


def test_another_runs_environment_is_left_alone(world: World) -> None:
    world.deployed()
    mine = world.delivery().lease()
    world.ledger.leases.release(mine)
    world.delivery("run-2").acquire()
    calls = list(world.target.calls)
    with pytest.raises(AirflowSkipException, match="rolled back already"):
        # The next owner restored it before anything else.
        _execute(world, _rollback(world), "failed")
    assert world.target.calls == calls


def test_a_newer_token_of_its_own_run_is_no_end(world: World, rests: Rests) -> None:
    world.deployed()
    broken: list[str] = []

    def overruled(kind: str) -> None:
        if not broken:
            broken.append(kind)
            world.delivery().overrule()
            raise TargetUnavailable("the connection broke.")

    world.target.before_call = overruled
    assert _execute(world, _rollback(world), "failed")["restored"] == str(OLD)
    assert len(rests.seconds) == 1
    assert wholly_on(world.target, OLD)


def test_a_lease_lost_to_another_run_is_final(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deployed()

    def lost(self: Delivery, why: str) -> Any:
        raise LeaseLost("the environment now belongs to run run-2 of shop.")

    monkeypatch.setattr(Delivery, "roll_back", lost)
    with pytest.raises(AirflowFailException, match="belongs to run run-2"):
        _execute(world, _rollback(world), "failed")


def test_a_run_that_was_superseded_is_not_taken_for_promoted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deployed()

    def superseded(self: Delivery, why: str) -> Any:
        raise DeploymentSettled("run run-1 is superseded by run run-2 of shop.")

    monkeypatch.setattr(Delivery, "roll_back", superseded)
    with pytest.raises(AirflowFailException, match="superseded"):
        _execute(world, _rollback(world), "failed")


def test_the_rollback_is_marked_where_the_phase_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    marked: list[dict[str, Any]] = []
    monkeypatch.setattr(
        rollback, "mark", lambda delivery, conn_ids, name, **more: marked.append({"to": conn_ids, "name": name, **more})
    )
    world.deployed()
    _execute(world, _rollback(world, mark=["nr"], application="storefront"), "failed")
    assert marked == [{"to": ("nr",), "name": "storefront", "phase": "phase_20", "rolled_back": NO_VERDICT}]
