"""The stages of a run: side by side where they may run at once, each with what it came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_cd.ledger import Deployment, Question
from airflow_cd.plugin.dag_runs.order import depths, grouped
from airflow_cd.plugin.dag_runs.tasks import Run, RunTask
from airflow_cd.plugin.run.decisions import StageFacts, stage_state, work_of
from airflow_cd.plugin.run.facts import RunFacts
from airflow_cd.plugin.run.phases import PhaseView, phases_of, seconds_of
from airflow_cd.plugin.states import Look, StepState
from airflow_cd.plugin.words import step_label
from airflow_cd.states import DeploymentState, Role


@dataclass(frozen=True)
class StageView:
    """One stage.

    :param name: its task group, or its task where it is in none.
    :param group: whether it is a task group in Airflow, else a task.
    :param environment: where it delivers to; its own name where it delivers to none, or to several.
    :param depth: how many stages come before it at least; equal ones stand side by side.
    :param state: how far it has come.
    :param seconds: how long it took, or has taken so far; None before it began.
    :param why: why it is as it is, in a sentence, where that is known.
    :param failed: the first of its tasks that failed, ``""`` if none did.
    :param phases: of a canary, in their order.
    :param question: the last one that it has asked.
    :param deployment: what it has brought to its environment.
    """

    name: str
    environment: str
    group: bool
    depth: int
    state: StepState
    seconds: float | None = None
    why: str = ""
    failed: str = ""
    phases: Sequence[PhaseView] = ()
    question: Question | None = None
    deployment: Deployment | None = None

    @property
    def look(self) -> Look:
        """How it is drawn."""
        return self.state.look

    @property
    def label(self) -> str:
        """Its state as people say it."""
        return step_label(self.state, self.deployment.release.version if self.deployment is not None else "")

    @property
    def asks(self) -> bool:
        """Whether it waits for a person."""
        return self.state is StepState.WAITING_FOR_ANSWER


def columns_of(run: Run, facts: RunFacts, now: datetime) -> list[list[StageView]]:
    """The stages in their order; a column holds those that may run at once.

    :param run: the run as Airflow has it.
    :param facts: what the ledger holds of it.
    :param now: what durations of what is still at work count up to.
    """
    by_stage = grouped(run.tasks, lambda task: task.stage)
    found = depths(by_stage)
    claims = _claims(by_stage, facts)
    columns: dict[int, list[StageView]] = {}
    for name, tasks in by_stage.items():
        columns.setdefault(found[name], []).append(_stage(name, found[name], tasks, claims.get(name), run, facts, now))
    shown = [columns[depth] for depth in sorted(columns)]
    # Airflow may have forgotten the run, or its author the task: what was deployed stays worth showing.
    claimed = {deployment.id for deployment in claims.values()}
    rest = [deployment for deployment in facts.deployments if deployment.id not in claimed]
    shown += [[_stage(other.environment, len(shown), [], other, run, facts, now)] for other in rest]
    return shown


def _claims(by_stage: dict[str, list[RunTask]], facts: RunFacts) -> dict[str, Deployment]:
    """Which stage shows which deployment: its own, or in a DAG written by hand the one that deploys first."""
    claims: dict[str, Deployment] = {}
    for deployment in facts.deployments:
        there = [
            name
            for name, tasks in by_stage.items()
            if name not in claims and any(task.place.environment == deployment.environment for task in tasks)
        ]
        groups = [name for name in there if len(by_stage[name]) > 1]
        deploys = [name for name in there if by_stage[name][0].place.role is Role.DEPLOY]
        named = [deployment.environment] if deployment.environment in by_stage else []
        if choice := [*named, *groups, *deploys, *there]:
            claims.setdefault(choice[0], deployment)
    return claims


def _stage(
    name: str,
    depth: int,
    tasks: Sequence[RunTask],
    deployment: Deployment | None,
    run: Run,
    facts: RunFacts,
    now: datetime,
) -> StageView:
    asked = [facts.questions[task.task_id] for task in tasks if task.task_id in facts.questions]
    asked.sort(key=lambda question: (question.option is None, question.asked_at))
    question = asked[-1] if asked else None
    failed = sorted((task for task in tasks if task.state == "failed"), key=lambda task: task.ended or now)
    state = stage_state(_facts(tasks, deployment, question, run, facts))
    environments = {deployment.environment} if deployment else {task.place.environment for task in tasks} - {""}
    return StageView(
        name=name,
        environment=environments.pop() if len(environments) == 1 else name,
        group=any(task.task_id != name for task in tasks),
        depth=depth,
        state=state,
        seconds=seconds_of(tasks, now) if tasks else _lasted(deployment),
        why=_why(state, tasks, failed, deployment, question, run, facts),
        failed=failed[0].task_id if failed else "",
        phases=phases_of(tasks, deployment, facts, run, now),
        question=question,
        deployment=deployment,
    )


def _lasted(deployment: Deployment | None) -> float | None:
    if deployment is None or deployment.settled_at is None:
        return None
    return (deployment.settled_at - deployment.opened_at).total_seconds()


def _facts(
    tasks: Sequence[RunTask], deployment: Deployment | None, question: Question | None, run: Run, facts: RunFacts
) -> StageFacts:
    return StageFacts(
        task_states=[task.state for task in tasks],
        work=work_of(tasks),
        deployment=DeploymentState(deployment.state) if deployment is not None else None,
        rollback=deployment is not None and deployment.rolls_back is not None,
        asks=question is not None and question.option is None,
        answer=question.option if question is not None else None,
        answered=question is not None and bool(question.who),
        over=facts.left(deployment.environment, over=run.over) if deployment is not None else run.over,
    )


def _why(
    state: StepState,
    tasks: Sequence[RunTask],
    failed: Sequence[RunTask],
    deployment: Deployment | None,
    question: Question | None,
    run: Run,
    facts: RunFacts,
) -> str:
    if state is StepState.QUEUED:
        return _queued_behind(tasks, run, facts)
    if state in (StepState.REJECTED, StepState.TIMED_OUT):
        return (question.why if question else "") or ""
    if state is StepState.LEFT_UNFINISHED:
        return "Neither promoted nor rolled back, and nobody is at work on it."
    if deployment is not None and deployment.outcome:
        return deployment.outcome
    if state is StepState.FAILED:
        reasons = [str(task.result["failed"]) for task in failed if task.result.get("failed")]
        return reasons[0] if reasons else _without_reason(tasks, failed[0])
    return ""


def _without_reason(tasks: Sequence[RunTask], failed: RunTask) -> str:
    """What is known of a task of a stage without a deployment that has left no reason."""
    says = f"{failed.task_id} failed; its log says why."
    if failed.place.role is None or any(task.state == "success" for task in tasks):
        return says
    return (
        f"{says} The ledger has nothing of it, so it may never have begun: where its log is empty, the scheduler's log "
        "says why. Often workers do not reach Airflow's API server at the address of [api] base_url."
    )


def _queued_behind(tasks: Sequence[RunTask], run: Run, facts: RunFacts) -> str:
    owners = [facts.owners[task.place.environment] for task in tasks if task.place.environment in facts.owners]
    others = [lease for lease in owners if (lease.pipeline, lease.run_id) != (run.pipeline, run.run_id)]
    if not others:
        return ""
    # Another pipeline may be one that the reader may not see.
    mine = others[0].pipeline == run.pipeline
    return f"Run {others[0].run_id} owns it." if mine else "A run of another pipeline owns it."
