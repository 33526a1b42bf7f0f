"""A question as its page shows it: what would change, what was found so far, who may answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_cd.answers import ROLL_BACK
from airflow_cd.commits import Commits
from airflow_cd.ledger import AuditRecord, Deployment, Ledger, Question
from airflow_cd.operators.question import TIMED_OUT
from airflow_cd.plugin.dag_runs.tasks import Run
from airflow_cd.plugin.states import Look
from airflow_cd.plugin.words import approvers_label, deployment_label
from airflow_cd.release import Release, changed_beside_version, changes
from airflow_cd.sensors.approval import APPROVE, REJECT
from airflow_cd.targets import TargetLabel, label_of
from airflow_cd.task_ids import verify_task

_NO = (REJECT, ROLL_BACK)


@dataclass(frozen=True)
class Proposal:
    """What one environment would get.

    :param target: how it is reached; None where nothing is known of it.
    :param release: the release.
    :param running: what it would replace, or has replaced: the last release promoted there, None without one.
    :param rows: name, what it is now, what it would be.
    :param vetoed: why the release may not go there, ``""`` when it may.
    """

    environment: str
    running: Release | None
    release: Release
    rows: Sequence[tuple[str, Any, Any]]
    vetoed: str
    target: TargetLabel | None = None

    @property
    def changed(self) -> str:
        """What its version does not say."""
        return changed_beside_version(self.running, self.release)


@dataclass(frozen=True)
class Found:
    """What an environment of the run came to.

    :param state: of its deployment, as people say it.
    :param outcome: why, in a sentence.
    :param since: when its deployment was started.
    :param verdict: the last final verdict, ``""`` without one.
    :param report: task whose report tells more, ``""`` without one.
    """

    environment: str
    state: str
    outcome: str
    since: datetime
    verdict: str
    report: str


@dataclass(frozen=True)
class QuestionView:
    """Everything on the page.

    :param options: what can be answered, and whether that is a no.
    :param commits: what the release brings, with the environments where it is the same.
    :param may: whether this reader may answer; checked again when the answer comes.
    :param reader: their name.
    :param proposals: what each environment would get.
    :param found: what the environments of this run have come to so far.
    :param report: whether it is asked after a verification, whose report tells more.
    :param manual_actions: answers and attempts to answer, newest first.
    :param by: who asked for the run, ``""`` when nobody did, or Airflow does not know it any more.
    :param why: the reason that they gave, ``""`` for none.
    :param asked: what was asked for, by name; what is missing is as the pipeline has it by default.
    """

    question: Question
    options: Sequence[tuple[str, bool]]
    may: bool
    reader: str
    proposals: Sequence[Proposal]
    commits: Sequence[tuple[Sequence[str], Commits]]
    found: Sequence[Found]
    report: bool
    manual_actions: Sequence[AuditRecord]
    by: str = ""
    why: str = ""
    asked: Sequence[tuple[str, Any]] = ()

    @property
    def look(self) -> Look:
        """How the banner is drawn."""
        if self.question.option is None:
            return Look.WAIT
        return Look.BAD if self.question.option in _NO else Look.GOOD

    @property
    def status(self) -> str:
        """Where the question stands, in one sentence."""
        question = self.question
        if question.option is None:
            return f"Waiting for {approvers_label(question.approvers)}."
        if not question.who:
            return f"{TIMED_OUT.capitalize()}, so the default answer was applied: {question.option}."
        done = {APPROVE: "Approved", REJECT: "Rejected"}.get(question.option, f"Answered “{question.option}”")
        return f"{done} by {question.who}."


def view_of(ledger: Ledger, question: Question, reader: str, run: Run | None = None) -> QuestionView:
    """Gather what the page shows.

    :param ledger: where it is.
    :param question: the question, answered or not.
    :param reader: name of the user who looks.
    :param run: the run as Airflow has it; None when it does not know it.
    """
    deployments = ledger.deployments.matching(pipeline=question.pipeline, run_id=question.run_id)
    manual_actions = ledger.audit.actions(pipeline=question.pipeline, run_id=question.run_id)
    newest = deployments[0] if deployments else None
    reason = run.asked.get("reason") if run else None
    return QuestionView(
        question=question,
        options=[(option, option in _NO) for option in question.options],
        may=not question.approvers or reader in question.approvers,
        reader=reader,
        proposals=_proposals(ledger, question, deployments),
        commits=_together(question.commits),
        report=ROLL_BACK in question.options,
        found=[_found(ledger, deployment) for deployment in reversed(deployments)],
        manual_actions=[action for action in manual_actions if action.task_id == question.task_id],
        by=(run.by if run else "") or (newest.triggered_by if newest else ""),
        why=reason if isinstance(reason, str) and reason.strip() else newest.reason if newest else "",
        asked=sorted(run.asked.items()) if run else (),
    )


def _proposals(ledger: Ledger, question: Question, deployments: Sequence[Deployment]) -> list[Proposal]:
    claims = {
        name: (release.service, name, question.pipeline, question.run_id) for name, release in question.proposed.items()
    }
    targets = ledger.work.targets_of(claims.values())
    found = [_proposal(ledger, question, deployments, name) for name in claims]
    return [replace(one, target=label_of(targets.get(claims[one.environment]))) for one in found]


def _proposal(ledger: Ledger, question: Question, deployments: Sequence[Deployment], environment: str) -> Proposal:
    """What would change there; once the run has deployed there, what its deployment changed."""
    release = question.proposed[environment]
    done = next((deployment for deployment in deployments if deployment.environment == environment), None)
    if done is not None:
        before = next((old for old in done.previous.values() if old is not None), None)
        return Proposal(environment, before, release, changes(before, release), "")
    last = ledger.deployments.last_promoted(release.service, environment)
    running = last.release if last else None
    veto = ledger.vetoes.in_force(release.service, environment, release)
    return Proposal(environment, running, release, changes(running, release), veto.reason if veto else "")


def _together(commits: Mapping[str, Commits]) -> list[tuple[list[str], Commits]]:
    together: dict[Commits, list[str]] = {}
    for environment, found in commits.items():
        together.setdefault(found, []).append(environment)
    return [(names, found) for found, names in together.items()]


def _found(ledger: Ledger, deployment: Deployment) -> Found:
    verdicts = [verdict for verdict in ledger.verdicts.of(deployment.id) if verdict.final]
    last = verdicts[-1] if verdicts else None
    return Found(
        deployment.environment,
        deployment_label(deployment.state, deployment.release.version, rollback=deployment.rolls_back is not None),
        deployment.outcome,
        deployment.opened_at,
        last.verdict if last else "",
        verify_task(deployment.environment, last.phase) if last else "",
    )
