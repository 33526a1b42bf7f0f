"""An INCONCLUSIVE verdict holds the canary and asks a person; it is held against nobody."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskAwaitingInput

from airflow_cd.answers import AGAIN, GO_ON, ROLL_BACK, WATCH
from airflow_cd.errors import TargetUnavailable
from airflow_cd.operators import RollbackOperator, VerifyOperator, question
from airflow_cd.operators.verify_questions import as_markdown
from airflow_cd.states import RollbackCause
from airflow_cd.verification import watch
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import (
    Event,
    EventKind,
    Judgement,
    MetricResult,
    Performance,
    Quality,
    Reason,
    Verdict,
)
from airflow_cd.verification.watch import Outcome
from tests.memory_target import wholly_on
from tests.operators.world import NEW, OLD, World

FEW = Reason("few_requests", "25 requests on the canary, 50 are needed", {"canary_requests": 25, "least": 50})
NEW_ERROR = Event("a", EventKind.UNKNOWN, "error", False, "no table for [region](9)", counts={"canary": 1.0})


def _judged(*, harm: bool = False) -> Judgement:
    result = MetricResult("response_time", "", "latency", "ms", "higher_is_worse", Verdict.INCONCLUSIVE, FEW)
    performance = Performance(Verdict.INCONCLUSIVE, [FEW], [result])
    quality = Quality(
        Verdict.INCONCLUSIVE if harm else Verdict.PASS,
        [Reason("rare", "one new error in 300 lines: no table for [region](9)")],
        [NEW_ERROR],
        {"canary": 300},
    )
    reasons = [*quality.reasons, FEW] if harm else [FEW]
    return Judgement(Verdict.INCONCLUSIVE, reasons, performance, quality)


class Watched:
    """A watch that ends after ten minutes with what it is told."""

    def __init__(self, judgement: Judgement) -> None:
        self.judgement = judgement
        self.given: dict[str, Any] = {}
        self.profiles: dict[str, LogProfile] = {}

    def __call__(self, verification: Verification, **given: Any) -> SimpleNamespace:
        self.given = given
        return SimpleNamespace(run=self.run)

    def run(self) -> Outcome:
        decided = (self.given["since"] + timedelta(minutes=10)).isoformat()
        judgement = Judgement(**{**vars(self.judgement), "decided": decided})
        key = "inconclusive" if judgement.verdict is Verdict.INCONCLUSIVE else None
        self.given["on_verdict"](judgement, key)
        return Outcome(judgement, self.profiles, policy_key=key)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    found = Watched(_judged())
    monkeypatch.setattr(watch, "Watch", found)
    return found


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What Airflow shows as a required action."""
    detail: dict[str, Any] = {}
    monkeypatch.setattr(question, "upsert_hitl_detail", lambda **given: detail.update(given))
    monkeypatch.setattr(VerifyOperator, "do_branch", lambda self, context, task: None)
    return detail


def _verify(world: World) -> VerifyOperator:
    follow = {"follow": "production.phase_100.deploy", "rollback": "back", "phase": "phase_20"}
    return world.task(VerifyOperator, task_id="verify", verification=Verification(), **follow)


def _held(world: World) -> VerifyOperator:
    world.deployed()
    task = _verify(world)
    with pytest.raises(TaskAwaitingInput) as caught:
        world.execute(task)
    assert caught.value.timeout == timedelta(hours=1)
    return task


def _event(option: str, who: str = "ada", why: str = "tonight is quiet") -> dict[str, Any]:
    user = {"id": who, "name": who} if who else None
    return {"chosen_options": [option], "responded_by_user": user, "params_input": {"reason": why if who else None}}


def _answer(world: World, task: VerifyOperator, option: str, who: str = "ada") -> str:
    return task.execute_answered(world.context(task), _event(option, who))


def _rolled_back(world: World) -> None:
    task = world.task(RollbackOperator, task_id="back", phase="phase_20", verify_task_id="verify")
    world.execute(task, states={"verify": "success"}, xcoms={"verify decision": "back"})
    assert wholly_on(world.target, OLD)


def _vetoed(world: World) -> bool:
    return world.ledger.vetoes.in_force("shop", "production", NEW) is not None


def test_a_person_is_asked_by_default_with_the_numbers_and_how_much_longer_would_decide(
    world: World, watched: Watched, shown: dict[str, Any]
) -> None:
    _held(world)
    assert shown["options"] == [GO_ON, WATCH, ROLL_BACK]
    assert shown["defaults"] == [ROLL_BACK]
    assert shown["subject"] == (
        "shop 1.2 in production, phase_20: not enough evidence to decide. Go on, or watch longer?"
    )
    kept = world.ledger.questions.get("shop", "run-1", "verify")
    assert kept is not None
    for line in (
        "INCONCLUSIVE after 10m:",
        "- 25 requests on the canary, 50 are needed",
        "300 log records, 0 of their events a risk",
        "- response_time: about 10m more would decide it, if traffic stays as it is",
        "Nothing points to harm. The canary still serves its share of the traffic.",
        "- Go on: phase_100 is deployed next.",
        "- Keep watching: for another 10m; then it is decided, or asked again.",
        "- Roll back: the release before is restored, and this one vetoed here.",
        "Without an answer within 1h it is rolled back, without a veto.",
    ):
        assert line in kept.body
    assert [kind for kind, _ in world.target.calls] == ["deploy"]


