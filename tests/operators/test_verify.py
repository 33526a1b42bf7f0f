"""VerifyOperator: where it branches to, when a person is asked, and what an attempt after the first may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from airflow_cd.answers import AGAIN, GO_ON, ROLL_BACK
from airflow_cd.delivery.verifying import Consequence, consequence_of
from airflow_cd.errors import LedgerUnavailable, TargetUnavailable
from airflow_cd.ledger.leases import Leases
from airflow_cd.ledger.questions import Questions
from airflow_cd.operators import VerifyOperator, question
from airflow_cd.operators.report_link import VerificationReportLink
from airflow_cd.operators.verify import DECISION
from airflow_cd.states import RollbackCause, RollbackMode
from airflow_cd.verification import watch
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Judgement, Reason, Verdict
from airflow_cd.verification.watch import Outcome
from tests.operators.conftest import Rests
from tests.operators.world import NAMES, NEW, StateStore, World

PLACE = ("shop", "run-1", "verify")


# -- the decision ----------------------------------------------------------------------------------------------

DECISIONS = [
    (Verdict.PASS, "fail", False, RollbackMode.AUTOMATIC, Consequence.GO_ON),
    (Verdict.PASS, "fail", False, RollbackMode.HUMAN, Consequence.GO_ON),
    (Verdict.FAIL, "fail", False, RollbackMode.AUTOMATIC, Consequence.ROLL_BACK),
    (Verdict.FAIL, "pass", False, RollbackMode.AUTOMATIC, Consequence.ROLL_BACK),
    (Verdict.FAIL, "fail", False, RollbackMode.HUMAN, Consequence.ASK),
    (Verdict.FAIL, "fail", True, RollbackMode.AUTOMATIC, Consequence.GO_ON),
    (Verdict.INCONCLUSIVE, "fail", True, RollbackMode.HUMAN, Consequence.GO_ON),
    (Verdict.INCONCLUSIVE, "fail", False, RollbackMode.AUTOMATIC, Consequence.ROLL_BACK),
    (Verdict.INCONCLUSIVE, "wait", False, RollbackMode.AUTOMATIC, Consequence.ROLL_BACK),
    (Verdict.INCONCLUSIVE, "fail", False, RollbackMode.HUMAN, Consequence.ASK),
    (Verdict.INCONCLUSIVE, "wait", False, RollbackMode.HUMAN, Consequence.ASK),
    (Verdict.INCONCLUSIVE, "ask", False, RollbackMode.AUTOMATIC, Consequence.ASK),
    (Verdict.INCONCLUSIVE, "pass", False, RollbackMode.HUMAN, Consequence.GO_ON),
]


@pytest.mark.parametrize(("verdict", "policy", "advisory", "rollback", "expected"), DECISIONS)
@pytest.mark.parametrize("key", ["no_data", "source_error", "inconclusive", None])
def test_what_follows_from_a_verdict(
    verdict: Verdict, policy: Any, advisory: bool, rollback: RollbackMode, expected: Consequence, key: str | None
) -> None:
    # Only the policy that applies counts; the others say the opposite.
    other = "fail" if policy == "pass" else "pass"
    policies = dict.fromkeys(("no_data", "source_error", "inconclusive"), other) | {key or "inconclusive": policy}
    verification = Verification(**{f"on_{name}": value for name, value in policies.items()}, advisory=advisory)
    assert (
        consequence_of(verification, rollback, verdict, None if verdict is not Verdict.INCONCLUSIVE else key)
        is expected
    )


# -- one verification ------------------------------------------------------------------------------------------


class Watched:
    """A watch that has its verdict ready; calls back as the real one does."""

    judgement = Judgement(Verdict.PASS, [Reason("test", "nothing new")])
    meanwhile: Callable[[], None] = staticmethod(lambda: None)
    given: dict[str, Any]

    def __init__(self, verification: Verification, **given: Any) -> None:
        type(self).given = given
        self.callbacks = SimpleNamespace(**given)

    def run(self) -> Outcome:
        self.callbacks.on_look(replace(self.judgement, verdict=Verdict.INCONCLUSIVE, final=False))
        type(self).meanwhile()
        self.callbacks.on_look(replace(self.judgement, verdict=Verdict.INCONCLUSIVE, final=False, looks=2))
        if self.callbacks.stop():
            return Outcome(self.judgement)
        key = "no_data" if self.judgement.verdict is Verdict.INCONCLUSIVE else None
        self.callbacks.on_verdict(self.judgement, key)
        return Outcome(self.judgement, policy_key=key)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    """What is watched, and what happens meanwhile."""
    kind = type("Watched", (Watched,), {})
    monkeypatch.setattr(watch, "Watch", kind)
    return kind


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What Airflow shows as a required action, and the branch that was taken."""
    detail: dict[str, Any] = {}
    monkeypatch.setattr(question, "upsert_hitl_detail", lambda **given: detail.update(given))
    monkeypatch.setattr(VerifyOperator, "do_branch", lambda self, context, task: detail.update(branch=task))
    return detail


