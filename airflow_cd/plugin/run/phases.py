"""The phases of a stage as the page of a run shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_cd.ledger import Deployment, Phase, VerdictRecord
from airflow_cd.pipeline.task_ids import phase_of, share_of_phase, verify_task
from airflow_cd.plugin.dag_runs.order import grouped
from airflow_cd.plugin.dag_runs.task_states import UNDER_WAY
from airflow_cd.plugin.dag_runs.tasks import Run, RunTask
from airflow_cd.plugin.run.decisions import PhaseFacts, phase_state, work_of
from airflow_cd.plugin.run.facts import RunFacts
from airflow_cd.plugin.states import StepState
from airflow_cd.plugin.words import step_label
from airflow_cd.states import DeploymentState, Role
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

    @property
    def title(self) -> str:
        """The phase as people say it."""
        if self.share is None:
            return self.name
        return f"Canary {self.share} %" if self.share < 100 else "100 %"

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
    """
    begun = {phase.name: phase for phase in (facts.phases.get(deployment.id, ()) if deployment else ())}
    verdicts = facts.verdicts.get(deployment.id, ()) if deployment else ()
    planned = grouped(tasks, _group)
    names = [*(name for name in planned), *(name for name in begun if name not in planned)]
    last = next(reversed(begun), "")
    views = []
    for name in names:
        verdict = next((found for found in reversed(verdicts) if found.phase == name), None)
        if name not in planned and verdict is None and len(begun) == 1:
            continue
        own = planned.get(name, [])
        reasons, looks = reasons_of(verdict), verdict.evidence.get("looks") if verdict else 0
        views.append(
            PhaseView(
                name=name,
                share=begun[name].share if name in begun else share_of_phase(name),
                state=_state(own, begun.get(name), verdict, deployment if name == last else None, run),
                instances=len(begun[name].instances) if name in begun else 0,
                of=len(deployment.previous) if deployment else 0,
                verdict=verdict.verdict if verdict else "",
                final=bool(verdict and verdict.final),
                reason=reasons[0] if reasons else "",
                looks=looks if isinstance(looks, int) else 0,
                task=_report(name, own, run, deployment) if verdict and deployment else "",
                seconds=seconds_of(own, now),
            )
        )
    return views


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
    run: Run,
) -> StepState:
    return phase_state(
        PhaseFacts(
            task_states=[task.state for task in tasks],
            work=work_of(tasks),
            verdict=Verdict(verdict.verdict) if verdict is not None and verdict.final else None,
            begun=phase is not None,
            deployed=phase is not None and phase.deployed_at is not None,
            deployment=DeploymentState(deployment.state) if deployment is not None else None,
            over=run.over,
        )
    )
