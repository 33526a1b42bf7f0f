"""How far a stage or a phase has come, for every combination of facts that a run can show."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cd.plugin.dag_runs.tasks import Place, RunTask
from airflow_cd.plugin.run.decisions import PhaseFacts, StageFacts, phase_state, stage_state, work_of
from airflow_cd.plugin.states import Look, StepState
from airflow_cd.plugin.words import step_label
from airflow_cd.states import DeploymentState, Role
from airflow_cd.verification.verdict import Verdict

D, S = DeploymentState, StepState


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        # A question counts as long as its run goes on and its task waits.
        ({"asks": True, "work": S.VERIFYING, "deployment": D.RUNNING}, S.WAITING_FOR_ANSWER),
        ({"asks": True, "work": S.VERIFYING, "deployment": D.RUNNING, "over": True}, S.LEFT_UNFINISHED),
        ({"asks": True, "task_states": ["", "success"]}, S.IN_PROGRESS),
        # What the ledger has settled counts before what tasks do.
        ({"deployment": D.PROMOTED, "work": S.SETTLING}, S.PROMOTED),
        ({"deployment": D.PROMOTED, "rollback": True}, S.RESTORED),
        ({"deployment": D.ROLLING_BACK, "work": S.ROLLING_BACK}, S.ROLLING_BACK),
        ({"deployment": D.ROLLED_BACK, "task_states": ["failed"]}, S.ROLLED_BACK),
        ({"deployment": D.ROLLED_BACK, "rollback": True}, S.ROLLED_BACK),
        ({"deployment": D.ROLLBACK_FAILED, "over": True}, S.ROLLBACK_FAILED),
        ({"deployment": D.RUNNING, "work": S.DEPLOYING}, S.DEPLOYING),
        ({"deployment": D.RUNNING, "rollback": True, "work": S.RESTORING}, S.RESTORING),
        ({"deployment": D.RUNNING, "work": S.DEPLOYING, "over": True}, S.LEFT_UNFINISHED),
        # An approval: rejected by a person, by the time-out, approved by somebody who may not, approved.
        ({"answer": "Reject", "task_states": ["failed"], "over": True}, S.REJECTED),
        ({"answer": "Reject", "answered": False, "task_states": ["failed"]}, S.TIMED_OUT),
        ({"answer": "Approve", "task_states": ["failed"]}, S.FAILED),
        ({"answer": "Approve", "task_states": ["success"]}, S.APPROVED),
        ({"answer": "Approve", "work": S.IN_PROGRESS, "task_states": ["running"]}, S.IN_PROGRESS),
        # Nothing but its tasks is known.
        ({"task_states": ["failed", "success"]}, S.FAILED),
        ({"task_states": ["", ""]}, S.TO_COME),
        ({"task_states": ["", ""], "over": True}, S.NOT_REACHED),
        ({"task_states": ["", "upstream_failed"]}, S.NOT_REACHED),
        ({"task_states": ["removed"]}, S.TO_COME),
        ({"task_states": ["skipped", ""]}, S.SKIPPED),
        ({"task_states": ["success", ""]}, S.IN_PROGRESS),
        ({"task_states": ["success", ""], "over": True}, S.DONE),
        ({"task_states": ["success"]}, S.DONE),
    ],
)
def test_a_stage(facts: dict[str, Any], expected: StepState) -> None:
    assert stage_state(StageFacts(**facts)) is expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"deployment": D.ROLLED_BACK, "verdict": Verdict.FAIL}, S.ROLLED_BACK),
        ({"deployment": D.ROLLING_BACK, "work": S.ROLLING_BACK}, S.ROLLING_BACK),
        ({"deployment": D.ROLLBACK_FAILED}, S.ROLLBACK_FAILED),
        ({"deployment": D.PROMOTED, "verdict": Verdict.PASS}, S.PASSED),
        ({"deployment": D.RUNNING, "verdict": Verdict.PASS}, S.PASSED),
        ({"work": S.VERIFYING, "verdict": Verdict.PASS}, S.VERIFYING),
        ({"verdict": Verdict.FAIL}, S.FAILED),
        ({"verdict": Verdict.INCONCLUSIVE, "task_states": ["failed"]}, S.INCONCLUSIVE),
        ({"task_states": ["failed"], "begun": True}, S.FAILED),
        ({}, S.TO_COME),
        ({"over": True}, S.NOT_REACHED),
        ({"task_states": ["skipped"]}, S.NOT_REACHED),
        ({"task_states": ["upstream_failed"]}, S.NOT_REACHED),
        ({"begun": True}, S.IN_PROGRESS),
        ({"begun": True, "deployed": True}, S.DEPLOYED),
        ({"begun": True, "deployed": True, "over": True}, S.NOT_VERIFIED),
        ({"begun": True, "deployed": True, "first": True, "over": True}, S.FIRST_RELEASE),
        ({"begun": True, "first": True}, S.IN_PROGRESS),
        ({"work": S.VERIFYING, "verdict": Verdict.INCONCLUSIVE, "asks": True}, S.WAITING_FOR_ANSWER),
    ],
)
def test_a_phase(facts: dict[str, Any], expected: StepState) -> None:
    assert phase_state(PhaseFacts(**facts)) is expected


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([], None),
        ([(Role.DEPLOY, "success"), (Role.VERIFY, "")], None),
        ([(Role.DEPLOY, "up_for_retry")], S.DEPLOYING),
        ([(Role.LEASE, "up_for_reschedule")], S.QUEUED),
        ([(Role.VERIFY, "running"), (Role.ROLLBACK, "queued")], S.ROLLING_BACK),
        ([(Role.ROLLBACK_TO, "running")], S.RESTORING),
        ([(Role.SETTLE, "running"), (Role.PROMOTE, "running")], S.PROMOTING),
        ([(None, "running")], S.IN_PROGRESS),
        ([(Role.APPROVAL, "awaiting_input")], S.IN_PROGRESS),
    ],
)
def test_what_tasks_do_now(tasks: list[tuple[Role | None, str]], expected: StepState | None) -> None:
    found = [RunTask("x", state, place=Place("x", role=role)) for role, state in tasks]
    assert work_of(found) is expected


@pytest.mark.parametrize("state", StepState)
def test_every_state_has_a_label_and_a_sign(state: StepState) -> None:
    assert step_label(state, "1.1")
    assert "{" not in step_label(state)
    assert state.sign
    assert state.look in Look


def test_a_rollback_that_is_done_says_to_which_release() -> None:
    assert step_label(StepState.RESTORED, "1.1") == "rolled back to 1.1"