def _verify(world: World, **more: Any) -> VerifyOperator:
    given = {"task_id": "verify", "verification": Verification(), "follow": "next", "rollback": "back", **more}
    return world.task(VerifyOperator, **{"phase": "phase_20", **given})


def _deployed(world: World, rollback: RollbackMode = RollbackMode.AUTOMATIC, share: int = 20) -> None:
    world.delivery().deploy(NEW, phase="phase_20", share=share, rollback=rollback)


def _failed(watched: type[Watched]) -> None:
    decided = datetime.now(timezone.utc)
    times = {"decided": decided.isoformat(), "first_bad": (decided - timedelta(seconds=5)).isoformat()}
    watched.judgement = Judgement(Verdict.FAIL, [Reason("a", "four new exceptions"), Reason("b", "slower")], **times)


def test_a_pass_goes_on(world: World, watched: type[Watched], shown: dict[str, Any]) -> None:
    _deployed(world)
    task = _verify(world)
    context = world.context(task)
    assert task.execute(context) == "next"
    assert shown == {"branch": "next"}
    assert context["ti"].xcoms == {f"verify {DECISION}": "next"}
    assert isinstance(task.result, dict)
    assert (task.result["verdict"], task.result["went on to"]) == ("PASS", "next")
    assert world.phase_state() == "passed"
    assert (watched.given["canary"], watched.given["control"]) == (NAMES[:1], NAMES[1:])
    assert [kind for kind, _ in world.target.calls] == ["deploy"]


def test_a_fail_drains_in_the_moment_of_the_verdict_and_rolls_back(world: World, watched: type[Watched]) -> None:
    _deployed(world)
    _failed(watched)
    assert world.execute(_verify(world)) == "back"
    assert world.target.calls[-1] == ("drain", ("shop-00",))
    deployment = world.delivery().require_deployment()
    assert deployment.to_verdict == pytest.approx(5)
    assert deployment.to_safe is not None
    assert world.phase_state() == "failed"


@pytest.mark.parametrize("room", ["deployments", "verdicts"])
def test_a_failing_verdict_that_cannot_be_recorded_is_handed_to_the_rollback(
    world: World, watched: type[Watched], monkeypatch: pytest.MonkeyPatch, room: str
) -> None:
    _deployed(world)
    _failed(watched)
    record, method = getattr(world.ledger, room), {"deployments": "set_clock", "verdicts": "record"}[room]
    works = getattr(record, method)

    def away(*given: Any, **more: Any) -> Any:
        if world.target.calls[-1][0] == "drain":
            raise LedgerUnavailable("the ledger is locked.")
        return works(*given, **more)

    monkeypatch.setattr(record, method, away)
    task = _verify(world)
    context = world.context(task)
    assert task.execute(context) == "back"
    handed = context["ti"].xcoms["verify airflow_cd_verdict"]
    assert handed["phase"] == "phase_20"
    assert handed["judgement"]["verdict"] == "FAIL"


