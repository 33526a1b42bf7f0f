"""What people said and did: questions and answers, vetoes, freezes, feedback, and the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_cd.commits import Commits
from airflow_cd.release import Release
from airflow_cd.verification.logs.feedback import Statement
from airflow_cd.verification.verdict import Feedback


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
