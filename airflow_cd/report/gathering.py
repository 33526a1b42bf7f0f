"""The report of one verification, gathered from the ledger: the judgement, then what was done about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_cd.report.report import Action, Clocks, ManualAction, Outcome, Report, ReportedRelease
from airflow_cd.targets import TargetLabel, label_of
from airflow_cd.task_ids import innermost_group, stage_of

if TYPE_CHECKING:
    from airflow_cd.ledger import Action as ActionRecord
    from airflow_cd.ledger import AuditRecord, Deployment, Ledger
    from airflow_cd.verification.verdict import Judgement


def report_of(ledger: Ledger, pipeline: str, run_id: str, task_id: str) -> Report | None:
    """The report of a task, None when the task has judged nothing.

    In a hand-written DAG, whose task ids say neither environment nor phase, the last verdict of the run is taken.

    :param ledger: where it is kept.
    :param pipeline: id of the DAG.
    :param run_id: id of its run.
    :param task_id: id of the task that verifies.
    """
    deployments = ledger.deployments.matching(pipeline=pipeline, run_id=run_id)
    named = [found for found in deployments if found.environment == stage_of(task_id)]
    phase = innermost_group(task_id) or None
    for deployment in named or deployments:
        verdicts = ledger.verdicts.of(deployment.id, phase) or ([] if named else ledger.verdicts.of(deployment.id))
        if verdicts:
            return deployment_report(
                deployment,
                verdicts[-1].evidence,
                phase=verdicts[-1].phase,
                actions=ledger.actions.of(deployment.id),
                audit=ledger.audit.actions(pipeline=deployment.pipeline, run_id=deployment.run_id),
                target=str(_target(ledger, deployment) or ""),
            )
    return None


def deployment_report(
    deployment: Deployment,
    evidence: Judgement | Mapping[str, Any],
    *,
    phase: str = "",
    actions: Sequence[ActionRecord] = (),
    audit: Sequence[AuditRecord] = (),
    target: str = "",
) -> Report:
    """The report of a deployment.

    :param deployment: as the ledger has it.
    :param evidence: the judgement of one of its phases, or as the ledger stored it.
    :param phase: which phase was judged.
    :param actions: the side effects of the deployment, oldest first.
    :param audit: what people did by hand in its run, oldest first.
    :param target: kind and name of how the environment is reached.
    """
    previous = {release.digest: release for release in deployment.previous.values() if release is not None}
    return Report(
        evidence,
        service=deployment.service,
        pipeline=deployment.pipeline,
        run_id=deployment.run_id,
        environment=deployment.environment,
        phase=phase,
        release=ReportedRelease.of(deployment.release),
        previous=[ReportedRelease.of(release) for release in previous.values()],
        actions=[
            Action(action.kind, action.ok, _iso(action.began_at), _iso(action.ended_at), dict(action.detail))
            for action in actions
        ],
        clocks=Clocks(deployment.to_verdict, deployment.to_safe, deployment.to_restored),
        outcome=Outcome(str(deployment.state), deployment.outcome, deployment.at_fault),
        manual_actions=[ManualAction(record.who, record.action, _iso(record.at), record.why) for record in audit],
        rolls_back=deployment.rolls_back is not None,
        target=target,
        changed=deployment.changed,
    )


def _target(ledger: Ledger, deployment: Deployment) -> TargetLabel | None:
    claim = (deployment.service, deployment.environment, deployment.pipeline, deployment.run_id)
    return label_of(ledger.work.targets_of([claim]).get(claim))


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
