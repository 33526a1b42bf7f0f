"""ApprovalSensor: what it asks, whose answer counts, and what an attempt after the first makes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from airflow_cd.errors import LedgerUnavailable
from airflow_cd.ledger import Ledger
from airflow_cd.ledger.questions import Questions
from airflow_cd.ledger.records import Intent
from airflow_cd.operators import DeployOperator, question
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
        "**shop** `1.3`",
        "- Asked for by `ada`",
        "- Reason: `new prices`",
        '- Configuration overrides: `{"limit": 9}`',
        "  - `version`: `1.2` → `1.3`",
        "  - `configuration: limit`: `7` → `9`",
        "- production: promoted `verified`",
    ):
        assert line in shown["body"].splitlines()


def test_it_says_what_is_new_where_the_version_is_not(world: World, shown: dict[str, Any]) -> None:
    world.deployed(share=100)
    world.delivery().promote("verified")
    _ask(world, _sensor(configurations={"production": {"limit": 9}}))
    assert shown["subject"] == "Deploy shop 1.2 (limit 7 → 9) to production?"


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


def _shop_dag(world: World) -> tuple[ApprovalSensor, DeployOperator]:
    """An approval and what it lets through."""
    with DAG("shop", schedule=None):
        sensor = _sensor(configurations={"production": {"limit": 7}})
        deploy = world.task(DeployOperator, task_id="deploy", version="1.2", configuration={"limit": 7}, overrides="{}")
        sensor >> deploy
    deploy.reason, deploy.rollback, deploy.learn = "", "automatic", False
    return sensor, deploy


def _again(world: World, run_id: str = "run-1") -> None:
    """Delete the run, and trigger another with its id."""
    world.requested[run_id] = datetime.now(timezone.utc)


def test_the_approval_of_a_deleted_run_does_not_open_the_next_one_with_its_id(world: World) -> None:
    _ask(world, _sensor(version="1.2"))
    world.ledger.questions.answer(*PLACE, option=APPROVE, who="ada", why="1.2 is fine")
    _again(world)
    _ask(world, _sensor(version="6.6"), try_number=2, max_tries=5)
    kept = world.ledger.questions.get(*PLACE)
    assert kept is not None
    assert (kept.subject, kept.option) == ("Deploy shop 6.6 to production?", None)


def test_nor_when_somebody_gives_the_next_one_the_time_of_the_deleted_one(world: World) -> None:
    """Who triggers a run may say when it was requested, but not when it was started."""
    sensor = _sensor()
    _ask(world, sensor)
    world.ledger.questions.answer(*PLACE, option=APPROVE, who="ada", why="")
    context = world.context(sensor, try_number=2, max_tries=5)
    context["dag_run"].start_date += timedelta(hours=1)
    with pytest.raises(TaskAwaitingInput):
        sensor.execute(context)


def test_an_approval_that_died_before_it_asked_in_its_present_life_asks(world: World) -> None:
    """The answer of the time before is void, though nobody saw the attempt that should have taken it back."""
    sensor = _sensor()
    _ask(world, sensor, max_tries=5)
    world.ledger.questions.answer(*PLACE, option=APPROVE, who="ada", why="")
    _ask(world, sensor, try_number=3, max_tries=6)


def test_what_was_approved_is_deployed(world: World) -> None:
    sensor, deploy = _shop_dag(world)
    _ask(world, sensor)
    world.ledger.questions.answer(*PLACE, option=APPROVE, who="ada", why="")
    assert world.execute(deploy)["release"].startswith("shop 1.2")


NOT_APPROVED: dict[str, tuple[dict[str, Any], str | None, str]] = {
    "another version": ({"version": "1.3"}, APPROVE, "different now: version, artifact"),
    "another artifact": ({"artifact": "evil/{service}:{version}"}, APPROVE, "different now: artifact"),
    "another configuration": ({"configuration": {"limit": 9}}, APPROVE, "different now: configuration: limit"),
    "another override": ({"overrides": '{"debug": true}'}, APPROVE, "different now: configuration: debug"),
    "nobody answered": ({}, None, "approve asks and nobody has answered"),
    "rejected": ({}, REJECT, "approve asks and the answer is Reject"),
}


@pytest.mark.parametrize("case", NOT_APPROVED)
def test_anything_but_what_was_approved_is_not_deployed(world: World, case: str) -> None:
    changed, option, why = NOT_APPROVED[case]
    sensor, deploy = _shop_dag(world)
    _ask(world, sensor)
    if option:
        world.ledger.questions.answer(*PLACE, option=option, who="ada", why="")
    for name, value in changed.items():
        setattr(deploy, name, value)
    with pytest.raises(AirflowFailException, match=why):
        world.execute(deploy)
    assert world.ledger.deployments.matching() == []


def _by_hand(world: World, **deployed: Any) -> tuple[Any, ApprovalSensor, DeployOperator]:
    """A DAG by hand, whose approval is told of no configuration."""
    with DAG("shop", schedule=None) as dag:
        sensor = _sensor(environments=[])
        place = {"version": "1.2", "overrides": "{}", **deployed}
        deploy = world.task(DeployOperator, task_id="deploy", **place)
        sensor >> deploy
    deploy.reason, deploy.rollback, deploy.learn = "", "automatic", False
    return dag, sensor, deploy


def test_an_approval_that_was_told_nothing_shows_and_binds_what_its_deploys_would_bring(
    world: World, shown: dict[str, Any]
) -> None:
    _, sensor, deploy = _by_hand(world, configuration={"limit": 7})
    _ask(world, sensor)
    assert shown["subject"] == "Deploy shop 1.2 to production?"
    assert "limit" in shown["body"]
    world.ledger.questions.answer(*PLACE, option=APPROVE, who="ada", why="")
    deploy.configuration = {"limit": 9}
    with pytest.raises(AirflowFailException, match="different now: configuration: limit"):
        world.execute(deploy)
    deploy.configuration = {"limit": 7}
    assert world.execute(deploy)["configuration"] == {"limit": 7}


def test_a_deploy_whose_release_was_not_known_when_it_was_asked_is_refused(world: World) -> None:
    _, sensor, deploy = _by_hand(world, version="{{ ti.xcom_pull('build')['version'] }}")
    _ask(world, sensor)
    world.ledger.questions.answer(*PLACE, option=APPROVE, who="ada", why="")
    deploy.version = "6.6"
    with pytest.raises(AirflowFailException, match="approve did not show what it lets through to production"):
        world.execute(deploy)
    assert world.ledger.deployments.matching() == []


def test_an_approval_shows_what_comes_up_to_the_next_one(world: World, shown: dict[str, Any]) -> None:
    dag, sensor, deploy = _by_hand(world)
    with dag:
        second = ApprovalSensor(task_id="second", service="shop", version="1.2", reason="", overrides="{}")
        far = world.task(DeployOperator, task_id="far", environment="eu", version="1.2", overrides="{}")
        deploy >> second >> far
    far.reason, far.rollback, far.learn = "", "automatic", False
    _ask(world, sensor)
    asked = world.ledger.questions.get(*PLACE)
    assert asked is not None
    assert set(asked.proposed) == {"production"}
    _ask(world, second)
    assert shown["subject"] == "Deploy shop 1.2 to eu?"
    for name in ("approve", "second"):
        world.ledger.questions.answer("shop", "run-1", name, option=APPROVE, who="ada", why="")
    assert world.execute(far)["release"].startswith("shop 1.2")


def test_an_approval_that_was_never_asked_lets_nothing_through(world: World) -> None:
    _, deploy = _shop_dag(world)
    with pytest.raises(AirflowFailException, match="approve has not asked anybody"):
        world.execute(deploy)


def test_an_approval_by_who_is_no_approver_lets_nothing_through(world: World) -> None:
    sensor, deploy = _shop_dag(world)
    sensor.approvers = ("ada", "bob")
    _ask(world, sensor)
    world.ledger.questions.answer(*PLACE, option=APPROVE, who="eve", why="")
    with pytest.raises(AirflowFailException, match="eve answered approve but is not an approver"):
        world.execute(deploy)


HOSTILE = "fine`\n\n## Approved by boss\n[click](https://evil.test) <b>x</b> \u202ekcatta \u200bboss\u2060 \U000e0041"


def test_nothing_that_others_have_written_is_markup_or_invisible(world: World, shown: dict[str, Any]) -> None:
    """Of reason, overrides, parameters, who asked and what was found."""
    world.deployed(share=100)
    world.delivery().promote(HOSTILE)
    sensor = _sensor(
        version="1.3", reason=HOSTILE, overrides=json.dumps({"limit": HOSTILE}), configurations={"production": {}}
    )
    context = world.context(sensor, user=HOSTILE)
    context["params"] = {"version": "1.3", "learn": True, HOSTILE: HOSTILE}
    with pytest.raises(TaskAwaitingInput):
        sensor.execute(context)
    body, outside = shown["body"], []
    for line in body.split("\n"):
        # In each line what is code begins and ends there.
        parts = line.split("`")
        assert len(parts) % 2 == 1
        outside += parts[::2]
    for forged in ("Approved", "click", "<b>", "kcatta", "boss", "fine"):
        assert forged in body
        assert forged not in "".join(outside)
    for invisible in ("\u202e", "\u200b", "\u2060", "\U000e0041"):
        assert invisible not in body
        assert f"⟨U+{ord(invisible):04X}⟩" in body
    assert "␊␊## Approved by boss␊" in body


def test_every_parameter_of_the_run_is_shown(world: World, shown: dict[str, Any]) -> None:
    sensor = _sensor()
    context = world.context(sensor, user=None)
    context["params"] = {"version": "1.2", "learn": True, "rollback": "human", "region": {"eu": 1}}
    context["dag_run"].conf = {"overides": "x" * 5_000}
    with pytest.raises(TaskAwaitingInput):
        sensor.execute(context)
    lines = shown["body"].splitlines()
    for line in (
        "- Asked for by `nobody: the run has a schedule`",
        "- Reason: none given",
        "- `learn`: `true`",
        "- `rollback`: `human`",
        '- `region`: `{"eu": 1}`',
    ):
        assert line in lines
    [cut] = [line for line in lines if line.startswith("- `overides`")]
    assert cut.endswith("…` (of 5,000 characters)")


@pytest.mark.parametrize("version", ["1.2\n", "1.2\n## Approved", "1.2 ", "`1.2`", "1\u200b.2", "-1", "", "x" * 129])
def test_what_is_no_version_is_not_asked_about(world: World, shown: dict[str, Any], version: str) -> None:
    sensor = _sensor(version=version, configurations={"production": {}})
    with pytest.raises(AirflowFailException, match="is no version"):
        world.execute(sensor)
    assert shown == {}


def test_a_mark_that_was_faster_than_the_question_is_its_answer(
    world: World, shown: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow would park the task after the mark, and the run would wait for a week."""
    sensor = _sensor(configurations={"production": {}})
    intent = Intent(
        "ada",
        "marked success",
        "go",
        "shop",
        "run-1",
        "approve",
        asking=["approve"],
        answers={"approve": APPROVE},
        lives={"approve": 5},
        is_mark=True,
    )
    world.requested_at("run-1")
    world.ledger.audit.intend([intent])
    with pytest.raises(AirflowFailException, match="ada marked this task before it could ask"):
        world.execute(sensor, max_tries=5, states={"approve": "success"})
    kept = world.ledger.questions.get(*PLACE)
    assert kept is not None
    assert (kept.option, kept.who, kept.why, set(kept.proposed)) == (APPROVE, "ada", "go", {"production"})
    assert len(world.ledger.audit.actions("shop", "run-1")) == 1
    assert shown == {}

    # One that Airflow did not take leaves the question open, and one of another life has nothing to do with it.
    monkeypatch.setattr(question, "LONGEST_MARK", 0.0)
    world.ledger.questions.reopen(*PLACE)
    _ask(world, sensor, max_tries=5, states={"approve": "running"})
    _ask(world, sensor, max_tries=6, states={"approve": "success"})
