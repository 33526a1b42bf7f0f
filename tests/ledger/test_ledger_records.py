"""Actions, instances, verdicts, profiles, human actions, questions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from airflow_cd.errors import LedgerError
from airflow_cd.ledger import Ledger, Question, profiles
from airflow_cd.targets.base import Instance, Track
from tests.ledger.ledger_runs import Clock, Run, shop

# -- actions -----------------------------------------------------------------------------------------------------


def test_an_action_is_recorded_before_and_after(run: Any, ledger: Ledger, clock: Clock) -> None:
    it = run()
    deployment = it.open(shop("1.0.0"))
    begun = ledger.actions.begin(deployment.id, "deploy", "key-1", token=it.token, detail={"instances": ["web-1"]})
    assert (begun.kind, begun.key, begun.ok, begun.attempt, begun.token) == ("deploy", "key-1", None, 1, it.token)
    assert begun.began_at == clock.time
    at = clock.forward(seconds=2)
    done = ledger.actions.finish("key-1", ok=True, detail={"seconds": 2})
    assert (done.ok, done.ended_at, done.detail) == (True, at, {"instances": ["web-1"], "seconds": 2})
    assert ledger.actions.of(deployment.id) == [done]
    ledger.actions.begin(deployment.id, "drain", "key-2", token=it.token, detail={})
    assert [action.key for action in ledger.actions.of(deployment.id)] == ["key-1", "key-2"]


def test_an_action_that_succeeded_stays_so(run: Any, ledger: Ledger, clock: Clock) -> None:
    it = run()
    deployment = it.open(shop("1.0.0"))
    ledger.actions.begin(deployment.id, "deploy", "key", token=it.token, detail={})
    done = ledger.actions.finish("key", ok=True, detail={})
    clock.forward(minutes=1)
    assert ledger.actions.begin(deployment.id, "deploy", "key", token=it.token, detail={"other": 1}) == done
    assert ledger.actions.finish("key", ok=False, detail={"late": 1}) == done


def test_an_action_that_failed_or_was_cut_off_may_be_begun_again(run: Any, ledger: Ledger) -> None:
    it = run()
    deployment = it.open(shop("1.0.0"))
    ledger.actions.begin(deployment.id, "deploy", "key", token=it.token, detail={})
    it.overrule()
    resumed = ledger.actions.begin(deployment.id, "deploy", "key", token=it.token, detail={})
    assert (resumed.attempt, resumed.ok, resumed.token) == (1, None, it.token)
    ledger.actions.finish("key", ok=False, detail={"error": "503"})
    again = ledger.actions.begin(deployment.id, "deploy", "key", token=it.token, detail={})
    assert (again.attempt, again.ok, again.ended_at, again.detail) == (2, None, None, {})


def test_a_key_belongs_to_one_action(run: Any, ledger: Ledger) -> None:
    it = run()
    deployment = it.open(shop("1.0.0"))
    ledger.actions.begin(deployment.id, "deploy", "key", token=it.token, detail={})
    with pytest.raises(LedgerError, match="'key' belongs to another action: deploy"):
        ledger.actions.begin(deployment.id, "drain", "key", token=it.token, detail={})
    with pytest.raises(LedgerError, match="no action 'other' was begun"):
        ledger.actions.finish("other", ok=True, detail={})


# -- instances ---------------------------------------------------------------------------------------------------


def test_what_was_last_seen_to_run_is_kept_whole(ledger: Ledger, clock: Clock) -> None:
    web = Instance("web-1", "1.0.0", "shop:1.0.0", {"workers": 4})
    broken = Instance("web-2", None, None, {}, health="failed", drained=True, message="exit 1\x00")
    ledger.instances.record("shop", "production", [broken, web], clock.time)
    ledger.instances.record("shop", "staging", [web], clock.time)
    seen = ledger.instances.running("shop", "production")
    assert [row.instance.name for row in seen] == ["web-1", "web-2"]
    assert seen[0].instance == web
    assert seen[0].observed_at == clock.time
    assert seen[1].instance == Instance("web-2", None, None, {}, "failed", drained=True, message="exit 1\ufffd")
    assert [row.environment for row in ledger.instances.running("shop")] == ["production", "production", "staging"]
    older = clock.time - timedelta(seconds=1)
    ledger.instances.record("shop", "production", [], older)
    assert ledger.instances.running("shop", "production") == seen
    ledger.instances.record("shop", "production", [web], clock.forward(seconds=1))
    assert [row.instance.name for row in ledger.instances.running("shop", "production")] == ["web-1"]


def test_replicas_keep_what_their_platform_says_of_them(ledger: Ledger, clock: Clock) -> None:
    here = {"artifact": "shop:2", "track": Track.CANARY}
    known = Instance("shop-7f", "2", weight=12.5, started=clock.time, **here)
    ledger.instances.record("shop", "production", [known], clock.time)
    assert [row.instance for row in ledger.instances.running("shop")] == [known]
    # Of a target of somebody else's, which keeps it no less from being recorded.
    odd = replace(known, weight=float("nan"), started=clock.time.replace(tzinfo=None))
    ledger.instances.record("shop", "production", [odd], clock.forward(seconds=1))
    assert [row.instance for row in ledger.instances.running("shop")] == [replace(known, weight=None, started=None)]


def test_how_a_run_reaches_its_environment_is_said_by_its_work_or_by_its_plan(ledger: Ledger, clock: Clock) -> None:
    nomad = {"type": "ours.Nomad", "conn_id": "nomad_eu"}
    plan = {"stages": [], "staging": {"kind": "environment", "target": nomad}, "production": {"kind": "approval"}}
    ledger.runs.begin("shop", "run-1", clock.time, plan=plan)
    work = {"pipeline": "shop", "run_id": "run-1", "task_id": "deploy", "process": "host:1", "timeout": 60}
    ledger.work.begin("shop", "dev", target={"connection": "http_dev", "environment": "dev"}, **work)
    ledger.work.begin("shop", "staging", target=None, **work)
    ledger.work.begin("shop", "production", target=None, **work)
    claims = [("shop", where, "shop", "run-1") for where in ("dev", "staging", "production", "nowhere")]
    assert ledger.work.targets_of([*claims, ("shop", "dev", "shop", "run-2")]) == {
        claims[0]: {"connection": "http_dev", "environment": "dev"},
        claims[1]: nomad,
    }


def test_instances_recorded_at_the_same_moment_do_not_mix(real_ledger: Ledger, clock: Clock) -> None:
    together = Barrier(4)

    def record(number: int) -> None:
        together.wait()
        version = f"1.{number}.0"
        instances = [Instance(f"web-{index}", version, f"shop:{version}") for index in range(5)]
        real_ledger.instances.record("shop", "production", instances, clock.time)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(record, range(4)))
    seen = real_ledger.instances.running("shop", "production")
    assert len(seen) == 5
    assert len({row.instance.version for row in seen}) == 1


# -- verdicts ----------------------------------------------------------------------------------------------------


def test_final_verdicts_stay_and_others_are_replaced(run: Any, ledger: Ledger) -> None:
    it = run()
    deployment = it.open(shop("1.0.0"))
    ledger.phases.start(deployment.id, "phase_20", share=20, instances=["web-1"], token=it.token)

    def record(verdict: str, look: int, *, final: bool, phase: str = "phase_20") -> None:
        ledger.verdicts.record(
            deployment.id, phase, token=it.token, verdict=verdict, evidence={"looks": look}, final=final
        )

    def kept(phase: str | None = None) -> list[tuple[str, int, bool]]:
        return [(v.verdict, v.evidence["looks"], v.final) for v in ledger.verdicts.of(deployment.id, phase)]

    record("INCONCLUSIVE", 1, final=False)
    record("INCONCLUSIVE", 2, final=False)
    assert kept() == [("INCONCLUSIVE", 2, False)]
    record("INCONCLUSIVE", 3, final=True)
    assert ledger.phases.of(deployment.id)[0].state == "inconclusive"
    record("PASS", 1, final=False)
    record("PASS", 2, final=True)
    record("FAIL", 1, final=True, phase="phase_100")
    assert kept("phase_20") == [("INCONCLUSIVE", 3, True), ("PASS", 2, True)]
    assert kept() == [("INCONCLUSIVE", 3, True), ("PASS", 2, True), ("FAIL", 1, True)]
    assert ledger.phases.of(deployment.id)[0].state == "passed"
    with pytest.raises(LedgerError, match="'MAYBE' is not a verdict"):
        record("MAYBE", 1, final=True)


def test_evidence_comes_back_as_json_can_hold_it(run: Any, ledger: Ledger) -> None:
    it = run()
    deployment = it.open(shop("1.0.0"))
    evidence = {
        "p": float("nan"),
        "interval": (0.1, float("inf")),
        "sample": "a\x00b\udcff",
        "nested": [{"é": True, "none": None}],
    }
    record = ledger.verdicts.record(
        deployment.id, "phase_20", token=it.token, verdict="FAIL", evidence=evidence, final=True
    )
    (read,) = ledger.verdicts.of(deployment.id)
    assert read.evidence == {
        "p": None,
        "interval": [0.1, None],
        "sample": "a\ufffdb?",
        "nested": [{"é": True, "none": None}],
    }
    assert read.id == record.id
    for wrong, why in (({"x": object()}, "is not JSON"), ({"x": "y" * 17_000_000}, "is larger than")):
        with pytest.raises(LedgerError, match=why):
            ledger.verdicts.record(
                deployment.id, "phase_20", token=it.token, verdict="FAIL", evidence=wrong, final=True
            )
    assert len(ledger.verdicts.of(deployment.id)) == 1


# -- profiles ----------------------------------------------------------------------------------------------------


def save(it: Run, deployment_id: str, content: bytes, **more: Any) -> None:
    arguments: dict[str, Any] = {"kind": "logs", "teaches": True, "token": it.token, **more}
    phase, source = arguments.pop("phase", "phase_20"), arguments.pop("source", "sumo")
    it.ledger.profiles.save(deployment_id, phase, source, content=content, **arguments)


def test_only_promoted_deployments_teach_newest_first(run: Any, ledger: Ledger, clock: Clock) -> None:
    for number, end in enumerate(["promote", "roll back", "promote", "leave"], 1):
        it = run(f"run-{number}")
        deployment = it.open(shop(f"1.{number}.0"))
        save(it, deployment.id, b"first")
        save(it, deployment.id, bytes([number, 0, 255]))
        save(it, deployment.id, b"metrics", kind="metrics")
        save(it, deployment.id, b"silent", phase="phase_100", teaches=False)
        assert number in (1, 2) or ledger.profiles.taught("shop", "production", "sumo", kind="logs")
        if end == "promote":
            ledger.settlement.promote(deployment.id, token=it.token, outcome="")
        elif end == "roll back":
            ledger.settlement.begin_rollback(deployment.id, token=it.token, outcome="")
            ledger.settlement.finish_rollback(deployment.id, token=it.token, restored=True, outcome="")
        it.release()
        clock.forward(minutes=1)
    found = ledger.profiles.taught("shop", "production", "sumo", kind="logs")
    assert [(p.version, p.phase, p.content) for p in found] == [
        ("1.3.0", "phase_20", bytes([3, 0, 255])),
        ("1.1.0", "phase_20", bytes([1, 0, 255])),
    ]
    assert found[1].saved_at == clock.time - timedelta(minutes=4)
    assert [p.version for p in ledger.profiles.taught("shop", "production", "sumo", kind="logs", limit=1)] == ["1.3.0"]
    assert ledger.profiles.taught("shop", "staging", "sumo", kind="logs") == []
    assert ledger.profiles.taught("shop", "production", "other", kind="logs") == []


def test_profiles_have_a_kind_and_a_bound(run: Any, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    it = run()
    deployment = it.open(shop("1.0.0"))
    with pytest.raises(LedgerError, match="'traces' is not a kind of profile"):
        save(it, deployment.id, b"", kind="traces")
    monkeypatch.setattr(profiles, "BLOB_BYTES", 10)
    with pytest.raises(LedgerError, match="logs profile of sumo has 11 bytes"):
        save(it, deployment.id, b"x" * 11)


# -- people ------------------------------------------------------------------------------------------------------


def test_what_people_do_is_kept_newest_first(ledger: Ledger, clock: Clock) -> None:
    place = {"pipeline": "storefront", "run_id": "run-1", "task_id": "approve"}
    first = ledger.audit.record(who="ada", action="approve", why="looks good", **place)
    second = ledger.audit.record(
        who="bob",
        action="mark success",
        why="",
        pipeline="billing",
        run_id="run-9",
        task_id=None,
        service="billing",
        environment="production",
        allowed=False,
        detail={"from": "grid"},
    )
    assert ledger.audit.actions() == [second, first]
    assert ledger.audit.actions("storefront", "run-1") == [first]
    assert ledger.audit.actions(limit=1) == [second]
    assert (first.at, first.allowed, first.detail) == (clock.time, True, {})
    assert (second.allowed, second.task_id, second.environment) == (False, None, "production")


def ask(ledger: Ledger, **more: Any) -> Question:
    arguments: dict[str, Any] = {
        "pipeline": "storefront",
        "run_id": "run-1",
        "task_id": "approve",
        "options": ["Approve", "Reject"],
        "approvers": ["release-managers"],
        "subject": "Deploy shop 1.2.0 to production?",
        "body": "What changes: ...",
        "deadline": None,
    }
    return ledger.questions.ask(**{**arguments, **more})


WHERE = ("storefront", "run-1", "approve")


def test_a_question_is_asked_once(ledger: Ledger, clock: Clock) -> None:
    deadline = clock.time + timedelta(hours=1)
    assert ledger.questions.get(*WHERE) is None
    question = ask(ledger, deadline=deadline)
    assert (question.options, question.approvers, question.deadline, question.option, question.asked_at) == (
        ("Approve", "Reject"),
        ("release-managers",),
        deadline,
        None,
        clock.time,
    )
    clock.forward(minutes=1)
    assert ask(ledger, deadline=None, subject="Other?") == question == ledger.questions.get(*WHERE)
    with pytest.raises(LedgerError, match="needs options"):
        ask(ledger, options=[], task_id="other")


def test_the_first_answer_counts(ledger: Ledger, clock: Clock) -> None:
    ask(ledger)
    at = clock.forward(minutes=1)
    answered = ledger.questions.answer(*WHERE, option="Reject", who="ada", why="freeze")
    assert (answered.option, answered.who, answered.why, answered.answered_at) == ("Reject", "ada", "freeze", at)
    clock.forward(minutes=1)
    assert ledger.questions.answer(*WHERE, option="Reject", who="bob", why="too") == answered
    with pytest.raises(LedgerError, match=r"answered 'Reject' by ada at 2026-03-01 12:01:00 UTC.*first answer counts"):
        ledger.questions.answer(*WHERE, option="Approve", who="bob", why="no")
    assert ask(ledger) == ledger.questions.get(*WHERE) == answered
    assert [(a.who, a.action, a.why, a.detail["option"]) for a in ledger.audit.actions()] == [
        ("ada", "answer", "freeze", "Reject")
    ]


def test_a_default_that_counts_because_nobody_answered_is_no_human_action(ledger: Ledger) -> None:
    ask(ledger)
    answered = ledger.questions.answer(*WHERE, option="Reject", who="", why="no answer in time")
    assert (answered.option, answered.who, answered.why) == ("Reject", None, "no answer in time")
    assert ledger.audit.actions() == []
    with pytest.raises(LedgerError, match=r"answered 'Reject' by default \(timed out\)"):
        ledger.questions.answer(*WHERE, option="Approve", who="ada", why="late")


def test_only_what_was_asked_can_be_answered(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="task approve of run run-1 has not asked a question"):
        ledger.questions.answer(*WHERE, option="Approve", who="ada", why="")
    with pytest.raises(LedgerError, match="has not asked a question"):
        ledger.questions.reopen(*WHERE)
    ask(ledger)
    with pytest.raises(LedgerError, match=r"'Perhaps' is not an answer.*Approve, Reject"):
        ledger.questions.answer(*WHERE, option="Perhaps", who="ada", why="")


def test_a_reopened_question_is_asked_anew_and_the_old_answer_remembered(ledger: Ledger, clock: Clock) -> None:
    ask(ledger)
    earlier = clock.time - timedelta(seconds=30)
    ledger.questions.answer(*WHERE, option="Reject", who="ada", why="freeze", at=earlier)
    clock.forward(minutes=1)
    reopened = ledger.questions.reopen(*WHERE)
    assert (reopened.option, reopened.who, reopened.why, reopened.answered_at) == (None, None, None, None)
    deadline = clock.forward(minutes=1)
    anew = ask(ledger, subject="Again?", deadline=deadline)
    assert (anew.subject, anew.deadline) == ("Again?", deadline)
    assert ask(ledger, subject="And again?") == anew
    assert ledger.questions.answer(*WHERE, option="Approve", who="bob", why="freeze is over").option == "Approve"
    assert [(a.who, a.detail["option"], a.at) for a in ledger.audit.actions()] == [
        ("bob", "Approve", deadline),
        ("ada", "Reject", earlier),
    ]


def test_of_answers_at_the_same_moment_one_counts(real_ledger: Ledger) -> None:
    ask(real_ledger)
    together = Barrier(6)

    def answer(number: int) -> bool:
        together.wait()
        try:
            real_ledger.questions.answer(
                *WHERE, option=["Approve", "Reject"][number % 2], who=f"person-{number}", why=""
            )
        except LedgerError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        accepted = sum(pool.map(answer, range(6)))
    question = real_ledger.questions.get(*WHERE)
    assert question is not None
    assert accepted == 3
    assert [(a.who, a.detail["option"]) for a in real_ledger.audit.actions()] == [(question.who, question.option)]
