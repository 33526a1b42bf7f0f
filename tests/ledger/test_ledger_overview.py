"""Everything at a glance: the same on both databases, and the same as what single calls answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_cd.ledger import Ledger
from airflow_cd.ledger.overview import EnvironmentSummary
from tests.ledger.ledger_runs import Clock, shop


def _asked(ledger: Ledger, clock: Clock, **more: Any) -> None:
    arguments: dict[str, Any] = {
        "pipeline": "storefront",
        "run_id": "run-1",
        "task_id": "approve",
        "options": ["Approve", "Reject"],
        "approvers": ["bob"],
        "subject": "Deploy?",
        "body": "",
        "deadline": clock.time + timedelta(days=1),
    }
    ledger.questions.ask(**{**arguments, **more})


def test_nothing_is_everywhere_in_an_empty_ledger(ledger: Ledger) -> None:
    assert (
        list(ledger.overview.environments())
        == ledger.overview.vetoes_in_force()
        == ledger.overview.open_questions()
        == ledger.overview.recent_runs()
        == []
    )
    assert ledger.overview.summaries([]) == ledger.overview.summaries([17]) == {}


def test_what_stands_is_the_last_promoted_and_what_came_after(run: Any, ledger: Ledger) -> None:
    run("run-1", environment="dev").promoted(shop("1.0.0"))
    run("run-1").promoted(shop("1.0.0"))
    run("run-2", environment="dev").promoted(shop("1.1.0"))
    run("run-2").rolled_back(shop("1.1.0"))
    run("run-3", environment="dev").open(shop("1.2.0"))
    assert list(ledger.overview.environments()) == [
        EnvironmentSummary("shop", "dev", 3, "storefront", 5, "storefront", "running"),
        EnvironmentSummary("shop", "production", 2, "storefront", 4, "storefront", "rolled_back"),
    ]


def test_what_came_before_a_promotion_is_over(run: Any, ledger: Ledger) -> None:
    run("run-1").rolled_back(shop("1.0.0"))
    run("run-2").promoted(shop("1.1.0"))
    assert list(ledger.overview.environments()) == [EnvironmentSummary("shop", "production", 2, "storefront")]


def test_what_left_the_environment_open_hides_behind_nothing_newer(run: Any, ledger: Ledger) -> None:
    first = run("run-1")
    deployment = first.open(shop("1.0.0"))
    ledger.settlement.begin_rollback(deployment.id, token=first.token, outcome="bad")
    ledger.settlement.finish_rollback(deployment.id, token=first.token, restored=False, outcome="web-2 does not answer")
    first.release()
    run("run-2").rolled_back(shop("1.1.0"))
    assert list(ledger.overview.environments()) == [
        EnvironmentSummary("shop", "production", 0, "", 1, "storefront", "rollback_failed")
    ]


def test_a_summary_says_what_the_deployment_says(run: Any, ledger: Ledger) -> None:
    done = run("run-1").promoted(shop("1.0.0"))
    [number] = [standing.promoted for standing in ledger.overview.environments()]
    summary = ledger.overview.summaries([number])[number]
    for name in ("pipeline", "run_id", "service", "environment", "state", "triggered_by", "opened_at", "settled_at"):
        assert getattr(summary, name) == getattr(done, name)
    assert (summary.version, summary.digest) == (done.release.version, done.release.digest)
    assert (summary.outcome, summary.phase, summary.verdict, summary.reported) == ("all good", "", "", "")


def test_a_summary_knows_the_phase_and_the_final_verdict_on_it(run: Any, ledger: Ledger) -> None:
    canary = run("run-1")
    deployment = canary.open(shop("1.0.0"))
    place: dict[str, Any] = {"token": canary.token}

    def said() -> tuple[str, int, str, str]:
        summary = ledger.overview.summaries([1])[1]
        return summary.phase, summary.share, summary.verdict, summary.reported

    ledger.phases.start(deployment.id, "phase_20", share=20, instances=["web-1"], **place)
    assert said() == ("phase_20", 20, "", "")
    ledger.verdicts.record(deployment.id, "phase_20", verdict="FAIL", evidence={}, final=False, **place)
    assert said() == ("phase_20", 20, "", "phase_20")
    ledger.verdicts.record(deployment.id, "phase_20", verdict="PASS", evidence={}, final=True, **place)
    ledger.phases.start(deployment.id, "phase_50", share=50, instances=["web-1", "web-2"], **place)
    # What is still being watched is not verified, whatever an earlier phase got.
    assert said() == ("phase_50", 50, "", "phase_20")
    ledger.verdicts.record(deployment.id, "phase_50", verdict="INCONCLUSIVE", evidence={}, final=True, **place)
    assert said() == ("phase_50", 50, "INCONCLUSIVE", "phase_50")


def test_a_lifted_veto_is_in_force_no_more(run: Any, ledger: Ledger) -> None:
    run("run-1").rolled_back(shop("1.1.0"))
    run("run-2").rolled_back(shop("1.2.0"))
    assert [(veto.version, veto.pipeline, veto.run_id) for veto in ledger.overview.vetoes_in_force()] == [
        ("1.2.0", "storefront", "run-2"),
        ("1.1.0", "storefront", "run-1"),
    ]
    ledger.vetoes.lift("shop", "production", shop("1.2.0").digest, who="ada", why="it was the database")
    assert [veto.version for veto in ledger.overview.vetoes_in_force()] == ["1.1.0"]


def test_a_question_is_open_until_it_is_answered_or_its_time_is_over(ledger: Ledger, clock: Clock) -> None:
    _asked(ledger, clock, run_id="first", deadline=None)
    clock.forward(seconds=1)
    _asked(ledger, clock, run_id="second", deadline=clock.time + timedelta(hours=1))
    _asked(ledger, clock, run_id="third")
    assert [question.run_id for question in ledger.overview.open_questions()] == ["first", "second", "third"]
    ledger.questions.answer("storefront", "third", "approve", option="Reject", who="bob", why="")
    clock.forward(hours=1)
    assert [question.run_id for question in ledger.overview.open_questions()] == ["first"]


def test_a_question_stands_where_it_would_let_through(run: Any, ledger: Ledger, clock: Clock) -> None:
    run("run-1", environment="dev").promoted(shop("1.0.0"))
    _asked(ledger, clock, proposed={"eu": shop("1.0.0"), "us": shop("1.0.0", region="us")})
    [question] = ledger.overview.open_questions()
    assert (question.service, set(question.environments), question.approvers) == ("shop", {"eu", "us"}, ("bob",))


def test_a_verification_asks_where_it_stands(run: Any, ledger: Ledger, clock: Clock) -> None:
    run("run-1", environment="dev").promoted(shop("1.0.0"))
    run("run-1").open(shop("1.0.0"))
    _asked(ledger, clock, task_id="production.phase_20.verify")
    [question] = ledger.overview.open_questions()
    assert (question.service, question.environments) == ("shop", ("production",))


def test_a_question_before_anything_was_deployed_belongs_to_its_pipeline(ledger: Ledger, clock: Clock) -> None:
    _asked(ledger, clock)
    [question] = ledger.overview.open_questions()
    assert (question.service, question.environments, question.pipeline) == ("", (), "storefront")


def test_ways_tell_the_order_in_which_runs_reach_environments(run: Any, ledger: Ledger) -> None:
    for environment in ("dev", "staging", "production"):
        run("run-1", environment=environment).promoted(shop("1.0.0"))
    run("run-2", environment="dev").promoted(shop("1.1.0"))
    assert ledger.overview.recent_runs() == [("storefront", ("dev",)), ("storefront", ("dev", "staging", "production"))]
    assert [way for _, way in ledger.overview.recent_runs(limit=2)] == [("dev",), ("production",)]
