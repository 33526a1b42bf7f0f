"""What the ledger returns: immutable values; all times are aware and in UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_cd.commits import Commits
from airflow_cd.release import Release
from airflow_cd.states import DeploymentState, FindingState, FreezeCause, PhaseState, RollbackCause, RollbackMode
from airflow_cd.targets.base import Instance
from airflow_cd.verification.logs.feedback import Statement
from airflow_cd.verification.verdict import Feedback

Claim = tuple[str, str, str, str]
"""A run's claim on an environment: service, environment, pipeline and run id."""


@dataclass(frozen=True)
class Lease:
    """The right of one run to change one environment.

    :param token: fencing token; a higher one voids this lease.
    :param expires_at: after this another run may take the environment. Until one does, the lease holds.
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
    :param asked_at: when it first asked for the environment.
    """

    service: str
    environment: str
    pipeline: str
    run_id: str
    position: int
    asked_at: datetime


@dataclass(frozen=True)
class KnownRun:
    """A run that the ledger has records of.

    :param run_id: what its records carry: its id in Airflow, unless another run has that by now.
    :param airflow_run_id: its id in Airflow.
    :param requested_at: when it was requested, which tells it apart from others with the same id.
    :param plan: what it does, as it was when it began; None for a DAG written by hand.
    """

    pipeline: str
    run_id: str
    airflow_run_id: str
    requested_at: datetime
    plan: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class InTheWay:
    """A run that another one waits for.

    :param task_id: of one that waits itself, the task that asks; None of the owner, and where it is not known.
    :param token: the owner's fencing token; None of one that waits itself.
    :param expired: whether the owner's lease has expired.
    :param going_back: whether it brings the environment back to an earlier release.
    """

    service: str
    environment: str
    pipeline: str
    run_id: str
    task_id: str | None
    token: int | None
    expired: bool
    going_back: bool


@dataclass(frozen=True)
class Deployment:
    """The deployment of one release to one environment by one run.

    :param id: a UUID.
    :param previous: the release each instance ran before anything was touched; None where it was empty.
    :param state: how far it has come; *promoted* and *rolled_back* are final.
    :param rollback: who decides on a rollback after a failed verification.
    :param learn: whether its profiles are meant to join the baseline.
    :param token: fencing token under which it was last opened.
    :param requested_at: when the run was requested, which decides what is older and newer between runs.
    :param settled_at: when it was promoted or rolled back.
    :param first_bad_at: when the first bad event happened.
    :param verdict_at: when the verdict was reached.
    :param safe_at: when the last request had reached the canary.
    :param restored_at: when every instance ran its previous release again, checked.
    :param outcome: one sentence: why it ended as it did.
    :param rolls_back: of a rollback by hand the id of the deployment that it takes back, or
        :data:`~airflow_cd.release.NOTHING`; None for any other deployment.
    :param commits: what the release brings; None where the pipeline names no repository.
    :param cause: why it is to be rolled back, known before the rollback begins; None while nothing is against it.
    :param first: whether nothing of the service had run in the environment before: there was nothing to compare with.
    :param ended_by: pipeline and id of the run that rolls it back, where that is another one than its own.
    """

    id: str
    pipeline: str
    run_id: str
    service: str
    environment: str
    release: Release
    previous: Mapping[str, Release | None]
    state: DeploymentState
    reason: str
    triggered_by: str
    rollback: RollbackMode
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
    cause: RollbackCause | None = None
    first: bool = False
    ended_by: tuple[str, str] | None = None

    @property
    def at_fault(self) -> bool | None:
        """Whether a rollback is held against the release, and so vetoes it; None where no cause is known.

        There was nothing to compare a first release with: only a person holds anything against it.
        """
        if self.cause is None:
            return None
        return self.cause is RollbackCause.PERSON or (self.cause.vetoes and not self.first)

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
        """Seconds from the verdict to the previous release running again, checked."""
        return _seconds(self.verdict_at, self.restored_at)


@dataclass(frozen=True)
class GoodRelease:
    """A release that was promoted in an environment, which can go back to it.

    :param pipeline: the pipeline of the deployment that promoted it last.
    :param run_id: the run of that deployment.
    :param promoted_at: when that was.
    :param by: who triggered it.
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
    :param state: how far it has come; after a final verdict, what that was.
    """

    deployment_id: str
    name: str
    share: int
    instances: Sequence[str]
    state: PhaseState
    started_at: datetime
    deployed_at: datetime | None = None