def test_nobody_can_be_asked_about_a_drained_canary_without_the_ledger(
    world: World, watched: type[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    _deployed(world, RollbackMode.HUMAN)
    _failed(watched)

    def away(**given: Any) -> Any:
        raise LedgerUnavailable("the ledger is locked.")

    monkeypatch.setattr(world.ledger.questions, "ask", away)
    with pytest.raises(AirflowFailException, match="nobody could be asked about the canary: the ledger is locked"):
        world.execute(_verify(world))


def test_the_last_phase_has_nobody_to_carry_the_traffic(world: World, watched: type[Watched]) -> None:
    _deployed(world, share=100)
    _failed(watched)
    assert world.execute(_verify(world)) == "back"
    assert [kind for kind, _ in world.target.calls] == ["deploy"]


def test_one_that_cannot_be_drained_is_rolled_back_without_asking(world: World, watched: type[Watched]) -> None:
    _deployed(world, RollbackMode.HUMAN)
    _failed(watched)

    def away(kind: str) -> None:
        raise TargetUnavailable("the deployment API does not answer.")

    world.target.before_call = away
    assert world.execute(_verify(world)) == "back"
    assert world.phase_state() == "failed"


def test_with_human_rollback_a_person_is_asked_about_a_drained_canary(
    world: World, watched: type[Watched], shown: dict[str, Any]
) -> None:
    _deployed(world, RollbackMode.HUMAN)
    _failed(watched)
    with pytest.raises(TaskAwaitingInput) as caught:
        world.execute(_verify(world))
    assert caught.value.method_name == "execute_answered"
    assert (shown["options"], shown["defaults"]) == ([ROLL_BACK, GO_ON, AGAIN], [ROLL_BACK])
    assert "four new exceptions" in shown["body"]
    assert "The canary is drained" in shown["body"]
    assert world.target.calls[-1][0] == "drain"


def test_with_too_little_evidence_the_canary_keeps_its_traffic_while_a_person_is_asked(
    world: World, watched: type[Watched], shown: dict[str, Any]
) -> None:
    _deployed(world)
    watched.judgement = Judgement(Verdict.INCONCLUSIVE, [Reason("no_data", "no requests")])
    with pytest.raises(TaskAwaitingInput):
        world.execute(_verify(world, verification=Verification(on_no_data="ask")))
    assert "still serves its share" in shown["body"]
    assert [kind for kind, _ in world.target.calls] == ["deploy"]


@pytest.mark.parametrize("when", ["between two looks", "at the verdict"])
def test_a_verdict_that_was_overruled_changes_nothing(
    world: World, watched: type[Watched], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    _deployed(world)
    _failed(watched)
    if when == "between two looks":
        watched.meanwhile = staticmethod(lambda: world.delivery().overrule())
    else:
        check = Leases.check

        def overruled(self: Leases, lease: Any) -> None:
            world.delivery().overrule()
            check(self, lease)

        monkeypatch.setattr(Leases, "check", overruled)
    task = _verify(world)
    with pytest.raises(AirflowFailException, match="has overruled this verification"):
        world.execute(task)
    assert [kind for kind, _ in world.target.calls] == ["deploy"]
    assert world.phase_state() == "deployed"


def _settled(world: World) -> None:
    _deployed(world)
    world.delivery().roll_back("a person rolled it back")


@pytest.mark.parametrize(
    ("given", "phase", "reason"),
    [
        (lambda world: None, "phase_20", "nothing has been deployed"),
        (_settled, "phase_20", r"over: rolled back \(a person rolled it back\)"),
        (_deployed, "phase_100", "phase 'phase_100' has not been deployed"),
    ],
)
def test_without_a_running_phase_there_is_nothing_to_verify(
    world: World, watched: type[Watched], given: Callable[[World], None], phase: str, reason: str
) -> None:
    given(world)
    with pytest.raises(AirflowFailException, match=reason):
        world.execute(_verify(world, phase=phase))


def test_a_target_that_is_away_at_the_start_is_found_before_anything_is_watched(
    world: World, watched: type[Watched]
) -> None:
    _deployed(world)
    world.target.away = True
    with pytest.raises(TargetUnavailable):
        world.execute(_verify(world))
    assert not hasattr(watched, "given")


# -- a person's answer -----------------------------------------------------------------------------------------


def _asked(world: World, watched: type[Watched]) -> VerifyOperator:
    _deployed(world, RollbackMode.HUMAN)
    _failed(watched)
    task = _verify(world)
    with pytest.raises(TaskAwaitingInput):
        world.execute(task)
    return task


def _event(option: str, who: str = "ada", why: str = "a test") -> dict[str, Any]:
    user = {"id": who, "name": who} if who else None
    return {"chosen_options": [option], "responded_by_user": user, "params_input": {"reason": why}}


@pytest.mark.parametrize(
    ("option", "who", "why", "branch", "decision"),
    [
        (ROLL_BACK, "ada", "", "back", "rolled back by ada: no reason given"),
        (ROLL_BACK, "", "", "back", "rolled back by the default answer: timed out without an answer"),
        (GO_ON, "ada", "it is a test's", "next", "ada decided to continue: it is a test's"),
    ],
)
def test_the_answer_decides(
    world: World, watched: type[Watched], option: str, who: str, why: str, branch: str, decision: str
) -> None:
    task = _asked(world, watched)
    assert task.execute_answered(world.context(task), _event(option, who, why)) == branch
    assert isinstance(task.result, dict)
    assert task.result["decision"] == decision
    drained = [instance.name for instance in world.target.instances() if instance.drained]
    assert drained == (["shop-00"] if option == ROLL_BACK else [])


def test_verify_again_gives_the_traffic_back_and_watches_from_now(world: World, watched: type[Watched]) -> None:
    task = _asked(world, watched)
    watched.judgement = Judgement(Verdict.PASS, [Reason("test", "nothing new")])
    began = datetime.now(timezone.utc)
    assert task.execute_answered(world.context(task), _event(AGAIN)) == "next"
    assert watched.given["since"] >= began
    assert not any(instance.drained for instance in world.target.instances())


def test_verifying_again_may_ask_again(world: World, watched: type[Watched]) -> None:
    task = _asked(world, watched)
    with pytest.raises(TaskAwaitingInput):
        task.execute_answered(world.context(task), _event(AGAIN))
    kept = world.ledger.questions.get(*PLACE)
    assert kept is not None
    assert kept.option is None


def test_an_answer_after_the_deployment_is_over_changes_nothing(world: World, watched: type[Watched]) -> None:
    task = _asked(world, watched)
    world.delivery().roll_back("the run was marked failed")
    calls = list(world.target.calls)
    with pytest.raises(AirflowFailException, match="over: rolled back"):
        task.execute_answered(world.context(task), _event(GO_ON))
    assert world.target.calls == calls


# -- attempts after the first ----------------------------------------------------------------------------------


class Killed(BaseException):
    """The worker is killed: nothing that follows runs."""


def _kill(*_given: Any, **_more: Any) -> None:
    raise Killed


def _killed(world: World) -> VerifyOperator:
    task = _verify(world)
    with pytest.raises(Killed):
        world.execute(task)
    return task


def test_after_a_killed_attempt_it_goes_on_from_when_the_phase_was_deployed(
    world: World, watched: type[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    _deployed(world)
    with monkeypatch.context() as patched:
        patched.setattr(watched, "meanwhile", _kill)
        task = _killed(world)
    [phase] = world.ledger.phases.of(world.delivery().require_deployment().id)
    assert world.execute(task, try_number=2, max_tries=3) == "next"
    assert watched.given["since"] == phase.deployed_at


def test_an_attempt_that_was_killed_after_its_verdict_is_not_judged_again(
    world: World, watched: type[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    _deployed(world)
    _failed(watched)
    with monkeypatch.context() as patched:
        patched.setattr(world.ledger.verdicts, "record", lambda *_given, final, **_more: _kill() if final else None)
        task = _killed(world)
    watched.judgement = Judgement(Verdict.PASS, [Reason("test", "a drained canary is quiet")])
    assert world.execute(task, try_number=2, max_tries=3) == "back"
    assert world.delivery().require_deployment().cause is RollbackCause.FAILED


def test_an_attempt_that_was_killed_when_it_had_just_drained_leaves_the_rest_to_the_rollback(
    world: World, watched: type[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    _deployed(world)
    _failed(watched)
    with monkeypatch.context() as patched:
        patched.setattr(world.ledger.settlement, "blame", _kill)
        task = _killed(world)
    with pytest.raises(AirflowFailException, match="killed after it had taken the canary out of the traffic"):
        world.execute(task, try_number=2, max_tries=3)


def test_a_ledger_that_is_away_at_the_start_is_waited_for(
    world: World, watched: type[Watched], monkeypatch: pytest.MonkeyPatch, rests: Rests
) -> None:
    _deployed(world)
    with monkeypatch.context() as patched:
        patched.setattr(Questions, "get", _away)
        rests.then = lambda: patched.undo() if len(rests.seconds) == 9 else None
        assert world.execute(_verify(world)) == "next"
    assert len(rests.seconds) == 9


def test_a_ledger_that_is_away_while_it_watches_costs_nothing_but_the_record_of_a_look(
    world: World, watched: type[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    _deployed(world)
    with monkeypatch.context() as patched:
        patched.setattr(watched, "meanwhile", lambda: patched.setattr(Leases, "renew", _away))
        patched.setattr(world.ledger.leases, "check", _away)
        assert world.execute(_verify(world)) == "next"


def test_a_canary_that_fails_is_drained_though_the_ledger_is_away(
    world: World, watched: type[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    _deployed(world)
    _failed(watched)

    def goes_away() -> None:
        for room, method in (("leases", "check"), ("deployments", "set_clock"), ("settlement", "blame")):
            monkeypatch.setattr(getattr(world.ledger, room), method, _away)

    monkeypatch.setattr(watched, "meanwhile", goes_away)
    assert world.execute(_verify(world)) == "back"
    assert world.target.calls[-1] == ("drain", ("shop-00",))


def test_an_answer_that_airflow_lost_is_taken_by_the_next_attempt(world: World, watched: type[Watched]) -> None:
    task = _asked(world, watched)
    world.ledger.questions.answer(*PLACE, option=GO_ON, who="ada", why="fine")
    assert world.execute(task, try_number=2, max_tries=3) == "next"


def test_a_question_without_an_answer_is_asked_again_by_the_next_attempt(
    world: World, watched: type[Watched], shown: dict[str, Any]
) -> None:
    task = _asked(world, watched)
    body = shown.pop("body")
    with pytest.raises(TaskAwaitingInput):
        world.execute(task, try_number=2, max_tries=3)
    assert shown["body"] == body


def test_an_answer_that_could_not_be_acted_upon_is_taken_again(world: World, watched: type[Watched]) -> None:
    task, store = _asked(world, watched), StateStore()
    world.target.away = True
    with pytest.raises(TargetUnavailable):
        task.execute_answered(world.context(task, store=store), _event(GO_ON))
    world.target.away = False
    assert world.execute(task, store=store, try_number=2, max_tries=3) == "next"


def test_a_cleared_verification_forgets_the_answer_of_the_time_before(world: World, watched: type[Watched]) -> None:
    task = _asked(world, watched)
    world.ledger.questions.answer(*PLACE, option=GO_ON, who="ada", why="fine")
    watched.judgement = Judgement(Verdict.PASS, [Reason("test", "nothing new")])
    assert world.execute(task, try_number=2, max_tries=4) == "next"
    kept = world.ledger.questions.get(*PLACE)
    assert kept is not None
    assert kept.option is None


def test_the_link_on_the_task_leads_to_its_report(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/cd/")
    key: Any = SimpleNamespace(dag_id="shop", run_id="run 1", task_id="a.verify")
    link = VerificationReportLink().get_link(_verify(world), ti_key=key)
    assert link == "https://airflow.example.com/cd/airflow-cd/report/shop/run%201/a.verify"


def _away(*given: Any, **more: Any) -> None:
    raise LedgerUnavailable("the ledger is locked.")
