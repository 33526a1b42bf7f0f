"""What the ledger answers with: plain values, all times aware and in UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_cd.commits import Commits
from airflow_cd.release import Release
from airflow_cd.targets.base import Instance
from airflow_cd.verification.logs.feedback import Statement
from airflow_cd.verification.verdict import Feedback

RUNNING = "running"
PROMOTED = "promoted"
ROLLING_BACK = "rolling_back"
ROLLED_BACK = "rolled_back"
ROLLBACK_FAILED = "rollback_failed"
DEPLOYMENT_STATES = (RUNNING, PROMOTED, ROLLING_BACK, ROLLED_BACK, ROLLBACK_FAILED)


@dataclass(frozen=True)
class Lease:
    """The right to change one environment, as one run holds it.

    :param token: fencing token; a higher one makes this lease void.
    :param expires_at: after this the environment may be given to the next run. Until it is, the lease holds.
    """

    service: str
    environment: str
    pipeline: str
    run_id: str
    token: int
    acquired_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Waiting:
    """A run that waits for an environment.

    :param position: 1 for the run that is next.
    :param asked_at: when it asked for the environment for the first time.
    """

    service: str
    environment: str
    pipeline: str
    run_id: str
    position: int
    asked_at: datetime


@dataclass(frozen=True)
class Deployment:
    """One run bringing one release to one environment.

    :param id: a UUID.
    :param previous: the release each instance ran before anything was touched; None where it was empty.
    :param state: one of :data:`DEPLOYMENT_STATES`; *promoted* and *rolled_back* are final.
    :param rollback: ``automatic``, or ``human`` where a person decides.
    :param learn: whether its profiles are meant to join the baseline.
    :param token: fencing token under which it was last opened.
    :param requested_at: when the run was asked for, which is what older and newer mean between runs.
    :param settled_at: when it was promoted or rolled back.
    :param first_bad_at: when the first bad event happened; ``verdict_at`` when the verdict stood; ``safe_at`` when
        the last request had reached the canary; ``restored_at`` when what ran before ran again, checked.
    :param outcome: one sentence: why it ended so.
    :param rolls_back: of a person's rollback the id of the deployment that it takes back, or
        :data:`~airflow_cd.release.NOTHING`; None for any other deployment.
    :param commits: what the release brings; None where the pipeline names no repository.
    """

    id: str
    pipeline: str
    run_id: str
    service: str
    environment: str
    release: Release
    previous: Mapping[str, Release | None]
    state: str
    reason: str
    triggered_by: str
    rollback: str
    learn: bool
    token: int
    requested_at: datetime
    opened_at: datetime
    settled_at: datetime | None = None
    first_bad_at: datetime | None = None
    verdict_at: datetime | None = None
    safe_at: datetime | None = None
    restored_at: datetime | None = None
    outcome: str = ""
    rolls_back: str | None = None
    commits: Commits | None = None

    @property
    def to_verdict(self) -> float | None:
        """Seconds from the first bad event to the verdict."""
        return _seconds(self.first_bad_at, self.verdict_at)

    @property
    def to_safe(self) -> float | None:
        """Seconds from the verdict to the last canary request."""
        return _seconds(self.verdict_at, self.safe_at)

    @property
    def to_restored(self) -> float | None:
        """Seconds from the verdict to the release before running again, checked."""
        return _seconds(self.verdict_at, self.restored_at)


@dataclass(frozen=True)
class GoodRelease:
    """A release that was promoted in an environment: one that it can go back to.

    :param pipeline: of the deployment that promoted it last, with its ``run_id``, and ``promoted_at`` when.
    :param vetoed: why it may not be deployed there, ``""`` when it may.
    :param rollback: whether that deployment was a person's rollback to it.
    """

    release: Release
    pipeline: str
    run_id: str
    promoted_at: datetime
    by: str
    vetoed: str = ""
    rollback: bool = False


@dataclass(frozen=True)
class Phase:
    """One step of a deployment.

    :param share: percent of the environment.
    :param instances: every instance it was, or may have been, deployed to.
    :param state: ``started``, ``deployed``, then what its last final verdict made of it: ``passed``, ``failed``
        or ``inconclusive``.
    """

    deployment_id: str
    name: str
    share: int
    instances: Sequence[str]
    state: str
    started_at: datetime
    deployed_at: datetime | None = None


@dataclass(frozen=True)
class Action:
    """One side effect.

    :param attempt: 1, and one more each time it was begun again after it had failed.
    :param detail: what was wanted, and when it has ended what came of it as well.
    :param ok: None while it is under way, or when nobody lived to say how it ended.
    """

    key: str
    deployment_id: str
    kind: str
    token: int
    attempt: int
    detail: Mapping[str, Any]
    ok: bool | None
    began_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True)
class RunningInstance:
    """What ran on an instance when it was last looked at."""

    service: str
    environment: str
    instance: Instance
    observed_at: datetime


@dataclass(frozen=True)
class VerdictRecord:
    """What a verification of a phase said; ``final`` is False while it still watched."""

    id: int
    deployment_id: str
    phase: str
    token: int
    verdict: str
    evidence: Mapping[str, Any]
    final: bool
    recorded_at: datetime


@dataclass(frozen=True)
class Profile:
    """What one source showed of one phase of a deployment.

    :param teaches: whether it is part of the baseline once the deployment is promoted.
    """

    deployment_id: str
    phase: str
    version: str
    content: bytes
    saved_at: datetime
    source: str = ""
    kind: str = "logs"
    teaches: bool = True


@dataclass(frozen=True)
class FeedbackRecord:
    """What a person said of an event, or took back.

    :param id: its number, by which it can be undone.
    :param environment: where it holds; None for every environment of the service.
    :param says: one of :data:`airflow_cd.verification.logs.feedback.SAYS`.
    :param undoes: number of the statement that this one takes back; None for a statement.
    :param undone: whether it was taken back.
    """

    id: int
    service: str
    environment: str | None
    event_id: str
    says: str
    who: str
    why: str
    at: datetime
    template: str = ""
    sample: str = ""
    undoes: int | None = None
    undone: bool = False

    @property
    def statement(self) -> Statement:
        """The same as verification takes it."""
        said = Feedback(self.says, self.who, self.why, self.at.isoformat(timespec="seconds"))
        return Statement(self.event_id, said, self.template, self.sample)


@dataclass(frozen=True)
class BaselineChoice:
    """Which baseline a person wanted in an environment, or what they took back.

    :param action: ``pin``, ``reset`` or ``undo``.
    :param choice: of a pin: ``all``, ``previous``, ``control`` or the id of a deployment.
    :param undoes: number of the pin or reset that this one takes back.
    :param undone: whether it was taken back.
    """

    id: int
    service: str
    environment: str
    action: str
    choice: str | None
    who: str
    why: str
    at: datetime
    undoes: int | None = None
    undone: bool = False


@dataclass(frozen=True)
class Veto:
    """A release that was rolled back in an environment.

    :param pipeline: of the deployment that was rolled back; ``reason`` is its outcome.
    :param lifted_at: None while the veto is in force.
    """

    service: str
    environment: str
    digest: str
    version: str
    deployment_id: str
    pipeline: str
    at: datetime
    reason: str
    lifted_at: datetime | None = None
    lifted_by: str | None = None
    lifted_why: str | None = None


@dataclass(frozen=True)
class AuditRecord:
    """What a person did; ``allowed`` is False for what they tried and may not."""

    id: int
    at: datetime
    who: str
    action: str
    why: str
    pipeline: str | None
    run_id: str | None
    task_id: str | None
    service: str | None
    environment: str | None
    allowed: bool
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """A question a run waits on.

    :param approvers: who may answer; whoever takes the answer in must enforce it.
    :param proposed: the release that each environment would get.
    :param commits: by environment, what it would bring, where the pipeline names a repository.
    :param deadline: after this the caller's default answer counts.
    :param option: the answer; None while there is none.
    :param who: who gave it; None when nobody did in time and the default counts.
    """

    pipeline: str
    run_id: str
    task_id: str
    options: Sequence[str]
    approvers: Sequence[str]
    subject: str
    body: str
    asked_at: datetime
    deadline: datetime | None = None
    option: str | None = None
    who: str | None = None
    why: str | None = None
    answered_at: datetime | None = None
    proposed: Mapping[str, Release] = field(default_factory=dict)
    commits: Mapping[str, Commits] = field(default_factory=dict)


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds()
