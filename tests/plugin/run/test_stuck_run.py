"""A run that Airflow schedules nothing of: its page says so, why, and who puts right what it has left."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from airflow_cd.ledger import Ledger
from airflow_cd.plugin.run.facts import facts_of
from airflow_cd.plugin.run.view import RunView, view_of
from airflow_cd.plugin.states import StepState
from airflow_cd.states import FindingState, StuckCause
from airflow_cd.verification.verdict import Verdict
from tests.plugin.build_com_run import NOW, PIPELINE, ROLLED_BACK_STATES, RUN_ID, Story, judgement, run_of

PAUSED = "its DAG is paused"
STUCK = replace(run_of("running", {**ROLLED_BACK_STATES, "production.phase_20.rollback": ""}), stopped=PAUSED)
CLAIM = ("shop", "production", PIPELINE, RUN_ID)


def _view(ledger: Ledger) -> RunView:
    return view_of(STUCK, facts_of(ledger, STUCK), NOW)


def _production(view: RunView) -> StepState:
    return next(stage.state for column in view.columns for stage in column if stage.name == "production")


def _rolling_back(ledger: Ledger) -> Story:
    story = Story(ledger)
    story.canary(judgement(Verdict.FAIL, "4 events are unknown", risks=4))
    token = story.delivery.leases["production"].token
    ledger.settlement.begin_rollback(story.deployment.id, token=token, outcome="FAIL: 4 events are unknown.")
    return story


def test_it_is_not_said_to_be_rolled_back_when_nobody_is_at_work(ledger: Ledger) -> None:
    _rolling_back(ledger)
    view = _view(ledger)
    assert _production(view) is StepState.LEFT_UNFINISHED
    assert view.headline.more[-2:] == [
        f"Airflow schedules nothing of this run: {PAUSED}.",
        "No guard acts: start Airflow's scheduler, or `airflow-cd guard`.",
    ]


def test_who_is_at_work_is_said_to_roll_it_back(ledger: Ledger) -> None:
    _rolling_back(ledger)
    place = dict(zip(("service", "environment", "pipeline", "run_id"), CLAIM, strict=True))
    ledger.work.begin(**place, task_id="production.phase_20.rollback", process="w:1", target=None, timeout=1)
    assert _production(_view(ledger)) is StepState.ROLLING_BACK


def test_what_the_guard_found_and_did_is_told(ledger: Ledger) -> None:
    story = _rolling_back(ledger)
    token = ledger.guarding.hold("guard", timedelta(seconds=15))
    assert token is not None
    given = {"deployment_id": story.deployment.id, "cause": StuckCause.PAUSED, "detail": PAUSED, "token": token}
    finding = ledger.guarding.found(CLAIM, **given)
    assert _production(_view(ledger)) is StepState.ROLLING_BACK
    ledger.guarding.ended(finding.number, FindingState.FAILING, "the deployment API does not answer.")
    more = _view(ledger).headline.more
    assert more[-1] == "The guard restores what ran before within a minute."
    assert "it could not go on: its DAG is paused. the deployment API does not answer." in more[-2]
