"""What runs did to environments: deployments, their phases and actions, their verdicts, and what runs where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_cd.commits import Commits
from airflow_cd.release import Release, changed_beside_version, most_common
from airflow_cd.states import DeploymentState, PhaseState, RollbackCause, RollbackMode
from airflow_cd.targets.base import Instance


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
    def changed(self) -> str:
        """What differs from what most instances ran, where that has the same version; ``""`` where versions differ."""
        return changed_beside_version(most_common(self.previous.values()), self.release)

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
    """A release that an environment can go back to: promoted there, or what ran before the first deployment.

    :param pipeline: the pipeline of the deployment that promoted it last.
    :param run_id: the run of that deployment.
    :param promoted_at: when that was; of what ran before, when the first deployment began.
    :param by: who triggered it.
    :param vetoed: why it may not be deployed there, ``""`` when it may.
    :param rollback: whether that deployment was a person's rollback to it.
    :param taken_over: whether it is what ran before the first deployment, which ``pipeline`` and ``run_id`` then name.
    """

    release: Release
    pipeline: str
    run_id: str
    promoted_at: datetime
    by: str
    vetoed: str = ""
    rollback: bool = False
    taken_over: bool = False


@dataclass(frozen=True)
class Phase:
    """One step of a deployment.

    :param share: percent of the environment.
    :param instances: every instance it was, or may have been, deployed to.
    :param state: how far it has come; after a final verdict, what that was.
    :param traffic: percent of the requests that the canary has in it, where that is not what its share brings with it;
        then the release before is still there beside it.
    """

    deployment_id: str
    name: str
    share: int
    instances: Sequence[str]
    state: PhaseState
    started_at: datetime
    deployed_at: datetime | None = None
    traffic: int | None = None


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


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds()
