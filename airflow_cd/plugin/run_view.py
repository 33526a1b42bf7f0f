"""A run as its page shows it: stages in their order, what each came to, and the one sentence that matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_cd.ledger import Deployment, HumanAction, Phase, Question, VerdictRecord
from airflow_cd.plugin.run_tasks import RunTask
from airflow_cd.release import changes

_FAILED = ("failed", "upstream_failed")
_UNDER_WAY = ("running", "queued", "scheduled", "up_for_retry", "restarting", "deferred", "awaiting_input")
_LOOKS = {
    "promoted": "good",
    "done": "good",
    "approved": "good",
    "rolled back": "bad",
    "rollback failed": "bad",
    "rejected": "bad",
    "failed": "bad",
    "not reached": "idle",
    "skipped": "idle",
}


@dataclass(frozen=True)
class PhaseView:
    """A canary phase, or the verification of a whole environment.

    :param verdict: its last verdict, ``""`` before the first; ``final`` is False while it may change.
    :param task: the task whose report shows the evidence, ``""`` without a verdict.
    """

    name: str
    share: int
    verdict: str
    final: bool
    task: str


@dataclass(frozen=True)
class StageView:
    """One stage.

    :param depth: how many stages come before it at least; equal ones stand side by side.
    :param state: in a person's words; ``look`` is how it is drawn.
    :param seconds: how long it took, or has taken so far; None before it began.
    """

    name: str
    depth: int
    state: str
    look: str
    seconds: float | None
    outcome: str = ""
    phases: Sequence[PhaseView] = ()
    question: Question | None = None
    changed: Sequence[tuple[str, Any, Any]] = ()
    deployment: Deployment | None = None


@dataclass(frozen=True)
class RunFacts:
    """What the ledger holds of a run.

    :param phases: by id of the deployment; ``verdicts`` likewise, oldest first.
    :param questions: by task.
    """

    deployments: Sequence[Deployment]
    phases: Mapping[str, Sequence[Phase]] = field(default_factory=dict)
    verdicts: Mapping[str, Sequence[VerdictRecord]] = field(default_factory=dict)
    questions: Mapping[str, Question] = field(default_factory=dict)
    hands: Sequence[HumanAction] = ()


@dataclass(frozen=True)
class RunView:
    """The whole page.

    :param look: ``good``, ``bad`` or ``wait``; ``word`` is the same for those who do not see colours.
    :param columns: the stages, those side by side together.
    """

    look: str
    word: str
    says: str
    more: Sequence[str]
    columns: Sequence[Sequence[StageView]]
    clocks: Mapping[str, float | None]
    hands: Sequence[HumanAction]
    reason: str
    version: str
    over: bool


def view_of(tasks: Sequence[RunTask], facts: RunFacts, now: datetime) -> RunView:
    """Shape a run; ``now`` is what durations of what still runs count to."""
    by_stage: dict[str, list[RunTask]] = {}
    for task in tasks:
        by_stage.setdefault(task.stage, []).append(task)
    depths = _depths(by_stage)
    stages = [_stage(name, depths[name], by_stage[name], facts, now) for name in by_stage]
    columns = [
        sorted((stage for stage in stages if stage.depth == depth), key=lambda stage: stage.name)
        for depth in sorted(set(depths.values()))
    ]
    ordered = [stage for column in columns for stage in column]
    look, word, says, more = _headline(ordered)
    decisive = next((found for found in facts.deployments if found.verdict_at is not None), None)
    newest = facts.deployments[0] if facts.deployments else None
    return RunView(
        look=look,
        word=word,
        says=says,
        more=more,
        columns=columns,
        clocks={
            "To verdict": decisive.to_verdict if decisive else None,
            "To safe": decisive.to_safe if decisive else None,
            "To restored": decisive.to_restored if decisive else None,
        },
        hands=facts.hands,
        reason=newest.reason if newest else "",
        version=newest.release.version if newest else "",
        over=all(task.state not in (*_UNDER_WAY, "") for task in tasks),
    )


def _depths(by_stage: Mapping[str, Sequence[RunTask]]) -> dict[str, int]:
    """The longest way to each stage, counted in stages."""
    stage_of = {task.task_id: stage for stage, tasks in by_stage.items() for task in tasks}
    before = {
        stage: {stage_of[name] for task in tasks for name in task.upstream if name in stage_of} - {stage}
        for stage, tasks in by_stage.items()
    }
    depths: dict[str, int] = {}

    def depth(stage: str) -> int:
        if stage not in depths:
            depths[stage] = 1 + max((depth(name) for name in before[stage]), default=-1)
        return depths[stage]

    for stage in by_stage:
        depth(stage)
    return depths


def _stage(name: str, depth: int, tasks: Sequence[RunTask], facts: RunFacts, now: datetime) -> StageView:
    deployment = next((found for found in facts.deployments if found.environment == name), None)
    question = next((facts.questions[task.task_id] for task in tasks if task.task_id in facts.questions), None)
    state = _state(tasks, deployment, question)
    began = min((task.started for task in tasks if task.started), default=None)
    ended = max((task.ended for task in tasks if task.ended), default=None)
    if any(task.state in _UNDER_WAY for task in tasks):
        ended = now
    before = next((release for release in deployment.previous.values() if release), None) if deployment else None
    return StageView(
        name=name,
        depth=depth,
        state=state,
        look=_LOOKS.get(state, "wait"),
        seconds=(ended - began).total_seconds() if began and ended else None,
        outcome=deployment.outcome if deployment else "",
        phases=_phases(deployment, facts) if deployment else (),
        question=question,
        changed=changes(before, deployment.release) if deployment else (),
        deployment=deployment,
    )


def _state(tasks: Sequence[RunTask], deployment: Deployment | None, question: Question | None) -> str:
    states = {task.state for task in tasks}
    if question is not None and question.option is None and states & set(_UNDER_WAY):
        return "waiting for a person"
    if deployment is not None and deployment.state != "running":
        return deployment.state.replace("_", " ")
    if question is not None and question.option in ("Approve", "Reject"):
        return "approved" if question.option == "Approve" else "rejected"
    if "failed" in states:
        return "failed"
    if states <= {"", "upstream_failed"} or not states:
        return "not reached"
    if states <= {"skipped", "upstream_failed"}:
        return "skipped"
    return "under way" if states & {*_UNDER_WAY, ""} else "done"


def _phases(deployment: Deployment, facts: RunFacts) -> list[PhaseView]:
    verdicts = facts.verdicts.get(deployment.id, ())
    views = []
    for phase in facts.phases.get(deployment.id, ()):
        last = next((verdict for verdict in reversed(verdicts) if verdict.phase == phase.name), None)
        task = f"{deployment.environment}.{phase.name}.verify" if last else ""
        views.append(PhaseView(phase.name, phase.share, last.verdict if last else "", bool(last and last.final), task))
    return views


def _headline(stages: Sequence[StageView]) -> tuple[str, str, str, list[str]]:
    """How the run looks, in a word, in a sentence, and what belongs beside it."""
    bad = [stage for stage in stages if stage.look == "bad"]
    good = [stage for stage in stages if stage.deployment and stage.state == "promoted"]
    runs = "; ".join(f"{stage.name} runs {stage.deployment.release.version}" for stage in good if stage.deployment)
    there = [f"{runs}."] if runs else []
    asked = [stage.question for stage in stages if stage.question and stage.state == "waiting for a person"]
    if asked:
        who = " or ".join(asked[0].approvers) or "anybody who may edit the run"
        return "wait", "WAITING", f"{asked[0].subject} Waits for {who}.", there
    if bad:
        first = bad[0]
        why = first.outcome or (first.question.why if first.question else "") or "its tasks' logs say why"
        more = [f"{stage.name}: {stage.state}. {stage.outcome}".strip() for stage in bad[1:]]
        return "bad", first.state.upper(), f"{first.name}: {why}", more + there
    now = [stage.name for stage in stages if stage.look == "wait"]
    if now:
        return "wait", "UNDER WAY", f"Now in {', '.join(now)}.", there
    if not runs:
        return "wait", "NOTHING DEPLOYED", "This run has deployed nothing.", []
    return "good", "DONE", f"{runs}.", []
