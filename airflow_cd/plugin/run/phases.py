"""The phases of a stage as the page of a run shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_cd.ledger import Deployment, Phase, VerdictRecord
from airflow_cd.plugin.dag_runs.order import grouped
from airflow_cd.plugin.dag_runs.task_states import UNDER_WAY
from airflow_cd.plugin.dag_runs.tasks import Run, RunTask
from airflow_cd.plugin.run.decisions import PhaseFacts, phase_state, work_of
from airflow_cd.plugin.run.facts import RunFacts
from airflow_cd.plugin.states import StepState
from airflow_cd.plugin.words import phase_title, step_label
from airflow_cd.states import DeploymentState, Role
from airflow_cd.targets.label import REVISION
from airflow_cd.task_ids import phase_of, share_of_phase, verify_task
from airflow_cd.verification.verdict import Verdict


@dataclass(frozen=True)
class PhaseView:
    """A phase of a canary, or the verification of a whole environment.

    :param name: name of its task group.
    :param share: percent of the environment, None when neither the ledger nor its name says it.
    :param state: how far it has come.
    :param instances: how many have, or may have, the release; ``of`` how many there are.
    :param verdict: its last verdict, ``""`` before the first; ``final`` is False while it may change.
    :param reason: what the verdict rests on, in a sentence.
    :param looks: how often the verification has looked so far.
    :param task: the task whose report shows the evidence, ``""`` without a verdict.
    :param seconds: how long it took, or has taken so far; None before it began.
    :param traffic: percent of the requests, where the share does not say it.
    """

    name: str
    share: int | None
    state: StepState
    instances: int = 0
    of: int = 0
    verdict: str = ""
    final: bool = False
    reason: str = ""
    looks: int = 0
    task: str = ""
    seconds: float | None = None
    traffic: int | None = None

    @property
    def title(self) -> str:
        """The phase as people say it."""
        return phase_title(self.name, self.share, self.traffic)

    @property
    def label(self) -> str:
        """Its state as people say it."""
        return step_label(self.state)


def seconds_of(tasks: Sequence[RunTask], now: datetime) -> float | None:
    """How long the tasks took together, or have taken so far; None before the first began.

    :param tasks: of one stage or phase.
    :param now: what is still at work counts up to this.
    """
    began = min((task.started for task in tasks if task.started), default=None)
    ended = max((task.ended for task in tasks if task.ended), default=None)
    if any(task.state in UNDER_WAY for task in tasks):
        ended = now
    return max(0.0, (ended - began).total_seconds()) if began and ended else None


def reasons_of(verdict: VerdictRecord | None) -> list[str]:
    """The reasons of a verdict, the decisive one first.

    :param verdict: its evidence may have any shape: what cannot be read gives no reasons.
    """
    reasons: Any = verdict.evidence.get("reasons") if verdict else None
    texts = [reason.get("text") for reason in reasons or [] if isinstance(reason, dict)]
    return [text for text in texts if isinstance(text, str) and text]


def phases_of(
    tasks: Sequence[RunTask], deployment: Deployment | None, facts: RunFacts, run: Run, now: datetime
) -> list[PhaseView]:
    """Those of a stage's tasks that have begun and those that are still to come, in their order.

    The one phase of an environment that nobody verifies is no phase to a reader.

    :param tasks: of the stage.
    :param deployment: what the stage has deployed, None before.
    :param facts: what the ledger holds of the run.
    :param run: the run.
    :param now: what is still at work counts up to this.
    """
    planned = grouped(tasks, _group)
    if deployment is None:
        return [_planned(name, own, run, now) for name, own in planned.items()]
    begun = {phase.name: phase for phase in facts.phases.get(deployment.id, ())}
    verdicts = {verdict.phase: verdict for verdict in facts.verdicts.get(deployment.id, ())}
    last = next(reversed(begun), "")
    over = facts.left(deployment.environment, over=run.over)
    views = []
    for name in dict.fromkeys((*planned, *begun)):
        verdict, own = verdicts.get(name), planned.get(name, [])
        if name not in planned and verdict is None and len(begun) == 1:
            continue
        view = _planned(name, own, run, now)
        if (phase := begun.get(name)) is not None:
            target = facts.targets.get(deployment.environment)
            # A release that is a revision has one, whatever its share is.
            counted = target is None or target.instance != REVISION
            instances = len(phase.instances) if counted else 0
            view = replace(view, share=phase.share, traffic=phase.traffic, instances=instances)
        if verdict is not None:
            view = replace(view, task=_report(name, own, run, deployment), **_judged(verdict))
        asks = any((asked := facts.questions.get(task.task_id)) and asked.option is None for task in own)
        state = _state(own, begun.get(name), verdict, deployment, over=over, last=name == last, asks=asks)
        views.append(replace(view, state=state, of=_instances(deployment, view, facts)))
    return views


def _instances(deployment: Deployment, view: PhaseView, facts: RunFacts) -> int:
    """How many the environment has in that phase: the replicas of a canary stand beside those that were there."""
    beside = any(one.instance.track is not None for one in facts.running.get(deployment.environment, ()))
    partly = (view.share or 0) < 100 or view.traffic is not None
    return len(deployment.previous) + (view.instances if beside and partly else 0)


def _planned(name: str, tasks: Sequence[RunTask], run: Run, now: datetime) -> PhaseView:
    """The phase as far as its tasks are concerned."""
    state = _state(tasks, None, None, None, over=run.over, last=False, asks=False)
    return PhaseView(name, share_of_phase(name), state, seconds=seconds_of(tasks, now))


def _judged(verdict: VerdictRecord) -> dict[str, Any]:
    """What a phase's last verdict adds to its view."""
    looks = verdict.evidence.get("looks")
    return {
        "verdict": verdict.verdict,
        "final": verdict.final,
        "reason": next(iter(reasons_of(verdict)), ""),
        "looks": looks if isinstance(looks, int) else 0,
    }


def _group(task: RunTask) -> str:
    return phase_of(task.task_id) if task.place.role else ""


def _report(name: str, own: Sequence[RunTask], run: Run, deployment: Deployment) -> str:
    there = own or [task for task in run.tasks if task.place.environment == deployment.environment]
    judges = [task.task_id for task in there if task.place.role is Role.VERIFY]
    return judges[0] if judges else verify_task(deployment.environment, name)


def _state(
    tasks: Sequence[RunTask],
    phase: Phase | None,
    verdict: VerdictRecord | None,
    deployment: Deployment | None,
    *,
    over: bool,
    last: bool,
    asks: bool,
) -> StepState:
    return phase_state(
        PhaseFacts(
            task_states=[task.state for task in tasks],
            work=None if over else work_of(tasks),
            verdict=Verdict(verdict.verdict) if verdict is not None and verdict.final else None,
            begun=phase is not None,
            deployed=phase is not None and phase.deployed_at is not None,
            deployment=DeploymentState(deployment.state) if deployment is not None and last else None,
            first=deployment is not None and deployment.first,
            asks=asks,
            over=over,
        )
    )