def test_a_canary_is_drained_while_something_points_to_harm(
    world: World, watched: Watched, shown: dict[str, Any]
) -> None:
    watched.judgement = _judged(harm=True)
    _held(world)
    assert world.target.calls[-1] == ("drain", ("shop-00",))
    kept = world.ledger.questions.get("shop", "run-1", "verify")
    assert kept is not None
    assert "points to harm (no table for [region](9)), so the canary is drained" in kept.body
    # Logs are no markup in Airflow, whatever they hold.
    assert r"\[region\]\(9\)" in shown["body"]
    assert "[region](9)" not in shown["body"]


def test_a_target_that_is_away_does_not_keep_a_person_from_being_asked(world: World, watched: Watched) -> None:
    watched.judgement = _judged(harm=True)

    def away(kind: str) -> None:
        if kind == "drain":
            raise TargetUnavailable("the deployment API does not answer.")

    world.target.before_call = away
    _held(world)
    kept = world.ledger.questions.get("shop", "run-1", "verify")
    assert kept is not None
    assert "and the canary still serves its share" in kept.body


@pytest.mark.parametrize(
    ("who", "cause", "vetoed", "outcome"),
    [
        ("", RollbackCause.INCONCLUSIVE, False, f"INCONCLUSIVE: {FEW.text} Nobody answered within 1h."),
        ("ada", RollbackCause.PERSON, True, "ada rolled it back: tonight is quiet"),
    ],
)
def test_only_a_persons_rollback_vetoes(
    world: World, watched: Watched, who: str, cause: RollbackCause, vetoed: bool, outcome: str
) -> None:
    task = _held(world)
    assert _answer(world, task, ROLL_BACK, who) == "back"
    _rolled_back(world)
    deployment = world.delivery().require_deployment()
    assert (deployment.cause, deployment.outcome, _vetoed(world)) == (cause, outcome, vetoed)


@pytest.mark.parametrize("ends", ["its run dies", "its run ends"])
def test_nothing_that_happens_while_it_waits_is_held_against_the_release(
    world: World, watched: Watched, ends: str
) -> None:
    _held(world)
    if ends == "its run dies":
        world.ledger.leases.release(world.delivery().lease())
        world.delivery("run-2").acquire()
    else:
        world.delivery().settle()
    assert wholly_on(world.target, OLD)
    assert not _vetoed(world)
    assert world.delivery().require_deployment().outcome == f"INCONCLUSIVE: {FEW.text}"


def test_going_on_forgets_that_it_was_undecided(world: World, watched: Watched) -> None:
    task = _held(world)
    calls = list(world.target.calls)
    assert _answer(world, task, GO_ON) == "production.phase_100.deploy"
    assert world.target.calls == calls
    assert world.delivery().require_deployment().cause is None


@pytest.mark.parametrize("harm", [False, True])
def test_what_a_person_lets_go_on_teaches_unless_something_points_to_harm(
    world: World, watched: Watched, harm: bool
) -> None:
    watched.judgement = _judged(harm=harm)
    watched.profiles = {"logs": LogProfile()}
    task = _held(world)
    deployment = world.delivery().require_deployment()
    assert [profile.teaches for profile in world.ledger.profiles.of(deployment.id)] == [False]
    _answer(world, task, GO_ON)
    assert [profile.teaches for profile in world.ledger.profiles.of(deployment.id)] == [not harm]


def test_keep_watching_goes_on_with_what_was_seen(world: World, watched: Watched) -> None:
    task = _held(world)
    began, calls = watched.given["since"], list(world.target.calls)
    watched.judgement = Judgement(Verdict.PASS, [Reason("test", "no regression")])
    asked = datetime.now(timezone.utc)
    assert _answer(world, task, WATCH) == "production.phase_100.deploy"
    assert watched.given["since"] == began
    assert timedelta(minutes=9) < watched.given["until"] - asked < timedelta(minutes=11)
    assert world.target.calls == calls


def test_keep_watching_a_drained_canary_gives_it_its_traffic_back_and_begins_anew(
    world: World, watched: Watched
) -> None:
    watched.judgement = _judged(harm=True)
    task = _held(world)
    asked = datetime.now(timezone.utc)
    with pytest.raises(TaskAwaitingInput):
        _answer(world, task, WATCH)
    assert watched.given["since"] >= asked
    assert watched.given["until"] is None
    assert [kind for kind, _ in world.target.calls] == ["deploy", "drain", "restore", "drain"]
    kept = world.ledger.questions.get("shop", "run-1", "verify")
    assert kept is not None
    assert kept.option is None


def test_a_fail_after_longer_watching_is_the_releases(world: World, watched: Watched) -> None:
    task = _held(world)
    watched.judgement = Judgement(Verdict.FAIL, [Reason("test", "four new exceptions")])
    assert _answer(world, task, WATCH) == "back"
    _rolled_back(world)
    assert _vetoed(world)
    assert world.delivery().require_deployment().outcome == "FAIL: four new exceptions"


def test_a_question_about_a_fail_has_other_answers(world: World, watched: Watched, shown: dict[str, Any]) -> None:
    world.delivery().deploy(NEW, phase="phase_20", share=20, rollback="human")
    watched.judgement = Judgement(Verdict.FAIL, [Reason("test", "four new exceptions")])
    task = _verify(world)
    with pytest.raises(TaskAwaitingInput):
        world.execute(task)
    assert shown["options"] == [ROLL_BACK, GO_ON, AGAIN]
    assert _answer(world, task, ROLL_BACK, who="") == "back"
    _rolled_back(world)
    assert _vetoed(world)


def test_markdown_shows_lines_and_lists_and_nothing_else() -> None:
    lines = ["What was *seen*:", "- <b>1</b> & `2`", "", "http://example.com"]
    assert as_markdown(lines) == (
        "What was \\*seen\\*\\:  \n- \\<b\\>1\\</b\\> \\& \\`2\\`\n\nhttp\\://example\\.com  "
    )
