"""A run at a glance: the stages of the example pipeline in every state a person meets."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_cd.ledger import Ledger
from airflow_cd.plugin.dag_runs.order import depths
from airflow_cd.plugin.dag_runs.tasks import Place, Run, RunTask
from airflow_cd.plugin.run.facts import RunFacts, facts_of
from airflow_cd.plugin.run.stages import StageView
from airflow_cd.plugin.run.view import RunView, view_of
from airflow_cd.plugin.states import StepState
from airflow_cd.states import Role
from airflow_cd.targets.base import Instance, Track
from airflow_cd.verification.verdict import Verdict
from tests.plugin.build_com_run import (
    BEFORE,
    FIRST,
    INSTANCES,
    NOW,
    PIPELINE,
    ROLLED_BACK_STATES,
    RUN_ID,
    SECOND,
    VERIFY,
    Story,
    all_well,
    judgement,
    run_of,
)
from tests.plugin.conftest import ClientAs
from tests.plugin.deployed import Delivery
from tests.plugin.run.scene import DECIDED, WHY, rolled_back


def _view(ledger: Ledger, run: Run) -> RunView:
    return view_of(run, facts_of(ledger, run), NOW)


def _stages(view: RunView) -> dict[str, StageView]:
    return {stage.name: stage for column in view.columns for stage in column}


def test_stages_that_may_run_at_once_stand_side_by_side() -> None:
    view = view_of(run_of("queued", {}), RunFacts(), NOW)
    names = [[stage.name for stage in column] for column in view.columns]
    assert names == [list(FIRST), list(SECOND), ["approve"], ["production"]]
    assert {stage.state for stage in _stages(view).values()} == {StepState.TO_COME}
    assert [phase.title for phase in _stages(view)["production"].phases] == ["Canary 20 %", "100 %"]
    assert (view.headline.word, view.ours, view.version) == ("QUEUED", True, "1.2")


def test_a_rolled_back_canary_says_why_first(ledger: Ledger, story: Story) -> None:
    view = _view(ledger, rolled_back(story))
    head = view.headline
    assert (head.look, head.word, head.says) == ("bad", "ROLLED BACK", f"production: {WHY}")
    assert head.more[0] == "errors rose from 0.1 % to 4 %"
    assert "shop 1.2 runs in dev, test, edu, sandbox and staging." in head.more
    new, done, safe = head.answers
    assert new.answer == "4 events"
    assert new.links[0][1] == "GiftCard0Error"
    assert (done.answer, safe.answer, head.report) == ("Rolled back to shop 1.1", "Yes", VERIFY)


def test_a_deploy_that_failed_has_its_first_sentence_as_the_headline(ledger: Ledger, story: Story) -> None:
    story.before_production()
    story.approved()
    story.canary(None)
    first = (
        "the deployment failed: 1 of 2 instances is not healthy on shop 1.2 (60760629) after 13.2 s; 1 was not begun."
    )
    rest = "web-1 is failed: exited with code 3; web-2 was not begun, and still runs shop 1.1."
    story.rolled_back(f"{first} {rest}")
    head = _view(ledger, run_of("failed", ROLLED_BACK_STATES)).headline
    assert (head.says, head.more[0]) == (f"production: {first}", rest)


def test_a_phase_says_its_share_its_verdict_and_where_the_evidence_is(ledger: Ledger, story: Story) -> None:
    first, second = _stages(_view(ledger, rolled_back(story)))["production"].phases
    assert (first.share, first.instances, first.of, first.state) == (20, 2, 10, StepState.ROLLED_BACK)
    assert (first.verdict, first.final, first.reason, first.task) == ("FAIL", True, WHY, VERIFY)
    assert (second.share, second.state, second.verdict) == (100, StepState.NOT_REACHED, "")


def test_clocks_are_those_of_the_rollback(ledger: Ledger, story: Story) -> None:
    ((environment, times),) = _view(ledger, rolled_back(story)).clocks
    assert environment == "production"
    assert [time for _, time, _ in times] == ["11.0 s", "0.20 s", "7.0 s"]


def test_a_persons_rollback_says_who_took_what_back_and_counts_from_their_asking(ledger: Ledger) -> None:
    first, second = (Delivery(ledger, "shop", version) for version in ("1.1", "1.2"))
    first.promoted("production")
    taken = second.promoted("production")
    back = Delivery(ledger, "shop", "1.1", pipeline="shop-rollback", run_id="back")
    opened = back.open("production", rolls_back=taken.id)
    ledger.settlement.promote(
        opened.id, token=back.leases["production"].token, outcome="ada rolled 1.2 back to 1.1: slow"
    )
    place = Place("rollback", (), Role.ROLLBACK_TO, "shop", "production")
    for state, word, says in (
        ("success", "ROLLED BACK TO 1.1", "ada rolled 1.2 back to 1.1: slow"),
        ("running", "RUNNING", "Rolling back production."),
    ):
        run = Run("shop-rollback", "back", state, {}, "ada", [RunTask("rollback.deploy", state, NOW, None, place)])
        facts = facts_of(ledger, run) if state == "success" else RunFacts()
        view = view_of(run, facts, NOW)
        assert (view.headline.word, view.headline.says) == (word, says)
        if state == "success":
            assert _stages(view)["rollback"].state is StepState.RESTORED
            ((environment, times),) = view.clocks
            assert (environment, [name for name, _, _ in times]) == ("production", ["To safe", "To restored"])
    took_back = _view(ledger, Run("shop", "run-1.2", "success"))
    assert took_back.headline.word == "ROLLED BACK"
    assert "slow" in took_back.headline.says


def test_what_changed_is_told_once_for_all_it_is_the_same_in(ledger: Ledger, story: Story) -> None:
    before, production = _view(ledger, rolled_back(story)).changes
    assert list(before.environments) == list(BEFORE)
    assert before.rows[0] == ("version", "0.9", "1.2")
    assert (production.environments, production.before) == (["production"], "shop 1.1")
    assert ("configuration: gift_cards", "(not given)", True) in production.rows


def test_what_runs_where_is_what_was_seen_there(ledger: Ledger, story: Story) -> None:
    runs = {row.environment: row for row in _view(ledger, rolled_back(story)).runs}
    assert runs["production"].instances.releases == [("shop:1.1", len(INSTANCES))]
    assert runs["dev"].instances.releases == [("shop:1.2", 1)]


def test_a_canary_of_replicas_stands_beside_the_others_and_may_have_fewer_of_the_requests(
    ledger: Ledger, client_as: ClientAs
) -> None:
    delivery = Delivery(ledger, "shop", "2.0")
    delivery.previous = {f"web-{number}": delivery.release for number in range(8)}
    deployment, token = delivery.open("production"), delivery.leases["production"].token
    names = ["web-c1", "web-c2"]
    ledger.phases.start(deployment.id, "phase_20", share=20, instances=names, token=token, traffic=5)
    ledger.verdicts.record(deployment.id, "phase_20", token=token, verdict="PASS", evidence={}, final=False)
    replicas = [Instance(name, "2.0", "shop:2.0", track=Track.CANARY) for name in names]
    ledger.instances.record("shop", "production", replicas, NOW)
    ((phase,),) = (stage.phases for stage in _stages(_view(ledger, Run("shop", "run-2.0"))).values())
    assert (phase.title, phase.instances, phase.of, phase.traffic) == ("Canary 20 %", 2, 10, 5)
    for page in ("run/shop/run-2.0", "deployments"):
        assert "5 % of the requests" in client_as("viewer").get(f"/airflow-cd/{page}").text


def test_who_gets_no_requests_is_trouble(ledger: Ledger, story: Story) -> None:
    story.canary(DECIDED)
    seen = [
        Instance(name=name, version="1.1", artifact="shop:1.1", drained=name != "web-1")
        for name in ("web-1", "web-2", "web-3")
    ]
    ledger.instances.record("shop", "production", seen, NOW)
    (row,) = _view(ledger, run_of("running", ROLLED_BACK_STATES)).runs
    assert row.instances.problems == "web-2 gets no requests; web-3 gets no requests"


def test_manual_actions_stand_in_their_order_refused_ones_too(ledger: Ledger, story: Story) -> None:
    actions = _view(ledger, rolled_back(story)).manual_actions
    assert [(action.who, action.allowed) for action in actions] == [("mallory", False), ("bob", True)]


def test_a_rollback_that_failed_comes_before_everything(ledger: Ledger, story: Story) -> None:
    story.before_production()
    story.canary(DECIDED)
    story.rolled_back("web-1 is on shop:1.2 and does not answer", restored=False)
    story.delivery.asks("production")
    states = {**ROLLED_BACK_STATES, "approve": "awaiting_input", "production.phase_20.rollback": "failed"}
    head = _view(ledger, run_of("running", states)).headline
    assert (head.word, head.says) == ("ROLLBACK FAILED", "production: web-1 is on shop:1.2 and does not answer")
    assert head.answers[2].answer == "No: act now"


def test_an_open_approval_says_whom_it_waits_for_and_what_would_change(ledger: Ledger, story: Story) -> None:
    story.before_production()
    story.delivery.asks("production", approvers=("bob", "eve"))
    view = _view(ledger, run_of("running", {**all_well(*BEFORE), "approve": "awaiting_input"}))
    assert (view.headline.look, view.headline.word) == ("wait", "WAITING")
    assert view.headline.says == "Deploy shop 1.2 to production? Waiting for bob or eve."
    assert view.headline.question is not None
    assert not view.over
    assert [change.environments for change in view.changes if change.proposed] == [["production"]]
    stages = _stages(view)
    assert (stages["approve"].state, stages["production"].state) == (StepState.WAITING_FOR_ANSWER, StepState.TO_COME)


def test_nobody_is_waited_for_once_the_run_is_over(ledger: Ledger, story: Story) -> None:
    story.before_production()
    story.delivery.asks("production")
    view = _view(ledger, run_of("failed", {**all_well(*BEFORE), "approve": "awaiting_input"}))
    assert view.headline.question is None
    assert view.over


def test_a_verification_asks_with_its_reason(ledger: Ledger, story: Story) -> None:
    story.before_production()
    story.canary(DECIDED)
    ledger.questions.ask(
        pipeline=PIPELINE,
        run_id=RUN_ID,
        task_id=VERIFY,
        options=["Roll back", "Go on"],
        approvers=[],
        subject="shop in production: the verification failed. Roll back?",
        body="",
        deadline=None,
    )
    states = {
        **all_well(*BEFORE, "approve", "production.lease", "production.phase_20.deploy"),
        VERIFY: "awaiting_input",
    }
    view = _view(ledger, run_of("running", states))
    assert view.headline.word == "WAITING"
    assert "anyone who may edit the run" in view.headline.says
    assert view.headline.more[0] == WHY
    assert view.headline.answers[2].answer == "Not yet"


@pytest.mark.parametrize(
    ("who", "state", "word", "says"),
    [
        ("bob", StepState.REJECTED, "REJECTED", "approve: rejected by bob. freeze week"),
        (
            "",
            StepState.TIMED_OUT,
            "TIMED OUT",
            "approve: timed out without an answer, so the default answer was applied: Reject. freeze week",
        ),
    ],
)
def test_a_no_is_told_from_a_breakdown(
    ledger: Ledger, story: Story, who: str, state: StepState, word: str, says: str
) -> None:
    story.before_production()
    story.delivery.asks("production")
    ledger.questions.answer(PIPELINE, RUN_ID, "approve", option="Reject", who=who, why="freeze week")
    states = {**all_well(*BEFORE), "approve": "failed", "production": "upstream_failed"}
    view = _view(ledger, run_of("failed", states))
    assert (view.headline.look, view.headline.word) == ("bad", word)
    assert view.headline.says == says
    assert _stages(view)["approve"].state is state
    assert _stages(view)["production"].state is StepState.NOT_REACHED


def test_an_approval_by_somebody_who_may_not_is_no_approval(ledger: Ledger, story: Story) -> None:
    story.delivery.asks("production")
    ledger.questions.answer(PIPELINE, RUN_ID, "approve", option="Approve", who="mallory", why="")
    failed = {"approve": {"failed": "no"}}
    view = _view(ledger, run_of("failed", {**all_well(*BEFORE), "approve": "failed"}, failed))
    assert _stages(view)["approve"].state is StepState.FAILED


def test_a_run_that_came_through_says_what_runs_where(ledger: Ledger, story: Story) -> None:
    story.before_production()
    story.approved()
    story.canary(judgement(Verdict.PASS, "nothing new in 900 records"))
    story.promoted()
    head = _view(ledger, run_of("success", all_well(*BEFORE, "approve", "production"))).headline
    assert (head.look, head.word, head.answers) == ("good", "DELIVERED", ())
    assert head.says == "shop 1.2 runs in dev, test, edu, sandbox, staging and production."
    assert not head.more


def test_a_promotion_in_spite_of_its_verdict_is_told(ledger: Ledger, story: Story) -> None:
    story.canary(DECIDED)
    story.promoted()
    head = _view(ledger, run_of("success", all_well(*BEFORE, "approve", "production"))).headline
    assert "production was promoted despite FAIL" in head.more[0]


def test_what_goes_on_now_is_told_with_what_was_seen_so_far(ledger: Ledger, story: Story) -> None:
    story.before_production()
    story.canary(judgement(Verdict.INCONCLUSIVE, "too few requests yet"), final=False)
    states = {**all_well(*BEFORE, "approve", "production.lease", "production.phase_20.deploy"), VERIFY: "running"}
    view = _view(ledger, run_of("running", states))
    assert view.headline.word == "RUNNING"
    assert view.headline.says == "Verifying production, canary 20 % after 7 looks: too few requests yet"
    (phase, _) = _stages(view)["production"].phases
    assert (phase.state, phase.final, phase.seconds) == (StepState.VERIFYING, False, 180.0)


def test_stages_at_work_are_told_together_with_whom_another_waits_for(ledger: Ledger, story: Story) -> None:
    ledger.leases.acquire("shop", "edu", pipeline=PIPELINE, run_id="1.1-0600", ttl=timedelta(minutes=5))
    ledger.leases.acquire("shop", "staging", pipeline="secret", run_id="hidden", ttl=timedelta(minutes=5))
    for name in FIRST:
        story.delivery.promoted(name)
    states = {**all_well(*FIRST), "edu.lease": "up_for_reschedule", "staging.lease": "up_for_reschedule"}
    states |= {"sandbox.lease": "success", "sandbox.deploy": "running"}
    says = _view(ledger, run_of("running", states)).headline.says
    assert "Queued for edu. Run 1.1-0600 owns it." in says
    assert "Queued for staging. A run of another pipeline owns it." in says
    assert "Deploying to sandbox." in says
    assert "hidden" not in says


def test_what_no_deployment_was_opened_for_says_what_its_task_said(ledger: Ledger, story: Story) -> None:
    vetoed = "shop 1.2 was rolled back here at 2026-11-22: 4 events are unknown"
    states = {"dev.lease": "success", "dev.deploy": "failed", "dev.settle": "failed", "test": "running"}
    states |= dict.fromkeys((*SECOND, "approve", "production"), "upstream_failed")
    view = _view(ledger, run_of("running", states, {"dev.deploy": {"failed": vetoed}}))
    assert (view.headline.word, view.headline.says) == ("FAILED", f"dev: {vetoed}")
    assert _stages(view)["dev"].failed == "dev.deploy"


def test_a_first_task_that_left_nothing_may_never_have_begun(ledger: Ledger, story: Story) -> None:
    states = {"dev.lease": "failed", "dev.deploy": "upstream_failed", "dev.settle": "upstream_failed"}
    states |= dict.fromkeys(("test", *SECOND, "approve", "production"), "upstream_failed")
    head = _view(ledger, run_of("failed", states)).headline
    assert (head.word, head.says) == ("FAILED", "dev: dev.lease failed; its log says why.")
    assert "it may never have begun: where its log is empty, the scheduler's log says why" in head.more[0]
    assert "[api] base_url" in head.more[0]
    begun = {**states, "dev.lease": "success", "dev.deploy": "failed"}
    assert "never have begun" not in " ".join(_view(ledger, run_of("failed", begun)).headline.more)


def test_a_change_of_configuration_alone_is_named_where_the_version_is_the_same(ledger: Ledger, story: Story) -> None:
    story.before_production()
    story.approved()
    story.canary(None)
    again = replace(story.deployment, previous={"web-1": replace(story.release, configuration={"limit": 3})})
    facts = replace(facts_of(ledger, run_of("running", {})), deployments=[again])
    (change,) = view_of(run_of("running", {}), facts, NOW).changes
    assert change.before == "shop 1.2"
    assert change.now.startswith("shop 1.2 (")
    assert "limit 3 → (not given)" in change.now


def test_a_run_that_ended_around_a_deployment_is_not_called_done(ledger: Ledger, story: Story) -> None:
    story.canary(None)
    view = _view(ledger, run_of("success", all_well(*BEFORE, "approve", "production")))
    assert (view.headline.look, view.headline.word) == ("bad", "LEFT UNFINISHED")


def test_evidence_that_cannot_be_read_hides_nothing_else(ledger: Ledger, story: Story) -> None:
    story.canary({"verdict": "FAIL", "version": 99, "reasons": "none", "looks": "x"})
    story.rolled_back("FAIL: something")
    head = _view(ledger, run_of("failed", ROLLED_BACK_STATES)).headline
    assert head.says == "production: something"
    assert head.answers[0].text == "Its evidence cannot be read any more."


def test_what_the_ledger_has_outlives_airflows_memory(ledger: Ledger, story: Story) -> None:
    rolled_back(story)
    view = _view(ledger, Run(PIPELINE, RUN_ID))
    assert view.headline.word == "ROLLED BACK"
    assert list(_stages(view)) == [*BEFORE, "production"]
    assert _stages(view)["production"].phases[0].task == VERIFY


def test_a_dag_written_by_hand_shows_its_deployment_too(ledger: Ledger, story: Story) -> None:
    story.canary(DECIDED)
    story.rolled_back(f"FAIL: {WHY}")
    chain = {"lease": Role.LEASE, "half": Role.DEPLOY, "verify": Role.VERIFY}
    names = list(chain)
    tasks = [
        RunTask(name, "success", NOW, NOW, Place(name, tuple(names[:at]), chain[name], "shop", "production"))
        for at, name in enumerate(names)
    ]
    view = _view(ledger, Run(PIPELINE, RUN_ID, "failed", tasks=tasks))
    assert view.headline.word == "ROLLED BACK"
    stages = _stages(view)
    assert list(stages) == ["lease", "half", "verify"]
    assert (stages["half"].state, stages["half"].phases[0].task) == (StepState.ROLLED_BACK, "verify")


def test_groups_that_wait_for_each_other_in_turns_still_have_an_order() -> None:
    def task(name: str, *upstream: str) -> RunTask:
        return RunTask(name, "", place=Place(name.split(".", maxsplit=1)[0], upstream))

    groups = {"a": [task("a.1"), task("a.2", "b.1")], "b": [task("b.1", "a.1")], "c": [task("c.1", "a.2")]}
    assert set(depths(groups)) == {"a", "b", "c"}


def test_a_chain_of_any_length_has_an_order() -> None:
    length = 3000
    groups = {
        str(at): [RunTask(str(at), "", place=Place(str(at), (str(at + 1),) if at + 1 < length else ()))]
        for at in range(length)
    }
    assert depths(groups)["0"] == length - 1
