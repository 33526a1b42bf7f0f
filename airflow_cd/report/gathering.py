"""The report of one verification, gathered from the ledger: the judgement, then what was done about it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_cd.ledger import Deployment, Ledger

REPORT_VERSION = 1


def report_of(ledger: Ledger, pipeline: str, run_id: str, task_id: str) -> dict[str, Any] | None:
    """The report as JSON values, or None when the task has judged nothing.

    In a hand-written DAG, whose tasks have other names than :func:`verify_task` gives, the last verdict of the run is
    taken.
    """
    deployments = ledger.deployments.matching(pipeline=pipeline, run_id=run_id)
    parts = task_id.split(".")
    named = [found for found in deployments if found.environment == parts[0]]
    phase = parts[-2] if len(parts) > 2 else None
    for deployment in named or deployments:
        verdicts = ledger.verdicts.of(deployment.id, phase) or ([] if named else ledger.verdicts.of(deployment.id))
        if verdicts:
            return _gather(ledger, deployment, verdicts[-1])
    return None


def verify_task(environment: str, phase: str) -> str:
    """The id that a pipeline gives to the task which verifies a phase."""
    return f"{environment}.{phase}.verify"


def _gather(ledger: Ledger, deployment: Deployment, verdict: Any) -> dict[str, Any]:
    previous = {release.digest: release for release in deployment.previous.values() if release is not None}
    return {
        "schema": REPORT_VERSION,
        "service": deployment.service,
        "pipeline": deployment.pipeline,
        "run_id": deployment.run_id,
        "environment": deployment.environment,
        "phase": verdict.phase,
        "release": deployment.release.as_dict(),
        "previous": [release.as_dict() for release in previous.values()],
        "judgement": verdict.evidence,
        "actions": [
            {
                "kind": action.kind,
                "ok": action.ok,
                "began": _iso(action.began_at),
                "ended": _iso(action.ended_at),
                "detail": dict(action.detail),
            }
            for action in ledger.actions.of(deployment.id)
        ],
        "clocks": {
            "to_verdict": deployment.to_verdict,
            "to_safe": deployment.to_safe,
            "to_restored": deployment.to_restored,
        },
        "outcome": {"state": deployment.state, "text": deployment.outcome},
        "human": [
            {"who": action.who, "action": action.action, "when": _iso(action.at), "why": action.why}
            for action in ledger.audit.actions(pipeline=deployment.pipeline, run_id=deployment.run_id)
        ],
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
