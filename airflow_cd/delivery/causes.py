"""Why a deployment is rolled back: said once, by whoever knows, and remembered for whoever restores it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_cd.answers import ROLL_BACK
from airflow_cd.report.manual_actions import manual_action_label
from airflow_cd.states import ActionKind, HumanAction, RollbackCause
from airflow_cd.verification.verdict import Judgement, Verdict
from airflow_cd.wording import without_bullets

if TYPE_CHECKING:
    from airflow_cd.errors import DeploymentFailed
    from airflow_cd.ledger import Deployment, Ledger, VerdictRecord

NOT_RESTORED = "; not restored yet: "
"""What a rollback that could not finish adds to the reason, in a deployment's outcome."""


@dataclass(frozen=True)
class Why:
    """Why a deployment is rolled back.

    :param cause: decides whether the release is vetoed.
    :param text: the same in one sentence.
    """

    cause: RollbackCause
    text: str


def known_reason(deployment: Deployment) -> Why | None:
    """What was recorded against the deployment before its rollback; None where nothing was.

    :param deployment: as the ledger has it.
    """
    if deployment.cause is None:
        return None
    return Why(deployment.cause, deployment.outcome.partition(NOT_RESTORED)[0])


def unfinished_reason(ledger: Ledger, deployment: Deployment, otherwise: Why) -> Why:
    """Why a deployment that its run left unfinished is restored.

    :param ledger: its side effects and people's marks are in there.
    :param deployment: the deployment.
    :param otherwise: the reason where nothing is recorded that decides.
    """
    if known := known_reason(deployment):
        return known
    if verdict := standing_verdict(ledger, deployment):
        return verdict
    if failure := deploy_error(ledger, deployment):
        return Why(RollbackCause.FAULT, f"the deployment failed: {failure}")
    for action in ledger.audit.actions(pipeline=deployment.pipeline, run_id=deployment.run_id):
        if action.allowed and action.action in (HumanAction.MARKED_RUN_FAILED, HumanAction.MARKED_RUN_SUCCESS):
            why = f": {action.why}" if action.why else ""
            # It ends the run, and implies nothing about the release: a rollback has ways of its own.
            return Why(
                RollbackCause.RUN_ENDED, f"{otherwise.text}: {action.who} {manual_action_label(action.action)}{why}"
            )
    return otherwise


def standing_verdict(ledger: Ledger, deployment: Deployment) -> Why | None:
    """What the last final verdict holds against the release, where nothing and nobody has gone on after it.

    :param ledger: verdicts, phases and people's answers are in there.
    :param deployment: one that is neither promoted nor rolled back.
    """
    final = [one for one in ledger.verdicts.of(deployment.id) if one.final]
    phases = ledger.phases.of(deployment.id)
    if not final or not phases or final[-1].phase != phases[-1].name:
        return None
    for question in ledger.questions.of_run(deployment.pipeline, deployment.run_id):
        later = question.answered_at is not None and question.answered_at > final[-1].recorded_at
        if later and question.option != ROLL_BACK:
            return None
    return verdict_reason(final[-1])


def deploy_error(ledger: Ledger, deployment: Deployment) -> str:
    """The error of the last attempt to deploy, ``""`` when it did not fail.

    :param ledger: its side effects are in there.
    :param deployment: the deployment.
    """
    attempts = [action for action in ledger.actions.of(deployment.id) if action.kind == ActionKind.DEPLOY]
    failed = bool(attempts) and attempts[-1].ok is False
    return without_bullets(str(attempts[-1].detail.get("error", ""))) if failed else ""


def failure_of(error: DeploymentFailed) -> Why:
    """Whose fault it is that a release did not come up.

    :param error: which instances are how.
    """
    cause = RollbackCause.UNHEALTHY if error.unhealthy else RollbackCause.FAULT
    return Why(cause, f"the deployment failed: {without_bullets(error.what)}")


def verdict_reason(verdict: VerdictRecord) -> Why | None:
    """What a verdict holds against a release; None for a PASS.

    :param verdict: a final one.
    """
    causes = {Verdict.FAIL: RollbackCause.FAILED, Verdict.INCONCLUSIVE: RollbackCause.INCONCLUSIVE}
    cause = causes.get(Verdict(verdict.verdict))
    return Why(cause, Judgement.from_dict(verdict.evidence).sentence) if cause is not None else None
