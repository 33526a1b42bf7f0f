"""The phases of a stage as the page of a run shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_cd.ledger import Deployment, Phase, VerdictRecord
from airflow_cd.plugin.dag_runs.order import grouped
from airflow_cd.plugin.dag_runs.tasks import Run, RunTask
from airflow_cd.plugin.run.facts import RunFacts
from airflow_cd.report.gathering import verify_task

ACTIVE = ("running", "queued", "scheduled", "restarting", "deferred", "awaiting_input", "up_for_reschedule")
"""Airflow's words for a task that is at work, or will be without anybody's doing."""
UNDER_WAY = (*ACTIVE, "up_for_retry")
_NAMED = "phase_"
_JUDGED = {"PASS": "passed", "FAIL": "failed", "INCONCLUSIVE": "inconclusive"}
_WORK = {
    "RollbackOperator": "rolling back",
    "RollbackToOperator": "going back",
    "VerifyOperator": "verifying",
    "DeploymentMarkerOperator": "deploying",
    "CanaryDeployOperator": "deploying",
    "DeployOperator": "deploying",
    "PromoteOperator": "promoting",
    "LeaseSensor": "waiting for its turn",
    "SettleOperator": "settling",
}


@dataclass(frozen=True)
class PhaseView:
    """A phase of a canary, or the verification of a whole environment.

    :param share: percent of the environment, None when neither the ledger nor its name says it.
    :param instances: how many have, or may have, the release; ``of`` how many there are.
    :param verdict: its last verdict, ``""`` before the first; ``final`` is False while it may change.
    :param reason: what the verdict rests on, in a sentence.
    :param task: the task whose report shows the evidence, ``""`` without a verdict.
    """

    name: str
    share: int | None
    state: str
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


def work_of(tasks: Sequence[RunTask]) -> str:
    """What the tasks do now, ``""`` when none of them is at work."""
    at_work = {task.place.operator for task in tasks if task.state in UNDER_WAY}
    return next((word for operator, word in _WORK.items() if operator in at_work), "under way" if at_work else "")


def seconds_of(tasks: Sequence[RunTask], now: datetime) -> float | None:
    """How long the tasks took together, or have taken so far; None before the first began."""
    began = min((task.started for task in tasks if task.started), default=None)
    ended = max((task.ended for task in tasks if task.ended), default=None)
    if any(task.state in UNDER_WAY for task in tasks):
        ended = now
    return max(0.0, (ended - began).total_seconds()) if began and ended else None


def said(verdict: VerdictRecord | None) -> list[str]:
    """The reasons of a verdict, the decisive one first; evidence of whatever shape."""
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
        reasons, looks = said(verdict), verdict.evidence.get("looks") if verdict else 0
        views.append(
            PhaseView(
                name=name,
                share=begun[name].share if name in begun else _share(name),
                state=_state(own, begun.get(name), verdict, deployment if name == last else None, over=run.over),
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
    parts = task.task_id.split(".")
    return parts[1] if len(parts) > 2 and task.place.ours else ""


def _share(name: str) -> int | None:
    number = name.removeprefix(_NAMED)
    return int(number) if name.startswith(_NAMED) and number.isdecimal() else None


def _report(name: str, own: Sequence[RunTask], run: Run, deployment: Deployment) -> str:
    there = own or [task for task in run.tasks if task.place.environment == deployment.environment]
    judges = [task.task_id for task in there if task.place.operator == "VerifyOperator"]
    return judges[0] if judges else verify_task(deployment.environment, name)


def _state(
    tasks: Sequence[RunTask],
    phase: Phase | None,
    verdict: VerdictRecord | None,
    settled: Deployment | None,
    *,
    over: bool,
) -> str:
    """In a person's words; ``settled`` is the deployment when this is its last phase."""
    if settled is not None and settled.state in ("rolled_back", "rolling_back", "rollback_failed"):
        return settled.state.replace("_", " ")
    if work := work_of(tasks):
        return work
    if verdict is not None and verdict.final:
        return _JUDGED.get(verdict.verdict, verdict.verdict)
    if any(task.state == "failed" for task in tasks):
        return "failed"
    if phase is None:
        passed_over = any(task.state in ("skipped", "upstream_failed") for task in tasks)
        return "not reached" if over or passed_over else "to come"
    return "not judged" if over else "deployed" if phase.deployed_at else "under way"
