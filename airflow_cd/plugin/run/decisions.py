"""How far a stage or a phase has come: decided from a few facts, without a ledger or Airflow's database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from airflow_cd.plugin.dag_runs.task_states import UNDER_WAY
from airflow_cd.plugin.dag_runs.tasks import RunTask
from airflow_cd.plugin.states import StepState
from airflow_cd.sensors.approval import APPROVE, REJECT
from airflow_cd.states import DeploymentState, Role
from airflow_cd.verification.verdict import Verdict

_ROLLBACKS = {
    DeploymentState.ROLLING_BACK: StepState.ROLLING_BACK,
    DeploymentState.ROLLED_BACK: StepState.ROLLED_BACK,
    DeploymentState.ROLLBACK_FAILED: StepState.ROLLBACK_FAILED,
}
_SETTLED = {DeploymentState.PROMOTED: StepState.PROMOTED, **_ROLLBACKS}
_VERDICTS = {
    Verdict.PASS: StepState.PASSED,
    Verdict.FAIL: StepState.FAILED,
    Verdict.INCONCLUSIVE: StepState.INCONCLUSIVE,
}
# Where several tasks are at work, the first of these says what a reader wants to know.
_WORK = {
    Role.ROLLBACK: StepState.ROLLING_BACK,
    Role.ROLLBACK_TO: StepState.RESTORING,
    Role.VERIFY: StepState.VERIFYING,
    Role.MARK: StepState.DEPLOYING,
    Role.DEPLOY: StepState.DEPLOYING,
    Role.PROMOTE: StepState.PROMOTING,
    Role.LEASE: StepState.QUEUED,
    Role.SETTLE: StepState.SETTLING,
}
_NEVER_RAN = frozenset(("", "upstream_failed", "removed"))


@dataclass(frozen=True)
class StageFacts:
    """What decides about a stage.

    :param task_states: Airflow's states of its tasks; ``""`` for a task that has none.
    :param work: what its tasks do now, None when none is at work.
    :param deployment: state of its deployment in the ledger, None without one.
    :param rollback: whether that deployment is a person's rollback.
    :param asks: whether it has a question without an answer.
    :param answer: the option chosen as the answer to its last question, None without one.
    :param answered: whether a person chose it; False when the default was applied after the time-out.
    :param over: whether the run has ended, or nothing of it goes on here.
    """

    task_states: Collection[str] = ()
    work: StepState | None = None
    deployment: DeploymentState | None = None
    rollback: bool = False
    asks: bool = False
    answer: str | None = None
    answered: bool = True
    over: bool = False


@dataclass(frozen=True)
class PhaseFacts:
    """What decides about a phase.

    :param task_states: Airflow's states of its tasks.
    :param work: what its tasks do now, None when none is at work.
    :param verdict: its last final verdict, None without one.
    :param begun: whether the ledger knows it.
    :param deployed: whether its instances have the release.
    :param deployment: state of the deployment, where this is the phase that it got to last; None for any other.
    :param first: whether nothing ran in the environment before.
    :param asks: whether its verification has asked a person, who has not answered.
    :param over: whether the run has ended.
    """

    task_states: Collection[str] = ()
    work: StepState | None = None
    verdict: Verdict | None = None
    begun: bool = False
    deployed: bool = False
    deployment: DeploymentState | None = None
    first: bool = False
    asks: bool = False
    over: bool = False


def work_of(tasks: Sequence[RunTask]) -> StepState | None:
    """What the tasks do now.

    :param tasks: of one stage or phase.
    :returns: None when none of them is at work.
    """
    at_work = {task.place.role for task in tasks if task.state in UNDER_WAY}
    if not at_work:
        return None
    return next((state for role, state in _WORK.items() if role in at_work), StepState.IN_PROGRESS)


def stage_state(facts: StageFacts) -> StepState:
    """How far the stage has come.

    :param facts: what is known of it.
    """
    work = None if facts.over else facts.work
    if work is not None and facts.asks:
        return StepState.WAITING_FOR_ANSWER
    return _settled(facts) or work or _unfinished(facts) or _answered(facts) or _ran(facts)


def _settled(facts: StageFacts) -> StepState | None:
    """What the ledger calls its deployment, unless that is still open."""
    if facts.deployment is None:
        return None
    if facts.rollback and facts.deployment is DeploymentState.PROMOTED:
        return StepState.RESTORED
    if facts.over and facts.deployment is DeploymentState.ROLLING_BACK:
        return StepState.LEFT_UNFINISHED
    return _SETTLED.get(facts.deployment)


def _unfinished(facts: StageFacts) -> StepState | None:
    return StepState.LEFT_UNFINISHED if facts.deployment is not None and facts.over else None


def _answered(facts: StageFacts) -> StepState | None:
    if facts.answer == REJECT:
        return StepState.REJECTED if facts.answered else StepState.TIMED_OUT
    # An approval by somebody who may not approve fails its task.
    if "failed" in facts.task_states:
        return StepState.FAILED
    return StepState.APPROVED if facts.answer == APPROVE else None


def _ran(facts: StageFacts) -> StepState:
    states = set(facts.task_states)
    if states <= _NEVER_RAN:
        return StepState.NOT_REACHED if facts.over or "upstream_failed" in states else StepState.TO_COME
    if states <= _NEVER_RAN | {"skipped"}:
        return StepState.SKIPPED
    return StepState.IN_PROGRESS if "" in states and not facts.over else StepState.DONE


def phase_state(facts: PhaseFacts) -> StepState:
    """How far the phase has come.

    :param facts: what is known of it.
    """
    if facts.over and facts.deployment is DeploymentState.ROLLING_BACK:
        return StepState.LEFT_UNFINISHED
    if facts.deployment in _ROLLBACKS:
        return _ROLLBACKS[facts.deployment]
    if facts.work is not None:
        return StepState.WAITING_FOR_ANSWER if facts.asks else facts.work
    if facts.verdict is not None:
        return _VERDICTS[facts.verdict]
    if "failed" in facts.task_states:
        return StepState.FAILED
    return _unjudged(facts)


def _unjudged(facts: PhaseFacts) -> StepState:
    if not facts.begun:
        passed_over = "skipped" in facts.task_states or "upstream_failed" in facts.task_states
        return StepState.NOT_REACHED if facts.over or passed_over else StepState.TO_COME
    if facts.deployed and facts.first:
        return StepState.FIRST_RELEASE
    if facts.over:
        return StepState.NOT_VERIFIED
    return StepState.DEPLOYED if facts.deployed else StepState.IN_PROGRESS
