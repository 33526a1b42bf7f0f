"""The stages of a run: side by side where they may run at once, each with what it came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_cd.ledger import Deployment, Question
from airflow_cd.plugin.dag_runs.order import depths, grouped
from airflow_cd.plugin.dag_runs.tasks import Run, RunTask
from airflow_cd.plugin.run.facts import RunFacts
from airflow_cd.plugin.run.phases import UNDER_WAY, PhaseView, phases_of, seconds_of, work_of
from airflow_cd.sensors.approval import APPROVE, REJECT

ASKS = "waiting for a person"
_LOOKS = {
    "promoted": "good",
    "restored": "good",
    "done": "good",
    "approved": "good",
    "rolled back": "bad",
    "rolling back": "bad",
    "rollback failed": "bad",
    "rejected": "bad",
    "no answer in time": "bad",
    "failed": "bad",
    "left unfinished": "bad",
    "inconclusive": "bad",
    "passed": "good",
    "not reached": "idle",
    "not judged": "idle",
    "to come": "idle",
    "skipped": "idle",
}
_SIGNS = {
    "restored": "↩",
    "rolled back": "↩",
    "rolling back": "↩",
    ASKS: "?",
    "waiting for its turn": "…",
    "no answer in time": "✗",
    "not reached": "–",
    "skipped": "–",
    "to come": "○",
}


@dataclass(frozen=True)
class StageView:
    """One stage.

    :param group: whether it is a task group in Airflow, else a task.
    :param environment: where it delivers to, in words; its own name where it delivers to none, or to several.
    :param depth: how many stages come before it at least; equal ones stand side by side.
    :param state: in a person's words.
    :param seconds: how long it took, or has taken so far; None before it began.
    :param why: why it is as it is, in a sentence, where that is known.
    :param failed: the first of its tasks that failed, ``""`` if none did.
    """

    name: str
    environment: str
    group: bool
    depth: int
    state: str
    seconds: float | None = None
    why: str = ""
    failed: str = ""
    phases: Sequence[PhaseView] = ()
    question: Question | None = None
    deployment: Deployment | None = None

    @property
    def look(self) -> str:
        """``good``, ``bad``, ``wait`` or ``idle``."""
        return look_of(self.state)

    @property
    def asks(self) -> bool:
        """Whether it waits for a person."""
        return self.state == ASKS


def look_of(state: str) -> str:
    """How a stage or a phase in that state is drawn."""
    return _LOOKS.get(state, "wait")


def sign_of(state: str) -> str:
    """One character for it, beside the word."""
    return _SIGNS.get(state) or {"good": "✓", "bad": "✗", "idle": "○"}.get(look_of(state), "●")


def columns_of(run: Run, facts: RunFacts, now: datetime) -> list[list[StageView]]:
    """The stages in their order; a column holds those that may run at once."""
    by_stage = grouped(run.tasks, lambda task: task.stage)
    found = depths(by_stage)
    claims = _claims(by_stage, facts)
    columns: dict[int, list[StageView]] = {}
    for name, tasks in by_stage.items():
        columns.setdefault(found[name], []).append(_stage(name, found[name], tasks, claims.get(name), run, facts, now))
    shown = [columns[depth] for depth in sorted(columns)]
    # Airflow may have forgotten the run, or its author the task: what was deployed stays worth showing.
    taken = {deployment.id for deployment in claims.values()}
    rest = [deployment for deployment in facts.deployments if deployment.id not in taken]
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
        deploys = [name for name in there if "Deploy" in by_stage[name][0].place.operator]
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
    state = _state(tasks, deployment, question, over=run.over)
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


def _state(tasks: Sequence[RunTask], deployment: Deployment | None, question: Question | None, *, over: bool) -> str:
    states = {task.state for task in tasks}
    at_work = bool(states & set(UNDER_WAY)) and not over
    if at_work and question is not None and question.option is None:
        return ASKS
    if deployment is not None and deployment.state == "promoted" and deployment.rolls_back is not None:
        return "restored"
    if deployment is not None and deployment.state != "running":
        return deployment.state.replace("_", " ")
    if at_work:
        return work_of(tasks)
    if deployment is not None and over:
        return "left unfinished"
    if question is not None and question.option == REJECT:
        return "rejected" if question.who else "no answer in time"
    if "failed" in states:
        return "failed"
    if question is not None and question.option == APPROVE:
        return "approved"
    if states <= {"", "upstream_failed", "removed"}:
        return "not reached" if over or "upstream_failed" in states else "to come"
    if states <= {"skipped", "upstream_failed", "", "removed"}:
        return "skipped"
    return "under way" if "" in states and not over else "done"


def _why(
    state: str,
    tasks: Sequence[RunTask],
    failed: Sequence[RunTask],
    deployment: Deployment | None,
    question: Question | None,
    run: Run,
    facts: RunFacts,
) -> str:
    if state == "waiting for its turn":
        owners = [facts.owners[task.place.environment] for task in tasks if task.place.environment in facts.owners]
        others = [lease for lease in owners if (lease.pipeline, lease.run_id) != (run.pipeline, run.run_id)]
        if not others:
            return ""
        # Another pipeline may be one that the reader may not see.
        mine = others[0].pipeline == run.pipeline
        return f"Run {others[0].run_id} is there." if mine else "A run of another pipeline is there."
    if state in ("rejected", "no answer in time"):
        return (question.why if question else "") or ""
    if state == "left unfinished":
        return "Neither promoted nor rolled back; the next run here restores what ran before first."
    if deployment is not None and deployment.outcome:
        return deployment.outcome
    if state == "failed":
        told = [str(task.result["failed"]) for task in failed if task.result.get("failed")]
        return told[0] if told else f"{failed[0].task_id} failed; its log says why."
    return ""