@dataclass(frozen=True)
class Action:
    """One side effect.

    :param attempt: from 1; one more each time it was begun again after a failure.
    :param detail: what was wanted, and once it has ended what came of it.
    :param ok: whether it succeeded; None while it is in progress, or when its process died.
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
    """What an instance ran when it was last observed."""

    service: str
    environment: str
    instance: Instance
    observed_at: datetime


@dataclass(frozen=True)
class GivenSecret:
    """A value that an environment was given in the place of a reference.

    :param path: where it stands in the configuration.
    :param source: the reference, or ``plain:`` for a value that was declared to be no secret.
    :param digest: keyed digest of the value.
    :param given_at: when it was given last.
    """

    path: str
    source: str
    digest: str
    given_at: datetime


@dataclass(frozen=True)
class VerdictRecord:
    """A verdict on a phase; ``final`` is False while the verification still watched."""

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
    """The profile of one source over one phase of a deployment.

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
    """Feedback of a person on an event, or its undoing.

    :param id: its number, which undoing it takes.
    :param environment: where it holds; None for every environment of the service.
    :param says: one of :data:`airflow_cd.verification.logs.feedback.SAYS`.
    :param undoes: number of the feedback that this record undoes; None for feedback.
    :param undone: whether it was undone.
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
        """The feedback as a verification takes it."""
        feedback = Feedback(self.says, self.who, self.why, self.at.isoformat(timespec="seconds"))
        return Statement(self.event_id, feedback, self.template, self.sample)


@dataclass(frozen=True)
class BaselineChoice:
    """The baseline that a person chose for an environment, or the undoing of a choice.

    :param action: ``pin``, ``reset`` or ``undo``.
    :param choice: of a pin: ``all``, ``previous``, ``control`` or the id of a deployment.
    :param undoes: number of the pin or reset that this one undoes.
    :param undone: whether it was undone.
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
class Freeze:
    """An environment to which nothing is deployed until a person lifts the freeze.

    :param at: since when.
    :param who: who froze it.
    :param why: the reason they gave.
    """

    service: str
    environment: str
    at: datetime
    who: str
    why: str

    @property
    def sentence(self) -> str:
        """Who froze it, since when and why."""
        return f"{self.environment} has been frozen since {self.at:%Y-%m-%d %H:%M} UTC by {self.who}: {self.why}"


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
    """A manual action; ``allowed`` is False for an attempt that was refused."""

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
class ChainState:
    """Whether the audit log is as it was written.

    :param records: how many are in order, from the first on.
    :param head: the hash of the last one in order; ``""`` without any.
    :param broken_at: number of the first that is not in order; None when all are.
    :param head_found: whether the log holds the record that it was asked for.
    """

    records: int
    head: str
    broken_at: int | None = None
    head_found: bool = True

    @property
    def whole(self) -> bool:
        """Whether nothing was changed, taken out or put in."""
        return self.broken_at is None and self.head_found


@dataclass(frozen=True)
class Intent:
    """What a person is about to do by hand.

    :param task_id: the task or task group; None for a whole run.
    :param action: a :class:`~airflow_cd.states.HumanAction`, with what was chosen after it where it matters.
    :param asking: the tasks it may reach that ask people.
    :param answers: by task that it answers, the answer; None where it ends the task without one.
    :param lives: the present life of each of those tasks.
    :param is_mark: whether it ends the tasks at once, as a mark does, rather than wake them.
    """

    who: str
    action: str
    why: str
    pipeline: str
    run_id: str | None = None
    task_id: str | None = None
    asking: Sequence[str] = ()
    answers: Mapping[str, str | None] = field(default_factory=dict)
    lives: Mapping[str, int] = field(default_factory=dict)
    is_mark: bool = False


@dataclass(frozen=True)
class Intended:
    """An intent as it is recorded.

    :param id: number of its record.
    :param open: the tasks it may reach that have asked in their present life and have no answer.
    """

    id: int
    open: Sequence[str]


@dataclass(frozen=True)
class Mark:
    """What a person's mark means to a task that was about to ask.

    :param option: the answer; None for a mark that ends the task without one.
    """

    option: str | None
    who: str
    why: str


@dataclass(frozen=True)
class Question:
    """A question that a run asks people, and its answer.

    :param approvers: who may answer; to be enforced by the code that accepts an answer.
    :param proposed: the release that each environment would get.
    :param commits: by environment, what it would bring, where the pipeline names a repository.
    :param deadline: after this the asker's default answer counts.
    :param option: the answer; None while there is none.
    :param who: who gave it; None when it timed out and the default counts.
    :param life: which life of its task has asked, see :func:`airflow_cd.operators.attempts.life_of`.
    :param run_started: when the run had been started then.
    :param mark: of the asker alone: a mark on its task that came before the question.
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
    life: int | None = None
    run_started: datetime | None = None
    mark: Mark | None = None
    proposed: Mapping[str, Release] = field(default_factory=dict)
    commits: Mapping[str, Commits] = field(default_factory=dict)


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds()


@dataclass(frozen=True)
class Work:
    """A run's work on an environment.

    :param target: how the environment is reached, as :mod:`airflow_cd.targets` describes it; None where the target
        cannot be described.
    :param timeout: seconds that instances may take to come up healthy.
    :param task_id: the task that was at it last.
    :param process: where that task ran, as ``host:pid``.
    :param beats: grows for as long as its process lives.
    :param beat_at: when it grew last.
    :param over: whether the task has ended by itself.
    """

    service: str
    environment: str
    pipeline: str
    run_id: str
    target: Mapping[str, Any] | None
    timeout: int
    task_id: str
    process: str
    beats: int
    beat_at: datetime
    over: bool


@dataclass(frozen=True)
class Finding:
    """A run that could not go on, and what the guard did about it.

    :param number: grows with every finding.
    :param deployment_id: what it had left unfinished; None where it only held the environment, or a place in its queue.
    :param detail: why it could not go on, in one sentence.
    :param outcome: what the guard did, or what keeps it from that; ``""`` while it is at it.
    :param attempts: how often it has tried.
    :param ended_at: when nothing was left to do.
    """

    number: int
    service: str
    environment: str
    pipeline: str
    run_id: str
    deployment_id: str | None
    cause: FreezeCause
    detail: str
    state: FindingState
    outcome: str
    attempts: int
    found_at: datetime
    ended_at: datetime | None
