"""A verdict that the ledger could not record when it was reached: recorded when it is back, whoever restored since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_cd.answers import ROLL_BACK
from airflow_cd.delivery.bounded_evidence import bounded
from airflow_cd.delivery.causes import verdict_reason
from airflow_cd.states import HumanAction
from airflow_cd.verification.verdict import Judgement

if TYPE_CHECKING:
    from airflow_cd.delivery.delivery import Delivery
    from airflow_cd.ledger import AuditRecord, Deployment, VerdictRecord

HANDED_VERDICT = "airflow_cd_verdict"
"""XCom of a verification whose verdict the ledger could not record."""


@dataclass(frozen=True)
class HandedVerdict:
    """A final verdict, as its verification has handed it over beside the ledger.

    :param phase: name of the phase.
    :param evidence: the judgement, as :meth:`~airflow_cd.verification.verdict.Judgement.as_dict` writes it, bounded.
    :param environment: name of the environment; ``""`` in what was handed over before it was named.
    :param task_id: of the verification; ``""`` likewise.
    """

    phase: str
    evidence: Mapping[str, Any]
    environment: str = ""
    task_id: str = ""

    def __post_init__(self) -> None:
        # Whoever handed it over may not have.
        object.__setattr__(self, "evidence", bounded(self.evidence))

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, which :meth:`from_dict` reads."""
        return {
            "phase": self.phase,
            "judgement": dict(self.evidence),
            "environment": self.environment,
            "task_id": self.task_id,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> HandedVerdict:
        """The verdict that was written by :meth:`as_dict`.

        :raises KeyError: it is none; so do ``TypeError`` and ``ValueError``.
        """
        Judgement.from_dict(content["judgement"])
        return cls(
            str(content["phase"]),
            dict(content["judgement"]),
            str(content.get("environment") or ""),
            str(content.get("task_id") or ""),
        )


def write_down(delivery: Delivery, handed: Iterable[HandedVerdict]) -> None:
    """Record verdicts that were handed over, and what they hold against the release.

    Whoever has restored the environment meanwhile, the guard or a later run, did not know them: a release that is at
    fault is then vetoed now. What a person, or the run itself, has gone on after is held against nobody.

    :param delivery: the environment, in the hands of the run, or of whoever finishes for it.
    :param handed: verdicts of the run.
    :raises LedgerUnavailable: it is away again.
    """
    deployment = delivery.deployment()
    if deployment is None:
        return
    for one in handed:
        if one.environment not in ("", delivery.environment):
            continue
        record = _recorded(delivery, deployment, one)
        why = verdict_reason(record)
        if why is not None and why.cause.vetoes and _stands(delivery, deployment, one, record):
            delivery.ledger.settlement.condemn(deployment.id, cause=why.cause, outcome=why.text)


def _recorded(delivery: Delivery, deployment: Deployment, handed: HandedVerdict) -> VerdictRecord:
    verdicts, judgement = delivery.ledger.verdicts, Judgement.from_dict(handed.evidence)
    for known in verdicts.of(deployment.id, handed.phase):
        if known.final and known.evidence.get("decided") == judgement.decided:
            return known
    lease = delivery.held()
    record = verdicts.record(
        deployment.id,
        handed.phase,
        token=lease.token if lease is not None else None,
        verdict=str(judgement.verdict),
        evidence=handed.evidence,
        final=True,
    )
    delivery.ledger.deployments.set_clock(
        deployment.id, verdict_at=_time(judgement.decided), first_bad_at=_time(judgement.first_bad)
    )
    return record


def _stands(delivery: Delivery, deployment: Deployment, handed: HandedVerdict, record: VerdictRecord) -> bool:
    """Whether nothing and nobody has gone on after it."""
    phases = delivery.ledger.phases.of(deployment.id)
    if not phases or phases[-1].name != handed.phase:
        return False
    decided = _time(Judgement.from_dict(handed.evidence).decided) or record.recorded_at
    for question in delivery.ledger.questions.of_run(deployment.pipeline, deployment.run_id):
        later = question.answered_at is not None and question.answered_at > decided
        if later and question.option != ROLL_BACK and handed.task_id in ("", question.task_id):
            return False
    return not any(
        action.allowed and action.at > decided and _goes_on(action, handed.task_id)
        for action in delivery.ledger.audit.actions(pipeline=deployment.pipeline, run_id=deployment.run_id)
    )


def _goes_on(action: AuditRecord, task_id: str) -> bool:
    if action.action == HumanAction.MARKED_SUCCESS:
        return task_id in ("", action.task_id)
    return action.action == HumanAction.MARKED_GROUP_SUCCESS


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
