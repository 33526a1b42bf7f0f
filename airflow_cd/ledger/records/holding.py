"""Who holds an environment, waits for it or works on it, and which runs could not go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_cd.states import FindingState, StuckCause

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
    cause: StuckCause
    detail: str
    state: FindingState
    outcome: str
    attempts: int
    found_at: datetime
    ended_at: datetime | None
