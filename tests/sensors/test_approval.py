"""ApprovalSensor: what it asks, whose answer counts, and what an attempt after the first makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from airflow_cd.errors import LedgerUnavailable
from airflow_cd.ledger import Ledger
from airflow_cd.ledger.questions import Questions
from airflow_cd.operators import question
from airflow_cd.sensors import ApprovalSensor
from airflow_cd.sensors.approval import APPROVE, REJECT
from tests.operators.conftest import Rests
from tests.operators.world import StateStore, World

PLACE = ("shop", "run-1", "approve")


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What Airflow shows as a required action."""
    detail: dict[str, Any] = {}
    monkeypatch.setattr(question, "upsert_hitl_detail", lambda **given: detail.update(given))
    return detail


def _sensor(**more: Any) -> ApprovalSensor:
    given = {"service": "shop", "environments": ["production"], "version": "1.2", "reason": "", "overrides": "{}"}
    return ApprovalSensor(task_id="approve", **{**given, **more})


def _ask(world: World, sensor: ApprovalSensor, **more: Any) -> None:
    with pytest.raises(TaskAwaitingInput):
        world.execute(sensor, **more)


def _event(option: str, who: str = "ada", why: str = "looks good") -> dict[str, Any]:
    return {"chosen_options": [option], "responded_by_user": {"id": who, "name": who}, "params_input": {"reason": why}}


def _answered(world: World, sensor: ApprovalSensor, event: dict[str, Any]) -> str:
    return sensor.execute_complete(world.context(sensor), event)


def test_it_asks_with_the_evidence_and_waits(world: World, shown: dict[str, Any]) -> None:
    world.deployed(share=100)
    world.delivery().promote("verified")
    sensor = _sensor(
        version="1.3", reason="new prices", overrides='{"limit": 9}', configurations={"production": {"limit": 7}}
    )
    _ask(world, sensor)
    assert shown["subject"] == "Deploy shop 1.3 to production?"
    for line in (
        "**shop 1.3**",
        "Reason: new prices",
        'Configuration overrides: `{"limit": 9}`',
        "  - version: `1.2` → `1.3`",
        "  - configuration: limit: `7` → `9`",
        "- production: promoted verified",
    ):
        assert line in shown["body"].splitlines()


def test_a_first_deployment_and_no_environment_are_asked_about_too(world: World, shown: dict[str, Any]) -> None:
    _ask(world, _sensor())
    assert "- production runs nothing that Airflow CD deployed" in shown["body"].splitlines()
    _ask(world, _sensor(environments=[], service=""))
    assert shown["subject"] == "Deploy shop 1.2 to the next stage?"


@pytest.mark.parametrize("approvers", [(), ("ada", "bob")])
def test_an_approval_by_who_may_lets_the_run_go_on(world: World, approvers: tuple[str, ...]) -> None:
    sensor = _sensor(approvers=approvers)
    _ask(world, sensor)
    assert _answered(world, sensor, _event(APPROVE)) == APPROVE
    assert sensor.result == {"answer": APPROVE, "who": "ada", "why": "looks good"}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "rejected": (_event(REJECT, why="not on a Friday"), "Rejected by ada: not on a Friday"),
    "rejected without a reason": (_event(REJECT, why=""), "Rejected by ada: no reason given"),
    "timed out": ({"chosen_options": [REJECT]}, "Rejected by the default answer: timed out without an answer"),
    "approved by somebody else": (
        _event(APPROVE, "eve"),
        "eve approved but is not an approver; approvers are ada, bob",
    ),
    "approved by nobody": ({"chosen_options": [APPROVE]}, "the default answer approved but is not an approver"),
    "no option of the question": (_event("Maybe"), "Maybe"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_anything_else_ends_the_run(world: World, case: str) -> None:
    event, reason = REFUSED[case]
    sensor = _sensor(approvers=("ada", "bob"))
    _ask(world, sensor)
    with pytest.raises(AirflowFailException, match=reason):
        _answered(world, sensor, event)


def test_overrides_that_are_no_object_are_refused(world: World) -> None:
    with pytest.raises(AirflowFailException, match="overrides are not an object"):
        world.execute(_sensor(overrides="[1]", configurations={"production": {}}))


def test_an_answer_that_airflow_lost_is_taken_by_the_next_attempt(world: World) -> None:
    sensor = _sensor()
    _ask(world, sensor)
    world.ledger.questions.answer(*PLACE, option=APPROVE, who="ada", why="")
    assert world.execute(sensor, try_number=2, max_tries=5) == APPROVE


def test_an_attempt_after_a_time_out_rejects_instead_of_asking_for_another_week(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor = _sensor()
    _ask(world, sensor)
    kept = world.ledger.questions.get(*PLACE)
    assert kept is not None
    over = replace(kept, asked_at=kept.asked_at - timedelta(days=8), deadline=kept.asked_at - timedelta(days=1))
    monkeypatch.setattr(Questions, "get", lambda self, *place: over)
    with pytest.raises(AirflowFailException, match="timed out without an answer"):
        world.execute(sensor, try_number=2, max_tries=5)


def test_an_attempt_before_any_answer_asks_again(world: World, shown: dict[str, Any]) -> None:
    sensor = _sensor()
    _ask(world, sensor)
    shown.clear()
    _ask(world, sensor, try_number=2, max_tries=5)
    assert shown["options"] == [APPROVE, REJECT]


@pytest.mark.parametrize("first", [1, 7], ids=["at first", "cleared"])
def test_a_cleared_approval_is_asked_anew_though_the_ledger_was_away_for_a_moment(
    world: World, monkeypatch: pytest.MonkeyPatch, rests: Rests, first: int
) -> None:
    """The approval of the time before is void, also when it could not be read at first."""
    sensor, store = _sensor(), StateStore()
    if first > 1:
        _ask(world, sensor)
        world.ledger.questions.answer(*PLACE, option=APPROVE, who="ada", why="of the time before")
    attempt = {"store": store, "max_tries": first + 4}
    with monkeypatch.context() as patched:
        patched.setattr(Questions, "get", _away)
        rests.then = lambda: patched.undo() if len(rests.seconds) == 9 else None
        _ask(world, sensor, try_number=first, **attempt)
    kept = world.ledger.questions.get(*PLACE)
    assert kept is not None
    assert kept.option is None
    assert kept.deadline is not None
    assert kept.deadline > datetime.now(timezone.utc) + timedelta(days=6)
    world.ledger.questions.answer(*PLACE, option=APPROVE, who="ada", why="fine")
    # Asked since: should Airflow lose the answer, the next attempt takes it.
    assert world.execute(sensor, try_number=first + 1, **attempt) == APPROVE


def test_an_answer_that_cannot_be_recorded_is_kept_until_it_can(
    world: World, monkeypatch: pytest.MonkeyPatch, rests: Rests
) -> None:
    sensor = _sensor()
    _ask(world, sensor)
    with monkeypatch.context() as patched:
        patched.setattr(Questions, "get", _away)
        rests.then = lambda: patched.undo() if len(rests.seconds) == 9 else None
        assert sensor.execute_complete(world.context(sensor), _event(APPROVE)) == APPROVE
    kept = world.ledger.questions.get(*PLACE)
    assert kept is not None
    assert kept.option == APPROVE


def _away(self: Ledger, *place: str) -> None:
    raise LedgerUnavailable("the ledger is locked.")
